"""A network of three layers that several tests share."""

import numpy as np

from tinydiff.nn import Linear, Sequential, SiLU


def small_net(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    net = Sequential(Linear(3, 8, rng, dtype=dtype), SiLU(), Linear(8, 2, rng, dtype=dtype))
    net.pack()
    return net
