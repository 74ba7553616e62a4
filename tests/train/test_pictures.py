"""What objectives share that draw pictures again: a look at the data, their checksum, and how near a copy is."""

import dataclasses
import math

import numpy as np
import pytest
from squares import squares

from tinydiff.base import InputError
from tinydiff.data import to_floats
from tinydiff.train.pictures import check_pictures, checksum, psnr

RNG = np.random.default_rng(0)


def test_psnr_is_that_of_bytes_pooled_over_all_pictures():
    a, b = RNG.integers(0, 256, (2, 3, 4, 4, 1)).astype(np.uint8)
    squared = ((a.astype(float) - b) ** 2).mean()
    assert psnr(to_floats(a), to_floats(b)) == pytest.approx(10 * math.log10(255**2 / squared), rel=1e-6)
    clipped = to_floats(a).copy()
    clipped[a == 255] = 7.0  # beyond white is white
    assert psnr(clipped, to_floats(b)) == psnr(to_floats(a), to_floats(b))
    assert psnr(to_floats(a), to_floats(a)) == pytest.approx(10 * math.log10(255**2 * a.size), rel=1e-12)


def test_a_checksum_is_of_all_pictures_or_of_what_the_data_say_of_themselves():
    data = squares(300)
    images = data.images.copy()
    images[299, 0, 0, 0] += 1
    assert checksum(data) == checksum(squares(300)) != checksum(dataclasses.replace(data, images=images))

    class Drawn:
        def __init__(self, seed):
            self.seed = seed

        def identity(self):
            return {"seed": self.seed}

    assert checksum(Drawn(1)) == checksum(Drawn(1)) != checksum(Drawn(2))


def test_data_that_do_not_fit_are_refused():
    for data, words in [
        (3, "data is 3, but a Dataset was expected"),
        (squares().take(slice(0, 0)), "data is empty"),
        (squares(), r"data has images of shape \(8, 8, 1\), but the network's are \(8, 8, 3\)"),
    ]:
        with pytest.raises(InputError, match=words):
            check_pictures("data", data, (8, 8, 3))
