"""`tinydiff sample`: a grid and a film, from a seed, a prompt, a label or a classifier."""

import dataclasses
import os
import typing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from commands import fails
from diffusions import UNTOLD
from PIL import Image

import tinydiff
from tinydiff import plot
from tinydiff.apps.cli import main
from tinydiff.apps.cli.drawings import own_folder
from tinydiff.apps.cli.options import SamplerName
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import DiffusionModel, load, save


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


@pytest.mark.parametrize("sampler", UNTOLD)
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


def pictures_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_each_picture_says_what_it_was_drawn_from(portraits, tmp_path, capsys):
    request = ["sample", "--model", str(portraits), "--n", "2", "--steps", "2", "--seed", "5", "--sampler", "heun"]
    prompt = 'häir "red"\nand \udcff'
    request += ["--prompt", prompt, "--negative", "a hat", "--npz", "--out", str(tmp_path)]
    assert main(request) == 0
    capsys.readouterr()
    about = [plot.about_picture(tmp_path / "pictures" / name) for name in ("000.png", "001.png")]
    assert [picture["index"] for picture in about] == [0, 1]
    for picture in about:
        asked = {"prompt": prompt, "negative": "a hat", "seed": 5, "guidance": 2.0, "sampler": "heun", "steps": 2}
        assert picture.items() >= {**asked, "model": str(portraits), "size": "8x8"}.items()
        assert picture["tinydiff"] == tinydiff.__version__
    assert plot.about_picture(tmp_path / "grid.png")["pictures"] == 2
    assert plot.about_picture(tmp_path / "chain.gif")["pictures"] == 2
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert arrays["images"].shape == (2, 8, 8, 3)
        assert arrays["images"].dtype == np.float32
        assert arrays["prompt"] == prompt
        for i in range(2):
            pixels = np.asarray(Image.open(tmp_path / "pictures" / f"00{i}.png"))
            np.testing.assert_array_equal(pixels, np.rint((arrays["images"][i] + 1) * 127.5))
    assert main(["info", str(tmp_path / "pictures" / "001.png")]) == 0
    assert "seed: 5" in capsys.readouterr().out
    Image.new("L", (8, 8)).save(tmp_path / "other.png")
    fails(capsys, ["info", str(tmp_path / "other.png")], 1, "does not say what it was drawn from")


def test_no_drawing_replaces_another(trained, tmp_path, capsys):
    out = tmp_path / "out"
    request = ["sample", "--model", str(trained), "--n", "2", "--steps", "1", "--out", str(out)]
    assert main(request) == 0
    assert "holds an earlier drawing" not in capsys.readouterr().out
    first = pictures_of(out)
    assert set(first) == {"grid.png", "chain.gif", "000.png", "001.png"}
    (out / "2").write_text("mine")  # a file that is called as the next folder would be
    assert main([*request, "--seed", "1", "--no-gif"]) == 0
    said = capsys.readouterr().out
    assert f"{out} holds an earlier drawing, which stays as it is: this one is in {out / '3'}." in said
    assert not (out / "3" / "chain.gif").exists()
    assert {name: (out / name).read_bytes() for name in ("grid.png", "chain.gif")}.items() <= first.items()
    assert (out / "2").read_text() == "mine"
    picture = out / "pictures" / "000.png"
    edit = ["edit", "--model", str(trained), "--image", str(picture), "--n", "1", "--steps", "4", "--out", str(out)]
    assert main(edit) == 0
    assert (out / "4" / "edited.png").is_file()
    assert "in 1 way:" in capsys.readouterr().out
    fails(
        capsys, [*edit, "--image", str(out / "grid.png")], 2, "--image is", "a sheet that shows 2 pictures", "000.png"
    )


def test_of_two_drawings_at_one_moment_each_has_its_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: own_folder(tmp_path / "out"), range(24)))
    assert len(set(folders)) == 24


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_that_leads_nowhere_is_left_alone(tmp_path):
    (tmp_path / "pictures").symlink_to(tmp_path / "nowhere")
    (tmp_path / "2").symlink_to(tmp_path / "nowhere")
    assert own_folder(tmp_path) == tmp_path / "3"


@pytest.fixture
def named(trained, tmp_path):
    model = load(trained)
    names = ("cat", "dog", "7", *"abcdefg")
    return save(
        tmp_path / "named", dataclasses.replace(model, config=dataclasses.replace(model.config, class_names=names))
    )


def test_classes_are_asked_for_by_name(named, tmp_path, capsys):
    request = ["sample", "--model", str(named), "--steps", "1", "--no-gif", "--n", "3"]
    titles = []
    image_grid = plot.image_grid
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot, "image_grid", lambda images, **words: titles.append(words) or image_grid(images, **words))
        for i, labels in enumerate((["dog"], ["7", "dog"], ["dog", "dog"], [])):
            options = ["--label", *labels] if labels else []
            assert main([*request, *options, "--out", str(tmp_path / str(i))]) == 0
    found = [
        [plot.about_picture(path)["class"] for path in sorted((tmp_path / str(i) / "pictures").iterdir())]
        for i in range(4)
    ]
    assert found == [["dog"] * 3, ["7", "dog", "7"], ["dog"] * 3, ["cat", "dog", "7"]]
    assert ", dog, " in titles[0]["title"]
    assert titles[3]["labels"] == ["cat", "dog", "7"]
    fails(
        capsys, [*request, "--label", "bird"], 2, "--label is 'bird', but this model knows these classes: cat, dog, 7"
    )
    fails(capsys, [*request, "--label", "1"], 2, "--label is '1', but", "cat, dog, 7", "Name one of them.")


def test_words_that_no_caption_held_are_named(portraits, tmp_path, capsys):
    request = ["sample", "--model", str(portraits), "--n", "1", "--steps", "1", "--out", str(tmp_path)]
    assert main([*request, "--prompt", "a Dragon with red hair, wings", "--negative", "fire"]) == 0
    said = capsys.readouterr().out
    assert "'dragon', 'wings' and 'fire' never occurred in the captions that avatars learned from.\n" in said
    assert main([*request, "--prompt", "a person with red hair"]) == 0
    assert "never" not in capsys.readouterr().out


def test_how_often_the_network_was_called_is_said_where_it_is_not_once_a_step(trained, tmp_path, capsys):
    request = ["sample", "--model", str(trained), "--n", "1", "--steps", "6", "--out", str(tmp_path)]
    assert main([*request, "--sampler", "heun"]) == 0
    assert "(6 steps of heun, 11 calls of the network)" in capsys.readouterr().out
    assert main(request) == 0
    assert "Drew 1 image in" in (said := capsys.readouterr().out)
    assert "(6 steps of dpmpp_2m)" in said
