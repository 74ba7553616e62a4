"""The bar of `sample`, `edit` and `evaluate`: on a terminal only, and gone when they end, however they end."""

import io
import os
import signal
import sys

import pytest
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.base import DataError
from tinydiff.models import DiffusionModel


class Terminal(io.StringIO):
    def isatty(self):
        return True


def fail_halfway(error):
    walk = DiffusionModel.walk

    def chain(*arguments):
        for state in walk(*arguments):
            yield state
            error()

    return chain


@pytest.fixture(params=["sample", "edit"])
def command(request, trained, tmp_path):
    picture = tmp_path / "in.png"
    Image.new("L", (8, 8), 130).save(picture)
    more = ["--image", str(picture)] if request.param == "edit" else []
    return [request.param, "--model", str(trained), *more, "--n", "1", "--steps", "4", "--out", str(tmp_path / "out")]


def test_a_bar_is_shown_on_a_terminal_and_none_in_a_pipe(command, monkeypatch):
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(command) == 0
        assert ("?step/s" in stream.getvalue()) == shown
        assert stream.getvalue().rpartition("\r")[2] == ""


def damaged():
    raise DataError("The disk is gone.")


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "status", "said"), [(damaged, 1, "tinydiff: The disk is gone.\n"), (interrupted, 130, "")]
)
def test_the_bar_is_taken_away_before_an_error_is_told(command, monkeypatch, error, status, said, tmp_path):
    monkeypatch.setattr(DiffusionModel, "walk", fail_halfway(error))
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert main(command) == status
    text = sys.stderr.getvalue()
    assert "?step/s" in text
    assert text.rpartition("\r")[2] == said
    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_sigterm_leaves_no_half_written_file(command, monkeypatch, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 143
    assert list((tmp_path / "out").rglob("*")) == []
    assert signal.getsignal(signal.SIGTERM) is before
