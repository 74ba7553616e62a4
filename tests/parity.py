"""What `tools/make_torch_fixtures.py` and `test_torch_parity.py` must draw alike; all of it comes from `Noise`."""

import numpy as np

from tinydiff.base import Noise

NOISE = Noise(seed=12)
STEPS, BATCH, LR, DECAY, BETAS = 10, 3, 1e-3, 0.1, (0.9, 0.99)  # the ten training steps


def draw_weights(model) -> None:
    """Give every parameter random values of a sound size, those that start at zero too."""
    for name, parameter in model.named_parameters().items():
        value = NOISE.normal((1, parameter.size), "weights", layer=name, dtype=np.float64)
        fan_in = int(np.prod(parameter.value.shape[:-1])) if parameter.value.ndim > 1 else 100
        start = 1.0 if name.endswith("gamma") else 0.0
        parameter.value[...] = start + value.reshape(parameter.value.shape) * fan_in**-0.5


def drawn_weight(name: str, shape: tuple) -> np.ndarray:
    """Return random values for a weight of PyTorch's layout, by its name; a norm's weights lie around 1."""
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
    start = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
    return start + NOISE.normal((1, *shape), "weights", layer=name, dtype=np.float64)[0] * fan_in**-0.5


def projections(gradients: dict) -> np.ndarray:
    """Return the products of each gradient with four random directions, shape (parameters, 4).

    They stand for the gradient in a small file; a wrong one agrees with probability zero.
    """
    return np.stack(
        [NOISE.normal((4, g.size), "direction", layer=n, dtype=np.float64) @ g.ravel() for n, g in gradients.items()]
    )


def draw_batch(shape: tuple, classes: int | None, step: int = 0) -> tuple:
    """Return x_0 (images in [-1, 1]), t in 1 .. 1000, eps and labels in 0 .. classes (or None) of a training step."""
    noise = NOISE.at(step=step)
    x_0 = 2 * noise.uniform(shape, "x_0", dtype=np.float64) - 1
    t = noise.integers(1, 1000, shape[0], "t")
    eps = noise.normal(shape, "eps", dtype=np.float64)
    return x_0, t, eps, None if classes is None else noise.integers(0, classes, shape[0], "labels")
