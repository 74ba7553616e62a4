"""A file is written whole or not at all, and a refusal says what to do."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from tinydiff.base import (
    CheckpointError,
    DataError,
    FolderLock,
    InputError,
    atomic_write,
    files,
    folder_to_fill,
    sweep,
    writable_folder,
)


def write_hello(file):
    file.write(b"hello")


def refuse_with(code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_folder_in_which_nothing_came_to_be_is_taken_away(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for folder in (tmp_path / "new" / "folder", mine):
        with pytest.raises(ZeroDivisionError), folder_to_fill(folder):
            1 / folder.is_file()
    assert os.listdir(tmp_path) == ["mine"]
    with pytest.raises(ZeroDivisionError), folder_to_fill(tmp_path / "new"):
        1 / (tmp_path / "new" / "file").write_bytes(b"")
    assert os.listdir(tmp_path / "new") == ["file"]
    with pytest.raises(InputError, match=r"a part of .* is a file"), folder_to_fill(tmp_path / "new" / "file" / "a"):
        pass


def test_writes_the_bytes_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    assert atomic_write(path, write_hello) == path
    assert path.read_bytes() == b"hello"
    assert os.listdir(path.parent) == ["file.bin"]


def test_accepts_a_string_and_replaces_an_old_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"a longer old content")
    atomic_write(str(path), write_hello)
    assert path.read_bytes() == b"hello"


def test_is_readable_by_whom_a_plain_open_would_allow(tmp_path):
    atomic_write(tmp_path / "atomic", write_hello)
    (tmp_path / "plain").write_bytes(b"hello")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [OSError("no"), ValueError("no"), KeyboardInterrupt()])
def test_a_failure_half_way_leaves_the_old_file_and_nothing_beside(tmp_path, failure):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail_half_way(file):
        file.write(b"half of the new")
        assert len(os.listdir(tmp_path)) == 2
        raise failure

    with pytest.raises((DataError, ValueError, KeyboardInterrupt)):
        atomic_write(path, fail_half_way)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_the_content_is_on_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    calls = []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(descriptor):
        calls.append(("fsync", os.fstat(descriptor).st_size, path.exists()))
        fsync(descriptor)

    def watch_replace(source, target):
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    atomic_write(path, write_hello)
    assert calls == [("fsync", 5, False), "replace"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EDQUOT, "the disk is full. Free some space"),
        (errno.EROFS, "is not writable. Choose another folder"),
        (errno.EACCES, "is not writable. Choose another folder"),
        (errno.EIO, "Choose another path"),
    ],
)
@pytest.mark.parametrize("error", [DataError, CheckpointError])
def test_a_refusal_names_the_file_and_the_way_out(tmp_path, monkeypatch, code, advice, error):
    path = tmp_path / "file.bin"
    monkeypatch.setattr(os, "fsync", refuse_with(code))
    with pytest.raises(error, match=advice) as caught:
        atomic_write(path, write_hello, error=error)
    assert str(path) in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is a device of Linux")
def test_a_full_disk_is_one_sentence(tmp_path):
    def write_to_full_disk(_):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"hello")

    with pytest.raises(DataError, match="disk is full"):
        atomic_write(tmp_path / "file.bin", write_to_full_disk)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_one_sentence(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"locked is not writable"):
        atomic_write(folder / "file.bin", write_hello)


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(DataError, match=r"it is a folder\. Give the name of a file inside it"):
        atomic_write(tmp_path, write_hello)
    assert os.listdir(tmp_path) == []


def test_an_empty_name_is_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="it is a folder"):
        atomic_write("", write_hello)


@pytest.mark.parametrize("inside", ["file.bin", "folder/file.bin"])
def test_a_file_in_the_place_of_a_folder(tmp_path, inside):
    (tmp_path / "taken").write_bytes(b"old")
    with pytest.raises(DataError, match="is a file, not a folder"):
        atomic_write(tmp_path / "taken" / inside, write_hello)
    assert (tmp_path / "taken").read_bytes() == b"old"


def test_an_error_of_the_writer_is_passed_on_as_it_is(tmp_path):
    def refuse(_):
        raise CheckpointError("theta is missing.")

    with pytest.raises(CheckpointError, match=r"^theta is missing\.$"):
        atomic_write(tmp_path / "file.bin", refuse, error=DataError)


KILLED = """
import os, signal, sys
from tinydiff.base import atomic_write
def write(file):
    file.write(b"half")
    print("writing", flush=True)
    {then}
atomic_write(sys.argv[1], write)
"""


def start(path, then):
    command = [sys.executable, "-c", KILLED.format(then=then), str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    return process


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
@pytest.mark.parametrize("next_use", [sweep, writable_folder, lambda folder: atomic_write(folder / "b", write_hello)])
def test_what_a_killed_writer_left_is_swept_by_the_next_and_nothing_else(tmp_path, next_use):
    mine = [".file.tmp", "a.12345678.tmp", ".file.bin.1234567.tmp", "file.tmp"]
    for name in mine:
        (tmp_path / name).write_bytes(b"mine")
    with start(tmp_path / "living", "sys.stdin.read()") as living:
        with start(tmp_path / "dead", "os.kill(os.getpid(), signal.SIGKILL)"):
            pass
        left = set(os.listdir(tmp_path)) - set(mine)
        assert sorted(name.split(".")[1] for name in left) == ["dead", "living"]
        next_use(tmp_path)
        names = set(os.listdir(tmp_path)) - set(mine) - {"b"}
        assert [name.split(".")[1] for name in names] == ["living"]
        living.stdin.close()
    assert (tmp_path / "living").read_bytes() == b"half"
    assert not [name for name in os.listdir(tmp_path) if files.TEMPORARY.fullmatch(name)]
    assert set(mine) <= set(os.listdir(tmp_path))


def test_a_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    locked, calls = files._locked, []

    def swept_once(file):
        if not calls:
            os.unlink(file.name)
        calls.append(file.name)
        return locked(file)

    monkeypatch.setattr(files, "_locked", swept_once)
    atomic_write(tmp_path / "file", write_hello)
    assert len(set(calls)) == 2
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not files.HAS_LOCKS, reason="there are no such locks on Windows")
def test_a_folder_that_cannot_be_locked_is_locked_by_a_file_or_not_at_all(tmp_path, monkeypatch):
    flock = files.fcntl.flock

    def refuse_folders(file, how):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", refuse_folders)
    with FolderLock(tmp_path) as lock:
        assert lock.is_locked
        with lock, pytest.raises(InputError, match="is in use"), FolderLock(tmp_path):
            pass
    monkeypatch.setattr(files.fcntl, "flock", refuse_with(errno.ENOLCK))
    with FolderLock(tmp_path) as first, FolderLock(tmp_path) as second:
        assert not first.is_locked
        assert not second.is_locked
    atomic_write(tmp_path / "file", write_hello)
    (tmp_path / ".file.12345678.tmp").write_bytes(b"perhaps of a living writer")
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".file.12345678.tmp", ".lock", "file"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_made_by_fork_does_not_hold_the_lock_of_its_parent(tmp_path):
    read, write = os.pipe()
    with FolderLock(tmp_path):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent closes its end
            os._exit(0)
        with pytest.raises(InputError, match="is in use"), FolderLock(tmp_path):
            pass
    with FolderLock(tmp_path):
        pass
    os.close(write)
    os.waitpid(child, 0)
    os.close(read)
