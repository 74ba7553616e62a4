"""tinydiff: diffusion models from scratch, every gradient by hand."""

from tinydiff.plain import plain

__version__ = "0.1.0"
__all__ = ["plain"]
