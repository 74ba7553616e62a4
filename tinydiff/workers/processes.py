"""Worker processes: they do the work of threads without Python's global lock (the GIL).

Threads of one process run Python one at a time; only the inside of NumPy's operations runs in parallel. In a small
network those operations are short, and the threads mostly wait for each other. Processes do not. They are made by fork,
so they have a copy of everything that this process held at that moment, functions and data included. What changes
later is sent to them: arguments and results through a pipe, vectors through shared memory.

None outlives the process that made it, however that one ends: see `tinydiff.workers.orphans`.
"""

import itertools
import mmap
import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.util import Finalize
from typing import Any

import numpy as np

from tinydiff.base import Array, Memo, TinydiffError, check_count, checked, checks_arguments, weights_stand_still
from tinydiff.workers.orphans import Ends, end_with_parent, prepare_to_end_with_parent, without_signals
from tinydiff.workers.threads import MOST_THREADS, keep_freed_memory, one_blas_thread

SECONDS_TO_LEAVE = 1  # for a process that was told to end; then it is killed
LARGE = 16 * 2**20  # weights


def can_fork() -> bool:
    """Return whether worker processes can be made here: only on Linux. The BLAS of macOS does not survive a fork."""
    return sys.platform.startswith("linux")


@checked()
def processes_pay(theta: Array, asked: bool | None = None) -> bool:
    """Return whether processes, not threads, should do the work with these weights: as `asked`, else if they are few.

    Processes are faster, but each transforms the weights for itself, and keeps the result (see `derived`). From 16
    million weights on, operations are so long that threads are as fast, and memory is what is short.
    """
    return can_fork() and (theta.size < LARGE if asked is None else asked)


@checked()
def shared_zeros(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros in memory that this process shares with all that it forks later."""
    count = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(1, count) * np.dtype(dtype).itemsize), dtype, count).reshape(shape)


def share_weights(network: Any) -> None:
    """Move a network's weights into memory that this process shares with all that it forks later."""
    network.move_to(shared_zeros(network.theta.shape, network.theta.dtype))


@checks_arguments("__init__")
class Crew:
    """Processes that all call one function; this process is the first of them.

    The others are forked at the first call. They see the function and its data as they were then. Later changes reach
    them only through arguments and through arrays from `shared_zeros`.

    Parameters
    ----------
    f : callable
        Its arguments and results are pickled.
    members : int
        1 forks nothing, and so works everywhere.
    fixed_weights : bool
        True if the weights do not change before `close`; False if they may change between two calls.

    Examples
    --------
    >>> with Crew(lambda x: x * x, members=2) as crew:
    ...     crew([(1,), (2,), (3,)])
    [1, 4, 9]
    """

    def __init__(self, f: Callable[..., Any], members: int, fixed_weights: bool = False):
        check_count("members", members, most=MOST_THREADS)
        self.f, self.members = f, members
        self.memo = Memo() if fixed_weights else None
        self.others: list[tuple[Any, Any]] = []  # (process, our end of its pipe)
        self._stop: Any = None

    def __call__(self, tasks: Sequence[tuple]) -> list[Any]:
        """Return ``f(*task)`` for each task, in order; member i takes tasks i, i + members, ...

        An error of any task is raised here, after all have ended.
        """
        if not self.others and self.members > 1:
            self._fork()
        with one_blas_thread():
            try:
                for i, (_, pipe) in enumerate(self.others, 1):
                    pipe.send(tasks[i :: self.members])
                answers = [_answer(self.f, tasks[:: self.members], self.memo)]
                answers += [pipe.recv() for _, pipe in self.others]
            except (EOFError, ConnectionError) as error:
                self._kill()
                raise TinydiffError(
                    "A worker process ended before its work was done; it may have been killed for lack of memory. "
                    "Try a smaller micro_batch, or threads=1, which needs no other process."
                ) from error
            except BaseException:  # such as a second Ctrl-C: nobody waits for the answers, and none must be left over
                self._kill()
                raise
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [result for row in itertools.zip_longest(*answers) for result in row][: len(tasks)]

    def close(self) -> None:
        """End the other processes. A later call forks new ones."""
        others, stop = self.others, self._stop
        self.others, self._stop = [], None
        if stop is not None:
            stop()  # once; at the end of this process it has been called already
        else:
            _end(others)

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _kill(self):
        """End the other processes at once, in the midst of what they do."""
        for process, _ in self.others:
            process.kill()
        self.close()

    def _fork(self):
        context = multiprocessing.get_context("fork")
        keep_freed_memory()
        prepare_to_end_with_parent()
        by_main_thread = threading.current_thread() is threading.main_thread()
        try:
            with one_blas_thread(), warnings.catch_warnings():  # so that the others begin with one BLAS thread
                # Python 3.12: other threads are not copied; none is needed
                warnings.simplefilter("ignore", DeprecationWarning)
                for _ in range(self.members - 1):
                    with without_signals(), Ends.lock:
                        ours, theirs = context.Pipe()
                        Ends.of_parents.add(ours)
                        arguments = (self.f, self.memo, theirs, os.getpid(), by_main_thread)
                        process = context.Process(target=_serve, args=arguments, daemon=True)
                        process.start()
                        self.others.append((process, ours))
                        theirs.close()
        except OSError as error:
            self._kill()
            raise TinydiffError(
                f"A worker process cannot be made ({error.strerror}): end other programs, or use threads=1, which "
                "needs no other process."
            ) from error
        except BaseException:
            self._kill()
            raise
        # when nobody holds the crew any more, and, unlike `weakref.finalize`, before `multiprocessing` itself waits for
        # the processes at the end of this one
        self._stop = Finalize(self, _end, (list(self.others),), exitpriority=1)


def _answer(f, tasks, memo):
    """Return the results of the tasks, or the error of the first that fails."""
    try:
        with weights_stand_still(memo):
            return [f(*task) for task in tasks]
    except Exception as error:
        return error


def _serve(f, memo, pipe, parent, by_main_thread):
    """Answer the parent's calls, until it closes its end of the pipe or is gone."""
    end_with_parent(parent, by_main_thread)
    while True:
        try:
            tasks = pipe.recv()
            pipe.send(_answer(f, tasks, memo))
        except (EOFError, OSError):  # nobody is at the other end
            return


def _end(others):
    """Close the pipes, upon which the processes end; one that does not is killed."""
    for _, pipe in others:
        pipe.close()
    for process, _ in others:
        process.join(timeout=SECONDS_TO_LEAVE)
        if process.is_alive():
            process.kill()
            process.join()
