"""The order of convergence of every ODE sampler, on steps that are equal in lambda, and on steps that alternate.

The start is exact, the range of lambda finite, and the answer that of SciPy's `solve_ivp`, whose field is written here
by Bayes' rule: of the library, it knows nothing. Slopes are those of the last halving of the steps.
"""

import math

import numpy as np
import pytest
from diffusions import LINEAR, MEANS, VARIANCES, WEIGHTS, named, normal, times
from scipy import integrate

from tinydiff.diffusion import (
    GaussianMixture,
    ddim,
    deis,
    dpm_2,
    dpm_solver,
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_3m,
    dpmpp_3m_as_published,
    dpmpp_3m_sde,
    dpmpp_sde,
    dpmpp_singlestep,
    edm,
    euler,
    heun,
    last,
    lms,
    plms,
    restart,
    sa_solver,
    unipc,
)

FIRST, LAST = -0.5, 1.5  # lambda
GRIDS = {"equal": (1,), "alternating": (2, 1)}  # lengths of steps in lambda, over and over

# sampler, options, order on equal and on alternating steps
ORDERS = [
    (ddim, {}, 1, 1),
    (euler, {}, 1, 1),
    (heun, {}, 2, 2),
    (edm, {"churn": 0.0}, 2, 2),
    (restart, {"repeats": 0}, 2, 2),
    (dpm_2, {}, 2, 2),
    (dpm_solver, {"order": 1}, 1, 1),
    (dpm_solver, {"order": 2}, 2, 2),
    (dpm_solver, {"order": 3}, 3, 3),
    (dpmpp_singlestep, {"order": 2}, 2, 2),
    (dpmpp_singlestep, {"order": 3}, 3, 3),
    (dpmpp_2m, {}, 2, 2),
    (dpmpp_3m, {}, 3, 3),
    (dpmpp_3m_as_published, {}, 2, 2),
    (dpmpp_2m_sde, {"eta": 0.0}, 2, 2),
    (dpmpp_sde, {"eta": 0.0}, 2, 2),
    (dpmpp_3m_sde, {"eta": 0.0}, 2, 2),  # its first step is of order 1
    (lms, {"order": 1}, 1, 1),
    (lms, {"order": 2}, 2, 2),
    (lms, {"order": 3}, 3, 3),
    (lms, {"order": 4}, 4, 4),
    (deis, {"order": 2}, 2, 2),
    (deis, {"order": 3}, 3, 3),
    (deis, {"order": 4}, 4, 4),
    (plms, {"begin": "heun"}, 2, 1),
    (plms, {"begin": "runge_kutta"}, 2, 1),
    (unipc, {"order": 1}, 2, 2),
    (unipc, {"order": 2}, 3, 3),
    (unipc, {"order": 3}, 4, 4),
    (sa_solver, {"tau": 0.0, "predictor": 1, "corrector": 0}, 1, 1),
    (sa_solver, {"tau": 0.0, "predictor": 2, "corrector": 0}, 2, 2),
    (sa_solver, {"tau": 0.0, "predictor": 3, "corrector": 0}, 2, 2),  # its first step is of order 1
    (sa_solver, {"tau": 0.0, "predictor": 2, "corrector": 2}, 2, 2),
    (sa_solver, {"tau": 0.0, "predictor": 2, "corrector": 3}, 3, 3),
    (sa_solver, {"tau": 0.0, "predictor": 3, "corrector": 4}, 3, 3),  # its first step is of order 2
]
EVERY = [
    pytest.param(sampler, options, order, grid, id=f"{sampler.__name__}-{'-'.join(map(str, options.values()))}-{grid}")
    for sampler, options, *orders in ORDERS
    for grid, order in zip(GRIDS, orders, strict=True)
]


def exact(x, first=FIRST, last=LAST):
    """Return the end of the probability-flow ODE of the mixture, by SciPy: d(x / a) / d sigma = eps_hat."""

    def slope(sigma, y):  # (y - E[x_0 | y]) / sigma for y = x_0 + sigma z
        y, total = y.reshape(-1, 1, 2), VARIANCES + sigma**2
        log_share = np.log(WEIGHTS) - ((y - MEANS) ** 2).sum(axis=2) / (2 * total) - np.log(total)
        share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        of_each = MEANS + (VARIANCES / total)[:, None] * (y - MEANS)
        return ((y[:, 0] - (share[..., None] * of_each).sum(axis=1)) / sigma).ravel()

    ends = math.exp(-first), math.exp(-last)
    a_first, a_last = (1 / math.sqrt(1 + sigma**2) for sigma in ends)
    solved = integrate.solve_ivp(slope, ends, (x / a_first).ravel(), method="DOP853", rtol=1e-13, atol=1e-13)
    return a_last * solved.y[:, -1].reshape(x.shape)


START = normal(16, 2)
EXACT = exact(START)


def slope_of_error(sampler, grid, numbers=(160, 320)):
    """Return by which power the largest error falls with the number of steps."""
    data, errors = GaussianMixture(LINEAR, WEIGHTS, MEANS, VARIANCES), []
    for N in numbers:
        *steps, end = times(LINEAR, N, GRIDS[grid], FIRST, LAST)
        errors.append(np.abs(last(sampler(data.predict, LINEAR, START, steps, end=end)) - EXACT).max())
    return -np.log(errors[1] / errors[0]) / np.log(numbers[1] / numbers[0])


@pytest.mark.pitfall(24)
@pytest.mark.equation("DDIM-14")
@pytest.mark.equation("EULER-1")
@pytest.mark.equation("EDM-ALG1")
@pytest.mark.equation("EDM-ALG2")
@pytest.mark.equation("RESTART-1")
@pytest.mark.equation("DPM2-1")
@pytest.mark.equation("DPM-2")
@pytest.mark.equation("DPM-3")
@pytest.mark.equation("DPMPP-2S")
@pytest.mark.equation("DPMPP-3S")
@pytest.mark.equation("DPMPP-2M")
@pytest.mark.equation("DPMPP-3M")
@pytest.mark.equation("DPMPP-3M-CODE")
@pytest.mark.equation("DPMPP-SDE")
@pytest.mark.equation("LMS-1")
@pytest.mark.equation("DEIS-1")
@pytest.mark.equation("PLMS-1")
@pytest.mark.equation("UNIPC-1")
@pytest.mark.equation("SA-14")
@pytest.mark.equation("SA-17")
@pytest.mark.parametrize(("sampler", "options", "order", "grid"), EVERY)
def test_every_ode_sampler_has_the_order_that_is_stated(sampler, options, order, grid):
    assert abs(slope_of_error(named(sampler.__name__, **options), grid) - order) < 0.1
