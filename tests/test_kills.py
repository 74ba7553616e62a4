"""Whatever is killed leaves no process and no half of a file, and the next command sweeps what it was writing."""

import os
import subprocess
import sys

import pytest

from tools import kills

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")


@pytest.mark.slow
def test_ten_killed_commands_leave_nothing():
    assert kills.run(10, seed=1) == []


def test_what_is_left_would_be_seen(tmp_path):
    """A process with the mark, and files that are not whole."""
    sleeper = subprocess.Popen(["sleep", "1000"], env=os.environ | {kills.MARK: "here"})
    try:
        assert kills.until(lambda: list(kills.marked("here")) == [sleeper.pid], 60)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert not list(kills.marked("here"))
    for name in ("a.json", "a.png", "a.safetensors", "a.gif", "a.npz", ".a.png.0123abcd.tmp"):
        (tmp_path / name).write_bytes(b"{")
    assert len(kills.damaged(tmp_path)) == 5
