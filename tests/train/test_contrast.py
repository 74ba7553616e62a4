"""Training a CLIP: shards that meet are the whole batch, batches without two of one content, and a run's life."""

import dataclasses
import math

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError, Noise, from_table
from tinydiff.data import Dataset, to_floats
from tinydiff.data.avatars import compose, describe, render
from tinydiff.functional import contrastive_loss, contrastive_loss_backward
from tinydiff.models import ClipModel, load
from tinydiff.networks import CLIP, CLIPConfig, TextConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.text import Tokenizer
from tinydiff.train import Contrast, ContrastConfig, NewWordConfig, Run
from tinydiff.train.objectives.contrast import partly_noised
from tinydiff.train.order import distinct

PORTRAITS = compose(64)
TEXTS = tuple(caption.text for caption in describe(PORTRAITS))
PAIRS = Dataset(render(PORTRAITS), np.zeros(64, int), "portraits", "train", "made in the test", TEXTS)
TOKENIZER = Tokenizer.train(TEXTS, 100)
SHAPE = CLIPConfig(channels=(8, 16), embedding=16, text=TextConfig(len(TOKENIZER), 40, 16, 1, 2, causal=True))
CONFIG = ContrastConfig(steps=4, batch=14, micro_batch=4, save_every=2)


def make():
    return ClipModel(CLIP(SHAPE, np.random.default_rng(0)), TOKENIZER, T=50, micro_batch=8)


def run(folder=None, config=CONFIG, clip=None, **options):
    return Run(Contrast(make() if clip is None else clip, PAIRS, config), folder, **options)


def test_shards_that_meet_have_the_loss_and_the_gradient_of_the_whole_batch():
    this = run()
    learner, objective = this.learners[""], this.objective
    network, noise, step = objective.network, Noise(0, step=3), 3
    (loss,) = learner.gradient_sum(step)

    indices = objective.indices(step)
    x_t, t = partly_noised(objective.clip.diffusion, PAIRS.batch(indices)[0], CONFIG.clean, noise)
    tape, grads = Tape(), Gradients(network.parameters())
    logits = network.forward(x_t, t, TOKENIZER.rows([TEXTS[i] for i in indices], 40), tape)
    whole, cache = contrastive_loss(logits)
    network.backward(*contrastive_loss_backward(1.0, cache), tape, grads)
    assert float(loss) == pytest.approx(float(whole), rel=1e-5)
    np.testing.assert_allclose(learner.gradient_sum.totals[0], grads.flat, rtol=1e-3, atol=1e-4 * abs(grads.flat).max())


def test_a_run_that_was_stopped_goes_on_bit_for_bit_on_any_number_of_threads(tmp_path):
    whole = run(tmp_path, threads=1)
    whole.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = run(tmp_path, threads=3)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().network.theta, whole.trained().network.theta)
    np.testing.assert_array_equal(load(tmp_path).network.theta, whole.trained().network.theta)
    with pytest.raises(InputError, match=r"lr is 1.0, but the run in .* has 0.002"):
        run(tmp_path, dataclasses.replace(CONFIG, lr=1.0))


def test_the_scale_stays_bounded_and_its_average_with_it():
    this = run(config=dataclasses.replace(CONFIG, ema=0.0))
    this.objective.network.log_scale.value[:] = 9
    this.train_step()
    largest = math.log(100)
    assert this.objective.network.log_scale.value[0] == pytest.approx(largest)
    assert this.trained().network.log_scale.value[0] == pytest.approx(largest)
    assert this.objective.measure()["scale"] == pytest.approx(100)


def test_the_step_runs_under_both_array_modules(xp):
    here, there = run(), make()
    there = run(clip=dataclasses.replace(there, network=there.network.bind(to_xp(xp, there.network.theta))))
    expected, record = here.train_step(), there.train_step()
    assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    assert float(record["gradient_norm"]) == pytest.approx(float(expected["gradient_norm"]), rel=1e-3)


def test_batches_hold_each_content_once_if_they_can():
    contents = np.arange(100) // 2
    for step in range(10):
        assert len(set(distinct(contents, 20, step, 0))) == 20
    many = distinct(np.arange(100), 20, 3, 0)
    assert len(set(many)) == 20
    np.testing.assert_array_equal(many, distinct(np.arange(100), 20, 3, 0))


def test_a_share_of_the_pictures_is_clean():
    x_0 = to_floats(render(compose(400)))
    x_t, t = partly_noised(make().diffusion, x_0, 0.5, Noise(0))
    clean = t == 0
    np.testing.assert_array_equal(x_t[clean], x_0[clean])
    assert 140 < clean.sum() < 260  # 200 expected, standard deviation 10: odds below 1e-8
    assert abs(x_t[~clean] - x_0[~clean]).max(axis=(1, 2, 3)).min() > 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -1), ("lr", 0), ("lr", math.nan), ("lr", "1"), ("clip", 0), ("clip", math.inf), ("ema", 7),
        ("ema", -0.1), ("clean", 1.5), ("weight_decay", -1), ("seed", -3), ("warmup", -5), ("warmup", 2.5),
        ("steps", 0), ("batch", 1), ("lanes", 2),
    ],
)  # fmt: skip
def test_a_bad_setting_of_training_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}, but"):
        ContrastConfig(**{name: value})


@pytest.mark.parametrize("config", [ContrastConfig, NewWordConfig])
@pytest.mark.parametrize("name", ["validate_every", "validation_images"])
def test_an_objective_without_validation_has_no_settings_of_it(config, name):
    with pytest.raises(InputError, match=rf"run.toml: there is no option {name}; there are: steps"):
        from_table(config, {name: 5}, "run.toml")


def test_pairs_that_do_not_fit_are_refused():
    for data, config, words in [
        (dataclasses.replace(PAIRS, captions=None), CONFIG, "data has no captions"),
        (PAIRS, ContrastConfig(), "There are 64 pairs, but a batch has 256"),
    ]:
        with pytest.raises(InputError, match=words):
            Contrast(make(), data, config)
    with pytest.raises(InputError, match="contents has shape"):
        Contrast(make(), PAIRS, CONFIG, np.arange(3))
    with pytest.raises(InputError, match="processes is True"):
        run(processes=True)
