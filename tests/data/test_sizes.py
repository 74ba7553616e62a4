"""Data that is not square: cut in the middle, averaged, never squeezed, and said."""

import numpy as np
import pytest
from PIL import Image

from tinydiff.base import InputError, Noise
from tinydiff.data import Dataset, load_avatars, load_data, load_folder
from tinydiff.data.masks import random_masks
from tinydiff.data.resizing import area_average, crop_to_aspect


def data_of(images, source="here"):
    return Dataset(images, np.zeros(len(images), int), "x", "train", source)


def random_bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("size", [(14, 7), (4, 28), (9, 12), (30, 50), (1, 1)])
def test_an_area_average_is_that_of_pixels_cut_so_small_that_both_sizes_fit(size):
    images = random_bytes(5, 12, 8, 3)
    h, w = size
    fine = images.astype(int).repeat(h, axis=1).repeat(w, axis=2)  # 12 h x 8 w marks
    blocks = fine.reshape(5, h, 12, w, 8, 3).sum(axis=(2, 4))
    np.testing.assert_array_equal(area_average(images, size), np.rint(blocks / (12 * 8)))


@pytest.mark.parametrize(
    ("old", "size", "rows", "columns"),
    [
        ((28, 28), (8, 12), slice(4, 23), slice(0, 28)),  # 28 * 8 / 12 = 18.7 rows: 4 go at the top, 5 at the bottom
        ((28, 28), (12, 8), slice(0, 28), slice(4, 23)),
        ((6, 4), (5, 5), slice(1, 5), slice(0, 4)),
        ((7, 4), (1, 1), slice(1, 5), slice(0, 4)),
        ((6, 9), (4, 6), slice(0, 6), slice(0, 9)),
        ((4, 5), (1, 100), slice(1, 2), slice(0, 5)),  # one row is the least
    ],
)
def test_the_middle_of_the_wanted_aspect_ratio_stays(old, size, rows, columns):
    images = random_bytes(2, *old, 1)
    middle = crop_to_aspect(images, size)
    np.testing.assert_array_equal(middle, images[:, rows, columns])
    resized = data_of(images).resize(size)
    np.testing.assert_array_equal(resized.images, area_average(middle, size))
    whole = middle.shape == images.shape
    middle_of = f"(cut to the middle {middle.shape[1]} x {middle.shape[2]} of {old[0]} x {old[1]})"
    assert resized.source == ("here" if whole else f"here {middle_of}")
    assert resized.describe().endswith(resized.source)


def test_a_picture_is_not_squeezed():
    """A white square of 4 x 4 stays one: it is of 2 x 2 in a picture of half the size, whatever the picture's shape."""
    images = np.zeros((1, 12, 20, 1), np.uint8)
    images[:, 4:8, 8:12] = 255
    for size, (top, left) in {(6, 10): (2, 4), (6, 6): (2, 2), (2, 10): (0, 4)}.items():
        expected = np.zeros((*size, 1), np.uint8)
        expected[top : top + 2, left : left + 2] = 255
        np.testing.assert_array_equal(data_of(images).resize(size).images[0], expected)


def test_one_number_and_two_equal_ones_are_the_same_square():
    data = load_data("digits").take(slice(0, 5))
    np.testing.assert_array_equal(data.resize(5).images, data.resize((5, 5)).images)
    assert data.resize((8, 8)) is data
    assert data.resize([4, 8]).images.shape == (5, 4, 8, 1)


def test_portraits_can_be_resized_to_another_shape():
    portraits = load_avatars("test", 3).resize((16, 12))
    np.testing.assert_array_equal(portraits.images, load_avatars("test", 3).images[:, :, 2:14])
    assert "cut to the middle 16 x 12 of 16 x 16" in portraits.describe()


def test_padding_keeps_pixels_that_are_not_square():
    images = random_bytes(2, 3, 4, 1)
    padded = data_of(images).pad((5, 4)).images
    np.testing.assert_array_equal(padded[:, 1:4], images)
    assert padded.sum() == images.sum()
    assert data_of(images).pad((4, 9)).images.shape == (2, 4, 9, 1)
    with pytest.raises(InputError, match="size is 3 x 3, but images of 3 x 4 cannot be padded to less"):
        data_of(images).pad(3)


def test_a_folder_gives_images_of_any_shape_and_says_how_many_were_cropped(tmp_path):
    shapes = {"a.png": (8, 12), "b.png": (20, 12), "c.png": (16, 24)}
    pixels = {name: random_bytes(*shape, 3, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    for name, image in pixels.items():
        Image.fromarray(image).save(tmp_path / name)
    data = load_folder(tmp_path, (4, 6))
    assert data.images.shape == (3, 4, 6, 3)
    np.testing.assert_array_equal(data.images[0], area_average(pixels["a.png"][None], (4, 6))[0])
    np.testing.assert_array_equal(data.images[1], area_average(pixels["b.png"][None, 6:14], (4, 6))[0])
    assert data.notes == ("1 of 3 pictures: cropped in the middle.",)
    assert load_folder(tmp_path, 4).notes == ("3 of 3 pictures: cropped in the middle.",)
    assert load_folder(tmp_path, 4, fit="pad").notes == ("3 of 3 pictures: bars of white are added at two sides.",)
    (tmp_path / "b.png").unlink()
    assert load_folder(tmp_path, (4, 6)).notes == ()


def test_a_mask_of_a_wide_picture_is_that_of_a_square_drawn_twice_as_fine_across():
    """Lines are shares of a side: a rectangle from column 3 to 6 of 8 is one from 1 to 3 of 4."""
    wide, square = (random_masks(300, size, Noise(0))[..., 0] for size in ((4, 8), 4))
    assert wide.shape == (300, 4, 8)
    assert len(np.unique(wide, axis=0)) > 100
    halves = wide.reshape(300, 4, 4, 2)
    to_draw_is_the_rectangle = (halves.min(axis=3) == square).all(axis=(1, 2))
    known_is_the_rectangle = (halves.max(axis=3) == square).all(axis=(1, 2))
    assert (to_draw_is_the_rectangle | known_is_the_rectangle).all()
    np.testing.assert_array_equal(random_masks(20, 8, Noise(0)), random_masks(20, (8, 8), Noise(0)))


@pytest.mark.parametrize("size", [0, (8, 0), (8,), "8x8"])
def test_a_bad_size_is_one_clear_sentence(size, tmp_path):
    data = load_data("digits").take(slice(0, 2))
    for asked in (
        data.resize,
        data.pad,
        lambda size: load_folder(tmp_path, size),
        lambda s: random_masks(1, s, Noise(0)),
    ):
        with pytest.raises(InputError, match=r"size is .*, but"):
            asked(size)
