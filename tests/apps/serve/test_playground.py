"""The playground of the demo page: what is read, what is shown, and that the server draws and refuses it."""

import html
import json
import re
import urllib.request

import numpy as np
import pytest
from demo_server import picture_of, post

from tinydiff.apps.serve.playground import FLOWING, MOST_CHARACTERS, START, flow, read_points, shown_flow
from tinydiff.base import InputError
from tinydiff.course.playground import MOST_DRAWN, MOST_STEPS

ASKED = {"points": "-0.5 0; 0.5, 1;", "sampler": "ddim", "steps": 4, "seed": 5}
BAD = [
    ("points", None, "The points are None, but a text"),
    ("points", ["0 0"], r"The points are \['0 0'\]"),
    ("points", "", "There are 0 points, but 1 to 500"),
    ("points", " ; ;", "There are 0 points"),
    ("points", "0 0;" * (MOST_DRAWN + 1), "There are 501 points"),
    ("points", "0" * (MOST_CHARACTERS + 1), "The points have 10,001 characters"),
    ("points", "0 0; 1", "'1' is no point"),
    ("points", "0 0; 1 2 3", "'1 2 3' is no point"),
    ("points", "0 nan", "'0 nan' is no point"),
    ("points", "0 1e5", "'0 1e5' is no point"),
    ("points", "0 \u0663", "is no point"),  # a digit of another script
    ("points", "<b>0</b> 1", "is no point"),
    ("points", "0 -3.5", "A coordinate is -3.5"),
    ("sampler", "Euler", "The sampler is 'Euler'"),
    ("sampler", None, "The sampler is None"),
    ("steps", 0, "The number of steps is 0"),
    ("steps", MOST_STEPS + 1, "The number of steps is 251"),
    ("steps", "4", "The number of steps is '4'"),
    ("seed", -1, "The seed is -1"),
    ("seed", 10**400, "The seed is 1000"),
]


def flows(**asked):
    return list(flow(**ASKED | asked))


def test_points_are_read_as_they_are_typed():
    np.testing.assert_array_equal(read_points(" -.5 0; +0.5,1. ;; 1 2"), [[-0.5, 0], [0.5, 1], [1, 2]])
    assert read_points(START).shape == (7, 2)


@pytest.mark.parametrize(("name", "value", "told"), BAD)
def test_a_bad_request_is_refused_by_the_call(name, value, told):
    with pytest.raises(InputError, match=told):
        flow(**ASKED | {name: value})


def test_noise_flows_to_the_points():
    frames = flows(steps=30)
    assert [frame.step for frame in frames] == list(range(1, 31))
    assert frames[-1].x_t.shape == (FLOWING, 2)
    data = read_points(ASKED["points"])
    assert np.linalg.norm(frames[-1].x_t[:, None] - data, axis=2).min(axis=1).mean() < 0.02


def test_what_is_shown_is_told_in_words_too():
    first, *_, end = flows(steps=30)
    data = read_points(ASKED["points"])
    text = shown_flow(end, data)
    assert text.count("<img") == 2
    assert 'alt="the points at the end, step 30 of 30"' in text
    (distance,) = re.findall(r"on average ([0-9.]+) from the nearest of your 2 points", text)
    assert float(distance) < 0.02
    assert 'role="status"' in text
    assert 'role="status"' not in shown_flow(first, data)  # a reader is not told of every step
    assert "&lt;b&gt;" in shown_flow(first, data, "<b>stopped")
    assert (picture_of(text) < 255).any()


def ask(address, *values):
    """Ask for a flow; return the last event of the answer, its name and its data."""
    status, text = post(address, "/call/flow", json.dumps({"data": values}).encode())
    assert status == 200, text
    with urllib.request.urlopen(f"{address}/gradio_api/call/flow/{json.loads(text)['event_id']}") as stream:
        *_, (name, data) = re.findall(r"event: (\w+)\ndata: (.*)\n", stream.read().decode())
    return name, json.loads(data)


@pytest.mark.slow
def test_the_server_lets_noise_flow_and_says_what_is_wrong(address):
    name, (shown,) = ask(address, *ASKED.values())
    assert name == "complete"
    assert shown == shown_flow(flows()[-1], read_points(ASKED["points"]))
    for name, value, words in BAD:
        event, data = ask(address, *(ASKED | {name: value}).values())
        assert event == "error"
        assert re.search(words, html.unescape(data["error"])), data
    assert ask(address, *ASKED.values())[0] == "complete"


@pytest.mark.slow
def test_in_a_browser_points_are_drawn_by_mouse_or_typed(address, browser_page):
    there, errors = browser_page, []
    there.on("pageerror", lambda error: errors.append(str(error)))
    there.goto(address)
    there.get_by_role("tab", name="Points in a plane").click()
    field = there.get_by_role("textbox", name="Points")
    there.locator("#board circle").first.wait_for(state="attached")
    assert there.locator("#board circle").count() == 7
    there.get_by_role("button", name="Clear the points").click()
    there.wait_for_function("document.querySelectorAll('#board circle').length === 0")
    box = there.locator("#board").bounding_box()
    there.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4)
    there.wait_for_function("document.querySelectorAll('#board circle').length === 1")
    x, y = map(float, field.input_value().split())
    assert abs(x) < 0.05
    assert abs(y - 1.1) < 0.05
    field.fill(ASKED["points"])
    there.wait_for_function("document.querySelectorAll('#board circle').length === 2")
    there.get_by_role("button", name="Let noise flow").focus()
    there.keyboard.press("Enter")
    there.get_by_text("from the nearest of your 2 points").wait_for()
    assert there.locator("#plane img").count() == 2
    assert not errors
