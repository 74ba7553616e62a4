"""Options that several commands share, and what they show while they work."""

from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from tinydiff.diffusion import SAMPLERS

DeviceName = Literal["auto", "cpu", "cuda"]
if TYPE_CHECKING:
    SamplerName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]


class ProgressBar:
    """A bar on stderr for chains that are walked one after the other; there is none where stderr is no terminal."""

    def __call__(self, step: int, steps: int) -> None:
        """Show that a step of a chain was taken."""
        if step == 1:
            self.bar = tqdm(total=steps, unit="step", leave=False, disable=None, dynamic_ncols=True)
        self.bar.update()
        if step == steps:
            self.bar.close()
