"""The film of a drawing: its frames are chosen while the chain runs, so that neither steps nor sizes fill memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff import plot
from tinydiff.base import Array, to_numpy
from tinydiff.functional import upsample_nearest
from tinydiff.plot.frames import spread
from tinydiff.plot.sheets import to_bytes

MOST_PICTURES, MOST_FRAMES = 16, 60
SIDE = 1000  # pixels: the area of a panel is that of such a square; of large pictures fewer are shown


class Film:
    """The first pictures of a chain at some of its steps, evenly spread, the first and the last among them.

    Parameters
    ----------
    steps : int
        How many frames will be added.
    decode : callable
        ``decode(x)`` returns the pictures of what the chain walks through, for a chain of latents.
    size : (int, int) or None
        Height and width of the last pictures, where a chain begins with smaller ones; these are shown as large.
    """

    def __init__(self, steps: int, decode: Callable[[Array], Array] = to_numpy, size: tuple[int, int] | None = None):
        self.decode, self.size = decode, size
        self.chosen = set(spread(list(range(steps)), MOST_FRAMES))
        self.frames: list[tuple[float, np.ndarray, np.ndarray]] = []
        self.added = 0

    def add(self, t: float, x_t: Array, x_0_hat: Array) -> None:
        """Keep a frame, as bytes, if it is one of those that are shown; x_t and x_0_hat have shape (N, H, W, C)."""
        if self.added in self.chosen:
            few = slice(pictures_shown(*(x_t.shape[1:3] if self.size is None else self.size)))
            x_t, x_0_hat = (
                self._as_large(to_bytes(name, to_numpy(self.decode(panel[few]))))
                for name, panel in (("x_t", x_t), ("x_0_hat", x_0_hat))
            )
            self.frames.append((t, x_t, x_0_hat))
        self.added += 1

    def _as_large(self, pictures):
        """Repeat the pixels of pictures that are smaller than the last ones."""
        if self.size is None:
            return pictures
        return upsample_nearest.bare(pictures, self.size[0] // pictures.shape[1])[0]  # of bytes

    def save(self, path: Path, about: dict[str, Any]) -> Path:
        """Save the frames as a GIF that says what it was drawn from."""
        n, height, width, _ = self.frames[-1][1].shape
        scale = max(1, min(3, SIDE // (4 * max(height, width))))
        return plot.chain_gif(
            self.frames, path, samples=n, scale=scale, max_frames=MOST_FRAMES, about={**about, "pictures": n}
        )


def pictures_shown(height: int, width: int) -> int:
    """Return how many pictures of a size a frame shows."""
    return min(MOST_PICTURES, max(1, SIDE**2 // (height * width)))
