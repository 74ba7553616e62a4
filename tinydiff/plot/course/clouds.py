"""Pictures of the course: points in the plane, scores and paths."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tinydiff.base import Array, InputError, check_positive, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.style import BLUE, CYCLE, FAINT, INK, PAGE, Chart, dress, new_loss_axes, set_title


@checked()
def score_fields(x: Array, y: Array, densities: Mapping[str, Array], scores: Mapping[str, Array]) -> Figure:
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
        positions = (x[every // 2 :: every], y[every // 2 :: every])
        axes.quiver(*positions, *np.moveaxis(arrows / longest, -1, 0), color=PAGE, scale=9, width=0.006)
        axes.set_aspect("equal")
        set_title(axes, name)
    return figure


@checked()
def loss_by_timestep_runs(t: Array, losses: Mapping[str, Array], floor: Array) -> Figure:
    """Return the loss over the step index t at several moments of a training, above the least possible loss.

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


@checked()
def paths_to_data(t: Array, paths: Mapping[str, Array], x: Array, density: Array) -> Figure:
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


@checked()
def point_clouds(clouds: Mapping[str, Array], reach: float) -> Figure:
    """Return points in the plane, one panel for each cloud.

    Parameters
    ----------
    clouds : mapping from a name to an array, shape (N, 2)
        Up to five.
    reach : float
        Both coordinates are drawn from -reach to reach; points outside are not seen.
    """
    check_positive("reach", reach)
    if not 1 <= len(clouds) <= 5:
        raise InputError(f"clouds holds {len(clouds)} clouds, but 1 to 5 were expected.")
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
