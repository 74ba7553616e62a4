"""The tape: what a forward pass remembers for its backward."""

from collections import namedtuple
from typing import TYPE_CHECKING, Any

from tinydiff.base import Array, InputError, Noise, checks_arguments
from tinydiff.nn.parameter import Parameter

if TYPE_CHECKING:
    from tinydiff.nn.module import Module

Entry = namedtuple("Entry", "owner cache shape")


@checks_arguments("__init__")
class Tape:
    """The memory of one forward pass: last in, first out. It remembers and checks; it never differentiates.

    Running the backward in the reverse order of the forward is right for every network, also with skips and
    shared inputs: when a module's backward runs, all modules that read its output have run theirs.

    Parameters
    ----------
    noise : Noise or None
        Where dropout takes random numbers from; its `first` and `step` say for which samples and which step.
    keep : bool
        False makes a tape that gives noise but remembers nothing (`Checkpoint` uses it).

    Examples
    --------
    >>> tape = Tape()
    >>> y = layer.forward(x, tape)          # doctest: +SKIP
    >>> print(tape)                         # doctest: +SKIP
    >>> tape["down.0.blocks.0.conv_1"].inputs    # doctest: +SKIP
    """

    def __init__(self, noise: Noise | None = None, keep: bool = True):
        self.noise = noise
        self.keep = keep
        self.entries: list[Entry] = []

    def push(self, owner: "Module", cache: Any, shape: tuple = ()) -> None:
        """Remember what `owner` needs for its backward; `shape` is its output's, for display."""
        if self.keep:
            self.entries.append(Entry(owner, cache, tuple(shape)))

    def pop(self, owner: "Module") -> Any:
        """Remove and return what `owner` pushed; it must be the last entry of the tape.

        Raises
        ------
        InputError
            If another module pushed last: the backward is not the reverse of the forward.
        """
        if not self.entries:
            raise InputError(f"The tape is empty: {_title(owner)}.backward was called without a forward on this tape.")
        expected = self.entries[-1].owner
        if expected is not owner:
            raise InputError(f"Backward out of order: {_title(owner)} called, {_title(expected)} expected.")
        return self.entries.pop().cache

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, path: str) -> Any:
        """Return what the module at a dotted path pushed last."""
        for entry in reversed(self.entries):
            if entry.owner.path == path:
                return entry.cache
        known = ", ".join(sorted({entry.owner.path for entry in self.entries})) or "nothing"
        raise InputError(f"The tape holds nothing of {path!r}; it holds: {known}.")

    @property
    def nbytes(self) -> int:
        """Bytes of all remembered arrays, each counted once; weights, which the model holds, are not counted."""
        arrays = {id(a): a for entry in self.entries for _, a in remembered(entry)}
        return sum(a.nbytes for a in arrays.values())

    def __str__(self) -> str:
        lines = [f"{'module':<44} {'remembers':<44} {'bytes':>12}"]
        for entry in self.entries:
            arrays = remembered(entry)
            what = "  ".join(f"{name} {'x'.join(map(str, a.shape))}" for name, a in arrays)
            lines.append(f"{_title(entry.owner):<44} {what:<44} {sum(a.nbytes for _, a in arrays):>12,}")
        return "\n".join([*lines, f"{len(self)} entries, {self.nbytes:,} bytes (an array kept twice counts once)"])


def remembered(entry: Entry) -> list[tuple[str, Array]]:
    """Return (name, array) for what an entry keeps besides weights; in a plain tuple, the names are positions."""
    cache = entry.cache
    names = getattr(cache, "_fields", range(len(cache)))
    weights = {id(p.value) for p in vars(entry.owner).values() if isinstance(p, Parameter)}
    pairs = zip(names, cache, strict=True)
    return [(str(name), a) for name, a in pairs if hasattr(a, "nbytes") and id(a) not in weights]


def _title(module):
    return f"{module.path} ({type(module).__name__})" if module.path else type(module).__name__
