"""Shades of grey as real numbers: each in a cell of its own, none of them lost, and bits that bound the probability."""

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.data import load_data, to_floats
from tinydiff.diffusion import dequantised
from tinydiff.train.dequantise import bits_per_number, dequantise


@pytest.mark.equation("DEQ-3")
@pytest.mark.parametrize("levels", [2, 17, 256])
def test_each_shade_fills_its_own_cell_and_can_be_told_again(levels):
    shades = np.arange(levels)
    x = 2 * shades / (levels - 1) - 1
    for u in (1e-9, 0.5, 1 - 1e-9):
        y = dequantise(x, np.full(levels, u), levels)
        np.testing.assert_array_equal(np.floor((y + 1) / 2 * levels), shades)
        np.testing.assert_allclose(y, -1 + 2 * (shades + u) / levels, atol=1e-12)


def test_the_digits_have_17_shades_although_they_are_bytes():
    x = to_floats(load_data("digits").images).astype(np.float64)
    shades = (dequantise(x, np.full(x.shape, 0.5), 17) + 1) / 2 * 17 - 0.5
    np.testing.assert_allclose(shades, np.rint(shades), atol=1e-9)
    assert len(np.unique(np.rint(shades))) == len(np.unique(x)) == 17


def test_both_ways_to_fill_the_cells_differ_by_a_factor_and_leave_the_bits_alone():
    levels, shades = 17, np.arange(17.0)[None]
    wide, nats = dequantised(2 * shades / (levels - 1) - 1, Noise(0), levels)
    u = Noise(0).uniform(shades.shape, "dequantise", dtype=shades.dtype)
    narrow = dequantise(2 * shades / (levels - 1) - 1, u, levels)
    shrunk = (levels - 1) / levels
    np.testing.assert_allclose(narrow, shrunk * wide, atol=1e-12)
    of_wide = 0.3  # nats for each number, by any density of the wide ones; that of the narrow ones is higher
    in_bits = (of_wide + nats / shades.size) / np.log(2)
    assert bits_per_number(of_wide + np.log(shrunk), levels) == pytest.approx(in_bits)


@pytest.mark.equation("DEQ-2")
def test_bits_are_those_of_the_shades_where_the_density_is_flat_in_each_cell():
    """Then Jensen's inequality is an equation: the bits are the entropy of the shades, known exactly."""
    levels = 5
    p = np.array([0.4, 0.1, 0.2, 0.05, 0.25])
    nats = -(p * np.log(p / (2 / levels))).sum()  # of the density p_k / width on cell k
    assert bits_per_number(nats, levels) == pytest.approx(-(p * np.log2(p)).sum())
    assert bits_per_number(np.log(2.0), 256) == pytest.approx(8)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match="levels is 1"):
        dequantise(np.zeros(3), np.zeros(3), 1)
    with pytest.raises(InputError, match=r"uniform has shape \(2,\)"):
        dequantise(np.zeros(3), np.zeros(2), 4)
    with pytest.raises(InputError, match="levels is 300"):
        bits_per_number(0.5, 300)
