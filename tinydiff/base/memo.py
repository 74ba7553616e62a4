"""What is derived from weights, made once while the weights stand still.

A fast convolution works on transformed weights. The shards of one train step, and the steps of one sampling chain,
all use the same weights, so one transform is enough for all of them. When weights change cannot be seen from an
array; but it is known where they do *not* change: within one `weights_stand_still`. What is made there is forgotten
at its end, so nothing can go stale.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Memo:
    """What was made so far, for `weights_stand_still`."""

    def __init__(self):
        self.lock = threading.Lock()
        self.made: dict[tuple, tuple[threading.Lock, list]] = {}

    def get(self, make: Callable[[Any], Any], w: Any) -> Any:
        """Return ``make(w)``, made at the first call."""
        with self.lock:
            # w is kept too: were it freed, another array could take its place in memory, and its id
            lock, found = self.made.setdefault((id(w), make), (threading.Lock(), [w]))
        with lock:  # the second thread waits for the first instead of making the same again
            if len(found) == 1:
                found.append(make(w))
        return found[1]


_memo: ContextVar[Memo | None] = ContextVar("memo", default=None)


@contextmanager
def weights_stand_still(memo: Memo | None = None) -> Iterator[None]:
    """Promise that no weights change inside: `derived` then computes everything once.

    Threads that `run_parallel` starts inside share what was made; others do not. Within another such block this
    one does nothing.

    Parameters
    ----------
    memo : Memo or None
        One that was in use before, if the weights have stood still since then; None takes a new one.

    Examples
    --------
    >>> with weights_stand_still():
    ...     pass  # every step of a sampling chain
    """
    if _memo.get() is not None:
        yield
        return
    token = _memo.set(Memo() if memo is None else memo)
    try:
        yield
    finally:
        _memo.reset(token)


def derived(make: Callable[[Any], Any], w: Any) -> Any:
    """Return ``make(w)``, remembered within `weights_stand_still`.

    Parameters
    ----------
    make : callable
        A function of one array, defined at the top of a module: it is part of the key.
    w : array
    """
    memo = _memo.get()
    return make(w) if memo is None else memo.get(make, w)
