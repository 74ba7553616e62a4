"""The counter-based generator: right words, right distributions, and nothing that depends on the batch.

Seeds are fixed, so a test that passes once always passes. Had the seed been drawn at random, each statistical
assertion would fail by chance with a probability below one in a million (5 standard deviations, or p < 1e-6).
"""

import numpy as np
import pytest
from scipy import stats

from tinydiff.base import InputError, Noise, philox
from tinydiff.base.noise import LOW_32

FIVE_SIGMA = 5


@pytest.mark.equation("PHILOX-1")
@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((LOW_32,) * 4, (LOW_32,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),  # digits of pi
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, words):
    arrays = tuple(np.array([c], dtype=np.uint64) for c in counter)
    assert tuple(int(w[0]) for w in philox(arrays, key)) == words


@pytest.mark.parametrize("draw", [Noise.normal, Noise.uniform])
@pytest.mark.parametrize("shape", [(64, 3), (64, 4, 5, 1), (64,)])
def test_a_sample_gets_the_same_numbers_in_any_batch(draw, shape):
    noise = Noise(seed=3, step=17)
    whole = draw(noise, shape, "eps", layer="head")
    for first, n in [(0, 1), (5, 1), (8, 8), (63, 1), (1, 63)]:
        shard = draw(noise.at(first=first), (n, *shape[1:]), "eps", layer="head")
        assert np.array_equal(shard, whole[first : first + n])


def test_shorter_draws_are_a_prefix_of_longer_ones():
    noise = Noise(seed=0)
    assert np.array_equal(noise.words(4, 9, "eps")[:, :6], noise.words(4, 6, "eps"))


def test_integers_do_not_depend_on_the_batch_either():
    noise = Noise(seed=5)
    whole = noise.integers(1, 1000, 32, "t")
    assert np.array_equal(noise.at(first=7).integers(1, 1000, 4, "t"), whole[7:11])


@pytest.mark.parametrize(
    "other",
    [
        lambda n: n.at(seed=1).normal((1000, 4), "eps", layer="a", dtype=np.float64),
        lambda n: n.at(step=1).normal((1000, 4), "eps", layer="a", dtype=np.float64),
        lambda n: n.at(first=1000).normal((1000, 4), "eps", layer="a", dtype=np.float64),
        lambda n: n.normal((1000, 4), "dropout", layer="a", dtype=np.float64),
        lambda n: n.normal((1000, 4), "eps", layer="b", dtype=np.float64),
    ],
    ids=["seed", "step", "sample", "purpose", "layer"],
)
def test_every_coordinate_gives_fresh_independent_numbers(other):
    noise = Noise(seed=0)
    a, b = noise.normal((1000, 4), "eps", layer="a", dtype=np.float64).ravel(), other(noise).ravel()
    assert not np.isin(a, b).any()
    assert abs(np.corrcoef(a, b)[0, 1]) < FIVE_SIGMA / a.size**0.5


