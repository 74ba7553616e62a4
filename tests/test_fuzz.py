"""A twentieth of `make fuzz`: strange and damaged input ends with a sentence, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_a_hundred_strange_commands_end_as_they_should(tmp_path):
    """In one process, which a parent watches; the cases are always the same, so there is no false alarm by chance."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--cases", "100", "--seed", "1"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 cases of seed 1" in done.stdout
