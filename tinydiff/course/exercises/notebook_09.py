"""Exercises of notebook 09: an optimizer's step, an average of weights, and a step of DDPM."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.train import AdamW, update_ema

_THETA, _G = np.array([1.0, -2.0, 0.5]), np.array([0.3, -0.1, 2.0])
_M, _V = np.array([0.1, 0.2, -0.3]), np.array([0.04, 0.01, 0.5])


def _library_step(theta, g, m, v, k, lr, weight_decay):
    theta = np.array(theta)  # the library changes it in place
    optimizer = AdamW(theta, betas=(0.9, 0.99), weight_decay=weight_decay)
    optimizer.m, optimizer.v, optimizer.steps = np.array(m), np.array(v), k - 1
    optimizer.step(np.array(g), lr)
    return theta, optimizer.m, optimizer.v


def _adamw(theta, g, m, v, k, lr, weight_decay, correct=True, root=True, coupled=False, old=False, sign=1.0):
    g = g + weight_decay * theta if coupled else g
    m_new, v_new = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
    m_hat, v_hat = (m, v) if old else (m_new, v_new)
    if correct:
        m_hat, v_hat = m_hat / (1 - 0.9**k), v_hat / (1 - 0.99**k)
    step = m_hat / ((v_hat**0.5 if root else v_hat) + 1e-8) + (0.0 if coupled else weight_decay * theta)
    return theta - sign * lr * step, m_new, v_new


ADAMW = Exercise(
    grade="transcribe",
    reference=_library_step,
    cases=[
        (_THETA, _G, _M, _V, 3, 0.1, 0.0),
        (_THETA, _G, _M, _V, 10, 0.01, 0.2),
        (_THETA, _G, 0 * _M, 0 * _V, 1, 0.1, 0.1),
    ],
    returns=["theta", "m", "v"],
    mistakes={
        "m and v start at 0 and are too small at first: divide by 1 - 0.9 ** k and by 1 - 0.99 ** k.": (
            partial(_adamw, correct=False)
        ),
        "v is the mean of squares; the step is measured in units of its square root.": (partial(_adamw, root=False)),
        "the decay went into the gradient, so that it is divided by sqrt(v), too: AdamW keeps it apart.": (
            partial(_adamw, coupled=True)
        ),
        "the step uses the averages from before this gradient: update m and v first.": (partial(_adamw, old=True)),
        "that is uphill: the step goes against the gradient.": partial(_adamw, sign=-1.0),
    },
    hints=[],
    praise="Average gradient over usual size; and the weights decay on their own.",
)


def _library_ema(ema, theta, decay):
    ema = np.array(ema)  # the library changes it in place
    update_ema(ema, theta, decay)
    return ema


EMA = Exercise(
    grade="transcribe",
    reference=_library_ema,
    cases=[(_THETA, _G, 0.9), (_THETA, _G, 0.5), (_THETA, _G, 0.999)],
    returns=["ema"],
    mistakes={
        "the weights are swapped: decay is the share of the old average that stays.": (
            lambda ema, theta, decay: (1 - decay) * ema + decay * theta
        ),
        "the two shares must sum to 1: theta comes in with 1 - decay.": lambda ema, theta, decay: decay * ema + theta,
        "the old average is kept whole, so the sum grows: it must shrink by decay.": (
            lambda ema, theta, decay: ema + (1 - decay) * theta
        ),
        "that is the plain mean of the two; an average that forgets uses decay.": (
            lambda ema, theta, decay: (ema + theta) / 2 + 0 * decay
        ),
    },
    hints=[],
    praise="It forgets at a constant rate: after 1 / (1 - decay) steps 37 % of a weight is left.",
)

_X_T, _EPS_HAT, _Z = np.array([0.4, 0.9, -1.3]), np.array([0.1, -1.2, 0.6]), np.array([-0.7, 0.1, 1.2])


def _ddpm(x_t, eps_hat, z, alpha_bar_s, alpha_bar_t, size=0.5, always=False, variance="beta", share=0.5):
    process = GaussianDiffusion(np.array([1.0, alpha_bar_s, alpha_bar_t] if alpha_bar_s < 1 else [1.0, alpha_bar_t]))
    t = process.T
    mean = process.posterior_mean_from_eps(x_t, t, eps_hat)
    if share != 0.5:
        mean = (x_t - process.beta(t) / (1 - alpha_bar_t) ** share * eps_hat) / (1 - process.beta(t)) ** 0.5
    spread = process.beta(t) if variance == "beta" else process.posterior_variance(t)
    return mean + spread**size * z if alpha_bar_s < 1 or always else mean


DDPM = Exercise(
    grade="transcribe",
    reference=_ddpm,
    cases=[(_X_T, _EPS_HAT, _Z, 0.6, 0.5), (_X_T, _EPS_HAT, _Z, 0.9, 0.2), (_X_T, _EPS_HAT, _Z, 1.0, 0.95)],
    returns=["x_s"],
    mistakes={
        "the last step, where alpha_bar_s is 1, must add no noise: what it leads to is the sample.": (
            partial(_ddpm, always=True)
        ),
        "the fresh noise is multiplied by its variance beta; multiply by the root.": partial(_ddpm, size=1.0),
        "no fresh noise is added: that is only the mean of the step.": (
            lambda x_t, eps_hat, z, s, t: _ddpm(x_t, eps_hat, 0 * z, s, t)
        ),
        "in the mean, beta is divided by 1 - alpha_bar_t; it is the square root of it.": (partial(_ddpm, share=1.0)),
        "the variance is beta-tilde, which is a good choice too; but beta is asked for here.": (
            partial(_ddpm, variance="beta_tilde")
        ),
    },
    hints=[],
    praise="The mean of the posterior at the guess, and fresh noise, except in the last step.",
)
