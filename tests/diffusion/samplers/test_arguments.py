"""What samplers refuse: bad steps, bad numbers, arrays that do not fit."""

import sys
from types import ModuleType

import numpy as np
import pytest
from diffusions import COSINE, EMPTY_AT_T, NOISE, every_sampler, normal

from tinydiff.base import InputError
from tinydiff.diffusion import ddim, ddpm, edm_steps, last, log_snr_steps, spaced_steps


@every_sampler
@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([10, 20], "from 10 to 20, but every time must be smaller"),
        ([20, 10, 10], "from 10 to 10"),
        ([101, 50], "steps holds 101, but times from 1 to T = 100"),
        ([50, 0], "steps holds 0"),
        ([50, -3], "steps holds -3"),
        ([50, float("nan")], r"steps\[1\] is nan"),
        ([], "steps is empty"),
        (0, "number of steps is 0"),
        (101, "number of steps is 101, but an integer from 1 to T = 100"),
        (2.5, "steps is 2.5, but a"),
        ("fast", "steps is 'fast'"),
    ],
)
def test_bad_steps_are_refused(sampler, steps, message):
    with pytest.raises(InputError, match=message):
        last(sampler(lambda *_: None, COSINE, normal(2, 2), steps))


@every_sampler
@pytest.mark.parametrize("end", [-1, 101, 50, float("nan")])
def test_a_bad_end_is_refused(sampler, end):
    with pytest.raises(InputError, match="end"):
        last(sampler(lambda *_: None, COSINE, normal(2, 2), [70, 50], end=end))


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_a_bad_eta_is_refused(eta):
    with pytest.raises(InputError, match=r"eta is .*, but a number"):
        last(ddim(lambda *_: None, COSINE, normal(2, 2), 5, eta, NOISE))


def test_missing_noise_and_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"eta is 0\.5 and noise is None"):
        last(ddim(lambda *_: None, COSINE, normal(2, 2), 5, 0.5))
    with pytest.raises(InputError, match="variance is 'guessed'"):
        last(ddpm(lambda *_: None, COSINE, normal(2, 2), 5, "guessed", NOISE))
    with pytest.raises(InputError, match="spacing is 'cubic'"):
        spaced_steps(10, 5, "cubic")
    for N, start, end in [(1, 50, 1), (5, 50, 50), (5, 51, 1), (5, 50, 0.5), (5, 49.5, 1), (2.5, 40, 1)]:
        with pytest.raises(InputError, match=r"start|end|N is"):
            log_snr_steps(EMPTY_AT_T, N, start, end)
    for N in (1, 101, 2.5, None):
        with pytest.raises(InputError, match=r"number of steps is|N is"):
            edm_steps(COSINE, N)
    for sigma_max, rho in [(0, 7), (float("nan"), 7), (80, 0), (80, float("inf"))]:
        with pytest.raises(InputError, match=r"sigma_max is"):
            edm_steps(COSINE, 5, sigma_max, rho)


@every_sampler
def test_arrays_that_do_not_fit_are_refused(sampler, monkeypatch):
    x = normal(2, 2)
    bad = np.array([[1.0, np.nan], [0, 0]])
    with pytest.raises(InputError, match="x_T holds NaN"):
        last(sampler(lambda *_: None, COSINE, bad, 5))
    with pytest.raises(InputError, match="x_T has dtype int64"):
        last(sampler(lambda *_: None, COSINE, np.zeros((2, 2), int), 5))
    for x_T, context in [(np.array(1.0), None), (x, np.arange(3)), (x, np.array(3))]:
        with pytest.raises(InputError, match=r"x_T (has|is an array)"):
            last(sampler(lambda *_: None, COSINE, x_T, 5, context=context))
    with pytest.raises(InputError, match=r"x_0_hat has shape \(2, 1\)"):
        last(sampler(lambda x_t, t, context: (x_t[:, :1], x_t), COSINE, x, 5))
    with pytest.raises(InputError, match=r"eps_hat has shape \(1, 2\)"):
        last(sampler(lambda x_t, t, context: (x_t, x_t[:1]), COSINE, x, 5))
    with pytest.raises(InputError, match="eps_hat is float32"):
        last(sampler(lambda x_t, t, context: (x_t, x_t.astype(np.float32)), COSINE, x, 5))

    cupy = ModuleType("cupy")
    cupy.ndarray = type("ndarray", (), {"dtype": np.dtype(np.float64), "shape": (2, 2), "ndim": 2})
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(InputError, match="two devices meet"):
        last(sampler(lambda x_t, t, context: (x_t, cupy.ndarray()), COSINE, x, 5))
    with pytest.raises(InputError, match="two devices meet"):
        last(sampler(lambda *_: None, COSINE, x, 5, context=cupy.ndarray()))
