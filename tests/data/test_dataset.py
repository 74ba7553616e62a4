"""A data set: its batches, its sizes, and the arguments it refuses."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import Dataset, load_data, to_floats, to_images


def test_a_batch_is_floats_from_minus_one_to_one():
    data = load_data("mnist-small", "test")
    x, labels = data.batch(np.arange(64))
    assert x.dtype == np.float32
    assert x.min() == -1
    assert x.max() == 1
    np.testing.assert_array_equal(labels, data.labels[:64])
    np.testing.assert_array_equal(to_images(x), data.images[:64])
    flip = np.arange(64) % 2 == 0
    mirrored, _ = data.batch(np.arange(64), flip=flip)
    np.testing.assert_array_equal(mirrored[0], x[0, :, ::-1])
    np.testing.assert_array_equal(mirrored[1], x[1])
    assert mirrored.dtype == np.float32


def test_bytes_and_floats_are_one_to_one(xp):
    every = xp.arange(256, dtype=xp.uint8)
    assert bool((to_images(to_floats(every)) == every).all())
    assert int(to_images(xp.asarray([3.0], dtype=xp.float32))[0]) == 255


@pytest.mark.parametrize("size", [1, 14, 16, 28, 32, 56])
def test_resizing_averages_areas(size):
    data = load_data("mnist-small", "test").take(slice(0, 20))
    fine = data.images.astype(int).repeat(size, axis=1).repeat(size, axis=2)  # 28 x size marks on either axis
    blocks = fine.reshape(20, size, 28, size, 28, 1).sum(axis=(2, 4))
    np.testing.assert_array_equal(data.resize(size).images, np.rint(blocks / 28**2))


def test_resizing_keeps_colours_apart_and_takes_any_number_of_images():
    images = np.random.default_rng(0).integers(0, 256, (2003, 4, 4, 3)).astype(np.uint8)
    data = Dataset(images, np.zeros(2003, int), "x", "train", "here")
    blocks = images.reshape(2003, 2, 2, 2, 2, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(data.resize(2).images, np.rint(blocks))
    assert data.take(slice(0, 0)).resize(8).images.shape == (0, 8, 8, 3)


def test_padding_keeps_pixels():
    data = load_data("mnist-small", "test").take(slice(0, 20))
    padded = data.pad(32)
    np.testing.assert_array_equal(padded.images[:, 2:30, 2:30], data.images)
    assert padded.images.sum() == data.images.sum()
    assert data.resize(28) is data
    with pytest.raises(InputError, match="cannot be padded to less"):
        data.pad(20)


def test_bad_arguments_of_a_dataset():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    with pytest.raises(InputError, match="dtype float64"):
        Dataset(images.astype(float), np.zeros(3, int), "x", "train", "here")
    with pytest.raises(InputError, match="2 labels for 3 images"):
        Dataset(images, np.zeros(2, int), "x", "train", "here")
    with pytest.raises(InputError, match="indices run from 0 to 3, but there are 3 images"):
        Dataset(images, np.zeros(3, int), "x", "train", "here").batch(np.array([0, 3]))
    data = Dataset(images, np.zeros(3, int), "x", "train", "here", ("a", "b", "c"))
    with pytest.raises(InputError, match="indices run from -1 to 0"):
        data.batch([-1, 0])
    with pytest.raises(InputError, match="indices has dtype bool"):
        data.batch(np.array([True, False, True]))
    with pytest.raises(InputError, match=r"indices has 0 axes"):
        data.batch(1)
    with pytest.raises(InputError, match=r"flip has shape \(3,\)"):
        data.batch([0, 1], flip=np.zeros(3, bool))
    with pytest.raises(InputError, match="do not fit a data set of 3 images"):
        data.take([3])
    with pytest.raises(InputError, match="size is 0, but"):
        data.resize(0)
    with pytest.raises(InputError, match=r"size is 2\.5, but"):
        data.pad(2.5)
    with pytest.raises(InputError, match="images has dtype float64, but uint8"):
        to_floats(np.zeros(3))
    with pytest.raises(InputError, match="2 captions for 3 images"):
        Dataset(images, np.zeros(3, int), "x", "train", "here", ("a", "b"))
