"""unCLIP from the command line: its three trainings, drawing, variations and ways, and what is refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import TINY, fails, train
from latents import autoencoder
from PIL import Image
from unclips import clip, of_latents, prior, unclip

import tinydiff
from tinydiff.apps.cli import main
from tinydiff.models import LatentDiffusion, Prior, Request, UnClip, load, save

STEPS = ["--train.steps", "3", "--train.warmup", "1", "--train.batch", "8", "--train.validation-images", "10"]
PRIOR = ["--network.channels", "8", "--network.layers", "1", "--network.heads", "2", "--images", "20"]
SMALL = ["--unet.channels", "8", "--unet.channel-mult", "1", "2", "--unet.attention-levels", "1", "--unet.heads", "2"]
SMALL += ["--text.layers", "1", "--text.channels", "8", "--text.heads", "2", "--text.length", "64", "--images", "20"]


def training(objective, out, *more):
    return ["train", "--objective", objective, "--data", "scenes", *STEPS, "--out", str(out), *more]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder with a CLIP, a prior, an autoencoder and two unCLIPs, which tests leave as they are."""
    folder = tmp_path_factory.mktemp("unclip")
    models = {
        "clip": clip(),
        "prior": prior(),
        "autoencoder": autoencoder(),
        "unclip": unclip(),
        "of-latents": of_latents(),
    }
    for name, model in models.items():
        save(folder / name, model, data="scenes")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(folder / "a.png")
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 20, 3)).astype(np.uint8)).save(folder / "b.png")
    return folder


@pytest.mark.slow  # the CLIP of scenes has a vocabulary of its own to learn
def test_a_clip_of_scenes_is_trained_and_measured(tmp_path, capsys):
    out = tmp_path / "clip"
    network = ["--network.image-size", "16", "--network.channels", "8", "16", "--network.embedding", "8"]
    more = ["--data", "scenes", "--images", "40", "--train.lanes", "1", *network]
    steps = ["--train.steps", "2", "--train.warmup", "1", "--train.batch", "16", "--train.micro-batch", "8"]
    assert main(["train", "--objective", "contrast", *more, *steps, "--out", str(out)]) == 0
    assert "16 x 16" in capsys.readouterr().out
    assert main(["evaluate", "--model", str(out), "--n", "20"]) == 0
    said = capsys.readouterr().out
    assert "caption of a picture" in said
    assert "ceiling" not in said  # of scenes it is not known


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("offset-noise", "0.1", "the channels of an embedding are single numbers"),
        ("image-noise", "0.3", "a prior sees no small pictures"),
    ],
)
def test_a_prior_refuses_settings_that_are_of_pictures(folders, tmp_path, capsys, option, value, why):
    ask = training("prior", tmp_path / "prior", "--clip", str(folders / "clip"), *PRIOR)
    fails(capsys, [*ask, f"--train.{option}", value], 2, f"{option} is {value}, but {why}: leave it out")


def test_a_prior_is_trained_measured_and_goes_on(folders, tmp_path, capsys):
    out = tmp_path / "prior"
    ask = training("prior", out, "--clip", str(folders / "clip"), *PRIOR)
    assert main(ask) == 0
    said = capsys.readouterr().out
    assert "--objective decode --prior" in said
    described = [line for line in said.splitlines() if ": " in line and " images 16 x 16 x 3" in line]
    assert len(described) == len(set(described)) == 2  # training and test, each said once
    model = load(out, kind=Prior)
    assert model.config.kind == "x_0"
    vectors = model.clip.embed(np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32))
    assert vectors.shape == (2, 6)
    parts = list((out / "embeddings" / "train").iterdir())
    written = [part.stat().st_mtime_ns for part in parts]
    assert main([*ask, "--train.steps", "4"]) == 0
    assert [part.stat().st_mtime_ns for part in parts] == written
    assert json.loads((out / "run.json").read_text())["network"]["embedding"] == 6
    capsys.readouterr()
    assert "embeddings of 6 numbers of CLIP" in (out / "CARD.md").read_text(encoding="utf-8")
    assert main(["evaluate", "--model", str(out), "--n", "10"]) == 0
    said = capsys.readouterr().out
    for words in ("Retrieval at 1 among 10 pairs", "the embedding of a picture", "prior guesses", "Mean cosine"):
        assert words in said


