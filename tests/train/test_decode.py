"""The trainings of unCLIP: a prior finds the embeddings of a text, a decoder the pictures of an embedding."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp
from unclips import EMBEDDING, PRIOR, TOKENIZER, clip, decoder_config, prior

from tinydiff.base import InputError, Noise
from tinydiff.data import Dataset, LatentData
from tinydiff.models import DiffusionModel, Request, UnClip, load, save
from tinydiff.train import Decode, DecodeConfig, Denoise, DenoiseConfig, Run

COLOURS = ("red", "green", "blue")
CONFIG = DenoiseConfig(steps=150, batch=32, micro_batch=16, lr=5e-3, warmup=10, ema=0.98, validation_images=32)
# Three directions of embeddings, one for each colour, of unit length.
DIRECTIONS = np.linalg.qr(np.random.default_rng(0).standard_normal((EMBEDDING, 3)))[0].T


def of_colours(n, seed=0):
    """Return which colour each of n pictures has, the pictures, and an embedding near its colour's direction."""
    rng = np.random.default_rng(seed)
    colours = np.arange(n) % 3
    images = np.zeros((n, 16, 16, 3), np.uint8)
    images[np.arange(n), :, :, colours] = rng.integers(180, 256, (n, 1, 1))
    vectors = DIRECTIONS[colours] + 0.1 * rng.standard_normal((n, EMBEDDING))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return colours, images, vectors.astype(np.float32)


def captions_of(colours):
    return tuple(COLOURS[colour] for colour in colours)


def pictures_of(n=96, seed=0):
    colours, images, _ = of_colours(n, seed)
    return Dataset(images, colours, "squares", "train", "made in the test", captions_of(colours))


def embeddings_of(n=96, seed=0, model=None, of=None):
    """Return the embeddings as data: as they are, or as the x of a prior."""
    colours, _, vectors = of_colours(n, seed)
    checksum, x = clip().checksum() if of is None else of, vectors[:, None, None].astype(np.float16)
    data = LatentData(x, colours, captions_of(colours), "squares", checksum, of="CLIP")
    return data if model is None else model.standardised(data)


def new_prior():
    _, _, vectors = of_colours(96)
    config = dataclasses.replace(prior().config, prior=dataclasses.replace(PRIOR, channels=16, layers=2))
    network = config.network(np.random.default_rng(0))
    return dataclasses.replace(
        prior(), network=network, config=config, mean=vectors.mean(axis=0), std=vectors.std(axis=0)
    )


def new_decoder():
    config = decoder_config(16, 3)
    config = config.with_denoiser(dataclasses.replace(config.denoiser, patch=2))
    return DiffusionModel(config.network(np.random.default_rng(0)), config, 16, 1, False, TOKENIZER)


def decoding(**options):
    config = DecodeConfig(steps=150, batch=32, micro_batch=16, lr=5e-3, warmup=10, ema=0.98, validation_images=32)
    config = dataclasses.replace(config, **options)
    return Decode(new_decoder(), pictures_of(), config, embeddings_of(), pictures_of(32, 1), embeddings_of(32, 1))


@pytest.mark.slow
def test_a_prior_and_a_decoder_learn_to_draw_what_a_text_says(tmp_path):
    """End to end: of 24 pictures each is of its colour; by chance, of three, that many are never."""
    start = new_prior()
    config = dataclasses.replace(CONFIG, steps=300)
    task = Denoise(start, embeddings_of(model=start), config, embeddings_of(32, 1, start))
    learned_prior = Run(task, tmp_path / "prior")
    learned_prior.run(progress=False)
    guess = load(tmp_path / "prior")
    z = guess.embeddings(Request(prompt=list(COLOURS) * 8, seed=3, guidance=3))
    np.testing.assert_array_equal((z @ DIRECTIONS.T).argmax(axis=1), np.arange(24) % 3)
    assert float(np.diag(z @ DIRECTIONS[np.arange(24) % 3].T).mean()) > 0.85  # data: 0.97

    run = Run(decoding(), tmp_path / "decoder")
    run.run(progress=False)
    draws = load(tmp_path / "decoder")
    of_vectors = draws.draw(Request(embedding=DIRECTIONS.astype(np.float32).repeat(4, axis=0), seed=2), steps=20)
    np.testing.assert_array_equal(of_vectors.mean(axis=(1, 2)).argmax(axis=1), np.arange(3).repeat(4))

    save(tmp_path / "both", UnClip(guess, draws))
    both = load(tmp_path / "both")
    drawn = both.draw(Request(prompt=list(COLOURS) * 4, seed=1, guidance=3), steps=20)
    np.testing.assert_array_equal(drawn.mean(axis=(1, 2)).argmax(axis=1), np.arange(12) % 3)


