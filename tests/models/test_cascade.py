"""Cascades: small pictures drawn, then enlarged, as one model."""

import dataclasses
import shutil

import numpy as np
import pytest
from enlargers import base, behind_latents, cascade, enlarger, network_of
from latents import SCENES

from tinydiff.base import CheckpointError, Condition, InputError
from tinydiff.diffusion import last
from tinydiff.models import Cascade, DiffusionModel, Guidance, Request, load, sample, save
from tinydiff.networks import UNet

ASKED = Request(n=2, prompt=SCENES.captions[0], guidance=2, seed=5)
STEPS = {"sampler": "ddim", "steps": 4}


def test_a_cascade_draws_what_its_stages_draw_one_after_the_other():
    model = cascade()
    states = list(model.chain(ASKED, **STEPS))
    assert [x_t.shape[1] for _, x_t, _ in states] == [8] * 4 + [16] * 4 + [32] * 4
    assert [t for t, _, _ in states[3::4]] == [0, 0, 0]
    drawn = model.draw(ASKED, **STEPS)
    np.testing.assert_array_equal(drawn, states[-1][1])
    assert drawn.shape == (2, *model.picture_shape) == (2, 32, 32, 3)
    small = model.base.draw(dataclasses.replace(ASKED, size=8), **STEPS)
    np.testing.assert_array_equal(states[3][1], small)
    seeds = [(5 + i * 2654435761) % 2**32 for i in (1, 2)]
    middle = model.stages[0].enlarge(small, dataclasses.replace(ASKED, seed=seeds[0]), **STEPS)
    np.testing.assert_array_equal(model.stages[1].enlarge(middle, Request(seed=seeds[1]), **STEPS), drawn)


