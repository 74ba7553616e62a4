"""Which captions fit which portraits: known exactly, so that a retrieval has a ceiling."""

import numpy as np

from tinydiff.base import InputError
from tinydiff.data.avatars.captions import SAID, Caption
from tinydiff.data.avatars.rendering import parts_of, visible
from tinydiff.data.avatars.slots import LAYERS, Portraits


def words_shown(portraits: Portraits) -> np.ndarray:
    """Return what a caption may say of portraits, integers (N, slots, 2): words of the part and of its colour.

    Words are counted from 1 in the order of `SLOTS`; 0 is what cannot be seen.
    """
    words = np.zeros((*portraits.parts.shape, 2), int)
    for i, layer in enumerate(LAYERS):
        slot_parts = parts_of(layer)
        words[:, i, 0] = _numbers(slot_parts.part_words)[portraits.parts[:, i]]
        words[:, i, 1] = _numbers(slot_parts.colour_words)[portraits.colours[:, i]]
    return words * visible(portraits)[..., None]


def words_said(portraits: Portraits, captions: tuple[Caption, ...]) -> np.ndarray:
    """Return what captions say of their own portraits, counted as by `words_shown`; 0 is what is not said."""
    if len(captions) != len(portraits.parts):
        raise InputError(f"There are {len(captions)} captions for {len(portraits.parts)} portraits.")
    named = [[(layer in caption.parts, layer in caption.colours) for layer in LAYERS] for caption in captions]
    return words_shown(portraits) * np.array(named)


def match_probabilities(said_of: np.ndarray, shown_by: np.ndarray) -> np.ndarray:
    """Return how probable it is that each caption was written for each portrait: (captions, portraits), rows add to 1.

    It is 0 where the caption is not true. Of what can be seen, a caption leaves each slot out by itself, one time in
    four (`SAID`): so among the portraits of which it is true, one that shows little else is the likelier one. How the
    caption says what it says depends on nothing else, so nobody who sees one caption and the portraits can know more.
    (Who sees all captions can: each belongs to another portrait.)

    Parameters
    ----------
    said_of : array, shape (captions, slots, 2)
        From `words_said`.
    shown_by : array, shape (portraits, slots, 2)
        From `words_shown`, those that the captions were written for among them.
    """
    is_true = np.ones((len(said_of), len(shown_by)), bool)
    for i in range(said_of.shape[1]):
        for j in range(2):
            word = said_of[:, i, j, None]
            is_true &= (word == 0) | (word == shown_by[:, i, j])
    unsaid = shown_by.any(axis=2).sum(axis=1) - said_of.any(axis=2).sum(axis=1)[:, None]
    weights = np.where(is_true, (1 - SAID) ** np.maximum(unsaid, 0), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _numbers(words):
    """Return for each word 1, 2, ... in the order of their first places, and 0 for the word that is never said."""
    order = [word for word in dict.fromkeys(words) if word]
    return np.array([order.index(word) + 1 if word else 0 for word in words])
