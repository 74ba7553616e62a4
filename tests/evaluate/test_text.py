"""What is said of a model that draws from captions, on stand-ins whose answers are known."""

import numpy as np
import pytest
from PIL import Image

from tinydiff.base import InputError
from tinydiff.data.avatars import Caption, Portraits, compose, render
from tinydiff.data.avatars.judge import words_of
from tinydiff.data.avatars.pairs import match_probabilities, words_said, words_shown
from tinydiff.data.avatars.slots import LAYERS
from tinydiff.evaluate import evaluate_text, obedience
from tinydiff.evaluate import text as module
from tinydiff.evaluate.obedience import captioned_portraits, coarse_features, effective_number
from tinydiff.evaluate.text import attribute_table
from tinydiff.models import DiffusionModel, Guidance, ModelConfig, Request, load
from tinydiff.networks import TextConfig, TextToImage, UNetConfig
from tinydiff.text import Tokenizer

UNET = UNetConfig(
    image_size=16, in_channels=3, channels=4, channel_mult=(1, 1), blocks_per_level=1, heads=1, context_channels=4
)
CONFIG = ModelConfig(UNET, T=5, text=TextConfig(vocabulary=len(Tokenizer()), length=160, channels=4, layers=1, heads=1))


@pytest.fixture(autouse=True)
def few_training_portraits(monkeypatch):
    """To look through 100,000 takes seconds."""
    monkeypatch.setattr(module, "TRAINED_ON", 100)


def tiny():
    return DiffusionModel(TextToImage(UNET, CONFIG.text), CONFIG, tokenizer=Tokenizer())


def test_real_portraits_do_what_their_captions_say():
    portraits, captions = captioned_portraits(24, "swapped")
    found = obedience(render(portraits), portraits, captions)
    assert found.mean == 1
    assert {share.value for share in found.attributes.values()} == {1}
    assert found.both_colours.value == 1
    assert found.skin.sum() == pytest.approx(1)


def test_portraits_with_colours_the_other_way_round_have_no_colour_right():
    portraits, captions = captioned_portraits(24, "swapped")
    found = obedience(render(portraits)[np.arange(24) ^ 1], portraits, captions)
    assert found.both_colours.value == 0
    assert found.attributes["hair colour"].value == 0
    assert found.attributes["hair"].value == 1
    assert 0 < found.mean < 1


def test_one_colour_wrong_is_not_both_right():
    portraits, captions = captioned_portraits(16, "swapped")
    images = render(portraits)
    images[::2, 9:] = images[1::2, 9:]  # every other portrait has the partner's shirt
    found = obedience(images, portraits, captions)
    assert found.both_colours.value == pytest.approx(0.5)


def test_captions_without_attributes_are_refused():
    portraits, _ = captioned_portraits(2, "test")
    with pytest.raises(InputError, match="nothing to judge by"):
        obedience(render(portraits), portraits, (Caption("a person", (), ()),) * 2)


def test_the_table_leaves_out_what_nobody_asked_for():
    sets = {split: captioned_portraits(8, split) for split in ("test", "swapped")}
    columns = {
        split: obedience(render(portraits), portraits, captions) for split, (portraits, captions) in sets.items()
    }
    lines = attribute_table(columns)
    assert ["hat", "100.0%", "-"] in [line.split() for line in lines]  # swapped portraits wear none
    assert any(line.split() == ["mean", "of", "attributes", "100.0%", "100.0%"] for line in lines)


def test_effective_numbers():
    assert effective_number(np.full(8, 1 / 8)) == pytest.approx(8)
    assert effective_number(np.array([0, 1.0, 0])) == 1


def test_coarse_features_are_means():
    images = np.zeros((1, 16, 16, 3), np.uint8)
    images[0, :4, 4:8, 1] = 255
    features = coarse_features(images).reshape(4, 4, 3)
    assert features[0, 1, 1] == pytest.approx(1)
    assert features.sum() == pytest.approx(-46)


