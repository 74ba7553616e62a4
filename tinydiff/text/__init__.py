"""Text: prompts as whole numbers."""

from tinydiff.text.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