@pytest.mark.slow
@pytest.mark.parametrize("space", ["pixels", "latents"])
def test_a_decoder_becomes_an_unclip_with_its_prior(folders, tmp_path, capsys, space):
    out, into = tmp_path / "run", ["--unet.image-size", "16"]
    if space == "latents":
        into = ["--autoencoder", str(folders / "autoencoder")]
    assert main(training("decode", out, "--prior", str(folders / "prior"), *SMALL, *into)) == 0
    model = load(out, kind=UnClip)
    assert isinstance(model.decoder, LatentDiffusion) == (space == "latents")
    assert model.picture_shape == (16, 16, 3)
    capsys.readouterr()
    sample = ["sample", "--model", str(out), "--prompt", "a red car", "--n", "2", "--steps", "2"]
    assert main([*sample, "--out", str(tmp_path / "drawn")]) == 0
    assert "Drew 2 images" in capsys.readouterr().out
    assert len(list((tmp_path / "drawn" / "pictures").iterdir())) == 2


def test_a_decoder_that_cannot_be_trained_is_refused_before_anything_is_embedded(folders, tmp_path, capsys):
    ask = training("decode", tmp_path / "run", "--prior", str(folders / "prior"), *SMALL)
    for more, words in (
        (["--train.flip"], "--train.flip is True"),
        (["--unet.num-classes", "3"], "--unet.num-classes is 3"),
        (["--unet.image-channels", "3"], "--unet.image-channels is 3"),
        (["--unet.in-channels", "1"], "--unet.in-channels is 1, but the CLIP reads 3 channels"),
        (["--unet.image-size", "24"], "--unet.image-size is 24 x 24, but the CLIP reads 16 x 16"),
    ):
        fails(capsys, [*ask, *more], 2, words)
        assert not (tmp_path / "run").exists(), more


@pytest.mark.slow
def test_a_run_goes_on_with_its_own_prior_and_as_many_pictures(folders, tmp_path, capsys):
    other, out = tmp_path / "other", tmp_path / "run"
    one = prior()
    save(other, replace(one, network=one.network.bind(1.5 * one.network.theta)), data="scenes")
    ask = training("decode", out, *SMALL, "--unet.image-size", "16")
    assert main([*ask, "--prior", str(folders / "prior")]) == 0
    capsys.readouterr()
    before = (out / "prior" / "model.safetensors").read_bytes()
    more = ["--train.steps", "5"]
    fails(capsys, [*ask, *more, "--prior", str(other)], 2, "The checksum of the prior's weights is")
    assert (out / "prior" / "model.safetensors").read_bytes() == before
    more += ["--prior", str(folders / "prior"), "--images", "30"]
    fails(capsys, [*ask, *more], 2, "The number of images is 30, but the run in", "has 20")
    shutil.rmtree(out / "embeddings" / "test")
    for checkpoint in out.glob("step-*"):
        checkpoint.unlink()
    fails(capsys, [*ask, *more], 2, "--out is", "which holds a model, but no checkpoint")
    (out / "config.json").unlink()
    fails(capsys, [*ask, *more], 1, "holds embeddings of other pictures than those asked for: ask for the same data")


def test_a_prior_of_few_steps_draws(folders, tmp_path):
    few = replace(prior(), config=replace(prior().config, T=10))
    assert few.embeddings(Request(prompt=["a red car"])).shape == (1, 6)