@pytest.mark.slow
def test_a_perfect_model_gets_the_figures_of_real_portraits(monkeypatch, tmp_path):
    """A stand-in that returns the portraits themselves: what real ones get, at a distance of 0."""
    real = {(module.ONE_PROMPT,) * 8: render(module.portraits_of_one_prompt(8)[0])}

    def perfect(model, prompts, steps, sampler, guidance, progress):
        return real[tuple(prompts)]

    for split in ("test", "held-out", "swapped"):
        portraits, captions = captioned_portraits(8, split)
        real[tuple(caption.text for caption in captions)] = render(portraits)
    monkeypatch.setattr(module, "draw_prompts", perfect)
    report = evaluate_text(tiny(), n=8, scales=(1, 3), out=tmp_path)
    lines = {line.split("  ")[0]: line.split()[-4:] for line in report.splitlines() if line}
    assert lines["mean of attributes"] == ["100.0%"] * 4
    assert lines["both colours"][2] == "100.0%"
    for scale in ("1", "3"):
        frechet, precision, recall, _ = lines[scale]
        assert float(frechet) < 1e-3
        assert precision == recall == "100.0%"
    for name in ("rows", "trade", "skin"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 100


@pytest.mark.slow
def test_an_untrained_model_is_evaluated_too():
    report = evaluate_text(tiny(), n=8, steps=1, scales=())
    assert "mean of attributes" in report
    assert "seen in training" in report
    assert "Fréchet" not in report


@pytest.mark.slow
def test_portraits_that_are_alike_are_those_for_which_their_prompt_is_written():
    """They show what it says, and besides it what the exact posterior says: far fewer glasses than other portraits.

    False-alarm rate: 4 shares within 5 standard deviations, below 1e-5.
    """
    sets = module.portraits_of_one_prompt(150)
    for portraits in sets:
        part, colour = words_of(portraits, "hair")
        assert f"a person with {part[0]} {colour[0]} hair" == module.ONE_PROMPT
        assert (set(part), set(colour), len(part)) == ({"long"}, {"red"}, 150)
    assert not np.array_equal(sets[0].parts, sets[1].parts)
    many = compose(20_000, split="test", first=1_000_000)
    part, colour = words_of(many, "hair")
    many = Portraits(*(values[(part == "long") & (colour == "red")] for values in many))
    only_hair = words_said(many, (Caption("", ("hair",), ("hair",)),) * len(many.parts))
    (says,) = np.unique(only_hair[only_hair[:, LAYERS.index("hair")].all(axis=1)], axis=0)
    (posterior,) = match_probabilities(says[None], words_shown(many))
    for layer in ("glasses", "beard", "hat", "accessories"):
        worn = words_of(many, layer)[0] != ""
        expected, effective_n = posterior @ worn, 1 / (posterior**2).sum()
        found = np.mean([words_of(portraits, layer)[0] != "" for portraits in sets])
        deviation = (expected * (1 - expected) * (1 / 300 + 1 / effective_n)) ** 0.5
        assert abs(found - expected) < 5 * deviation, layer


@pytest.mark.slow
def test_both_halves_of_a_held_out_combination_are_counted_where_the_caption_names_both():
    portraits, captions = captioned_portraits(40, "held-out")
    images = render(portraits)
    assert obedience(images, portraits, captions).combination.value == 1
    exchanged = obedience(images[::-1], portraits, captions).combination
    assert exchanged.value < 0.5
    none_named = tuple(Caption(caption.text, ("clothing",), ()) for caption in captions)
    assert obedience(images, portraits, none_named).combination is None
    assert obedience(render(captioned_portraits(8, "test")[0]), *captioned_portraits(8, "test")).combination is None


def test_captions_are_drawn_as_the_chain_draws_them():
    prompts = [caption.text for caption in captioned_portraits(3, "test")[1]]
    images = module.draw_prompts(tiny(), prompts, 2, "ddim", Guidance(2.0))
    *_, (_, x_0, _) = tiny().chain(Request(n=3, prompt=prompts, guidance=2.0), steps=2)
    np.testing.assert_array_equal(images, np.rint((x_0 + 1) * 127.5).clip(0, 255))


def test_models_that_draw_no_avatars_are_refused():
    with pytest.raises(InputError, match="avatars from text"):
        evaluate_text(load("mnist"))
    with pytest.raises(InputError, match="n is 3"):
        evaluate_text(tiny(), n=3)
