"""Models that enlarge pictures: what the network sees of small ones, and what it draws."""

import dataclasses

import numpy as np
import pytest
from enlargers import enlarger, shape
from latents import SCENES

from tinydiff.base import InputError, to_numpy
from tinydiff.data import to_floats
from tinydiff.functional import upsample_bilinear
from tinydiff.models import DiffusionModel, Enlarger, ModelConfig, Request, load, predictor, save, word_maps
from tinydiff.models.predictor import check_fits
from tinydiff.train import learn_word

SMALL = to_floats(SCENES.pictures([0, 1, 2]))[:, ::2, ::2]
ASKED = Request(prompt=list(SCENES.captions[:3]), guidance=2, seed=3)
STEPS = {"sampler": "ddim", "steps": 3}


@pytest.mark.equation("NCA-1")
def test_the_network_sees_small_pictures_noised_and_enlarged():
    model, eps = enlarger(), np.random.default_rng(0).normal(size=SMALL.shape).astype(np.float32)
    times = np.array([0.0, 12.5, 50.0])
    seen = model.beside(SMALL, times, eps)
    for i, t in enumerate(times):
        alpha_bar = model.diffusion.alpha_bar_at(t)
        noised = np.sqrt(alpha_bar) * SMALL[i] + np.sqrt(1 - alpha_bar) * eps[i]
        np.testing.assert_allclose(seen[i], upsample_bilinear(noised[None], 2)[0][0], atol=1e-6)
    np.testing.assert_array_equal(seen[0], upsample_bilinear(SMALL[:1], 2)[0][0])


