"""Files that are read or unpacked up to a limit, whatever they claim to hold."""

import errno
import os
import zlib
from pathlib import Path

PIECE, MEMBERS = 2**16, 1000  # bytes that are unpacked at once, and the most members that a gzip file may have


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
