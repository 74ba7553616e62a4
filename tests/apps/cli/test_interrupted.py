"""Ctrl-C while Python imports, and while it tidies up: the process ends at once, without a traceback."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals differ")

# Runs `tinydiff --version`, as `python -m tinydiff` does, and sends SIGINT to itself at an event, counted from the
# first import of a command.
INTERRUPTED = """
import atexit, os, runpy, signal, sys

moment, begun, events = sys.argv.pop(1), False, 0

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

def hear(event, args):
    global begun, events
    begun = begun or (event == "import" and args[0] == "tinydiff.apps")
    events += begun and event == "import"
    if moment.isdecimal() and events == int(moment):
        events += 1
        interrupt()

if moment == "end":
    atexit.register(interrupt)
sys.addaudithook(hear)
sys.argv = ["tinydiff", "--version"]
runpy.run_module("tinydiff", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("moment", ["1", "100", "900", "end"])
def test_ctrl_c_at_any_moment_shows_nothing(moment):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, moment], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")
    assert moment == "end" or not done.stdout


@pytest.mark.slow
def test_ctrl_c_that_was_switched_off_stays_off():
    """As a shell does for what runs in the background."""
    line = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    done = subprocess.run([sys.executable, "-c", line + INTERRUPTED, "200"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tinydiff ")


def test_the_names_of_the_package_are_imported_when_they_are_asked_for():
    ask = """
import sys, tinydiff
assert "numpy" not in sys.modules
assert {"load", "plain", "__version__"} <= set(dir(tinydiff))
assert not hasattr(tinydiff, "nope") and not hasattr(tinydiff, "_nope")
assert tinydiff.models.load is tinydiff.load
from tinydiff import *
assert sample is tinydiff.sample and plain is tinydiff.base.plain
"""
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
