"""Points in the plane: where they lie beside a density, how they got there, and both as an animation."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_count, check_positive, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.animations import save_gif
from tinydiff.plot.frames import spread
from tinydiff.plot.sheets import beside, sheet
from tinydiff.plot.style import BLUE, CYCLE, FAINT, INK, PAGE, VERMILION, Chart, dress, set_title

SIDE = 360  # pixels of the plane in an animation
MOST_PATHS = 400  # that can be told apart in one picture


@checked()
def plane_densities(
    x: Array, y: Array, densities: Mapping[str, Array], points: Mapping[str, Array] | None = None
) -> Figure:
    """Return densities in the plane as heat maps, one panel each, with points on some of them.

    Each panel is drawn in shares of its own peak, so that all of them can be read.

    Parameters
    ----------
    x, y : arrays, shape (M,) and (L,)
        The grid, at equal distances.
    densities : mapping from a name to an array, shape (L, M)
        Up to five; not negative.
    points : mapping from some of the names to an array, shape (N, 2), or None
    """
    x, y = to_numpy(x), to_numpy(y)
    check_rank("x", x, 1)
    check_rank("y", y, 1)
    points = {} if points is None else points
    if not 1 <= len(densities) <= 5 or not set(points) <= set(densities):
        raise InputError(
            f"densities is for {list(densities)} and points for {list(points)}, but 1 to 5 names, and points of some "
            "of them, were expected."
        )
    figure, panels = _panels(len(densities))
    for axes, (name, density) in zip(panels, densities.items(), strict=True):
        density = to_numpy(density)
        check_shape(name, density, (len(y), len(x)))
        axes.grid(visible=False)
        axes.pcolormesh(x, y, density / (density.max() or 1.0), cmap="cividis", shading="nearest", rasterized=True)
        if name in points:
            here = to_numpy(points[name])
            check_shape(f"points of {name}", here, (None, 2))
            axes.plot(*here.T, linestyle="", marker=".", markersize=2, color=PAGE, alpha=0.7)
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(y[0], y[-1])
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


@checked()
def plane_paths(paths: Mapping[str, Array], reach: float, data: Array | None = None) -> Figure:
    """Return the ways of points through the plane, from a circle at the start to a dot at the end, a panel each.

    Up to six ways have a colour each, more of them one.

    Parameters
    ----------
    paths : mapping from a name, such as a sampler's, to an array, shape (K, N, 2)
        Where N points are at K moments, from noise to data; up to five names. The first 400 points are drawn.
    reach : float
        Both coordinates are drawn from -reach to reach.
    data : array, shape (M, 2), or None
        Points that are drawn faintly below.
    """
    check_positive("reach", reach)
    if not 1 <= len(paths) <= 5:
        raise InputError(f"paths is for {list(paths)}, but 1 to 5 names were expected.")
    figure, panels = _panels(len(paths))
    for axes, (name, path) in zip(panels, paths.items(), strict=True):
        path = to_numpy(path)
        check_shape(name, path, (None, None, 2))
        path = path[:, :MOST_PATHS]
        if data is not None:
            here = to_numpy(data)
            check_shape("data", here, (None, 2))
            axes.plot(*here.T, linestyle="", marker=".", markersize=2, color=FAINT)
        few = path.shape[1] <= len(CYCLE)
        for i, way in enumerate(path.swapaxes(0, 1)):
            axes.plot(*way.T, color=CYCLE[i][0] if few else BLUE, linewidth=0.6, alpha=0.8 if few else 0.5)
        axes.plot(*path[0].T, linestyle="", marker="o", markersize=3, markerfacecolor="none", color=INK, alpha=0.5)
        axes.plot(*path[-1].T, linestyle="", marker=".", markersize=4, color=VERMILION)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


@checked()
def plane_image(points: Array, reach: float, side: int = SIDE, colour: str = BLUE) -> np.ndarray:
    """Return points in the plane as pixels, quickly: a square of 3 x 3 pixels for each point, darker where many are.

    Parameters
    ----------
    points : array, shape (N, 2)
        The second coordinate points up. What lies outside is not seen.
    reach : float
        Both coordinates are drawn from -reach to reach.
    side : int
        Height and width in pixels.
    colour : str

    Returns
    -------
    uint8 array, shape (side, side, 3)
    """
    points = to_numpy(points)
    check_shape("points", points, (None, 2))
    check_positive("reach", reach)
    check_count("side", side, least=3, most=4096)
    counts = np.zeros((side + 2, side + 2))
    with np.errstate(invalid="ignore"):
        places = (points + reach) / (2 * reach) * side
        seen = ((places >= 0) & (places < side)).all(axis=1)  # NaN is not
    columns, rows = places[seen].astype(int).T
    for down in range(3):
        for right in range(3):
            np.add.at(counts, (side - 1 - rows + down, columns + right), 1)
    cover = 1 - 0.45 ** counts[1:-1, 1:-1, None]
    page, ink = (255 * np.array(to_rgb(c)) for c in (PAGE, colour))
    return np.rint(page + (ink - page) * cover).astype(np.uint8)


@checked()
def plane_gif(
    frames: Iterable[tuple[Any, ...]],
    path: str | Path,
    reach: float = 2.0,
    max_frames: int = 60,
    ms_per_frame: int = 80,
    hold_last: int = 2000,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Save a chain of points as an animation: x_t beside the guess x_0_hat that led there, t above them.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat)
        What a sampler yields, of points: arrays (N, 2), or (N, 1, 1, 2).
    path : str or Path
    reach : float
        Both coordinates are drawn from -reach to reach.
    max_frames : int
        How many frames are kept at most: evenly spread, the first and the last among them.
    ms_per_frame, hold_last, about
        As for `save_gif`.
    """
    check_count("max_frames", max_frames)
    chosen = spread(list(frames), max_frames)
    if not chosen:
        raise InputError("frames is empty, but at least one (t, x_t, x_0_hat) was expected.")
    highest = max(t for t, *_ in chosen)
    pictures = []
    for t, *panels in chosen:
        titles = ("xₜ, being denoised", "x̂₀, the guess that led there")
        sheets = [
            sheet(plane_image(_flat(panel), reach, colour=colour)[None], 1, 1, title)
            for panel, title, colour in zip(panels, titles, (BLUE, VERMILION), strict=False)
        ]
        pictures.append(beside(sheets, f"t = {t:.4g}", t / highest if highest else 0))
    return save_gif(pictures, path, ms_per_frame, hold_last, about)


def _flat(points):
    """Return points as (N, 2); a point may be a picture of one pixel."""
    points = to_numpy(points)
    if points.ndim == 4:
        check_shape("points", points, (None, 1, 1, 2))
        points = points[:, 0, 0]
    check_shape("points", points, (None, 2))
    return points


def _panels(n):
    """Return a figure of square panels in a row, which share their coordinates."""
    figure = Chart(figsize=(2.6 * n + 0.5, 3.4), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, n, squeeze=False, sharey=True)[0]
    for axes in panels:
        dress(axes, "first coordinate", "second coordinate" if axes is panels[0] else "")
    return figure, panels