def test_captions_and_embeddings_are_hidden_each_as_often_as_asked():
    """Of 3,200 rows the shares are within five standard deviations; the two are independent of each other."""
    task = decoding(condition_dropout=0.5, embedding_dropout=0.2)
    empty = task.model.tokens([""])
    indices = np.arange(3200) % 96
    context = task.context(indices, Noise(4))
    no_text = (context.tokens == empty).all(axis=1)
    no_vector = ~context.pooled.any(axis=1)
    for hidden, share in ((no_text, 0.5), (no_vector, 0.2), (no_text & no_vector, 0.1)):
        assert abs(hidden.mean() - share) < 5 * (share * (1 - share) / 3200) ** 0.5
    vectors = of_colours(96)[2][indices]
    np.testing.assert_allclose(context.pooled[~no_vector], vectors[~no_vector], atol=1e-3)  # half precision


def test_a_training_that_was_stopped_goes_on_bit_for_bit(tmp_path):
    short = {"steps": 4, "save_every": 2}
    whole = Run(decoding(**short), tmp_path, threads=1)
    whole.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = Run(decoding(**short), tmp_path, threads=2)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().network.theta, whole.trained().network.theta)
    with pytest.raises(InputError, match="embedding_dropout"):
        Run(decoding(**short, embedding_dropout=0.3), tmp_path)


def test_the_clip_stands_still_while_a_prior_learns():
    start = new_prior()
    before = start.clip.network.theta.copy()
    run = Run(Denoise(start, embeddings_of(model=start), dataclasses.replace(CONFIG, steps=2)), None, threads=1)
    run.run(progress=False)
    np.testing.assert_array_equal(run.trained().clip.network.theta, before)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: Denoise(new_prior(), embeddings_of(model=new_prior(), of="another"), CONFIG), "CLIP another"),
        (lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(), embeddings_of(of="another")), "CLIP another"),
        (lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(), embeddings_of(90)), "embeddings has shape"),
        (
            lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(), embeddings_of(), pictures_of(32)),
            "validation_embeddings is missing",
        ),
        (lambda: DecodeConfig(embedding_dropout=1.5), "embedding_dropout"),
        (lambda: Denoise(new_prior(), embeddings_of(), CONFIG), "Prior.standardised"),
        (lambda: Denoise(new_decoder(), pictures_of(), CONFIG), "train it by Decode"),
        (
            lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(), embeddings_of(model=new_prior())),
            "unit vectors",
        ),
        (lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(flip=True), embeddings_of()), "flip is True"),
        (
            lambda: Decode(new_decoder(), pictures_of(), DecodeConfig(), embeddings_of(), None, embeddings_of(32)),
            "no validation",
        ),
        (
            lambda: Denoise(new_prior(), dataclasses.replace(embeddings_of(model=new_prior()), captions=None), CONFIG),
            "no captions",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(ask, told):
    with pytest.raises(InputError, match=told):
        ask()


def test_a_model_of_words_alone_is_no_decoder():
    config = dataclasses.replace(decoder_config(16, 3), embedding=None, embedding_of=None)
    config = config.with_denoiser(dataclasses.replace(config.denoiser, pooled_channels=None))
    model = DiffusionModel(config.network(), config, 16, 1, False, TOKENIZER)
    with pytest.raises(InputError, match="words alone"):
        Decode(model, pictures_of(), DecodeConfig(), embeddings_of())


def test_steps_run_under_both_array_modules(xp):
    def there(model):
        return dataclasses.replace(model, network=model.network.bind(to_xp(xp, model.network.theta)))

    task = decoding(steps=1, micro_batch=32)
    other = decoding(steps=1, micro_batch=32)
    other = Decode(
        there(other.model), other.data, other.config, other.embeddings, other.validation, other.validation_embeddings
    )
    expected, found = (Run(each, None, threads=1).train_step() for each in (task, other))
    assert float(to_host(found["loss"])) == pytest.approx(float(expected["loss"]), rel=1e-3)
    start = new_prior()
    start = dataclasses.replace(there(start), clip=there(start.clip))
    task = Denoise(start, embeddings_of(model=new_prior()), dataclasses.replace(CONFIG, steps=1))
    Run(task, None, threads=1).train_step()
