"""The order of convergence of every ODE sampler, on steps that are equal in lambda, and on steps that alternate.

The start is exact, the range of lambda finite, and the answer that of SciPy's `solve_ivp`, whose field is written here
by Bayes' rule: of the library, it knows nothing. Slopes are those of the last halving of the steps.
"""

import math

import numpy as np
import pytest
from diffusions import LINEAR, MEANS, VARIANCES, WEIGHTS, named, normal
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
from tinydiff.evaluate.court import GRIDS, ODE, grid_times

FIRST, LAST = -0.5, 1.5  # lambda
JUDGED = (
    *(ddim, deis, dpm_2, dpm_solver, dpmpp_2m, dpmpp_2m_sde, dpmpp_3m, dpmpp_3m_as_published, dpmpp_3m_sde, dpmpp_sde),
    *(dpmpp_singlestep, edm, euler, heun, lms, plms, restart, sa_solver, unipc),
)

EVERY = [
    pytest.param(stated, order, grid, id=f"{stated.label}-{grid}")
    for stated in ODE
    for grid, order in zip(GRIDS, stated[2:4], strict=True)
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
        *steps, end = grid_times(LINEAR, N, GRIDS[grid], FIRST, LAST)
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
@pytest.mark.parametrize(("stated", "order", "grid"), EVERY)
def test_every_ode_sampler_has_the_order_that_is_stated(stated, order, grid):
    assert stated.name in {sampler.__name__ for sampler in JUDGED}
    assert abs(slope_of_error(named(stated.name, **stated.options), grid) - order) < 0.1