@pytest.mark.slow
def test_a_decoder_goes_on_from_a_model_of_words(folders, tmp_path, capsys):
    start, out = tmp_path / "start", tmp_path / "run"
    words = ["--autoencoder", str(folders / "autoencoder"), *SMALL, "--unet.pooled-channels", "8"]
    assert main(training("latents", start, *words)) == 0
    capsys.readouterr()
    from_start = ["--prior", str(folders / "prior"), "--start-from", str(start), "--images", "20"]
    assert main(training("decode", out, *from_start)) == 0
    said = capsys.readouterr().out
    assert "told embeddings besides" in said
    assert "New, and still to be learned: " in said
    decoder = load(out, kind=UnClip).decoder
    assert decoder.config.embedding == 6
    assert decoder.config.unet.pooled_channels == 6
    wrong = ["--autoencoder", str(folders / "clip")]
    fails(capsys, training("decode", tmp_path / "other", *from_start, *wrong), 2, "an autoencoder was expected")


def test_an_unclip_is_evaluated_on_scenes(folders, tmp_path, capsys):
    """At the size of the judge, by its report; here with two captions of each split."""
    ask = ["evaluate", "--model", str(folders / "unclip")]
    fails(capsys, [*ask, "--data", "digits"], 2, "measured on avatars and scenes only")
    fails(capsys, [*ask, "--classifier", "none"], 2, "--classifier is 'none'")


def test_variations_and_ways_are_drawn_and_say_what_they_are_of(folders, tmp_path, capsys):
    a, b, out = folders / "a.png", folders / "b.png", tmp_path / "out"
    ask = ["edit", "--variations", str(a), "--model", str(folders / "unclip"), "--n", "3", "--steps", "2"]
    ask += ["--out", str(out)]
    assert main(ask) == 0
    assert "Drew 3 pictures of" in capsys.readouterr().out
    with Image.open(out / "pictures" / "000.png") as drawn:
        assert str(a) in drawn.text["tinydiff"]
        first = np.asarray(drawn)
    assert main([*ask, "--seed", "1"]) == 0
    with Image.open(out / "2" / "pictures" / "000.png") as drawn:
        assert (np.asarray(drawn) != first).any()
    assert main([*ask, "--between", str(b)]) == 0
    assert "cropped in the middle" in capsys.readouterr().out
    assert main([*ask, "--towards", "a red car", "--away-from", "a blue car"]) == 0
    assert len(list((out / "4" / "pictures").iterdir())) == 3


def test_what_variations_do_not_take_is_refused(folders, tmp_path, capsys):
    a, b, out = str(folders / "a.png"), str(folders / "b.png"), tmp_path / "out"
    ask = ["edit", "--variations", a, "--model", str(folders / "unclip"), "--steps", "2", "--out", str(out)]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for more, words in (
        (["--image", a], "--image is"),
        (["--mask", a], "--mask is"),
        (["--strength", "0.5"], "--strength is 0.5"),
        (["--resample", "3"], "--resample is 3"),
        (["--between", b, "--towards", "x"], "--towards is 'x'"),
        (["--away-from", "x"], "--away-from is 'x'"),
        (["--between", b, "--prompt", "x"], "--prompt is 'x'"),
        (["--between", b, "--sampler", "ddim"], "--sampler is 'ddim'"),
        (["--between", b, "--n", "1"], "--n is 1"),
        (["--between", b, "--seed", "1"], "--seed is 1"),
        (["--towards", "x", "--away-from", "x "], "--away-from is 'x ', which --towards says too"),
        (["--towards", " "], "--towards is ' ', but a text was expected"),
        (["--towards", "x", "--steps", "0"], "--steps is 0"),
        (["--steps", "1000"], "--steps is 1000"),
        (["--n", "0"], "--n is 0"),
        (["--model", str(folders / "prior")], "an unCLIP was expected"),
        (["--variations", str(broken)], "broken.png"),
        (["--variations", str(tmp_path / "none.png")], "none.png"),
    ):
        status = 1 if "png" in words else 2
        fails(capsys, [*ask, *more], status, words)
        assert not out.exists(), more
    picture = ["edit", "--image", a, "--out", str(out)]
    fails(capsys, [*picture, "--model", str(folders / "unclip" / "decoder")], 2, "the decoder of an unCLIP")
    fails(capsys, [*picture, "--towards", "x"], 2, "--towards is 'x', but it goes with --variations")
    fails(capsys, [*picture, "--model", str(folders / "unclip")], 2, "give the picture as --variations")
    fails(capsys, ["edit", "--variations", a, "--out", str(out)], 2, "--model is missing")
    fails(capsys, ["edit", "--out", str(out)], 2, "--image is missing")


