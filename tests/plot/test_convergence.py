"""The picture of errors against calls: what it draws, in which colours, and what it refuses."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.plot import Line, error_against_calls
from tinydiff.plot.convergence import OF_ORDER, _apart

CALLS = np.array([10.0, 20.0, 40.0])
LINES = {
    "ddim": Line(CALLS, 1 / CALLS, 1),
    "heun": Line(2 * CALLS, CALLS**-2.0, 2),
    "of nothing": Line(CALLS, CALLS**-1.5),
}


def test_lines_have_the_colour_of_their_order_and_their_name_at_the_end():
    (axes,) = error_against_calls(LINES, "a title").axes
    drawn = [line for line in axes.lines if line.get_marker() not in ("None", None, "")]
    assert [line.get_color() for line in drawn] == [OF_ORDER[order] for order in (1, 2, 0)]
    for line, (calls, errors, _) in zip(drawn, LINES.values(), strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.stack([calls, errors], axis=1))
    assert {text.get_text() for text in axes.texts} >= {"ddim", "heun", "of nothing", "order", "1", "2"}
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_title(loc="left")) == ("log", "log", "a title")


def test_long_names_have_room_to_the_right_of_the_axes():
    figure = error_against_calls(
        {"DPMSolverMultistepScheduler, solver_order 3, algorithm_type dpmsolver": LINES["ddim"]}
    )
    figure.draw_without_rendering()
    (name,) = (text for text in figure.axes[0].texts if text.get_text().startswith("DPM"))
    assert name.get_window_extent().x1 < figure.bbox.x1


def test_triangles_have_the_slopes_of_the_orders():
    (axes,) = error_against_calls(LINES).axes
    slopes = []
    for line in axes.lines:
        x, y = np.asarray(line.get_xydata()).T
        if (
            line.get_marker() in ("None", None, "")
            and line.get_transform() == axes.transData
            and len(x) == 2
            and x[0] != x[1]
        ):
            slopes.append(np.log(y[0] / y[1]) / np.log(x[1] / x[0]))
    np.testing.assert_allclose(sorted(slopes), [0, 1, 2], atol=1e-9)


def test_errors_below_the_floor_are_left_out():
    (axes,) = error_against_calls({"a": Line(CALLS, np.array([1e-2, 1e-4, 1e-15]), 2)}, floor=1e-10).axes
    assert len(axes.lines[0].get_xydata()) == 2


def test_names_are_moved_apart_and_keep_their_order():
    places = _apart(np.array([0.5, 0.5, 0.5, 0.49, 0.1]), 0.05)
    assert (np.diff(places) <= -0.05 + 1e-6).all()
    assert abs(places - np.array([0.5, 0.5, 0.5, 0.49, 0.1])).max() < 0.12


@pytest.mark.parametrize(
    ("lines", "more", "words"),
    [
        ({}, {}, "lines holds 0"),
        ({str(i): LINES["ddim"] for i in range(41)}, {}, "lines holds 41"),
        ({"a": Line(CALLS, CALLS[:2], 1)}, {}, "a has shape"),
        ({"a": Line(CALLS, 0 * CALLS, 1)}, {}, "a has no error above 0"),
        (LINES, {"floor": 10.0}, "ddim has no error above 10"),
    ],
)
def test_what_cannot_be_drawn_is_refused(lines, more, words):
    with pytest.raises(InputError, match=words):
        error_against_calls(lines, **more)
