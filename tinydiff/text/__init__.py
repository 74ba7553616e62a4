"""Text: prompts as token numbers."""

from tinydiff.text.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
