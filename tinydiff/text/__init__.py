"""Text: prompts as token numbers."""

from tinydiff.text.numbering import Numbering
from tinydiff.text.tokenizer import Tokenizer

__all__ = ["Numbering", "Tokenizer"]
