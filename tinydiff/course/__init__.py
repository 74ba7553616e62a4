"""Tools of the notebooks: exercises that check an answer, the source of a function, sliders, a playground."""

from tinydiff.course.exercise import Exercise
from tinydiff.course.homework import Answer, Homework, check_notebook
from tinydiff.course.judges import falls_with_order
from tinydiff.course.museum import museum_label, what_now
from tinydiff.course.playground import flow_of_points
from tinydiff.course.source import show_source
from tinydiff.course.widgets import panel, slider

__all__ = [
    "Answer",
    "Exercise",
    "Homework",
    "check_notebook",
    "falls_with_order",
    "flow_of_points",
    "museum_label",
    "panel",
    "show_source",
    "slider",
    "what_now",
]
