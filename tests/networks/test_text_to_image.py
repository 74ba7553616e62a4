"""Text to image: one network of encoder and UNet, trained from captions, drawn from prompts."""

import dataclasses
import warnings

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.base import CheckpointError, Condition, DataError, InputError
from tinydiff.data import load_avatars
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel, Guidance, ModelConfig, Request, load, save
from tinydiff.models.store import TOKENIZER
from tinydiff.networks import TextConfig, TextToImage, UNetConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.text import Tokenizer
from tinydiff.train import AdamW, Denoise, DenoiseConfig, Run

UNET = UNetConfig(8, 3, channels=8, channel_mult=(1, 2), attention_levels=(1,), blocks_per_level=1, heads=2)
TEXT = TextConfig(vocabulary=20, length=6, channels=8, layers=2, heads=2)
VARIANTS = {
    "tokens": (dataclasses.replace(UNET, context_channels=8), TEXT),
    "tokens and pooled": (dataclasses.replace(UNET, context_channels=8, pooled_channels=8), TEXT),
    "bag of words": (
        dataclasses.replace(UNET, context_channels=8),
        dataclasses.replace(TEXT, layers=0, positions=False),
    ),
}
TOKENS = np.array([[18, 1, 2, 19, 19, 19], [18, 5, 1, 3, 7, 19], [18, 19, 19, 19, 19, 19]])  # 18 starts, 19 ends


def random_network(variant="tokens", dtype=np.float64):
    """A network away from its initial state, where zero-initialised layers would hide mistakes."""
    rng = np.random.default_rng(0)
    network = TextToImage(*VARIANTS[variant], rng, dtype)
    network.theta[:] += 0.1 * rng.standard_normal(network.theta.shape)
    return network


def random_inputs(dtype=np.float64):
    rng = np.random.default_rng(1)
    return rng.standard_normal((3, 8, 8, 3)).astype(dtype), np.array([3, 500, 999])


