"""Sentences about an argument, with the name of the option that one types for it.

The library says ``labels is 11, but ...``, because its argument is called so; at the command line it is ``--label``.
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

# The library's names of what an option hands on, where they differ from the option's own. A command may add to them,
# or say otherwise, in a class variable ``called``.
CALLED = {
    "labels": "label",
    "scale": "guidance",
    "name": "data",
    "The prompt": "prompt",
    "The negative prompt": "negative",
    "The number of steps": "steps",
}


def as_typed(sentence: str, command: Any, inside: str = "") -> str:
    """Return a sentence that begins with the library's name of an argument with the option's name instead.

    Parameters
    ----------
    sentence : str
        One that begins with no such name stays as it is.
    command : type or object
        The dataclass whose fields are the options, or an instance of it, which says which network is asked for.
    inside : str
        The dotted name of the options that the sentence is about, such as ``"unet"``, where that is known.
    """
    options, table = _options(command, inside), f"{inside}."
    options |= {name.removeprefix(table): option for name, option in options.items() if name.startswith(table)}
    for name, option in options.items():
        rest = sentence.removeprefix(name)
        if rest != sentence and rest[:1] in (" ", "["):  # the whole name, not the beginning of a longer one
            typed = option.removeprefix("advanced.").removeprefix("of_sampler.")  # typed without the table's name
            return f"--{typed.replace('_', '-')}{rest}"
    return sentence


def _options(command, inside) -> dict[str, str]:
    """Return the options by the names that the library has for what they say."""
    unused = _not_asked_for(command) - {inside}
    dotted = [name for name in _fields(command) if name.partition(".")[0] not in unused]
    last = [name.rpartition(".")[2] for name in dotted]
    # a field of a table has its last name for the library, unless two tables, or the command, have one of that name
    options = {short: name for short, name in zip(last, dotted, strict=True) if last.count(short) == 1}
    options |= {name: name for name in dotted}
    called: Mapping[str, str] = {**CALLED, **getattr(command, "called", {})}
    return options | {name: option for name, option in called.items() if option in dotted and name not in dotted}


def _not_asked_for(command) -> set[str]:
    """Return the tables of networks that a command with a choice of them does not take; its default is the class's."""
    chosen = getattr(command, "network", None)
    return {"unet", "dit"} - {chosen} if isinstance(chosen, str) else set()


def _fields(record, inside="") -> Iterator[str]:
    """Yield the dotted names of a dataclass's fields, and of those of the dataclasses in it."""
    hints = typing.get_type_hints(record if isinstance(record, type) else type(record))
    for field in dataclasses.fields(record):
        yield inside + field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name], f"{inside}{field.name}.")
