"""The demo page's HTML: what a frame and a map look like."""

import html

import numpy as np
from demo_page import drawn

from tinydiff.apps.serve.shown import DARK, _lit, shown, shown_maps


def test_a_frame_is_html_that_words_cannot_break(model):
    frame = drawn(model, prompt="<b>red</b> hair & 'hat' " * 3)[-1]
    text = shown(frame) + shown_maps(frame)
    assert frame.notes
    assert "<b>" not in text
    assert html.escape(frame.notes[0]) in text
    assert text.count("<img") == 2 + len(frame.maps)
    assert "step 4 of 4, t = 0" in text


def test_a_map_is_bright_where_a_word_is_looked_for():
    lit = _lit(np.ones((4, 4, 3), np.float32), np.array([[0.1, 0.2], [0.3, 0.5]]))
    assert lit.shape == (4, 4, 3)
    np.testing.assert_allclose(lit[:2, :2], DARK)
    np.testing.assert_allclose(lit[2:, 2:], 1)
    assert np.isfinite(_lit(np.ones((4, 4, 3)), np.ones((2, 2)))).all()  # looked for everywhere alike
