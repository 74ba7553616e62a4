"""The order of the data: which samples a step sees, as a pure function of seed and step."""

import functools

import numpy as np

from tinydiff.base import Noise

SPARE = 4  # one spare candidate for every four in a batch, to replace those with the content of another


def shuffled(n: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Return the indices of a step's batch: every epoch is a new order of all n, and a batch may span two epochs."""
    epochs, within = np.divmod(np.arange(step * batch, (step + 1) * batch), n)
    first, last = int(epochs[0]), int(epochs[-1])
    parts = [permutation(n, seed, epoch)[within[epochs == epoch]] for epoch in range(first, last + 1)]
    return np.concatenate(parts)


def whole_batches(n: int, batch: int, step: int, seed: int) -> np.ndarray:
    """Return the indices of a step's batch: an epoch has only whole batches, and leaves out the rest.

    The order of an epoch is drawn at the epoch's first step.
    """
    per_epoch = n // batch
    position = step % per_epoch
    return permutation(n, seed, step - position)[position * batch :][:batch]


def distinct(contents: np.ndarray, batch: int, step: int, seed: int) -> np.ndarray:
    """Return the indices of a step's batch, in random order; where there are enough, no two with the same content.

    Parameters
    ----------
    contents : integer array, shape (N,)
        Equal for samples that have the same content.
    batch, step, seed : int
    """
    candidates = min(len(contents), batch + batch // SPARE)
    per_epoch = len(contents) // candidates
    epoch, position = divmod(step, per_epoch)
    chosen = permutation(len(contents), seed, epoch)[position * candidates :][:candidates]
    _, first = np.unique(contents[chosen], return_index=True)
    again = np.setdiff1d(np.arange(candidates), first)
    return chosen[np.concatenate([np.sort(first), again])[:batch]]


@functools.lru_cache(maxsize=2)
def permutation(n: int, seed: int, key: int) -> np.ndarray:
    """Return the numbers 0 .. n - 1 in random order; the last two orders are remembered, so do not write to them."""
    order = Noise(seed, step=key).permutation(n, "data order")
    order.flags.writeable = False
    return order
