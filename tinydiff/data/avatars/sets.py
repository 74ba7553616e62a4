"""Captioned portraits as a data set."""

import numpy as np

from tinydiff.base import check_choice, checked
from tinydiff.data.avatars.captions import describe
from tinydiff.data.avatars.compose import SPLITS, compose
from tinydiff.data.avatars.rendering import parts_of, render
from tinydiff.data.avatars.slots import HAIR, LAYERS
from tinydiff.data.dataset import Dataset
from tinydiff.data.sets import dataset


@dataset("avatars", splits=tuple(SPLITS))
@checked()
def load_avatars(split: str = "train", n: int | None = None, seed: int = 0) -> Dataset:
    """Return captioned portraits, put together on the fly: 20,000 + 2,000 of 16 x 16 pixels, in colour.

    The labels number the words for the hair's colour as in `HAIR`.

    Parameters
    ----------
    split : str
        As for `compose`.
    n : int or None
        How many; None takes the number of `SPLITS`.
    seed : int
    """
    check_choice("split", split, tuple(SPLITS))
    portraits = compose(SPLITS[split] if n is None else n, seed, split)
    captions = tuple(caption.text for caption in describe(portraits, seed, split))
    words = list(HAIR)
    hair = LAYERS.index("hair")
    label_of_colour = np.array([words.index(word) for word in parts_of("hair").colour_words])
    labels = label_of_colour[portraits.colours[:, hair]]
    return Dataset(render(portraits), labels, "avatars", split, "the package", captions, tuple(words))
