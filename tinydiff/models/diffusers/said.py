"""What a config.json of a public checkpoint says: every field is read, has its usual value, or is refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, InputError, printable, read_table, shown
from tinydiff.models.diffusers.defaults import CLASSES, SCHEDULERS

# What transformers writes into a config of any model, and what only names where it came from.
SAYS_NOTHING = (
    "architectures model_type dtype torch_dtype transformers_version output_attentions output_hidden_states "
    "return_dict chunk_size_feed_forward is_encoder_decoder id2label label2id problem_type"
)


@dataclass(frozen=True)
class Said:
    """The fields of a class, as a file says them or by the defaults of the class.

    Parameters
    ----------
    source : str
        The file, for errors.
    class_name : str
        One of `CLASSES`.
    fields : dict
    given : dict
        What the file says, also of other classes.
    unknown : tuple of str
        Names in the file that the class does not have, and that diffusers would ignore, too.
    """

    source: str
    class_name: str
    fields: Mapping[str, Any]
    given: Mapping[str, Any]
    unknown: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def as_class(self, class_name: str) -> "Said":
        """Return the fields for another scheduler, as diffusers' from_config does: what they lack has its default."""
        defaults = SCHEDULERS[class_name]
        given = {name: value for name, value in self.given.items() if name in defaults}
        return Said(self.source, class_name, defaults | given, self.given)

    def refuse(self, name: str, known: str) -> InputError:
        """Return the error for a field of which tinydiff knows something else."""
        return InputError(
            f"{self.source} says {name} is {shown(self[name])}, which tinydiff does not have; it knows {known}."
        )

    def expect(self, **usual: Any) -> None:
        """Raise `InputError` unless these fields have the one value that tinydiff knows."""
        for name, value in usual.items():
            if self[name] != value:
                raise self.refuse(name, shown(value))

    def whole(self, name: str) -> int:
        """Return a field that is a whole number."""
        value = self[name]
        if type(value) is not int:
            raise self.refuse(name, "whole numbers")
        return value

    def number(self, name: str) -> float:
        """Return a field that is a number."""
        value = self[name]
        if type(value) not in (int, float):
            raise self.refuse(name, "numbers")
        return value

    def one_of(self, name: str, known: Mapping[Any, Any]) -> Any:
        """Return what a field's value stands for."""
        value = self[name]
        if isinstance(value, list | dict) or value not in known:
            raise self.refuse(name, " and ".join(map(repr, known)))
        return known[value]

    def texts(self, name: str) -> list[str]:
        """Return a field that is a list of texts."""
        values = self[name]
        if not isinstance(values, list | tuple) or any(not isinstance(value, str) for value in values):
            raise self.refuse(name, "lists of names")
        return list(values)

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a field that is a list of whole numbers, at least one."""
        values = self[name]
        if not isinstance(values, list | tuple) or not values or any(type(value) is not int for value in values):
            raise self.refuse(name, "lists of whole numbers")
        return tuple(values)


def read_said(path: Path, class_name: str | None = None, schedulers: bool = False) -> Said:
    """Return what a config.json says.

    Parameters
    ----------
    path : Path
    class_name : str or None
        Its class, if another file says which; None takes what this one says.
    schedulers : bool
        Whether it is one of the `SCHEDULERS`, or one of the `CLASSES` of networks.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    InputError
        If its class is none that tinydiff knows.
    """
    table, classes = read_table(path, CheckpointError), SCHEDULERS if schedulers else CLASSES
    of_transformers = table.get("architectures")
    own = table.get(
        "_class_name", of_transformers[0] if isinstance(of_transformers, list) and of_transformers else None
    )
    found = class_name if own is None else own
    if not isinstance(found, str) or found not in classes:
        raise InputError(
            f"{path} is of the class {shown(found)}, which tinydiff does not have; it reads {', '.join(classes)}."
        )
    if class_name is not None and found != class_name:
        raise InputError(f"{path} is of the class {shown(found)}, but {class_name} was expected there.")
    defaults = classes[found]
    fields = defaults | {name: value for name, value in table.items() if name in defaults}
    unknown = tuple(
        printable(name)
        for name in table
        if name not in defaults and not name.startswith("_") and name not in SAYS_NOTHING.split()
    )
    return Said(str(path), found, fields, table, unknown)
