"""The peak signal-to-noise ratio."""

import math

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import peak_signal_to_noise


@pytest.mark.equation("PSNR-1")
def test_an_error_of_one_level_everywhere_is_48_decibels_and_half_the_error_6_more():
    black = np.zeros((2, 3, 4, 3), np.uint8)
    assert peak_signal_to_noise(black, black + 1) == pytest.approx(20 * math.log10(255))
    gain = peak_signal_to_noise(black, black + 10) - peak_signal_to_noise(black, black + 20)
    assert gain == pytest.approx(20 * math.log10(2))


def test_errors_are_pooled_before_the_logarithm():
    one, other = np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 4, 4, 1), np.uint8)
    other[0], other[1] = 2, 40
    pooled = peak_signal_to_noise(one, other)
    assert pooled == pytest.approx(10 * math.log10(255**2 / ((4 + 1600) / 2)))
    assert pooled < np.mean([peak_signal_to_noise(one[i : i + 1], other[i : i + 1]) for i in range(2)])


def test_equal_pictures_have_a_finite_ratio_and_others_are_refused():
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    assert peak_signal_to_noise(picture, picture) == pytest.approx(10 * math.log10(255**2 * 12))
    with pytest.raises(InputError, match="dtype float32, but uint8"):
        peak_signal_to_noise(picture.astype(np.float32), picture)
    with pytest.raises(InputError, match="they are compared"):
        peak_signal_to_noise(picture, picture[:, :1])
