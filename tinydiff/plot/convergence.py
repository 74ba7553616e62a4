"""Error against calls: how fast solvers come nearer to what is exact, with triangles that show the orders."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.style import BLUE, FAINT, GREEN, INK, ORANGE, PAGE, VERMILION, Chart, drawable, dress

# One colour for an order: what a reader should see first is how steep a line is.
OF_ORDER = {0: "#8A8A8A", 1: ORANGE, 2: BLUE, 3: GREEN, 4: VERMILION}
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = "osD^vPX"
MOST_LINES = 40
NEAREST = 0.034  # of the axes' height between two names at the right end
WITHOUT_NAMES, OF_A_LETTER = 7.7, 0.078  # inches: the axes, and the room to their right
FEWEST_LETTERS, MOST_LETTERS = 37, 100  # for which there is room


class Line(NamedTuple):
    """Errors of a solver against its calls, and its order, 0 where none is stated."""

    calls: Array
    errors: Array
    order: float = 0


@checked()
def error_against_calls(
    lines: Mapping[str, Line],
    title: str | None = None,
    y_label: str = "largest error of the path",
    x_label: str = "predictions asked for (calls of the network)",
    floor: float = 0.0,
) -> Figure:
    """Return errors against calls on logarithmic axes: colours say the order, names stand at the ends of the lines.

    Triangles at the lower left show the slopes of the orders that there are.

    Parameters
    ----------
    lines : mapping from a name to Line
        Up to 40: calls and errors, arrays (M,), and the order.
    title, y_label, x_label : str
    floor : float
        Errors below it are left out, since they are those of rounding.

    Raises
    ------
    InputError
        If there are no lines, or more than 40, or one has no error above the floor.
    """
    if not 1 <= len(lines) <= MOST_LINES:
        raise InputError(f"lines holds {len(lines)} lines, but 1 to {MOST_LINES} were expected.")
    letters = min(max(FEWEST_LETTERS, *map(len, lines)), MOST_LETTERS)
    width = WITHOUT_NAMES + OF_A_LETTER * letters
    figure = Chart(figsize=(width, 6.2), dpi=150, facecolor=PAGE)
    axes = figure.add_axes((0.8 / width, 0.1, 6.57 / width, 0.8))
    dress(axes, x_label, y_label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = [_draw(axes, name, Line(*line), i, floor) for i, (name, line) in enumerate(lines.items())]
    _ticks(axes)
    axes.set_xlim(min(e[0] for e in ends) * 0.82, max(e[1] for e in ends) * 1.06)
    orders = sorted({round(Line(*line).order) for line in lines.values()} - {0})
    _triangles(axes, [order for order in orders if order in OF_ORDER])
    _names(axes, ends)
    if title is not None:
        axes.set_title(drawable(title), fontsize=14, color=INK, loc="left", pad=12)
    return figure


def _draw(axes, name, line, i, floor):
    """Draw a line; return its first and last number of calls, its last error, name and colour."""
    calls, errors = to_numpy(line.calls), to_numpy(line.errors)
    check_rank(name, calls, 1)
    check_shape(name, errors, calls.shape)
    kept = errors > floor
    if not kept.any():
        raise InputError(f"{name} has no error above {floor:g}, so there is nothing to draw.")
    calls, errors, color = calls[kept], errors[kept], OF_ORDER.get(round(line.order), OF_ORDER[0])
    axes.plot(
        calls, errors, color=color, linestyle=STYLES[i % len(STYLES)], linewidth=1.6,
        marker=MARKERS[i % len(MARKERS)], markersize=4, markeredgewidth=0, alpha=0.9,
    )  # fmt: skip
    return calls[0], calls[-1], errors[-1], drawable(name), color


def _ticks(axes):
    """Write 10, 20, 50, 100 below the axis, and powers of ten beside the other one."""
    axes.xaxis.set_major_locator(_locator((1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_locator(_locator((1,)))
    axes.yaxis.set_minor_formatter("")


def _locator(subs):
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=subs, numticks=20)


def _names(axes: Axes, ends) -> None:
    """Write the names to the right of the axes, at the heights of the ends, moved apart, with thin lines to them."""
    low, high = np.log10(axes.get_ylim())
    wanted = np.array([(np.log10(end[2]) - low) / (high - low) for end in ends])
    order = np.argsort(-wanted)
    places = _apart(wanted[order], NEAREST)
    left, right = np.log10(axes.get_xlim())
    for place, i in zip(places, order, strict=True):
        _, last, _, name, color = ends[i]
        at = (np.log10(last) - left) / (right - left)
        axes.plot(
            [at, 1.015, 1.03], [wanted[i], place, place], transform=axes.transAxes, color=color, linewidth=0.6,
            alpha=0.55, clip_on=False,
        )  # fmt: skip
        axes.text(1.036, place, name, transform=axes.transAxes, color=color, fontsize=9.5, va="center", clip_on=False)


def _apart(falling: np.ndarray, least: float) -> np.ndarray:
    """Return heights that fall, moved apart by `least`, as near to where they were as a few passes bring them."""
    places = np.minimum(falling.astype(float), 1.0)
    least = min(least, 1.04 / max(len(places), 1))
    for _ in range(200):
        moved = False
        for i in range(len(places) - 1):
            lacking = least - (places[i] - places[i + 1])
            if lacking > 1e-9:
                places[i], places[i + 1], moved = places[i] + lacking / 2, places[i + 1] - lacking / 2, True
        shift = max(0.0, places[0] - 1.02) - max(0.0, -0.02 - places[-1])
        places = places - shift
        if not moved:
            break
    return places


def _triangles(axes: Axes, orders) -> None:
    """Draw the slopes of these orders as lines from one corner, at the lower left."""
    if not orders:
        return
    left, right = np.log10(axes.get_xlim())
    low, high = np.log10(axes.get_ylim())
    width = min(0.24 * (right - left), 0.3 * (high - low) / max(orders))
    x_0, y_0 = left + 0.06 * (right - left), low + 0.05 * (high - low) + max(orders) * width
    axes.plot(10 ** np.array([x_0, x_0 + width]), [10**y_0, 10**y_0], color=INK, linewidth=0.9)
    for order in orders:
        ends = 10 ** np.array([x_0, x_0 + width]), 10 ** np.array([y_0, y_0 - order * width])
        axes.plot(*ends, color=OF_ORDER[order], linewidth=1.4)
        axes.text(10 ** (x_0 + 1.06 * width), ends[1][1], f"{order}", color=OF_ORDER[order], fontsize=10, va="center")
    axes.plot([ends[0][1]] * 2, [10**y_0, ends[1][1]], color=FAINT, linewidth=0.8)
    axes.text(10 ** (x_0 + width / 2), 10**y_0, "order", color=INK, fontsize=10, ha="center", va="bottom")
