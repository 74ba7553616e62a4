"""Editing with whole models: what is kept is kept, what is asked for counts, and bad pictures are refused."""

import copy
import dataclasses

import numpy as np
import pytest
from diffusions import UNTOLD
from PIL import Image

from tinydiff.base import InputError, Noise
from tinydiff.data.avatars import compose, describe
from tinydiff.diffusion import last
from tinydiff.models import (
    DiffusionModel,
    ModelConfig,
    Request,
    draw_from,
    fill_in,
    image_to_image,
    inpaint,
    interpolate,
    invert,
)
from tinydiff.models.pictures import mask_for, to_pictures
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.text import Tokenizer

CAPTIONS = [caption.text for caption in describe(compose(40))]
TOKENIZER = Tokenizer.train(CAPTIONS, 40)
TEXT = TextConfig(len(TOKENIZER), length=40, channels=8, layers=1, heads=2)
UNET = UNetConfig(8, 3, channels=8, channel_mult=(1, 1), attention_levels=(1,), blocks_per_level=1, heads=2)


@pytest.fixture(scope="module")
def model():
    config = ModelConfig(dataclasses.replace(UNET, context_channels=8), T=50, text=TEXT)
    rng = np.random.default_rng(0)
    network = config.network(rng)
    network.theta[:] += 0.05 * rng.standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config, micro_batch=4, tokenizer=TOKENIZER)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", UNTOLD)
def test_strength_0_changes_nothing_and_more_of_it_more(model, images, sampler):
    found = [image_to_image(model, images, Request(prompt=CAPTIONS[0]), s, sampler, 10) for s in (0.0, 0.3, 1.0)]
    np.testing.assert_array_equal(found[0], images)
    little, much = (abs(x - images).mean() for x in found[1:])
    assert 0 < little < much
    other = image_to_image(model, images, Request(prompt=CAPTIONS[1]), strength=1.0, steps=10, sampler=sampler)
    assert abs(other - found[2]).max() > 1e-4  # the words count


@pytest.mark.slow
@pytest.mark.equation("SDEDIT-1")
@pytest.mark.parametrize("sampler", UNTOLD)
def test_strength_1_is_a_chain_from_noise_alone(model, images, sampler):
    request = Request(n=3, seed=5, prompt=CAPTIONS[0], guidance=2.0)
    edited = image_to_image(model, images, request, 1.0, sampler, steps=10)
    np.testing.assert_array_equal(edited, last(model.chain(request, sampler, steps=10)))


@pytest.mark.equation("SDEDIT-1")
def test_a_part_of_the_chain_begins_with_the_picture_in_the_noise_of_its_time(model, images):
    """The first of the times is predicted at with a x_0 + b eps, and no time above the strength is visited."""
    seen, forward = [], model.network.forward
    watched = copy.copy(model.network)
    watched.forward = lambda x_t, t, context: seen.append((t[0], x_t[:3])) or forward(x_t, t, context)
    watched = dataclasses.replace(model, network=watched)
    image_to_image(watched, images, Request(seed=4, prompt=CAPTIONS[0]), strength=0.5, steps=10)
    assert [t for t, _ in seen] == [25, 20, 15, 10, 5]
    eps = Noise(4).normal(images.shape, "x_T")
    np.testing.assert_array_equal(seen[0][1], model.diffusion.q_sample(images, np.full(3, 25), eps))


def test_what_is_known_stays_to_the_bit(model, images):
    mask = np.zeros((1, 8, 8, 1))
    mask[:, :4] = 1
    found = inpaint(model, images, mask, Request(prompt=CAPTIONS[0], guidance=2.0), steps=5, resample=2)
    np.testing.assert_array_equal(found[:, :4], images[:, :4])
    assert abs(found[:, 4:] - images[:, 4:]).mean() > 0.1
    other = inpaint(model, images, mask, Request(prompt=CAPTIONS[1], guidance=2.0), steps=5, resample=2)
    assert abs(other[:, 4:] - found[:, 4:]).max() > 1e-4


def test_the_noise_behind_a_picture_draws_it_again(model):
    """Of pictures that the model draws; the more steps, the nearer."""
    drawn = last(model.chain(Request(n=3, prompt=CAPTIONS[0]), steps=50))
    errors = []
    for steps in (10, 50):
        x_T = invert(model, drawn, Request(prompt=CAPTIONS[0]), steps=steps)
        errors.append(abs(draw_from(model, x_T, Request(prompt=CAPTIONS[0]), steps=steps) - drawn).mean())
    assert errors[1] < errors[0]
    assert errors[1] < 0.1


