"""A checkpoint keeps less and gives the same bits."""

import numpy as np

from tinydiff.base import Noise
from tinydiff.nn import Checkpoint, Dropout, Gradients, Linear, Module, SiLU, Tape


class TwoInputs(Module):
    """y = dropout(silu(x w)) + e, to see a checkpoint with two inputs and noise."""

    def __init__(self, rng):
        self.linear, self.silu, self.dropout = Linear(6, 6, rng, dtype=np.float64), SiLU(), Dropout(0.4)

    def forward(self, x, e, tape=None):
        return self.dropout.forward(self.silu.forward(self.linear.forward(x, tape), tape), tape) + e

    def backward(self, dy, tape, grads=None):
        return self.linear.backward(
            self.silu.backward(self.dropout.backward(dy, tape, grads), tape, grads), tape, grads
        ), dy


def test_a_checkpoint_keeps_less_and_gives_the_same_bits_with_dropout():
    rng = np.random.default_rng(0)
    block = TwoInputs(rng)
    kept = Checkpoint(block)
    kept.pack()
    x, e, dy = rng.standard_normal((3, 7, 6))
    results = []
    for module in (block, kept):
        tape, grads = Tape(Noise(5)), Gradients(kept.parameters())
        y = module.forward(x, e, tape=tape)
        entries = len(tape)
        dx, de = module.backward(dy, tape, grads)
        results.append((y, dx, de, grads.flat.copy()))
        assert len(tape) == 0
    assert entries == 1
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (results[0][0] - e == 0).any()  # something was dropped
    np.testing.assert_array_equal(kept.forward(x, e), block.forward(x, e))
