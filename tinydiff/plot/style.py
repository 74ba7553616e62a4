"""The common style of all pictures: colours and axes."""

import functools
import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import LogLocator, NullFormatter

from tinydiff.base import printable

# Okabe and Ito's colours (2008), told apart with any kind of colour vision; black and grey are for text.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW = "#56B4E9", "#CC79A7", "#F0E442"
INK, FAINT, PAGE = "#222222", "#BBBBBB", "#FFFFFF"

# Curves differ in style too, for prints in grey.
CYCLE = ((BLUE, "-"), (VERMILION, "--"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "-"), (SKY, "--"))


class Chart(Figure):
    """A Matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self):
        memory = io.BytesIO()
        self.savefig(memory, format="png")
        return memory.getvalue()


def new_axes(x_label: str, y_label: str) -> tuple[Chart, Axes]:
    """Return a figure in the style of all charts and its axes."""
    figure = Chart(figsize=(7, 4.2), dpi=130, layout="constrained", facecolor=PAGE)
    axes = figure.add_subplot()
    dress(axes, x_label, y_label)
    return figure, axes


def dress(axes: Axes, x_label: str, y_label: str) -> None:
    """Give axes the style of all charts."""
    axes.set_xlabel(x_label, fontsize=11, color=INK)
    axes.set_ylabel(y_label, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
    axes.set_axisbelow(True)


def label_decades(axis: Axis) -> None:
    """Give a logarithmic axis numbers that can be read: 1, 2, 5, 10 if it is short, powers of ten if it is long."""
    low, high = axis.get_view_interval()
    if high < 500 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def draw_signed(axes: Axes, values: np.ndarray, largest: float = 0.0) -> None:
    """Draw a matrix as squares: one colour for numbers above 0, another for those below, white for 0."""
    largest = largest or abs(values).max() or 1.0
    axes.imshow(values, cmap="PuOr", vmin=-largest, vmax=largest, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(FAINT)


def drawable(text: str) -> str:
    """Return a text of somebody else's as Matplotlib can draw it: no formulas, and a sign for letters it lacks."""
    known = _letters()
    text = "".join(c if ord(c) in known or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in printable(text, "\n"))
    return text.replace("$", r"\$")  # a pair of dollars would begin a formula


@functools.cache
def _letters():
    """Return the numbers of the characters that the font of all charts has."""
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def set_title(axes: Axes, title: str | None) -> None:
    """Write a title, if there is one."""
    if title is not None:
        axes.set_title(drawable(title), fontsize=12, color=INK, loc="left")


def new_loss_axes(x_label: str) -> tuple[Chart, Axes]:
    """Return a figure and its axes for losses, on a logarithmic scale with numbers at all ticks."""
    figure, axes = new_axes(x_label, "loss: mean squared error per pixel (log scale)")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure, axes
