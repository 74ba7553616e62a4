"""The invention meter, on portraits of which it is known whether training showed them."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data.avatars import compose, render
from tinydiff.evaluate import among_training, invention
from tinydiff.evaluate.invention import _few, _paint_few, invention_lines

RNG = np.random.default_rng(0)


def test_seen_new_held_out_and_no_portrait_are_told_apart():
    seen, held_out = render(compose(4, split="train", first=37)), render(compose(2, split="held-out"))
    new = render(compose(3, split="test"))
    noise = RNG.integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    found = invention(np.concatenate([seen, new, held_out, noise]), training=50)
    assert found.valid.value == pytest.approx(9 / 10)
    assert found.seen.value == pytest.approx(4 / 10)
    assert found.new.value == pytest.approx(5 / 10)
    assert found.held_out.value == pytest.approx(2 / 10)
    assert found.seen.low < 0.4 < found.seen.high
    fewer = invention(seen, training=38)  # only the first of them was shown
    assert fewer.seen.value == pytest.approx(1 / 4)


def test_pictures_are_rounded_to_the_nearest_portrait_within_the_distance():
    seen = render(compose(3))
    off = np.clip(seen.astype(int) + RNG.integers(-3, 4, seen.shape), 0, 255).astype(np.uint8)
    assert invention(off, training=10).seen.value == 1
    assert invention(off, training=10, near=0.1).valid.value == 0


def test_a_few_pixels_are_those_of_the_whole_picture():
    portraits = compose(30)
    np.testing.assert_array_equal(_paint_few(portraits), [_few(picture) for picture in render(portraits)])


def test_training_portraits_are_found_to_the_last_bit():
    pictures = render(compose(6, split="train", first=20))
    pictures[0, 3, 3] ^= 1
    assert among_training(pictures, training=25).tolist() == [False, True, True, True, True, False]


def test_the_lines_of_a_report():
    lines = invention_lines(invention(render(compose(8)), training=8), "portraits")
    assert lines[1].split()[:5] == ["valid:", "near", "a", "portrait", "100.0%"]
    assert "within 16 levels" in lines[5]


def test_what_cannot_be_measured_is_refused():
    pictures = render(compose(1))
    with pytest.raises(InputError, match="training"):
        invention(pictures, training=0)
    with pytest.raises(InputError, match="near"):
        invention(pictures, near=0)
    with pytest.raises(InputError, match="uint8"):
        invention(pictures.astype(float))
