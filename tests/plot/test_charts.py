"""Charts draw the numbers they were given: losses and other curves."""

import io

import numpy as np
import pytest
from pictures import RNG, drawn, lines_of
from PIL import Image

from tinydiff import plot
from tinydiff.base import InputError


def test_loss_curve_draws_both_losses_on_a_labelled_logarithmic_axis():
    log = [{"step": s, "loss": 1 / s} for s in range(1, 101)]
    log += [{"step": s, "validation_loss": 2 / s, "loss": None} for s in (50, 100)] + [{"event": "saved"}]
    figure = plot.loss_curve(log)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    lines = lines_of(figure)
    np.testing.assert_array_equal(lines["training"], [(s, 1 / s) for s in range(1, 101)])
    np.testing.assert_array_equal(lines["validation, averaged weights"], [(50, 2 / 50), (100, 2 / 100)])


@pytest.mark.parametrize("n", [1, 2, 39, 40, 5000])
def test_smoothing_keeps_a_straight_line_and_calms_noise(n):
    line = np.linspace(3, 1, n)
    inner = slice(0, n - n // 40)  # at the end the window has no right half
    np.testing.assert_allclose(plot.charts._smooth(line)[inner], line[inner], rtol=1e-10)
    noise = RNG.standard_normal(n)
    assert plot.charts._smooth(noise).std() <= noise.std() * (1 if n < 5000 else 0.5)


def test_loss_curve_refuses_a_log_without_losses():
    with pytest.raises(InputError, match='log has no record with "step" and "loss"'):
        plot.loss_curve([{"step": 1}])


def test_loss_by_timestep_draws_the_mean_and_its_band():
    t, loss, error = np.array([1.0, 2.0, 3.0]), np.array([0.5, np.nan, 0.1]), np.array([0.1, np.nan, np.nan])
    figure = plot.loss_by_timestep_curve(t, loss, error)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.stack([t, loss], axis=1))
    (band,) = axes.collections
    np.testing.assert_allclose(band.get_paths()[0].get_extents().intervaly, [0.5 - 0.2, 0.5 + 0.2])
    plot.loss_by_timestep_curve(t, loss)
    with pytest.raises(InputError, match="loss has shape"):
        plot.loss_by_timestep_curve(t, loss[:2])
    with pytest.raises(InputError, match="standard_error has shape"):
        plot.loss_by_timestep_curve(t, loss, error[:2])


@pytest.mark.parametrize("values", [[0.02], [0.0211, 0.0213, 0.0212], [1.0, 1e-4]])
def test_a_loss_axis_always_has_numbers(values):
    figure = plot.loss_curve([{"step": i, "loss": v} for i, v in enumerate(values)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    visible = [label for label in axes.yaxis.get_ticklabels(which="both") if low <= label.get_position()[1] <= high]
    assert any(label.get_text() for label in visible)


def test_curves_stand_over_their_x():
    x, lines = np.linspace(1, 2, 5), {"up": np.arange(1, 6), "down": np.arange(6, 1, -1)}
    figure = plot.curves(x, lines, "this", "that", title="both", log="xy")
    (axes,) = figure.axes
    for name, y in lines.items():
        np.testing.assert_array_equal(drawn(axes, name), np.stack([x, y], axis=1))
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "this")
    with pytest.raises(InputError, match=r"up has shape \(5,\)"):
        plot.curves(x[:4], lines, "this", "that")
    with pytest.raises(InputError, match="1 to 6 were expected"):
        plot.curves(x, {}, "this", "that")
    short, long = (plot.curves(10.0 ** np.arange(n), {"y": np.ones(n)}, "x", "y", log="x").axes[0] for n in (3, 7))
    assert {"2", "5", "10"} <= {label.get_text() for label in short.get_xticklabels()}
    assert not {"2", "5"} & {label.get_text() for label in long.get_xticklabels()}
    with pytest.raises(InputError, match="log is 'z'"):
        plot.curves(x, lines, "this", "that", log="z")


def test_figures_show_themselves_in_notebooks_and_never_touch_pyplot():
    figure = plot.loss_curve([{"step": 1, "loss": 1.0}])
    assert Image.open(io.BytesIO(figure._repr_png_())).format == "PNG"
    import matplotlib.pyplot

    assert matplotlib.pyplot.get_fignums() == []
