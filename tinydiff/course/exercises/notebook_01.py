"""Exercises of notebook 01: a noising step, a schedule, a jump to any later time, and a chain with a fault."""

from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(1)
_X, _EPS = _RNG.standard_normal((3, 2, 5)), _RNG.standard_normal((3, 2, 5))


def _step(x, beta, eps):
    return (1 - beta) ** 0.5 * x + beta**0.5 * eps


STEP = Exercise(
    grade="transcribe",
    reference=_step,
    cases=[(_X, 0.25, _EPS), (_X[0], 0.02, _EPS[0]), (_EPS[:, 0], 0.7, _X[:, 0])],
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
            lambda x, beta, eps: _step(eps, beta, x)
        ),
        "the image shrinks by 1 - sqrt(beta): variances sum to 1, sizes do not.": (
            lambda x, beta, eps: (1 - beta**0.5) * x + beta**0.5 * eps
        ),
    },
    hints=[
        "Look at Eq. DDPM-2: the image and the noise have a weight each.",
        "The squares of the two weights sum to 1; beta is the square of the second.",
        "The weight of x is `(1 - beta) ** 0.5`, that of eps is `beta ** 0.5`.",
    ],
    praise="What is kept and what is added have squares that sum to 1.",
)


def _schedule(T, beta_1, beta_T):
    return np.concatenate([[1.0], np.cumprod(1 - np.linspace(beta_1, beta_T, T))])


SCHEDULE = Exercise(
    grade="transcribe",
    reference=_schedule,
    cases=[(5, 0.1, 0.3), (1000, 1e-4, 0.02), (7, 0.05, 0.6), (2, 0.2, 0.45)],
    returns=["alpha_bar"],
    mistakes={
        "t = 0 is missing: before the first step all signal is there, so the table starts with 1.": (
            lambda T, beta_1, beta_T: _schedule(T, beta_1, beta_T)[1:]
        ),
        "that is the product of the betas; what is kept at each step is 1 - beta.": (
            lambda T, beta_1, beta_T: np.r_[1, np.cumprod(np.linspace(beta_1, beta_T, T))]
        ),
        "that is 1 - beta of each single step; alpha_bar is the product over all steps so far.": (
            lambda T, beta_1, beta_T: np.r_[1, 1 - np.linspace(beta_1, beta_T, T)]
        ),
        "that is the product of the roots, which multiplies images; alpha_bar is a share of the variance.": (
            lambda T, beta_1, beta_T: _schedule(T, beta_1, beta_T) ** 0.5
        ),
        "the betas are summed and not multiplied: that is right for small steps only.": (
            lambda T, beta_1, beta_T: np.r_[1, 1 - np.cumsum(np.linspace(beta_1, beta_T, T))]
        ),
        "there are T + 1 variances, and no 1 before them: T steps take T variances, and t = 0 takes no step.": (
            lambda T, beta_1, beta_T: np.cumprod(1 - np.linspace(beta_1, beta_T, T + 1))
        ),
        "the last beta is left out: T steps take T values, from beta_1 to beta_T, both of them included.": (
            lambda T, beta_1, beta_T: np.r_[1, np.cumprod(1 - np.linspace(beta_1, beta_T, T, endpoint=False))]
        ),
    },
    hints=[
        "First the T variances, then what T steps leave of the signal.",
        "`np.linspace(beta_1, beta_T, T)` gives the variances; each step keeps 1 - beta; the table starts with 1.",
        "`np.cumprod(1 - beta)` is alpha_bar from t = 1 on; put a 1 before it with `np.concatenate`.",
    ],
    praise="T steps, and one number more: the 1 at t = 0.",
)


def _jump(x_s, alpha_bar_s, alpha_bar_t, eps):
    alpha = alpha_bar_t / alpha_bar_s
    return alpha**0.5 * x_s + (1 - alpha) ** 0.5 * eps


