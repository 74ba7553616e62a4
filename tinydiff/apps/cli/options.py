"""Options that several commands share, and what they show while they work."""

from typing import TYPE_CHECKING, Literal

from tqdm import tqdm

from tinydiff.data import DATASETS
from tinydiff.diffusion import SAMPLERS, SCHEDULES, TARGETS

DeviceName = Literal["auto", "cpu", "cuda"]
if TYPE_CHECKING:
    SamplerName = str
    ScheduleName = str
    TargetName = str
else:
    SamplerName = Literal[tuple(SAMPLERS)]
    ScheduleName = Literal[tuple(SCHEDULES)]
    TargetName = Literal[tuple(TARGETS)]
DATASET_NAMES = ", ".join(DATASETS)


class ProgressBar:
    """A bar on stderr for chains that are walked one after the other; there is none where stderr is no terminal."""

    def __call__(self, step: int, steps: int) -> None:
        """Show that a step of a chain was taken."""
        if step == 1:
            self.bar = tqdm(total=steps, unit="step", leave=False, disable=None, dynamic_ncols=True)
        self.bar.update()
        if step == steps:
            self.bar.close()
