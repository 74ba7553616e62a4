"""The pictures of chains and clouds of points show the numbers they were given."""

import numpy as np
import pytest
from pictures import RNG, drawn

from tinydiff import plot
from tinydiff.base import InputError


def test_scores_are_arrows_over_densities():
    x, y = np.linspace(-1, 1, 32), np.linspace(-1, 1, 16)
    score = np.stack(np.broadcast_arrays(-x, -y[:, None]), axis=-1)
    figure = plot.score_fields(x, y, {"t = 1": np.exp(-(x**2) - y[:, None] ** 2)}, {"t = 1": score})
    (axes,) = figure.axes
    _, arrows = axes.collections
    u, v, (px, py) = arrows.U, arrows.V, arrows.XY.T
    np.testing.assert_allclose(u * py, v * px, atol=1e-12)  # towards the middle
    assert (u * px <= 0).all()
    assert np.hypot(u, v).max() == pytest.approx(1)
    with pytest.raises(InputError, match="the same names"):
        plot.score_fields(x, y, {"t = 1": score[..., 0]}, {"t = 2": score})
    with pytest.raises(InputError, match="scores of t = 1 has shape"):
        plot.score_fields(x, y, {"t = 1": score[..., 0]}, {"t = 1": score[..., 0]})


def test_losses_of_a_run_stand_over_the_floor():
    t, losses = np.array([1, 10, 100]), {"step 1": np.ones(3), "step 9": np.full(3, 0.5)}
    figure = plot.loss_by_timestep_runs(t, losses, np.full(3, 0.1))
    (axes,) = figure.axes
    np.testing.assert_array_equal(drawn(axes, "step 9"), np.stack([t, losses["step 9"]], axis=1))
    (floor,) = axes.collections
    np.testing.assert_allclose(floor.get_paths()[0].get_extents().intervaly, [0.05, 0.1])
    with pytest.raises(InputError, match="floor has shape"):
        plot.loss_by_timestep_runs(t, losses, np.ones(2))
    with pytest.raises(InputError, match="1 to 5 were expected"):
        plot.loss_by_timestep_runs(t, {}, np.ones(3))


def test_paths_end_in_a_histogram_of_all_chains():
    t, x = np.array([2, 1, 0]), np.linspace(-3, 3, 7)
    paths = {"one": RNG.uniform(-3, 3, (3, 40)), "two": RNG.uniform(-3, 3, (3, 40))}
    figure = plot.paths_to_data(t, paths, x, np.full(7, 1 / 6))
    for (left, right), chains in zip(np.reshape(figure.axes, (2, 2)), paths.values(), strict=True):
        np.testing.assert_array_equal(np.stack([line.get_ydata() for line in left.lines], axis=1), chains[:, :12])
        assert left.get_xlim() == (2, 0)
        assert sum(bar.get_width() * bar.get_height() for bar in right.patches) == pytest.approx(1)
    with pytest.raises(InputError, match="one has shape"):
        plot.paths_to_data(t, {"one": paths["one"][1:]}, x, x)
    with pytest.raises(InputError, match="1 to 3 samplers"):
        plot.paths_to_data(t, {}, x, x)


def test_clouds_of_points_share_their_reach():
    clouds = {"one": RNG.standard_normal((5, 2)), "two": RNG.standard_normal((9, 2))}
    figure = plot.point_clouds(clouds, 2.5)
    for axes, (name, points) in zip(figure.axes, clouds.items(), strict=True):
        assert axes.get_title(loc="left") == name
        np.testing.assert_array_equal(axes.lines[0].get_xydata(), points)
        assert axes.get_xlim() == axes.get_ylim() == (-2.5, 2.5)
    with pytest.raises(InputError, match=r"one has shape \(3, 3\)"):
        plot.point_clouds({"one": np.zeros((3, 3))}, 1)
    with pytest.raises(InputError, match="1 to 5 were expected"):
        plot.point_clouds({}, 1)
