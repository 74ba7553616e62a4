"""What commands say: in any encoding, without what a terminal obeys, and one sentence where something goes wrong."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from model_folders import make

from tinydiff.apps.cli import main
from tinydiff.apps.cli import main as command_line
from tinydiff.apps.cli.info import Info
from tinydiff.apps.cli.screen import one_line_warnings
from tinydiff.models import save

sample = ["--n", "2", "--steps", "2"]


def run(arguments, cwd, **variables):
    return subprocess.run(
        [sys.executable, "-m", "tinydiff", *arguments],
        cwd=cwd, env={**os.environ, **variables}, capture_output=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("variables", "folder"), [
    ({"PYTHONIOENCODING": "cp1252"}, "рисунки"),
    ({"PYTHONIOENCODING": "cp1251"}, "é"),
    ({"PYTHONIOENCODING": "ascii:strict"}, "é\u202e\x1b[2J"),
    ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b"\xff\xfe"),  # bytes that are no text
])  # fmt: skip
def test_a_screen_that_lacks_the_letters_of_a_folder_loses_nothing(tmp_path, variables, folder):
    save(tmp_path / "model", make())
    done = run(["sample", "--model", "model", *sample, "--out", folder], tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert b"Drew 2" in done.stdout
    assert (tmp_path / os.fsdecode(folder)).is_dir()


def test_what_a_terminal_obeys_is_escaped_in_a_refusal(tmp_path, capsys):
    assert main(["sample", "--model", "a\x1b[2J\nb\u202ec"]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert said.count("\n") == 1


def test_an_error_that_nobody_has_foreseen_is_a_sentence_that_asks_to_report_it(monkeypatch, capsys):
    def fails(self):
        raise LookupError("a\x1bb")

    monkeypatch.setattr(Info, "run", fails)
    monkeypatch.delenv("TINYDIFF_TRACEBACK", raising=False)
    assert main(["info"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tinydiff: This is a fault of tinydiff (LookupError: a\\x1bb). Please report it")
    assert said.count("\n") == 1
    monkeypatch.setenv("TINYDIFF_TRACEBACK", "1")
    assert main(["info"]) == 1
    assert 'raise LookupError("a' in capsys.readouterr().err


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("too large"), RecursionError("deep"), TypeError("x")])
def test_no_error_of_python_reaches_the_screen_raw(error, monkeypatch, capsys):
    def fails(self):
        raise error

    monkeypatch.setattr(Info, "run", fails)
    assert command_line(["info"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("tinydiff: ")
    assert said.count("\n") == 1


def test_a_warning_is_one_sentence_and_numpy_says_nothing():
    before = warnings.formatwarning
    with one_line_warnings():
        assert np.exp(np.float32(1e9)) == np.inf  # a warning would be an error here
        assert np.isnan(np.float32(0) / np.float32(0))
        shown = warnings.formatwarning("The text is\x1b too long.", UserWarning, "tokenizer.py", 180)
        assert shown == "tinydiff: The text is\\x1b too long.\n"
        again = warnings.formatwarning("The text is\x1b too long.", UserWarning, "another_place.py", 7)
        assert again == ""  # two networks that read one prompt say the same
        assert "shorter" in warnings.formatwarning("Another, shorter.", UserWarning, "tokenizer.py", 180)
    assert warnings.formatwarning is before


def test_a_model_that_diverged_is_one_sentence(tmp_path, capsys):
    model = make()
    model.network.theta[:] *= 1e30
    save(tmp_path / "model", model)
    assert main(["sample", "--model", str(tmp_path / "model"), *sample, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "The network's output is not finite in the step to t = " in said
    assert said.count("\n") == 1
