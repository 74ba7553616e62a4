"""No orphans: a process made by fork ends when its parent does, also if the parent is killed or stopped halfway.

Two things see to it. A pipe ends when the last process that could write to it closes its end; but fork copies all
open ends, so each child first closes those that belong to its parent. And the kernel of Linux sends a signal when a
parent dies, if it was asked to: a child in the midst of a task need not finish it, as nobody waits for the answer.
"""

import contextlib
import ctypes
import functools
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

PR_SET_PDEATHSIG = 1  # of linux/prctl.h: which signal to send when the parent ends
OF_THE_PARENT = (signal.SIGINT, signal.SIGTERM)  # they reach a whole group; what is done then, the parent decides
SIGNALS = (*OF_THE_PARENT, getattr(signal, "SIGHUP", signal.SIGTERM))


class Ends:
    """The ends of pipes that this process holds to its children: what a new child must close."""

    of_parents: ClassVar["weakref.WeakSet[Any]"] = weakref.WeakSet()
    lock = threading.Lock()  # held from the making of a pipe to the fork: no other child inherits it unseen


@functools.cache
def prepare_to_end_with_parent() -> Callable[..., int] | None:
    """Return the C library's ``prctl``, where there is one; a child must not look for it, as fork copies no threads."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError):  # another C library
        return None


@contextlib.contextmanager
def without_signals() -> Iterator[None]:
    """Keep signals waiting inside, so that a child is not told to end before it knows what to do then."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent(parent: int, by_main_thread: bool) -> None:
    """Let this new child end when the process `parent` does, and by no signal that is meant for that one.

    The kernel also sends its signal when only the *thread* that forked has ended. The main thread ends with its
    process, so the signal may be SIGKILL, which acts at once; else it is one upon which the child looks for its parent,
    as soon as Python is back from what it computes.
    """
    for end in list(Ends.of_parents):
        end.close()
    Ends.of_parents.clear()
    Ends.lock = threading.Lock()  # the copy is held, by a thread that does not exist here

    def leave_if_alone(*_: Any) -> None:
        if os.getppid() != parent:
            os._exit(1)  # at once, in the midst of a task, and without a word on the screen

    for number in OF_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, leave_if_alone)
    prctl = prepare_to_end_with_parent()
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL if by_main_thread else signal.SIGHUP, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    leave_if_alone()  # it may have ended between the fork and the request
