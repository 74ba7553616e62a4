"""The report on a model of one's own pictures, on stand-ins whose answers are known."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import Dataset, load_data
from tinydiff.evaluate.pictures import evaluate_pictures, real_halves
from tinydiff.models import DiffusionModel, ModelConfig, Request
from tinydiff.networks import UNet, UNetConfig

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2)


@pytest.fixture(scope="module")
def digits():
    data = load_data("digits").take(slice(0, 120))
    return data.take(slice(0, 100)), data.take(slice(100, 120))


@pytest.fixture
def model():
    return DiffusionModel(UNet(UNET, np.random.default_rng(0)), ModelConfig(UNET))


class Repeats:
    """In place of a model: its samples are given, its predictions are of zeros."""

    __class__ = DiffusionModel  # so that it passes for one

    def __init__(self, model, samples):
        self.model, self.samples = model, samples

    def __getattr__(self, name):
        return getattr(self.model, name)

    def draw(self, request, sampler, steps, progress):
        self.request = request
        return self.samples[: request.count]


def figures(report, line):
    """Return the numbers in the line that begins so."""
    (found,) = [shown for shown in report.splitlines() if shown.startswith(line)]
    return [float(number) for number in re.findall(r"-?\d+\.\d+", found.removeprefix(line))]


def columns_of(report, name):
    """Return the figure, and both ends of its interval, in the columns of samples and of real pictures."""
    (found,) = [line for line in report.splitlines() if line.startswith(name) and "[" in line]
    numbers = [float(number) for number in re.findall(r"-?\d[\d.e+-]*", found[46:])]
    return numbers[:3], numbers[3:]


def test_a_model_that_repeats_its_training_pictures_is_found_out(digits, model):
    training, held_out = digits
    copies, _ = training.batch(np.arange(60))
    report = evaluate_pictures(Repeats(model, copies), training, held_out)
    drawn, real = figures(report, "nearest training picture, median distance")
    assert drawn == 0 < real


def test_samples_that_are_real_have_about_the_distance_of_real_ones(digits, model):
    training, held_out = digits
    _, others = real_halves(training, held_out)
    images, _ = others.batch(np.arange(len(others)))
    report = evaluate_pictures(Repeats(model, images), training, held_out)
    assert "Distances to 60 real images of one half of all real ones, on features of random convolutions:" in report
    assert "samples, N = 60                  real, N = 60" in report
    for name in ("Fréchet distance", "kernel distance (KID)", "precision", "recall", "density", "coverage"):
        drawn, real = columns_of(report, name)
        assert drawn == real, name  # they are the very pictures that stand for real ones
    noise = np.random.default_rng(0).uniform(-1, 1, images.shape).astype(np.float32)
    report = evaluate_pictures(Repeats(model, noise), training, held_out)
    for name in ("Fréchet distance", "kernel distance (KID)"):
        (drawn, low, _), (real, _, high) = columns_of(report, name)
        assert drawn > 3 * real, name
        assert low > high, name
    assert columns_of(report, "coverage")[0][0] < columns_of(report, "coverage")[1][0]


def test_the_loss_is_that_of_held_out_and_of_training_pictures(digits, model):
    """With all weights 0 the network says 0, and the loss of x_0 is the mean square of the pictures."""
    training, held_out = digits
    config = replace(model.config, kind="x_0", T=1)
    silent = DiffusionModel(model.network.bind(0 * model.network.theta), config)
    report = evaluate_pictures(silent, training, held_out, Request(n=2), steps=1)
    line = figures(report, "t about 0")
    rows = [np.resize(np.arange(len(data)), 200) for data in (held_out, training)]
    squares = [(data.batch(i)[0].astype(float) ** 2).mean() for data, i in zip((held_out, training), rows, strict=True)]
    np.testing.assert_allclose([line[0], line[2]], squares, atol=1e-4)


def test_samples_are_told_what_the_real_pictures_show(digits, model):
    training, held_out = digits
    unet = replace(UNET, num_classes=10)
    knows = DiffusionModel(UNet(unet, np.random.default_rng(0)), ModelConfig(unet))
    stand_in = Repeats(knows, training.batch(np.arange(70))[0])
    evaluate_pictures(stand_in, training, held_out, Request(n=70))
    here, _ = real_halves(training, held_out)
    np.testing.assert_array_equal(stand_in.request.labels, here.labels[np.arange(70) % 60])


def test_the_halves_share_no_picture(digits):
    numbered = Dataset(np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1), np.arange(7), "numbers", "all", "here")
    here, others = real_halves(numbered.take(slice(0, 5)), numbered.take(slice(5, 7)))
    assert len(here) == len(others) == 3
    assert len({*here.labels, *others.labels}) == 6


def test_pictures_are_saved(digits, model, tmp_path):
    report = evaluate_pictures(model, *digits, Request(n=4), steps=2, out=tmp_path)
    for name in ("samples.png", "nearest.png", "loss_by_timestep.png"):
        assert (tmp_path / name).stat().st_size > 1000
        assert name in report


def test_too_few_pictures_are_refused(digits, model):
    training, held_out = digits
    with pytest.raises(InputError, match="at least 4"):
        evaluate_pictures(model, training.take([0, 1]), held_out.take([0]))


def test_what_the_samples_show_is_said_by_the_data(digits, model):
    with pytest.raises(InputError, match="leave it out"):
        evaluate_pictures(model, *digits, Request(n=4, labels=1))
