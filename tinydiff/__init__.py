"""tinydiff: diffusion models from scratch, every gradient by hand.

The names here are for drawing with a trained model; all others are in the rooms, such as `tinydiff.functional`.
"""

from tinydiff.base import plain
from tinydiff.models import Guidance, Request, load, sample, save

__version__ = "0.1.0"
__all__ = ["Guidance", "Request", "load", "plain", "sample", "save"]
