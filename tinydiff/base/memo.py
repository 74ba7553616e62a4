"""Arrays that are derived from weights, computed once while the weights do not change.

A fast convolution works on transformed weights. The shards of one train step, and the steps of one sampling chain,
all use the same weights, so one transform is enough for all of them. An array does not show when its values change;
but the caller knows where they do *not* change, and says so by `weights_stand_still`. What is computed inside is
forgotten at its end, so nothing can be out of date.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Memo:
    """The arrays computed so far inside `weights_stand_still`."""

    def __init__(self):
        self.lock = threading.Lock()
        self.made: dict[tuple, tuple[threading.Lock, list]] = {}

    def get(self, make: Callable[[Any], Any], w: Any) -> Any:
        """Return ``make(w)``, which is computed only at the first call."""
        with self.lock:
            # w is kept too: if it were freed, another array could get the same id
            lock, found = self.made.setdefault((id(w), make), (threading.Lock(), [w]))
        with lock:  # a second thread waits for the first instead of computing the same again
            if len(found) == 1:
                found.append(make(w))
        return found[1]


_memo: ContextVar[Memo | None] = ContextVar("memo", default=None)


@contextmanager
def weights_stand_still(memo: Memo | None = None) -> Iterator[None]:
    """Promise that no weights change inside: `derived` then computes everything once.

    Threads that `run_parallel` starts inside share the results; other threads do not. Inside another such block this
    one does nothing.

    Parameters
    ----------
    memo : Memo or None
        The memo of an earlier block, if the weights have not changed since; None takes a new one.

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
