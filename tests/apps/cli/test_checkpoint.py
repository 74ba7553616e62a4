"""`tinydiff sample --checkpoint` and `tinydiff inspect`: folders that diffusers wrote."""

import json

import numpy as np
import pytest
from checkpoints import write_pipeline
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import Request, read_checkpoint, scheduled_chain, timetable
from tinydiff.plot import about_picture


@pytest.fixture
def folder(tmp_path):
    return write_pipeline(tmp_path / "checkpoint", "latents")


def test_a_checkpoint_is_drawn_with_as_its_scheduler_does(folder, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["sample", "--checkpoint", str(folder), "--prompt", "a red cat", "--out", str(out)]
    assert main([*asked, "--steps", "4", "--seed", "3", "--npz"]) == 0
    text = capsys.readouterr().out
    assert "71,707 weights" in text
    assert "there is no safety checker here" in text
    assert "Drew 1 image" in text
    assert "4 steps of PNDMScheduler" in text
    checkpoint = read_checkpoint(folder)
    request = Request(n=1, seed=3, prompt="a red cat", guidance=7.5)
    *_, (_, x, _) = scheduled_chain(checkpoint.model, timetable(checkpoint.scheduler, 4), request)
    with np.load(out / "arrays.npz") as arrays:
        np.testing.assert_allclose(arrays["images"], checkpoint.model.decode(x), atol=1e-6)
    about = about_picture(out / "pictures" / "000.png")
    assert about["sampler"] == "PNDMScheduler"
    assert about["guidance"] == 7.5
    with Image.open(out / "pictures" / "000.png") as picture:
        assert picture.size == (16, 16)


def test_another_scheduler_takes_what_the_folder_says(folder, tmp_path, capsys):
    for name, called in (("euler", "EulerDiscreteScheduler"), ("ddim", "DDIMScheduler")):
        asked = ["sample", "--checkpoint", str(folder), "--prompt", "dog", "--scheduler", name, "--steps", "3"]
        assert main([*asked, "--out", str(tmp_path / name)]) == 0
        assert f"3 steps of {called}" in capsys.readouterr().out
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"timestep_spacing": "linspace"}))
    assert main([*asked, "--out", str(tmp_path / "strides")]) == 0
    assert "as published: so it is done here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "mnist"], "--model is 'mnist', but --checkpoint names the model"),
        (["--sampler", "ddim"], "--sampler is 'ddim', but --scheduler says how a checkpoint is drawn with"),
        (["--eta", "0.5"], "--eta was given, but --scheduler says"),
        (["--threshold", "dynamic"], "--threshold is 'dynamic', but a scheduler clips"),
        (["--steps", "1001"], "--steps is 1001, but a whole number from 1 to 1000"),
        (["--label", "1"], "draws from text"),
        (["--classifier", "mnist-noisy-classifier"], "--classifier is"),
    ],
)
def test_options_that_change_nothing_are_refused(folder, options, message, capsys, tmp_path):
    asked = ["sample", "--checkpoint", str(folder), "--prompt", "cat", "--out", str(tmp_path / "out")]
    fails(capsys, [*asked, *options], 2, message)
    assert not (tmp_path / "out").exists()


def test_a_scheduler_goes_with_a_checkpoint(capsys):
    fails(capsys, ["sample", "--scheduler", "ddim"], 2, "goes with --checkpoint")


def test_a_checkpoint_is_a_model_for_other_commands(folder, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["sample", "--model", str(folder), "--prompt", "cat", "--n", "1", "--steps", "3", "--out", str(out)]
    assert main(asked) == 0
    picture = str(out / "pictures" / "000.png")
    asked = ["edit", "--model", str(folder), "--image", picture, "--prompt", "dog", "--steps", "4", "--n", "2"]
    assert main([*asked, "--out", str(tmp_path / "edited")]) == 0


def test_inspect_says_what_a_checkpoint_is(folder, capsys):
    assert main(["inspect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "UNet2DConditionModel" in text
    assert "51,364" in text
    assert "tinydiff opens all of it." in text
    assert main(["inspect", str(folder), "--tensors", "text_encoder"]) == 0
    assert "blocks.0.self_attention.key_value.weight" in capsys.readouterr().out
    assert main(["inspect", str(folder / "vae")]) == 0
    assert "AutoencoderKL" in capsys.readouterr().out
    fails(capsys, ["inspect", str(folder), "--tensors", "vea"], 2, "--tensors is 'vea', but the parts are")
    fails(capsys, ["inspect", str(folder.parent)], 1, "no folder of a public checkpoint")


def test_a_model_is_exported_and_draws_the_same(folder, tmp_path, capsys):
    out = tmp_path / "exported"
    assert main(["export", str(folder), "--out", str(out)]) == 0
    assert f"Wrote {folder} for diffusers: {out}." in capsys.readouterr().out
    asked = ["--prompt", "dog", "--n", "1", "--steps", "3", "--npz"]
    for model in (folder, out):
        assert main(["sample", "--model", str(model), *asked, "--out", str(tmp_path / f"by-{model.name}")]) == 0
    before, after = (np.load(tmp_path / f"by-{name}" / "arrays.npz")["images"] for name in ("checkpoint", "exported"))
    np.testing.assert_allclose(after, before, atol=1e-5)
    fails(capsys, ["export", str(folder), "--out", str(out)], 2, "where there is something already")
    fails(capsys, ["export", "mnist", "--out", str(tmp_path / "mnist")], 2, "groups is None", "--unet.groups")
    assert not (tmp_path / "mnist").exists()
    fails(capsys, ["export", "mnist-classifier-28", "--out", str(tmp_path / "c")], 2, "a diffusion model")


def test_compare_says_where_numbers_part(folder, capsys):
    assert main(["compare", str(folder), "--flip", "pad"]) == 0
    text = capsys.readouterr().out
    assert "unet: numbers part at down.0.resample (Conv2d)" in text
    assert "vae: numbers part at encoder.down.0.resample (Conv2d)" in text
    assert main(["compare", str(folder), str(folder)]) == 0
    assert capsys.readouterr().out.count("all the same but for rounding") == 3
    fails(capsys, ["compare", str(folder)], 2, "--flip is missing")
    fails(capsys, ["compare", str(folder), str(folder), "--flip", "pad"], 2, "not both")
    fails(capsys, ["compare", "mnist", "--flip", "gelu"], 2, "no network of mnist has activation")
    fails(capsys, ["compare", str(folder), "mnist"], 2, "take different inputs")
