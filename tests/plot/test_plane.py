"""Pictures of points in the plane show the numbers they were given."""

import numpy as np
import pytest
from pictures import RNG
from PIL import Image

from tinydiff import plot
from tinydiff.base import InputError


def test_densities_are_heat_with_points_on_it():
    x, y = np.linspace(-1, 1, 8), np.linspace(-2, 2, 6)
    density, points = np.exp(-(x**2) - y[:, None] ** 2), RNG.standard_normal((5, 2))
    figure = plot.plane_densities(x, y, {"one": density, "two": 3 * density}, {"two": points})
    one, two = figure.axes
    for axes in (one, two):
        np.testing.assert_allclose(axes.collections[0].get_array().reshape(6, 8), density / density.max())
    assert not one.lines
    np.testing.assert_array_equal(two.lines[0].get_xydata(), points)
    with pytest.raises(InputError, match="one has shape"):
        plot.plane_densities(x, y, {"one": density.T})
    with pytest.raises(InputError, match="some of them"):
        plot.plane_densities(x, y, {"one": density}, {"two": points})


def test_paths_go_from_circles_to_dots():
    paths, data = {"a": RNG.standard_normal((4, 9, 2)), "b": RNG.standard_normal((3, 500, 2))}, np.zeros((2, 2))
    figure = plot.plane_paths(paths, 2.5, data)
    for axes, path in zip(figure.axes, paths.values(), strict=True):
        few = path[:, :400]
        below, *ways, start, end = axes.lines
        np.testing.assert_array_equal(below.get_xydata(), data)
        np.testing.assert_array_equal(np.stack([way.get_xydata() for way in ways], axis=1), few)
        np.testing.assert_array_equal(start.get_xydata(), few[0])
        np.testing.assert_array_equal(end.get_xydata(), few[-1])
        assert axes.get_ylim() == (-2.5, 2.5)
    with pytest.raises(InputError, match="a has shape"):
        plot.plane_paths({"a": data}, 1)
    with pytest.raises(InputError, match="1 to 5 names"):
        plot.plane_paths({}, 1)


def test_an_image_has_a_square_where_a_point_is():
    pixels = plot.plane_image(np.array([[0.5, 0.5], [5.0, 0.0], [np.nan, 0.0]]), 1.0, side=40)
    assert pixels.shape == (40, 40, 3)
    inked = (pixels < 255).any(axis=2)
    rows, columns = inked.nonzero()
    assert inked.sum() == 9  # the other two are not seen
    assert (rows.mean(), columns.mean()) == (9, 30)  # up is up, right is right
    twice = plot.plane_image(np.full((2, 2), 0.5), 1.0, side=40)
    assert (twice[inked] <= pixels[inked]).all()
    assert (twice != pixels).any()
    corner = plot.plane_image(np.array([[-1.0, -1.0], [0.999, 0.999]]), 1.0, side=40)
    assert (corner < 255).any(axis=2).sum() == 8  # two squares, cut by the border
    for wrong, told in (((np.zeros(3), 1.0), "points has shape"), ((np.zeros((1, 2)), 0.0), "reach is 0")):
        with pytest.raises(InputError, match=told):
            plot.plane_image(*wrong)


def test_a_chain_of_points_is_an_animation(tmp_path):
    frames = [(t, RNG.standard_normal((6, 1, 1, 2)), np.zeros((6, 1, 1, 2))) for t in range(9, -1, -1)]
    path = plot.plane_gif(iter(frames), tmp_path / "points.gif", max_frames=4, about={"sampler": "ddim"})
    with Image.open(path) as gif:
        assert gif.n_frames == 4
        assert b"ddim" in gif.info["comment"]
    flat = [(t, x[:, 0, 0], guess[:, 0, 0]) for t, x, guess in frames]
    assert plot.plane_gif(flat, tmp_path / "flat.gif", max_frames=4, about={"sampler": "ddim"}).read_bytes() == (
        path.read_bytes()
    )
    with pytest.raises(InputError, match="frames is empty"):
        plot.plane_gif([], tmp_path / "none.gif")
    with pytest.raises(InputError, match="points has shape"):
        plot.plane_gif([(1, np.zeros((3, 3)), np.zeros((3, 3)))], tmp_path / "none.gif")
