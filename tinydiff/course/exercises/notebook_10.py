"""Exercises of notebook 10: how much fresh noise, and the step of DDIM."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion


def _sigma(eta, alpha_bar_s, alpha_bar_t):
    process = GaussianDiffusion(np.array([1.0, alpha_bar_s, alpha_bar_t]))
    return eta * process.posterior_variance(2) ** 0.5


SIGMA = Exercise(
    grade="transcribe",
    reference=_sigma,
    cases=[(1.0, 0.9, 0.5), (0.5, 0.9, 0.5), (0.3, 0.4, 0.1)],
    returns=["sigma"],
    mistakes={
        "that is the variance; sigma is its square root.": lambda eta, s, t: eta**2 * (1 - s) / (1 - t) * (1 - t / s),
        "eta multiplies sigma itself; under the root it would have to be squared.": (
            lambda eta, s, t: (eta * (1 - s) / (1 - t) * (1 - t / s)) ** 0.5
        ),
        "that is the root of beta; the step back has less noise: (1 - alpha_bar_s) / (1 - alpha_bar_t) times beta.": (
            lambda eta, s, t: eta * (1 - t / s) ** 0.5
        ),
        "eta is not used: with eta = 0 no fresh noise should be drawn.": lambda eta, s, t: _sigma(1.0, s, t),
        "the fraction is upside down: 1 - alpha_bar_s is the numerator, so that no noise is drawn in the last step.": (
            lambda eta, s, t: eta * ((1 - t) / (1 - s) * (1 - t / s)) ** 0.5
        ),
    },
    hints=[],
    praise="eta = 1 draws as much as DDPM, eta = 0 nothing.",
)

_X_0_HAT, _EPS_HAT, _Z = np.array([1.0, -0.5, 0.2]), np.array([0.4, 0.9, -1.3]), np.array([-0.7, 0.1, 1.2])


def _step(x_0_hat, eps_hat, z, alpha_bar_s, sigma, signal=0.5, sign=1.0, less=2, fresh=1):
    left = (1 - alpha_bar_s - (sigma**less if less else 0.0)) ** 0.5
    return alpha_bar_s**signal * x_0_hat + sign * left * eps_hat + sigma**fresh * z


STEP = Exercise(
    grade="transcribe",
    reference=_step,
    cases=[(_X_0_HAT, _EPS_HAT, _Z, 0.64, 0.3), (_X_0_HAT, _EPS_HAT, _Z, 0.1, 0.5), (_X_0_HAT, _EPS_HAT, _Z, 0.5, 0.0)],
    returns=["x_s"],
    mistakes={
        "the predicted noise is subtracted; x_0_hat is clean already, and x at time s must still be noisy.": (
            partial(_step, sign=-1.0)
        ),
        "the fresh noise comes on top of all the old: the variance at s must stay 1 - alpha_bar_s.": (
            partial(_step, less=0)
        ),
        "sigma is subtracted under the root; variances are subtracted, so it must be sigma squared.": (
            partial(_step, less=1)
        ),
        "the fresh noise is multiplied by its variance, and not by sigma.": partial(_step, fresh=2),
        "the clean image is multiplied by alpha_bar_s; it is the square root.": partial(_step, signal=1.0),
    },
    hints=[],
    praise="Guess, old noise, fresh noise; the squares of the last two weights sum to 1 - alpha_bar_s.",
)
