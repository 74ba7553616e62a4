"""What is refused is named as one types it, whoever refuses it; and what would change nothing is refused."""

import re

import pytest
from commands import TINY, TINY_TEXT, fails
from PIL import Image

from tinydiff.apps.cli.main import COMMANDS
from tinydiff.apps.cli.naming import as_typed
from tinydiff.apps.cli.train import OBJECTIVES, Train

CLIP = ["avatars-clip", "--train.steps", "1"]
GUIDED = ["--classifier", "mnist-noisy-classifier"]
REFUSED = [  # a command, what is wrong with it, and how the sentence begins
    ("demo", ["--steps", "0"], "--steps is 0"),
    ("demo", ["--seed", "-1"], "--seed is -1"),
    ("sample", ["--n", "0"], "--n is 0"),
    ("sample", ["--seed", "-1"], "--seed is -1"),
    ("sample", ["--label", "11"], "--label is 11, but whole numbers from 0 to 9"),
    ("sample", ["--label", "-1"], "--label is -1"),
    ("sample", ["--steps", "0"], "--steps is 0"),
    ("sample", ["--size", "7"], "--size is 7 x 7"),
    ("sample", ["--size", "0"], "--size is 0"),
    ("sample", ["--size", "1000000"], "--size is 1000000, but a whole number from 1 to 65536"),
    ("sample", ["--n", "99999999999999999999999"], "--n is 99999999999999999999999, but a whole number of at most"),
    ("sample", ["--micro-batch", "0"], "--micro-batch is 0"),
    ("sample", ["--guidance", "200"], "--guidance is 200.0"),
    ("sample", ["--guidance", "nan"], "--guidance is nan"),
    ("sample", ["--guidance", "2", "--rescale", "2"], "--rescale is 2.0"),
    ("sample", ["--guidance", "2", "--interval", "9", "3"], "--interval is (9.0, 3.0)"),
    ("sample", ["--guidance", "2", "--interval", "1000", "3000"], "--interval is (1000.0, 3000.0), but a chain starts"),
    ("sample", ["--interval", "0", "500"], "--interval is (0.0, 500.0), but it changes nothing where guidance is 1"),
    ("sample", ["--rescale", "0.5"], "--rescale is 0.5, but it changes nothing where guidance is 1"),
    ("sample", ["--model", "mnist", "--prompt", "a seven"], "--prompt is 'a seven', but this model does not read"),
    ("sample", ["--guidance", "2", "--negative", "red"], "--negative is 'red', but this model does not read text"),
    (
        "sample",
        ["--prompt", "a hat", "--guidance", "1", "--negative", "red"],
        "--negative is 'red', but it changes nothing where",
    ),
    ("sample", [*GUIDED, "--label", "10"], "--label is 10, but the classifier knows the classes 0 to 9"),
    (
        "sample",
        [*GUIDED, "--size", "32"],
        "--classifier is mnist-noisy-classifier, which knows pictures of 28 x 28 x 1",
    ),
    ("sample", [*GUIDED, "--model", "mnist", "--prompt", "a hat"], "--prompt is 'a hat', but the classifier pulls"),
    ("sample", ["--label", "dog"], "--label is 'dog', but this model knows these classes: 0, 1, 2"),
    ("sample", ["--label", "3", "11"], "--label is 11, but whole numbers from 0 to 9"),
    ("sample", ["--model", "avatars", "--label", "dog"], "--label is 'dog', but this model draws from text"),
    ("edit", ["--label", "11"], "--label is 11"),
    ("edit", ["--label", "dog"], "--label is 'dog', but this model knows these classes: 0, 1, 2"),
    ("edit", ["--size", "7"], "--size is 7 x 7"),
    ("edit", ["--background", "nice"], "--background is 'nice', but a colour was expected"),
    ("edit", ["--feather", "2"], "--feather is 2.0, but there is no mask to blur"),
    ("edit", ["--n", "0"], "--n is 0"),
    ("edit", ["--steps", "0"], "--steps is 0"),
    ("edit", ["--steps", "5000"], "--steps is 5000"),
    ("edit", ["--guidance", "200"], "--guidance is 200.0"),
    ("edit", ["--strength", "2"], "--strength is 2.0"),
    ("edit", ["--negative", "red"], "--negative is 'red', but this model does not read text"),
    ("edit", ["--resample", "3"], "--resample is 3, but steps are repeated only where a part is drawn"),
    ("edit", ["--model", "avatars", "--label", "1"], "--label is 1, but this model draws from text"),
    ("evaluate", ["--n", "0"], "--n is 0"),
    ("evaluate", ["--steps", "0"], "--steps is 0"),
    ("evaluate", ["--data", "cifar"], "--data is 'cifar'"),
    ("evaluate", ["--guidance", "3"], "--guidance is 3.0, but mnist does not read text"),
    ("evaluate", ["--scales", "1"], "--scales is (1.0,), but mnist does not read text"),
    ("evaluate", ["--model", "avatars", "--data", "faces"], "--data is 'faces', but"),
    ("evaluate", ["--model", "avatars", "--scales", "1", "200"], "--scales is 200.0, but a number from -100 to 100"),
    ("evaluate", ["--model", "avatars", "--guidance", "200"], "--guidance is 200.0"),
    ("evaluate", ["--model", "avatars-clip", "--n", "1"], "--n is 1"),
    ("evaluate", ["--model", "avatars-clip", "--steps", "9"], "--steps is 9, but avatars-clip is a CLIP"),
    ("serve", ["--port", "0"], "--port is 0"),
    ("train", ["nonsense"], "There is no recipe 'nonsense'; there are: avatars"),
    ("train", ["--objective", "nope"], "--objective is 'nope'"),
    ("train", ["--config="], ". cannot be read"),
    ("train", ["--data", "cifar"], "--data is 'cifar'"),
    ("train", ["--train.betas", "0.9", "2"], "--train.betas[1] is 2.0"),
    ("train", [*TINY, "--images", "4"], "--images is 4, but only avatars and scenes are made in any number"),
    ("train", [*TINY, "--unet.heads", "3"], "--unet.heads is 3, but the 16 channels of level 1"),
    ("train", [*TINY, "--unet.context-channels", "3"], "--unet.context-channels is 3, but there is nothing to look at"),
    ("train", [*TINY, "--unet.pooled-channels", "3"], "--unet.pooled-channels is 3, but there is no text"),
    ("train", [*TINY, "--unet.in-channels", "3"], "--data has images of shape (8, 8, 1)"),
    ("train", ["--start-from", "mnist", "--T", "0"], "--T is 0"),
    ("train", ["--start-from", "mnist", "--unet.channels", "8"], "--start-from is 'mnist', but next to none"),
    ("train", [*TINY_TEXT, "--images", "-1"], "--images is -1"),
    ("train", [*TINY_TEXT, "--unet.context-channels", "3"], "--unet.context-channels is 3, but the UNet looks at"),
    ("train", [*TINY_TEXT, "--unet.pooled-channels", "3"], "--unet.pooled-channels is 3, but the vector of a text has"),
    ("train", [*CLIP, "--images", "0"], "--images is 0"),
    ("train", [*CLIP, "--tokenizer", "mnist"], "--tokenizer is 'mnist', but that model reads no text"),
    ("train", [*CLIP, "--network.text.vocabulary", "5"], "--network.text.vocabulary is 5"),
    ("train", ["--objective", "classify", "--data", "cifar"], "--data is 'cifar'"),
    ("train", ["--objective", "classify", "--threads", "0"], "--threads is 0"),
    ("train", ["--objective", "classify", "--network.num-classes", "3"], "--data has labels up to 9"),
    ("train", ["--objective", "classify", "--network.in-channels", "3"], "--data has images of shape (28, 28, 1)"),
]


@pytest.mark.parametrize(("command", "options", "beginning"), REFUSED)
def test_a_refusal_begins_with_the_option(command, options, beginning, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mode, side = ("RGB", 16) if "avatars" in options else ("L", 28)
    Image.new(mode, (side, side)).save("in.png")
    if command == "edit":
        options = ["--image", "in.png", *([] if "--model" in options else ["--model", "mnist"]), *options]
    fails(capsys, [command, *options], 2, f"tinydiff: {beginning}")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["in.png"]


def test_names_are_whole_words_of_the_command():
    for command in (*COMMANDS.values(), *OBJECTIVES.values()):
        assert as_typed("There is no model 'n'.", command) == "There is no model 'n'."
        assert not re.match("--", as_typed("nothing is 0", command))
    assert as_typed("channels is 0", Train) == "channels is 0"  # of the UNet, or of the text?
    assert as_typed("channels is 0", Train, "unet") == "--unet.channels is 0"
    assert as_typed("image_size is 0", Train) == "--unet.image-size is 0"
    assert as_typed("steps_ahead is 0", Train) == "steps_ahead is 0"