def test_a_walk_between_two_prompts_starts_and_ends_there(model):
    noise = np.random.default_rng(2).normal(size=(2, 1, 8, 8, 3)).astype(np.float32)
    walk = interpolate(model, noise, CAPTIONS[:2], 4, Request(guidance=2.0), steps=5)
    assert len(walk) == 4
    for i, x, prompt in ((0, noise[0], CAPTIONS[0]), (-1, noise[1], CAPTIONS[1])):
        alone = draw_from(model, x, Request(prompt=prompt, guidance=2.0), steps=5)
        np.testing.assert_allclose(walk[[i]], alone, atol=1e-4)


def of_classes(image_channels=0):
    """A small model that knows three classes, away from its initial state."""
    unet = dataclasses.replace(UNET, num_classes=3, image_channels=image_channels)
    config = ModelConfig(unet, T=50)
    rng = np.random.default_rng(3)
    network = config.network(rng)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config, micro_batch=4)


MASK = np.ones((1, 8, 8, 1), np.float32)
MASK[:, :4] = 0
WAYS = {
    "image_to_image": lambda model, images, **asked: image_to_image(
        model, images, Request(**asked), strength=0.6, steps=5
    ),
    "inpaint": lambda model, images, **asked: inpaint(model, images, MASK, Request(**asked), steps=3, resample=2),
    "fill_in": lambda model, images, **asked: fill_in(model, images, MASK, Request(**asked), steps=3),
    "invert": lambda model, images, **asked: invert(model, images, Request(**asked), steps=5),
    "draw_from": lambda model, images, **asked: draw_from(model, images, Request(**asked), steps=5),
}


@pytest.mark.parametrize("way", WAYS)
def test_without_a_label_a_picture_is_of_no_class(images, way):
    """Not of the classes 0, 1, 2, ... in turn, as new pictures are."""
    classes, edit = of_classes(4 if way == "fill_in" else 0), WAYS[way]
    found = edit(classes, images)
    np.testing.assert_array_equal(found, edit(classes, images, labels=None))
    np.testing.assert_array_equal(found, edit(classes, images, labels=3))
    assert abs(found - edit(classes, images, labels=[0, 1, 2])).max() > 1e-3


def test_a_class_model_says_itself_that_it_reads_no_prompt(images):
    with pytest.raises(InputError, match="The prompt is 'a cat', but this model does not read text"):
        image_to_image(of_classes(), images, Request(prompt="a cat"), strength=0.6, steps=5)


@pytest.mark.parametrize(
    ("strength", "steps", "sampler", "words"),
    [
        (0.9, 1, "ddim", "the last of 1 steps is at t = 50, above strength . T = 45"),
        (0.3, 3, "ddpm", "the last of 3 steps is at t = 17, above strength . T = 15"),
        (0.01, 50, "heun", "the last of 50 steps is at t = 1, above strength . T = 0.5"),
    ],
)
def test_a_chain_without_a_step_is_no_success(model, images, strength, steps, sampler, words):
    with pytest.raises(InputError, match=words + ".*take more steps or a larger strength"):
        image_to_image(model, images, Request(prompt=CAPTIONS[0]), strength=strength, steps=steps, sampler=sampler)
    just_there = image_to_image(model, images, Request(prompt=CAPTIONS[0]), strength=0.5, steps=2)  # at t = 25
    assert just_there.shape == images.shape


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"labels": 7}, "labels is 7"),
        ({"guidance": np.nan}, "guidance is nan"),
        ({"prompt": ["a"]}, "There is 1 prompt for"),
    ],
)
def test_what_is_asked_is_checked_even_if_nothing_is_drawn(model, images, asked, words):
    with pytest.raises(InputError, match=words):
        image_to_image(model, images, Request(**asked), strength=0.0, steps=10)


