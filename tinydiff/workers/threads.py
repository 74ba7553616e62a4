"""Threads that work in parallel, and the memory that they share.

NumPy releases Python's global lock inside its operations, and BLAS is limited to one thread in each worker. Where
operations are short and the lock is the limit, processes are used instead (`tinydiff.workers.processes`).
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

from threadpoolctl import OpenBLASController, ThreadpoolController

from tinydiff.base import InputError, check_count

MOST_THREADS = 1024  # that a person may ask for: no machine gains by more


def default_threads() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def keep_freed_memory() -> bool:
    """Ask the C library, once, to keep the memory of large arrays that are freed; return whether it does.

    By itself, glibc returns the memory of every large array to the kernel and gets it back zeroed, page by page, at
    each step. Keeping it instead saves about a tenth of a train step. All threads share one arena, so that memory
    which one frees can be used by another. The process then keeps as much memory as it needed at its peak. Linux
    only; the environment variable TINYDIFF_MALLOPT=0 turns it off.
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
    """Limits BLAS to one thread while it has users, nested or concurrent, and lifts the limit after the last."""

    def __init__(self):
        self.lock = threading.Lock()
        self.users = 0
        self.controller: Any = None
        self.limit: Any = None

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Hold BLAS at one thread inside; after the last user it has as many as before."""
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
    """Undo a rule of threadpoolctl 3.8: once a thread has set a limit, those of other threads are silently ignored."""
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
    check_count("threads", threads)
    if not isinstance(tasks, Sequence) or not all(map(callable, tasks)):
        raise InputError("tasks is no list of functions, but one that take no arguments was expected.")
    keep_freed_memory()
    with one_blas_thread():
        if threads == 1 or len(tasks) <= 1:
            return [task() for task in tasks]
        with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
            # each in a copy of this context, in which all share what is derived from the weights
            futures = [pool.submit(contextvars.copy_context().run, task) for task in tasks]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise
