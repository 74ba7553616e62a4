"""Shards: a batch is cut into pieces of a fixed size, and a function of it is computed piece by piece, in parallel.

The size of a shard belongs to the configuration and never depends on the number of workers. So any number of threads or
processes gives the same bits.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Memo,
    arrays_of,
    check_count,
    check_numbers,
    check_rank,
    checked,
    checks_arguments,
    map_arrays,
    weights_stand_still,
    xp_of,
)
from tinydiff.workers.processes import Crew, processes_pay
from tinydiff.workers.threads import MOST_THREADS, default_threads, keep_freed_memory, one_blas_thread, run_parallel

LARGEST_SHARD = 2**24  # samples; whether so many fit into memory is another matter


@checks_arguments("__init__")
class Workers:
    """Threads or processes that compute a function of many samples, in shards of exactly `micro_batch` samples.

    How BLAS rounds a row of a product may depend on the number of rows and on the row's position. Here sample i is
    always at position ``(first + i) % micro_batch`` of a full shard, so its bits do not depend on the batch it came in.
    Where the first or the last shard is not full, copies of a sample fill it, and their results are dropped.

    Parameters
    ----------
    micro_batch : int
    threads : int or None
        How many shards are computed at the same time; None takes one for each core. On a GPU it is always one.
    processes : bool or None
        Whether processes (see `Crew`), where they can be made, compute the shards inside
        `while_weights_stand_still`; None decides by the size of the network, see `processes_pay`.
    n, first : int
        The number of samples, and the global index of the first one. A call may have several rows for each sample, as
        guidance does; the rows of a sample must then be next to each other.

    Examples
    --------
    >>> import numpy as np
    >>> Workers(micro_batch=2).map(lambda x: 2 * x, np.arange(5.0))
    array([0., 2., 4., 6., 8.])
    """

    def __init__(
        self,
        micro_batch: int,
        threads: int | None = None,
        processes: bool | None = False,
        n: int | None = None,
        first: int = 0,
    ):
        check_count("micro_batch", micro_batch, most=LARGEST_SHARD)
        check_count("first", first, least=0)
        if n is not None:
            check_count("n", n)
        if threads is not None:
            check_count("threads", threads, most=MOST_THREADS)
        self.micro_batch, self.threads, self.processes = micro_batch, threads, processes
        self.n, self.first = n, first
        self.memo: Memo | None = None
        self.crew: Crew | None = None

    def map(self, f: Callable[..., Any], *arrays: Any) -> Any:
        """Return ``f(*arrays)``, computed in shards.

        Parameters
        ----------
        f : callable
            Takes arrays (micro_batch, ...) and returns one, or a context of them.
        *arrays : arrays (N, ...), contexts of such arrays, or None
            All are cut at the same rows; None is passed on.
        """
        given = [a for member in arrays for a in arrays_of(member)]
        for i, array in enumerate(given):
            check_numbers(f"array {i}", array)
            check_rank(f"array {i}", array, *range(1, 65))
        if not (given and callable(f)):
            raise InputError("There is nothing to compute: a function and at least one array were expected.")
        xp, rows = xp_of(*given), len(given[0])
        if not rows:
            raise InputError("There is nothing to compute: the arrays hold no samples.")
        if any(len(a) != rows for a in given):
            lengths = ", ".join(str(len(a)) for a in given)
            raise InputError(f"The arrays have {lengths} rows, but as many in each were expected.")
        starts = self._starts(rows)
        shards = (self._shard(arrays, start, rows, xp) for start in starts)
        at_once = 1 if xp is not np else min(self.threads or default_threads(), len(starts))
        if self.crew is not None and self.crew.f == f:
            results = self.crew(list(shards))
        elif at_once > 1:
            with weights_stand_still(self.memo):
                results = run_parallel([partial(f, *shard) for shard in shards], at_once)
        else:
            keep_freed_memory()
            results = []
            with weights_stand_still(self.memo), one_blas_thread():
                for shard in shards:
                    results.append(f(*shard))

        def joined(*parts):  # without the copies before row 0 and after the last row
            return xp.concatenate([y[max(0, -start) : rows - start] for start, y in zip(starts, parts, strict=True)])

        return map_arrays(joined, *results)

    @contextmanager
    def while_weights_stand_still(self, f: Callable[..., Any], theta: Array, rows: int) -> Iterator[None]:
        """Promise that the weights `theta` do not change inside, and let processes compute `f` where they are faster.

        What is derived from the weights is then computed once for all calls, which have at most `rows` rows.
        """
        at_once = min(self.threads or default_threads(), len(self._starts(rows)))
        self.memo = Memo()
        if xp_of(theta) is np and at_once > 1 and processes_pay(theta, self.processes):
            self.crew = Crew(f, at_once, fixed_weights=True)
        try:
            yield
        finally:
            if self.crew is not None:
                self.crew.close()
            self.memo = self.crew = None

    def _starts(self, rows):
        """Return where each shard begins; the first may begin before 0."""
        first = self.first if self.n is None else self.first * rows // self.n
        return range(-(first % self.micro_batch), rows, self.micro_batch)

    def _shard(self, arrays, start, rows, xp):
        """Return the rows of the shard from `start` on; rows before 0 or after the last are copies of these two."""
        positions = xp.asarray(np.clip(np.arange(start, start + self.micro_batch), 0, rows - 1))
        return tuple(map_arrays(lambda a: a[positions], member) for member in arrays)


@checked()
def map_shards(
    f: Callable[..., Any], arrays: Sequence[Any], micro_batch: int, threads: int | None = None, first: int = 0
) -> Any:
    """Return ``f(*arrays)``, computed by threads in shards of `micro_batch` samples; see `Workers.map`."""
    return Workers(micro_batch, threads, first=first).map(f, *arrays)
