"""Pictures of any height and width: gradients, identities with other shapes of the same picture, and sentences."""

import dataclasses
import json

import numpy as np
import pytest

from tinydiff.base import Condition, InputError, Noise
from tinydiff.data import load_data
from tinydiff.functional import mse, mse_backward, silu
from tinydiff.gradcheck import gradcheck
from tinydiff.networks import (
    CLIP,
    Classifier,
    ClassifierConfig,
    CLIPConfig,
    NoisyClassifier,
    NoisyClassifierConfig,
    TextConfig,
    TextToImage,
    UNet,
    UNetConfig,
)
from tinydiff.nn import Gradients, GroupNorm, GroupNormSiLU, SelfAttention, SpatialTransformer, Tape

CONFIG = UNetConfig(
    image_size=(4, 8),
    in_channels=2,
    channels=8,
    channel_mult=(1, 2),
    blocks_per_level=1,
    attention_levels=(0, 1),
    heads=2,
    groups=2,
    context_channels=5,
    image_channels=1,
)
TEXT = TextConfig(vocabulary=11, length=5, channels=8, layers=1, heads=2)


def away_from_the_start(network, seed=0):
    """Move all weights, since zeros of the start would hide mistakes."""
    network.theta[:] += 0.2 * np.random.default_rng(seed).standard_normal(network.theta.shape)
    return network


def random_pictures(shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


def pair_of(network, *fixed):
    """Return a network's forward and backward in (theta, x) as a pair that `gradcheck` takes."""

    def forward(theta, x):
        bound, tape = network.bind(theta), Tape()
        return bound.forward(x, *fixed, tape=tape), (bound, tape)

    def backward(dy, cache):
        bound, tape = cache
        grads = Gradients(bound.parameters())
        found = bound.backward(dy, tape, grads)
        assert len(tape) == 0
        return grads.flat, found[0] if isinstance(found, tuple) else found

    return forward, backward


def assert_gradients(network, x, *fixed):
    report = gradcheck(*pair_of(network, *fixed), (network.theta, x))
    assert report, str(report)


@pytest.mark.parametrize("size", [(4, 10), (6, 2), (2, 2), (14, 4)])
def test_gradients_of_a_unet_match_finite_differences_at_any_size(size):
    unet = away_from_the_start(UNet(CONFIG, dtype=np.float64))
    condition = Condition(tokens=random_pictures((2, 3, 5)), image=random_pictures((2, *size, 1), 2))
    assert_gradients(unet, random_pictures((2, *size, 2)), np.array([3, 700]), condition)


@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1), (3, 5)])
def test_a_unet_of_one_level_takes_any_size_also_a_single_row(size):
    config = UNetConfig(5, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2)
    unet = away_from_the_start(UNet(config, dtype=np.float64))
    assert_gradients(unet, random_pictures((2, *size, 1)), np.array([3, 700]))


def test_gradients_of_a_network_that_reads_match_finite_differences_on_pictures_that_are_not_square():
    unet = dataclasses.replace(CONFIG, context_channels=8, pooled_channels=8, image_channels=0)
    network = away_from_the_start(TextToImage(unet, TEXT, dtype=np.float64))
    tokens = np.array([[0, 3, 10, 10, 10], [0, 4, 5, 10, 10]])
    assert_gradients(network, random_pictures((2, 6, 4, 2)), np.array([3, 700]), tokens)


def transposed(weights):
    """Swap height and width of every kernel of a network; return the new theta."""
    network = weights.bind(weights.theta.copy())
    for parameter in network.parameters():
        if parameter.value.ndim == 4:
            parameter.value[:] = parameter.value.swapaxes(0, 1).copy()
    return network


