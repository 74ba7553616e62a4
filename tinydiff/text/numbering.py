"""The numbers of tokens in a public checkpoint, where they are not in the tokenizer's own order."""

from dataclasses import dataclass

from tinydiff.base import InputError, checks_arguments, shown

START, END = "<|startoftext|>", "<|endoftext|>"
LARGEST_NUMBER = 2**20


@checks_arguments()
@dataclass(frozen=True)
class Numbering:
    """The numbers that a public checkpoint gives to tokens, where they are not those of `Tokenizer`'s own order.

    Parameters
    ----------
    ids : dict
        Token -> its number, from 0. A byte is written as the character of the same number (Latin-1).
    pad : str
        Which token fills a row behind the end of a text.
    unknown : str
        Which token stands for one that has no number.
    """

    ids: dict[str, int]
    pad: str = END
    unknown: str = END

    def __post_init__(self):
        object.__setattr__(self, "pad", str(self.pad))
        object.__setattr__(self, "unknown", str(self.unknown))
        for token in (START, END, self.pad, self.unknown):
            if token not in self.ids:
                raise InputError(f"The numbering has no {shown(token)}, which every row needs.")
        numbers = self.ids.values()
        if any(type(i) is not int or not 0 <= i < LARGEST_NUMBER for i in numbers) or len(set(numbers)) < len(self.ids):
            raise InputError("The numbering gives tokens numbers that are none, or one number to two of them.")

    @classmethod
    def read(cls, table: object) -> "Numbering":
        """Return what a file says."""
        if not isinstance(table, dict) or not isinstance(table.get("ids"), dict):
            raise ValueError("numbering is no table with ids")
        pad, unknown = table.get("pad", END), table.get("unknown", END)
        if not isinstance(pad, str) or not isinstance(unknown, str):
            raise ValueError("numbering has a pad or an unknown that is no text")
        return cls(table["ids"], pad, unknown)
