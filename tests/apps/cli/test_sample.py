"""`tinydiff sample`: a grid and a film, from a seed, a prompt, a label or a classifier."""

import typing

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.apps.cli.options import SamplerName
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import DiffusionModel, load


def test_the_recipe_for_avatars_learns_from_captions_and_draws_from_a_prompt(portraits, tmp_path, capsys):
    config = load(portraits).config
    assert config.text is not None
    assert config.unet.context_channels == config.text.channels == 8
    request = ["sample", "--model", str(portraits), "--n", "2", "--steps", "2", "--prompt", "a person with\nred hair"]
    assert main([*request, "--negative", "a hat", "--guidance", "2.5", "--out", str(tmp_path / "a")]) == 0
    assert main([*request, "--out", str(tmp_path / "b")]) == 0
    pixels = [np.asarray(Image.open(tmp_path / name / "grid.png")) for name in "ab"]
    assert pixels[0].shape != pixels[1].shape or (pixels[0] != pixels[1]).any()
    assert main([*request[:-1], "red \udcff hair", "--out", str(tmp_path / "c")]) == 0  # a byte that is no text
    fails(capsys, [*request[:3], "--label", "1"], 2, "draws from text")
    fails(capsys, [*request, "--guidance", "nan"], 2, "--guidance is nan")
    fails(capsys, [*request, "--interval", "9", "3"], 2, "--interval is (9.0, 3.0)")
    fails(capsys, ["sample", "--model", "mnist", "--prompt", "a seven"], 2, "does not read text")


def test_a_classifier_pulls_what_is_drawn(trained, tmp_path, capsys):
    request = ["sample", "--n", "1", "--label", "3", "--steps", "2", "--classifier", "mnist-noisy-classifier"]
    for scale in ("0", "8"):
        assert main([*request, "--guidance", scale, "--out", str(tmp_path / scale)]) == 0
    assert main([*request, "--guidance", "8", "--interval", "0", "500", "--out", str(tmp_path / "late")]) == 0
    nothing, pulled, late = (np.asarray(Image.open(tmp_path / name / "grid.png")) for name in ("0", "8", "late"))
    assert (nothing != pulled).any()
    assert (late != pulled).any()
    fails(capsys, [*request, "--rescale", "0.5"], 2, "--rescale is 0.5, but with a classifier")
    fails(capsys, [*request, "--negative", "a one"], 2, "--negative is 'a one', but with a classifier")
    fails(capsys, [*request, "--label", "10"], 2, "--label is 10, but the classifier knows the classes 0 to 9")
    fails(
        capsys,
        [*request, "--model", str(trained)],
        2,
        "which knows pictures of 28 x 28 x 1, but those to draw have 8 x 8 x 1",
    )
    fails(capsys, [*request[:-1], "mnist-classifier-28"], 2, "but a classifier of noisy pictures was expected")


def test_one_picture_is_computed_by_itself_and_several_as_the_model_says(portraits, tmp_path, monkeypatch, capsys):
    taken, chain = [], DiffusionModel.chain

    def watched(model, request, *arguments):
        taken.append((request.count, model.micro_batch))
        return chain(model, request, *arguments)

    monkeypatch.setattr(DiffusionModel, "chain", watched)
    request = ["sample", "--model", str(portraits), "--steps", "2", "--prompt", "red hair", "--out", str(tmp_path)]
    for options in (["--n", "1"], ["--n", "2"], ["--n", "2", "--micro-batch", "4"], ["--n", "1", "--micro-batch", "4"]):
        assert main([*request, *options]) == 0
    own = load(portraits).micro_batch
    assert taken == [(1, 1), (2, own), (2, 4), (1, 4)]
    fails(capsys, [*request, "--micro-batch", "0"], 2, "--micro-batch is 0")


def test_the_command_line_knows_every_sampler():
    assert typing.get_args(SamplerName) == tuple(SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_sample_writes_a_grid_and_a_film(trained, tmp_path, sampler, capsys):
    arguments = ["sample", "--model", str(trained), "--n", "3", "--steps", "2", "--sampler", sampler]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    with Image.open(tmp_path / "grid.png") as grid, Image.open(tmp_path / "chain.gif") as film:
        assert grid.size[0] > 24
        assert film.n_frames >= 2
    assert "Drew 3 images" in capsys.readouterr().out


def test_the_same_seed_draws_the_same_pictures(trained, tmp_path):
    def draw(name, *more):
        arguments = ["sample", "--model", str(trained), "--n", "2", "--steps", "2", "--label", "3", *more]
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0
        with Image.open(tmp_path / name / "grid.png") as grid:
            picture = np.asarray(grid.convert("L"))
        return picture[picture.shape[0] // 2 :]  # without the title, which names the seed

    np.testing.assert_array_equal(draw("a"), draw("b"))
    assert not np.array_equal(draw("a"), draw("c", "--seed", "1"))


def test_bad_numbers_for_sampling_exit_with_2(trained, capsys):
    base = ["sample", "--model", str(trained)]
    fails(capsys, [*base, "--n", "0"], 2, "--n is 0")
    fails(capsys, [*base, "--steps", "2000"], 2, "--steps is 2000")
    fails(capsys, [*base, "--label", "11", "--n", "1"], 2, "--label is 11, but whole numbers from 0 to 9")
    fails(capsys, [*base, "--seed", "-1"], 2, "--seed is -1")
