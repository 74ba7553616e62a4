"""What is asked of a model."""

from dataclasses import dataclass

from tinydiff.base import check_choice, check_number
from tinydiff.diffusion.guidance import check_interval


@dataclass(frozen=True)
class Guidance:
    """How strongly a sample follows its condition, and how it is kept within bounds.

    Parameters
    ----------
    scale : float
        0 ignores the condition, 1 follows it as learned, above 1 exaggerates (`classifier_free_guidance`).
    interval : (float, float) or None
        At times low < t <= high alone; elsewhere the scale is 1.
    rescale : float
        0 .. 1, see `classifier_free_guidance`; not with a classifier.
    threshold : str
        ``"static"`` or ``"dynamic"``, see `bounded`.
    """

    scale: float = 1.0
    interval: tuple[float, float] | None = None
    rescale: float = 0.0
    threshold: str = "static"

    def __post_init__(self):
        check_number("guidance", self.scale, -100, 100)
        check_number("rescale", self.rescale, 0, 1)
        check_choice("threshold", self.threshold, ("static", "dynamic"))
        check_interval(self.interval)
