"""tinydiff: diffusion models from scratch, every gradient by hand."""

from tinydiff.base import plain
from tinydiff.models import load, sample

__version__ = "0.1.0"
__all__ = ["load", "plain", "sample"]
