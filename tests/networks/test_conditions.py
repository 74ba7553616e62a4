"""What UNet and DiT do alike: an image beside x_t that has a time of its own; and the patches of a UNet."""

import dataclasses

import numpy as np
import pytest

from tinydiff.base import Condition, InputError
from tinydiff.functional import depth_to_space, space_to_depth
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import DiTConfig, UNet, UNetConfig, build
from tinydiff.nn import Gradients, Tape

UNET = UNetConfig(
    8, 2, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, image_channels=2, image_time=True, patch=2
)
DIT = DiTConfig(8, 2, channels=8, layers=1, heads=2, image_channels=2, image_time=True)
rng = np.random.default_rng(1)
X_T, T, IMAGE, TIMES = (
    rng.normal(size=(2, 8, 8, 2)),
    np.array([1, 30]),
    rng.normal(size=(2, 8, 8, 2)),
    np.array([0, 7.5]),
)
BESIDE = Condition(image=IMAGE, image_time=TIMES)
both = pytest.mark.parametrize("config", [UNET, DIT], ids=["UNet", "DiT"])


def away_from_the_start(config):
    start = np.random.default_rng(0)
    model = build(config, start, np.float64)
    model.theta[:] += 0.2 * start.standard_normal(model.theta.shape)
    return model


@both
def test_gradients_match_finite_differences(config):
    model = away_from_the_start(config)

    def forward(theta, x_t, image):
        bound, tape = model.bind(theta), Tape()
        return bound.forward(x_t, T, Condition(image=image, image_time=TIMES), tape), (bound, tape)

    def backward(d_out, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        d_x_t, d_context, _ = bound.backward(d_out, tape, grads)
        assert len(tape) == 0
        assert d_context.image_time is None
        return grads.flat, d_x_t, d_context.image

    report = gradcheck(forward, backward, (model.theta, X_T, IMAGE))
    assert report, str(report)


@both
def test_the_times_of_noise_and_of_the_image_are_told_apart_and_each_image_has_its_own(config):
    model = away_from_the_start(config)
    out = model.forward(X_T, T, BESIDE)
    other = model.forward(X_T, T, BESIDE._replace(image_time=np.array([0, 9.0])))
    np.testing.assert_array_equal(other[0], out[0])
    assert abs(other[1] - out[1]).max() > 1e-6
    exchanged = model.forward(X_T, TIMES, BESIDE._replace(image_time=T.astype(float)))
    assert abs(exchanged - out).max() > 1e-3


@both
def test_an_image_without_a_time_is_clean(config):
    model = away_from_the_start(config)
    clean = BESIDE._replace(image_time=np.zeros(2))
    np.testing.assert_array_equal(model.forward(X_T, T, BESIDE._replace(image_time=None)), model.forward(X_T, T, clean))


@both
def test_times_that_do_not_fit_are_one_clear_sentence(config):
    model = away_from_the_start(config)
    with pytest.raises(InputError, match="context, image_time has shape"):
        model.forward(X_T, T, BESIDE._replace(image_time=np.zeros(3)))
    for wrong in (np.array([0, np.nan]), np.array([-1.0, 0])):
        with pytest.raises(InputError, match="context, image_time holds what is no step"):
            model.forward(X_T, T, BESIDE._replace(image_time=wrong))
    deaf = away_from_the_start(dataclasses.replace(config, image_time=False))
    with pytest.raises(InputError, match=r"takes none \(image_time is False\)"):
        deaf.forward(X_T, T, BESIDE)
    with pytest.raises(InputError, match="image_time is True, but image_channels is 0"):
        dataclasses.replace(config, image_channels=0)


def test_a_unet_of_patches_is_a_unet_of_smaller_images_with_more_channels():
    config = dataclasses.replace(UNET, image_channels=0, image_time=False)
    model = away_from_the_start(config)
    small = UNet(dataclasses.replace(config, image_size=4, in_channels=8, patch=1), dtype=np.float64).bind(model.theta)
    patches = space_to_depth(X_T, 2)[0]
    expected, _ = depth_to_space(small.forward(patches, T), 2)
    np.testing.assert_allclose(model.forward(X_T, T), expected, rtol=1e-12)


def test_patches_decide_which_sizes_fit():
    assert UNET.multiple == 4
    with pytest.raises(InputError, match="image_size is 6 x 6"):
        dataclasses.replace(UNET, image_size=6)
    with pytest.raises(InputError, match="patch is 0"):
        dataclasses.replace(UNET, patch=0)