def test_masks_are_read_from_pictures(tmp_path):
    path, half = tmp_path / "mask.png", np.zeros((6, 4, 3), np.uint8)
    half[3:] = 255
    for pixels in (half, half[..., 0]):
        Image.fromarray(pixels).save(path)
        mask, notes = mask_for(path, (6, 4), (6, 4))
        assert notes == ()
        assert mask.shape == (1, 6, 4, 1)
        np.testing.assert_array_equal(mask[0, ..., 0], half[..., 0] == 0)
    for channel in range(3):
        coloured = half.copy()
        coloured[0, 0, channel] = 255
        Image.fromarray(coloured).save(path)
        with pytest.raises(InputError, match=r"mask.png holds the colour \(.*255.*\), but a mask is black .*, white"):
            mask_for(path, (6, 4), (6, 4))


def test_grey_blends_and_a_mask_follows_its_picture(tmp_path):
    path, levels = tmp_path / "mask.png", np.zeros((8, 8), np.uint8)
    levels[:, 4:], levels[:, 3] = 255, 51
    Image.fromarray(levels).save(path)
    mask, notes = mask_for(path, (8, 8), (8, 8))
    np.testing.assert_allclose(mask[0, 0, :, 0], [1, 1, 1, 0.8, 0, 0, 0, 0], atol=1e-6)
    assert notes == ("8 of its 64 pixels are grey: there old and new are blended",)
    half, notes = mask_for(path, (80, 80), (4, 4))  # the picture, too, is brought to 4 x 4
    np.testing.assert_allclose(half[0, 0, :, 0], [1, 0.9, 0, 0], atol=0.01)
    assert "brought from 8 x 8 to 4 x 4 pixels" in notes
    feathered, _ = mask_for(path, (8, 8), (8, 8), feather=1)
    assert (np.diff(feathered[0, 0, :, 0]) <= 0).all()
    assert ((feathered > 0) & (feathered < 1)).sum() > 8
    with pytest.raises(InputError, match="mask is 8 x 8, but the picture is 8 x 12"):
        mask_for(path, (8, 12), (8, 12))
    Image.new("RGBA", (8, 8), (0, 0, 0, 7)).save(path)
    with pytest.raises(InputError, match="has transparent parts"):
        mask_for(path, (8, 8), (8, 8))


def test_bytes_become_pictures(model):
    grey = np.full((1, 8, 8, 1), 255, np.uint8)
    np.testing.assert_array_equal(to_pictures(model, grey), np.ones((1, 8, 8, 3), np.float32))


def test_bad_arguments(model, images):
    mask = np.ones((1, 8, 8, 1))
    for call, words in [
        (lambda: image_to_image(model, images[..., :2], strength=0.5), r"images has shape \(3, 8, 8, 2\)"),
        (lambda: image_to_image(model, 255 * abs(images), strength=0.5), "runs from .*to_floats"),
        (lambda: image_to_image(model, images * np.nan, strength=0.5), "runs from nan"),
        (lambda: image_to_image(model, images, strength=1.5), "strength is 1.5"),
        (lambda: image_to_image(model, images, strength=-0.1), "strength is -0.1"),
        (lambda: image_to_image(model, images, strength=0.5, sampler="x"), "sampler is 'x'"),
        (lambda: inpaint(model, images, mask[:, :4]), "mask has shape"),
        (lambda: inpaint(model, images, mask * 255), "mask holds 255"),
        (lambda: inpaint(model, images, mask, resample=0), "resample is 0"),
        (lambda: interpolate(model, (images[:1], images[:1]), ("a", "b"), n=1), "n is 1"),
        (lambda: interpolate(model, (images, images), ("a", "b")), "the first noise has shape"),
        (
            lambda: interpolate(model, (images[:1], images[:1]), ("a", "b"), request=Request(prompt="c")),
            "The request holds the prompt 'c', but `prompts` say what is drawn",
        ),
        (lambda: to_pictures(model, np.zeros((1, 9, 8, 3), np.uint8)), "images is 9 x 8, but height and width must be"),
        (lambda: to_pictures(model, np.zeros((1, 8, 8, 3))), "dtype float64"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_an_edit_with_a_classifier_needs_a_class():
    """Without one, "no class" of the model would be a class of the classifier, or none that it knows."""
    request = Request(classifier=lambda x_t, t, labels: 0 * x_t)
    with pytest.raises(InputError, match="labels is None, but a classifier pulls pictures to a class"):
        image_to_image(of_classes(), np.zeros((1, 8, 8, 3), np.float32), request, steps=5)
