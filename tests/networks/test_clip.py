"""CLIP: its loss by an independent way, its gradients, what it is good for on pairs whose answer is known."""

import dataclasses
import math

import numpy as np
import pytest
from arrays import to_host, to_xp
from pairs import assert_right, assert_same_on, random

from tinydiff.base import CheckpointError, InputError, Noise
from tinydiff.data import Dataset, to_floats
from tinydiff.data.avatars import compose, describe, draw
from tinydiff.data.avatars.pairs import belongs, said, shown
from tinydiff.data.avatars.slots import LAYERS
from tinydiff.evaluate import retrieval
from tinydiff.evaluate.retrieval import first_answers
from tinydiff.functional import (
    contrastive_loss,
    contrastive_loss_backward,
    scaled_similarity,
    scaled_similarity_backward,
    unit_length,
    unit_length_backward,
)
from tinydiff.models import ClipModel, DiffusionModel, ModelConfig, load_clip, load_model, save_clip
from tinydiff.models.clip import best_of, clip_gradient, clip_guided_chain, clip_scores
from tinydiff.networks import CLIP, CLIPConfig, TextConfig, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.text import Tokenizer
from tinydiff.train import Contrast, ContrastConfig, Run

TEXT = TextConfig(vocabulary=20, length=6, channels=8, layers=1, heads=2, causal=True)
TINY = CLIPConfig(image_size=8, channels=(8, 8), embedding=6, text=TEXT)
TOKENS = np.array([[18, 1, 2, 19, 19, 19], [18, 5, 1, 3, 7, 19], [18, 19, 19, 19, 19, 19]])  # 18 starts, 19 ends


@pytest.mark.equation("UNIT-1")
@pytest.mark.equation("UNIT-2")
def test_unit_length(xp):
    x = random(3, 4, 5)
    y, _ = unit_length(x)
    np.testing.assert_allclose(np.linalg.norm(y, axis=-1), 1)
    np.testing.assert_allclose(np.cross(y[..., :3], x[..., :3]), 0, atol=1e-12)  # the direction stays
    assert_right(unit_length, unit_length_backward, (x,))
    assert_same_on(xp, unit_length, unit_length_backward, (x,))
    assert np.isfinite(unit_length(np.zeros((1, 3)))[0]).all()


@pytest.mark.equation("NCE-1")
@pytest.mark.equation("NCE-2")
def test_scaled_similarity(xp):
    a, b, log_scale = random(4, 3), random(5, 3, seed=1), np.array([0.7])
    y, _ = scaled_similarity(a, b, log_scale)
    for i, j in np.ndindex(4, 5):
        assert y[i, j] == pytest.approx(math.exp(0.7) * sum(a[i, k] * b[j, k] for k in range(3)))
    assert_right(scaled_similarity, scaled_similarity_backward, (a, b, log_scale))
    assert_same_on(xp, scaled_similarity, scaled_similarity_backward, (a, b, log_scale))


@pytest.mark.equation("NCE-3")
@pytest.mark.equation("NCE-4")
def test_the_contrastive_loss(xp):
    logits = 3 * random(5, 5)
    by_hand = 0.0
    for i in range(5):
        row = sum(math.exp(logits[i, j]) for j in range(5))
        column = sum(math.exp(logits[j, i]) for j in range(5))
        by_hand -= (math.log(math.exp(logits[i, i]) / row) + math.log(math.exp(logits[i, i]) / column)) / 10
    assert float(contrastive_loss(logits)[0]) == pytest.approx(by_hand, rel=1e-12)
    assert_right(contrastive_loss, contrastive_loss_backward, (logits,))
    assert_same_on(xp, contrastive_loss, contrastive_loss_backward, (logits,))
    assert float(contrastive_loss(np.zeros((7, 7)))[0]) == pytest.approx(math.log(7))  # a guess costs log N
    assert np.isfinite(contrastive_loss(1e4 * logits)[0])
    for bad, words in [(logits[:4], "logits has shape"), (logits[:0, :0], "no numbers")]:
        with pytest.raises(InputError, match=words):
            contrastive_loss(bad)


def network(dtype=np.float64):
    rng = np.random.default_rng(0)
    clip = CLIP(TINY, rng, dtype)
    clip.theta[:] += 0.1 * rng.standard_normal(clip.theta.shape)
    return clip


def inputs(dtype=np.float64):
    return random(3, 8, 8, 3).astype(dtype), np.array([0, 30, 700]), TOKENS


