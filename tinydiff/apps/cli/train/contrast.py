"""``tinydiff train --objective contrast``: a CLIP of portraits or of scenes."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device, trains
from tinydiff.apps.cli.train.data import say_drawing
from tinydiff.base import Device, InputError
from tinydiff.data import Dataset
from tinydiff.data.avatars import compose, describe, render
from tinydiff.data.avatars.pairs import words_said
from tinydiff.data.scenes import DrawnScenes
from tinydiff.data.scenes.pairs import contents_of
from tinydiff.data.scenes.sets import drawn_at_once
from tinydiff.models import ClipModel, find_folder
from tinydiff.models.store import TOKENIZER
from tinydiff.networks import CLIP, CLIPConfig, TextConfig
from tinydiff.text import Tokenizer
from tinydiff.train import Contrast, ContrastConfig, Run


def _default_network():
    return CLIPConfig(text=TextConfig(channels=64, layers=2, heads=4, causal=True))


@trains("contrast")
@dataclass(frozen=True)
class TrainClip(TrainCommand):
    """Train a CLIP on pictures and their captions. Ctrl-C finishes the step and saves; the same command goes on."""

    called: ClassVar = {"n": "images"}

    objective: str = "contrast"
    """What is minimised. Each objective has options of its own: see --help with it."""
    data: Literal["avatars", "scenes"] = "avatars"
    """Portraits that are put together, or scenes that are drawn, each with a caption."""
    images: int = 100_000
    """How many of them."""
    tokenizer: str | None = None
    """The model whose tokenizer reads the captions, with its vocabulary; without it, the shipped one of the same
    data."""
    network: CLIPConfig = field(default_factory=_default_network)
    """The shape of the network; its image_size decides how images are resized."""
    train: ContrastConfig = field(default_factory=ContrastConfig)
    """How to train."""

    def prepare(self, device: Device) -> Contrast:
        """Make the pictures and the network."""
        name = self.data if self.tokenizer is None else self.tokenizer
        path = find_folder(name) / TOKENIZER
        if not path.is_file():
            raise InputError(f"tokenizer is {name!r}, but that model reads no text: name one that does.")
        tokenizer = Tokenizer.load(path)
        if self.network.text.vocabulary not in (TextConfig.vocabulary, len(tokenizer)):
            raise InputError(
                f"network.text.vocabulary is {self.network.text.vocabulary}, but the tokenizer of {name} has "
                f"{len(tokenizer)}: leave it out."
            )
        config = replace(self.network, text=replace(self.network.text, vocabulary=len(tokenizer)))
        network = CLIP(config, np.random.default_rng(self.train.seed))
        data, contents = _portraits(self.images) if self.data == "avatars" else _scenes(self.images, config)
        data = data.resize(config.image_size)
        say(data.describe())
        return Contrast(ClipModel(on_device(network, device), tokenizer), data, self.train, contents)

    def last_words(self, run: Run, where: str) -> str:
        """Return how to measure it."""
        return f"To measure it: tinydiff evaluate --model {where}"


def _scenes(n: int, config: CLIPConfig) -> tuple[Dataset, np.ndarray]:
    """Return scenes with captions, and for each what its caption says, as a number."""
    height, width = config.size
    if height != width:
        raise InputError(f"network.image_size is {height} x {width}, but pictures of scenes are square.")
    say_drawing("scenes", n)
    data, scenes, captions = drawn_at_once(DrawnScenes("train", n, height))
    return data, contents_of(scenes, captions)


def _portraits(n: int) -> tuple[Dataset, np.ndarray]:
    """Return portraits with captions, and for each what its caption says, as a number."""
    portraits = compose(n)
    captions = describe(portraits)
    says = words_said(portraits, captions)
    _, contents = np.unique(says.reshape(len(says), -1), axis=0, return_inverse=True)
    contents = contents.reshape(-1)  # NumPy 2.0.0 keeps an axis
    texts = tuple(caption.text for caption in captions)
    source = "DiceBear's parts (CC0 1.0)"
    return Dataset(render(portraits), np.zeros(n, int), "avatars", "train", source, texts), contents
