"""Shards and threads: a prediction is a row of shards, computed side by side.

The shards belong to the configuration, never to the number of threads. So any number of threads gives the same bits.
NumPy releases Python's lock inside its operations, and BLAS is held at one thread in each. Where operations are short
and the lock is the limit, processes take the place of threads (`tinydiff.processes`).
"""

import contextvars
import ctypes
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from threadpoolctl import OpenBLASController, ThreadpoolController

from tinydiff.backend import xp_of
from tinydiff.condition import arrays_of, map_arrays
from tinydiff.errors import InputError
from tinydiff.memo import weights_stand_still


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def keep_freed_memory() -> bool:
    """Ask the C library, once, to keep the memory of large arrays that are freed; return whether it does.

    glibc hands every large array back to the kernel and gets it again zeroed, page by page, at each step. To keep
    it instead saves about a tenth of a train step. All threads share one arena, so that what one frees, another
    can take. Linux only; the environment variable TINYDIFF_MALLOPT=0 turns it off. The process then holds on to the
    most that it ever needed.
    """
    if not sys.platform.startswith("linux") or os.environ.get("TINYDIFF_MALLOPT") == "0":
        return False
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # names and numbers of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all((mallopt(M_MMAP_THRESHOLD, 2**30), mallopt(M_TRIM_THRESHOLD, 2**31 - 1), mallopt(M_ARENA_MAX, 1)))


class _Blas:
    """BLAS at one thread while anyone works, restored after the last; nested and concurrent users are counted."""

    def __init__(self):
        self.lock = threading.Lock()
        self.users = 0
        self.controller: Any = None
        self.limit: Any = None

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self.lock:
            if self.users == 0:
                self.controller = self.controller or ThreadpoolController()  # finding the libraries takes a while
                _let_any_thread_set_limits()
                self.limit = self.controller.limit(limits=1, user_api="blas")
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                if self.users == 0:
                    _let_any_thread_set_limits()
                    self.limit.restore_original_limits()
                    _let_any_thread_set_limits()


def _let_any_thread_set_limits():
    """Undo what threadpoolctl 3.8 added: only the first thread to set a limit can, others' are dropped silently."""
    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)  # safe here: a lock guards the limit, and users are counted


_blas = _Blas()
one_blas_thread = _blas.one_thread


def run_parallel(tasks: Sequence[Callable[[], Any]], threads: int | None = None) -> list[Any]:
    """Run tasks on worker threads, BLAS at one thread each, and return their results in order.

    If a task raises, its error is raised here once the running tasks have ended; the rest are not started.

    Parameters
    ----------
    tasks : sequence of callables without arguments
    threads : int or None
        None takes one for each core.
    """
    threads = default_threads() if threads is None else threads
    if threads < 1:
        raise InputError(f"threads is {threads}, but at least 1 was expected.")
    keep_freed_memory()
    with one_blas_thread():
        if threads == 1 or len(tasks) <= 1:
            return [task() for task in tasks]
        with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
            # each in a copy of this context: they share what is derived from weights
            futures = [pool.submit(contextvars.copy_context().run, task) for task in tasks]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise


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
