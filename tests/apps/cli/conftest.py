"""Two tiny models that the tests of the command line only read: of digits, and of portraits with captions."""

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
