"""Titles and names of others in charts and sheets: any text can be drawn, without a warning."""

import numpy as np
import pytest

from tinydiff import plot

TEXTS = ["a hat", "\udcff", "\x1b[2J", "\u202eabc", "$x_{", "$a$ and $b$", "猫 😀", "a\nb", "\0", "", "x" * 3000]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_can_be_a_title_or_a_name(text, tmp_path):
    x = np.arange(1.0, 4.0)
    pictures = np.zeros((2, 8, 8, 1), np.float32)
    for i, picture in enumerate([
        plot.curves(x, {text[:40] or "none": x}, "x", "y", title=text[:40]),
        plot.image_grid(pictures, title=text, labels=[text[:40]] * 2),
    ]):  # fmt: skip
        assert plot.save_image(picture, tmp_path / f"{i}.png").stat().st_size > 0
