"""Good calls of `tinydiff.course`: exercises, and what is shown in a notebook."""

import numpy as np

from tinydiff import course as C


def double(x):
    return 2 * x


def exercise():
    return C.Exercise(double, [(np.ones(2),)], ("y",), {}, "Right.")


CALLS = {
    "Exercise": lambda: (
        C.Exercise,
        {
            "reference": double,
            "cases": [(np.ones(2),)],
            "returns": ("y",),
            "mistakes": {"It is halved.": abs},
            "praise": "Right.",
            "tolerance": 1e-6,
        },
    ),
    "show_source": lambda: (lambda function: C.show_source(function), {"function": double}),
}
WITHOUT = {"Exercise.check", "Exercise.verdict", "slider", "panel"}  # an answer may be anything; displays of a notebook
