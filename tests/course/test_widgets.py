"""What notebooks show: sources without docstrings, and sliders."""

import sys

import IPython.display
import numpy as np
import pytest

from tinydiff import plot
from tinydiff.base import InputError
from tinydiff.course import panel, show_source, slider
from tinydiff.diffusion import GaussianDiffusion


def test_source_is_shown_without_its_docstring(capsys):
    show_source(GaussianDiffusion.snr, GaussianDiffusion.score_from_eps)
    shown = capsys.readouterr().out
    assert shown.startswith("def snr(self, t: Time) -> float | Array:\n    alpha_bar, noise = self._shares(t)\n")
    assert "signal-to-noise" not in shown
    assert "def score_from_eps(self, eps: Array, t: Time) -> Array:\n    _, b" in shown


def draw(value):
    return plot.image_grid(np.full((1, 2, 2), value / 10), scale=4)


@pytest.fixture
def displayed(monkeypatch):
    things = []
    monkeypatch.setattr(IPython.display, "display", things.append)
    return things


def test_slider_shows_the_middle_and_then_what_was_chosen(displayed):
    ipywidgets = pytest.importorskip("ipywidgets")
    slider(draw, range(5), "v")
    (box,) = displayed
    chooser, shown = box.children
    assert isinstance(shown, ipywidgets.Image)
    assert (chooser.value, chooser.description) == (2, "v")
    assert shown.value == draw(2)._repr_png_()
    chooser.value = 4
    assert shown.value == draw(4)._repr_png_()


def test_without_ipywidgets_one_picture_is_shown(displayed, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    slider(draw, range(5), "v", start=1)
    assert [picture.tobytes() for picture in displayed] == [draw(1).tobytes()]


def test_slider_refuses_a_start_that_is_no_place():
    with pytest.raises(InputError, match="start is -1"):
        slider(draw, range(5), "v", start=-1)


def draw_text(text, height, width):
    return plot.image_grid(np.zeros((1, height, width)), scale=4, title=text)


def test_panel_shows_what_is_typed_and_chosen(displayed):
    pytest.importorskip("ipywidgets")
    panel(draw_text, "red", height=(1, 2, 3), width=(4, 5))
    (box,) = displayed
    field, height, width, shown = box.children
    assert (field.value, height.value, width.value) == ("red", 2, 5)
    assert shown.value == draw_text("red", 2, 5)._repr_png_()
    field.value, width.value = "green", 4
    assert shown.value == draw_text("green", 2, 4)._repr_png_()


def test_panel_without_ipywidgets_is_one_picture(displayed, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    panel(draw_text, "red", height=(1, 2, 3), width=(4, 5))
    assert [picture.tobytes() for picture in displayed] == [draw_text("red", 2, 5).tobytes()]
