"""`--help` and `--version`: every option of every command says what it is, and the version can be asked for."""

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
    """Return the options of a help text that are followed by nothing but their default."""
    entries, option = {}, ""
    for line in (line.strip("│| ") for line in text.splitlines()):
        if line.startswith("-"):
            option = line.split()[0].rstrip(",")
            line = line.partition("  ")[2]  # what stands beside the option, if it is short
            entries[option] = line
        elif option and line:
            entries[option] += f" {line}"
        if not line.strip("─╭╮╰╯│ "):
            option = option if line == "" else ""
    return [name for name, said in entries.items() if not said.partition("(default:")[0].strip(" ─╭╮╰╯")]


@pytest.mark.parametrize(
    "arguments",
    [*([name] for name in COMMANDS if name != "train"), *(["train", "--objective", name] for name in OBJECTIVES)],
    ids=" ".join,
)
def test_every_option_says_what_it_is(arguments, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = shown(capsys, [*arguments, "--help"])
    assert "--help" in text
    assert without_help(text) == []


def test_an_option_without_help_is_noticed():
    assert without_help("│ --a INT   (default: 3) │\n│ --b INT   What it is. (default: 3) │\n│ --c   │") == [
        "--a",
        "--c",
    ]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_can_be_asked_for(flag, capsys):
    assert main([flag]) == 0
    assert capsys.readouterr().out == f"tinydiff {tinydiff.__version__}\n"
