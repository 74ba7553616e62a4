"""Bits for pictures: of networks, by their own backward, against differences and against a density that is known."""

from dataclasses import replace

import numpy as np
import pytest
from latents import autoencoder, latent_diffusion
from scipy import stats
from unclips import clip, decoder, prior, unclip

from tinydiff.base import InputError, TrainingError
from tinydiff.data import Dataset
from tinydiff.diffusion import Gaussian, predictor
from tinydiff.evaluate import (
    check_likelihood,
    decoder_floor,
    evaluate_likelihood,
    mean_bits,
    network_velocity,
    picture_bits,
)
from tinydiff.evaluate import likelihood as module
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import DiTConfig, MLPConfig, UNetConfig
from tinydiff.networks.conditions import DenoiserGradients

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
UNET = UNetConfig(4, 1, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, num_classes=3)


def tiny(dtype=np.float64, **options):
    """Return a model of pictures of 4 x 4 with random weights."""
    if not {"dit", "mlp"} & options.keys():
        options = {"unet": UNET} | options
    config = ModelConfig(T=30, **options)
    network = config.network(np.random.default_rng(1))
    network.theta[:] += 0.1 * RNG.standard_normal(network.theta.shape).astype(network.theta.dtype)
    if dtype == np.float64:
        network = network.bind(network.theta.astype(np.float64))
    return DiffusionModel(network, config, 4, 1, False)


@pytest.mark.equation("PFODE-1")
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "v"},
        {"kind": "eps", "schedule": "linear"},
        {"kind": "x_0"},
        {"kind": "edm"},
        {"kind": "flow-v", "path": "straight"},
        {"dit": DiTConfig(4, 1, patch=2, channels=8, layers=1, heads=2, num_classes=3)},
    ],
    ids=["v", "eps", "x_0", "edm", "flow-v", "dit"],
)
def test_the_velocity_of_a_network_has_the_gradient_of_differences(options):
    model = tiny(**options)
    labels = np.array([0, 2])
    velocity, t, h = network_velocity(model, labels), 17.5, 1e-5
    x, z, d = (RNG.standard_normal((2, 4, 4, 1)) for _ in range(3))
    v, row = velocity(x, t, z)
    scale = float(model.diffusion.scale_at(t))
    output = model.network_output(scale * x, np.full(2, t), labels)
    x_0_hat, eps_hat = predictor(lambda *_: output, model.diffusion, model.config.kind, clip=False)(
        scale * x, np.full(2, t)
    )
    np.testing.assert_allclose(v, model.diffusion.v_from(x_0_hat, eps_hat, t), rtol=1e-9, atol=1e-12)
    change = (velocity(x + h * d, t, z)[0] - velocity(x - h * d, t, z)[0]) / (2 * h)
    np.testing.assert_allclose((row * d).sum(axis=(1, 2, 3)), (z * change).sum(axis=(1, 2, 3)), rtol=1e-6, atol=1e-8)


@pytest.mark.pitfall(17)
def test_pitfall_17_bits_of_a_known_density_are_its_own():
    """Levels of independent normal numbers have known probabilities; both prices are above them, and near.

    The means over 24 pictures are asserted within 5 standard errors: a false alarm in 2 million; the seed is fixed.
    """
    mean, sigma, n = 0.1, 0.2, 24
    x = RNG.normal(mean, sigma, (n, 4, 4, 1))
    images = np.clip(np.rint((x + 1) * 127.5), 0, 255).astype(np.uint8)
    model = tiny(np.float32)
    exact = Gaussian(model.diffusion, np.full((4, 4, 1), mean), sigma**2)
    stand_in = StandIn(model, exact)
    bits = picture_bits(stand_in, images, strata=29, steps=16)
    edges = (images[..., None] + np.array([-0.5, 0.5])) / 127.5 - 1
    truth = -np.log2(np.diff(stats.norm.cdf(edges, mean, sigma))[..., 0]).mean(axis=(1, 2, 3))
    flow = bits.flow - truth
    # the flow ends at t = 1, with a little noise, and spreads its cells: it may miss a hundredth of a bit
    assert abs(flow.mean()) < 0.02 + 5 * flow.std() / n**0.5
    gap = bits.bound - truth
    assert -5 * gap.std() / n**0.5 < gap.mean() < 0.5
    np.testing.assert_allclose(bits.bound, bits.prior + bits.steps + bits.pixels)


class StandIn(DiffusionModel):
    """A model whose network is replaced by an exact denoiser."""

    def __init__(self, model, exact):
        for name, value in vars(model).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "exact", exact)
        object.__setattr__(self, "network", ExactNetwork(model, exact))

    def predict(self, x_t, t, context=None):
        return self.exact.predict(x_t, t)


class ExactNetwork:
    """Forward and backward of v, from an exact denoiser."""

    def __init__(self, model, exact):
        self.theta, self.config, self.diffusion, self.exact = model.network.theta, UNET, model.diffusion, exact

    def forward(self, x_t, t, context=None, tape=None):
        tape.push(self, (x_t, t))
        return self.diffusion.v_from(*self.exact.predict(x_t, t), t)

    def backward(self, dy, tape):
        x_t, t = tape.pop(self)
        a, b = (scale.reshape(-1, 1, 1, 1).astype(x_t.dtype) for scale in self.diffusion.scales(t))
        return DenoiserGradients((a * dy - self.exact.predict_backward(x_t, t, dy)) / b, None, None)


