"""The pictures about densities show the numbers they were given."""

import numpy as np
import pytest
from pictures import RNG, drawn

from tinydiff import plot
from tinydiff.base import InputError


def test_strips_of_noise_stand_above_the_curves_of_their_schedules():
    t, images = np.array([1, 11, 21]), RNG.uniform(-1, 1, (3, 4, 4, 1))
    log_snr = {"linear": np.linspace(2, -2, 21), "cosine": np.linspace(1, -1, 21)}
    figure = plot.noising_strips(t, {"linear": images, "cosine": -images}, log_snr)
    first, second, curves = figure.axes
    assert [axes.get_ylabel() for axes in (first, second)] == ["linear", "cosine"]
    row = first.images[0].get_array()
    np.testing.assert_array_equal(row[:, 4:8, 0], np.rint((images[1, ..., 0] + 1) * 127.5))
    assert first.images[0].get_extent() == [-4, 26, 0, 1]  # the second image stands above 6 .. 16
    for line, values in zip(curves.lines, log_snr.values(), strict=False):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([np.arange(1, 22), values], axis=1))
    for bad, message in [
        ({"linear": images}, "same 1 to 3 names"),
        ({"linear": images, "cosine": images[:2]}, "cosine has shape"),
        ({}, "same 1 to 3 names"),
    ]:
        with pytest.raises(InputError, match=message):
            plot.noising_strips(t, bad, log_snr)
    with pytest.raises(InputError, match="log_snr of linear has 2 axes"):
        plot.noising_strips(t, {"linear": images}, {"linear": t[:, None]})


def test_a_density_over_time_is_drawn_in_shares_of_its_peaks():
    t, x, density = np.arange(1, 4), np.linspace(-1, 1, 5), RNG.uniform(0.1, 1, (5, 3))
    figure = plot.density_over_time(t, x, density, title="a density")
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")) == ("step t", "x", "a density")
    assert bar.get_ylabel()
    np.testing.assert_allclose(axes.collections[0].get_array(), density / density.max(axis=0))
    with pytest.raises(InputError, match=r"density has shape \(3, 5\)"):
        plot.density_over_time(t, x, density.T)
    for bad in (-density, density * np.nan, density * 0):
        with pytest.raises(InputError, match="density must be finite"):
            plot.density_over_time(t, x, bad)


def test_reverse_steps_show_the_exact_density_and_the_bell():
    x = np.linspace(-1, 1, 5)
    exact, bells = {"small": x**2, "large": x + 1}, {"small": x * 0, "large": x * 2}
    figure = plot.reverse_steps(x, exact, bells)
    for axes, name in zip(figure.axes, exact, strict=True):
        assert axes.get_title(loc="left") == name
        np.testing.assert_array_equal(drawn(axes, "best bell"), np.stack([x, bells[name]], axis=1))
    with pytest.raises(InputError, match="the same names"):
        plot.reverse_steps(x, exact, {"small": x})
    with pytest.raises(InputError, match="exact of small has shape"):
        plot.reverse_steps(x, {"small": x[1:]}, {"small": x})


def test_bells_have_marks_at_their_peaks():
    x = np.linspace(-2, 2, 9)
    figure = plot.bells(x, {"prior": np.exp(-(x**2)), "product": np.exp(-((x - 1) ** 2))}, "x_0")
    (axes,) = figure.axes
    marks = [line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "o"]
    assert marks == [[0, 1], [1, 1]]
    with pytest.raises(InputError, match="prior has shape"):
        plot.bells(x, {"prior": x[1:]})
    with pytest.raises(InputError, match="1 to 3 were expected"):
        plot.bells(x, {})