def test_whole_model_gradients_match_finite_differences():
    clip = network()
    x_t, t, tokens = inputs()

    def loss(theta, x_t):
        return float(contrastive_loss(clip.bind(theta).forward(x_t, t, tokens))[0])

    tape, grads = Tape(), Gradients(clip.parameters())
    _, cache = contrastive_loss(clip.forward(x_t, t, tokens, tape))
    dx = clip.backward(*contrastive_loss_backward(1.0, cache), tape, grads)
    assert len(tape) == 0
    rng = np.random.default_rng(1)
    h, v, w = 1e-5, rng.standard_normal(clip.theta.shape), rng.standard_normal(x_t.shape)
    by_theta = (loss(clip.theta + h * v, x_t) - loss(clip.theta - h * v, x_t)) / (2 * h)
    by_x = (loss(clip.theta, x_t + h * w) - loss(clip.theta, x_t - h * w)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-5)
    assert (dx * w).sum() == pytest.approx(by_x, rel=1e-5)
    assert abs(grads["log_scale"]).max() > 0  # the temperature is learned too


def test_both_array_modules_agree_in_float32(xp):
    clip = network(np.float32)
    x_t, t, tokens = inputs(np.float32)
    there = clip.bind(to_xp(xp, clip.theta)).forward(*(to_xp(xp, a) for a in (x_t, t, tokens)))
    assert there.dtype == np.float32
    np.testing.assert_allclose(to_host(there), clip.forward(x_t, t, tokens), rtol=1e-4, atol=1e-4)


def test_times_from_0_to_T_are_read_as_numbers_and_as_arrays():
    clip, images = make(), to_floats(draw(PORTRAITS)[:2])
    for t in (0, 50, 12.5, np.int64(3)):
        np.testing.assert_array_equal(clip.image_vectors(images, t), clip.image_vectors(images, np.array([t, t])))


def test_a_text_is_read_up_to_its_end():
    """Causal, and pooled at the first end: what comes after it does not count, what comes before does."""
    clip = network()
    padded, changed, other = TOKENS[[0]], TOKENS[[0]].copy(), TOKENS[[0]].copy()
    changed[0, 4:] = [3, 4]
    other[0, 1] = 7
    np.testing.assert_allclose(clip.encode_text(changed), clip.encode_text(padded), rtol=1e-12)
    assert abs(clip.encode_text(other) - clip.encode_text(padded)).max() > 1e-3


def test_the_scale_is_bounded():
    clip = network()
    clip.log_scale.value[:] = 9
    clip.bound_scale()
    assert clip.log_scale.value[0] == pytest.approx(math.log(100))


PORTRAITS = compose(64)
CAPTIONS = describe(PORTRAITS)
TEXTS = tuple(caption.text for caption in CAPTIONS)
TOKENIZER = Tokenizer.train(TEXTS, 100)
SMALL = CLIPConfig(channels=(8, 16), embedding=16, text=TextConfig(len(TOKENIZER), 40, 16, 1, 2, causal=True))


def make():
    return ClipModel(CLIP(SMALL, np.random.default_rng(0)), TOKENIZER, T=50, micro_batch=8)


@pytest.fixture(scope="module")
def trained():
    """A CLIP that has learned 64 pairs by heart."""
    clip = make()
    data = Dataset(draw(PORTRAITS), np.zeros(64, int), "portraits", "train", "made in the test", TEXTS)
    run = Run(
        Contrast(clip, data, ContrastConfig(steps=60, batch=32, micro_batch=16, lr=5e-3, warmup=5, ema=0.9, clean=0.8))
    )
    run.run(progress=False)
    return run.trained()


def test_it_learns_which_caption_belongs_to_which_portrait(trained):
    scores = clip_scores(trained, to_floats(draw(PORTRAITS)), TEXTS)
    captions, portraits = first_answers(scores)
    assert min(captions, portraits) > 20  # chance finds 1 of 64: 20 or more by chance has odds below 1e-18


def test_it_ranks_pictures_by_a_prompt(trained):
    images = to_floats(draw(PORTRAITS))
    scores = clip_scores(trained, images, [TEXTS[3]])[:, 0]
    best = best_of(trained, images, TEXTS[3], 5)
    np.testing.assert_array_equal(best, np.argsort(-scores)[:5])
    with pytest.raises(InputError, match="n is 65, but there are only 64"):
        best_of(trained, images, TEXTS[3], 65)


@pytest.mark.equation("GLIDE-CLIP")
def test_the_gradient_is_that_of_the_logit(trained):
    clip = dataclasses.replace(trained, network=network64(trained))
    x_t, t = to_floats(draw(PORTRAITS)[:3]).astype(np.float64), np.array([5, 20, 40])
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

    *_, (_, plain, _) = model.chain(4, steps=10)
    np.testing.assert_allclose(drawn(0.0), plain, atol=1e-3)  # rounding, over ten steps
    before, after = (np.diag(clip_scores(trained, drawn(scale), TEXTS[:4])) for scale in (0.0, 3.0))
    assert (after > before + 0.1).all()


