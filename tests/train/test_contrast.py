"""Training CLIP: it learns which caption belongs to which portrait, and goes on bit for bit."""

import dataclasses
import math

import numpy as np
import pytest
from clips import PORTRAITS, TEXTS, inputs, learned, make, network

from tinydiff.base import InputError, Noise
from tinydiff.data import to_floats
from tinydiff.data.avatars import compose, draw
from tinydiff.evaluate.retrieval import first_answers
from tinydiff.functional import contrastive_loss, contrastive_loss_backward
from tinydiff.models.clip import clip_scores
from tinydiff.nn import Gradients, Tape
from tinydiff.train import ClipTrainConfig, train_clip
from tinydiff.train.objectives.contrast import gradient_of_batch, next_batch, noisy


@pytest.fixture(scope="module")
def trained():
    return learned()


def test_a_batch_in_shards_has_the_gradient_of_the_whole_batch():
    clip = network()
    x_t, t, tokens = inputs()
    tape, grads = Tape(), Gradients(clip.parameters())
    whole, cache = contrastive_loss(clip.forward(x_t, t, tokens, tape))
    clip.backward(*contrastive_loss_backward(1.0, cache), tape, grads)
    loss, flat = gradient_of_batch(clip, x_t, t, tokens, micro_batch=2)
    assert float(loss) == pytest.approx(float(whole), rel=1e-12)
    np.testing.assert_allclose(flat, grads.flat, rtol=1e-9, atol=1e-12)


def test_it_learns_which_caption_belongs_to_which_portrait(trained):
    scores = clip_scores(trained, to_floats(draw(PORTRAITS)), TEXTS)
    captions, portraits = first_answers(scores)
    assert min(captions, portraits) > 20  # chance finds 1 of 64: 20 or more by chance has odds below 1e-18


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    config = ClipTrainConfig(steps=4, batch=16, micro_batch=8, save_every=2)
    images = draw(PORTRAITS)
    whole = train_clip(make(), images, TEXTS, config, folder=tmp_path)
    for path in tmp_path.glob("*4.safetensors"):
        path.unlink()
    np.testing.assert_array_equal(train_clip(make(), images, TEXTS, config, folder=tmp_path), whole)
    with pytest.raises(InputError, match="other settings"):
        train_clip(make(), images, TEXTS, dataclasses.replace(config, lr=1.0), folder=tmp_path)


def test_batches_hold_each_content_once_if_they_can():
    contents = np.arange(100) // 2
    for step in range(10):
        chosen = next_batch(contents, 20, step, 0)
        assert len(set(chosen)) == 20
    many = next_batch(np.arange(100), 20, 3, 0)
    assert len(set(many)) == 20
    np.testing.assert_array_equal(many, next_batch(np.arange(100), 20, 3, 0))


def test_a_share_of_the_pictures_is_clean():
    x_0 = to_floats(draw(compose(400)))
    x_t, t = noisy(make().diffusion, x_0, 0.5, Noise(0))
    clean = t == 0
    np.testing.assert_array_equal(x_t[clean], x_0[clean])
    assert 140 < clean.sum() < 260  # 200 expected, standard deviation 10: odds below 1e-8
    assert abs(x_t[~clean] - x_0[~clean]).max(axis=(1, 2, 3)).min() > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1), ("lr", 0), ("lr", math.nan), ("lr", "1"), ("clip", 0), ("clip", math.inf), ("ema", 7),
        ("ema", -0.1), ("clean", 1.5), ("weight_decay", -1), ("seed", -3), ("warmup", -5), ("warmup", 2.5),
        ("steps", 0), ("batch", 1),
    ],
)  # fmt: skip
def test_a_bad_setting_of_training_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}, but"):
        ClipTrainConfig(**{name: value})
