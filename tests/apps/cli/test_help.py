"""`--help` and `--version`: every option of every command says what it is, and the version can be asked for."""

import re

import pytest

import tinydiff
from tinydiff.apps.cli import main
from tinydiff.apps.cli.main import COMMANDS
from tinydiff.apps.cli.train import OBJECTIVES


def shown(capsys, arguments):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code in (None, 0)
    return capsys.readouterr().out


def without_help(text):
    """Return the options of a help text of which it says no two words, but perhaps a default."""
    said, option = {}, None
    for line in (line.strip("│| ") for line in text.splitlines()):
        if re.match("[─╭╰+-]{3}", line):  # a frame
            option = None
        elif match := re.match(r"--?[A-Za-z][\w.-]*", line):
            option = match[0]
            said[option] = line
        elif option is not None:
            said[option] += f" {line}"
    return [name for name, words in said.items() if not re.search("[A-Za-z]+ [a-z]+", words.partition("(default:")[0])]


@pytest.mark.parametrize(
    "arguments",
    [*([name] for name in COMMANDS if name != "train"), *(["train", "--objective", name] for name in OBJECTIVES)],
    ids=" ".join,
)
def test_every_option_says_what_it_is(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")  # one column of options
    text = shown(capsys, [*arguments, "--help"])
    assert "--help" in text
    assert without_help(text) == []


def test_an_option_without_help_is_noticed():
    lines = ["╭─ options ─╮", "│ --a INT   (default: 3) │", "│ --b.c INT", "│    What it is. (default: 3) │", "│ --d │"]
    assert without_help("\n".join(lines)) == ["--a", "--d"]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_can_be_asked_for(flag, capsys):
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"tinydiff {tinydiff.__version__}\n"
