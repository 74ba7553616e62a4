"""Pictures of the course: noise, densities and what a step does to them."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.sheets import to_pixels
from tinydiff.plot.style import BLUE, CYCLE, GREEN, INK, PAGE, SKY, VERMILION, Chart, dress, new_axes, set_title


@checked()
def noising_strips(t: Array, strips: Mapping[str, Array], log_snr: Mapping[str, Array]) -> Figure:
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


@checked()
def density_over_time(t: Array, x: Array, density: Array, title: str | None = None) -> Figure:
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


@checked()
def reverse_steps(x: Array, exact: Mapping[str, Array], bells: Mapping[str, Array]) -> Figure:
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


@checked()
def bells(x: Array, densities: Mapping[str, Array], x_label: str = "x", title: str | None = None) -> Figure:
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
