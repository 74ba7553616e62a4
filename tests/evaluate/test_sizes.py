"""Figures of models whose pictures are not square, and what cannot be measured there."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.data import load_data
from tinydiff.evaluate import evaluate, held_out_loss, nearest_neighbours, retrieval, samples
from tinydiff.models import ClipModel, DiffusionModel, ModelConfig
from tinydiff.networks import CLIP, Classifier, ClassifierConfig, CLIPConfig, TextConfig, UNet, UNetConfig
from tinydiff.text import Tokenizer

UNET = UNetConfig((8, 12), channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=10)


def judged_by(monkeypatch, size):
    """Let any judge that is asked for be a classifier of pictures of this size."""
    judges = Classifier(ClassifierConfig(size, channels=(4,)))
    monkeypatch.setattr(samples, "load", lambda name, kind: judges)


def model(unet=UNET):
    return DiffusionModel(UNet(unet, np.random.default_rng(0)), ModelConfig(unet, T=50))


def test_the_held_out_loss_of_a_new_network_is_the_mean_square_of_the_target():
    """A new UNet predicts zero: what remains is the variance of v, alpha_bar + (1 - alpha_bar) x_0^2 for each pixel."""
    images, labels = load_data("digits", "test").resize((8, 12)).batch(np.arange(60))
    ours = model()
    losses = held_out_loss(ours, images, labels, bins=1)
    a = ours.diffusion.alpha_bar[1:]
    expected = (a + (1 - a) * (images**2).mean()).mean()
    assert losses.mean[0] == pytest.approx(expected, abs=4 * losses.standard_error[0])
    assert losses.n[0] == 60


def test_a_report_measures_pictures_that_are_not_square(monkeypatch, tmp_path):
    judged_by(monkeypatch, (8, 12))
    text = evaluate(model(), "digits", "x", n=4, steps=2, out=tmp_path)
    assert "images 8 x 12 x 1" in text
    assert "cut to the middle 5 x 8 of 8 x 8" in text
    assert (tmp_path / "nearest.png").is_file()


@pytest.mark.parametrize("size", [(12, 8), 8, 12])
def test_a_judge_of_another_shape_is_refused(monkeypatch, size):
    judged_by(monkeypatch, size)
    with pytest.raises(InputError, match="The model draws pictures of 8 x 12 x 1, but x judges those of"):
        evaluate(model(), "digits", "x")


def test_one_number_and_two_equal_ones_are_the_same_size_to_a_judge(monkeypatch):
    judged_by(monkeypatch, (8, 8))
    square = UNetConfig(8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2, num_classes=10)
    assert "Samples: 2" in evaluate(model(square), "digits", "x", n=2, steps=1)


def test_a_clip_that_does_not_read_portraits_is_refused():
    tokenizer = Tokenizer()
    config = CLIPConfig((8, 12), 3, (4,), 6, TextConfig(len(tokenizer), 6, 8, 1, 2, causal=True))
    with pytest.raises(InputError, match=r"reads pictures of 8 x 12 x 3, but .* 16 x 16 x 3"):
        retrieval(ClipModel(CLIP(config), tokenizer), n=4)


def test_a_picture_on_its_side_is_no_neighbour():
    with pytest.raises(InputError, match=r"images has shape \(2, 12, 8, 1\), but \(any, 8, 12, 1\)"):
        nearest_neighbours(np.zeros((2, 8, 12, 1)), np.zeros((2, 12, 8, 1)))
