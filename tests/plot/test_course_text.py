"""The pictures about words show the tokens and the weights that they were given."""

import numpy as np
import pytest
from arrays import to_xp
from matplotlib.colors import to_rgb

from tinydiff import plot
from tinydiff.base import InputError
from tinydiff.plot.style import BLUE


def test_a_text_is_drawn_as_its_tokens_with_gaps_between_words():
    figure = plot.token_rows({"bytes": ["r", "e", "d ", "h", "a", "t "], "words": ["red ", "hat "]}, title="merged")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [
        *("merged", "bytes", "r", "e", "d", "h", "a", "t"),
        *("words", "red", "hat"),
    ]
    boxes = [(box.get_x(), box.get_width()) for box in axes.patches]
    assert boxes == [(0, 1), (1, 1), (2, 1), (4, 1), (5, 1), (6, 1), (0, 3), (4, 3)]  # the same letters, the same place
    colours = [box.get_facecolor() for box in axes.patches]
    assert colours[0] != colours[1]
    assert colours[0] == colours[2]
    low, high = axes.get_xlim()
    assert low < -len("bytes")
    assert high > 7
    for bad in ({}, {"a": ["b", " "]}):
        with pytest.raises(InputError, match="no token may be empty"):
            plot.token_rows(bad)


def test_maps_of_tokens_share_one_scale_and_name_rows_and_columns():
    maps = {"one": np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]]), "two": np.full((2, 3), 1 / 3)}
    figure = plot.token_maps(maps, ["a", "b"], ["c", "d", "e"], "who looks", "at whom", title="heads")
    *panels, _ = figure.axes
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), values)
        assert axes.images[0].get_clim() == (0, 0.7)
        assert (axes.get_title(loc="left"), axes.get_xlabel()) == (name, "at whom")
        assert [label.get_text() for label in axes.get_xticklabels()] == ["c", "d", "e"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["a", "b"]
    assert panels[0].get_ylabel() == "who looks"
    with pytest.raises(InputError, match=r"one has shape \(2, 3\), but \(3, 3\)"):
        plot.token_maps(maps, ["a", "b", "c"], ["c", "d", "e"], "", "")
    with pytest.raises(InputError, match="1 to 4 were expected"):
        plot.token_maps({}, ["a"], ["b"], "", "")


def tinted(pixels, weights, largest):
    """The pale grey picture under blue, one pixel at a time."""
    height, width, _ = pixels.shape
    drawn = np.empty((height, width, 3), np.uint8)
    for y, x in np.ndindex(height, width):
        weight = weights[y * len(weights) // height, x * len(weights[0]) // width]
        cover = plot.course.text.FULL * weight / largest
        grey = 255 * plot.course.text.FADED + (1 - plot.course.text.FADED) * sum(map(int, pixels[y, x])) / 3
        drawn[y, x] = [round((1 - cover) * grey + cover * 255 * channel) for channel in to_rgb(BLUE)]
    return drawn


def test_attention_is_spread_over_the_picture_in_one_scale(xp):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    maps = rng.uniform(0, 0.5, (2, 3, 2, 3))
    rows = {"first": (to_xp(xp, images[0]), to_xp(xp, maps[0])), "second": (images[1], maps[1])}
    picture = plot.attention_maps(rows, ["a", "red", "hat"], scale=8, title="words")
    expected = {
        name: np.stack([image, *(tinted(image, weights, maps.max()) for weights in row)])
        for name, image, row in zip(rows, images, maps, strict=True)
    }
    assert picture == plot.image_rows(expected, 8, "words", ["picture", "a", "red", "hat"])
    nothing = plot.attention_maps({"none": (np.zeros((4, 4)), np.zeros((1, 2, 2)))}, ["a"])
    assert nothing.size  # no weights at all are no division by zero


def test_attention_maps_refuse():
    image, maps = np.zeros((4, 4, 3)), np.ones((2, 2, 2))
    for rows, message in [
        ({}, "rows is empty"),
        ({"a": (image, maps[:1])}, r"maps has shape \(1, 2, 2\), but \(2, any, any\)"),
        ({"a": (image, np.ones((2, 3, 2)))}, "a side of the image = 4 cannot be divided into the map's = 3"),
    ]:
        with pytest.raises(InputError, match=message):
            plot.attention_maps(rows, ["a", "b"])


def test_the_trade_of_guidance_is_drawn_as_it_was_given():
    figure = plot.guidance_trade([1, 2.5], [0.5, 0.9], [0.8, 0.4], [3.0, 7.0], [0.7, 0.95], title="trade")
    trade, cost, share = figure.axes
    np.testing.assert_array_equal(trade.lines[0].get_xydata(), [[0.8, 0.5], [0.4, 0.9]])
    assert [text.get_text() for text in trade.texts] == ["1", "2.5"]
    np.testing.assert_array_equal(cost.lines[0].get_xydata(), [[1, 3], [2.5, 7]])
    np.testing.assert_array_equal(share.lines[0].get_xydata(), [[1, 0.7], [2.5, 0.95]])
    with pytest.raises(InputError, match=r"recall has shape \(1,\), but \(2\)"):
        plot.guidance_trade([1, 2], np.ones(2), np.ones(1), np.ones(2), np.ones(2))


def test_shares_of_tones_are_stacked_in_their_own_colours():
    figure = plot.tone_shares({"1": [0.25, 0.75], "real": [0.5, 0.5]}, ["#ffdbac", "#8d5524"], "share", title="tones")
    (axes,) = figure.axes
    bars = [(bar.get_y(), bar.get_height()) for bar in axes.patches]
    assert bars == [(0, 0.25), (0, 0.5), (0.25, 0.75), (0.5, 0.5)]
    assert axes.patches[2].get_facecolor()[:3] == to_rgb("#8d5524")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "real"]
    for bad, message in [({}, "shares is empty"), ({"a": [1.0]}, "shares has shape")]:
        with pytest.raises(InputError, match=message):
            plot.tone_shares(bad, ["#ffdbac", "#8d5524"], "")
