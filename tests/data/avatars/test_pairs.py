"""Which captions belong to which portraits."""

import numpy as np
import pytest
from clips import PORTRAITS

from tinydiff.base import InputError
from tinydiff.data.avatars import describe
from tinydiff.data.avatars.pairs import match_probabilities, words_said, words_shown
from tinydiff.data.avatars.slots import LAYERS


def test_a_caption_belongs_to_portraits_of_which_it_is_true():
    """Against plain loops over words; rows add to 1, and what shows more that is not said is less probable."""
    captions = describe(PORTRAITS)
    says, shows = words_said(PORTRAITS, captions), words_shown(PORTRAITS)
    found = match_probabilities(says, shows)
    for k, caption in enumerate(captions):
        for j in range(len(captions)):
            true, left_out = True, 0
            for i, layer in enumerate(LAYERS):
                part, colour = layer in caption.parts, layer in caption.colours
                true &= not part or shows[k, i, 0] == shows[j, i, 0] != 0
                true &= not colour or shows[k, i, 1] == shows[j, i, 1] != 0
                left_out += shows[j, i].any() and not (part or colour)
            assert (found[k, j] > 0) == true
            if true:
                own = shows[k].any(axis=1).sum() - says[k].any(axis=1).sum()
                assert found[k, j] == pytest.approx(found[k, k] * 0.25 ** (left_out - own))
    assert (np.diag(found) > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    with pytest.raises(InputError, match="3 captions for 64"):
        words_said(PORTRAITS, captions[:3])
