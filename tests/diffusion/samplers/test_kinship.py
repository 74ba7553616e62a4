"""Which samplers are the same under other names or with other options, and which polynomials they follow exactly."""

import math

import numpy as np
import pytest
from diffusions import EMPTY_AT_T, LINEAR, MIXTURE, Constant, named, normal, scales
from scipy import integrate

from tinydiff.diffusion import (
    GaussianMixture,
    deis,
    dpmpp_3m,
    dpmpp_3m_as_published,
    dpmpp_3m_sde,
    edm_steps,
    last,
    lms,
    sa_solver,
    spaced_steps,
)

PAIRS = {  # the same number for number, given the same times and noise
    "Euler's method in sigma is DDIM": (("euler", {}), ("ddim", {})),
    "ancestral is DDIM's eta": (("euler_ancestral", {"eta": 0.6}), ("ddim", {"eta": 0.6})),
    "ancestral is DDPM": (("euler_ancestral", {}), ("ddpm", {"variance": "beta_tilde"})),
    "DPM-Solver-1 is DDIM": (("dpm_solver", {"order": 1}), ("ddim", {})),
    "DPM2 is DPM-Solver-2": (("dpm_2", {}), ("dpm_solver", {"order": 2})),
    "no churn is Heun": (("edm", {"churn": 0.0}), ("heun", {})),
    "no restart is Heun": (("restart", {"repeats": 0}), ("heun", {})),
    "2M without noise": (("dpmpp_2m_sde", {"eta": 0.0}), ("dpmpp_2m", {})),
    "2S without noise": (("dpmpp_sde", {"eta": 0.0}), ("dpmpp_singlestep", {"order": 2})),
    "one step back is DDIM, in sigma": (("lms", {"order": 1}), ("ddim", {})),
    "one step back is DDIM, in lambda": (("deis", {"order": 1}), ("ddim", {})),
    "the exact SDE is DDPM": (("sa_solver", {"predictor": 1, "corrector": 0}), ("ddim", {"eta": 1.0})),
    "3M with noise is an Adams method": (
        ("dpmpp_3m_sde", {"eta": 0.49}),
        ("sa_solver", {"tau": 0.7, "predictor": 3, "corrector": 0}),
    ),
}


@pytest.mark.equation("EULER-1")
@pytest.mark.equation("ANCESTRAL-1")
@pytest.mark.parametrize("diffusion", [LINEAR, EMPTY_AT_T], ids=["linear", "empty"])
@pytest.mark.parametrize("pair", PAIRS)
def test_samplers_that_are_one(pair, diffusion):
    (name, options), (other, other_options) = PAIRS[pair]
    data, x = GaussianMixture(diffusion, **MIXTURE), normal(5, 2)
    steps = edm_steps(diffusion, 12) if diffusion is LINEAR else spaced_steps(50, 12)
    one = last(named(name, **options)(data.predict, diffusion, x, steps))
    two = last(named(other, **other_options)(data.predict, diffusion, x, steps))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-9)


# Predictions that are a polynomial of lambda, or of sigma, whatever x is: then the last step is an integral.

DEGREE_2 = np.polynomial.Polynomial([0.4, -0.7, 0.3])
DEGREE_3 = np.polynomial.Polynomial([0.4, -0.7, 0.3, 0.2])
LAMBDAS = np.array([-0.4, 0.1, 0.5, 1.1, 1.4])  # uneven


def steps_at(lambdas):
    return [LINEAR.time_at(float(lam)) for lam in lambdas]


def predict_x_0(x_t, t, context=None):
    """A prediction whose x_0_hat is a parabola in lambda."""
    x_0_hat = np.full_like(x_t, DEGREE_2(lam_of(t[0])))
    return x_0_hat, LINEAR.eps_from_x_0(x_t, t, x_0_hat)


def predict_eps(of):
    """Return a prediction whose eps_hat is a cubic polynomial of lambda or sigma."""

    def predict(x_t, t, context=None):
        lam = lam_of(t[0])
        eps_hat = np.full_like(x_t, DEGREE_3(lam if of == "lambda" else math.exp(-lam)))
        return LINEAR.x_0_from_eps(x_t, t, eps_hat), eps_hat

    return predict


def lam_of(t):
    a, b = scales(LINEAR, t)
    return math.log(a / b)


def follow_x_0(x, first, end, eta):
    """Return the exact end of a step on which x_0_hat is the parabola, without fresh noise."""
    (_, b_t), (a_s, b_s) = scales(LINEAR, LINEAR.time_at(first)), scales(LINEAR, LINEAR.time_at(end))
    drift, _ = integrate.quad(
        lambda lam: (1 + eta) * math.exp((1 + eta) * (lam - end)) * DEGREE_2(lam), first, end, epsabs=1e-14
    )
    return math.exp(-eta * (end - first)) * b_s / b_t * x + a_s * drift


@pytest.mark.equation("DPMPP-3M")
@pytest.mark.equation("DPMPP-3M-CODE")
@pytest.mark.equation("EXPAB-1")
@pytest.mark.equation("SA-14")
def test_a_parabola_of_predictions_is_followed_exactly_but_not_by_3m_as_published():
    x, steps = normal(3, 2), steps_at(LAMBDAS)

    def error(sampler, strength=0.0, **options):
        """Return how far the last step is from the integral that begins where the step before it ended."""
        chain = list(sampler(predict_x_0, LINEAR, x, steps[:-1], end=steps[-1], **options))
        return np.abs(chain[-1][1] - follow_x_0(chain[-2][1], LAMBDAS[-2], LAMBDAS[-1], strength)).max()

    assert error(dpmpp_3m) < 1e-12
    assert error(dpmpp_3m_as_published) > 1e-4
    for eta in (0.0, 0.8):
        assert error(dpmpp_3m_sde, eta, eta=eta, noise=Constant(0.0)) < 1e-12
        assert error(sa_solver, eta, tau=eta**0.5, predictor=3, corrector=0, noise=Constant(0.0)) < 1e-12


@pytest.mark.equation("LMS-1")
@pytest.mark.equation("DEIS-1")
@pytest.mark.parametrize(("sampler", "of"), [(lms, "sigma"), (deis, "lambda")])
def test_a_cubic_of_noises_is_followed_exactly(sampler, of):
    x, steps = normal(3, 2), steps_at(LAMBDAS)
    chain = list(sampler(predict_eps(of), LINEAR, x, steps[:-1], order=4, end=steps[-1]))
    (a_t, b_t), (a_s, b_s) = scales(LINEAR, steps[-2]), scales(LINEAR, steps[-1])
    change, _ = integrate.quad(
        lambda sigma: DEGREE_3(sigma if of == "sigma" else -math.log(sigma)), b_t / a_t, b_s / a_s, epsabs=1e-14
    )
    np.testing.assert_allclose(chain[-1][1], a_s / a_t * chain[-2][1] + a_s * change, rtol=0, atol=1e-12)
