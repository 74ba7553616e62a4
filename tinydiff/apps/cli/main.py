"""The command line: ``tinydiff demo | train | sample | edit | evaluate | serve | info``.

Each command is a frozen dataclass; its fields are the options. Errors are one sentence on stderr; the exit status
is 2 for a bad argument, 1 for everything else that fails, and 130 after Ctrl-C.
"""

import contextlib
import dataclasses
import io
import os
import sys
import typing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro

import tinydiff
from tinydiff.apps.cli.demo import Demo
from tinydiff.apps.cli.edit import Edit
from tinydiff.apps.cli.evaluate import Evaluate
from tinydiff.apps.cli.info import Info
from tinydiff.apps.cli.sample import Sample
from tinydiff.apps.cli.serve import Serve
from tinydiff.apps.cli.sizes import SIZES
from tinydiff.apps.cli.train import Train
from tinydiff.base import InputError, TinydiffError, from_table, read_table

RECIPES = Path(__file__).parents[2] / "recipes"
COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "train": Train,
    "sample": Sample,
    "evaluate": Evaluate,
    "edit": Edit,
    "serve": Serve,
    "info": Info,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command = parse(arguments)
        command.run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except TinydiffError as error:
        print(f"tinydiff: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # `tinydiff info | head` is no error, but a run that stopped for it is not done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if isinstance(command, Info) else 1
    except OSError as error:  # what is printed cannot be written; files have errors of their own
        print(f"tinydiff: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def parse(arguments: list[str]) -> Any:
    """Return the command that the arguments describe; `tyro` exits with status 2 where they describe none."""
    name, *options = arguments or [""]
    if name not in COMMANDS:  # help, or a word that is no command: tyro lists those that there are
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, args=arguments, prog="tinydiff", description=tinydiff.__doc__
        )
    default, prog = None, f"tinydiff {name}"
    if name == "train":
        recipe = RECIPES / f"{options[0]}.toml" if options else None
        path = _config_file(options)
        if recipe is not None and recipe.is_file():
            default = replace(_from_file(recipe), out=Path("runs") / recipe.stem)
            prog, options = f"{prog} {recipe.stem}", options[1:]
        elif path is not None:
            default = _from_file(path)
    return _parse_options(COMMANDS[name], options, prog, {} if default is None else {"default": default})


def _from_file(path):
    """Return the command ``train`` with the options of a TOML file."""
    return from_table(Train, read_table(path), str(path), default=Train())


def _parse_options(command, options, prog, default):
    """Return a command with its options; what a dataclass refuses is told in its own words, with the option's name."""
    shown = io.StringIO()
    try:
        with SIZES, contextlib.redirect_stderr(shown):
            return tyro.cli(command, args=options, prog=prog, **default)
    except SystemExit as stop:
        refusal = _refusal_behind(stop, command)
        if refusal is not None:
            raise InputError(refusal) from stop
        sys.stderr.write(shown.getvalue())
        raise


def _refusal_behind(stop, command):
    """Return the sentence of the dataclass because of which tyro stops, or None; it names an option as one types it."""
    error, inside = stop.__context__, ""
    while error is not None and not isinstance(error, InputError):
        inside = getattr(error, "arg", inside)  # tyro's own error knows in which field that dataclass is
        error = error.__context__
    if error is None:
        return None
    records = filter(dataclasses.is_dataclass, (command, *typing.get_type_hints(command).values()))
    options = {field.name for record in records for field in dataclasses.fields(record)}
    name, space, rest = str(error).partition(" ")
    if name not in options:
        return str(error)
    name = f"{inside}.{name}" if inside else name
    return f"--{name.replace('_', '-')}{space}{rest}"


def _config_file(options):
    """Return the file that ``--config`` names, or None."""
    for flag, value in zip(options, [*options[1:], ""], strict=True):
        if flag == "--config" or flag.startswith("--config="):
            given = flag.partition("=")[2] or value
            return Path(given) if given else None
    return None
