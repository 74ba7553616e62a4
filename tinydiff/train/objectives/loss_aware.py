"""Loss-aware steps: those whose loss is large, or varies much, are shown more often (Nichol and Dhariwal 2021)."""

from typing import Any

import numpy as np

from tinydiff.base import Array, Noise, xp_of
from tinydiff.nn import Gradients, Module, Parameter

LAST = 10  # losses of a step that count; until every step has so many, all are drawn alike
ANY = 0.001  # share of the draws that is uniform, so that no step is ever forgotten


class LossHistory(Module):
    """The mean square of the loss at every step t = 1 .. T (Eq. IDDPM-18).

    It lies in the vector of the weights (`WithHistory`), so it is saved with them, and a run that is resumed draws the
    same steps. New losses travel in the place of its gradient, summed over the batch by whatever processes compute;
    before the optimizer moves, `learn` takes them out.

    The paper keeps the last ten losses of each step. Here it is an average that forgets as fast: new losses count at
    least a tenth.

    Parameters
    ----------
    T : int
    like : array
        Of the dtype, and on the device, of the weights.
    """

    def __init__(self, T: int, like: Array):
        self.T = T
        self.squares_and_counts = Parameter(xp_of(like).zeros((2, T), like.dtype), decay=False)

    def probabilities(self) -> Array:
        """Return p_t of t = 1 .. T, float64, in proportion to the root of the mean square (Eq. IDDPM-18)."""
        squares, counts = (row.astype(np.float64) for row in self.squares_and_counts.value)
        xp = xp_of(counts)
        root = xp.sqrt(squares)
        is_known = (counts >= LAST).all() & (root.sum() > 0)
        share = xp.where(is_known, root / xp.where(is_known, root.sum(), 1), 1 / self.T)
        return (1 - ANY) * share + ANY / self.T

    def draw(self, noise: Noise, n: int) -> tuple[Array, Array]:
        """Return n random steps, and by what their losses are multiplied, 1 / (T p_t) (Eq. IDDPM-18)."""
        xp, p = noise.xp, self.probabilities()
        ends = xp.cumsum(p)
        t = xp.minimum(xp.searchsorted(ends / ends[-1], noise.uniform((n,), "t", dtype=np.float64)), self.T - 1)
        return t + 1, 1 / (self.T * p[t])

    def remember(self, t: Array, losses: Array, grads: Gradients) -> None:
        """Add the losses of a micro-batch at these steps to `grads`."""
        xp = xp_of(losses)
        squares, counts = (xp.bincount(t - 1, weights, self.T) for weights in (losses.astype(np.float64) ** 2, None))
        grads.add(self.squares_and_counts, xp.stack([squares, counts]).astype(self.squares_and_counts.value.dtype))

    def learn(self, step: int, grads: Gradients, ok: Array) -> None:
        """Take the sums of a batch out of its gradient, into the history; `ok` is whether all is finite."""
        found, (squares, counts) = grads[self.squares_and_counts], self.squares_and_counts.value
        xp = xp_of(found)
        new = xp.where(ok, found[1], 0)
        total = counts + new
        rate = new / xp.maximum(xp.minimum(total, xp.maximum(LAST, new)), 1)
        mean = xp.where(new > 0, found[0] / xp.maximum(found[1], 1), 0)
        squares[...] = squares + rate * (mean - squares)
        counts[...] = total
        found[...] = 0


class WithHistory(Module):
    """A network, and behind its weights, in one vector, the history of its loss.

    Parameters
    ----------
    network : Module
    history : LossHistory
    """

    def __init__(self, network: Module, history: LossHistory):
        self.network, self.history = network, history
        self.pack()

    def pack(self) -> None:
        """Move all into one vector; the network's part of it stays the network's theta."""
        super().pack()
        self._view(self._theta)

    def _view(self, vector):
        super()._view(vector)
        vars(self.network)["_theta"] = vector[: len(vector) - self.history.squares_and_counts.size]

    def forward(self, *inputs: Any, tape: Any = None) -> Array:
        """Return the network's output, in which the history has no part."""
        return self.network.forward(*inputs, tape=tape)

    def one_input(self) -> tuple[Array, ...]:
        """Return that of the network."""
        return self.network.one_input()
