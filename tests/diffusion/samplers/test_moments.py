"""Samplers that draw noise: their moments without a single random number, and the paths of one Brownian motion.

On a Gaussian every sampler is linear in its start and in its noise. So an impulse in the place of each of its random
numbers shows by how much that number is multiplied, and the sum of the squares is the variance of all samples, exactly.
"""

import math

import numpy as np
import pytest
from diffusions import LINEAR, MEANS, VARIANCES, WEIGHTS, normal, scales

from tinydiff.diffusion import (
    SAMPLERS,
    Gaussian,
    GaussianMixture,
    annealed_langevin,
    ddim,
    ddpm,
    dpm_2,
    dpmpp_2m_sde,
    dpmpp_3m_sde,
    dpmpp_sde,
    edm,
    er_sde,
    euler_ancestral,
    last,
    predictor_corrector,
    restart,
    sa_solver,
)
from tinydiff.evaluate.court import NOISY, Impulses, grid_times

MEAN, VARIANCE = 0.7, 0.3
FIRST, LAST = -1.0, 1.5  # lambda


def moments(sampler, N, **options):
    """Return mean and variance of what a sampler makes of the exact density at the first lambda."""
    *steps, end = grid_times(LINEAR, N, (1,), FIRST, LAST)
    data = Gaussian(LINEAR, np.array([MEAN]), np.array([VARIANCE]))
    x, noise = np.zeros((20 * N + 2, 1)), Impulses()
    x[1] = 1  # sample 0 shows what is left of nothing, sample 1 what is left of the start
    chain = SAMPLERS[sampler](data.predict, LINEAR, x, steps, noise, end=end, **options)
    of_nothing, of_start, *of_noise = last(chain)[:, 0]
    assert 0 < noise.drawn < len(of_noise)
    mean, variance = marginal(FIRST)
    kept = of_start - of_nothing
    return of_nothing + kept * mean, kept**2 * variance + sum((one - of_nothing) ** 2 for one in of_noise)


def marginal(lam):
    """Return mean and variance of the noisy data at a lambda."""
    a, b = scales(LINEAR, LINEAR.time_at(lam))
    return a * MEAN, a**2 * VARIANCE + b**2


WEAK_ORDERS = [entry for entry in NOISY if entry.order > 0]
JUDGED = (ddpm, ddim, dpm_2, dpmpp_2m_sde, dpmpp_3m_sde, dpmpp_sde, edm, er_sde, euler_ancestral, sa_solver)


@pytest.mark.equation("DDPM-ALG2")
@pytest.mark.equation("ANCESTRAL-1")
@pytest.mark.equation("DPM2-1")
@pytest.mark.equation("DPMPP-SDE")
@pytest.mark.equation("ERSDE-1")
@pytest.mark.equation("EDM-ALG2")
@pytest.mark.parametrize("stated", WEAK_ORDERS, ids=lambda stated: stated.label)
def test_the_error_of_the_variance_falls_by_the_order_that_is_stated(stated):
    """At least: where the leading terms of several errors cancel, as for 2M with eta = 1, it falls faster."""
    assert stated.name in {sampler.__name__ for sampler in JUDGED}
    errors = []
    for N in (80, 160):
        mean, variance = moments(stated.name, N, **stated.options)
        wanted_mean, wanted_variance = marginal(LAST)
        assert mean == pytest.approx(wanted_mean, rel=1e-9)  # a Gaussian's mean is every sampler's
        errors.append(abs(variance - wanted_variance))
    slope = math.log2(errors[0] / errors[1])
    assert slope > stated.order - 0.1
    assert slope < 1.1 or stated.order > 1


