"""Charts: the loss of a training run, and curves of any numbers, as Matplotlib figures."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tinydiff.base import Array, InputError, check_choice, check_rank, check_shape, checked, to_numpy
from tinydiff.plot.style import BLUE, CYCLE, SKY, VERMILION, drawable, label_decades, new_axes, new_loss_axes, set_title


@checked()
def loss_curve(log: Iterable[dict[str, Any]]) -> Figure:
    """Return the training and the validation loss over the optimizer steps.

    The raw training loss is drawn faint, and over it its mean in a sliding window, which is narrow at the start,
    where the loss falls fast.

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
    figure, axes = new_loss_axes("optimizer step")
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


@checked()
def loss_by_timestep_curve(t: Array, loss: Array, standard_error: Array | None = None) -> Figure:
    """Return the loss over the step index t, on a logarithmic axis.

    Parameters
    ----------
    t, loss : arrays, shape (bins,)
        As `tinydiff.evaluate.loss_by_timestep` gives them; NaN is left out.
    standard_error : array, shape (bins,), optional
        Draws a band of two standard errors on either side: about 95 % confidence.
    """
    t, loss = to_numpy(t), to_numpy(loss)
    check_rank("t", t, 1)
    check_shape("loss", loss, t.shape)
    figure, axes = new_loss_axes("step t   (small: almost clean, large: almost noise)")
    axes.plot(t, loss, color=BLUE, marker="o", markersize=4)
    if standard_error is not None:
        band = 2 * to_numpy(standard_error)
        check_shape("standard_error", band, t.shape)
        axes.fill_between(t, loss - band, loss + band, color=SKY, alpha=0.4, linewidth=0, label="95 % confidence")
        axes.legend(frameon=False)
    return figure


@checked()
def curves(
    x: Array, lines: Mapping[str, Array], x_label: str, y_label: str, title: str | None = None, log: str = ""
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
    figure, axes = new_axes(x_label, y_label)
    for (name, y), (color, style) in zip(lines.items(), CYCLE, strict=False):
        check_shape(name, to_numpy(y), x.shape)
        axes.plot(x, to_numpy(y), color=color, linestyle=style, label=drawable(name))
    if "x" in log:
        axes.set_xscale("log")
        label_decades(axes.xaxis)
    if "y" in log:
        axes.set_yscale("log")
        label_decades(axes.yaxis)
    set_title(axes, title)
    axes.legend(frameon=False)
    return figure


def _series(log: list[dict[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps and the values of the records that have a value for `key`."""
    records = [record for record in log if "step" in record and record.get(key) is not None]
    return np.array([r["step"] for r in records], float), np.array([r[key] for r in records], float)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return means in a window round each value; it reaches i // 4 values to each side, at most a fortieth of all."""
    i, n = np.arange(len(values)), len(values)
    reach = np.minimum(i // 4, n // 40)
    first, after = i - reach, np.minimum(i + reach + 1, n)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[after] - sums[first]) / (after - first)
