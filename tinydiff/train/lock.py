"""A lock on a folder: two runs in one folder would write over each other's checkpoints."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinydiff.base import CheckpointError, InputError, writable_folder

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]


@contextmanager
def only_run_in(folder: Path | None) -> Iterator[None]:
    """Hold the lock of a folder, which the system releases when the process ends, however it ends.

    The lock belongs to this process: forked ones do not inherit it, and a run of the same process may enter.

    Raises
    ------
    InputError
        If another process holds it.
    """
    if folder is None or fcntl is None:
        yield
        return
    path = writable_folder(folder) / ".lock"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise InputError(
                f"Another process is training in {folder}: wait until it has ended, or take another folder."
            ) from error
        except OSError:  # a file system without locks: then there is none
            pass
        yield  # the file stays: to remove it would let two others lock two files of one name
    finally:
        os.close(file)
