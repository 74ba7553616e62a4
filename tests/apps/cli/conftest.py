"""Two tiny models that the tests of the command line only read: of digits, and of portraits with captions."""

import subprocess
import sys

import pytest
from commands import TINY_TEXT, train

from tinydiff.apps.cli import main


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert train(folder) == 0
    return folder


@pytest.fixture(scope="session")
def portraits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "avatars"
    assert main(["train", *TINY_TEXT, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run_apart(tmp_path):
    """Return a function that runs a command in a process of its own, with streams of one's choice."""

    def run(arguments, **streams):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        return subprocess.run([sys.executable, "-m", "tinydiff", *arguments], cwd=tmp_path, text=True, **streams)

    return run
