"""A gradient whose shards are added in order, and may be joined between their forward and their backward."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinydiff.base import Array, Memo, weights_stand_still, xp_of
from tinydiff.workers import run_parallel


class JoinedSum:
    """A sum of vectors over shards: threads compute each shard's vector, and these are added one after the other.

    With a join, for a loss of the whole batch such as that of contrast, shards are generators: each computes its
    forward and yields; the join computes the loss from what all have yielded; each receives its answer and computes its
    backward. Between the two, a shard keeps its values in local variables.

    Parameters
    ----------
    work : callable
        ``work(shard, total, *key)`` adds one shard to `total` and returns its loss; with a join, it is a generator.
    n_shards : int
    like : array
        A vector with the size, dtype and device of the sum.
    join : callable or None
        ``join(yielded, total, *key) -> (loss, answers)``.
    threads : int or None
        None takes one for each core. On a GPU there is always one.
    memo : Memo or None
        Keeps arrays derived from weights that do not change between sums.
    """

    def __init__(
        self,
        work: Callable[..., Any],
        n_shards: int,
        like: Array,
        join: Callable[..., Any] | None = None,
        threads: int | None = None,
        memo: Memo | None = None,
    ):
        xp = xp_of(like)
        self.work, self.join, self.memo = work, join, memo
        self.threads = threads if xp is np else 1
        self.totals = [xp.zeros(like.shape, like.dtype) for _ in range(1 + n_shards)]  # the sum, then each shard

    def __call__(self, *key: Any) -> list[Array]:
        """Compute the sum, into ``totals[0]``; return the losses of the shards, or that of the join."""
        total, *parts = self.totals
        for vector in self.totals:
            vector[...] = 0
        with weights_stand_still(self.memo):
            if self.join is None:
                tasks = [partial(self.work, shard, part, *key) for shard, part in enumerate(parts)]
                losses = run_parallel(tasks, self.threads)
            else:
                shards = [self.work(shard, part, *key) for shard, part in enumerate(parts)]
                yielded = run_parallel([partial(next, shard) for shard in shards], self.threads)
                loss, answers = self.join(yielded, total, *key)
                losses = [loss]
                tasks = [partial(_send, shard, answer) for shard, answer in zip(shards, answers, strict=True)]
                run_parallel(tasks, self.threads)
        for part in parts:
            total += part
        return losses

    def close(self) -> None:
        """Do nothing: threads end with each sum."""


def _send(shard, answer):
    """Send a waiting shard its answer, with which it computes its backward and ends."""
    try:
        shard.send(answer)
    except StopIteration:
        return
    raise RuntimeError("The generator of a shard yielded twice, but with a join it must yield exactly once.")
