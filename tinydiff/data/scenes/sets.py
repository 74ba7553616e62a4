"""Scenes as data: drawn when they are asked for, or all at once as a data set."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_choice,
    check_count,
    check_memory,
    checked,
    checks_arguments,
    counted,
)
from tinydiff.data.dataset import Dataset, indices_of, library, to_floats
from tinydiff.data.scenes.attributes import ATTRIBUTES, answers
from tinydiff.data.scenes.captions import Caption, describe
from tinydiff.data.scenes.compose import MOST, SPLITS, compose
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.painting import LARGEST, SMALLEST, render
from tinydiff.data.scenes.scene import Scene
from tinydiff.data.sets import dataset
from tinydiff.workers import Crew, can_fork, default_threads

BYTES_OF_A_CAPTION = 150  # as a text of Python
VERSION = 1  # of the drawings: to be raised when the same scene begins to look otherwise
AT_A_TIME = 250  # scenes that one worker draws of a data set before it takes others
AT_ONCE = {"train": 10_000, "any": 10_000}  # how many of a split a data set holds, where that is not all of it


@checks_arguments("__init__")
@dataclass(frozen=True)
class DrawnScenes:
    """Scenes of a split, each drawn when it is asked for: a training draws them in its own workers, and keeps none.

    Parameters
    ----------
    split : str
        See `compose`.
    n : int or None
        How many, from the first on; None takes all of the split. There are always more of the same kind.
    size : int
        Height and width of the pictures, 16 to 256.
    seed : int
    """

    split: str = "train"
    n: int | None = None
    size: int = 64
    seed: int = 0

    name: ClassVar[str] = "scenes"
    attribute_words: ClassVar[dict[str, tuple[str, ...]]] = ATTRIBUTES

    def __post_init__(self):
        check_choice("split", self.split, tuple(SPLITS))
        check_count("size", self.size, least=SMALLEST, most=LARGEST)
        if self.n is None:
            object.__setattr__(self, "n", SPLITS[self.split])
        check_count("n", self.n, most=MOST)
        Noise(self.seed)  # an unfit seed is refused

    def __len__(self) -> int:
        assert self.n is not None
        return self.n

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture."""
        return self.size, self.size, 3

    def describe(self) -> str:
        """Return one line that says what this is."""
        return f"scenes, {self.split}: {counted(len(self), 'image')} {self.size} x {self.size} x 3, drawn as needed"

    def identity(self) -> dict[str, Any]:
        """Return what decides each picture; how many there are, the length says."""
        return {"scenes": VERSION, "split": self.split, "size": self.size, "seed": self.seed}

    def scenes(self, indices: Sequence[int] | np.ndarray) -> list[Scene]:
        """Return the scenes at these indices, 0 .. n - 1."""
        return [compose(int(index), self.seed, self.split) for index in indices_of(indices, len(self), "scene")]

    def pictures(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the pictures at these indices, uint8, shape (n, size, size, 3)."""
        return _drawn(self.scenes(indices), self.size)

    def batch(self, indices: Sequence[int] | np.ndarray, xp: Any = np, flip: None = None) -> tuple[Array, Array]:
        """Return images (n, size, size, 3), float32 in [-1, 1], and the number of each one's first object.

        Scenes are never mirrored: captions say left and right.
        """
        if flip is not None:
            raise InputError("flip was given, but captions of scenes say left and right: leave it out.")
        xp, scenes = library(xp), self.scenes(indices)
        return xp.asarray(to_floats(_drawn(scenes, self.size))), xp.asarray(_objects(scenes))

    def attributes(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the answers to the questions `attribute_words`; see `answers`."""
        return answers(self.scenes(indices))

    @functools.cached_property
    def captions(self) -> tuple[str, ...]:
        """One caption for each scene."""
        check_memory(BYTES_OF_A_CAPTION * len(self), f"n is {self.n:,}, each with a caption", "ask for fewer scenes")
        return tuple(describe(compose(i, self.seed, self.split)).text for i in range(len(self)))


@dataset("scenes", splits=tuple(SPLITS), drawn=DrawnScenes)
@checked()
def load_scenes(split: str = "train", n: int | None = None, seed: int = 0, size: int = 64) -> Dataset:
    """Return captioned scenes of 64 x 64 pixels, drawn on the fly: 10,000 to train, 2,000 to test, and more.

    The labels number the objects, those of the first one where there are two.

    Parameters
    ----------
    split : str
        As for `compose`.
    n : int or None
        How many; None takes 10,000 of the split to train, and all of another one.
    seed : int
    size : int
        Height and width in pixels, 16 to 256.
    """
    check_choice("split", split, tuple(SPLITS))
    n = AT_ONCE.get(split, SPLITS[split]) if n is None else n
    drawn = DrawnScenes(split, n, size, seed)
    check_memory(2 * len(drawn) * 3 * size**2, f"n is {n:,}", "ask for fewer scenes, smaller ones, or `DrawnScenes`")
    data, _, _ = drawn_at_once(drawn)
    return data


def drawn_at_once(drawn: DrawnScenes) -> tuple[Dataset, list[Scene], list[Caption]]:
    """Return scenes as a data set, all drawn now, and what they and their captions are."""

    def drawn_from(start):
        scenes = drawn.scenes(range(start, min(start + AT_A_TIME, len(drawn))))
        return scenes, _drawn(scenes, drawn.size), [describe(scene) for scene in scenes]

    starts = range(0, len(drawn), AT_A_TIME)
    at_once = min(default_threads(), len(starts)) if can_fork() else 1  # threads would draw one at a time
    with Crew(drawn_from, at_once) as crew:
        done = crew([(start,) for start in starts])
    images = np.concatenate([part[1] for part in done])
    scenes = [scene for part in done for scene in part[0]]
    captions = [caption for part in done for caption in part[2]]
    texts = tuple(caption.text for caption in captions)
    data = Dataset(images, _objects(scenes), "scenes", drawn.split, "the package", texts, tuple(OBJECTS))
    return data, scenes, captions


def _drawn(scenes, size):
    """Return the pictures of scenes, uint8, shape (n, size, size, 3)."""
    return np.array([render(scene, size) for scene in scenes], np.uint8).reshape(len(scenes), size, size, 3)


def _objects(scenes):
    """Return the number of each scene's object, of the first one where there are two."""
    names = tuple(OBJECTS)
    return np.array([names.index(scene.object) for scene in scenes], np.int64)