def test_noise_of_two_stages_has_nothing_in_common(monkeypatch):
    starts, start = [], DiffusionModel.start

    def noted(self, request):
        starts.append(start(self, request))
        return starts[-1]

    monkeypatch.setattr(DiffusionModel, "start", noted)
    cascade().draw(dataclasses.replace(ASKED, n=1), **STEPS)
    a, b, c = (x_T.ravel()[:192] for x_T, _ in starts[-3:])  # after each stage was asked once, before the first step
    for one, other in ((a, b), (a, c), (b, c)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.36  # 5 sigma of 192 pairs; the seed is fixed


def test_progress_counts_the_steps_of_all_stages():
    seen = []
    cascade().draw(ASKED, progress=lambda step, steps: seen.append((step, steps)), **STEPS)
    assert seen == [(i, 12) for i in range(1, 13)]


def test_a_picture_does_not_depend_on_how_many_are_drawn():
    model = cascade()
    two = model.draw(ASKED, **STEPS)
    np.testing.assert_array_equal(model.draw(dataclasses.replace(ASKED, n=1, first=1), **STEPS), two[1:])


def test_a_truncated_chain_stops_at_the_noise_and_hands_its_state_on():
    model = Cascade(base(), (enlarger(16),))
    states = list(model.chain(ASKED, image_noise=0.5, truncated=True, **STEPS))
    assert [t for t, _, _ in states] == [38, 25, 38, 25, 13, 0]
    asked = dataclasses.replace(ASKED, seed=(5 + 2654435761) % 2**32)
    request = model.stages[0].request_for(states[1][1], asked, 0.5, is_noised=True)
    np.testing.assert_array_equal(last(model.stages[0].chain(request, **STEPS)), states[-1][1])


def test_a_model_of_latents_can_be_the_base():
    model = behind_latents()
    assert model.draw(ASKED, **STEPS).shape == (2, 32, 32, 3)
    small = model.base.draw(dataclasses.replace(ASKED, size=16), **STEPS)
    asked = dataclasses.replace(ASKED, seed=(5 + 2654435761) % 2**32)
    np.testing.assert_array_equal(model.stages[0].enlarge(small, asked, **STEPS), model.draw(ASKED, **STEPS))


def test_other_sizes_are_drawn_from_other_small_sizes():
    assert cascade().draw(dataclasses.replace(ASKED, size=(16, 32)), **STEPS).shape == (2, 16, 32, 3)


def test_it_is_a_folder_of_folders(tmp_path):
    model = cascade()
    save(tmp_path, model)
    again = load(tmp_path, kind=Cascade)
    np.testing.assert_array_equal(again.draw(ASKED, **STEPS), model.draw(ASKED, **STEPS))
    shutil.rmtree(tmp_path / "stage_2")
    with pytest.raises(CheckpointError, match="says that there is a stage_2"):
        load(tmp_path)


def test_what_does_not_fit_is_one_clear_sentence():
    for call, message in [
        (lambda: Cascade(base(), ()), "stages is empty"),
        (lambda: Cascade(base(), (base(),)), r"stages\[0\] is of type DiffusionModel"),
        (lambda: Cascade(enlarger(), (enlarger(),)), "base is of type Enlarger"),
        (lambda: Cascade(base(), (enlarger(32),)), r"stages\[0\] draws pictures of 32 x 32 x 3 and enlarges 2 times"),
        (lambda: Cascade(base(), (enlarger(16), enlarger(16))), r"gets pictures of 16 x 16 x 3: one that draws 32"),
        (lambda: cascade().draw(dataclasses.replace(ASKED, size=20)), "size is 20 x 20"),
        (lambda: cascade().draw(Request(n=10**9, prompt="a")), "n is 1000000000 and size .* GiB of memory"),
        (lambda: cascade().draw(ASKED, image_noise=2), "image_noise is 2"),
        (lambda: cascade().draw(Request(n=1, image=np.zeros((1, 8, 8, 3), np.float32))), "request holds an image"),
        (lambda: behind_latents().draw(ASKED, truncated=True), "the base draws latents"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def with_classes(part):
    """Return the part as a model that knows three classes and reads no text."""
    unet = dataclasses.replace(part.config.unet, num_classes=3, context_channels=None)
    config = dataclasses.replace(part.config, unet=unet, text=None)
    return dataclasses.replace(part, network=network_of(config, 3), config=config, tokenizer=None)


def test_each_part_is_asked_what_it_understands(monkeypatch):
    asked, walk = [], DiffusionModel.walk

    def noted(self, request, *others):
        asked.append(request)
        return walk(self, request, *others)

    monkeypatch.setattr(DiffusionModel, "walk", noted)
    words, classes = enlarger(16), with_classes(enlarger(32, None, seed=2))
    guidance = Guidance(3.0, rescale=0.5, threshold="dynamic")
    Cascade(base(), (words, classes)).draw(Request(n=2, prompt="a red cabin", guidance=guidance), **STEPS)
    *_, first, second, third = asked
    assert first.prompt == second.prompt == "a red cabin"
    assert first.guidance == second.guidance == third.guidance == guidance
    assert (third.prompt, third.labels.tolist()) == (None, 3)  # no class
    plain = enlarger(32, None, seed=2)
    Cascade(with_classes(base()), (enlarger(16), plain)).draw(Request(labels=[1, 2], guidance=guidance), **STEPS)
    *_, first, second, third = asked
    assert first.labels.tolist() == [1, 2]
    assert (first.guidance, second.labels, second.guidance) == (guidance, None, guidance)
    assert third.guidance == Guidance(threshold="dynamic")  # it has nothing to follow


def test_what_cannot_be_drawn_is_refused_before_the_first_step(monkeypatch):
    def step(*arguments, **options):
        raise AssertionError("a step was taken")

    monkeypatch.setattr(UNet, "forward", step)
    model = cascade()
    deaf = Cascade(base(), (enlarger(16), enlarger(32, None, image_time=False)))
    other = dataclasses.replace(enlarger(16).config, schedule="linear")
    mixed = Cascade(base(), (dataclasses.replace(enlarger(16), config=other),))
    for call, message in [
        (lambda: model.chain(Request(labels=7)), "labels is 7, but this model draws from text"),
        (lambda: model.chain(Request(n=1), "nonsense", 2), "sampler is 'nonsense'"),
        (lambda: deaf.chain(ASKED, image_noise=0.5), "trained without that noise"),
        (lambda: model.chain(dataclasses.replace(ASKED, classifier=print, negative="")), "classifier was given"),
        (lambda: model.chain(Request(prompt=Condition(tokens=np.zeros((1, 64, 8), np.float32)))), "encoded prompts"),
        (lambda: mixed.chain(ASKED, truncated=True), r"stages\[0\] has another schedule"),
        (lambda: Cascade(base(), (enlarger(16),) * 4), "stages has 4, but at most 3"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def test_its_sizes_fit_every_stage():
    coarse = enlarger(16)
    unet = dataclasses.replace(coarse.config.unet, channel_mult=(1, 1, 1))  # with patches of 2, multiples of 8
    config = dataclasses.replace(coarse.config, unet=unet)
    model = Cascade(base(), (dataclasses.replace(coarse, network=network_of(config, 1), config=config),))
    assert model.multiple == 8
    with pytest.raises(InputError, match="size is 20 x 20, but height and width must be multiples of 8"):
        model.chain(dataclasses.replace(ASKED, size=20))


def test_in_one_line_it_is_sampled_from_too(tmp_path):
    save(tmp_path, cascade())
    drawn = sample(tmp_path, n=1, prompt="a red cabin", steps=2)
    assert drawn.shape == (1, 32, 32, 3)
    expected = cascade().draw(Request(n=1, prompt="a red cabin", guidance=2), "dpmpp_2m", 2)
    np.testing.assert_array_equal(drawn, expected)
