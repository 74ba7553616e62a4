"""Pictures of the course: what layers do, forwards and backwards, and what they cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.style import (
    BLUE,
    CYCLE,
    INK,
    PAGE,
    VERMILION,
    Chart,
    draw_signed,
    label_decades,
    new_axes,
    set_title,
)


@checked()
def jacobian(matrix: Array, d_y: Array, d_x: Array, largest: float | None = None) -> Figure:
    """Return a vector-Jacobian product as a picture: the transposed Jacobian, times d_y, is d_x.

    Parameters
    ----------
    matrix : array, shape (N, M)
        ``matrix[i, j]`` is the derivative of y[i] in x[j].
    d_y : array, shape (N,)
    d_x : array, shape (M,)
    largest : float, optional
        The number of the Jacobian that is drawn darkest, so that several pictures can be compared; d_x is then drawn
        darkest where such a number meets the largest of d_y. Default: each panel's own largest number.
    """
    matrix, d_y, d_x = (np.asarray(to_numpy(a), float) for a in (matrix, d_y, d_x))
    check_rank("matrix", matrix, 2)
    check_shape("d_y", d_y, (len(matrix),))
    check_shape("d_x", d_x, (matrix.shape[1],))
    figure = Chart(figsize=(6.4, 3.6), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, 3, width_ratios=[max(4, len(matrix)), 2, 2])
    titles = (f"Jacobian, transposed: {matrix.size:,} numbers", "times d_y", "= d_x")
    scales = (0.0, 0.0, 0.0)
    if largest is not None:
        if not largest > 0:
            raise InputError(f"largest is {largest}, but a number above 0 was expected.")
        scales = (largest, 0.0, largest * float(abs(d_y).max()))
    for axes, values, title, scale in zip(panels, (matrix.T, d_y[:, None], d_x[:, None]), titles, scales, strict=True):
        draw_signed(axes, values, scale)
        set_title(axes, title)
    return figure


@checked()
def signed_maps(
    maps: Mapping[str, Array], signs: Sequence[str] = (), title: str | None = None, numbers: bool = False
) -> Figure:
    """Return up to six matrices side by side as squares: purple above 0, orange below, white 0, in one scale.

    Parameters
    ----------
    maps : mapping from a name to an array, shape (H, W)
    signs : sequence of texts
        Written between the maps, such as "+" and "=".
    title : str, optional
    numbers : bool
        Write the numbers into the squares, except zeros.
    """
    if not 1 <= len(maps) <= 6:
        raise InputError(f"maps holds {len(maps)} maps, but 1 to 6 were expected.")
    if len(signs) not in (0, len(maps) - 1):
        raise InputError(
            f"signs holds {len(signs)} texts, but none or {len(maps) - 1}, one between each, were expected."
        )
    arrays = [to_numpy(values) for values in maps.values()]
    for name, values in zip(maps, arrays, strict=True):
        check_rank(name, values, 2)
    largest = max(abs(values).max() for values in arrays)
    figure = Chart(figsize=(2 * len(maps) + 0.4, 2.5 + 0.3 * (title is not None)), dpi=130, facecolor=PAGE)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    figure.subplots_adjust(left=0.02, right=0.98, bottom=0.04, top=0.86 if title is None else 0.78, wspace=0.22)
    for axes, (name, values) in zip(panels, zip(maps, arrays, strict=True), strict=True):
        draw_signed(axes, values, largest)
        set_title(axes, name)
        for (row, column), value in np.ndenumerate(values) if numbers else ():
            color = PAGE if abs(value) > 0.6 * largest else INK
            text = f"{value:.2g}" if value else ""
            axes.text(column, row, text, color=color, fontsize=8, ha="center", va="center")
    for axes, sign in zip(panels[1:], signs, strict=False):
        axes.text(-0.11, 0.5, sign, color=INK, fontsize=18, ha="center", va="center", transform=axes.transAxes)
    if title is not None:
        figure.suptitle(title, fontsize=12, color=INK, x=0.02, ha="left")
    return figure


@checked()
def unet_passes(
    down: Sequence[tuple[Array, Array]], middle: tuple[Array, Array], up: Sequence[tuple[Array, Array]]
) -> Figure:
    """Return a UNet as a picture: the features of its levels in the forward, and their gradients in the backward.

    Each level shows features and their gradient side by side. Blue arrows are the forward, red ones the backward;
    where the gradient of a skip meets the one from below, the two add.

    Parameters
    ----------
    down, up : sequences of (features, gradient), arrays of shape (H, W)
        From the first level down to the last, and from the last one up to the first.
    middle : (features, gradient)
    """
    if not down or len(down) != len(up):
        raise InputError(
            f"down has {len(down)} levels and up {len(up)}, but the same number, at least 1, was expected."
        )
    levels, high, side = len(down), 2.1, 1.35  # the picture's own units
    left = [(2.3 + 0.5 * k, -high * k) for k in range(levels)]
    right = [(9.7 - 0.5 * k, -high * k) for k in range(levels)]
    bottom = (6.0, -high * levels - 0.4)
    figure = Chart(figsize=(8.4, 0.7 * high * (levels + 1) + 0.2), dpi=130, facecolor=PAGE)
    axes = figure.add_axes((0, 0, 1, 1))
    nodes = zip((*left, bottom, *reversed(right)), (*down, middle, *up), strict=True)
    for (x, y), maps in nodes:
        features, gradient = (to_numpy(a) for a in maps)
        check_rank("features", features, 2)
        check_shape("gradient", gradient, features.shape)
        for centre, values, cmap in ((x - 0.72, features, "cividis"), (x + 0.72, gradient, "PuOr")):
            largest = abs(values).max() or 1.0
            low, top = (-largest, largest) if cmap == "PuOr" else (values.min(), values.max())
            tall, wide = (side * length / max(values.shape) for length in values.shape)
            box = (centre - wide / 2, centre + wide / 2, y - tall / 2, y + tall / 2)
            axes.imshow(values, cmap=cmap, vmin=low, vmax=top, extent=box, interpolation="nearest")
        axes.text(x - 0.72, y + 0.72, f"{features.shape[0]} x {features.shape[1]}", color=INK, fontsize=8, ha="center")

    def arrow(start, end, color, style="-"):
        shape = {"arrowstyle": "-|>", "color": color, "linestyle": style, "linewidth": 1.3, "shrinkA": 2, "shrinkB": 2}
        axes.annotate("", end, start, arrowprops=shape)

    for k, ((x, y), (x_up, _)) in enumerate(zip(left, right, strict=True)):
        plus = (x + 0.72, y - 0.98)
        axes.text(*plus, "+", color=VERMILION, fontsize=15, ha="center", va="center", fontweight="bold")
        arrow((x + 1.4, y + 0.2), (x_up - 1.4, y + 0.2), BLUE, "--")
        arrow((x_up - 1.4, y - 0.3), (plus[0] + 0.12, plus[1]), VERMILION, "--")
        arrow((plus[0], plus[1] + 0.08), (x + 0.72, y - 0.66), VERMILION)
        below, below_up = (left[k + 1], right[k + 1]) if k + 1 < levels else (bottom, bottom)
        last = k + 1 == levels
        arrow((x - 0.72, y - 0.7), (below[0] - (1.4 if last else 0.72), below[1] + (0 if last else 0.9)), BLUE)
        arrow((below[0] + 0.72, below[1] + 0.7), (plus[0], plus[1] - 0.1), VERMILION)
        arrow((below_up[0] - 0.72, below_up[1] + 0.9), (x_up - 0.72, y - 0.7), BLUE)
        arrow(
            (x_up + 0.72, y - 0.7),
            (below_up[0] + (1.4 if last else 0.72), below_up[1] + (0 if last else 0.7)),
            VERMILION,
        )
    for x, color, text in ((0.2, BLUE, "forward: features"), (2.6, VERMILION, "backward: gradients")):
        axes.text(x, 1.05, text, color=color, fontsize=10)
    axes.set_xlim(0, 12)
    axes.set_ylim(bottom[1] - 1, 1.5)
    axes.set_axis_off()
    return figure


@checked()
def roofline(ways: Mapping[str, tuple[float, float]], peak: float, bandwidth: float) -> Figure:
    """Return a roofline plot: what programs reach, under the roof that a machine's two limits form.

    Parameters
    ----------
    ways : mapping from a name to (operations per byte, operations per second)
    peak : float
        Operations per second that the processor can do at most.
    bandwidth : float
        Bytes per second that go to and from memory at most.
    """
    if not ways or min(peak, bandwidth, *(number for pair in ways.values() for number in pair)) <= 0:
        raise InputError("ways, peak and bandwidth must hold positive numbers, and at least one way.")
    figure, axes = new_axes("operations per byte", "billion operations per second")
    intensities = [intensity for intensity, _ in ways.values()] + [peak / bandwidth]
    x = np.geomspace(min(intensities) / 2, max(intensities) * 2, 200)
    axes.plot(x, np.minimum(peak, x * bandwidth) / 1e9, color=INK, label="roof")
    for (name, (intensity, rate)), (color, _) in zip(ways.items(), CYCLE, strict=False):
        axes.plot([intensity], [rate / 1e9], "o", color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    label_decades(axes.xaxis)
    label_decades(axes.yaxis)
    axes.legend(frameon=False, loc="lower right")
    return figure
