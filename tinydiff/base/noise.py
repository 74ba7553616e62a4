"""Random numbers as a pure function of what they are for.

Every random number in tinydiff is ``Philox(key, counter)``, where the key says *why* it is drawn (seed, purpose)
and the counter says *where* (which block of which sample, at which step, in which layer). Nothing is stored and
nothing advances, so a sample's noise does not depend on the batch it is in, on the number of threads, or on
where a run was interrupted. The integers are the same on NumPy and CuPy.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Philox4x32-10.
"""

import math
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base.arrays import Array
from tinydiff.base.checks import checks_arguments
from tinydiff.base.errors import InputError, check_count
from tinydiff.base.words import shown

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as fractions of 2**32
LOW_32 = 0xFFFFFFFF
MOST_WORDS = 2**36  # in one array
FEW = 2**20  # choices, among which a word of 32 bits chooses well


def philox(counter: tuple, key: tuple[int, int]) -> tuple:
    """Return four arrays of random 32-bit words (Eq. PHILOX-1).

    Parameters
    ----------
    counter : four uint64 arrays, each holding 32-bit values, of one shape
        Where the words are: (block, sample, step, layer).
    key : two ints below 2**32
        Why they are drawn: (seed, purpose).

    Returns
    -------
    four uint64 arrays of values below 2**32.
    """
    c_0, c_1, c_2, c_3 = counter
    k_0, k_1 = key
    for _ in range(ROUNDS):
        product_0 = c_0 * MULTIPLIERS[0]  # two 32-bit factors: the product fits 64 bits exactly
        product_1 = c_2 * MULTIPLIERS[1]
        c_0, c_1, c_2, c_3 = (
            (product_1 >> 32) ^ c_1 ^ k_0,
            product_1 & LOW_32,
            (product_0 >> 32) ^ c_3 ^ k_1,
            product_0 & LOW_32,
        )
        k_0 = (k_0 + KEY_STEPS[0]) & LOW_32
        k_1 = (k_1 + KEY_STEPS[1]) & LOW_32
    return c_0, c_1, c_2, c_3


