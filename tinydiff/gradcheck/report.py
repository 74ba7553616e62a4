"""The report of a gradient check, as values and as text to read."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """What was found about one argument's gradient.

    Parameters
    ----------
    argument : int
        Position among the forward's arguments.
    label : str
        The argument's name.
    ok : bool
    error : float
        Largest relative error over the directions; infinite if the gradient is no array of the right shape.
    index : tuple or None
        Where the gradient is furthest off.
    ratio : float or None
        The backward's number there, divided by the right one.
    mistake : str
        What is likely wrong, in words; empty if nothing is.
    """

    argument: int
    label: str
    ok: bool
    error: float
    index: tuple | None = None
    ratio: float | None = None
    mistake: str = ""


@dataclass(frozen=True)
class GradcheckReport:
    """The result of `gradcheck`: true if all gradients are right; print it to read it."""

    name: str
    tolerance: float
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return all(f.ok for f in self.findings)

    def raise_if_wrong(self) -> None:
        """Raise `AssertionError`, with the whole report as its message, if a gradient is wrong."""
        if not self.ok:
            raise AssertionError(str(self))

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.name}: {'all gradients are right' if self.ok else 'WRONG'} (tolerance {self.tolerance:.0e})"]
        for f in self.findings:
            verdict = "right" if f.ok else "WRONG"
            lines.append(f"  argument {f.argument} ({f.label}): {verdict}, relative error {f.error:.1e}")
            if f.index is not None:
                lines.append(f"    worst at index {f.index}: yours is {f.ratio:.4g} times the right number")
            if f.mistake:
                lines.append(f"    likely: {f.mistake}")
        return "\n".join(lines)

    __repr__ = __str__
