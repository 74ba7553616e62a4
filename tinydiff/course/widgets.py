"""Sliders and panels of notebooks."""

from collections.abc import Callable, Sequence
from typing import Any

from tinydiff.base import check_count


def slider(draw: Callable[[Any], Any], values: Sequence[Any], label: str, start: int | None = None) -> None:
    """Show ``draw(value)`` for the value that a slider chooses; without ipywidgets, for the first one shown.

    Parameters
    ----------
    draw : callable
        Takes one of the values and returns a picture of `tinydiff.plot`.
    values : sequence
        What the slider can choose.
    label : str
        Written beside the slider.
    start : int, optional
        Index of the value shown first; default: the middle.
    """
    from IPython.display import display

    start = len(values) // 2 if start is None else start
    check_count("start", start, 0)
    first = draw(values[start])
    try:
        from ipywidgets import Image, SelectionSlider, VBox
    except ImportError:
        display(first)
        return
    chooser = SelectionSlider(options=list(values), value=values[start], description=label, continuous_update=False)
    # An image of our own, and not `interact`: its output area sometimes hangs where nbclient runs a notebook
    # (https://github.com/jupyter/nbclient/issues/312).
    shown = Image(value=first._repr_png_(), format="png")

    def redraw(change):
        shown.value = draw(change["new"])._repr_png_()

    chooser.observe(redraw, names="value")
    display(VBox([chooser, shown]))


def panel(draw: Callable[..., Any], text: str, **choices: Sequence[Any]) -> None:
    """Show ``draw(text, **chosen)`` for what is typed and chosen; without ipywidgets, for the first values.

    Parameters
    ----------
    draw : callable
        Takes a text and one value for each name, and returns a picture of `tinydiff.plot`.
    text : str
        The text that the field holds at first.
    **choices : sequences
        What the sliders can choose, by name; the middle is shown first.
    """
    from IPython.display import display

    starts = {name: values[len(values) // 2] for name, values in choices.items()}
    first = draw(text, **starts)
    try:
        from ipywidgets import Image, SelectionSlider, Text, VBox
    except ImportError:
        display(first)
        return
    field = Text(value=text, description="prompt", continuous_update=False, layout={"width": "40em"})
    sliders = {
        name: SelectionSlider(options=list(values), value=starts[name], description=name, continuous_update=False)
        for name, values in choices.items()
    }
    shown = Image(value=first._repr_png_(), format="png")

    def redraw(_):
        chosen = {name: slider.value for name, slider in sliders.items()}
        shown.value = draw(field.value, **chosen)._repr_png_()

    for widget in (field, *sliders.values()):
        widget.observe(redraw, names="value")
    display(VBox([field, *sliders.values(), shown]))