def test_shrinking_undoes_repeating():
    large = np.repeat(np.repeat(SMALL, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(enlarger().shrink(large), SMALL, atol=1e-6)


def test_a_drawing_is_large_and_follows_the_small_picture_the_words_the_noise_and_the_seed():
    model = enlarger()
    drawn = model.enlarge(SMALL, ASKED, **STEPS)
    assert drawn.shape == (3, 16, 16, 3)
    assert abs(drawn).max() <= 1
    np.testing.assert_array_equal(drawn, model.enlarge(SMALL, ASKED, **STEPS))
    others = {
        "small": model.enlarge(-SMALL, ASKED, **STEPS),
        "words": model.enlarge(SMALL, dataclasses.replace(ASKED, prompt=[SCENES.captions[4]] * 3), **STEPS),
        "noise": model.enlarge(SMALL, ASKED, image_noise=0.6, **STEPS),
        "no noise": model.enlarge(SMALL, ASKED, image_noise=0, **STEPS),
        "seed": model.enlarge(SMALL, dataclasses.replace(ASKED, seed=4), **STEPS),
    }
    for what, other in others.items():
        assert (abs(other - drawn).max(axis=(1, 2, 3)) > 1e-4).all(), what


def test_a_picture_does_not_depend_on_those_beside_it():
    model = enlarger()
    drawn = model.enlarge(SMALL, ASKED, **STEPS)
    second = Request(prompt=ASKED.prompt[1], guidance=2, seed=3, first=1)
    np.testing.assert_array_equal(model.enlarge(SMALL[1:2], second, **STEPS), drawn[1:2])


def test_the_level_of_the_noise_is_told_to_the_network():
    """The same image, said to be noised to another step, is trusted otherwise."""
    model = enlarger()
    request = model.request_for(SMALL, ASKED, 0.2)
    np.testing.assert_array_equal(request.image_time, [10.0] * 3)
    other = dataclasses.replace(request, image_time=np.full(3, 40.0))
    assert abs(model.draw(request, **STEPS) - model.draw(other, **STEPS)).max() > 1e-4


def test_what_is_noised_already_is_not_noised_again():
    model = enlarger()
    request = model.request_for(SMALL, ASKED, 0.4, is_noised=True)
    np.testing.assert_array_equal(request.image, upsample_bilinear(SMALL, 2)[0])
    np.testing.assert_array_equal(request.image_time, [20.0] * 3)


def test_without_a_label_it_is_of_no_class():
    config = ModelConfig(shape(16, image_channels=3, num_classes=3), T=50)
    model = Enlarger(config.network(), config, image_noise=0)
    np.testing.assert_array_equal(model.condition(model.request_for(SMALL)), [3, 3, 3])
    np.testing.assert_array_equal(model.condition(model.request_for(SMALL, Request(labels=[2, 0, 1]))), [2, 0, 1])
    with pytest.raises(InputError, match="a classifier pulls pictures to a class: say to which"):
        model.request_for(SMALL, Request(classifier=print, guidance=2.0))


def test_patches_are_counted_where_memory_is(monkeypatch):
    asked = []
    monkeypatch.setattr(predictor, "check_memory", lambda nbytes, *words: asked.append(nbytes))
    for patch in (1, 4):
        config = ModelConfig(shape(16, patch=patch))
        check_fits(DiffusionModel(config.network(), config, 4), Request(n=4))
    in_chain = 4 * 16 * 16 * 8 * 4 * 3
    assert asked[0] - in_chain == 16 * (asked[1] - in_chain)


def test_it_is_saved_and_loaded_with_its_factor_and_its_noise(tmp_path):
    model = enlarger(text=None, factor=4, image_noise=0.3)
    save(tmp_path, model)
    again = load(tmp_path, kind=Enlarger)
    assert (again.factor, again.image_noise) == (4, 0.3)
    small = SMALL[:, :4, :4]
    np.testing.assert_array_equal(again.enlarge(small, **STEPS), model.enlarge(small, **STEPS))


def test_it_runs_under_both_array_modules(xp):
    model = enlarger()
    there = dataclasses.replace(model, network=model.network.bind(xp.asarray(model.network.theta)))
    drawn = there.enlarge(xp.asarray(SMALL), ASKED, **STEPS)
    np.testing.assert_allclose(to_numpy(drawn), model.enlarge(SMALL, ASKED, **STEPS), atol=1e-4)


def test_what_does_not_fit_is_one_clear_sentence():
    model, deaf = enlarger(), enlarger(image_time=False)
    for call, message in [
        (lambda: model.draw(Request(n=1)), "This model enlarges pictures and draws none by itself"),
        (lambda: model.enlarge(SMALL[..., :1]), "small has shape"),
        (lambda: model.enlarge(SMALL, Request(n=2)), "n is 2, but there are 3 small pictures"),
        (lambda: model.enlarge(SMALL, Request(size=32)), r"size is \(32, 32\), but small pictures of 8 x 8 become"),
        (lambda: model.enlarge(SMALL, image_noise=1.5), "image_noise is 1.5"),
        (lambda: model.enlarge(SMALL, Request(image=SMALL)), "request holds an image"),
        (lambda: model.enlarge(np.full((1, 8, 8, 3), 200, np.uint8)), "small runs from 200 to 200"),
        (lambda: model.enlarge(SMALL * np.nan), "small runs from nan"),
        (lambda: model.request_for(SMALL * np.inf, is_noised=True), "small holds"),
        (lambda: list(word_maps(model, "a", SMALL[:1], 7.0)), "draws none by itself"),
        (lambda: learn_word(model, SMALL, ["*"]), "draws none by itself"),
        (lambda: deaf.enlarge(SMALL, image_noise=0.1), "trained without that noise"),
        (lambda: enlarger(factor=1), "factor is 1"),
        (lambda: enlarger(factor=3), "image_size"),
        (lambda: enlarger(image_noise=-0.1), "image_noise is -0.1"),
        (lambda: enlarger(image_time=False, image_noise=0.1), "made without image_time"),
        (lambda: Request(n=1, image_time=np.ones(1)), "image_time was given, but no image"),
        (lambda: shape(8, image_time=True), "image_time is True, but image_channels is 0"),
    ]:
        with pytest.raises(InputError, match=message):
            call()
    config = ModelConfig(shape(8))
    with pytest.raises(InputError, match="image_channels is 0, but 3 were expected"):
        Enlarger(config.network(), config, image_noise=0)
