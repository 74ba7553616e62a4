"""From a command to a convolution is a short way, and it never comes back to a file that it has left."""

import dataclasses
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

import tinydiff
from tinydiff.apps.cli import sample
from tinydiff.apps.cli.sample import Sample
from tinydiff.functional.conv import conv2d, conv2d_backward
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.nn import Conv2d
from tinydiff.text import Tokenizer
from tools import reading_path

PACKAGE = Path(tinydiff.__file__).parent
CAPTIONS = ["red hair", "a green hat"]
MOST_FRAMES = 13  # from the command's `run` to `conv2d`, both counted


def small_text_model():
    tokenizer = Tokenizer.train(CAPTIONS, 10)
    text = TextConfig(len(tokenizer), length=20, channels=8, layers=1, heads=2)
    unet = UNetConfig(8, 3, channels=8, channel_mult=(1, 1), attention_levels=(1,), blocks_per_level=1, heads=2)
    config = ModelConfig(dataclasses.replace(unet, context_channels=8), T=50, text=text)
    return DiffusionModel(config.network(np.random.default_rng(0)), config, threads=1, tokenizer=tokenizer)


def frames_of_tinydiff(frame):
    """Return the (file, function) of every frame of tinydiff, from the command's `run` inwards."""
    found = []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            found.append((path.relative_to(PACKAGE).as_posix(), frame.f_code.co_name))
        frame = frame.f_back
    inwards = found[::-1]
    return inwards[inwards.index(("apps/cli/sample.py", "run")) :]


@pytest.fixture
def ways_to_conv2d(monkeypatch, tmp_path):
    """Return a function that samples from a text, guided, and returns the frames down to each convolution."""

    def sample_with(sampler):
        ways = []

        def watched(*arguments, **options):
            ways.append([*frames_of_tinydiff(sys._getframe(1)), ("functional/conv.py", "conv2d")])
            return conv2d(*arguments, **options)

        model = small_text_model()
        for _, module in model.network.named_modules():
            if isinstance(module, Conv2d):
                module.pair = watched, conv2d_backward
        monkeypatch.setattr(sample, "load_picture_model", lambda *_, **__: model)
        Sample(prompt="red hair", negative="a hat", guidance=3.0, n=1, steps=2, sampler=sampler, out=tmp_path).run()
        return ways

    return sample_with


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_from_a_command_to_a_convolution_are_few_frames_and_each_file_is_entered_once(ways_to_conv2d, sampler):
    ways = ways_to_conv2d(sampler)
    longest = max(ways, key=len)
    assert len(longest) <= MOST_FRAMES + (sampler == "heun"), longest  # whose step predicts twice, in a function
    for way in ways:
        files = [file for file, _ in groupby(file for file, _ in way)]
        assert len(files) == len(set(files)), way


def test_the_reading_path_from_a_text_to_a_picture_is_this_way(ways_to_conv2d):
    page = (PACKAGE.parent / "docs" / "reading.md").read_text(encoding="utf-8")
    _, _, listed = page.partition("The call, frame by frame")
    numbered = [line for line in listed.splitlines() if line[:1].isdigit()]
    steps = [reading_path.steps(line)[0] for line in numbered]
    way = max(ways_to_conv2d("ddim"), key=len)
    assert [step.path for step in steps] == [f"tinydiff/{file}" for file, _ in way]
    for step, (_, function) in zip(steps, way, strict=True):
        lines = (PACKAGE.parent / step.path).read_text(encoding="utf-8").splitlines()[step.first - 1 : step.last]
        assert any(f"def {function}(" in line for line in lines), (step, function)
