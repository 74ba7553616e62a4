"""Pictures of images that are not square: every image keeps its shape, down to one row or one column."""

import numpy as np
import pytest
from PIL import Image

from tinydiff import plot
from tinydiff.base import InputError
from tinydiff.plot.course.layers import unet_passes
from tinydiff.plot.sheets import GAP, MARGIN, sheet

SIZES = [(8, 12), (12, 8), (1, 20), (20, 1), (1, 1)]


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 200, shape).astype(np.uint8)


def enlarged(image, scale):
    return image.repeat(scale, axis=0).repeat(scale, axis=1)


@pytest.mark.parametrize("size", SIZES)
def test_a_grid_shows_every_pixel_of_images_of_any_shape(size):
    images = random_bytes(4, *size, 3)
    grid = np.asarray(plot.image_grid(images, columns=2, scale=3))
    height, width = 3 * size[0], 3 * size[1]
    for i, image in enumerate(images):
        top, left = MARGIN + i // 2 * (height + GAP), MARGIN + i % 2 * (width + GAP)
        np.testing.assert_array_equal(grid[top : top + height, left : left + width], enlarged(image, 3))


@pytest.mark.parametrize(("size", "scale"), [((16, 16), 8), ((4, 64), 6), ((64, 4), 6), ((1, 40), 9), ((300, 2), 1)])
def test_without_a_scale_an_image_gets_about_the_area_of_a_square_one(size, scale):
    images = random_bytes(1, *size, 3)
    np.testing.assert_array_equal(np.asarray(plot.image_grid(images)), np.asarray(plot.image_grid(images, scale=scale)))


@pytest.mark.parametrize("size", SIZES)
def test_a_chain_of_images_of_any_shape_becomes_a_strip_and_an_animation(size, tmp_path):
    x = random_bytes(2, *size, 3) / 127.5 - 1
    frames = [(t, x * (1 - t / 4), x) for t in (4, 2, 0)]
    strip = np.asarray(plot.chain_strip(frames, samples=2, columns=3, estimate=True, scale=2))
    shown = enlarged(np.rint((x[0] + 1) * 127.5).astype(np.uint8), 2)
    rows = [top for top in range(len(strip)) if (strip[top] != 255).any()]
    assert rows
    assert any(
        (strip[top : top + len(shown), left : left + shown.shape[1]] == shown).all()
        for top in rows
        for left in range(strip.shape[1] - shown.shape[1])
    )
    path = plot.chain_gif(frames, tmp_path / "chain.gif", samples=2)
    with Image.open(path) as animation:
        assert animation.n_frames == 3


def test_neighbours_that_are_not_square_stand_beside_their_samples():
    samples, neighbours = random_bytes(2, 6, 9, 1), random_bytes(2, 3, 6, 9, 1, seed=1)
    picture = plot.neighbour_rows(samples, neighbours, np.ones((2, 3)), scale=4)
    assert isinstance(picture, Image.Image)
    with pytest.raises(InputError, match=r"neighbours has shape \(2, 3, 9, 6, 1\), but \(2, 3, 6, 9, 1\)"):
        plot.neighbour_rows(samples, neighbours.swapaxes(2, 3), np.ones((2, 3)))


def test_maps_of_words_are_spread_over_pictures_that_are_not_square():
    """A map of one bright number tints the pixels that it stands for, and no others."""
    image, maps = np.full((8, 12, 1), 255, np.uint8), np.zeros((1, 2, 6))
    maps[0, 1, 4] = 1
    picture = np.asarray(plot.attention_maps({"a": (image, maps)}, ["word"], scale=1))
    blue = (picture[..., 2].astype(int) - picture[..., 0] > 60).nonzero()
    assert np.ptp(blue[0]) + 1 == 4
    assert np.ptp(blue[1]) + 1 == 2
    with pytest.raises(InputError, match=r"side of the image = 12 .* = 8 equal parts"):
        plot.attention_maps({"a": (image, np.zeros((1, 8, 8)))}, ["word"])


def test_features_of_a_unet_keep_their_shape():
    maps = (np.random.default_rng(0).random((4, 12)), np.ones((4, 12)))
    figure = unet_passes([maps], maps, [maps])
    for image in figure.axes[0].images:
        left, right, bottom, top = image.get_extent()
        assert (right - left) / (top - bottom) == pytest.approx(3)


def test_a_sheet_of_one_column_has_room_for_its_title():
    narrow = sheet(np.zeros((2, 40, 1, 3), np.uint8), 1, None, "a title that is wider than the image")
    assert narrow.width > 100
