"""The pictures about layers and their cost show the numbers they were given."""

import numpy as np
import pytest
from pictures import RNG

from tinydiff import plot
from tinydiff.base import InputError


def test_a_jacobian_is_drawn_transposed_beside_its_product():
    matrix, d_y = RNG.standard_normal((4, 3)), RNG.standard_normal(4)
    figure = plot.jacobian(matrix, d_y, d_y @ matrix)
    shown = [axes.images[0] for axes in figure.axes]
    for image, expected in zip(shown, (matrix.T, d_y[:, None], (d_y @ matrix)[:, None]), strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
        low, high = image.get_clim()
        assert low == -high  # so that white is 0
    with pytest.raises(InputError, match="d_y has shape"):
        plot.jacobian(matrix, d_y[1:], d_y[1:])


def test_jacobians_can_share_a_scale():
    matrix, d_y = RNG.standard_normal((4, 3)), np.array([1.0, -2.0, 0.5, 0.0])
    limits = [axes.images[0].get_clim() for axes in plot.jacobian(matrix, d_y, d_y @ matrix, largest=0.25).axes]
    assert limits == [(-0.25, 0.25), (-2, 2), (-0.5, 0.5)]
    with pytest.raises(InputError, match="largest is 0"):
        plot.jacobian(matrix, d_y, d_y @ matrix, largest=0)


def test_signed_maps_share_one_scale_and_show_small_numbers():
    maps = {"one": np.array([[1.0, -3.0]]), "two": np.array([[0.25]]), "sum": np.zeros((1, 2))}
    figure = plot.signed_maps(maps, ["+", "="], title="maps", numbers=True)
    for axes, (name, values) in zip(figure.axes, maps.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), values)
        assert axes.images[0].get_clim() == (-3, 3)
        assert axes.get_title(loc="left") == name
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [
        ["1", "-3"],
        ["0.25", "+"],
        ["", "", "="],
    ]
    assert not any(len(axes.texts) for axes in plot.signed_maps(maps).axes)
    with pytest.raises(InputError, match="signs holds 1 texts"):
        plot.signed_maps(maps, ["+"])
    with pytest.raises(InputError, match="1 to 6 were expected"):
        plot.signed_maps({})
    with pytest.raises(InputError, match="one has 1 axes"):
        plot.signed_maps({"one": np.zeros(3)})


def test_a_unet_is_drawn_with_all_its_maps_and_a_plus_for_each_skip():
    down, up = (
        [(RNG.standard_normal((n, n)), RNG.standard_normal((n, n))) for n in sizes] for sizes in ((8, 4), (4, 8))
    )
    middle = (np.ones((4, 4)), np.zeros((4, 4)))
    figure = plot.unet_passes(down, middle, up)
    (axes,) = figure.axes
    shown = [image.get_array() for image in axes.images]
    for image, expected in zip(shown, [a for pair in (*down, middle, *up) for a in pair], strict=True):
        np.testing.assert_array_equal(image, expected)
    assert [text.get_text() for text in axes.texts].count("+") == 2
    with pytest.raises(InputError, match="down has 2 levels and up 1"):
        plot.unet_passes(down, middle, up[:1])
    with pytest.raises(InputError, match="gradient has shape"):
        plot.unet_passes(down, (np.ones((4, 4)), np.ones((2, 2))), up)


def test_the_roof_is_the_lower_of_two_limits_and_ways_stand_under_it():
    ways = {"dense": (50.0, 8e10), "sparse": (0.1, 1e9)}
    (axes,) = plot.roofline(ways, peak=1e11, bandwidth=1e10).axes
    roof, *points = axes.lines
    np.testing.assert_allclose(roof.get_ydata(), np.minimum(100, 10 * roof.get_xdata()))
    assert roof.get_xdata()[0] < 0.1 < 50 < roof.get_xdata()[-1]
    assert [(p.get_xdata()[0], p.get_ydata()[0]) for p in points] == [(50, 80), (0.1, 1)]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["roof", "dense", "sparse"]
    for bad in ({}, {"a": (0, 1)}):
        with pytest.raises(InputError, match="positive"):
            plot.roofline(bad, 1, 1)