def test_saved_and_loaded_it_says_the_same(tmp_path, trained):
    save_clip(tmp_path, trained)
    images = to_floats(draw(PORTRAITS)[:4])
    np.testing.assert_array_equal(
        clip_scores(load_clip(tmp_path), images, TEXTS[:4]), clip_scores(trained, images, TEXTS[:4])
    )
    (tmp_path / "config.json").write_text('{"clip": {"text": {}, "embedding": 0}}')
    with pytest.raises(CheckpointError, match="does not describe a CLIP"):
        load_clip(tmp_path)


def test_a_caption_belongs_to_portraits_of_which_it_is_true():
    """Against plain loops over words; rows add to 1, and what shows more that is not said is less probable."""
    captions = describe(PORTRAITS)
    says, shows = said(PORTRAITS, captions), shown(PORTRAITS)
    found = belongs(says, shows)
    for k, caption in enumerate(captions):
        for j in range(len(captions)):
            true, left_out = True, 0
            for i, layer in enumerate(LAYERS):
                part, colour = layer in caption.parts, layer in caption.colours
                true &= not part or shows[k, i, 0] == shows[j, i, 0] != 0
                true &= not colour or shows[k, i, 1] == shows[j, i, 1] != 0
                left_out += shows[j, i].any() and not (part or colour)
            assert (found[k, j] > 0) == true
            if true:
                own = shows[k].any(axis=1).sum() - says[k].any(axis=1).sum()
                assert found[k, j] == pytest.approx(found[k, k] * 0.25 ** (left_out - own))
    assert (np.diag(found) > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    with pytest.raises(InputError, match="3 captions for 64"):
        said(PORTRAITS, captions[:3])


def test_an_exact_reader_finds_as_many_portraits_as_it_expects():
    """So the captions are written as `belongs` says: 400 trials, five standard deviations (a false alarm in 2 million,
    and the seed is fixed)."""
    portraits = compose(400, split="test")
    found = belongs(said(portraits, describe(portraits, split="test")), shown(portraits))
    p = found.max(axis=1)
    _, hits = first_answers(found.T)
    assert abs(hits - p.sum()) < 5 * (p * (1 - p)).sum() ** 0.5


def test_first_answers_count_the_diagonal_and_share_ties():
    assert first_answers(np.array([[3.0, 1, 0], [4, 2, 1], [0, 0, 5]])) == (2.0, 2.0)
    assert first_answers(np.zeros((4, 4))) == (1.0, 1.0)
    with pytest.raises(InputError, match="one column for each row"):
        first_answers(np.zeros((2, 3)))


def test_a_report_of_retrieval(trained):
    small = retrieval(trained, n=20)
    assert 0 <= small.captions.value <= 1
    assert small.caption_ceiling <= 1
    assert "chance" in str(small)
    assert "5.00%" in str(small)


def test_bad_arguments():
    clip = make()
    images = np.stack([np.full((16, 16, 3), value, np.float32) for value in (-1, 1)])
    for call, words in [
        (lambda: clip.text_vectors([]), "prompts is"),
        (lambda: clip.text_vectors("one"), "prompts is 'one'"),
        (lambda: clip.image_vectors(np.zeros((2, 8, 8, 3), np.float32)), "x_t has shape"),
        (lambda: dataclasses.replace(clip, tokenizer=Tokenizer()), "the tokenizer 514"),
        (lambda: CLIP(CLIPConfig(image_size=10, channels=(4, 4, 4), text=TEXT)), "image_size = 10"),
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
    clip, model = load_clip(), load_model("avatars")
    found = retrieval(clip, n=200)
    assert min(found.captions.low, found.portraits.low) > 0.2  # chance: 0.005
    portraits = compose(8, split="test")
    prompts = [caption.text for caption in describe(portraits, split="test")]
    t = np.full(8, 300)
    x_t = clip.diffusion.q_sample(to_floats(draw(portraits)), t, Noise(0).normal((8, 16, 16, 3), "eps"))
    vectors = clip.text_vectors(prompts)
    gradient = clip_gradient(clip)(x_t, t, vectors)
    step = 0.01 * gradient / np.sqrt((gradient**2).sum(axis=(1, 2, 3), keepdims=True))
    before, after = ((clip.image_vectors(x, t) * vectors).sum(axis=1) for x in (x_t, x_t + step))
    assert (after > before).all()

    def drawn(scale):
        *_, (_, x_0, _) = clip_guided_chain(model, clip, prompts, scale, steps=20)
        return np.diag(clip_scores(clip, x_0, prompts)).mean()

    assert drawn(2.0) > drawn(0.0) + 0.05
