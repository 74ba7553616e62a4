"""Which words of a prompt mean nothing to a model, because no caption of its training held them."""

from collections.abc import Iterable

from tinydiff.base import checked
from tinydiff.models.diffusion import DiffusionModel


@checked()
def notes_on_words(model: DiffusionModel, texts: Iterable[str], name: str = "this model") -> tuple[str, ...]:
    """Return a sentence that names the words of texts that the model never learned; none where it knows them all.

    Parameters
    ----------
    model : DiffusionModel
    texts : iterable of str
        Prompts and negative prompts.
    name : str
        What the sentence calls the model.
    """
    tokenizer = model.tokenizer
    if tokenizer is None:
        return ()
    words = list(dict.fromkeys(word for text in texts for word in tokenizer.new_words(text)))
    if not words:
        return ()
    *others, last = (f"'{word}'" for word in words)
    which = f"{', '.join(others)} and {last}" if others else last
    how_often = "never" if tokenizer.words is not None else "never, or hardly ever,"
    return (f"{which} {how_often} occurred in the captions that {name} learned from.",)
