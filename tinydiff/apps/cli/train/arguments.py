"""From the arguments of ``tinydiff train`` to the options of one objective: a recipe, a TOML file, or neither."""

import inspect
import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tinydiff.apps.cli.parsing import parse_options
from tinydiff.apps.cli.train.command import OBJECTIVES, TrainCommand
from tinydiff.base import InputError, check_choice, from_table, read_table

RECIPES = Path(__file__).parents[3] / "recipes"
DEFAULT = "denoise"
OWN_PICTURES = (
    "Your own pictures lie in one folder, or each class in a subfolder: pets/cat/1.png, pets/dog/1.png. Channels and "
    "classes come from the folder; what is changed or left out is printed. To draw dogs in the end: tinydiff sample "
    "--model runs/pets --label dog (runs/pets is what --out said).\n\n"
    "To draw from words, give --captions, and write into the folder a file captions.csv: at its top the line "
    'file,caption and then one for each picture, such as beach.png,"blue sky, no wind".\n\n'
    "Options go before what the recipe says. Without recipe and data, the digits that come with tinydiff are learned."
    "\n\n"
)


def parse_train(arguments: Sequence[str]) -> TrainCommand:
    """Return the command that the arguments after ``tinydiff train`` describe.

    The first may be the name of a recipe. Which objective it is, and with it which options there are, is said by
    ``--objective``, or else in the recipe or the TOML file.
    """
    arguments, prog, out = list(arguments), "tinydiff train", None
    path: str | Path | None = _value_of("--config", arguments)
    recipe = RECIPES / f"{arguments[0]}.toml" if arguments else None
    if recipe is not None and recipe.is_file():
        path, arguments, prog, out = recipe, arguments[1:], f"{prog} {recipe.stem}", Path("runs") / recipe.stem
    elif arguments and not arguments[0].startswith("-"):
        also = "." if len(arguments) == 1 else f" {shlex.join(arguments[1:])}."
        folder = f" To train on this folder: tinydiff train --data {shlex.quote(arguments[0])}{also}"
        raise InputError(
            f"There is no recipe {arguments[0]!r}; there are: {', '.join(recipes())}."
            + (folder if os.path.isdir(arguments[0]) else "")
        )
    table = {} if path is None else read_table(path)
    if Path(path or "").suffix == ".toml" and "config" in table:
        raise InputError(f"{path}: config is {table['config']!r}, but a file is not read from within another.")
    name = _value_of("--objective", arguments)
    if name is None:
        name = table.get("objective", DEFAULT)
        check_choice(f"{path}: objective", name, tuple(OBJECTIVES))
    else:
        check_choice("--objective", name, tuple(OBJECTIVES))
    kind = OBJECTIVES[name]
    default = from_table(kind, table, str(path), default=kind())
    default = replace(default, objective=name, out=default.out if out is None else out)
    command = parse_options(kind, arguments, prog, default=default, description=_description(kind))
    # what was not typed, the data may decide: a folder of pictures in colour makes a network for colour
    object.__setattr__(command, "given", frozenset({*_flags(arguments), *_names(table)}))
    return command


def recipes() -> list[str]:
    """Return the names of the recipes that ship with tinydiff."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _description(kind):
    """Return the text above the options: what the class says, and the lists of what there is."""
    others = ", ".join(f"`--objective {name}`" for name in OBJECTIVES)
    own = OWN_PICTURES if kind is OBJECTIVES[DEFAULT] else ""
    return f"{inspect.getdoc(kind)}\n\n{own}Recipes: {', '.join(recipes())}. Objectives: {others}."


def _flags(arguments):
    """Yield the dotted names of the options that were typed."""
    for argument in arguments:
        if argument.startswith("--"):
            yield argument[2:].partition("=")[0].replace("-", "_")


def _names(table, inside=""):
    """Yield the dotted names of the options in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _names(value, f"{inside}{name}.")
        else:
            yield inside + name


def _value_of(flag, arguments):
    """Return what stands after a flag; None where nothing does, or where there is no such flag."""
    for i, argument in enumerate(arguments):
        if argument == flag:
            return arguments[i + 1] if i + 1 < len(arguments) else None
        if argument.startswith(f"{flag}="):
            return argument.partition("=")[2]
    return None
