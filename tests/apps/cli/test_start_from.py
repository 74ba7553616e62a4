"""`tinydiff train --start-from`: to other classes, sizes, channels and texts; what is taken and what is new is said."""

import json

import numpy as np
import pytest
from commands import fails
from PIL import Image

from tinydiff.apps.cli import main
from tinydiff.models import load

QUICK = ["--train.steps", "1", "--train.batch", "4", "--train.validation-images", "2", "--train.lr", "1e-12"]
TABLE = "embed.label.table"


def pictures(folder, classes, size=16, mode="RGB"):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (size, size, len(mode)), dtype=np.uint8).squeeze()
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return str(folder)


def weights(folder):
    return {name: p.value for name, p in load(folder).network.named_parameters().items()}


def test_from_grey_digits_to_colour_pictures_of_another_size_and_number_of_classes(trained, tmp_path, capsys):
    data = pictures(tmp_path / "pictures", ["cat", "dog"])
    options = ["train", "--data", data, "--unet.image-size", "16", *QUICK, "--start-from", str(trained)]
    assert main([*options, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "unet.image_size 16 instead of 8, unet.in_channels 3 instead of 1, unet.num_classes 2 instead of 10" in said
    assert "classes of other names" in said
    (new,) = [line for line in said.splitlines() if line.startswith("New, and still to be learned: ")]
    for group in ("stem (216)", "head.layers (219)", "embed.label (64)"):
        assert group in new
    model, before, after = load(tmp_path / "run"), weights(trained), weights(tmp_path / "run")
    assert model.config.unet.shape == (16, 16, 3)
    assert model.config.class_names == ("cat", "dog")
    assert {n for n in before if before[n].shape != after[n].shape} == {
        "stem.weight", "head.layers.2.weight", "head.layers.2.bias", TABLE,
    }  # fmt: skip
    for name in set(before) - {"stem.weight", "head.layers.2.weight", "head.layers.2.bias", TABLE}:
        np.testing.assert_allclose(before[name], after[name], atol=1e-8)
    np.testing.assert_allclose(before[TABLE][10], after[TABLE][2], atol=1e-8)  # no class


def test_classes_of_the_same_name_keep_their_vectors(tmp_path, trained):
    start = ["--start-from", str(trained), *QUICK, "--out"]
    assert (
        main(["train", "--data", pictures(tmp_path / "a", ["cat", "dog"], 8, "L"), *start, str(tmp_path / "one")]) == 0
    )
    data = pictures(tmp_path / "b", ["ape", "cat", "dog"], 8, "L")
    start[1] = str(tmp_path / "one")
    assert main(["train", "--data", data, *start, str(tmp_path / "two")]) == 0
    one, two = weights(tmp_path / "one")[TABLE], weights(tmp_path / "two")[TABLE]
    np.testing.assert_allclose(one, two[1:], atol=1e-8)
    assert load(tmp_path / "two").config.class_names == ("ape", "cat", "dog")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kind", "eps"], "kind eps instead of v"),
        (["--T", "50"], "T 50 instead of 1000"),
        (["--unet.heads", "2"], "unet.heads 2 instead of 4"),
        (["--unet.image-size", "28"], "unet.image_size 28 instead of 8"),  # the default of the option, yet given
        (["--unet.blocks-per-level", "2"], "unet.blocks_per_level 2 instead of 1"),
    ],
)
def test_what_is_given_goes_before_what_the_model_has_and_is_said(trained, tmp_path, capsys, options, said):
    command = ["train", "--data", "digits", *QUICK, "--start-from", str(trained), "--out", str(tmp_path), *options]
    assert main(command) == 0
    assert f"but: {said}" in capsys.readouterr().out
    run = json.loads((tmp_path / "run.json").read_text())
    name, value = options[0][2:].replace("-", "_"), options[1]
    table, _, short = name.rpartition(".")
    assert str((run[table] if table else run)[short]) == value


@pytest.mark.slow
def test_a_model_that_reads_text_keeps_its_tokenizer_or_gives_its_unet_alone(portraits, trained, tmp_path, capsys):
    start = [*QUICK, "--out", str(tmp_path / "run"), "--start-from", str(portraits)]
    assert main(["train", "--data", "avatars", "--images", "24", *start]) == 0
    assert "aptions are read by the tokenizer of" in capsys.readouterr().out
    data = pictures(tmp_path / "pictures", ["cat", "dog"], 8)
    start[start.index("--out") + 1] = str(tmp_path / "other")
    fails(capsys, ["train", "--data", data, *start], 2, "reads text, but", "has no captions: give --no-captions")
    assert main(["train", "--data", data, *start, "--no-captions"]) == 0
    assert "Left out, as they have no place here: " in capsys.readouterr().out
    before, after = weights(portraits), weights(tmp_path / "other")
    np.testing.assert_allclose(before["unet.stem.weight"], after["stem.weight"], atol=1e-8)


def test_words_of_the_new_captions_are_no_new_words_of_the_fine_tuned_model(portraits, tmp_path):
    data = tmp_path / "pictures"
    pictures(data, ["."], 16)
    (data / "captions.csv").write_text("file,caption\n" + "".join(f"{i}.png,a green dragon\n" for i in range(4)))
    command = ["train", "--data", str(data), *QUICK, "--start-from", str(portraits), "--out", str(tmp_path / "run")]
    assert main(command) == 0
    before, after = load(portraits).tokenizer, load(tmp_path / "run").tokenizer
    assert before.new_words("a dragon with hair and wings") == ["dragon", "wings"]
    assert after.new_words("a dragon with hair and wings") == ["wings"]
    assert after.tokens == before.tokens


@pytest.mark.slow
def test_a_model_without_text_may_learn_to_read(trained, tmp_path, capsys):
    options = ["--data", "avatars", "--images", "12", "--captions", "--text.layers", "1", "--text.channels", "8"]
    options += ["--text.heads", "2", "--text.length", "64"]
    assert main(["train", *options, *QUICK, "--start-from", str(trained), "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "text yes instead of none" in said
    assert "text.token" in said
    assert load(tmp_path).config.unet.num_classes is None