@pytest.mark.pitfall(17)
def test_pitfall_17_latents_embeddings_and_models_of_several_parts_are_refused():
    for model, what in (
        (latent_diffusion(), "draws latents or embeddings"),
        (prior(), "draws latents or embeddings"),
        (unclip(), "made of several"),
        (autoencoder(), "a diffusion model of pixels was expected"),
        (clip(), "a diffusion model of pixels was expected"),
        (decoder(), "decoder of an unCLIP"),
        (tiny(np.float32, unet=replace(UNET, image_channels=1)), "is told another picture"),
        (tiny(np.float32, unet=replace(UNET, out_channels=2)), "has learned the variance of a step"),
        (tiny(np.float32, mlp=MLPConfig(width=8, depth=1)), "draws points in a plane"),
    ):
        with pytest.raises(InputError, match=what):
            check_likelihood(model)
        if isinstance(model, DiffusionModel):
            with pytest.raises(InputError, match=what):
                picture_bits(model, BYTES)


def test_a_network_that_is_not_finite_is_found():
    model = tiny(np.float32)
    model.network.theta[:] = np.nan
    with pytest.raises(TrainingError, match="NaN or infinity"):
        picture_bits(model, BYTES, strata=2, steps=1)


def test_bits_do_not_depend_on_the_batch():
    model = tiny(np.float32)
    together = picture_bits(model, BYTES, strata=3, steps=2)
    again = picture_bits(model, BYTES[:2], strata=3, steps=2)
    rest = picture_bits(model, BYTES[2:], strata=3, steps=2, first=2)
    for ours, theirs, others in zip(together, again, rest, strict=True):
        assert ours.shape == (6,)
        np.testing.assert_array_equal(ours[:2], theirs)
        np.testing.assert_allclose(ours[2:], others, rtol=1e-5)  # in other shards, so that the last digits may differ


def test_pictures_that_it_does_not_draw_are_refused():
    model = tiny(np.float32)
    for images, why in (
        (BYTES[:, :2], "images has shape"),
        (BYTES.astype(np.float32), "uint8 was expected"),
        (BYTES[:0], "images is empty"),
    ):
        with pytest.raises(InputError, match=why):
            picture_bits(model, images)


def test_the_interval_is_that_of_a_mean():
    values = RNG.normal(3.0, 2.0, 400)
    mean, low, high = mean_bits(values)
    assert mean == pytest.approx(values.mean())
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    np.testing.assert_allclose((low, high), expected, rtol=1e-9)
    with pytest.raises(InputError, match="at least 2"):
        mean_bits(values[:1])


@pytest.mark.equation("DDPM-13")
def test_the_floor_of_the_decoder_is_that_of_grey_and_of_white():
    grey, white = np.full((1, 4, 4, 1), 100, np.uint8), np.full((1, 4, 4, 1), 255, np.uint8)
    z = 1 / 255 / 0.01
    assert decoder_floor(grey, 0.01) == pytest.approx(-np.log2(2 * stats.norm.cdf(z) - 1))
    assert decoder_floor(grey, 0.01) == pytest.approx(1.71, abs=5e-3)
    assert decoder_floor(white, 0.01) == pytest.approx(-np.log2(stats.norm.cdf(z)))


def test_the_report_says_means_intervals_and_floors(monkeypatch):
    data = Dataset(BYTES, np.zeros(6, int), "mine", "test", "here")
    report = evaluate_likelihood(tiny(np.float32), data, n=4, strata=2, steps=2)
    for line in (
        "mine, test: 4 images",
        "bound: at most",
        "probability-flow ODE, 2 steps",
        "sigma 0.01)",
        "95 % interval",
    ):
        assert line in report
    assert "any model" not in report
    monkeypatch.setattr(module, "log2_probability", lambda images: -np.full(len(images), 48.0))
    unet = UNetConfig(16, 3, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1)
    model = DiffusionModel(unet_network(unet), ModelConfig(unet, T=5), 4, 1, False)
    portraits = Dataset(
        RNG.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8), np.zeros(2, int), "avatars", "test", "here"
    )
    report = evaluate_likelihood(model, portraits, n=2, strata=2, steps=2)
    assert [line.split()[-4:] for line in report.splitlines() if "any model" in line] == [
        ["0.0625", "0.0625", "to", "0.0625"]
    ]


@pytest.mark.parametrize("near", [0.0, 1e9])
def test_steps_that_are_too_few_are_said_to_be(monkeypatch, near):
    """By the figure of half as many, which is that of `picture_bits` itself."""
    monkeypatch.setattr(module, "NEAR", near)
    model, data = tiny(np.float32), Dataset(BYTES, np.zeros(6, int), "mine", "test", "here")
    report = evaluate_likelihood(model, data, 6, 1, 2, seed=3)
    fine, coarse = (picture_bits(model, BYTES[:4], 1, steps, 3).flow.mean() for steps in (2, 1))
    assert f"With 1 step the flow's figure is off by {coarse - fine:+.4f} from this, on the first 4." in report
    assert ("too few steps" in report) == (near == 0)
    with pytest.raises(InputError, match="steps is 1"):
        evaluate_likelihood(model, data, 6, 1, 1)


def unet_network(unet):
    return ModelConfig(unet, T=5).network(np.random.default_rng(0))
