"""All distances at once: the figures are the metrics' own, and their intervals hold what they should."""

import numpy as np
import pytest
from arrays import to_xp
from scipy import stats

from tinydiff.base import InputError
from tinydiff.evaluate import (
    density_and_coverage,
    feature_metrics,
    frechet_distance_of,
    frechet_infinity,
    kernel_distance,
    precision_and_recall,
)
from tinydiff.evaluate.feature_metrics import metric_table
from tinydiff.evaluate.intervals import BLOCKS, STUDENT_T, jackknife


def test_students_t_is_scipys():
    assert stats.t(BLOCKS - 1).ppf(0.975) == pytest.approx(STUDENT_T, rel=1e-12)


@pytest.mark.equation("JACK-1")
def test_the_jackknife_of_a_mean_is_the_t_interval_of_the_means_of_blocks():
    """There leaving out a block and looking at that block alone say the same: the textbook's formula."""
    x, y = np.random.default_rng(0).normal(size=(2, 60))
    (found,) = jackknife(lambda i, j: (x[i].mean() - 2 * y[j].mean(),), 60, 60)
    blocks = x.reshape(BLOCKS, 6).mean(axis=1) - 2 * y.reshape(BLOCKS, 6).mean(axis=1)
    half = stats.t(BLOCKS - 1).ppf(0.975) * blocks.std(ddof=1) / BLOCKS**0.5
    assert found == pytest.approx((blocks.mean(), blocks.mean() - half, blocks.mean() + half), rel=1e-12)


def test_each_block_is_left_out_once_of_both_sets():
    left = []
    jackknife(lambda i, j: left.append((set(range(43)) - set(i), set(range(60)) - set(j))) or (0.0,), 43, 60)
    assert left[0] == (set(), set())
    for of_one, n in zip(zip(*left[1:], strict=True), (43, 60), strict=True):
        assert sorted(x for block in of_one for x in block) == list(range(n))
        assert {len(block) for block in of_one} <= {n // BLOCKS, n // BLOCKS + 1}


def test_data_sorted_by_class_have_the_intervals_of_shuffled_ones():
    """Two far classes, one after the other: of sorted rows, a tenth would be of one class, and the interval huge."""
    rng = np.random.default_rng(5)
    real, drawn = (np.concatenate([rng.normal(size=(100, 2)), 8 + rng.normal(size=(100, 2))]) for _ in range(2))
    order = rng.permutation(200)
    of_sorted, of_shuffled = (feature_metrics(real[i], drawn[i], "a", "b").frechet for i in (np.arange(200), order))
    assert of_sorted.value == pytest.approx(of_shuffled.value)
    ratio = (of_sorted.high - of_sorted.low) / (of_shuffled.high - of_shuffled.low)
    assert 1 / 3 < ratio < 3


@pytest.mark.slow
@pytest.mark.equation("JACK-1")
def test_the_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of two known Gaussians, 150 times: 95 % have a standard deviation of 1.8 %, and the range is 4.5 of them below.

    The Fréchet distance's interval is round its own mean, which is too large with so few images: it is extrapolated.
    """
    rng, n, width = np.random.default_rng(1), 200, 4
    mu = np.full(width, 0.5)
    third = np.einsum("i,j,k->ijk", mu, mu, mu)
    for axes in ("i,jk->ijk", "j,ik->ijk", "k,ij->ijk"):
        third += np.einsum(axes, mu, np.eye(width))
    squares = ((mu**2).sum(), (np.outer(mu, mu) ** 2).sum(), (third**2).sum())
    truth = np.array([squares[0], 3 * squares[0] / width + 3 * squares[1] / width**2 + squares[2] / width**3])
    held = np.zeros(2)
    for _ in range(150):
        x, y = rng.standard_normal((2, n, width)) + np.array([0, 0.5])[:, None, None]
        of = jackknife(lambda i, j, x=x, y=y: (frechet_infinity(x[i], y[j]), kernel_distance(x[i], y[j])), n, n)
        held += [estimate.low <= t <= estimate.high for estimate, t in zip(of, truth, strict=True)]
    assert (held / 150 > 0.95 - 4.5 * 0.0178).all()
    assert (held / 150 < 0.999).all()  # an interval that holds everything says nothing


def test_each_figure_is_that_of_its_own_function(xp):
    rng = np.random.default_rng(2)
    real, drawn = rng.normal(size=(50, 3)), 0.4 + 0.8 * rng.normal(size=(41, 3))
    found = feature_metrics(to_xp(xp, real), to_xp(xp, drawn), "the numbers themselves", "numbers, test")
    assert (found.n_real, found.n_drawn) == (50, 41)
    assert found.frechet.value == pytest.approx(frechet_distance_of(real, drawn), rel=1e-12)
    assert found.frechet_infinity.low < frechet_infinity(real, drawn) < found.frechet_infinity.high  # of other halves
    assert found.kernel.value == pytest.approx(kernel_distance(real, drawn), rel=1e-12)
    assert (found.precision.value, found.recall.value) == precision_and_recall(real, drawn, 3)
    assert (found.density.value, found.coverage.value) == pytest.approx(density_and_coverage(real, drawn, 5))
    for figure in (found.frechet, found.kernel, found.precision, found.density):
        assert figure.low < figure.value < figure.high


@pytest.mark.pitfall(21)
def test_pitfall_21_what_is_printed_says_extractor_split_number_and_interval():
    x, y = np.random.default_rng(3).normal(size=(2, 30, 2))
    said = str(feature_metrics(x, y, "two numbers", "numbers, test"))
    for words in ("30 real images of numbers, test", "samples, N = 30", "features of two numbers", "95 %", "jackknife"):
        assert words in said
    assert sum("[" in line for line in said.split("\n")) == 7
    table = metric_table({"samples": feature_metrics(x, y, "a", "b"), "real": feature_metrics(x, x, "a", "b")})
    assert all(line.count("[") == 2 for line in table[2:-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"drawn": np.zeros((19, 2))}, "drawn has 19 images, but at least 20 are needed for an interval"),
        ({"real": np.zeros((40, 3))}, "drawn has shape"),
        ({"drawn": np.full((30, 2), np.nan)}, "drawn holds NaN"),
        ({"extractor": " "}, "extractor is empty, but a figure means nothing without it"),
        ({"split": ""}, "split is empty"),
    ],
)
def test_feature_metrics_refuse(changes, message):
    rng = np.random.default_rng(4)
    given = {"real": rng.normal(size=(30, 2)), "drawn": rng.normal(size=(30, 2)), "extractor": "a", "split": "b"}
    with pytest.raises(InputError, match=message):
        feature_metrics(**(given | changes))
