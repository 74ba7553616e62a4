"""Which words of a prompt mean nothing to a model, because no caption of its training held them."""

from collections.abc import Iterable

from tinydiff.base import checked
from tinydiff.models.cascade import Cascade
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.unclip import UnClip


@checked()
def notes_on_words(
    model: DiffusionModel | Cascade | UnClip, texts: Iterable[str], name: str = "this model"
) -> tuple[str, ...]:
    """Return a sentence that names the words of texts that the model never learned; none where it knows them all.

    Parameters
    ----------
    model : DiffusionModel, Cascade or UnClip
        Of several parts, each that reads text is asked; the same sentence is said once.
    texts : iterable of str
        Prompts and negative prompts.
    name : str
        What the sentence calls the model.
    """
    texts = list(texts)
    notes = (_note(reader.tokenizer, texts, name) for reader in model.readers if reader.tokenizer is not None)
    return tuple(dict.fromkeys(note for note in notes if note))


def _note(tokenizer, texts, name):
    """Return the sentence about one tokenizer, or an empty text."""
    words = list(dict.fromkeys(word for text in texts for word in tokenizer.new_words(text)))
    if not words:
        return ""
    *others, last = (f"'{word}'" for word in words)
    which = f"{', '.join(others)} and {last}" if others else last
    how_often = "never" if tokenizer.words is not None else "never, or hardly ever,"
    return f"{which} {how_often} occurred in the captions that {name} learned from."