@pytest.mark.parametrize("size", [(4, 10), (16, 8)])
def test_a_picture_on_its_side_with_kernels_on_their_sides_gives_the_output_on_its_side(size):
    """Winograd's tiles, the halvings, attention's rows of pixels: none may take height for width."""
    unet = away_from_the_start(UNet(CONFIG, dtype=np.float64))
    x_t, t = random_pictures((2, *size, 2)), np.array([3, 700])
    tokens, image, d_out = random_pictures((2, 3, 5)), random_pictures((2, *size, 1), 2), random_pictures(x_t.shape, 3)

    def run(unet, turn):
        tape, grads = Tape(), Gradients(unet.parameters())
        out = unet.forward(turn(x_t), t, Condition(tokens=tokens, image=turn(image)), tape)
        return out, unet.backward(turn(d_out), tape, grads).d_x_t, unet.bind(grads.flat)

    out, d_x_t, gradient = run(unet, lambda x: x)
    out_2, d_x_t_2, gradient_2 = run(transposed(unet), lambda x: x.swapaxes(1, 2).copy())
    np.testing.assert_allclose(out_2.swapaxes(1, 2), out, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(d_x_t_2.swapaxes(1, 2), d_x_t, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(transposed(gradient_2).theta, gradient.theta, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", ["pixels", "pixels and tokens"])
def test_attention_knows_no_height_and_width(kind):
    """Pixels in one long row see what they see in a picture: rows and columns are only a way to write them down."""
    rng = np.random.default_rng(0)
    if kind == "pixels":
        layer, more = SelfAttention(8, 2, rng, dtype=np.float64), ()
    else:
        layer, more = SpatialTransformer(8, 2, 5, rng, dtype=np.float64), (random_pictures((2, 3, 5)),)
    layer.pack()
    away_from_the_start(layer)
    x, dy = random_pictures((2, 3, 5, 8)), random_pictures((2, 3, 5, 8), 2)

    def run(shape):
        tape, grads = Tape(), Gradients(layer.parameters())
        y = layer.forward(x.reshape(shape), *more, tape)
        found = layer.backward(dy.reshape(shape), tape, grads)
        return y.reshape(x.shape), (found[0] if more else found).reshape(x.shape), grads.flat

    for in_picture, in_row in zip(run((2, 3, 5, 8)), run((2, 1, 15, 8)), strict=True):
        np.testing.assert_allclose(in_row, in_picture, rtol=1e-10, atol=1e-11)


def test_in_the_middle_a_network_without_attention_and_norms_draws_a_crop_as_it_draws_the_whole(monkeypatch):
    """What is far from the border of a crop cannot know that it is one, where the crop begins at a multiple of 2.

    Norms and attention look at the whole picture: norms are left out here, and attention is at its start, the identity.
    """
    monkeypatch.setattr(GroupNorm, "forward", lambda self, x, tape=None: x)
    monkeypatch.setattr(GroupNormSiLU, "forward", lambda self, x, tape=None: silu(x)[0])
    config = UNetConfig((8, 8), channels=4, channel_mult=(1, 2), blocks_per_level=1, heads=1)
    unet = UNet(config, np.random.default_rng(0), np.float64)
    for name, parameter in unet.named_parameters().items():
        if "attention" not in name:
            parameter.value[:] += 0.05 * random_pictures(parameter.value.shape)
    whole, t = random_pictures((1, 90, 110, 1)), np.array([500])
    out = unet.forward(whole, t)
    crop = unet.forward(np.ascontiguousarray(whole[:, 4:84, 10:96]), t)
    far = 32  # pixels: stem 1, blocks 3 x 2, at half the resolution 5 x 2 that count twice, two resamplings, head 1
    inside = crop[:, far:-far, far:-far]
    assert abs(inside).max() > 1e-3
    np.testing.assert_allclose(inside, out[:, 4 + far : 84 - far, 10 + far : 96 - far], rtol=1e-9, atol=1e-12)
    odd = unet.forward(np.ascontiguousarray(whole[:, 4:84, 11:97]), t)[:, far:-far, far:-far]
    assert abs(odd - out[:, 4 + far : 84 - far, 11 + far : 97 - far]).max() > 1e-4  # halving begins at another column


def test_it_learns_pictures_that_are_not_square():
    data = load_data("digits").take(slice(0, 4)).resize((8, 12))
    unet = UNet(UNetConfig((8, 12), channels=8, channel_mult=(1, 2, 2), blocks_per_level=1, heads=2))
    x_0, _ = data.batch(np.arange(4))
    x_t, t = 0.5 * x_0 + Noise(0).normal(x_0.shape, "eps"), np.array([100, 200, 300, 400])
    losses = []
    m = v = 0
    for step in range(1, 61):
        tape, grads = Tape(), Gradients(unet.parameters())
        loss, cache = mse(unet.forward(x_t, t, tape=tape), x_0)
        unet.backward(mse_backward(1.0, cache)[0], tape, grads)
        losses.append(float(loss))
        m, v = 0.9 * m + 0.1 * grads.flat, 0.99 * v + 0.01 * grads.flat**2
        unet.theta[:] -= 0.01 * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)) ** 0.5 + 1e-8)
    assert losses[-1] < 0.2 * losses[0]


