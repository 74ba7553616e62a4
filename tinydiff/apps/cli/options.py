"""Options that several commands share, and what they show while they work."""

import re
from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from tinydiff.base import InputError
from tinydiff.diffusion import SAMPLERS

DeviceName = Literal["auto", "cpu", "cuda"]
if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]


def read_size(size: str | None) -> tuple[int, int] | None:
    """Return (height, width) of an option such as ``32x48``, or None where it was not given."""
    if size is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", size)
    if match is None:
        raise InputError(f"size is {size!r}, but height x width, such as 32x48, was expected.")
    return int(match[1]), int(match[2])


class ProgressBar:
    """A bar on stderr for chains that are walked one after the other; there is none where stderr is no terminal."""

    def __call__(self, step: int, steps: int) -> None:
        """Show that a step of a chain was taken."""
        if step == 1:
            self.bar = tqdm(total=steps, unit="step", leave=False, disable=None, dynamic_ncols=True)
        self.bar.update()
        if step == steps:
            self.bar.close()
