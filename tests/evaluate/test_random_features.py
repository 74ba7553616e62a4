"""Features of pictures without any training: what they answer to, and that they are the same everywhere."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import load_data
from tinydiff.evaluate.random_features import random_features, random_features_frechet


@pytest.fixture(scope="module")
def digits():
    images, _ = load_data("mnist-small", "train").resize(16).batch(np.arange(600))
    return images


@pytest.fixture(scope="module")
def same_kind(digits):
    return random_features_frechet(digits[:300], digits[300:])


DAMAGES = {
    "noise": lambda x: np.clip(x + np.random.default_rng(0).normal(0, 0.2, x.shape), -1, 1).astype(np.float32),
    "blur": lambda x: (x + np.roll(x, 1, 1) + np.roll(x, 1, 2) + np.roll(x, (1, 1), (1, 2))) / 4,
    "faded": lambda x: 0.7 * (x + 1) - 1,
    "mirrored": lambda x: x[:, :, ::-1].copy(),
    "five of them again and again": lambda x: x[np.arange(len(x)) % 5],
}


@pytest.mark.equation("FD-1")
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pictures_are_far_from_real_ones(digits, same_kind, damage):
    assert random_features_frechet(DAMAGES[damage](digits[:300]), digits[300:]) > 1.5 * same_kind


def test_more_noise_is_farther(digits):
    noise = np.random.default_rng(0).normal(0, 1, digits[:300].shape)
    noisy = [np.clip(digits[:300] + sigma * noise, -1, 1).astype(np.float32) for sigma in (0, 0.1, 0.2, 0.4)]
    distances = [random_features_frechet(images, digits[300:]) for images in noisy]
    assert distances == sorted(distances)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 3), (7, 5, 4), (64, 64, 3)])
def test_pictures_of_any_size_have_64_features(shape):
    images = np.random.default_rng(0).uniform(-1, 1, (3, *shape)).astype(np.float32)
    features = random_features(images)
    assert features.shape == (3, 64)
    assert features.dtype == np.float32


def test_features_do_not_depend_on_the_other_pictures(digits):
    np.testing.assert_array_equal(random_features(digits[:1]), random_features(digits[:150])[:1])


def test_a_layer_is_a_convolution_and_relu_written_as_loops():
    """By hand on one pixel, where a 3 x 3 kernel only meets the picture with its middle."""
    from tinydiff.base import Noise
    from tinydiff.evaluate.random_features import CHANNELS

    h = np.array([0.5, -0.25, 1.0])
    for layer, channels in enumerate(CHANNELS):
        kernel = Noise(0).normal((3, 3, len(h), channels), f"random features {layer}").astype(float)
        h = np.maximum(0, (2 / (9 * len(h))) ** 0.5 * h @ kernel[1, 1])
    one_pixel = np.array([0.5, -0.25, 1.0], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(random_features(one_pixel)[0], h, rtol=1e-5, atol=1e-6)


def test_bytes_are_refused():
    with pytest.raises(InputError, match="images"):
        random_features(np.full((2, 4, 4, 1), 200, np.uint8))
