"""How a diffusion model's loss can be chosen: weightings, steps that are drawn otherwise, offset noise."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from squares import CONFIG, make

from tinydiff.apps.cli import main
from tinydiff.base import InputError, Noise
from tinydiff.diffusion import WEIGHTINGS, loss_weight
from tinydiff.models import load
from tinydiff.train import DenoiseConfig, random_steps


def objective(**options):
    return make(config=dataclasses.replace(CONFIG, **options)).objective


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_gradient_of_a_weighted_loss_is_that_of_differences(weighting):
    task, rng = objective(weighting=weighting), np.random.default_rng(0)
    output, target, direction = rng.normal(size=(3, 6, 8, 8, 1))
    t, h, share = np.array([1, 9, 30, 50, 77, 100]), 1e-5, 0.3
    loss, d_output = task.loss(output, target, t, share)
    above, below = (task.loss(output + sign * h * direction, target, t, share)[0] for sign in (1, -1))
    assert share * (above - below) / (2 * h) == pytest.approx((d_output * direction).sum(), rel=1e-6)
    weight = loss_weight(weighting, "v", task.diffusion, t)
    assert loss == pytest.approx(
        np.mean([w * ((o - a) ** 2).mean() for w, o, a in zip(weight, output, target, strict=True)])
    )


@pytest.mark.equation("STRATA-1")
def test_stratified_steps_fall_one_into_each_part_of_a_batch_however_it_is_cut():
    """In every step of a training it is another shift of equal distances; all shifts together are uniform."""
    n, T = 32, 1000
    whole = random_steps(Noise(3, step=5), n, T, times="stratified")
    assert sorted((whole - whole.min()) // (T / n)) == pytest.approx(list(range(n)), abs=1)
    parts = [random_steps(Noise(3, first=first, step=5), 8, T, times="stratified", batch=n) for first in (0, 8, 16, 24)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    first_of_each = [random_steps(Noise(3, step=step), n, T, times="stratified")[0] for step in range(2000)]
    assert stats.kstest(np.array(first_of_each) / T, "uniform").pvalue > 1e-6  # by chance below it once in a million
    assert min(first_of_each) >= 1
    assert max(first_of_each) <= T


@pytest.mark.equation("LOGITN-1")
def test_logit_normal_steps_have_a_normal_logit():
    """By chance, the p-value falls below one in a million once in a million times; the seed is fixed."""
    t = random_steps(Noise(3), 4000, 100_000, times="logit-normal")
    share = (t - 0.5) / 100_000
    assert stats.kstest(np.log(share / (1 - share)), "norm").pvalue > 1e-6


@pytest.mark.equation("OFFSET-1")
def test_offset_noise_is_shared_by_a_channel_and_by_nothing_else():
    """Each of four comparisons fails by chance once in a million times (5 standard deviations); the seed is fixed."""
    task, n = objective(offset_noise=0.5), 4000
    eps = task.eps(Noise(1), np.zeros((n, 2, 2, 2)))
    far = 5 * (2 / n) ** 0.5
    assert eps[:, 0, 0, 0].var() == pytest.approx(1.25, abs=1.25 * far)
    assert np.cov(eps[:, 0, 0, 0], eps[:, 1, 1, 0])[0, 1] == pytest.approx(0.25, abs=1.25 * far)
    assert np.cov(eps[:, 0, 0, 0], eps[:, 0, 0, 1])[0, 1] == pytest.approx(0, abs=1.25 * far)
    assert np.cov(eps[:-1, 0, 0, 0], eps[1:, 0, 0, 0])[0, 1] == pytest.approx(0, abs=1.25 * far)
    plain = objective()
    np.testing.assert_array_equal(
        plain.eps(Noise(1), np.zeros((3, 2, 2, 2))), Noise(1).normal((3, 2, 2, 2), "eps", dtype=float)
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weighting": "max-snr"}, "weighting is 'max-snr', but one of 'own', 'eps'"),
        ({"weighting": "v", "gamma": 3.0}, "gamma is 3.0, but the weighting 'v' has none"),
        ({"gamma": 3.0}, "gamma is 3.0, but the weighting 'own' has none"),
        ({"weighting": "p2", "gamma": -1.0}, "gamma is -1.0"),
        ({"times": "normal"}, "times is 'normal', but one of 'uniform', 'stratified', 'logit-normal'"),
        ({"offset_noise": -0.1}, "offset_noise is -0.1"),
    ],
)
def test_settings_that_make_no_loss_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        DenoiseConfig(**options)


def test_all_of_it_can_be_chosen_on_the_command_line(tmp_path):
    tiny = ["--data", "digits", "--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2"]
    tiny += ["--train.steps", "2", "--train.batch", "8", "--train.micro-batch", "4", "--train.validation-images", "8"]
    chosen = [
        "--train.weighting",
        "min-snr",
        "--train.gamma",
        "3",
        "--train.times",
        "stratified",
        "--train.offset-noise",
        "0.1",
    ]
    assert main(["train", *tiny, *chosen, "--out", str(tmp_path / "run")]) == 0
    assert load(tmp_path / "run").config.kind == "v"
