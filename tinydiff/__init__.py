"""tinydiff: diffusion models from scratch, every gradient by hand."""

from tinydiff.model import load_model, sample
from tinydiff.plain import plain

__version__ = "0.1.0"
__all__ = ["load_model", "plain", "sample"]