@checks_arguments()
@dataclass(frozen=True)
class Noise:
    """A source of random numbers for a run of consecutive samples.

    Parameters
    ----------
    seed : int
        Any integer from 0 to 2**32 - 1.
    first : int
        Global index of the first sample of the batch at hand. ``noise.at(first=8)`` is the source for a shard
        that starts at sample 8.
    step : int
        Which training or sampling step the numbers are for, from 0 to 2**32 - 1.
    xp : module
        `numpy` or `cupy`: where the arrays are made.

    Examples
    --------
    >>> noise = Noise(seed=0)
    >>> eight = noise.normal((8, 2), "x_T")
    >>> bool((noise.at(first=5).normal((1, 2), "x_T") == eight[5:6]).all())
    True
    """

    seed: int
    first: int = 0
    step: int = 0
    xp: Any = np

    def __post_init__(self):
        if not (isinstance(self.seed, (int, np.integer)) and 0 <= self.seed <= LOW_32):
            raise InputError(f"seed is {self.seed!r}, but an integer from 0 to 2**32 - 1 was expected.")
        for name in ("first", "step"):
            value = getattr(self, name)
            if not 0 <= value <= LOW_32:
                raise InputError(f"{name} is {value!r}, but an integer from 0 to 2**32 - 1 was expected.")
        if not hasattr(self.xp, "ndarray"):
            raise InputError(f"xp is {self.xp!r}, but an array module, numpy or cupy, was expected.")

    def at(self, **changes: Any) -> "Noise":
        """Return the same source at another sample, step or array module."""
        return replace(self, **changes)

    def words(self, n_samples: int, n_words: int, purpose: str, layer: str = "") -> Array:
        """Return random 32-bit integers, shape ``(n_samples, n_words)``, dtype uint64."""
        check_count("n_samples", n_samples, least=0)
        check_count("n_words", n_words, least=0)
        if n_samples * n_words > MOST_WORDS or self.first + n_samples > 2**32:
            raise InputError(f"{n_samples} x {n_words} random words from sample {self.first} are asked for: too many.")
        xp = self.xp
        n_blocks = -(-n_words // 4)
        block = xp.arange(n_blocks, dtype=xp.uint64)[None, :]
        sample = xp.arange(self.first, self.first + n_samples, dtype=xp.uint64)[:, None]
        zero = block * 0 + sample * 0  # (n_samples, n_blocks), the shape that every part of the counter gets
        counter = (block + zero, sample + zero, zero + self.step, zero + _code(layer))
        words = xp.stack(philox(counter, (int(self.seed), _code(purpose))), axis=-1)
        return words.reshape(n_samples, 4 * n_blocks)[:, :n_words]

    def uniform(self, shape: tuple, purpose: str, layer: str = "", dtype: Any = np.float32) -> Array:
        """Return numbers of float32 or float64 in the open interval (0, 1); ``shape[0]`` counts samples."""
        _check_dtype(dtype)
        u = (self.words(*_samples_and_size(shape), purpose, layer) + 0.5) * 2.0**-32
        below_one = 1.0 - 2.0**-24  # rounding to float32 could otherwise give exactly 1
        return self.xp.minimum(u, below_one).astype(dtype).reshape(shape)

    def normal(self, shape: tuple, purpose: str, layer: str = "", dtype: Any = np.float32) -> Array:
        """Return standard normal numbers (Eq. BM-1, Box and Muller 1958); ``shape[0]`` counts samples.

        Two words make two normals: a radius sqrt(-2 log u) and an angle 2 pi v, read as Cartesian coordinates.
        The arithmetic is float64, so that NumPy and CuPy round to the same `dtype` value (within 2 ulp).
        """
        _check_dtype(dtype)
        xp = self.xp
        n_samples, n = _samples_and_size(shape)
        words = self.words(n_samples, n + n % 2, purpose, layer)
        u = (words[:, 0::2] + 0.5) * 2.0**-32
        angle = (words[:, 1::2] + 0.5) * (2.0**-32 * 2 * np.pi)
        radius = xp.sqrt(-2.0 * xp.log(u))
        pairs = xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=-1)
        return pairs.reshape(n_samples, n + n % 2)[:, :n].astype(dtype).reshape(shape)

    def integers(self, low: int, high: int, n: int, purpose: str) -> Array:
        """Return `n` integers from `low` to `high`, both included, one per sample.

        A 32-bit word is multiplied by the number of choices, and the high half of the product is kept. The
        probabilities of two choices differ by at most 2**-32. Among more than 2**20 choices that would be much beside
        one choice's share, so there two words make one of 64 bits.

        Raises
        ------
        InputError
            If low is above high, or one of them is no number of int64.
        """
        if not -(2**63) <= low <= high < 2**63:
            raise InputError(f"low is {low} and high {high}, but low <= high, both of int64, were expected.")
        choices = high - low + 1
        if choices > FEW:
            words = self.words(n, 2, purpose)
            return (_high_half(words[:, 0], words[:, 1], choices) + low % 2**64).astype(self.xp.int64)
        return ((self.words(n, 1, purpose)[:, 0] * choices) >> 32).astype(self.xp.int64) + low

    def permutation(self, n: int, purpose: str) -> Array:
        """Return the integers 0 .. n - 1 in random order: the order that sorts `n` random 64-bit words."""
        words = self.words(n, 2, purpose)
        return self.xp.argsort((words[:, 0] << 32) | words[:, 1])


def _high_half(high: Array, low: Array, factor: int) -> Array:
    """Return the upper 64 bits of the product of ``2**32 high + low`` and a factor up to 2**64, as on paper."""
    if factor == 2**64:
        return (high << 32) | low
    factor_high, factor_low = factor >> 32, factor & LOW_32
    one, other = high * factor_low, low * factor_high  # each product of two 32-bit numbers fits 64 bits
    carry = (one & LOW_32) + (other & LOW_32) + ((low * factor_low) >> 32)
    return high * factor_high + (one >> 32) + (other >> 32) + (carry >> 32)


def _check_dtype(dtype):
    """Raise `InputError` unless a dtype is float32 or float64."""
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted is None or wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise InputError(f"dtype is {dtype!r}, but float32 or float64 was expected.")


def _samples_and_size(shape: tuple) -> tuple[int, int]:
    """Return how many samples a shape has, and how many numbers each of them, after a check."""
    if not shape or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise InputError(f"shape is {shown(shape)}, but whole numbers, the first one of samples, were expected.")
    n_samples, *rest = map(int, shape)
    return n_samples, math.prod(rest)


def _code(name: str) -> int:
    """Return a fixed 32-bit number for a name (Python's own hash changes from run to run)."""
    return zlib.crc32(name.encode())
