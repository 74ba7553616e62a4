"""Textual inversion: the gradient of one row, and nothing else moves."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.base import InputError, Noise, TrainingError
from tinydiff.data.avatars import compose, describe
from tinydiff.functional import mse
from tinydiff.models import DiffusionModel, ModelConfig, load
from tinydiff.networks import TextConfig, TextToImage, UNetConfig
from tinydiff.nn import Gradients
from tinydiff.text import Tokenizer
from tinydiff.train import NewWord, NewWordConfig, Run, learn_word
from tinydiff.train.objectives import new_word
from tinydiff.train.objectives.new_word import token_of

CAPTIONS = [caption.text for caption in describe(compose(40))]
TOKENIZER = Tokenizer.train(CAPTIONS, 60)
TEXT = TextConfig(len(TOKENIZER), length=24, channels=8, layers=1, heads=2)
UNET = UNetConfig(
    8, 3, channels=8, channel_mult=(1, 2), attention_levels=(1,), blocks_per_level=1, heads=2, context_channels=8
)
CONFIG = ModelConfig(UNET, T=50, text=TEXT)
IMAGES = np.random.default_rng(1).uniform(-1, 1, (3, 8, 8, 3))
PROMPTS = ["a person with *", "* hair", "a portrait of *, *"]


def model(dtype=np.float32, config=CONFIG):
    """A model away from its initial state, where zero-initialised layers would hide mistakes."""
    rng = np.random.default_rng(0)
    network = TextToImage(config.unet, config.text, rng, dtype)
    network.theta[:] += (0.1 * rng.standard_normal(network.theta.shape)).astype(dtype)
    return DiffusionModel(network, config, micro_batch=2, tokenizer=TOKENIZER)


def loss_and_gradient(objective, step=0):
    """Return a batch's loss and its gradient in the word's row, summed over the shards."""
    grads = Gradients(objective.network.parameters())
    loss = sum(float(objective.add_gradient(step, shard, grads)) for shard in range(objective.config.shards))
    return loss, grads.flat


@pytest.mark.equation("TI-2")
@pytest.mark.parametrize("micro_batch", [2, 8])
def test_the_gradient_of_a_word_matches_finite_differences(micro_batch):
    """In float64; a word that a prompt says twice is read twice, and in shards the parts of the gradient add."""
    config = NewWordConfig(batch=5, micro_batch=micro_batch)
    objective, h = NewWord(model(np.float64), IMAGES, PROMPTS, config=config), 1e-5
    word = objective.network.theta
    _, gradient = loss_and_gradient(objective)
    direction = np.random.default_rng(2).standard_normal(gradient.shape)
    ends = []
    for sign in (1, -1):
        word += sign * h * direction
        ends.append(loss_and_gradient(objective)[0])
        word -= sign * h * direction
    np.testing.assert_allclose(gradient @ direction, (ends[0] - ends[1]) / (2 * h), rtol=1e-7)


@pytest.mark.equation("TI-2")
def test_its_loss_is_that_of_training():
    """Written out for the whole batch at once."""
    this, config = model(np.float64), NewWordConfig(batch=6, seed=3)
    loss, _ = loss_and_gradient(NewWord(this, IMAGES, PROMPTS, config=config), step=4)
    noise = Noise(3, step=4)
    shown = noise.integers(0, 2, 6, "picture")
    x_0, tokens = IMAGES[shown], this.tokens(PROMPTS)[shown]
    t, eps = noise.integers(1, 50, 6, "t"), noise.normal(x_0.shape, "eps", dtype=np.float64)
    x_t = this.diffusion.q_sample(x_0, t, eps)
    expected, _ = mse(this.network.forward(x_t, t, tokens), this.diffusion.v_from(x_0, eps, t))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_one_gradient_is_asked_for_and_no_other(monkeypatch):
    asked = []

    class Watched(Gradients):
        def __init__(self, parameters, flat=None):
            asked.append([p.name for p in parameters])
            super().__init__(parameters, flat)

    monkeypatch.setattr(new_word, "Gradients", Watched)
    loss_and_gradient(NewWord(model(), IMAGES, PROMPTS, config=NewWordConfig(batch=3)))
    assert asked == [["text.token.table"]] * 2  # one for each shard


@pytest.mark.equation("TI-2")
def test_the_loss_falls_and_every_other_number_stays_to_the_bit():
    before, records, images = dataclasses.replace(model(), micro_batch=8), [], IMAGES.astype(np.float32)
    theta = before.network.theta.copy()
    config = NewWordConfig(steps=30, batch=6, lr=0.1, log_every=10)
    after = learn_word(before, images, PROMPTS, config=config, log=records.append)
    assert [record["step"] for record in records] == [10, 20, 30]
    row = token_of(before, "*")
    for seed in range(5):  # noise that it has not seen, the same for both
        unseen = dataclasses.replace(config, seed=100 + seed)
        losses = [loss_and_gradient(NewWord(m, images, PROMPTS, config=unseen))[0] for m in (before, after)]
        assert losses[1] < losses[0] - 0.002
    np.testing.assert_array_equal(before.network.theta, theta)  # the model that was given
    named = after.network.named_parameters()
    for name, parameter in before.network.named_parameters().items():
        same = named[name].value == parameter.value
        if name == "text.token.table":
            assert not same[row].any()
            same = np.delete(same, row, axis=0)
        assert same.all(), name


def test_the_same_seed_learns_the_same_word_on_any_number_of_threads():
    config = NewWordConfig(steps=3, batch=6)
    images = IMAGES.astype(np.float32)
    one, two, other = (
        learn_word(dataclasses.replace(model(), threads=threads), images, PROMPTS, config=config).network.theta
        for threads, config in ((1, config), (3, config), (1, dataclasses.replace(config, seed=1)))
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()


def test_it_runs_under_both_array_modules(xp):
    here = model()
    there = dataclasses.replace(here, network=here.network.bind(to_xp(xp, here.network.theta)))
    images, config = IMAGES.astype(np.float32), NewWordConfig(2, batch=2)
    learned = [
        to_host(learn_word(m, a, PROMPTS, config=config).network.theta)
        for m, a in ((here, images), (there, to_xp(xp, images)))
    ]
    np.testing.assert_allclose(*learned, atol=1e-4)
    assert (learned[1] != here.network.theta).any()


def test_a_search_may_begin_at_another_word():
    table = model().network.text.token.table.value
    found = NewWord(model(), IMAGES, PROMPTS[:1], like="person").model
    row, start = token_of(found, "*"), token_of(found, "person")
    np.testing.assert_array_equal(found.network.text.token.table.value[row], table[start])
    assert (table[row] != table[start]).any()


def test_bad_arguments():
    this = model()
    config = ModelConfig(dataclasses.replace(UNET, context_channels=None))
    no_text = DiffusionModel(config.network(), config)
    for call, words in [
        (lambda: learn_word(no_text, IMAGES, PROMPTS), "does not read text"),
        (lambda: learn_word(this, IMAGES, PROMPTS, "unheard"), "The word 'unheard' is . tokens, but one"),
        (lambda: learn_word(this, IMAGES, PROMPTS, like="a b"), "The word 'a b' is 2 tokens"),
        (lambda: learn_word(this, IMAGES, ["a *", "a person"]), "texts that all hold the word '\\*'"),
        (lambda: learn_word(this, IMAGES, []), "texts that all hold the word"),
        (lambda: learn_word(this, IMAGES[:, :4], PROMPTS), r"images has shape \(3, 4, 8, 3\)"),
        (lambda: learn_word(this, 300 * IMAGES, PROMPTS), "images runs from"),
        (lambda: NewWordConfig(steps=0), "steps is 0"),
        (lambda: NewWordConfig(lr=np.nan), "lr is nan"),
        (lambda: NewWordConfig(lanes=2), "lanes is 2"),
        (lambda: NewWordConfig(ema=0.9), "ema is 0.9, but the vector of a word is learned without an average"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_a_loss_that_is_no_number_is_one_clear_sentence():
    this = model()
    this.network.theta[:] = np.inf
    with np.errstate(all="ignore"), pytest.raises(TrainingError, match=r"stopped at step 1: .* not finite"):
        learn_word(this, IMAGES.astype(np.float32), PROMPTS, config=NewWordConfig(2))


def test_a_run_of_a_word_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    images, config = IMAGES.astype(np.float32), NewWordConfig(steps=4, batch=6, save_every=2, keep=3)
    whole = learn_word(model(), images, PROMPTS, config=config).network.theta
    for _ in range(2):
        run = Run(NewWord(model(), images, PROMPTS, config=config), tmp_path)
        run.run(progress=False)
        np.testing.assert_array_equal(run.trained().network.theta, whole)
        (tmp_path / "step-00000004.safetensors").unlink()
    assert load(tmp_path).network.theta.shape == whole.shape