@pytest.mark.parametrize("variant", VARIANTS)
def test_whole_model_gradients_match_finite_differences(variant):
    network, (x_t, t) = random_network(variant), random_inputs()
    rng = np.random.default_rng(2)
    d_out = rng.standard_normal(x_t.shape)
    tape, grads = Tape(), Gradients(network.parameters())
    network.forward(x_t, t, TOKENS, tape)
    d_x_t, _, _ = network.backward(d_out, tape, grads)
    assert len(tape) == 0
    theta, h = network.theta.copy(), 1e-6
    for gradient, along in ((grads.flat, "theta"), (d_x_t, "x_t")):
        direction = rng.standard_normal(gradient.shape)
        ends = []
        for sign in (1, -1):
            x = x_t + sign * h * direction if along == "x_t" else x_t
            network.theta[:] = theta + sign * h * direction if along == "theta" else theta
            ends.append((network.forward(x, t, TOKENS) * d_out).sum())
        slope = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=3e-7)


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_of_what_was_read_match_finite_differences(variant):
    """d_context, which interpolation and textual inversion follow; and grads=None gives the same."""
    network, (x_t, t) = random_network(variant), random_inputs()
    read = network.read(TOKENS)
    rng = np.random.default_rng(2)
    d_out = rng.standard_normal(x_t.shape)
    tape, other_tape = Tape(), Tape()
    network.forward(x_t, t, read, tape)
    _, d_context, _ = network.backward(d_out, tape, Gradients(network.parameters()))
    network.forward(x_t, t, read, other_tape)
    _, alone, _ = network.backward(d_out, other_tape)
    np.testing.assert_array_equal(alone.tokens, d_context.tokens)
    h = 1e-6
    for name in ("tokens", "pooled"):
        value = getattr(read, name)
        if value is None:
            assert getattr(d_context, name) is None
            continue
        direction = rng.standard_normal(value.shape)
        ends = [
            (network.forward(x_t, t, read._replace(**{name: value + sign * h * direction})) * d_out).sum()
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose((getattr(d_context, name) * direction).sum(), expected, rtol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_text_that_was_read_before_gives_the_same_picture(variant):
    network, (x_t, t) = random_network(variant), random_inputs()
    at_once = network.forward(x_t, t, TOKENS)
    np.testing.assert_array_equal(network.forward(x_t, t, network.read(TOKENS)), at_once)
    np.testing.assert_array_equal(network.forward(x_t, t, Condition(tokens=TOKENS)), at_once)


def test_the_pooled_vector_is_that_of_the_first_end():
    read = random_network("tokens and pooled").read(TOKENS)
    for row, end in enumerate((3, 5, 1)):
        np.testing.assert_array_equal(read.pooled[row], read.tokens[row, end])


def test_a_bag_of_words_cannot_tell_who_wears_which_colour():
    """The same words in another order, as "red hair, green shirt" and "green hair, red shirt"."""
    swapped = np.array([[18, 4, 1, 5, 2, 19], [18, 5, 1, 4, 2, 19]])
    x_t, t = np.repeat(random_inputs()[0][:1], 2, axis=0), np.array([500, 500])
    bag = random_network("bag of words").forward(x_t, t, swapped)
    np.testing.assert_allclose(bag[0], bag[1], rtol=1e-9, atol=1e-12)
    in_order = random_network("tokens").forward(x_t, t, swapped)
    assert abs(in_order[0] - in_order[1]).max() > 1e-3


def test_both_array_modules_agree_in_float32(xp):
    network, (x_t, t) = random_network("tokens and pooled", np.float32), random_inputs(np.float32)
    there = network.bind(to_xp(xp, network.theta))
    tape, grads = Tape(), Gradients(there.parameters())
    output = there.forward(to_xp(xp, x_t), to_xp(xp, t), to_xp(xp, TOKENS), tape)
    d_x_t, _, _ = there.backward(output, tape, grads)
    assert output.dtype == d_x_t.dtype == grads.flat.dtype == np.float32
    np.testing.assert_allclose(to_host(output), network.forward(x_t, t, TOKENS), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_it_overfits_a_batch_so_that_words_decide():
    """Two pictures from one noise: only the words can tell which."""
    network = random_network("tokens", np.float32)
    rng = np.random.default_rng(3)
    x_t = np.repeat(rng.standard_normal((1, 8, 8, 3)).astype(np.float32), 2, axis=0)
    target = np.stack([np.full((8, 8, 3), -0.5), np.full((8, 8, 3), 0.5)]).astype(np.float32)
    optimizer = AdamW(network.theta)
    for _ in range(150):
        tape, grads = Tape(), Gradients(network.parameters())
        loss, cache = mse(network.forward(x_t, np.array([500, 500]), TOKENS[:2], tape), target)
        network.backward(mse_backward(1.0, cache)[0], tape, grads)
        optimizer.step(grads.flat, 3e-3)
    assert loss < 0.01  # whoever does not read stays at 0.25


@pytest.mark.parametrize(
    ("unet", "text", "words"),
    [
        ({"context_channels": None}, {}, "context_channels is None"),
        ({"context_channels": 4}, {}, "context_channels is 4"),
        ({"context_channels": 8, "pooled_channels": 4}, {}, "pooled_channels 4"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(unet, text, words):
    with pytest.raises(InputError, match=words):
        TextToImage(dataclasses.replace(UNET, **unet), dataclasses.replace(TEXT, **text))


def test_without_words_nothing_is_drawn():
    x_t, t = random_inputs()
    with pytest.raises(InputError, match="holds no tokens"):
        random_network().forward(x_t, t)
    with pytest.raises(InputError, match="tokens"):
        random_network().forward(x_t, t, TOKENS[:, :4])


# A whole model: tokenizer, training, prompts.

PORTRAITS = load_avatars("train", 24).resize(8)
TOKENIZER_OF_PORTRAITS = Tokenizer.train(PORTRAITS.captions, 300)
PROMPT = PORTRAITS.captions[0]


def make(seed=0, **changes):
    text = TextConfig(len(TOKENIZER_OF_PORTRAITS), 32, 8, 1, 2)
    config = ModelConfig(dataclasses.replace(UNET, context_channels=8), T=50, text=text)
    network = config.network(np.random.default_rng(seed))
    network.theta[:] += 0.05 * np.random.default_rng(seed).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config, micro_batch=4, tokenizer=TOKENIZER_OF_PORTRAITS, **changes)


def drawn(model, n=3, **options):
    *_, (_, x_t, _) = model.chain(Request(n=n, seed=5, **options), steps=3)
    return x_t


def trainer(folder=None, **options):
    config = DenoiseConfig(steps=4, batch=8, micro_batch=4, warmup=1, save_every=2, validation_images=8)
    return Run(Denoise(make(), PORTRAITS, config, PORTRAITS), folder, **options)


def test_training_reads_captions_and_moves_every_weight_of_the_encoder(tmp_path):
    run = trainer(tmp_path)
    before = run.objective.network.theta.copy()
    run.run(progress=False)
    change = abs(run.objective.network.theta - before)
    for name, p in run.objective.network.named_parameters().items():
        moved = change[p.offset : p.offset + p.size]
        assert moved.max() > 0, name
    assert (tmp_path / TOKENIZER).is_file()


@pytest.mark.slow
def test_a_run_with_captions_goes_on_bit_for_bit_and_in_any_number_of_threads(tmp_path):
    whole, cut = trainer(threads=1), trainer(tmp_path, threads=2)
    whole.run(progress=False)
    cut.run(progress=False)
    (tmp_path / "step-00000004.safetensors").unlink()
    again = trainer(tmp_path)
    assert again.step == 2
    again.run(progress=False)
    np.testing.assert_array_equal(again.objective.network.theta, whole.objective.network.theta)
    np.testing.assert_array_equal(cut.objective.network.theta, whole.objective.network.theta)


def test_other_captions_are_another_run(tmp_path):
    trainer(tmp_path).run(progress=False)
    others = dataclasses.replace(PORTRAITS, captions=("a person",) * len(PORTRAITS))
    with pytest.raises(InputError, match="The data are not those"):
        Run(Denoise(make(), others, trainer().config), tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_captions_are_hidden_as_the_empty_prompt(monkeypatch, share):
    """Of 400 captions; five standard deviations, a false alarm in 2 million (and the seed is fixed)."""
    model, contexts = make(), []
    config = DenoiseConfig(steps=1, batch=400, micro_batch=400, condition_dropout=share)
    run = Run(Denoise(model, PORTRAITS, config), threads=1, processes=False)
    forward = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda x, t, c, tape: contexts.append(c) or forward(x, t, c, tape))
    run.train_step()
    empty = TOKENIZER_OF_PORTRAITS.rows([""], 32)
    hidden = (np.concatenate(contexts) == empty).all(axis=1).mean()
    already = np.mean([not caption for caption in PORTRAITS.captions])
    assert already == 0
    assert abs(hidden - share) <= 5 * (share * (1 - share) / 400) ** 0.5


def test_saved_and_loaded_it_draws_the_same(tmp_path):
    model = make()
    save(tmp_path, model)
    again = load(tmp_path)
    assert again.config == model.config
    np.testing.assert_array_equal(drawn(again, prompt=PROMPT), drawn(model, prompt=PROMPT))


@pytest.mark.parametrize("damage", ["missing", "truncated", "other"])
def test_a_damaged_tokenizer_is_one_clear_sentence(tmp_path, damage):
    save(tmp_path, make())
    path = tmp_path / TOKENIZER
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(path.read_text()[:-40])
    else:
        Tokenizer().save(path)
    with pytest.raises((CheckpointError, DataError), match="tokenizer") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("guidance", [1.0, 2.5, Guidance(2.5, interval=(10, 30))])
@pytest.mark.parametrize(
    "ways", [{"threads": 1}, {"threads": 2, "processes": False}, {"threads": 2, "processes": True}]
)
def test_a_guided_sample_is_the_same_picture_at_any_batch_size(guidance, ways):
    prompts = list(PORTRAITS.captions[:5])
    whole = drawn(make(), 5, prompt=prompts, guidance=guidance)
    assert whole.dtype == np.float32
    model = make(**{"threads": 2} | ways)
    for i in (0, 3):
        alone = drawn(model, 1, prompt=prompts[i], guidance=guidance, first=i)
        np.testing.assert_array_equal(alone, whole[i : i + 1])


def test_the_prompt_and_the_negative_prompt_count():
    model = make()
    plain = drawn(model)
    np.testing.assert_array_equal(drawn(model, prompt=""), plain)  # no prompt asks for nothing
    said = drawn(model, prompt=PROMPT)
    assert abs(said - plain).max() > 1e-4
    with pytest.raises(InputError, match="negative is 'a hat', but it changes nothing where guidance is 1"):
        drawn(model, prompt=PROMPT, negative="a hat")
    guided = drawn(model, prompt=PROMPT, guidance=3.0)
    assert abs(drawn(model, prompt=PROMPT, guidance=3.0, negative="a hat") - guided).max() > 1e-4
    np.testing.assert_allclose(drawn(model, prompt=PROMPT, guidance=0.0), plain, atol=1e-5)


def test_a_classifier_pulls_a_network_that_is_told_nothing():
    """A negative prompt is no way to tell it something, and the classifier is asked for its own labels."""
    model, asked = make(), []

    def pull(x_t, t, labels):
        asked.append(labels)
        return 0 * x_t

    plain = drawn(model)
    pulled = drawn(model, classifier=pull, guidance=3.0, labels=[7, 1, 3])
    np.testing.assert_allclose(pulled, plain, atol=1e-3)  # rounding, over three steps
    for labels in asked:
        np.testing.assert_array_equal(labels, [7, 1, 3])
    with pytest.raises(InputError, match="negative is 'a hat', but with a classifier"):
        model.chain(Request(n=3, negative="a hat", classifier=pull))


def test_an_unknown_word_is_bytes_and_a_long_prompt_is_cut_with_a_warning():
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(drawn(model, prompt="Ωmega 🙂 qwzx")).all()
    with pytest.warns(UserWarning, match=r"dropped at its end: '.*the end'"):
        drawn(model, prompt=f"{'a person with red hair and ' * 12} the end")


def test_bad_requests_are_one_clear_sentence():
    model = make()
    digits = load("mnist")
    plain = UNetConfig(8, channels=8, channel_mult=(1,), blocks_per_level=1, heads=2)
    without = DiffusionModel(ModelConfig(plain).network(), ModelConfig(plain))
    for call, words in [
        (lambda: model.chain(Request(n=2, prompt=["one"])), "There is 1 prompt for 2 samples"),
        (lambda: model.chain(Request(n=1, prompt=[3])), "prompt holds 3, but texts were expected"),
        (lambda: model.chain(Request(n=1, prompt=5)), "prompt is 5, but a text, or one for each sample"),
        (lambda: digits.chain(Request(n=1, prompt=5)), "prompt is 5"),
        (lambda: model.chain(Request(n=1, labels=3)), "labels is 3, but this model draws from text"),
        (
            lambda: digits.chain(Request(n=1, prompt="a seven")),
            "The prompt is 'a seven', but this model does not read text",
        ),
        (lambda: digits.chain(Request(n=1, negative="a seven", guidance=2.0)), "does not read text"),
        (
            lambda: without.chain(Request(n=1, guidance=2.0)),
            "guidance is 2.0, but this model was trained without a condition",
        ),
        (lambda: model.chain(Request(n=1, guidance=float("nan"))), "guidance is nan"),
        (lambda: Guidance(2, interval=(30, 10)), r"interval is \(30, 10\)"),
        (lambda: Guidance(2, rescale=2), "rescale is 2"),
        (lambda: Guidance(2, threshold="soft"), "threshold is 'soft'"),
        (lambda: dataclasses.replace(model, tokenizer=None), "the tokenizer is none"),
        (lambda: dataclasses.replace(model, tokenizer=Tokenizer()), "the tokenizer is one with 514"),
        (
            lambda: Denoise(model, dataclasses.replace(PORTRAITS, captions=None), DenoiseConfig()),
            "data has no captions, but the model learns from text",
        ),
    ]:
        with pytest.raises(InputError, match=words):
            call()
