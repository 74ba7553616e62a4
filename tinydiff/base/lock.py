"""Locks on folders and files: the system releases them when a process ends, however it ends."""

import contextlib
import os
import weakref
from pathlib import Path
from typing import Any

from tinydiff.base.errors import CheckpointError, InputError
from tinydiff.base.files import writable_folder

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

FALLBACK = ".lock"  # a file to lock, where the system locks no folders, as NFS does not


class FolderInUse(InputError):
    """Somebody else holds the lock on a folder."""


class FolderLock:
    """A lock on a folder, held in a ``with`` statement: two writers in one folder would mix their files.

    Who holds it may enter again; any other lock on the folder is refused, also one of the same process, such as that of
    another thread. Where there are no locks (Windows, some network file systems) everybody may enter, and `is_locked`
    is false.

    Parameters
    ----------
    folder : str, Path or None
        Is made where it is missing; None locks nothing.
    doing : str
        What is done there, for the sentence that refuses another.

    Examples
    --------
    >>> with FolderLock("runs/mine"):   # doctest: +SKIP
    ...     train()
    """

    def __init__(self, folder: str | Path | None, doing: str = "training in"):
        self.folder, self.doing = None if folder is None else Path(folder), doing
        self.depth = 0
        self.is_locked = False
        self._files: list[int] = []
        self._found: Any = None  # what the system says of the folder

    def __enter__(self) -> "FolderLock":
        if self.depth == 0 and self.folder is not None:
            self._acquire(writable_folder(self.folder))
        self.depth += 1
        return self

    def __exit__(self, *error: Any) -> None:
        self.depth -= 1
        if self.depth == 0:
            self._release(unlock=True)

    def check(self) -> None:
        """Raise `CheckpointError` if, since the lock was taken, the folder was removed or another took its place."""
        if self._found is None or self.folder is None:
            return
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.folder), self._found):
                return
        raise CheckpointError(
            f"{self.folder} was removed, renamed or replaced by another process, so nothing more is written there: "
            "what was to follow would be a part without its beginning. Start again, in a folder that stays."
        )

    def _acquire(self, folder):
        """Lock the folder itself or, where the system does not lock folders, a file in it."""
        try:
            while True:
                for path, flags in ((folder, os.O_RDONLY), (folder / FALLBACK, os.O_RDWR | os.O_CREAT)):
                    self.is_locked = fcntl is not None and self._lock(path, flags)
                    if self.is_locked:
                        break
                self._found = os.stat(folder)
                if not self.is_locked or path != folder or os.path.samestat(os.fstat(self._files[0]), self._found):
                    break
                self._release()  # the folder was replaced before it was locked
        except BaseException:
            self._release()
            raise
        _held.add(self)

    def _lock(self, path, flags):
        """Lock a file or folder; return whether the system can."""
        try:
            self._files.append(os.open(path, flags))
            fcntl.flock(self._files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(
                f"{self.folder} is in use: another process or thread is {self.doing} it. Wait until it has ended, or "
                "take another folder."
            ) from error
        except OSError:
            return False
        return True

    def _release(self, unlock=False):
        """Close what was locked. The lock is gone when no process has it open, or as soon as its owner unlocks it."""
        for file in self._files:
            if unlock and self.is_locked:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)
        self._files, self._found, self.is_locked = [], None, False
        _held.discard(self)


_held: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


def _leave_to_parent():
    """In a process made by fork: close the copies, so that no worker holds the lock of a parent that was killed."""
    for lock in list(_held):
        lock._release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
