"""A prediction is a row of shards, computed side by side.

The shards belong to the configuration, never to the number of threads. So any number of threads gives the same bits.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinydiff.base import InputError, arrays_of, map_arrays, weights_stand_still, xp_of
from tinydiff.workers.threads import run_parallel


def map_shards(
    f: Callable[..., Any],
    arrays: Sequence[Any],
    micro_batch: int,
    threads: int | None = None,
    first: int = 0,
    crew: Callable[[list[tuple]], list[Any]] | None = None,
) -> Any:
    """Return ``f(*arrays)``, computed in shards of exactly `micro_batch` samples.

    BLAS may round a row of a product differently by the number of rows and by its place among them. Here sample i
    always stands at place ``(first + i) % micro_batch`` of a full shard, so its bits do not depend on the batch it
    came in. What is missing in the first and in the last shard is filled with copies, whose results are dropped.

    Parameters
    ----------
    f : callable
        Takes arrays (micro_batch, ...) and returns one, or a context of them.
    arrays : sequence of arrays (N, ...), contexts of such arrays, or None
        Cut into shards together; None is handed on.
    micro_batch : int
    threads : int or None
        None takes one for each core; work on a GPU is not threaded.
    first : int
        Index of the first sample among all that there are.
    crew : Crew, callable or None
        What calls `f` for a list of tuples of arguments, such as processes that know it; None takes threads.
    """
    given = [a for member in arrays for a in arrays_of(member)]
    xp, n = xp_of(*given), len(given[0])
    if not n:
        raise InputError("There is nothing to compute: the arrays hold no samples.")

    def shard(start):
        places = np.arange(start, start + micro_batch)  # of the samples, before 0 and from n on: fill
        samples = xp.asarray(np.clip(places, 0, n - 1))
        return tuple(map_arrays(lambda a: a[samples], member) for member in arrays)

    starts = range(-(first % micro_batch), n, micro_batch)
    if crew is not None:
        results = crew([shard(start) for start in starts])
    else:
        with weights_stand_still():
            tasks = [lambda start=start: f(*shard(start)) for start in starts]
            results = run_parallel(tasks, threads if xp is np else 1)

    def joined(*parts):
        return xp.concatenate([y[max(0, -start) : n - start] for start, y in zip(starts, parts, strict=True)])

    return map_arrays(joined, *results)
