"""Models that draw in one pass: saved and loaded, drawn from by a seed, and asked for what they do not have."""

import numpy as np
import pytest

import tinydiff
from tinydiff.base import InputError, Noise
from tinydiff.models import Request, class_of, draw_at_once, load, refuse_chain, save
from tinydiff.networks import VAE, Generator, GeneratorConfig, RealNVP, RealNVPConfig, VAEConfig

MODELS = {
    "generator": Generator(GeneratorConfig(4, 1, 3, (5,)), np.random.default_rng(0)),
    "vae": VAE(VAEConfig(4, 1, 3, (5,)), np.random.default_rng(0)),
    "real-nvp": RealNVP(RealNVPConfig(4, 1, 2, (5,)), np.random.default_rng(0)),
}
MODELS["real-nvp"].theta[:] += 0.1
every = pytest.mark.parametrize("name", MODELS)


@every
def test_it_is_saved_loaded_and_draws_what_its_formula_says(name, tmp_path):
    model = MODELS[name]
    save(tmp_path, model, data="none")
    assert class_of(tmp_path) is type(model)
    again = load(tmp_path)
    np.testing.assert_array_equal(again.theta, model.theta)
    z = Noise(7).normal((5, model.latent), "z")
    by_hand = {"generator": "forward", "vae": "decode", "real-nvp": "inverse"}[name]
    expected = getattr(model, by_hand)(z)
    expected = expected.y if name == "real-nvp" else expected
    np.testing.assert_allclose(tinydiff.sample(tmp_path, n=5, seed=7), expected, rtol=1e-5, atol=1e-6)


@every
def test_a_sample_is_the_same_picture_whatever_n_is(name):
    model = MODELS[name]
    many, one = draw_at_once(model, Request(n=70, seed=3)), draw_at_once(model, Request(n=1, first=68, seed=3))
    np.testing.assert_allclose(many[68:69], one, rtol=1e-5, atol=1e-6)
    assert draw_at_once(model).shape == (16, 4, 4, 1)


@every
def test_what_it_does_not_have_is_refused_by_a_sentence(name, tmp_path):
    model, noun = (
        MODELS[name],
        {"real-nvp": "a normalising flow", "vae": "a variational autoencoder"}.get(name, "a gen"),
    )
    save(tmp_path, model)
    for asked, words in [
        ({"labels": 3}, "labels"),
        ({"prompt": "a seven"}, "prompt is 'a seven'"),
        ({"guidance": 2.0}, "guidance is 2.0"),
        ({"size": 9}, "size is (9, 9)"),
        ({"classifier": lambda x_t, t, context: x_t}, "classifier was given"),
        ({"image": np.zeros((2, 4, 4, 1), "f4")}, "image was given"),
        ({"embedding": np.zeros((2, 4), "f4")}, "embedding was given"),
    ]:
        with pytest.raises(InputError) as refusal:
            draw_at_once(model, Request(n=None if "image" in asked or "embedding" in asked else 2, **asked))
        assert words in str(refusal.value)
        assert noun in str(refusal.value)
        assert str(refusal.value).endswith("leave it out.")
    for asked, words in [({"steps": 20}, "steps is 20"), ({"sampler": "ddim"}, "sampler is 'ddim'")]:
        with pytest.raises(InputError, match=f"{words}, but {noun}.*draws in one pass: leave it out"):
            tinydiff.sample(tmp_path, **asked)
        with pytest.raises(InputError, match=words):
            refuse_chain(model, **asked)
    refuse_chain(model)
