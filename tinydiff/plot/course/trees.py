"""Pictures of the course: what to ask when something is wrong, as a tree."""

from collections.abc import Mapping, Sequence
from textwrap import fill

from matplotlib.figure import Figure

from tinydiff.base import InputError, checked
from tinydiff.plot.style import BLUE, INK, PAGE, VERMILION, Chart, drawable

MOST_BRANCHES, WIDTH = 10, 84  # letters in a line of an answer


@checked()
def decision_tree(root: str, branches: Mapping[str, Sequence[str]]) -> Figure:
    """Return a tree that is read from left to right: a question, what one may see, and what to look at then.

    Parameters
    ----------
    root : str
        The question at the left.
    branches : mapping from a name to a sequence of texts
        What one may see, at most 10 things, and under each what to look at, in order.

    Raises
    ------
    InputError
        If there is no branch, there are too many, or one has no leaf.
    """
    if not 1 <= len(branches) <= MOST_BRANCHES:
        raise InputError(f"branches holds {len(branches)}, but 1 to {MOST_BRANCHES} were expected.")
    for name, leaves in branches.items():
        if not leaves:
            raise InputError(f"branches has nothing under {name!r}, but at least one text was expected.")
    texts = {name: [fill(drawable(leaf), WIDTH) for leaf in leaves] for name, leaves in branches.items()}
    lines = {name: [text.count("\n") + 1 for text in leaves] for name, leaves in texts.items()}
    height = sum(sum(counts) for counts in lines.values()) + 0.7 * len(branches)
    figure = Chart(figsize=(8.6, 0.17 * height + 0.3), dpi=130, layout="constrained", facecolor=PAGE)
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(height, 0)
    axes.axis("off")
    axes.text(0.0, height / 2, fill(drawable(root), 14), color=INK, va="center", fontsize=9)
    top = 0.35
    for name, leaves in texts.items():
        middle = top + sum(lines[name]) / 2
        axes.plot([0.13, 0.19], [height / 2, middle], color=BLUE, linewidth=0.8)
        axes.text(0.2, middle, drawable(name), color=VERMILION, va="center", fontsize=9, weight="bold")
        for leaf, count in zip(leaves, lines[name], strict=True):
            axes.plot([0.33, 0.37], [middle, top + count / 2], color=BLUE, linewidth=0.6)
            axes.text(0.38, top + count / 2, leaf, color=INK, va="center", fontsize=7)
            top += count
        top += 0.7
    return figure
