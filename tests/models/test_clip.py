"""CLIP as a model: it ranks pictures, its gradient guides, and it is saved and loaded."""

import dataclasses

import numpy as np
import pytest
from clips import PORTRAITS, TEXT, TEXTS, learned, make
from pairs import random

from tinydiff.base import CheckpointError, InputError, Noise
from tinydiff.data import to_floats
from tinydiff.data.avatars import compose, describe, render
from tinydiff.evaluate import retrieval
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, save
from tinydiff.models.clip import best_of, clip_gradient, clip_guided_chain, clip_scores
from tinydiff.networks import CLIP, CLIPConfig, UNetConfig
from tinydiff.text import Tokenizer


@pytest.fixture(scope="module")
def trained():
    return learned()


def test_times_from_0_to_T_are_read_as_numbers_and_as_arrays():
    clip, images = make(), to_floats(render(PORTRAITS)[:2])
    for t in (0, 50, 12.5, np.int64(3)):
        np.testing.assert_array_equal(clip.image_vectors(images, t), clip.image_vectors(images, np.array([t, t])))


def test_it_ranks_pictures_by_a_prompt(trained):
    images = to_floats(render(PORTRAITS))
    scores = clip_scores(trained, images, [TEXTS[3]])[:, 0]
    best = best_of(trained, images, TEXTS[3], 5)
    np.testing.assert_array_equal(best, np.argsort(-scores)[:5])
    with pytest.raises(InputError, match="n is 65, but there are 64"):
        best_of(trained, images, TEXTS[3], 65)


@pytest.mark.equation("GLIDE-CLIP")
def test_the_gradient_is_that_of_the_logit(trained):
    clip = dataclasses.replace(trained, network=network64(trained))
    x_t, t = to_floats(render(PORTRAITS)[:3]).astype(np.float64), np.array([5, 20, 40])
    vectors = clip.text_vectors(TEXTS[:3])
    gradient = clip_gradient(clip)(x_t, t, vectors)
    scale, h, w = np.exp(clip.network.log_scale.value[0]), 1e-5, random(*x_t.shape)

    def logits(x_t):
        return scale * (clip.image_vectors(x_t, t) * vectors).sum(axis=1)

    measured = (logits(x_t + h * w) - logits(x_t - h * w)) / (2 * h)
    np.testing.assert_allclose((gradient * w).sum(axis=(1, 2, 3)), measured, rtol=1e-5)
    with pytest.raises(InputError, match="vectors of texts"):
        clip_gradient(clip)(x_t, t, None)


def network64(clip):
    return CLIP(clip.network.config, dtype=np.float64).bind(clip.network.theta.astype(np.float64))


def test_guidance_raises_the_score_and_without_it_the_chain_is_that_of_the_model(trained):
    unet = UNetConfig(16, 3, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2)
    model = DiffusionModel(ModelConfig(unet, T=50).network(np.random.default_rng(0)), ModelConfig(unet, T=50))

    def drawn(scale):
        *_, (_, x_0, _) = clip_guided_chain(model, trained, TEXTS[:4], scale, steps=10)
        return x_0

    *_, (_, plain, _) = model.chain(Request(n=4), steps=10)
    np.testing.assert_allclose(drawn(0.0), plain, atol=1e-3)  # rounding, over ten steps
    before, after = (np.diag(clip_scores(trained, drawn(scale), TEXTS[:4])) for scale in (0.0, 3.0))
    assert (after > before + 0.1).all()


def test_saved_and_loaded_it_says_the_same(tmp_path, trained):
    save(tmp_path, trained)
    images = to_floats(render(PORTRAITS)[:4])
    np.testing.assert_array_equal(
        clip_scores(load(tmp_path), images, TEXTS[:4]), clip_scores(trained, images, TEXTS[:4])
    )
    (tmp_path / "config.json").write_text('{"clip": {"text": {}, "embedding": 0}}')
    with pytest.raises(CheckpointError, match=r"config\.embedding is 0, but a whole number"):
        load(tmp_path)


def test_bad_arguments():
    clip = make()
    images = np.stack([np.full((16, 16, 3), value, np.float32) for value in (-1, 1)])
    for call, words in [
        (lambda: clip.text_vectors([]), "prompts is"),
        (lambda: clip.text_vectors("one"), "prompts is 'one'"),
        (lambda: clip.image_vectors(np.zeros((2, 8, 8, 3), np.float32)), "x_t has shape"),
        (lambda: dataclasses.replace(clip, tokenizer=Tokenizer()), "the tokenizer 514"),
        (lambda: CLIP(CLIPConfig(image_size=10, channels=(4, 4, 4), text=TEXT)), "image_size is 10 x 10"),
        (lambda: CLIPConfig(channels=()), "channels is empty"),
        (lambda: CLIPConfig(embedding=0), "embedding is 0"),
        (lambda: CLIPConfig(channels=(8, 0)), "channels is 0"),
        (lambda: clip_scores(clip, 100 * images, TEXTS[:2]), "images runs from -100 to 100"),
        (lambda: clip_scores(clip, np.nan * images, TEXTS[:2]), "images runs from nan"),
        (lambda: best_of(clip, 127 * (images + 1), TEXTS[0]), "images runs from"),
        (lambda: clip_scores(clip, images[:0], TEXTS[:2]), "images is empty"),
        (lambda: clip.image_vectors(images, -5), "t runs from -5 to -5, but times from 0 to 50"),
        (lambda: clip.image_vectors(images, np.array([0, 51])), "t runs from 0 to 51"),
        (lambda: clip.image_vectors(images, np.array([0, np.nan])), "t runs from nan"),
        (lambda: clip.image_vectors(images, np.array([0, 1, 2])), "t has shape"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


@pytest.mark.slow
def test_the_shipped_clip_finds_ranks_and_guides():
    """Far above chance on pairs that it has not seen, and its gradient makes the shipped model draw what is asked."""
    clip, model = load("avatars-clip"), load("avatars")
    found = retrieval(clip, n=200)
    assert min(found.captions.low, found.pictures.low) > 0.2  # chance: 0.005
    portraits = compose(8, split="test")
    prompts = [caption.text for caption in describe(portraits, split="test")]
    t = np.full(8, 300)
    x_t = clip.diffusion.q_sample(to_floats(render(portraits)), t, Noise(0).normal((8, 16, 16, 3), "eps"))
    vectors = clip.text_vectors(prompts)
    gradient = clip_gradient(clip)(x_t, t, vectors)
    step = 0.01 * gradient / np.sqrt((gradient**2).sum(axis=(1, 2, 3), keepdims=True))
    before, after = ((clip.image_vectors(x, t) * vectors).sum(axis=1) for x in (x_t, x_t + step))
    assert (after > before).all()

    def drawn(scale):
        *_, (_, x_0, _) = clip_guided_chain(model, clip, prompts, scale, steps=20)
        return np.diag(clip_scores(clip, x_0, prompts)).mean()

    assert drawn(2.0) > drawn(0.0) + 0.05
