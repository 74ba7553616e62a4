"""A cascade at the command line: drawn from as any other model, and refused where it cannot be used."""

import numpy as np
import pytest
from commands import fails
from enlargers import behind_latents, cascade, enlarger
from latents import SCENES
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import Request, save
from tinydiff.plot.sheets import to_pixels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(save(tmp_path_factory.mktemp("models") / "cascade", cascade()))


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("n", [1, 2])
def test_it_is_sampled_from(folder, tmp_path, capsys, n):
    prompt = SCENES.captions[0]
    sample = ["sample", "--model", folder, "--prompt", prompt, "--n", str(n), "--steps", "3", "--seed", "4"]
    assert main([*sample, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "3 steps of dpmpp_2m in each of 3 stages, 9 calls of the network" in said
    model = cascade() if n > 1 else cascade().with_micro_batch(1)
    drawn = model.draw(Request(n=n, prompt=prompt, guidance=2, seed=4), "dpmpp_2m", 3)
    for i, pixels in enumerate(to_pixels("image", drawn)):
        np.testing.assert_array_equal(pixels_of(tmp_path / "pictures" / f"00{i}.png"), pixels)
    with Image.open(tmp_path / "chain.gif") as film:
        assert film.n_frames >= 9  # small pictures are shown as large


def test_one_that_begins_with_latents_is_sampled_from_too(tmp_path):
    folder = str(save(tmp_path / "model", behind_latents()))
    sample = ["sample", "--model", folder, "--prompt", "a red cabin", "--n", "1", "--steps", "2"]
    assert main([*sample, "--out", str(tmp_path / "drawn")]) == 0
    assert pixels_of(tmp_path / "drawn" / "pictures" / "000.png").shape == (32, 32, 3)


def test_what_it_cannot_do_is_one_clear_sentence(folder, tmp_path, capsys):
    Image.new("RGB", (32, 32)).save(tmp_path / "in.png")
    edit = ["edit", "--image", str(tmp_path / "in.png"), "--model", folder, "--out", str(tmp_path)]
    fails(capsys, edit, 2, "is a cascade, but a diffusion model or an unCLIP was expected")
    sample = ["sample", "--model", folder, "--steps", "2", "--out", str(tmp_path)]
    fails(capsys, [*sample, "--label", "3"], 2, "--label is 3, but this model draws from text: give a prompt")
    fails(capsys, [*sample, "--size", "20"], 2, "--size is 20 x 20")
    alone = str(save(tmp_path / "alone", enlarger()))
    fails(capsys, ["sample", "--model", alone, "--steps", "2"], 2, "tinydiff edit --image PICTURE")
