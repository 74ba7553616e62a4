"""What `sample` leaves of a model of points in a plane: a picture of all points, a film of how they got there."""

from pathlib import Path
from typing import Any

import numpy as np

from tinydiff import plot
from tinydiff.apps.cli.drawings import ARRAYS, FILM, GRID, PICTURES, elsewhere, own_folder
from tinydiff.apps.cli.film import MOST_FRAMES
from tinydiff.base import Array, atomic_write, to_numpy
from tinydiff.diffusion import BlurredPoints, GaussianDiffusion
from tinydiff.plot.frames import spread
from tinydiff.plot.pictures import as_png_text

LEAST_REACH, WIDTH, SIDE = 1.3, 0.05, 120  # of the picture; of the Gaussians that estimate the density; of its grid
MOST_SHOWN = 5_000  # points in the estimate of the density, and in the film


class PlaneFilm:
    """The points of a chain at some of its steps, evenly spread, the first and the last among them.

    Parameters
    ----------
    steps : int
        How many frames will be added.
    """

    def __init__(self, steps: int):
        self.chosen = set(spread(list(range(steps)), MOST_FRAMES))
        self.frames: list[tuple[float, np.ndarray, np.ndarray]] = []
        self.added = 0

    def add(self, t: float, x_t: Array, x_0_hat: Array) -> None:
        """Keep a frame if it is one of those that are shown; x_t and x_0_hat have shape (N, 1, 1, 2)."""
        if self.added in self.chosen:
            self.frames.append((t, to_numpy(x_t[:MOST_SHOWN]), to_numpy(x_0_hat[:MOST_SHOWN])))
        self.added += 1


def save_points(
    out: Path,
    points: np.ndarray,
    diffusion: GaussianDiffusion,
    film: PlaneFilm | None,
    npz: bool,
    about: dict[str, Any],
) -> str:
    """Save points (N, 2) as a picture, beside an estimate of their density; return where all is."""
    folder = own_folder(out)
    (folder / PICTURES).rmdir()  # a point by itself is no picture
    reach = max(LEAST_REACH, 1.1 * float(np.quantile(np.abs(points), 0.99)))
    x = np.linspace(-reach, reach, SIDE)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    estimate = BlurredPoints(diffusion, points[:MOST_SHOWN].astype(np.float64), WIDTH).log_density(grid, 0)
    density = np.exp(estimate).reshape(SIDE, SIDE)
    figure = plot.plane_densities(
        x,
        x,
        {f"{len(points):,} points": 0 * density, "their density, estimated": density},
        {f"{len(points):,} points": points},
    )
    saved = [plot.save_image(figure, folder / GRID, as_png_text({**about, "points": len(points)}))]
    if film is not None:
        saved.append(plot.plane_gif(film.frames, folder / FILM, reach, max_frames=MOST_FRAMES, about=about))
    if npz:
        entries: dict[str, Any] = {name: np.asarray(value) for name, value in about.items()} | {"points": points}
        saved.append(atomic_write(folder / ARRAYS, lambda file: np.savez(file, **entries)))
    return f"{', '.join(map(str, saved))}. {elsewhere(out, folder)}".rstrip()
