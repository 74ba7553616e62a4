"""Guidance: predictions that follow a condition more strongly, and how they are kept within bounds."""

from tinydiff.diffusion.guidance.autoguidance import autoguidance
from tinydiff.diffusion.guidance.classifier import classifier_guidance
from tinydiff.diffusion.guidance.classifier_free import classifier_free_guidance
from tinydiff.diffusion.guidance.interval import check_interval
from tinydiff.diffusion.guidance.rescale import rescaled
from tinydiff.diffusion.guidance.thresholds import bounded

__all__ = ["autoguidance", "bounded", "check_interval", "classifier_free_guidance", "classifier_guidance", "rescaled"]
