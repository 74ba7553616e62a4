"""Dice: one random number after another for a drawing, all of them a pure function of a seed and a purpose."""

import bisect
import itertools
from collections.abc import Sequence
from typing import TypeVar

from tinydiff.base import Noise

AT_ONCE = 128  # numbers drawn together: most drawings need no more
Thing = TypeVar("Thing")


class Dice:
    """Random numbers one by one, where a drawing does not know beforehand how many it needs.

    Parameters
    ----------
    seed : int
        From 0 to 2**32 - 1.
    purpose : str
        What they are for: the same seed and purpose give the same numbers.
    index : int
        Of the sample, where one seed makes many.
    """

    def __init__(self, seed: int, purpose: str, index: int = 0):
        self.noise, self.purpose = Noise(seed, first=index), purpose
        self.numbers: list[float] = []

    def roll(self) -> float:
        """Return the next number between 0 and 1."""
        if not self.numbers:
            block = self.noise.uniform((1, AT_ONCE), self.purpose, dtype=float)[0]
            self.numbers = block.tolist()[::-1]
            self.noise = self.noise.at(step=self.noise.step + 1)
        return self.numbers.pop()

    def between(self, low: float, high: float) -> float:
        """Return a number between two."""
        return low + (high - low) * self.roll()

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return self.roll() < probability

    def choice(self, things: Sequence[Thing]) -> Thing:
        """Return one of some things, each equally likely."""
        return things[int(self.roll() * len(things))]

    def weighted(self, things: dict[Thing, float]) -> Thing:
        """Return one of some things, with probabilities in proportion to their weights."""
        sums = list(itertools.accumulate(things.values()))
        return list(things)[bisect.bisect_right(sums, self.roll() * sums[-1])]
