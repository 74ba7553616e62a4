"""The pictures of the course, one function for each: Matplotlib figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinydiff.backend import to_numpy
from tinydiff.errors import InputError, check_rank, check_shape
from tinydiff.plot.images import to_pixels
from tinydiff.plot.style import (
    BLUE,
    CYCLE,
    FAINT,
    GREEN,
    INK,
    PAGE,
    SKY,
    VERMILION,
    Chart,
    draw_signed,
    dress,
    label_decades,
    new_axes,
    new_loss_axes,
    set_title,
)


def noising_strips(t: Any, strips: Mapping[str, Any], log_snr: Mapping[str, Any]) -> Figure:
    """Return what schedules do to one image: a strip of its noisy versions each, above the curves of log-SNR.

    Parameters
    ----------
    t : array, shape (K,)
        Steps at equal distances.
    strips : mapping from a schedule's name to images, shape (K, H, W, C) or (K, H, W)
        The image at every t.
    log_snr : mapping from a schedule's name to an array, shape (T,)
        ``np.log(diffusion.snr(np.arange(1, T + 1)))``.
    """
    t = to_numpy(t)
    check_rank("t", t, 1)
    if not strips or list(strips) != list(log_snr) or len(strips) > 3:
        raise InputError(
            f"strips is for {list(strips)} and log_snr for {list(log_snr)}, but the same 1 to 3 names were expected."
        )
    rows = {name: to_pixels(name, images) for name, images in strips.items()}
    for name, images in rows.items():
        check_shape(name, images, (len(t), *next(iter(rows.values())).shape[1:]))
        check_rank(f"log_snr of {name}", to_numpy(log_snr[name]), 1)
    step = (t[-1] - t[0]) / max(1, len(t) - 1)
    edges = (t[0] - step / 2, t[-1] + step / 2)  # each image stands above its t

    high = 6 / len(t)  # inches, so that images are about square
    figure = Chart(figsize=(7, 3.2 + high * len(rows)), dpi=130, layout="constrained", facecolor=PAGE)
    *above, below = figure.subplots(len(rows) + 1, height_ratios=[*[high] * len(rows), 3], sharex=True)
    for axes, (name, images) in zip(above, rows.items(), strict=True):
        row = np.concatenate(list(images), axis=1)
        axes.imshow(row, extent=(*edges, 0, 1), aspect="auto", interpolation="nearest")
        axes.set_ylabel(name, color=INK, rotation=0, ha="right", va="center", fontsize=11)
        axes.set_yticks([])
        axes.tick_params(bottom=False)
        axes.spines[:].set_visible(False)
    dress(below, "step t", "log-SNR in nats")
    for (name, values), color in zip(log_snr.items(), (BLUE, VERMILION, GREEN), strict=False):
        below.plot(np.arange(1, len(values) + 1), to_numpy(values), color=color, label=name)
    below.axhline(0, color=INK, linewidth=0.8, linestyle=":")
    below.text(edges[1], 0, "as much noise as signal", color=INK, fontsize=9, ha="right", va="bottom")
    below.set_xlim(edges)
    below.legend(frameon=False, loc="lower left")
    return figure


def density_over_time(t: Any, x: Any, density: Any, title: str | None = None) -> Figure:
    """Return a heat map of a density in one dimension as it changes: t across, x up.

    Parameters
    ----------
    t : array, shape (K,)
    x : array, shape (M,)
    density : array, shape (M, K)
        At every x and t. Each column is drawn in shares of its own peak, so that all of them can be read.
    title : str, optional
    """
    t, x, density = to_numpy(t), to_numpy(x), to_numpy(density)
    check_rank("t", t, 1)
    check_rank("x", x, 1)
    check_shape("density", density, (len(x), len(t)))
    if not (np.isfinite(density).all() and (density >= 0).all() and (density.max(axis=0) > 0).all()):
        raise InputError("density must be finite and not negative, and above 0 somewhere at every t.")
    figure, axes = new_axes("step t", "x")
    colours = axes.pcolormesh(t, x, density / density.max(axis=0), cmap="cividis", shading="nearest", rasterized=True)
    axes.grid(visible=False)
    set_title(axes, title)
    figure.colorbar(colours, label="density, in shares of its peak at each t")
    return figure


def reverse_steps(x: Any, exact: Mapping[str, Any], bells: Mapping[str, Any]) -> Figure:
    """Return the exact density of a reverse step beside the best bell curve, one panel for each size of step.

    Parameters
    ----------
    x : array, shape (M,)
        Values of x before the step.
    exact, bells : mappings from a name, such as "beta = 0.5", to an array, shape (M,)
        The density of q(x_{t-1} | x_t), and that of the Gaussian with its mean and variance.
    """
    x = to_numpy(x)
    check_rank("x", x, 1)
    if not exact or list(exact) != list(bells):
        raise InputError(f"exact is for {list(exact)} and bells for {list(bells)}, but the same names were expected.")
    figure = Chart(figsize=(7, 2.8), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, len(exact), squeeze=False)[0]
    for axes, name in zip(panels, exact, strict=True):
        p, bell = to_numpy(exact[name]), to_numpy(bells[name])
        check_shape(f"exact of {name}", p, x.shape)
        check_shape(f"bells of {name}", bell, x.shape)
        dress(axes, "x before the step", "density" if axes is panels[0] else "")
        axes.fill_between(x, p, color=SKY, alpha=0.5, linewidth=0, label="exact")
        axes.plot(x, bell, color=VERMILION, linestyle="--", label="best bell")
        axes.set_ylim(0, 1.4 * max(p.max(), bell.max()))  # room for the legend
        set_title(axes, name)
    panels[0].legend(frameon=False, fontsize=9)
    return figure


def score_fields(x: Any, y: Any, densities: Mapping[str, Any], scores: Mapping[str, Any]) -> Figure:
    """Return the score of a density in the plane as arrows over the density, one panel for each time.

    Arrows show directions; their lengths are those of the score, in shares of the longest in the panel.

    Parameters
    ----------
    x, y : arrays, shape (M,) and (L,)
        The grid, at equal distances.
    densities : mapping from a name, such as "t = 600", to an array, shape (L, M)
    scores : mapping from the same names to an array, shape (L, M, 2)
        Components along x and y.
    """
    x, y = to_numpy(x), to_numpy(y)
    check_rank("x", x, 1)
    check_rank("y", y, 1)
    if not densities or list(densities) != list(scores):
        raise InputError(
            f"densities is for {list(densities)} and scores for {list(scores)}, but the same names were expected."
        )
    figure = Chart(figsize=(8.4, 3.2), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, len(densities), squeeze=False, sharey=True)[0]
    every = max(1, len(x) // 16)
    for axes, name in zip(panels, densities, strict=True):
        density, score = to_numpy(densities[name]), to_numpy(scores[name])
        check_shape(f"densities of {name}", density, (len(y), len(x)))
        check_shape(f"scores of {name}", score, (len(y), len(x), 2))
        dress(axes, "first coordinate", "second coordinate" if axes is panels[0] else "")
        axes.grid(visible=False)
        axes.pcolormesh(x, y, density, cmap="cividis", shading="nearest", rasterized=True)
        arrows = score[every // 2 :: every, every // 2 :: every]
        longest = np.linalg.norm(arrows, axis=-1).max() or 1.0
        places = (x[every // 2 :: every], y[every // 2 :: every])
        axes.quiver(*places, *np.moveaxis(arrows / longest, -1, 0), color=PAGE, scale=9, width=0.006)
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


def bells(x: Any, densities: Mapping[str, Any], x_label: str = "x", title: str | None = None) -> Figure:
    """Return up to three densities in one dimension as filled curves, each with a mark at its peak.

    Parameters
    ----------
    x : array, shape (M,)
    densities : mapping from a name to an array, shape (M,)
    x_label : str
    title : str, optional
    """
    x = to_numpy(x)
    check_rank("x", x, 1)
    if not 1 <= len(densities) <= 3:
        raise InputError(f"densities holds {len(densities)} curves, but 1 to 3 were expected.")
    figure, axes = new_axes(x_label, "density")
    for (name, density), (color, style) in zip(densities.items(), CYCLE, strict=False):
        density = to_numpy(density)
        check_shape(name, density, x.shape)
        axes.fill_between(x, density, color=color, alpha=0.18, linewidth=0)
        axes.plot(x, density, color=color, linestyle=style, label=name)
        axes.plot(x[density.argmax()], density.max(), color=color, marker="o", markersize=5)
    axes.set_ylim(bottom=0)
    axes.set_xlim(x[0], x[-1])
    set_title(axes, title)
    axes.legend(frameon=False)
    return figure


def loss_by_timestep_runs(t: Any, losses: Mapping[str, Any], floor: Any) -> Figure:
    """Return the loss over the step index t at several moments of a training, over the least that is possible.

    Parameters
    ----------
    t : array, shape (bins,)
    losses : mapping from a name, such as "step 100", to an array, shape (bins,)
        In the order of training.
    floor : array, shape (bins,)
        The loss of the exact denoiser.
    """
    t, floor = to_numpy(t), to_numpy(floor)
    check_rank("t", t, 1)
    check_shape("floor", floor, t.shape)
    if not 1 <= len(losses) < len(CYCLE):
        raise InputError(f"losses holds {len(losses)} curves, but 1 to {len(CYCLE) - 1} were expected.")
    figure, axes = new_loss_axes("step t   (small: almost clean, large: almost noise)")
    for (name, loss), (color, style) in zip(losses.items(), CYCLE, strict=False):
        check_shape(name, to_numpy(loss), t.shape)
        axes.plot(t, to_numpy(loss), color=color, linestyle=style, marker="o", markersize=3, label=name)
    bottom = floor.min() / 2
    axes.fill_between(t, floor, bottom, color=FAINT, alpha=0.5, linewidth=0, label="better than exact: impossible")
    axes.set_ylim(bottom=bottom)
    axes.legend(frameon=False)
    return figure


def paths_to_data(t: Any, paths: Mapping[str, Any], x: Any, density: Any) -> Figure:
    """Return chains in one dimension from noise to data, and where they end beside the density of the data.

    Parameters
    ----------
    t : array, shape (K,)
        Falling, from T to 0.
    paths : mapping from a sampler's name to an array, shape (K, N)
        N chains each; the first 12 are drawn, the ends of all go into the histogram.
    x, density : arrays, shape (M,)
        The density that the ends should have.
    """
    t, x, density = to_numpy(t), to_numpy(x), to_numpy(density)
    check_rank("t", t, 1)
    check_shape("density", density, x.shape)
    if not 1 <= len(paths) <= 3:
        raise InputError(f"paths is for {list(paths)}, but 1 to 3 samplers were expected.")
    figure = Chart(figsize=(7.6, 2.4 * len(paths)), dpi=130, layout="constrained", facecolor=PAGE)
    rows = figure.subplots(len(paths), 2, squeeze=False, sharey=True, width_ratios=[3, 1])
    for (left, right), (name, chains), (color, _) in zip(rows, paths.items(), CYCLE, strict=False):
        chains = to_numpy(chains)
        check_shape(name, chains, (len(t), None))
        last = left is rows[-1][0]
        dress(left, "step t" if last else "", "x")
        left.plot(t, chains[:, :12], color=color, linewidth=0.8, alpha=0.8)
        left.set_xlim(t.max(), t.min())
        set_title(left, name)
        dress(right, "density at t = 0" if last else "", "")
        bars = np.linspace(x[0], x[-1], 61)
        right.hist(chains[-1], bars, density=True, orientation="horizontal", color=color, alpha=0.5)
        right.plot(density, x, color=INK, linewidth=1.2, label="data")
        right.legend(frameon=False, fontsize=9)
    return figure


def point_clouds(clouds: Mapping[str, Any], reach: float) -> Figure:
    """Return points in the plane, one panel for each cloud.

    Parameters
    ----------
    clouds : mapping from a name to an array, shape (N, 2)
        Up to five.
    reach : float
        Both coordinates are drawn from -reach to reach; points outside are not seen.
    """
    if not 1 <= len(clouds) <= 5:
        raise InputError(f"clouds holds {len(clouds)} of them, but 1 to 5 were expected.")
    figure = Chart(figsize=(2 * len(clouds) + 0.4, 2.6), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, len(clouds), squeeze=False, sharey=True)[0]
    for axes, (name, points) in zip(panels, clouds.items(), strict=True):
        points = to_numpy(points)
        check_shape(name, points, (None, 2))
        dress(axes, "first coordinate", "second coordinate" if axes is panels[0] else "")
        axes.plot(*points.T, linestyle="", marker=".", markersize=2, color=BLUE, alpha=0.5)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


def jacobian(matrix: Any, d_y: Any, d_x: Any, largest: float | None = None) -> Figure:
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
    matrix, d_y, d_x = to_numpy(matrix), to_numpy(d_y), to_numpy(d_x)
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


def signed_maps(
    maps: Mapping[str, Any], signs: Sequence[str] = (), title: str | None = None, numbers: bool = False
) -> Figure:
    """Return up to six matrices side by side as squares: purple above 0, orange below, white 0, in one scale.

    Parameters
    ----------
    maps : mapping from a name to an array, shape (H, W)
    signs : sequence of texts
        Written between the maps, such as "+" and "=".
    title : str, optional
    numbers : bool
        Write the numbers into the squares, but for those that are 0.
    """
    if not 1 <= len(maps) <= 6:
        raise InputError(f"maps holds {len(maps)} of them, but 1 to 6 were expected.")
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


def unet_passes(down: Sequence[tuple[Any, Any]], middle: tuple[Any, Any], up: Sequence[tuple[Any, Any]]) -> Figure:
    """Return a UNet as a picture: what its levels hold in the forward, and the gradients that return.

    Beside each other, a level's features and their gradient. Blue arrows are the forward, red ones the backward;
    where a skip's gradient meets the one from below, they add.

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
            box = (centre - side / 2, centre + side / 2, y - side / 2, y + side / 2)
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


def roofline(ways: Mapping[str, tuple[float, float]], peak: float, bandwidth: float) -> Figure:
    """Return what programs reach, under the roof that a machine's two limits make.

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
