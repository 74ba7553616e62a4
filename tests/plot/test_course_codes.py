"""The pictures of codes show the numbers they were given."""

import numpy as np
import pytest
from pictures import RNG

from tinydiff import plot
from tinydiff.base import InputError


def test_regions_are_those_of_the_nearest_code():
    points, codes = RNG.standard_normal((20, 2)), np.array([[-1.0, 0.0], [1.0, 0.5]])
    figure = plot.code_regions({"one": (points, codes), "two": (points, codes[:1])}, 2.0)
    left, right = figure.axes
    np.testing.assert_array_equal(left.lines[0].get_xydata(), points)
    np.testing.assert_array_equal(left.lines[1].get_xydata(), codes)
    border = np.concatenate([path.vertices for c in left.collections for path in c.get_paths()])
    distances = np.linalg.norm(border[:, None] - codes, axis=-1)
    np.testing.assert_allclose(distances[:, 0], distances[:, 1], atol=0.03)  # on the border both are as near
    assert len(border) > 100
    assert not right.collections, "one code has no border"
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["one", "two"]


def test_regions_refuse_what_is_not_in_the_plane():
    points = np.zeros((3, 2))
    with pytest.raises(InputError, match="codebook of one has shape"):
        plot.code_regions({"one": (points, np.zeros((3, 3)))}, 1.0)
    with pytest.raises(InputError, match="vectors of one has shape"):
        plot.code_regions({"one": (np.zeros(3), points)}, 1.0)
    with pytest.raises(InputError, match="1 to 5 were expected"):
        plot.code_regions({}, 1.0)


def test_bars_are_shares_in_falling_order():
    figure = plot.usage_bars({"one": np.array([1, 0, 3]), "two": np.array([2.0, 2.0])}, title="used")
    for axes, shares in zip(figure.axes, ([0.75, 0.25, 0], [0.5, 0.5]), strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in axes.patches], shares)
        assert axes.lines[0].get_ydata()[0] == pytest.approx(1 / len(shares))
    with pytest.raises(InputError, match="no use of any code"):
        plot.usage_bars({"one": np.zeros(3)})
    with pytest.raises(InputError, match="1 to 6 were expected"):
        plot.usage_bars({})