def test_parts_that_do_not_fit_are_refused_and_nothing_is_half_loaded(folders, tmp_path, capsys):
    ask = ["sample", "--prompt", "a red car", "--n", "1", "--out", str(tmp_path / "out")]
    for part, words in (("prior", "draws embeddings, not pictures"), ("unclip/decoder", "the decoder of an unCLIP")):
        fails(capsys, [*ask, "--model", str(folders / part)], 2, words)
    fails(
        capsys, ["sample", "--model", str(folders / "unclip"), "--out", str(tmp_path / "out")], 2, "--prompt is missing"
    )
    for missing in ("prior", "decoder", "prior/clip"):
        copy = tmp_path / missing.replace("/", "-")
        shutil.copytree(folders / "unclip", copy)
        shutil.rmtree(copy / missing)
        fails(capsys, [*ask, "--model", str(copy)], 1, "does not exist")
    other = tmp_path / "other"
    shutil.copytree(folders / "unclip", other)
    shutil.rmtree(other / "prior")
    save(other / "prior", prior(seed=1), data="scenes")
    fails(capsys, [*ask, "--model", str(other)], 1, "embeddings of the CLIP")
    fails(capsys, training("prior", tmp_path / "p", "--clip", str(folders / "prior")), 2, "a CLIP was expected")
    clip_given = ["--clip", str(folders / "clip")]
    fails(
        capsys,
        training("prior", tmp_path / "p", *clip_given, "--network.embedding", "7"),
        2,
        "--network.embedding is 7",
    )
    fails(capsys, training("prior", tmp_path / "p", *clip_given, "--data", "digits"), 2, "--data is 'digits'")
    fails(capsys, training("decode", tmp_path / "d", "--prior", str(folders / "clip")), 2, "a prior")


def test_one_line_of_python_draws_with_it(folders):
    drawn = tinydiff.sample(folders / "of-latents", n=2, steps=2, prompt="a red car")
    assert drawn.shape == (2, 16, 16, 3)


def test_a_model_without_words_is_nothing_to_start_from(folders, tmp_path, capsys):
    assert train(tmp_path / "digits", steps=1) == 0
    capsys.readouterr()
    more = ["--prior", str(folders / "prior"), "--start-from", str(tmp_path / "digits"), "--images", "20"]
    fails(capsys, training("decode", tmp_path / "d", *more), 2, "draws from text was expected")
    assert TINY


def test_options_that_would_change_nothing_are_refused(folders, tmp_path, capsys):
    prior_of, decode = ["--clip", str(folders / "clip")], ["--prior", str(folders / "prior"), *SMALL]
    for objective, more, words in (
        ("prior", [*prior_of, "--train.image-noise", "0.2"], "--train.image-noise is 0.2"),
        ("prior", [*prior_of, "--background", "red"], "--background is 'red'"),
        ("prior", [*prior_of, "--data", "digits", "--images", "5"], "--images is 5"),
        ("decode", [*decode, "--latents", str(tmp_path)], "--latents is"),
        ("decode", [*decode, "--unet.pooled-channels", "6"], "--unet.pooled-channels is 6"),
        ("decode", [*decode, "--train.flip"], "--train.flip is True"),
        ("decode", SMALL, "--prior is missing"),
        ("denoise", ["--start-from", str(folders / "prior")], "draws embeddings, not pictures"),
        ("denoise", ["--start-from", str(folders / "unclip" / "decoder")], "the decoder of an unCLIP"),
        ("latents", ["--start-from", str(folders / "of-latents" / "decoder")], "the decoder of an unCLIP"),
    ):
        fails(capsys, training(objective, tmp_path / "run", *more), 2, words)
