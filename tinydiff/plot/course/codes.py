"""Pictures of the course: codes in the plane, and how often each is used."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_positive, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.style import BLUE, CYCLE, FAINT, INK, PAGE, VERMILION, Chart, dress, set_title

_GRID = 200  # points to a side, at which the nearest code is found


@checked()
def code_regions(panels: Mapping[str, tuple[Array, Array]], reach: float) -> Figure:
    """Return vectors and codes in the plane, with the borders between codes, one panel for each moment.

    Every point of a region is nearer to the region's code than to any other.

    Parameters
    ----------
    panels : mapping from a name to (vectors, codebook), arrays of shape (N, 2) and (K, 2)
        Up to five, such as the moments of a training.
    reach : float
        Both coordinates are drawn from -reach to reach; what is outside is not seen.
    """
    check_positive("reach", reach)
    if not 1 <= len(panels) <= 5:
        raise InputError(f"panels holds {len(panels)} panels, but 1 to 5 were expected.")
    figure = Chart(figsize=(2.3 * len(panels) + 0.4, 2.9), dpi=130, layout="constrained", facecolor=PAGE)
    row = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    side = np.linspace(-reach, reach, _GRID)
    for axes, (name, (vectors, codebook)) in zip(row, panels.items(), strict=True):
        points, codes = to_numpy(vectors), to_numpy(codebook)
        check_shape(f"vectors of {name}", points, (None, 2))
        check_shape(f"codebook of {name}", codes, (None, 2))
        dress(axes, "first number", "second number" if axes is row[0] else "")
        axes.grid(visible=False)
        nearest = _nearest(side, codes)
        for k in range(len(codes)):  # one border around each region
            if 0 < (nearest == k).sum() < nearest.size:
                axes.contour(side, side, nearest == k, levels=[0.5], colors=FAINT, linewidths=0.8)
        axes.plot(*points.T, linestyle="", marker=".", markersize=2, color=BLUE, alpha=0.4)
        axes.plot(*codes.T, linestyle="", marker="o", markersize=4, color=VERMILION, markeredgecolor=PAGE)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


def _nearest(side, codes):
    """Return the index of the code that is nearest to each point of a square grid."""
    across = (side[:, None] - codes[:, 0]) ** 2
    up = (side[:, None] - codes[:, 1]) ** 2
    return (up[:, None] + across[None]).argmin(axis=-1)


@checked()
def usage_bars(counts: Mapping[str, Array], title: str | None = None) -> Figure:
    """Return how often each code was used, the most frequent first, one row of bars for each codebook.

    A line says how often each would be used if all were used equally.

    Parameters
    ----------
    counts : mapping from a name to an array, shape (K,)
        Up to six; K may differ.
    title : str, optional
    """
    if not 1 <= len(counts) <= len(CYCLE):
        raise InputError(f"counts is for {len(counts)} codebooks, but 1 to {len(CYCLE)} were expected.")
    figure = Chart(figsize=(7.6, 1.3 * len(counts) + 0.7), dpi=130, layout="constrained", facecolor=PAGE)
    rows = figure.subplots(len(counts), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
    for axes, (name, values), (color, _) in zip(rows, counts.items(), CYCLE, strict=False):
        values = to_numpy(values)
        check_rank(name, values, 1)
        if not values.sum() > 0:
            raise InputError(f"{name} holds no use of any code, but a share of all uses is drawn.")
        shares = np.sort(values / values.sum())[::-1]
        dress(axes, "code, the most frequent first" if axes is rows[-1] else "", "share")
        axes.bar(np.arange(len(shares)), shares, width=0.8, color=color)
        axes.axhline(1 / len(shares), color=INK, linewidth=0.8, linestyle="--")
        set_title(axes, name)
    if title is not None:
        figure.suptitle(title, fontsize=12, color=INK, x=0.02, ha="left")
    return figure
