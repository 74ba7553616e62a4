"""tinydiff: diffusion models from scratch, every gradient by hand."""

from tinydiff.base import plain
from tinydiff.models import Guidance, Request, load, sample, save

__version__ = "0.1.0"
__all__ = ["Guidance", "Request", "load", "plain", "sample", "save"]  # to draw; the rest is in the rooms
