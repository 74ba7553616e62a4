"""The loss by timestep is the mean of each bin, with its standard error."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import loss_by_timestep


def test_loss_by_timestep_is_the_mean_and_standard_error_of_each_bin(xp):
    rng = np.random.default_rng(11)
    t, losses = rng.integers(1, 101, 500), rng.uniform(0, 1, 500).astype(np.float32)
    result = loss_by_timestep(to_xp(xp, t), to_xp(xp, losses), T=100, bins=7)
    edges = np.arange(8) * 100 / 7
    for b in range(7):
        inside = losses[(edges[b] < t) & (t <= edges[b + 1])].astype(float)
        assert result.n[b] == len(inside)
        assert result.mean[b] == pytest.approx(inside.mean(), rel=1e-12)
        assert result.standard_error[b] == pytest.approx(inside.std(ddof=1) / len(inside) ** 0.5, rel=1e-12)
    np.testing.assert_allclose(result.t, (edges[:-1] + edges[1:]) / 2)


@pytest.mark.parametrize(("T", "bins"), [(1000, 1000), (1000, 10), (1000, 7), (12, 5), (1, 1)])
def test_loss_by_timestep_puts_every_step_into_one_bin(T, bins):
    t = np.arange(1, T + 1)
    result = loss_by_timestep(t, t.astype(float), T, bins)
    assert result.n.sum() == T
    assert result.n.max() - result.n.min() <= 1
    assert (np.diff(result.mean) > 0).all()


def test_loss_by_timestep_of_real_steps_and_of_empty_bins():
    result = loss_by_timestep(np.array([0.001, 1.5, 9.0]), np.array([1.0, 2.0, 3.0]), T=10, bins=5)
    assert result.n.tolist() == [2, 0, 0, 0, 1]
    np.testing.assert_array_equal(result.mean, [1.5, np.nan, np.nan, np.nan, 3.0])
    np.testing.assert_array_equal(result.standard_error, [0.5, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("t", "losses", "bins", "message"),
    [
        (np.array([0, 1]), np.zeros(2), 5, "t has the value 0"),
        (np.array([1, 11]), np.zeros(2), 5, "t has the value 11, but steps above 0 and up to T = 10"),
        (np.array([1, 2]), np.zeros(3), 5, r"losses has shape \(3,\)"),
        (np.array([1, 2]), np.array([0, np.nan]), 5, "losses holds NaN"),
        (np.array([1, 2]), np.zeros(2), 11, "bins is 11"),
        (np.zeros(0), np.zeros(0), 5, "t has shape .* it is empty"),
    ],
)
def test_loss_by_timestep_refuses(t, losses, bins, message):
    with pytest.raises(InputError, match=message):
        loss_by_timestep(t, losses, T=10, bins=bins)
