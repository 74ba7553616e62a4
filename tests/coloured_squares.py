"""Coloured squares on the left, in the middle or on the right: a tiny data set whose attributes are known."""

from dataclasses import dataclass

import numpy as np

from tinydiff.data import to_floats
from tinydiff.networks import AttributeClassifierConfig

WORDS = {"colour": ("red", "green", "blue"), "position": ("left", "middle", "right")}
SHAPE = AttributeClassifierConfig(image_size=12, channels=(8, 12), stem_stride=1, features=16, attributes=WORDS)


@dataclass(frozen=True)
class ColouredSquares:
    """Pictures that are drawn when they are asked for. The position is unclear in every fifth, where there are two."""

    n: int = 300
    seed: int = 0
    size: int = 12
    name: str = "squares"

    @property
    def attribute_words(self):
        return WORDS

    def __len__(self):
        return self.n

    def attributes(self, indices):
        indices = np.asarray(indices)
        colour, position = (np.random.default_rng([self.seed, part]).integers(0, 3, self.n) for part in (0, 1))
        position[::5] = -1
        return np.stack([colour, position], axis=1)[indices]

    def batch(self, indices, xp=np):
        images = [self.draw(int(i), *row) for i, row in zip(indices, self.attributes(indices), strict=True)]
        return xp.asarray(to_floats(np.stack(images))), xp.asarray(np.zeros(len(images), int))

    def draw(self, i, colour, position):
        image = np.random.default_rng([self.seed, 2, i]).integers(0, 60, (12, 12, 3)).astype(np.uint8)
        for place in (0, 2) if position < 0 else (position,):
            image[4:8, 4 * place : 4 * place + 4, colour] = 240
        return np.kron(image, np.ones((self.size // 12, self.size // 12, 1), np.uint8))

    def resize(self, size):
        return ColouredSquares(self.n, self.seed, size)

    def describe(self):
        return f"{self.name}: {self.n} pictures"

    def identity(self):
        return {"seed": self.seed, "n": self.n, "size": self.size}
