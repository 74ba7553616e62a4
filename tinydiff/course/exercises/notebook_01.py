"""Exercises of notebook 01: a noising step and a schedule."""

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import linear_schedule

_X, _EPS = np.array([1.0, 0.0, -0.5, 0.2]), np.array([0.0, 1.0, 0.7, -1.1])

STEP = Exercise(
    reference=lambda x, beta, eps: (1 - beta) ** 0.5 * x + beta**0.5 * eps,
    cases=[(_X, 0.25, _EPS), (_X, 0.02, _EPS)],
    returns=["x_t"],
    mistakes={
        "beta is a variance; sizes are multiplied by roots, and yours are missing.": (
            lambda x, beta, eps: (1 - beta) * x + beta * eps
        ),
        "the image is right, but the noise is multiplied by beta, its variance; multiply by the root.": (
            lambda x, beta, eps: (1 - beta) ** 0.5 * x + beta * eps
        ),
        "nothing shrinks, so the variance grows at every step: make room for the noise first.": (
            lambda x, beta, eps: x + beta**0.5 * eps
        ),
        "the two roots are swapped: a step should keep most of the image and add a little noise.": (
            lambda x, beta, eps: beta**0.5 * x + (1 - beta) ** 0.5 * eps
        ),
        "the image shrinks by 1 - sqrt(beta): variances sum to 1, sizes do not.": (
            lambda x, beta, eps: (1 - beta**0.5) * x + beta**0.5 * eps
        ),
    },
    praise="What is kept and what is added have squares that sum to 1.",
)

SCHEDULE = Exercise(
    reference=linear_schedule,
    cases=[(5, 0.1, 0.3), (1000, 1e-4, 0.02)],
    returns=["alpha_bar"],
    mistakes={
        "t = 0 is missing: before the first step all signal is there, so the table starts with 1.": (
            lambda T, beta_1, beta_T: np.cumprod(1 - np.linspace(beta_1, beta_T, T))
        ),
        "that is the product of the betas; what is kept at each step is 1 - beta.": (
            lambda T, beta_1, beta_T: np.r_[1, np.cumprod(np.linspace(beta_1, beta_T, T))]
        ),
        "that is 1 - beta of each single step; alpha_bar is the product over all steps so far.": (
            lambda T, beta_1, beta_T: np.r_[1, 1 - np.linspace(beta_1, beta_T, T)]
        ),
        "that is the product of the roots, which multiplies images; alpha_bar is a share of the variance.": (
            lambda T, beta_1, beta_T: np.r_[1, np.cumprod((1 - np.linspace(beta_1, beta_T, T)) ** 0.5)]
        ),
        "the betas are summed and not multiplied: that is right for small steps only.": (
            lambda T, beta_1, beta_T: np.r_[1, 1 - np.cumsum(np.linspace(beta_1, beta_T, T))]
        ),
    },
    praise="T steps, and one number more: the 1 at t = 0.",
)
