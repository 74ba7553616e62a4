"""Files that are written whole or not at all, and folders that can be written to."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from tinydiff.base.errors import DataError, InputError, TinydiffError

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)  # the name of a file that is being written
_swept: set[Path] = set()  # the folders in which this process has looked for what others left


def atomic_write(path: str | Path, write: Callable[[BinaryIO], Any], error: type[TinydiffError] = DataError) -> Path:
    """Write a file atomically: whatever happens, the old file or the whole new one is at `path`.

    The bytes go to a file beside `path`, are forced to the disk, and then take the name `path` in one step.
    If anything fails, Ctrl-C included, the file beside is removed; what a killed process left is removed by the next
    that writes into the folder (`sweep`). Missing folders are made.

    Parameters
    ----------
    path : str or Path
        The file to make or to replace.
    write : callable
        ``write(file)`` writes the content to a file opened for binary writing.
    error : TinydiffError subclass
        What is raised when the system refuses: `DataError`, or `CheckpointError` for weights.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    error
        If the folder is not writable, the disk is full, or `path` is a folder; the message says what to do.

    Examples
    --------
    >>> atomic_write("out/hello.txt", lambda file: file.write(b"hello"))  # doctest: +SKIP
    """
    path, aside = Path(path), None
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.parent not in _swept:
            _swept.add(path.parent)
            sweep(path.parent)
        while aside is None:
            aside = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"  # random: two writers never share it
            with open(aside, "xb") as file:
                if not _locked(file):
                    aside = None  # somebody swept it away before it was locked
                    continue
                write(file)
                file.flush()
                os.fsync(file.fileno())
                if HAS_LOCKS:  # Windows does not rename an open file
                    os.replace(aside, path)
        if not HAS_LOCKS:
            os.replace(aside, path)
    except TinydiffError:
        raise  # `write` itself has said what is wrong
    except OSError as refusal:
        raise error(f"{path} cannot be written: {_advice(refusal, path)}") from refusal
    finally:
        if aside is not None:
            with contextlib.suppress(OSError):  # it has taken its new name, or was never made
                aside.unlink()
    return path


def sweep(folder: str | Path) -> None:
    """Remove the temporary files in a folder whose writers were killed; those of living writers stay.

    A writer holds a lock on its file, which the system releases when it ends. Where there are no locks, as on some
    network file systems, nothing is removed.
    """
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unless_locked(entry.path)


def _locked(file):
    """Lock a new file; return false if it is gone already. A file system without locks is no reason not to write."""
    if not HAS_LOCKS:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # somebody is about to sweep it away
        return False
    except OSError:
        return True
    return os.path.exists(file.name)


def _remove_unless_locked(path):
    with contextlib.suppress(OSError):
        if not HAS_LOCKS:
            os.unlink(path)  # which Windows refuses while the file is open
            return
        with open(path, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)


def writable_folder(path: str | Path) -> Path:
    """Make a folder if it is missing, and check that it is writable before any work is done; `sweep` it.

    Raises
    ------
    InputError
        If it is not writable; the message says why, and what to do.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except ValueError as refusal:
        raise InputError(f"{str(path)!r} is no path ({refusal}).") from refusal
    except OSError as refusal:
        raise InputError(f"{path} cannot be written: {_advice(refusal, path / 'a file')}") from refusal
    sweep(path)
    return path


@contextlib.contextmanager
def folder_to_fill(path: str | Path) -> Iterator[Path]:
    """Make a writable folder; if the block fails before it has written anything, what was made is taken away again."""
    path, made = Path(path), []
    folder = path
    while not os.path.exists(folder):
        made.append(folder)
        folder = folder.parent
    try:
        yield writable_folder(path)
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError, ValueError):  # something is in it: it stays
                folder.rmdir()
        raise


def _advice(refusal: OSError, path: Path) -> str:
    if refusal.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full. Free some space, or choose a folder on another disk than {path.parent}."
    if refusal.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"the folder {path.parent} is not writable. Choose another folder, or change its permissions."
    if refusal.errno == errno.EISDIR:
        return "it is a folder. Give the name of a file inside it."
    if refusal.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"a part of {path.parent} is a file, not a folder. Choose another folder."
    return f"{refusal.strerror or refusal}. Choose another path."
