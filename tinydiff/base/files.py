"""Files that are written whole or not at all, and folders that can be written to."""

import contextlib
import errno
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tinydiff.base.errors import DataError, InputError, TinydiffError

PIECE, MEMBERS = 2**16, 1000  # bytes that are unpacked at once, and the most members that a gzip file may have


def atomic_write(path: str | Path, write: Callable[[BinaryIO], Any], error: type[TinydiffError] = DataError) -> Path:
    """Write a file atomically: whatever happens, the old file or the whole new one is at `path`.

    The bytes go to a file beside `path`, are forced to the disk, and then take the name `path` in one step.
    If anything fails, Ctrl-C included, the file beside is removed. Missing folders are made.

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
    path = Path(path)
    aside = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"  # random: two writers never share it
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except TinydiffError:
        raise  # `write` itself has said what is wrong
    except OSError as refusal:
        raise error(f"{path} cannot be written: {_advice(refusal, path)}") from refusal
    finally:
        with contextlib.suppress(OSError):  # it has taken its new name, or was never made
            aside.unlink()
    return path


def read_at_most(path: str | Path, most: int) -> bytes:
    """Return what a file holds, without reading more than `most` bytes of one that is larger, or that has no end.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file (a pipe would wait for a writer).
    ValueError
        If it holds more than `most` bytes, or `path` cannot be a path.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "it is not a file")
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return data


def gunzip(data: bytes, most: int) -> bytes:
    """Return what gzip packed, without ever holding more than `most` bytes: a small file may unpack to a huge one.

    Raises
    ------
    ValueError
        If it is not a whole gzip file, its checksum is wrong, or it holds more than `most` bytes.
    """
    parts: list[bytes] = []
    size = members = 0
    try:
        while data:  # a gzip file may have several members, one after the other
            unpacker, members = zlib.decompressobj(16 + zlib.MAX_WBITS), members + 1
            if members > MEMBERS:
                raise ValueError(f"it has more than {MEMBERS:,} members")
            while not unpacker.eof:
                part = unpacker.decompress(data, PIECE)
                data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                if not part and not data and not unpacker.eof:
                    raise ValueError("it is not a whole gzip file (it ends too early)")
                size += len(part)
                if size > most:
                    raise ValueError(f"it unpacks to more than {most:,} bytes")
                parts.append(part)
            data = data.lstrip(b"\0")  # some writers fill the last block
    except zlib.error as error:
        raise ValueError(f"it is not a whole gzip file ({error})") from error
    return b"".join(parts)


def writable_folder(path: str | Path) -> Path:
    """Make a folder if it is missing, and check that it is writable before any work is done.

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
    return path


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
