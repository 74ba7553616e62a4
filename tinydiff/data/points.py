"""Points in a plane: five sets whose density is known exactly, as data for a network that learns in seconds.

A point is a picture of one pixel with two channels, so all that draws pictures draws points: arrays (N, 1, 1, 2).
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    Choices,
    InputError,
    Noise,
    check_alike,
    check_count,
    check_number,
    check_numbers,
    check_rank,
    check_shape,
    checked,
    checks_arguments,
    counted,
    printable,
)
from tinydiff.data.dataset import indices_of, library, selection

MOST_POINTS = 2**24
FARTHEST = 100.0  # from the origin; the data are scaled into about [-1, 1]
SHAPE = (1, 1, 2)
MODES, RING, MODE_WIDTH = 8, 0.8, 0.06
SQUARES = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]  # of a checkerboard of 4 x 4


class PointSet(NamedTuple):
    """A set of points that can be drawn without end.

    Parameters
    ----------
    parts : int
        Of how many parts it is made, such as two moons; the labels number them.
    draw : callable
        ``draw(part, place, blur)`` returns points (n, 2) in these parts, of uniform and of normal numbers (n, 2).
    shape : callable
        ``shape()`` returns what its exact density is made of, see `point_shape`.
    summary : str
        What it is, in one line.
    """

    parts: int
    draw: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    shape: Callable[[], dict[str, Any]]
    summary: str


POINTS: Choices[PointSet] = Choices("name")


@checked()
def points(name: str, n: int, seed: int = 0) -> np.ndarray:
    """Return random points of a set, in about [-1, 1]; point i is the same however many are drawn.

    Parameters
    ----------
    name : str
        One of `POINTS`: ``"mixture"``, ``"two-moons"``, ``"swiss-roll"``, ``"checkerboard"``, ``"spirals"``.
    n : int
    seed : int

    Returns
    -------
    float32 array, shape (n, 2)
    """
    return _drawn(name, n, seed)[0]


@checked()
def point_shape(name: str) -> dict[str, Any]:
    """Return what the exact density of a set of points is made of; `density_of` makes the density of it.

    Parameters
    ----------
    name : str
        One of `POINTS`.

    Returns
    -------
    dict of arrays
        Gaussians around `points` (K, 1, 1, 2), `width` wide, with `weights`; of a curve these are the nodes of an
        integral along it. Or boxes from `low` to `high`, (K, 1, 1, 2).

    Examples
    --------
    >>> density = density_of(point_shape("spirals"), diffusion)  # doctest: +SKIP
    """
    return POINTS[name].shape()


@checked()
def load_points(name: str = "two-moons", n: int = 20_000, seed: int = 0, split: str = "train") -> "PointData":
    """Return a set of points as data to train on.

    Parameters
    ----------
    name : str
        One of `POINTS`.
    n : int
    seed : int
    split : str
        ``"train"`` or ``"test"``, which have no point in common.
    """
    if split not in ("train", "test"):
        raise InputError(f"split is {split!r}, but 'train' or 'test' was expected.")
    drawn, labels = _drawn(name, n, seed, purpose="point" if split == "train" else "held-out point")
    return PointData(drawn, labels, name, split, f"{POINTS[name].summary} (seed {seed})")


@checks_arguments("__init__", "take", "batch")
@dataclass(frozen=True, eq=False, repr=False)
class PointData:
    """Points in a plane as data: what `Dataset` is for pictures, but exact numbers instead of bytes.

    Parameters
    ----------
    points : float32 array, shape (N, 2)
        In about [-1, 1].
    labels : integer array, shape (N,), or None
        Which part of the set a point belongs to; None: all to one.
    name, split : str
    source : str
        Where the points came from, as a text for people.
    """

    points: np.ndarray
    labels: Any = None
    name: str = "points"
    split: str = "train"
    source: str = "one's own points"

    captions = None
    class_names = None
    notes = ()

    def __post_init__(self):
        check_alike(points=self.points)
        check_shape("points", self.points, (None, 2))
        if self.points.dtype != np.float32:
            raise InputError(f"points has dtype {self.points.dtype}, but float32 was expected.")
        if not (np.abs(self.points) <= FARTHEST).all():  # NaN is not
            raise InputError(f"points holds numbers that are not finite or beyond {FARTHEST:g}: scale them to [-1, 1].")
        if self.labels is None:
            object.__setattr__(self, "labels", np.zeros(len(self.points), np.int64))
        check_numbers("labels", self.labels)
        check_rank("labels", self.labels, 1)
        if self.labels.dtype.kind not in "iu" or len(self.labels) != len(self.points):
            raise InputError(
                f"labels has dtype {self.labels.dtype} and length {len(self.labels)}, but whole numbers, one for each "
                f"of {counted(len(self.points), 'point')}, were expected."
            )

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return self.describe()

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a point as a picture: (1, 1, 2)."""
        return SHAPE

    def describe(self) -> str:
        """Return one line that says what this is."""
        return printable(f"{self.name}, {self.split}: {counted(len(self), 'point')} in a plane, {self.source}")

    def batch(
        self, indices: Array | Sequence[int], xp: Any = np, flip: np.ndarray | None = None
    ) -> tuple[Array, Array]:
        """Return points (n, 1, 1, 2), float32, and labels (n,), as `Dataset` does for pictures."""
        if flip is not None:
            raise InputError("flip was given, but points cannot be mirrored: leave it out.")
        indices, xp = indices_of(indices, len(self), "point"), library(xp)
        return xp.asarray(self.points[indices].reshape(-1, *SHAPE)), xp.asarray(self.labels[indices])

    def take(self, indices: Array | slice | Sequence[Any]) -> "PointData":
        """Return these points only (indices, a slice or a mask)."""
        indices, _ = selection(indices, len(self), "point")
        return replace(self, points=self.points[indices], labels=self.labels[indices])

    def identity(self) -> dict[str, Any]:
        """Return checksums of points and labels: what decides a run that learns from them."""
        return {"checksums": [zlib.crc32(a.tobytes()) for a in (self.points, self.labels)]}


