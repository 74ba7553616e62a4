"""Good calls of `tinydiff.course`: exercises, and what is shown in a notebook."""

import functools

import numpy as np

from tinydiff import course as C


def double(x):
    return 2 * x


def exercise():
    return C.Exercise("transcribe", double, [(np.ones(2),)], ("y",), {}, ("Double it.",), "Right.")


@functools.wraps(C.flow_of_points)
def flowed(**arguments):
    return [x_t for _, x_t, _ in C.flow_of_points(**arguments)]


CALLS = {
    "Exercise": lambda: (
        C.Exercise,
        {
            "grade": "derive",
            "reference": double,
            "cases": [(np.ones(2),)],
            "returns": ("y",),
            "mistakes": {"It is halved.": abs},
            "hints": ("Add it to itself.",),
            "praise": "Right.",
            "tolerance": 1e-6,
            "changes": ("x",),
            "judge": None,
        },
    ),
    "Exercise.hint": lambda: (exercise().hint, {"level": 1}),
    "falls_with_order": lambda: (
        lambda steps, exact, order: C.falls_with_order(steps, exact, order)([[np.full(2, 1 / n)] for n in (2, 4)]),
        {"steps": [2, 4], "exact": [np.zeros(2), np.zeros(2)], "order": 1.0},
    ),
    "museum_label": lambda: (C.museum_label, {"number": 5}),
    "what_now": lambda: (C.what_now, {"symptom": "grey"}),
    "flow_of_points": lambda: (
        flowed,
        {"points": np.eye(2), "n": 3, "sampler": "ddim", "steps": 2, "seed": 1},
    ),
    "show_source": lambda: (lambda function: C.show_source(function), {"function": double}),
}
RECORDS = {"Answer", "Homework"}
WITHOUT = {
    "Exercise.check",
    "Exercise.verdict",
    "Exercise.outputs",
    "check_notebook",
    "slider",
    "panel",
}  # an answer may be anything; displays of a notebook
