"""Filling in by a network that was trained for it: what it is shown, what is kept, and that it learns to look."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp
from diffusions import UNTOLD

from tinydiff.base import InputError, Noise, as_condition
from tinydiff.data import Dataset
from tinydiff.data.masks import NOTHING_KNOWN, random_masks
from tinydiff.diffusion import Gaussian, GaussianDiffusion, cosine_schedule, ddim, ddpm, dpmpp_2m, heun, last
from tinydiff.diffusion.editing import erased, keep_known
from tinydiff.models import DiffusionModel, ModelConfig, Request, fill_in
from tinydiff.networks import UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

DIFFUSION = GaussianDiffusion(cosine_schedule(100))
UNET = UNetConfig(8, 1, channels=8, channel_mult=(1,), blocks_per_level=1, heads=1, num_classes=3, image_channels=2)
CONFIG = ModelConfig(UNET, T=100, kind="x_0")
MASK = np.zeros((1, 8, 8, 1), np.float32)
MASK[:, :, :4] = 1


def flat_pictures(levels):
    """Pictures of one level each, so that a part of one says all about the rest."""
    return np.ones((1, 8, 8, 1), np.float32) * np.asarray(levels, np.float32).reshape(-1, 1, 1, 1)


def flat_data(n=256):
    levels = np.random.default_rng(0).integers(0, 256, n).astype(np.uint8)
    images = levels[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    return Dataset(images, np.zeros(n, int), "flat", "all", "here")


def trainer(steps, config=CONFIG, **options):
    model = DiffusionModel(config.network(np.random.default_rng(0)), config, micro_batch=16, threads=1)
    train = DenoiseConfig(steps=steps, batch=16, warmup=10, lr=1e-2, ema=0.9, **options)
    return Run(Denoise(model, flat_data(), train, flat_data(20)), processes=False)


def test_masks_are_rectangles_or_their_surroundings_or_nothing():
    """Had the seed been drawn at random, the shares would fail by chance with a probability below one in a million."""
    masks = random_masks(4000, 8, Noise(0))
    assert masks.shape == (4000, 8, 8, 1)
    assert masks.dtype == np.float32
    assert set(np.unique(masks)) == {0, 1}
    nothing = ~masks.any(axis=(1, 2, 3))
    whole_rectangles = 0.8 / 16**2  # a rectangle from edge to edge leaves nothing either, now and then
    assert abs(nothing.mean() - NOTHING_KNOWN) < whole_rectangles + 5 * (0.2 * 0.8 / 4000) ** 0.5
    for mask in masks[:200, :, :, 0]:
        is_rectangle = [np.outer(part.any(axis=1), part.any(axis=0)) == part for part in (mask == 0, mask == 1)]
        assert any(same.all() for same in is_rectangle)
    one = random_masks(1, 8, Noise(0, first=7))
    np.testing.assert_array_equal(one[0], masks[7])  # whatever batch it is drawn in


def test_masks_are_the_same_on_every_device(xp):
    here, there = random_masks(5, 8, Noise(3)), random_masks(5, 8, Noise(3, xp=xp))
    np.testing.assert_array_equal(to_host(there), here)
    assert there.dtype == np.float32


@pytest.mark.equation("GLIDE-FILL")
def test_what_is_to_be_drawn_is_not_shown(xp):
    pictures = flat_pictures([0.5, -0.25])
    shown = to_host(erased(to_xp(xp, pictures), to_xp(xp, MASK)))
    assert shown.shape == (2, 8, 8, 2)
    assert shown.dtype == np.float32
    np.testing.assert_array_equal(shown[..., :1], np.repeat(MASK, 2, axis=0))
    np.testing.assert_array_equal(shown[:, :, :4, 1:], pictures[:, :, :4])
    assert not shown[:, :, 4:].any()


def test_nothing_known_is_what_a_network_sees_without_an_image():
    network = trainer(1).objective.network
    x_t, t = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32), np.array([3, 90])
    image = erased(flat_pictures([0.5, 0.5]), 0 * MASK)
    with_image = network.forward(x_t, t, as_condition(np.zeros(2, int))._replace(image=image))
    np.testing.assert_array_equal(with_image, network.forward(x_t, t, np.zeros(2, int)))


WALKS = {
    "ddim": lambda predict, x: ddim(predict, DIFFUSION, x, 7),
    "ddpm": lambda predict, x: ddpm(predict, DIFFUSION, x, 7, noise=Noise(0)),
    "heun": lambda predict, x: heun(predict, DIFFUSION, x, 7),
    "dpmpp_2m": lambda predict, x: dpmpp_2m(predict, DIFFUSION, x, 7),
}


@pytest.mark.equation("KNOWN-1")
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS.keys())
def test_a_soft_edge_blends_the_picture_with_what_is_drawn(walk):
    """Where all guesses are 0.5, m known + (1 - m) 0.5 is left, whatever the sampler."""

    def predict(x_t, t, context=None):
        x_0_hat = np.full_like(x_t, 0.5)
        return x_0_hat, DIFFUSION.eps_from_x_0(x_t, t, x_0_hat)

    known = flat_pictures([0.7, -0.1])
    mask = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 1, 8, 1)
    x_T = np.random.default_rng(0).standard_normal(known.shape).astype(np.float32)
    drawn = last(walk(keep_known(predict, DIFFUSION, known, mask), x_T))
    np.testing.assert_allclose(drawn, mask * known + (1 - mask) * 0.5 + 0 * known, atol=1e-6)
    np.testing.assert_array_equal(drawn[:, :, -1], known[:, :, -1])


@pytest.mark.equation("KNOWN-1")
def test_at_a_soft_edge_more_is_kept_than_the_share_of_the_mask():
    """Of pixels that say nothing of each other, as the docstring says: the slope of what is drawn over what is known.

    Over 3,000 pictures a slope has an error of at most 0.02, so that 0.08 is missed less than once in 10 ** 4 runs.
    """
    rng, mask = np.random.default_rng(0), np.array([[0, 0.1, 0.5, 1]])
    exact = Gaussian(DIFFUSION, np.zeros(4), np.eye(4) / 4)
    x_T, known = rng.standard_normal((3000, 4)), rng.standard_normal((3000, 4)) / 2
    drawn = last(ddim(keep_known(exact.predict, DIFFUSION, known, mask), DIFFUSION, x_T, 50))
    slopes = (drawn * known).mean(axis=0) / (known * known).mean(axis=0)
    np.testing.assert_allclose(slopes, [0, 0.35, 0.9, 1], atol=0.08)


@pytest.mark.equation("KNOWN-1")
@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS.keys())
def test_every_sampler_keeps_what_is_known_to_the_bit_and_the_prediction_stays_consistent(walk):
    data, rng = Gaussian(DIFFUSION, np.zeros((8, 8, 1)), 0.3), np.random.default_rng(0)
    known, x_T = flat_pictures([0.7, -0.1]), rng.standard_normal((2, 8, 8, 1)).astype(np.float32)
    keeping = keep_known(data.predict, DIFFUSION, known, MASK)
    x_0_hat, eps_hat = keeping(x_T, np.array([50, 90]), None)
    np.testing.assert_allclose(DIFFUSION.q_sample(x_0_hat, np.array([50, 90]), eps_hat), x_T, atol=1e-5)
    np.testing.assert_array_equal(x_0_hat[:, :, 4:], data.predict(x_T, np.array([50, 90]))[0][:, :, 4:])
    drawn = last(walk(keeping, x_T))
    np.testing.assert_array_equal(drawn[:, :, :4], known[:, :, :4])
    other = last(walk(keep_known(data.predict, DIFFUSION, np.where(MASK, known, np.float32(np.nan)), MASK), x_T))
    np.testing.assert_array_equal(other, drawn)  # what the picture holds elsewhere does not count


def test_what_is_known_is_kept_on_every_device(xp):
    data, rng = Gaussian(DIFFUSION, np.zeros((8, 8, 1)), 0.3), np.random.default_rng(0)
    known, x_T = flat_pictures([0.7, -0.1]), rng.standard_normal((2, 8, 8, 1)).astype(np.float32)
    keeping = keep_known(data.predict, DIFFUSION, to_xp(xp, known), to_xp(xp, MASK))
    drawn = to_host(last(ddim(keeping, DIFFUSION, to_xp(xp, x_T), 5)))
    np.testing.assert_array_equal(drawn[:, :, :4], known[:, :, :4])


@pytest.mark.slow
def test_a_network_learns_to_go_by_what_it_sees():
    """Pictures of one level: with a half of it known, the other is drawn alike; without, it may be anything."""
    run = trainer(80)
    run.run(progress=False)
    pictures = flat_pictures(np.linspace(-0.9, 0.9, 16))
    errors = {
        name: abs(fill_in(run.trained(), pictures, mask, Request(labels=3), steps=8) - pictures)[:, :, 4:].mean()
        for name, mask in (("half", MASK), ("nothing", 0 * MASK))
    }
    assert errors["half"] < 0.2
    assert errors["nothing"] > 0.4


def test_held_out_pictures_are_erased_too_and_always_alike():
    run = trainer(1)
    assert run.validate() == run.validate()
    shown = []
    network = run.objective.network
    forward = network.forward
    network.bind = lambda vector: network  # the average of the weights, here the weights
    network.forward = lambda x_t, t, context: shown.append(context) or forward(x_t, t, context)
    run.validate()
    assert all(0 < context.image[..., 0].mean() < 1 for context in shown)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", UNTOLD)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_chain_keeps_what_is_known_with_every_sampler_and_guidance(sampler, guidance):
    model, pictures = trainer(1).objective.model, flat_pictures([0.5, -0.5, 0.25])
    model.network.theta[:] += 0.1 * np.random.default_rng(1).standard_normal(model.network.theta.shape)
    asked = Request(labels=1, guidance=guidance), sampler, 4
    drawn = fill_in(model, pictures, MASK, *asked)
    np.testing.assert_array_equal(drawn[:, :, :4], pictures[:, :, :4])
    alone = fill_in(model, pictures[:1], MASK, *asked)
    np.testing.assert_array_equal(alone, drawn[:1])
    seen = fill_in(model, pictures * np.float32(0.5), MASK, *asked)
    assert (seen[:, :, 4:] != drawn[:, :, 4:]).any()  # the network looks at it


def test_a_classifier_may_pull_it_too():
    model, pictures = trainer(1).objective.model, flat_pictures([0.5, -0.5])
    drawn = fill_in(model, pictures, MASK, Request(labels=1, classifier=lambda x_t, t, labels: 0 * x_t), steps=3)
    unconditional = fill_in(model, pictures, MASK, Request(labels=3), steps=3)
    np.testing.assert_array_equal(drawn, unconditional)


def test_bad_arguments():
    model, pictures = trainer(1).objective.model, flat_pictures([0.5])
    other = ModelConfig(dataclasses.replace(UNET, image_channels=0))
    not_trained = DiffusionModel(other.network(), other)
    for call, words in [
        (lambda: fill_in(not_trained, pictures, MASK), "not trained to fill in"),
        (lambda: fill_in(model, pictures, MASK[:, :4]), "mask has shape"),
        (lambda: fill_in(model, pictures, MASK[0]), "mask has shape"),
        (lambda: fill_in(model, pictures, 1.5 * MASK), "mask holds 1.5"),
        (lambda: fill_in(model, pictures[..., :0], MASK), "images has shape"),
        (lambda: fill_in(model, 2 * pictures + 1, MASK), "images runs from"),
        (lambda: fill_in(model, pictures, MASK, Request(image=pictures)), "The request holds an image, but the model"),
        (lambda: fill_in(model, pictures, MASK, sampler="best"), "sampler is 'best'"),
        (lambda: trainer(1, ModelConfig(dataclasses.replace(UNET, image_channels=1))), "image_channels is 1"),
        (lambda: keep_known(lambda *_: None, DIFFUSION, pictures, 2 * MASK), "mask holds 2"),
        (lambda: random_masks(0, 8, Noise(0)), "n is 0"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