JUMP = Exercise(
    grade="derive",
    reference=_jump,
    cases=[(_X, 0.8, 0.3, _EPS), (_X[1], 0.95, 0.9, _EPS[1]), (_X[:, 1], 1.0, 0.4, _EPS[:, 1])],
    returns=["x_t"],
    mistakes={
        "that jumps from x_0; part of the way to t is behind x_s already: take the ratio of the two alpha_bar.": (
            lambda x_s, alpha_bar_s, alpha_bar_t, eps: _jump(x_s, 1.0, alpha_bar_t, eps)
        ),
        "the ratio is upside down: alpha_bar_t is the smaller of the two.": (
            lambda x_s, alpha_bar_s, alpha_bar_t, eps: (
                (alpha_bar_s / alpha_bar_t) ** 0.5 * x_s + abs(1 - alpha_bar_s / alpha_bar_t) ** 0.5 * eps
            )
        ),
        "the image is right, but the new noise is more than the difference of the noise levels: x_s's own shrinks.": (
            lambda x_s, alpha_bar_s, alpha_bar_t, eps: (
                (alpha_bar_t / alpha_bar_s) ** 0.5 * x_s + (alpha_bar_s - alpha_bar_t) ** 0.5 * eps
            )
        ),
        "the image is right, but the new noise is all that is in x_t; x_s brings some of its own.": (
            lambda x_s, alpha_bar_s, alpha_bar_t, eps: (
                (alpha_bar_t / alpha_bar_s) ** 0.5 * x_s + (1 - alpha_bar_t) ** 0.5 * eps
            )
        ),
        "the roots are missing: alpha_bar is a share of the variance.": (
            lambda x_s, alpha_bar_s, alpha_bar_t, eps: (
                alpha_bar_t / alpha_bar_s * x_s + (1 - alpha_bar_t / alpha_bar_s) * eps
            )
        ),
    },
    hints=[
        "alpha_bar is a product over all steps. Which of its factors lie between s and t?",
        "Write alpha for the product of these factors: two steps are one step, with this alpha.",
        "alpha is `alpha_bar_t / alpha_bar_s`; the rest is a single step with beta = 1 - alpha.",
    ],
    praise="A step from t - 1 to t, and the jump from 0 to t, are two of these.",
)


def _walked(x_0, alpha_bar, times, noises, whole=False, same=False, late=False, forgotten=False, single=False):
    x = x_0
    for (s, t), eps in zip(pairwise(times), noises, strict=False):  # there may be more noises than steps
        x = _jump(
            x_0 if forgotten else x,
            1.0 if whole else alpha_bar[t - 1] if single else alpha_bar[s],
            alpha_bar[t - 1] if late else alpha_bar[t],
            noises[0] if same else eps,
        )
    return x


_TABLE = _schedule(20, 0.01, 0.2)

WALK = Exercise(
    grade="debug",
    reference=_walked,
    cases=[
        (_X[0], _TABLE, [0, 3, 4, 11], _EPS),
        (_X[1:], _TABLE, [2, 20], _RNG.standard_normal((1, 2, 2, 5))),
        (_X[:, 1], _TABLE, [5, 6, 12, 13, 19], _RNG.standard_normal((4, 3, 5))),
    ],
    returns=["x_t"],
    mistakes={
        PLANTED: (lambda *args: _walked(*args, whole=True)),
        "the same noise is added at every step; then its parts add up as sizes, and not as variances.": (
            lambda *args: _walked(*args, same=True)
        ),
        "alpha_bar is read one step too early: its index is the time itself.": lambda *args: _walked(*args, late=True),
        "that is alpha of the last single step; the way from s to t may be many steps long.": (
            lambda x_0, alpha_bar, times, noises: _walked(x_0, alpha_bar, times, noises, single=True)
        ),
        "each step starts from x_0 again, so only the last one counts.": lambda *args: _walked(*args, forgotten=True),
    },
    hints=[
        "Follow an image of ones without noise: how much of it is left at the end, and how much should be?",
        "A step from s to t keeps the share that lies between the two; which one does the loop take?",
        "In the loop, `alpha` should be `alpha_bar[t] / alpha_bar[s]`.",
    ],
    praise="However the way is cut into steps, the end has the same distribution.",
)
