"""Pictures: grids of images, the reverse chain as a strip and as a GIF, schedules, densities, curves of the loss.

Functions take arrays and return Pillow images or Matplotlib figures; nothing is drawn on a global canvas.
Pixels are enlarged by whole factors, never smoothed. Images are floats in [-1, 1], where values outside are
clipped (x_t of a chain has many), or uint8; with shape (N, H, W), (N, H, W, 1) or (N, H, W, 3).
"""

import functools
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from PIL import Image, ImageDraw, ImageFont

from tinydiff.backend import to_numpy
from tinydiff.errors import InputError, check_choice, check_count, check_number, check_rank, check_shape
from tinydiff.files import atomic_write

# Okabe and Ito's colours (2008), told apart with any kind of colour vision; black and grey are for text.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
INK, FAINT, PAGE = "#222222", "#BBBBBB", "#FFFFFF"
# Curves differ in style too, for prints in grey.
CYCLE = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"), (SKY, "--"))

TEXT, TITLE = 14, 18  # heights of letters in pixels
GAP, MARGIN = 2, 12  # between images, and round the picture, in pixels
GREY_LEVELS = 32  # of a GIF: two thirds of the bytes of 256 levels, and hardly to be told from them


class Chart(Figure):
    """A Matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self):
        memory = io.BytesIO()
        self.savefig(memory, format="png")
        return memory.getvalue()


def image_grid(
    images: Any,
    columns: int | None = None,
    scale: int | None = None,
    labels: Sequence[Any] | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return images in rows and columns.

    Parameters
    ----------
    images : array, shape (N, H, W, C) or (N, H, W)
    columns : int, optional
        Default: about as many as rows, and if possible a divisor of N.
    scale : int, optional
        Each pixel becomes a square of `scale` pixels. Default: what makes the grid about 900 pixels wide.
    labels : sequence of N texts, optional
        Written below the images.
    title : str, optional

    Raises
    ------
    InputError
        If the images have an unexpected shape, there are none, or they hold NaN.

    Examples
    --------
    >>> image_grid(np.zeros((6, 8, 8, 1)), columns=3, scale=10).size
    (268, 186)
    """
    pixels = _pixels("images", images)
    columns = _columns(len(pixels)) if columns is None else columns
    check_count("columns", columns)
    if labels is not None and len(labels) != len(pixels):
        raise InputError(f"labels has {len(labels)} entries, but {len(pixels)}, one per image, were expected.")
    return _sheet(pixels, columns, scale, title, [] if labels is None else [str(label) for label in labels])


def chain_strip(
    frames: Iterable[tuple[Any, Any, Any]],
    samples: int = 8,
    columns: int = 10,
    estimate: bool = False,
    scale: int | None = None,
    title: str | None = None,
) -> Image.Image:
    """Return a chain as a table: one row per sample, one column per time.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat)
        What a sampler yields.
    samples : int
        The first so many samples are shown.
    columns : int
        So many frames are shown, evenly spread, the first and the last among them.
    estimate : bool
        Show x_0_hat, the model's guess of the clean image, in place of x_t.
    scale, title
        As for `image_grid`.
    """
    check_count("columns", columns)
    chosen = _spread(_shrink(frames, samples), columns)
    pixels = np.stack([x_0_hat if estimate else x_t for _, x_t, x_0_hat, *_ in chosen], axis=1)
    times = [f"t = {t:.4g}" for t, *_ in chosen]
    return _sheet(pixels.reshape(-1, *pixels.shape[2:]), len(chosen), scale, title, column_labels=times)


def image_rows(
    rows: Mapping[str, Any],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[Any] = (),
) -> Image.Image:
    """Return images as a table whose rows have names.

    Parameters
    ----------
    rows : mapping from a name to images
        The same number in each row.
    scale, title
        As for `image_grid`.
    column_labels : sequence of texts
        Written above the columns, such as the digits asked for.
    """
    if not rows:
        raise InputError("rows is empty, but at least one row of images was expected.")
    pixels = [_pixels("images", images) for images in rows.values()]
    for row in pixels:
        check_shape("images", row, pixels[0].shape)
    above = [str(label) for label in column_labels]
    return _sheet(
        np.concatenate(pixels), len(pixels[0]), scale, title, column_labels=above, row_labels=[str(r) for r in rows]
    )