def _drawn(name, n, seed, purpose="point"):
    """Return n points of a set, float32, and the parts that they lie in."""
    known = POINTS[name]
    check_count("n", n, most=MOST_POINTS)
    check_number("seed", seed, 0, 2**32 - 1)
    noise = Noise(seed)
    part = noise.integers(0, known.parts - 1, n, f"{purpose}, part")
    place = noise.uniform((n, 2), f"{purpose}, place", dtype=np.float64)
    blur = noise.normal((n, 2), f"{purpose}, blur", dtype=np.float64)
    return known.draw(part, place, blur).astype(np.float32), part


def _on_a_curve(
    curve: Callable, parts: int, width: float, nodes: int, rising: bool = False
) -> tuple[Callable, Callable]:
    """Return `draw` and `shape` of points beside curves: ``curve(part, s)`` for s in [0, 1], blurred.

    The density is an integral along the curve, which so many nodes of Gauss' rule take to about 1e-8. s is uniform, or
    with `rising` the root of a uniform number, whose density is 2 s: as even along a spiral.
    """

    def draw(part, place, blur):
        s = place[:, 0] ** (0.5 if rising else 1)
        return curve(part, s) + width * blur

    def shape():
        places, weights = np.polynomial.legendre.leggauss(nodes)
        s, weights = (places + 1) / 2, weights / 2
        weights = weights * 2 * s if rising else weights
        centres = np.concatenate([curve(np.full(nodes, part), s) for part in range(parts)])
        return {"points": centres.reshape(-1, *SHAPE), "width": width, "weights": np.tile(weights, parts)}

    return draw, shape


def _moon(part, s):
    """Two half circles of radius 1, the lower one shifted; scaled from [-1, 2] to [-1, 1]."""
    x = np.where(part == 0, np.cos(np.pi * s), 1 - np.cos(np.pi * s))
    y = np.where(part == 0, np.sin(np.pi * s), 0.5 - np.sin(np.pi * s))
    return np.stack([x - 0.5, y - 0.25], axis=-1) / 1.5


def _roll(part, s):
    """One and a half turns, from a third of the radius to all of it."""
    angle = 1.5 * np.pi * (1 + 2 * s)
    return (angle / (4.5 * np.pi))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _arm(part, s):
    """One and a half turns from the origin; the second arm is the first one, turned by half a turn."""
    angle = 3 * np.pi * s + np.pi * part
    return s[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _ring(part):
    """Return the middle of each Gaussian of the mixture."""
    angle = 2 * np.pi * part / MODES
    return RING * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _mixture():
    return {"points": _ring(np.arange(MODES)).reshape(-1, *SHAPE), "width": MODE_WIDTH}


def _corner(part):
    """Return the lower left corner of each square of the checkerboard."""
    return np.array(SQUARES)[part] / 2 - 1


def _checkerboard():
    low = _corner(np.arange(len(SQUARES))).reshape(-1, *SHAPE)
    return {"low": low, "high": low + 0.5}


POINTS.update(
    {
        "mixture": PointSet(
            MODES, lambda part, _, blur: _ring(part) + MODE_WIDTH * blur, _mixture, "eight Gaussians in a ring"
        ),
        "two-moons": PointSet(2, *_on_a_curve(_moon, 2, 0.05, 120), "two half circles, one within the other"),
        "swiss-roll": PointSet(1, *_on_a_curve(_roll, 1, 0.03, 500), "one rolled-up line"),
        "checkerboard": PointSet(
            len(SQUARES),
            lambda part, place, _: _corner(part) + place / 2,
            _checkerboard,
            "eight filled squares",
        ),
        "spirals": PointSet(2, *_on_a_curve(_arm, 2, 0.02, 500, rising=True), "two arms that wind around each other"),
    }
)
