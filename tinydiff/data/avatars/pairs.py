"""Which captions fit which portraits: known exactly, so that a retrieval has a ceiling."""

import numpy as np

from tinydiff.base import InputError, counted, there_are
from tinydiff.data.avatars.captions import SAID, Caption
from tinydiff.data.avatars.rendering import parts_of, visible
from tinydiff.data.avatars.slots import LAYERS, Portraits


def words_shown(portraits: Portraits) -> np.ndarray:
    """Return the words that a caption may use of each portrait: integers (N, slots, 2), for a part and for its colour.

    The words of a slot are numbered from 1 in the order of `SLOTS`; 0 stands for what cannot be seen or is never named.
    """
    words = np.zeros((*portraits.parts.shape, 2), int)
    for i, layer in enumerate(LAYERS):
        slot_parts = parts_of(layer)
        words[:, i, 0] = _numbers(slot_parts.part_words)[portraits.parts[:, i]]
        words[:, i, 1] = _numbers(slot_parts.colour_words)[portraits.colours[:, i]]
    return words * visible(portraits)[..., None]


def words_said(portraits: Portraits, captions: tuple[Caption, ...]) -> np.ndarray:
    """Return the words that captions use of their own portraits, numbered as in `words_shown`; 0: not named."""
    if len(captions) != len(portraits.parts):
        raise InputError(
            f"{there_are(len(captions), 'caption').capitalize()} for {counted(len(portraits.parts), 'portrait')}."
        )
    named = [[(layer in caption.parts, layer in caption.colours) for layer in LAYERS] for caption in captions]
    return words_shown(portraits) * np.array(named)


def match_probabilities(said: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return how probable it is that each caption was written for each portrait: (captions, portraits), rows add to 1.

    It is 0 where the caption is not true. A caption leaves out each visible slot independently with probability
    1 - `SAID`, one time in four: so of the portraits of which it is true, one that shows little else is more probable.
    The form of the sentence does not depend on the portrait, so one caption tells no more than this. (All captions
    together do, as each belongs to another portrait.)

    Parameters
    ----------
    said : array, shape (captions, slots, 2)
        From `words_said`.
    shown : array, shape (portraits, slots, 2)
        From `words_shown`; the portraits that the captions were written for must be among them.
    """
    is_true = np.ones((len(said), len(shown)), bool)
    for i in range(said.shape[1]):
        for j in range(2):
            word = said[:, i, j, None]
            is_true &= (word == 0) | (word == shown[:, i, j])
    unsaid = shown.any(axis=2).sum(axis=1) - said.any(axis=2).sum(axis=1)[:, None]
    weights = np.where(is_true, (1 - SAID) ** np.maximum(unsaid, 0), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _numbers(words):
    """Return a number for each word: 1, 2, ... in the order of first occurrence, and 0 for the word ""."""
    order = [word for word in dict.fromkeys(words) if word]
    return np.array([order.index(word) + 1 if word else 0 for word in words])