def training_progress(
    grids: Sequence[tuple[int, Any]],
    scale: int | None = None,
    title: str | None = None,
    column_labels: Sequence[Any] = (),
) -> Image.Image:
    """Return what the same starts gave as a model learned: one row per time, one column per start.

    Parameters
    ----------
    grids : sequence of (step, images)
        Optimizer step, and the images drawn then: the same number each time.
    scale, title, column_labels
        As for `image_rows`.
    """
    if not grids:
        raise InputError("grids is empty, but at least one (step, images) was expected.")
    return image_rows({f"step {step:,}": images for step, images in grids}, scale, title, column_labels)


def nearest_neighbours(
    samples: Any, neighbours: Any, distances: Any, scale: int | None = None, title: str | None = None
) -> Image.Image:
    """Return each sample, framed, beside its nearest training images, with their distances.

    Parameters
    ----------
    samples : array, shape (N, H, W, C) or (N, H, W)
    neighbours : array, shape (N, k, H, W, C) or (N, k, H, W)
    distances : array, shape (N, k)
        As `tinydiff.metrics.nearest_neighbours` gives them.
    scale, title
        As for `image_grid`.
    """
    pixels = _pixels("samples", samples)
    distances = to_numpy(distances)
    check_shape("distances", distances, (len(pixels), None))
    k = distances.shape[1]
    check_shape("neighbours", neighbours, (len(pixels), k, *samples.shape[1:]))
    near = _pixels("neighbours", neighbours.reshape(-1, *neighbours.shape[2:]))
    rows = np.concatenate([pixels[:, None], near.reshape(len(pixels), k, *pixels.shape[1:])], axis=1)
    labels = [text for row in distances for text in ("", *(f"{distance:.1f}" for distance in row))]
    blocks = max(1, min(8 // (k + 1), len(pixels)))
    return _sheet(
        rows.reshape(-1, *pixels.shape[1:]),
        blocks * (k + 1),
        scale,
        title,
        labels,
        column_labels=["sample", *(["nearest", "2nd", "3rd"] + [f"{i}th" for i in range(4, k + 1)])[:k]] * blocks,
        block=k + 1,
    )


def save_gif(frames: Sequence[Image.Image], path: str | Path, ms_per_frame: int = 80, hold_last: int = 2000) -> Path:
    """Save an animation that repeats for ever; atomic.

    All frames share one palette, so colours do not flicker.

    Parameters
    ----------
    frames : sequence of Pillow images of one size
    path : str or Path
    ms_per_frame, hold_last : int
        How long a frame, and the last one, are shown, in milliseconds (GIF counts hundredths of a second).

    Raises
    ------
    InputError
        If there are no frames, their sizes differ, or a time is below 20 ms, which browsers slow down.
    DataError
        If the file cannot be written.
    """
    if not frames:
        raise InputError("frames is empty, but at least one image was expected.")
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) > 1:
        raise InputError(f"frames have sizes {sizes[0]} and {sizes[1]}, but one size was expected.")
    check_number("ms_per_frame", ms_per_frame, 20, 65_000)
    check_number("hold_last", hold_last, 20, 600_000)
    first, *rest = _with_one_palette(frames)
    times = [ms_per_frame] * len(rest) + [hold_last]
    options: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": times, "loop": 0}
    return atomic_write(path, lambda file: first.save(file, format="GIF", optimize=False, **options))


def chain_gif(
    frames: Iterable[tuple[Any, ...]],
    path: str | Path,
    samples: int = 16,
    scale: int = 3,
    max_frames: int = 60,
    ms_per_frame: int = 80,
    hold_last: int = 2000,
) -> Path:
    """Save a chain as an animation: x_t beside the guess x_0_hat that led there, t above them.

    Parameters
    ----------
    frames : iterable of (t, x_t, x_0_hat) or (t, x_t, x_0_hat, eps_hat)
        What a sampler yields; with the predicted noise, it is shown as a third panel.
    path : str or Path
    samples : int
        The first so many samples are shown.
    scale : int
        As for `image_grid`.
    max_frames : int
        At most so many frames are kept, evenly spread, the first and the last among them.
    ms_per_frame, hold_last : int
        As for `save_gif`.
    """
    check_count("max_frames", max_frames)
    chosen = _spread(_shrink(frames, samples), max_frames)
    highest = max(t for t, *_ in chosen)
    titles = ("xₜ, being denoised", "x̂₀, the guess that led there", "ε̂, the noise predicted")
    pictures = []
    for t, *panels in chosen:
        sheets = [_sheet(p, _columns(len(p)), scale, title) for p, title in zip(panels, titles, strict=False)]
        pictures.append(_beside(sheets, f"t = {t:.4g}", t / highest if highest else 0))
    return save_gif(pictures, path, ms_per_frame, hold_last)


def loss_curve(log: Iterable[dict[str, Any]]) -> Figure:
    """Return the training and the validation loss over the optimizer steps.

    The raw training loss is drawn faint, and over it its mean in a sliding window, narrow where the run is
    young and the loss falls fast.

    Parameters
    ----------
    log : iterable of dicts
        The records of a training log: those with "step" and "loss" are drawn as training loss, those with
        "step" and "validation_loss" as validation loss.
    """
    log = list(log)
    step, loss = _series(log, "loss")
    validation_step, validation_loss = _series(log, "validation_loss")
    if not step.size and not validation_step.size:
        raise InputError('log has no record with "step" and "loss", so there is nothing to draw.')
    figure, axes = _loss_axes("optimizer step")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if step.size:
        axes.plot(step, loss, color=SKY, alpha=0.5, linewidth=0.8, label="training")
        axes.plot(step, _smooth(loss), color=BLUE, label="training, smoothed")
    if validation_step.size:
        style: dict[str, Any] = {"marker": "o", "markersize": 4, "linestyle": "--"}
        axes.plot(
            validation_step,
            validation_loss,
            color=VERMILION,
            label="validation, averaged weights",
            **style,
        )
    axes.legend(frameon=False)
    return figure


def loss_by_timestep(t: Any, loss: Any, standard_error: Any = None) -> Figure:
    """Return the loss over the step index t, on a logarithmic axis.

    Parameters
    ----------
    t, loss : arrays, shape (bins,)
        As `tinydiff.metrics.loss_by_timestep` gives them; NaN is left out.
    standard_error : array, shape (bins,), optional
        Draws a band of two standard errors on either side: about 95 % confidence.
    """
    t, loss = to_numpy(t), to_numpy(loss)
    check_rank("t", t, 1)
    check_shape("loss", loss, t.shape)
    figure, axes = _loss_axes("step t   (small: almost clean, large: almost noise)")
    axes.plot(t, loss, color=BLUE, marker="o", markersize=4)
    if standard_error is not None:
        band = 2 * to_numpy(standard_error)
        check_shape("standard_error", band, t.shape)
        axes.fill_between(t, loss - band, loss + band, color=SKY, alpha=0.4, linewidth=0, label="95 % confidence")
        axes.legend(frameon=False)
    return figure


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
    rows = {name: _pixels(name, images) for name, images in strips.items()}
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
    _style(below, "step t", "log-SNR in nats")
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
    figure, axes = _axes("step t", "x")
    colours = axes.pcolormesh(t, x, density / density.max(axis=0), cmap="cividis", shading="nearest", rasterized=True)
    axes.grid(visible=False)
    _title(axes, title)
    figure.colorbar(colours, label="density, in shares of its peak at each t")
    return figure


def curves(
    x: Any, lines: Mapping[str, Any], x_label: str, y_label: str, title: str | None = None, log: str = ""
) -> Figure:
    """Return up to six curves over the same x.

    Parameters
    ----------
    x : array, shape (M,)
    lines : mapping from a name to an array, shape (M,)
    x_label, y_label : str
    title : str, optional
    log : str
        Which axes are logarithmic: ``""``, ``"x"``, ``"y"`` or ``"xy"``.
    """
    x = to_numpy(x)
    check_rank("x", x, 1)
    check_choice("log", log, ("", "x", "y", "xy"))
    if not 1 <= len(lines) <= len(CYCLE):
        raise InputError(f"lines holds {len(lines)} curves, but 1 to {len(CYCLE)} were expected.")
    figure, axes = _axes(x_label, y_label)
    for (name, y), (color, style) in zip(lines.items(), CYCLE, strict=False):
        check_shape(name, to_numpy(y), x.shape)
        axes.plot(x, to_numpy(y), color=color, linestyle=style, label=name)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")
    _title(axes, title)
    axes.legend(frameon=False)
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
        _style(axes, "x before the step", "density" if axes is panels[0] else "")
        axes.fill_between(x, p, color=SKY, alpha=0.5, linewidth=0, label="exact")
        axes.plot(x, bell, color=VERMILION, linestyle="--", label="best bell")
        axes.set_ylim(0, 1.4 * max(p.max(), bell.max()))  # room for the legend
        _title(axes, name)
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
        _style(axes, "first coordinate", "second coordinate" if axes is panels[0] else "")
        axes.grid(visible=False)
        axes.pcolormesh(x, y, density, cmap="cividis", shading="nearest", rasterized=True)
        arrows = score[every // 2 :: every, every // 2 :: every]
        longest = np.linalg.norm(arrows, axis=-1).max() or 1.0
        places = (x[every // 2 :: every], y[every // 2 :: every])
        axes.quiver(*places, *np.moveaxis(arrows / longest, -1, 0), color=PAGE, scale=9, width=0.006)
        axes.set_aspect("equal")
        _title(axes, name)
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
    figure, axes = _axes(x_label, "density")
    for (name, density), (color, style) in zip(densities.items(), CYCLE, strict=False):
        density = to_numpy(density)
        check_shape(name, density, x.shape)
        axes.fill_between(x, density, color=color, alpha=0.18, linewidth=0)
        axes.plot(x, density, color=color, linestyle=style, label=name)
        axes.plot(x[density.argmax()], density.max(), color=color, marker="o", markersize=5)
    axes.set_ylim(bottom=0)
    axes.set_xlim(x[0], x[-1])
    _title(axes, title)
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
    figure, axes = _loss_axes("step t   (small: almost clean, large: almost noise)")
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
        _style(left, "step t" if last else "", "x")
        left.plot(t, chains[:, :12], color=color, linewidth=0.8, alpha=0.8)
        left.set_xlim(t.max(), t.min())
        _title(left, name)
        _style(right, "density at t = 0" if last else "", "")
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
        _style(axes, "first coordinate", "second coordinate" if axes is panels[0] else "")
        axes.plot(*points.T, linestyle="", marker=".", markersize=2, color=BLUE, alpha=0.5)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(-reach, reach)
        axes.set_aspect("equal")
        _title(axes, name)
    return figure


def jacobian(matrix: Any, d_y: Any, d_x: Any) -> Figure:
    """Return a vector-Jacobian product as a picture: the transposed Jacobian, times d_y, is d_x.

    Parameters
    ----------
    matrix : array, shape (N, M)
        ``matrix[i, j]`` is the derivative of y[i] in x[j].
    d_y : array, shape (N,)
    d_x : array, shape (M,)
    """
    matrix, d_y, d_x = to_numpy(matrix), to_numpy(d_y), to_numpy(d_x)
    check_rank("matrix", matrix, 2)
    check_shape("d_y", d_y, (len(matrix),))
    check_shape("d_x", d_x, (matrix.shape[1],))
    figure = Chart(figsize=(6.4, 3.6), dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, 3, width_ratios=[max(4, len(matrix)), 2, 2])
    titles = (f"Jacobian, transposed: {matrix.size:,} numbers", "times d_y", "= d_x")
    for axes, values, title in zip(panels, (matrix.T, d_y[:, None], d_x[:, None]), titles, strict=True):
        _signed(axes, values)
        _title(axes, title)
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
        Write the numbers into the squares.
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
        _signed(axes, values, largest)
        _title(axes, name)
        for (row, column), value in np.ndenumerate(values) if numbers else ():
            color = PAGE if abs(value) > 0.6 * largest else INK
            axes.text(column, row, f"{value:.2g}", color=color, fontsize=8, ha="center", va="center")
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


def save_image(picture: Image.Image | Figure, path: str | Path) -> Path:
    """Save a Pillow image as PNG, or a Matplotlib figure as PNG, SVG or PDF; atomic.

    Raises
    ------
    InputError
        If `path` has another ending.
    DataError
        If the file cannot be written.
    """
    ending = Path(path).suffix.lower()
    if isinstance(picture, Figure):
        check_choice("the ending of path", ending, (".png", ".svg", ".pdf"))
        return atomic_write(path, lambda file: picture.savefig(file, format=ending[1:]))
    check_choice("the ending of path", ending, (".png",))
    return atomic_write(path, lambda file: picture.save(file, format="PNG", optimize=True))


def _pixels(name: str, images: Any) -> np.ndarray:
    """Return images as uint8 of shape (N, H, W, 3)."""
    images = to_numpy(images)
    check_rank(name, images, 3, 4)
    images = images[..., None] if images.ndim == 3 else images
    if not images.size:
        raise InputError(f"{name} has shape {images.shape}: there is nothing to draw.")
    if images.shape[-1] not in (1, 3):
        raise InputError(f"{name} has {images.shape[-1]} channels, but 1 (grey) or 3 (red, green, blue) were expected.")
    if images.dtype != np.uint8:
        if not np.isfinite(images).all():
            raise InputError(f"{name} holds NaN or infinity, but numbers from -1 to 1 were expected.")
        images = np.rint((images.clip(-1, 1) + 1) * 127.5).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def _columns(n: int) -> int:
    """Return the smallest divisor of `n` from sqrt(n) to twice that, or sqrt(n) rounded up if there is none."""
    root = math.isqrt(n - 1) + 1
    return next((columns for columns in range(root, 2 * root + 1) if n % columns == 0), root)


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that Matplotlib brings along and uses for figures."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def _sheet(
    pixels: np.ndarray,
    columns: int,
    scale: int | None,
    title: str | None = None,
    labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
    block: int | None = None,
) -> Image.Image:
    """Return images in a table with texts; in blocks of `block` columns, the first image of each framed."""
    n, height, width, _ = pixels.shape
    columns, rows = min(columns, n), -(-n // columns)
    scale = max(1, min(900 // (columns * width), 128 // max(height, width))) if scale is None else scale
    check_count("scale", scale)
    height, width = height * scale, width * scale

    line, small, large = TEXT + 8, _font(TEXT), _font(TITLE)
    pitch_x = max([width, *(math.ceil(small.getlength(text)) + 6 for text in (*labels, *column_labels))]) + GAP
    pitch_y = height + (line + 4 if labels else 0) + GAP
    left = MARGIN + max([0, *(math.ceil(small.getlength(text)) + 8 for text in row_labels)])
    top = MARGIN + (TITLE + 10 if title else 0) + (line if column_labels else 0)
    xs = [left + column * pitch_x + column // (block or columns) * MARGIN for column in range(columns)]
    right = max(xs[-1] + pitch_x - GAP, left + math.ceil(large.getlength(title or "")))
    bottom = top + rows * pitch_y - GAP
    places = [(xs[i % columns] + (pitch_x - GAP - width) // 2, top + i // columns * pitch_y) for i in range(n)]

    canvas = np.full((bottom + MARGIN, right + MARGIN, 3), 255, np.uint8)
    for image, (x, y) in zip(pixels, places, strict=True):
        canvas[y : y + height, x : x + width] = image.repeat(scale, axis=0).repeat(scale, axis=1)
    sheet = Image.fromarray(canvas)
    draw = ImageDraw.Draw(sheet)
    for x, y in places[::block] if block else ():
        frame = (x - GAP, y - GAP, x + width + GAP - 1, y + height + GAP - 1)
        draw.rectangle(frame, outline=ORANGE, width=GAP)
    draw.text((left, MARGIN), title or "", INK, large, anchor="la")
    for text, (x, y) in zip(labels, places, strict=False):
        draw.text((x + width // 2, y + height + line // 2), text, INK, small, anchor="mm")
    for text, (x, y) in zip(column_labels, places, strict=False):
        draw.text((x + width // 2, y - line // 2), text, INK, small, anchor="mm")
    for text, (x, y) in zip(row_labels, places[::columns], strict=False):
        draw.text((x - 8, y + height // 2), text, INK, small, anchor="rm")
    return sheet


def _beside(sheets: Sequence[Image.Image], caption: str, share_to_go: float) -> Image.Image:
    """Return pictures of one height side by side, under a caption and a bar that grows as the share to go falls."""
    band = TITLE + 2 * MARGIN
    together = Image.new("RGB", (sum(sheet.width for sheet in sheets), sheets[0].height + band), PAGE)
    for i, sheet in enumerate(sheets):
        together.paste(sheet, (sum(before.width for before in sheets[:i]), band))
    draw = ImageDraw.Draw(together)
    draw.text((MARGIN, MARGIN), caption, INK, _font(TITLE), anchor="la")
    start, end, middle = MARGIN + 110, together.width - MARGIN, MARGIN + TITLE // 2
    draw.rectangle((start, middle - 3, end, middle + 3), fill="#E0E0E0")
    draw.rectangle((start, middle - 3, start + round((end - start) * (1 - share_to_go)), middle + 3), fill=INK)
    return together


def _shrink(frames: Iterable[tuple[Any, ...]], samples: int) -> list[tuple[Any, ...]]:
    """Return the first samples of each frame as uint8 on the host: a long chain would not fit as floats."""
    check_count("samples", samples)
    names = ("x_t", "x_0_hat", "eps_hat")
    small = [
        (float(t), *(_pixels(name, panel[:samples]) for name, panel in zip(names, panels, strict=False)))
        for t, *panels in frames
    ]
    if not small:
        raise InputError("frames is empty, but at least one (t, x_t, x_0_hat) was expected.")
    return small


def _spread(items: list, n: int) -> list:
    """Return at most `n` of the items, evenly spread, with the last and, for n > 1, the first among them."""
    steps = np.linspace(len(items) - 1, 0, min(n, len(items)))
    return [items[i] for i in np.rint(steps).astype(int)[::-1]]


def _with_one_palette(frames: Sequence[Image.Image]) -> list[Image.Image]:
    """Return the frames in grey levels if all are grey, else in the colours that suit all of them together."""
    frames = [frame.convert("RGB") for frame in frames]
    if all(red == green == blue for frame in frames for red, green, blue in [_bands(frame)]):
        levels = [round(round(v * (GREY_LEVELS - 1) / 255) * 255 / (GREY_LEVELS - 1)) for v in range(256)]
        return [frame.convert("L").point(levels) for frame in frames]
    some = [np.asarray(frame) for frame in _spread(list(frames), 16)]
    palette = Image.fromarray(np.concatenate(some)).quantize(128)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _bands(frame: Image.Image) -> tuple[bytes, ...]:
    return tuple(band.tobytes() for band in frame.split())


def _axes(x_label: str, y_label: str) -> tuple[Chart, Axes]:
    """Return a figure in the style of all charts and its axes."""
    figure = Chart(figsize=(7, 4.2), dpi=130, layout="constrained", facecolor=PAGE)
    axes = figure.add_subplot()
    _style(axes, x_label, y_label)
    return figure, axes


def _style(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, fontsize=11, color=INK)
    axes.set_ylabel(y_label, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def _signed(axes: Axes, values: np.ndarray, largest: float = 0.0) -> None:
    """Draw a matrix as squares: one colour for numbers above 0, another for those below, white for 0."""
    largest = largest or abs(values).max() or 1.0
    axes.imshow(values, cmap="PuOr", vmin=-largest, vmax=largest, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FAINT)


def _title(axes: Axes, title: str | None) -> None:
    if title is not None:
        axes.set_title(title, fontsize=12, color=INK, loc="left")


def _loss_axes(x_label: str) -> tuple[Chart, Axes]:
    figure, axes = _axes(x_label, "loss: mean squared error per pixel (log scale)")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure, axes


def _series(log: list[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and the values of the records that have a value for `key`."""
    records = [record for record in log if "step" in record and record.get(key) is not None]
    return np.array([r["step"] for r in records], float), np.array([r[key] for r in records], float)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return the mean over as far as a quarter of the way back to the start, at most a fortieth of all."""
    i, n = np.arange(len(values)), len(values)
    reach = np.minimum(i // 4, n // 40)
    first, after = i - reach, np.minimum(i + reach + 1, n)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[after] - sums[first]) / (after - first)