@pytest.mark.equation("RESTART-1")
def test_a_restart_keeps_the_marginal_as_far_as_its_steps_do():
    """Its leap adds what the forward process adds; the error is that of its steps, of which all must become more."""
    errors = []
    for N in (40, 80):
        _, variance = moments(restart.__name__, N, low=0.3, high=1.2, repeats=2, inner=N // 4)
        errors.append(abs(variance - marginal(LAST)[1]))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


@pytest.mark.slow
@pytest.mark.equation("NCSN-ALG1")
@pytest.mark.equation("PC-1")
@pytest.mark.parametrize("lam", [-0.5, 0.8])
def test_langevin_leaves_the_variance_that_its_step_has(lam):
    """x' = (1 - d / v) x + sqrt(2 d) z ends with the variance v / (1 - d / (2 v)), wherever it begins."""
    data = Gaussian(LINEAR, np.array([0.0]), np.array([VARIANCE]))
    t, s = LINEAR.time_at(lam), LINEAR.time_at(lam + 1e-9)
    (_, b), (_, v) = scales(LINEAR, t), marginal(lam)

    def variance(sampler, n, **options):
        noise, x = Impulses(), np.zeros((n + 60, 1))
        x[1] = 1
        return (last(sampler(data.predict, LINEAR, x, [t], **options, noise=noise, end=s)) ** 2).sum()

    for size in (0.05, 0.3):
        d = size * b**2
        left = variance(annealed_langevin, 900, step_size=size, repeats=900)
        assert left == pytest.approx(v / (1 - d / (2 * v)), rel=1e-6)
    for snr in (0.1, 0.3):
        d = 2 * snr**2 * b**2
        left = variance(predictor_corrector, 1500, snr=snr, corrections=1500)
        assert left == pytest.approx(v / (1 - d / (2 * v)), rel=1e-6)


def test_predictor_and_corrector_come_nearer_with_more_steps_and_smaller_corrections():
    wanted = marginal(LAST)[1]
    errors = [abs(moments("predictor_corrector", N, snr=snr)[1] - wanted) for N, snr in ((20, 0.1), (80, 0.05))]
    assert errors[1] < errors[0] / 3
    errors = [abs(moments("annealed_langevin", N, step_size=0.02, repeats=5)[1] - wanted) for N in (20, 80)]
    assert errors[1] < errors[0] / 2


class OneBrownianMotion:
    """The noise of steps of equal length in lambda, put together of that of `finest` steps of one path.

    Of noise that is added in a step of length h, the share e^(-eta h) is left after another such step.
    """

    def __init__(self, eta, N, finest, shape):
        self.eta, self.N, self.length = eta, N, (LAST - FIRST) / finest
        self.fine = np.random.default_rng(0).normal(size=(finest, *shape))
        self.step = 0

    def at(self, step=0, **changes):
        self.step = step
        return self

    def normal(self, shape, purpose, layer="", dtype=np.float64):
        together = len(self.fine) // self.N
        left = np.exp(-self.eta * self.length * np.arange(together)[::-1])
        z = np.tensordot(left, self.fine[self.step * together : (self.step + 1) * together], 1)
        return z / np.sqrt((left**2).sum())


STRONG = [
    (ddim, {"eta": 1.0}, 1.0),
    (euler_ancestral, {"eta": 1.0}, 1.0),
    (dpmpp_2m_sde, {"eta": 1.0}, 1.0),
    (dpmpp_3m_sde, {"eta": 1.0}, 1.0),
    (sa_solver, {"tau": 1.0}, 1.0),
    (dpmpp_2m_sde, {"eta": 0.5}, 0.5),
]


@pytest.mark.slow
@pytest.mark.equation("DPMPP-SDE")
@pytest.mark.equation("SA-17")
@pytest.mark.parametrize(("sampler", "options", "eta"), STRONG)
def test_paths_of_one_brownian_motion_come_together_with_order_one(sampler, options, eta):
    """The root mean square over 200 paths; more would change the slope by some hundredths."""
    data, x, ends = GaussianMixture(LINEAR, WEIGHTS, MEANS, VARIANCES), normal(200, 2), {}
    for N in (32, 64, 1024):
        *steps, end = grid_times(LINEAR, N, (1,), FIRST, LAST)
        noise = OneBrownianMotion(eta, N, 1024, x.shape)
        ends[N] = last(SAMPLERS[sampler.__name__](data.predict, LINEAR, x, steps, noise, end=end, **options))
    coarse, fine = (np.sqrt(((ends[N] - ends[1024]) ** 2).mean()) for N in (32, 64))
    assert math.log2(coarse / fine) == pytest.approx(1, abs=0.25)