@pytest.mark.equation("BM-1")
def test_normals_are_box_muller_of_the_words():
    noise = Noise(seed=9)
    u = (noise.words(6, 10, "eps").astype(np.float64) + 0.5) / 2**32
    z = (-2 * np.log(u[:, 0::2])) ** 0.5 * np.exp(2j * np.pi * u[:, 1::2])
    expected = np.stack([z.real, z.imag], axis=-1).reshape(6, 10)
    np.testing.assert_allclose(noise.normal((6, 10), "eps", dtype=np.float64), expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(noise.normal((6, 9), "eps"), expected[:, :9].astype(np.float32))


@pytest.mark.parametrize("shape", [(2**16, 1), (1, 2**16), (2**8, 2**8)])
def test_normals_are_standard_normal(shape):
    x = Noise(seed=1).normal(shape, "eps", dtype=np.float64).ravel()
    n = x.size
    assert abs(x.mean()) < FIVE_SIGMA / n**0.5
    assert abs(x.var() - 1) < FIVE_SIGMA * (2 / n) ** 0.5
    assert abs((x**3).mean()) < FIVE_SIGMA * (15 / n) ** 0.5
    assert abs((x**4).mean() - 3) < FIVE_SIGMA * (96 / n) ** 0.5
    assert abs((x[:-1] * x[1:]).mean()) < FIVE_SIGMA / n**0.5  # neighbours: the two of a Box-Muller pair
    assert abs((x[:-1] ** 2 * x[1:] ** 2).mean() - 1) < FIVE_SIGMA * (8 / n) ** 0.5
    assert stats.kstest(x, "norm").pvalue > 1e-6


def test_uniforms_are_uniform():
    u = Noise(seed=2).uniform((2**14, 4), "u").ravel()
    assert stats.kstest(u, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("word", [0, LOW_32])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_extreme_words_give_finite_numbers(monkeypatch, word, dtype):
    monkeypatch.setattr(Noise, "words", lambda self, n, m, *_: np.full((n, m), word, dtype=np.uint64))
    u = Noise(seed=0).uniform((2, 2), "u", dtype=dtype)
    assert ((u > 0) & (u < 1)).all()
    assert np.isfinite(Noise(seed=0).normal((2, 2), "eps", dtype=dtype)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_as_asked(dtype):
    noise = Noise(seed=0)
    assert noise.normal((2, 3), "eps", dtype=dtype).dtype == dtype
    assert noise.uniform((2, 3), "u", dtype=dtype).dtype == dtype
    assert noise.words(2, 3, "w").dtype == np.uint64
    assert noise.integers(0, 9, 2, "t").dtype == np.int64


@pytest.mark.parametrize(("low", "high"), [(1, 10), (0, 1), (-3, 3), (5, 5), (1, 1000)])
def test_integers_lie_in_the_range_both_ends_included(low, high):
    drawn = Noise(seed=4).integers(low, high, 20_000, "t")
    values, counts = np.unique(drawn, return_counts=True)
    assert np.array_equal(values, np.arange(low, high + 1))
    if high > low:
        assert stats.chisquare(counts).pvalue > 1e-6


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_a_permutation_is_a_bijection(n):
    assert np.array_equal(np.sort(Noise(seed=0).permutation(n, "order")), np.arange(n))


def test_permutations_differ_and_favour_no_position():
    noise = Noise(seed=0)
    orders = np.array([noise.at(step=epoch).permutation(8, "order") for epoch in range(2000)])
    assert len(np.unique(orders, axis=0)) > 1900
    for position in range(8):
        assert stats.chisquare(np.bincount(orders[:, position], minlength=8)).pvalue > 1e-6


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, None, "0"])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(InputError, match=r"seed is .*, but a"):
        Noise(seed=seed)


WIDE = [(0, 2**20), (0, 2**31), (-(2**31), 2**31 - 1), (0, 2**32 - 1), (0, 3 * 2**30 - 1), (0, 2**40), (0, 2**63 - 1)]


@pytest.mark.parametrize(("low", "high"), [*WIDE, (-(2**63), 2**63 - 1), (2**62, 2**62 + 2**61)])
def test_integers_of_wide_ranges_are_uniform_and_do_not_wrap(low, high):
    drawn = [int(n) for n in Noise(seed=5).integers(low, high, 20_000, "wide")]
    assert low <= min(drawn)
    assert max(drawn) <= high
    # false alarms: 2 tests in each of 9 ranges, each with probability 1e-6, on fixed seeds
    sixteenths = np.bincount([(n - low) * 16 // (high - low + 1) for n in drawn], minlength=16)
    assert stats.chisquare(sixteenths).pvalue > 1e-6
    assert stats.chisquare(np.bincount([n % 3 for n in drawn], minlength=3)).pvalue > 1e-6


def test_integers_of_wide_ranges_are_the_high_half_of_a_product():
    words = Noise(seed=5).words(100, 2, "wide").tolist()
    for low, high in WIDE:
        choices = high - low + 1
        expected = [low + (((first << 32 | second) * choices) >> 64) for first, second in words]
        assert Noise(seed=5).integers(low, high, 100, "wide").tolist() == expected


@pytest.mark.parametrize(("low", "high"), [(3, 2), (0, 2**63), (-(2**63) - 1, 0)])
def test_a_range_that_int64_cannot_hold_is_refused(low, high):
    with pytest.raises(InputError, match=r"low|high"):
        Noise(seed=0).integers(low, high, 4, "wide")
