"""Shares of samples are counted right, and their intervals hold the true share."""

import numpy as np
import pytest
from arrays import to_xp
from scipy.stats import binom

from tinydiff.base import InputError
from tinydiff.evaluate import class_shares, confident_share, wilson_share
from tinydiff.evaluate.shares import Z_95


def test_confident_share_counts_rows_above_the_threshold(xp):
    probabilities = to_xp(xp, [[0.95, 0.05], [0.1, 0.9], [0.5, 0.5], [0.0, 1.0]])
    assert confident_share(probabilities).value == 0.5  # 0.9 itself is not above 0.9
    assert confident_share(probabilities, threshold=0.6).value == 0.75
    assert confident_share(probabilities.astype(np.float32), threshold=0).value == 1


def test_class_shares_count_the_most_probable_class(xp):
    probabilities = to_xp(xp, np.eye(4)[[0, 0, 1, 3, 3, 3, 1, 0]] * 0.6 + 0.1)
    shares = class_shares(probabilities, 4)
    assert shares.value.tolist() == [3 / 8, 2 / 8, 0, 3 / 8]
    assert shares.low.shape == shares.high.shape == (4,)


def test_shares_interval_stays_within_zero_and_one_and_holds_the_value():
    shares = class_shares(np.eye(3)[[0] * 20], 3)
    assert (shares.low >= -1e-15).all()
    assert (shares.high <= 1 + 1e-15).all()
    assert (shares.low <= shares.value + 1e-15).all()
    assert (shares.value <= shares.high + 1e-15).all()
    assert shares.high[1] > 0.1  # none of 20 is no proof of never


@pytest.mark.equation("WILSON-1")
@pytest.mark.parametrize("n", [50, 1000])
def test_shares_interval_holds_the_true_share_in_95_percent_of_samples(n):
    """Exact: the binomial law is summed, nothing is drawn."""
    counts = np.arange(n + 1)
    shares = wilson_share(counts, n)

    def coverage(p):
        return binom.pmf(counts, n, p)[(shares.low <= p) & (p <= shares.high)].sum()

    coverages = [coverage(p) for p in np.linspace(0.02, 0.98, 193)]
    assert np.mean(coverages) == pytest.approx(0.95, abs=0.005)
    assert min(coverages) > 0.88


@pytest.mark.equation("WILSON-1")
def test_shares_interval_ends_where_the_share_is_a_test_at_5_percent_away():
    share = wilson_share(30, 40)
    for p in (share.low, share.high):
        assert abs(share.value - p) / (p * (1 - p) / 40) ** 0.5 == pytest.approx(Z_95)


@pytest.mark.parametrize(("count", "n"), [(3, 0), (3, 2.5), (-1, 5), (6, 5), (float("nan"), 5)])
def test_a_share_is_of_something(count, n):
    with pytest.raises(InputError, match=r"were expected|was expected"):
        wilson_share(count, n)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.zeros((0, 3)), "it is empty"),
        (np.ones(3), "probabilities has 1 axes|probabilities has shape"),
        (np.ones((2, 3)), "do not add to 1. Apply softmax"),
        (np.array([[1.5, -0.5, 0.0]]), "negative or do not add to 1"),
        (np.full((2, 3), np.nan), "probabilities holds NaN"),
    ],
)
def test_shares_refuse(probabilities, message):
    with pytest.raises(InputError, match=message):
        confident_share(probabilities)
    with pytest.raises(InputError, match=message):
        class_shares(probabilities, 3)


def test_shares_refuse_another_number_of_classes_and_a_threshold_above_one():
    with pytest.raises(InputError, match=r"probabilities has shape \(3, 3\), but \(any, 10\)"):
        class_shares(np.eye(3), 10)
    with pytest.raises(InputError, match="threshold is 90"):
        confident_share(np.eye(3), threshold=90)
