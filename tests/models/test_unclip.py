"""unCLIP: what prior and decoder draw, variations, ways between pictures and to texts, folders, refusals."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp
from enlargers import enlarger
from latents import latent_diffusion
from unclips import CAPTIONS, EMBEDDING, PRIOR, TEXT, clip, decoder, latent_decoder, of_latents, pictures, prior, unclip

from tinydiff.base import CheckpointError, Condition, InputError
from tinydiff.diffusion import last
from tinydiff.functional import avg_pool
from tinydiff.models import (
    Cascade,
    DiffusionModel,
    ModelConfig,
    Prior,
    Request,
    UnClip,
    between_pictures,
    load,
    notes_on_words,
    read_about,
    save,
    text_difference,
    towards_text,
    variations,
)
from tinydiff.networks import DiTConfig

Z = np.eye(EMBEDDING, dtype=np.float32)[:3]
ASKED = Request(n=3, prompt=list(CAPTIONS[:3]), guidance=2, seed=5)
STEPS = {"sampler": "ddim", "steps": 4}


def lengths(vectors):
    return np.sqrt((vectors**2).sum(axis=-1))


def test_a_prior_draws_unit_vectors_from_the_words_as_its_clip_reads_them():
    model = prior()
    z = model.draw(ASKED, **STEPS)
    assert z.shape == (3, EMBEDDING)
    np.testing.assert_allclose(lengths(z), 1, rtol=1e-6)
    other = model.draw(dataclasses.replace(ASKED, prompt=list(CAPTIONS[3:6])), **STEPS)
    assert (np.abs(other - z).max(axis=1) > 1e-4).all()
    read = model.read(model.tokens(list(CAPTIONS[:3])))
    np.testing.assert_allclose(read.pooled, clip().text_vectors(list(CAPTIONS[:3])), rtol=1e-6)
    at_once = model.draw(dataclasses.replace(ASKED, prompt=read), **STEPS)
    np.testing.assert_allclose(at_once, z, rtol=1e-5, atol=1e-6)


def test_embeddings_are_standardised_and_become_unit_vectors_again():
    model, z = prior(), clip().embed(pictures(n=4))
    x = model.encode(z)
    assert x.shape == (4, 1, 1, EMBEDDING)
    np.testing.assert_allclose(x[:, 0, 0] * np.float32(model.std) + np.float32(model.mean), z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.decode(x), z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(lengths(model.decode(3 * x)), 1, rtol=1e-6)


def test_of_several_embeddings_the_nearest_to_the_text_is_kept():
    model = prior()
    seeds = [(5 + i * 2654435761) % 2**32 for i in (1, 2, 3)]
    drawn = [model.draw(dataclasses.replace(ASKED, seed=seed), **STEPS) for seed in seeds]
    text = clip().text_vectors(list(CAPTIONS[:3]))
    best = model.embeddings(ASKED, candidates=3, **STEPS)
    for i in range(3):
        scores = [float(z[i] @ text[i]) for z in drawn]
        np.testing.assert_array_equal(best[i], drawn[int(np.argmax(scores))][i])
    np.testing.assert_array_equal(model.embeddings(ASKED, candidates=1, **STEPS), drawn[0])


@pytest.mark.parametrize("make", [unclip, of_latents])
def test_unclip_draws_what_the_decoder_draws_of_what_the_prior_guesses(make):
    model = make()
    drawn = model.draw(ASKED, **STEPS)
    assert drawn.shape == (3, *model.picture_shape)
    embedding = model.prior.embeddings(ASKED)  # from other seeds than the decoder's
    expected = model.decoder.draw(dataclasses.replace(ASKED, embedding=embedding), **STEPS)
    np.testing.assert_array_equal(drawn, expected)
    states = list(model.chain(ASKED, **STEPS))
    np.testing.assert_array_equal(model.decode(states[-1][1]), drawn)
    one = model.draw(dataclasses.replace(ASKED, n=1, first=1, prompt=CAPTIONS[1]), **STEPS)
    np.testing.assert_allclose(one, drawn[1:2], rtol=0, atol=1e-5)


def test_a_decoder_follows_its_embedding_and_its_text():
    model, z = decoder(), clip().embed(pictures(n=3))
    asked = dataclasses.replace(ASKED, embedding=z)
    drawn = model.draw(asked, **STEPS)
    for other in (
        dataclasses.replace(asked, embedding=z[::-1].copy()),
        dataclasses.replace(asked, prompt=list(CAPTIONS[3:6])),
    ):
        assert np.abs(model.draw(other, **STEPS) - drawn).max() > 1e-4


def test_guidance_goes_away_from_no_text_and_no_embedding():
    """By hand, from two outputs of the network: that with both, and that with the empty text and zeros."""
    model, z = decoder(), clip().embed(pictures(n=1))
    request = Request(n=1, prompt=CAPTIONS[0], embedding=z, guidance=3)
    x_t, t = np.random.default_rng(0).standard_normal((1, 16, 16, 3)).astype(np.float32), np.array([30])
    _, eps_hat = dataclasses.replace(model).predictor(request)(x_t, t)
    outputs = [
        model.network.forward(x_t, t, Condition(tokens=model.tokens([text]), pooled=vector))
        for text, vector in ((CAPTIONS[0], z), ("", np.zeros_like(z)))
    ]
    eps = [model.diffusion.eps_from_v(x_t, t, v) for v in outputs]
    expected = eps[1] + 3 * (eps[0] - eps[1])
    a, b = (float(share) ** 0.5 for share in (model.diffusion.alpha_bar[30], 1 - model.diffusion.alpha_bar[30]))
    x_0 = np.clip((x_t - b * expected) / a, -1, 1)
    np.testing.assert_allclose(eps_hat, (x_t - a * x_0) / b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("make", [unclip, of_latents])
def test_variations_are_drawn_of_the_embeddings_of_pictures(make):
    model = make()
    given = pictures(model.picture_shape[0])
    drawn = variations(model, given, Request(seed=2), **STEPS)
    z = clip().embed(given)
    np.testing.assert_allclose(lengths(z), 1, rtol=1e-6)
    expected = model.decoder.draw(Request(n=2, seed=2, embedding=z), **STEPS)
    np.testing.assert_array_equal(drawn, expected)
    assert np.abs(variations(model, given, Request(seed=3), **STEPS) - drawn).max() > 1e-3


def test_large_pictures_are_embedded_as_the_clip_sees_them_small():
    large = pictures(32)
    np.testing.assert_array_equal(clip().embed(large), clip().image_vectors(avg_pool(large, 2)[0]))


@pytest.mark.slow
def test_a_way_between_two_pictures_begins_and_ends_at_them():
    """The network here is nearly linear in x_t for few steps; that DDIM comes back is tested for editing."""
    model, given = unclip(), pictures()
    way = between_pictures(model, given, n=3, steps=40)
    z = model.embed(given)
    alone = [between_pictures(model, given[i : i + 1].repeat(2, axis=0), n=2, steps=40)[:1] for i in range(2)]
    np.testing.assert_allclose(way[[0, 2]], np.concatenate(alone), rtol=0, atol=1e-4)
    assert np.abs(way[1] - way[0]).max() > 1e-3
    assert z.shape == (2, EMBEDDING)


def test_a_way_to_a_text_starts_at_the_picture_and_turns_by_the_share():
    model, given = unclip(), pictures(n=1)
    way = towards_text(model, given, CAPTIONS[0], CAPTIONS[1], n=3, share=0.4, steps=10)
    same = between_pictures(model, given.repeat(2, axis=0), n=2, steps=10)
    np.testing.assert_allclose(way[0], same[0], rtol=0, atol=1e-5)
    assert np.abs(way[2] - way[0]).max() > 1e-3
    nowhere = towards_text(model, given, CAPTIONS[0], CAPTIONS[1], n=2, share=0, steps=10)
    np.testing.assert_allclose(nowhere[1], nowhere[0], rtol=0, atol=1e-5)


@pytest.mark.equation("UNCLIP-DIFF")
def test_the_difference_of_two_texts_is_a_unit_vector_from_one_to_the_other():
    rng = np.random.default_rng(0)
    a, b = (v / lengths(v)[:, None] for v in rng.standard_normal((2, 4, 5)))
    found = text_difference(a, b)
    np.testing.assert_allclose(lengths(found), 1)
    for i in range(4):
        np.testing.assert_allclose(b[i] + found[i] * lengths(a - b)[i], a[i])
    with pytest.raises(InputError, match="say the same"):
        text_difference(a, a.copy())


@pytest.mark.parametrize("make", [unclip, of_latents])
def test_a_folder_of_folders_gives_the_same_pictures(make, tmp_path):
    model = make()
    save(tmp_path / "model", model)
    loaded = load(tmp_path / "model", kind=UnClip)
    np.testing.assert_array_equal(loaded.draw(ASKED, **STEPS), model.draw(ASKED, **STEPS))
    assert isinstance(load(tmp_path / "model" / "prior"), Prior)
    assert isinstance(load(tmp_path / "model" / "decoder"), DiffusionModel)
    (tmp_path / "model" / "prior" / "clip" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="clip"):
        load(tmp_path / "model")


def test_prior_and_decoder_start_from_noise_that_has_nothing_in_common(monkeypatch):
    """Their arrays differ in shape only, so that one seed would give the same first numbers."""
    starts, start = [], DiffusionModel.start

    def noted(self, request):
        starts.append(start(self, request)[0].ravel()[:EMBEDDING])
        return start(self, request)

    monkeypatch.setattr(DiffusionModel, "start", noted)
    unclip().draw(dataclasses.replace(ASKED, n=1, prompt=CAPTIONS[0]), **STEPS)
    of_decoder, *of_priors = starts[-1], *starts[-3:-1]
    for noise in of_priors:
        assert np.abs(noise - of_decoder).max() > 0.1


def test_a_folder_of_half_precision_is_loaded_and_says_of_each_part_what_it_learned_from(tmp_path):
    """The checksum of a CLIP is that of its rounded weights: rounding it does not make it another one."""
    folder = save(tmp_path / "model", unclip(), half=True, data="scenes", step=3)
    once = load(folder)
    assert once.draw(ASKED, **STEPS).shape == (3, 16, 16, 3)
    save(tmp_path / "again", once, half=True)
    load(tmp_path / "again")
    for part in ("prior", "prior/clip", "decoder"):
        assert read_about(folder / part) == {"data": "scenes"}


def test_nothing_is_asked_of_the_prior_where_the_decoder_would_refuse(monkeypatch):
    monkeypatch.setattr(Prior, "embeddings", lambda *_, **__: pytest.fail("the prior has been asked"))
    for wrong, told in (({"size": 15}, "size"), ({"n": 10**9, "prompt": "a"}, "n is 1000000000")):
        with pytest.raises(InputError, match=told):
            unclip().chain(dataclasses.replace(ASKED, **wrong), **STEPS)
    with pytest.raises(InputError, match="nope"):
        unclip().chain(ASKED, "nope", 4)


def test_all_parts_that_read_are_asked_for_words_that_they_do_not_know():
    assert notes_on_words(unclip(), ["a zebra"]) == notes_on_words(prior(), ["a zebra"])
    assert "zebra" in notes_on_words(unclip(), ["a zebra"])[0]
    assert prior().reads_text


def test_an_embedding_of_another_clip_is_refused():
    with pytest.raises(InputError, match="CLIP"):
        UnClip(prior(seed=1), decoder())
    assert clip(1).checksum() != clip().checksum()
    assert clip().checksum() == dataclasses.replace(clip(), threads=2).checksum()


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: unclip().draw(Request(n=1), **STEPS), "prompt is missing"),
        (lambda: decoder().draw(Request(n=1, prompt="a"), **STEPS), "embeddings of pictures"),
        (lambda: decoder().draw(Request(prompt="a", embedding=np.zeros((1, 3), np.float32)), **STEPS), "embedding"),
        (lambda: prior().draw(Request(n=1, prompt="a", labels=1), **STEPS), "labels"),
        (lambda: prior().embeddings(ASKED, candidates=0), "candidates"),
        (lambda: prior().decode(np.full((1, 1, 1, 6), np.nan, np.float32)), "x holds NaN"),
        (lambda: decoder().draw(Request(embedding=30 * Z), **STEPS), "length 30, but unit vectors"),
        (lambda: text_difference(np.nan * Z, Z), "text holds NaN"),
        (lambda: variations(decoder(), pictures()), "model is of type DiffusionModel, but an UnClip was expected"),
        (lambda: UnClip(decoder(), decoder()), "Prior was expected"),
        (lambda: UnClip(prior(), prior()), "told embeddings"),
        (lambda: prior().draw(dataclasses.replace(ASKED, embedding=Z), **STEPS), "embedding was given"),
        (lambda: prior().draw(dataclasses.replace(ASKED, size=16), **STEPS), "size was given"),
        (lambda: latent_diffusion().draw(dataclasses.replace(ASKED, embedding=Z), **STEPS), "is told none"),
        (lambda: load("mnist").draw(Request(embedding=Z), **STEPS), "is told none"),
        (lambda: decoder().draw(Request(embedding=Z, labels=1, classifier=print), **STEPS), "a classifier says"),
        (lambda: variations(unclip(), pictures(), Request(embedding=Z[:2])), "holds embeddings"),
        (lambda: between_pictures(unclip(), pictures(), 3, Request(n=11)), "asks for 11 pictures"),
        (lambda: Cascade(decoder(), (enlarger(32),)), "the decoder of an unCLIP"),
        (lambda: ModelConfig(prior=PRIOR, text=TEXT), "text was given"),
        (lambda: ModelConfig(embedding_of="abc"), "no embedding is told"),
        (lambda: ModelConfig(prior=PRIOR, dit=DiTConfig()), "one denoiser"),
        (lambda: DiffusionModel(prior().network, prior().config).check_draws(), "make a Prior of it"),
        (lambda: prior().draw(Request(n=10**9, prompt="a"), **STEPS), "each with a prompt"),
        (lambda: variations(unclip(), pictures(12)), "12 x 12"),
        (lambda: variations(unclip(), pictures()[..., :1]), "pictures"),
        (lambda: variations(unclip(), 3 * pictures()), "from -1 .black. to 1"),
        (lambda: towards_text(unclip(), pictures(n=1), CAPTIONS[0], f" {CAPTIONS[0]}"), "says the same"),
        (lambda: towards_text(unclip(), pictures(n=1), CAPTIONS[0], share=2), "share"),
        (lambda: between_pictures(unclip(), pictures(), n=1), "n is 1"),
        (lambda: between_pictures(unclip(), pictures(n=1)), "pictures"),
        (lambda: between_pictures(unclip(), pictures(), request=Request(prompt="a")), "leave it out"),
        (lambda: Prior(decoder().network, decoder().config, tokenizer=decoder().tokenizer), "prior"),
        (lambda: Prior(prior().network, prior().config), "clip is missing"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(ask, told):
    with pytest.raises(InputError, match=told):
        ask()


def test_a_chain_refuses_before_its_first_step_and_reports_progress():
    seen = []
    last(unclip().chain(ASKED, progress=lambda step, steps: seen.append((step, steps)), **STEPS))
    assert seen == [(i, 4) for i in range(1, 5)]
    with pytest.raises(InputError):
        unclip().chain(Request(n=1), **STEPS)
    assert latent_decoder().latents_of()[0] == "autoencoder"


def test_it_draws_under_both_array_modules(xp):
    def there(model):
        return dataclasses.replace(model, network=model.network.bind(to_xp(xp, model.network.theta)))

    guess = dataclasses.replace(there(prior()), clip=there(clip()))
    model = UnClip(guess, there(decoder()))
    np.testing.assert_allclose(to_host(model.draw(ASKED, **STEPS)), unclip().draw(ASKED, **STEPS), rtol=0, atol=1e-3)
    given = to_xp(xp, pictures(n=1))
    np.testing.assert_allclose(to_host(model.embed(given)), clip().embed(pictures(n=1)), rtol=0, atol=1e-4)
    way = towards_text(model, given, CAPTIONS[0], CAPTIONS[1], n=2, steps=4)
    assert to_host(way).shape == (2, 16, 16, 3)
    between_pictures(model, to_xp(xp, pictures()), n=2, steps=4)
