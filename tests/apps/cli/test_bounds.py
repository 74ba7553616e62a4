"""Numbers without bounds: each is refused by a sentence that names its option, before memory is taken for it."""

import pytest
from commands import TINY, fails
from model_folders import make

from tinydiff.models import save

SAMPLE = [
    ("--n 100000000000", "n is 100000000000 and size 8 x 8", "GiB"),
    ("--n 100000000000 --label 1 2", "n is 100000000000 and size 8 x 8", "GiB"),
    ("--n 99999999999999999999", "--n is 99999999999999999999", "at most 9223372036854775807"),
    (f"--n {'9' * 4000}", "--n is a whole number of about 4,00"),
    (f"--n {'9' * 5000}", "--n"),
    ("--size 1000000000x1000000000", "size is 1000000000", "65536"),
    ("--size 65536", "size 65536 x 65536", "GiB"),
    ("--micro-batch 1000000000", "--micro-batch is 1000000000", "65536"),
    ("--steps 1000000000000", "--steps is 1000000000000"),
    ("--seed 18446744073709551616", "--seed is 18446744073709551616"),
    ("--label 9223372036854775808", "--label"),
    ("--guidance 1e309", "--guidance is inf"),
    ("--guidance 2 --interval nan nan", "--interval"),
    ("--rescale nan --guidance 2", "--rescale is nan"),
]
TRAIN = [
    ("--train.batch 100000000000", "--train.batch is 100000000000"),
    ("--train.batch 65536 --train.micro-batch 65536", "is remembered in", "GiB"),
    ("--train.micro-batch 100000000000", "--train.micro-batch"),
    ("--train.lanes 1000000", "--train.lanes is 1000000"),
    ("--train.seed 4294967296", "--train.seed is 4294967296"),
    ("--train.steps 1000000000000", "--train.steps"),
    ("--train.keep 9223372036854775808", "--train.keep is 9223372036854775808"),
    ("--train.lr 1e309", "--train.lr is inf"),
    ("--threads 1000000", "--threads is 1000000", "1024"),
    ("--unet.time-offset 9223372036854775808", "--unet.time-offset is 9223372036854775808"),
    ("--unet.blocks-per-level 1000000000", "--unet.blocks-per-level is 1000000000"),
    ("--unet.channels 1000000000", "--unet.channels is 1000000000"),
    ("--unet.channels 65536", "more weights than fit into the"),
    ("--unet.channel-mult " + "1 " * 5000, "--unet.channel-mult has 5,000 levels"),
    ("--unet.heads 9223372036854775808", "--unet.heads"),
    ("--unet.num-classes 1000000000", "--unet.num-classes is 1000000000"),
    ("--unet.image-size 1000000000", "--unet.image-size is 1000000000"),
    ("--T 1000000000", "--T is 1000000000", "100000"),
    ("--text.vocabulary 1000000000", "--text.vocabulary is 1000000000"),
    ("--text.length 1000000000", "--text.length is 1000000000"),
    ("--text.layers 1000000000", "--text.layers is 1000000000"),
]


@pytest.fixture(autouse=True)
def a_small_machine(monkeypatch):
    monkeypatch.setenv("TINYDIFF_MEMORY", "0.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"), make())


@pytest.mark.parametrize(("options", "words"), [(options, words) for options, *words in SAMPLE])
def test_a_huge_number_is_refused_when_drawing(folder, tmp_path, capsys, options, words):
    fails(capsys, ["sample", "--model", str(folder), "--out", str(tmp_path), *options.split()], 2, *words)


@pytest.mark.parametrize(("options", "words"), [(options, words) for options, *words in TRAIN])
def test_a_huge_number_is_refused_when_training(tmp_path, capsys, options, words):
    fails(capsys, ["train", *TINY, "--out", str(tmp_path / "run"), *options.split()], 2, *words)


@pytest.mark.parametrize("images", [10**9, 10**12, 10**18])
def test_more_portraits_than_memory_holds_are_refused(tmp_path, capsys, images):
    line = ["train", "avatars", "--images", str(images), "--out", str(tmp_path / "run")]
    fails(capsys, line, 2, f"--images is {images}", "GiB")