SIZED = [
    (UNetConfig, {"channel_mult": (1, 2)}),
    (ClassifierConfig, {}),
    (NoisyClassifierConfig, {"channels": (4, 8)}),
    (CLIPConfig, {"channels": (4, 8)}),
]


@pytest.mark.parametrize(("kind", "others"), SIZED)
def test_a_size_stays_as_it_was_given_through_json(kind, others):
    for size in (8, (8, 12)):
        config = kind(image_size=size, **others)
        written = json.loads(json.dumps(dataclasses.asdict(config)))
        again = dataclasses.replace(config, image_size=written["image_size"])
        assert written["image_size"] == (8 if size == 8 else [8, 12])
        assert again == config
        assert type(again.image_size) is type(size)
        assert again.shape == (8, 8 if size == 8 else 12, config.in_channels)


@pytest.mark.parametrize(("kind", "others"), SIZED)
def test_a_bad_size_is_one_clear_sentence(kind, others):
    for size, message in [((8, 12, 3), r"image_size is \(8, 12, 3\)"), ((8, 0), "the width of image_size is 0")]:
        with pytest.raises(InputError, match=message):
            kind(image_size=size, **others)


def test_a_size_that_cannot_be_halved_is_refused_with_the_nearest_that_can():
    with pytest.raises(InputError, match=r"image_size is 8 x 13, .* multiples of 2: 8 x 12 or 8 x 14 would do"):
        UNetConfig((8, 13), channel_mult=(1, 2))
    unet = UNet(UNetConfig(8, channels=8, channel_mult=(1, 2, 2)))
    with pytest.raises(InputError, match=r"x_t is 30 x 32, .* multiples of 4: 28 x 32 or 32 x 32 would do"):
        unet.forward(np.zeros((1, 30, 32, 1), np.float32), np.ones(1))
    with pytest.raises(InputError, match=r"x_t has shape \(1, 8, 12, 3\), but \(any, any, any, 1\)"):
        unet.forward(np.zeros((1, 8, 12, 3), np.float32), np.ones(1))
    with pytest.raises(InputError, match="x_t is 0 x 12"):
        unet.forward(np.zeros((1, 0, 12, 1), np.float32), np.ones(1))


def test_gradients_of_a_classifier_match_finite_differences_on_pictures_that_are_not_square():
    config = ClassifierConfig((5, 8), 2, 3, channels=(4, 8), features=6)
    assert_gradients(away_from_the_start(Classifier(config, dtype=np.float64)), random_pictures((2, 5, 8, 2)))


def test_gradients_of_a_noisy_classifier_match_finite_differences_on_pictures_that_are_not_square():
    config = NoisyClassifierConfig((4, 10), 2, 3, channels=(4, 8))
    network = away_from_the_start(NoisyClassifier(config, dtype=np.float64))
    assert_gradients(network, random_pictures((2, 4, 10, 2)), np.array([0, 700]))


def test_gradients_of_a_clip_match_finite_differences_on_pictures_that_are_not_square():
    config = CLIPConfig((8, 4), 2, (4, 8), 6, dataclasses.replace(TEXT, causal=True))
    network = away_from_the_start(CLIP(config, dtype=np.float64))
    tokens = np.array([[0, 3, 10, 10, 10], [0, 4, 5, 10, 10]])
    assert_gradients(network, random_pictures((2, 8, 4, 2)), np.array([0, 700]), tokens)


@pytest.mark.parametrize(
    "network",
    [
        Classifier(ClassifierConfig((8, 12), channels=(4,))),
        NoisyClassifier(NoisyClassifierConfig((8, 12), channels=(4,))),
        CLIP(CLIPConfig((8, 12), 1, (4,), 6, TEXT)),
    ],
)
def test_what_reads_all_pixels_takes_pictures_of_its_own_size_only(network):
    x, *more = network.one_input()
    assert x.shape == (1, 8, 12, 1)
    assert len(network.forward(x, *more)) == 1
    for wrong in (x.swapaxes(1, 2), x[:, :, :8]):
        with pytest.raises(InputError, match=r"has shape .*, but \(any, 8, 12, 1\) was expected"):
            network.forward(wrong, *more)


def test_a_summary_shows_pictures_of_the_trained_size():
    assert UNet(UNetConfig((8, 12), channels=8, channel_mult=(1, 2))).one_input()[0].shape == (1, 8, 12, 1)
