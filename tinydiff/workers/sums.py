"""Sums over shards, such as a gradient, added in an order that does not depend on the number of workers.

Lane j takes the shards j, j + lanes, j + 2 lanes, ..., one after the other, and adds them into a vector of its own.
Then the lanes are added as a tree, ((0 + 1) + (2 + 3)) + ... The number of lanes belongs to the configuration; how many
of them run at the same time, in processes or in threads, changes the time and not the bits.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinydiff.base import Array, check_alike, check_count, checks_arguments, weights_stand_still, xp_of
from tinydiff.workers.processes import Crew, processes_pay, share_weights, shared_zeros
from tinydiff.workers.threads import MOST_THREADS, default_threads, run_parallel

MOST_SHARDS = 2**24


@checks_arguments("__init__")
class LaneSum:
    """A sum of vectors over shards, computed in parallel.

    Parameters
    ----------
    work : callable
        ``work(shard, total, *key)`` adds one shard to `total`, and returns anything, such as a loss.
    n_shards : int
    like : array
        A vector of the size, dtype and device of the sum.
    lanes : int
        The number of lanes; there are never more than shards.
    threads : int or None
        How many lanes run at the same time; None takes one for each core. On a GPU it is always one.
    processes : bool or None
        Whether the lanes run in processes, where they can be made (see `Crew`), or in threads; None decides by the size
        of `like`, see `processes_pay`.
    """

    def __init__(
        self,
        work: Callable[..., Any],
        n_shards: int,
        like: Array,
        lanes: int = 8,
        threads: int | None = None,
        processes: bool | None = None,
    ):
        check_count("n_shards", n_shards, most=MOST_SHARDS)
        check_count("lanes", lanes)
        if threads is not None:
            check_count("threads", threads, most=MOST_THREADS)
        check_alike(like=like)
        xp, lanes = xp_of(like), min(lanes, n_shards)
        self.work, self.n_shards = work, n_shards
        self.at_once = min(default_threads() if threads is None else threads, lanes) if xp is np else 1
        self.crew = Crew(self._walk, self.at_once) if self.at_once > 1 and processes_pay(like, processes) else None
        zeros = xp.zeros if self.crew is None else shared_zeros
        self.totals = [zeros(like.shape, like.dtype) for _ in range(lanes)]

    def __call__(self, *key: Any) -> list[Any]:
        """Compute the sum, into ``totals[0]``; return what `work` returned, in the order of the shards.

        `key` is passed on to `work`: whatever changes from one sum to the next. It must be possible to pickle it.
        """
        tasks = [(lane, *key) for lane in range(len(self.totals))]
        if self.crew is not None:
            results = self.crew(tasks)
        else:
            with weights_stand_still():
                results = run_parallel([partial(self._walk, *task) for task in tasks], self.at_once)
        distance = 1
        while distance < len(tasks):
            for j in range(0, len(tasks) - distance, 2 * distance):
                self.totals[j] += self.totals[j + distance]
            distance *= 2
        return [results[shard % len(tasks)][shard // len(tasks)] for shard in range(self.n_shards)]

    def share(self, network: Any) -> None:
        """Move a network's weights into shared memory, so that the processes of this sum see every change."""
        if self.crew is not None:
            share_weights(network)

    def close(self) -> None:
        """End the processes, if there are any; the next sum makes new ones."""
        if self.crew is not None:
            self.crew.close()

    def _walk(self, lane, *key):
        """Add the shards of one lane, in order, into its own vector."""
        self.totals[lane][...] = 0
        return [self.work(shard, self.totals[lane], *key) for shard in range(lane, self.n_shards, len(self.totals))]
