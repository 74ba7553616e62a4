"""Exercises of notebook 13: the signal of an SDE, the velocity of a density, a step back, Heun, log q on the way."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(13)


def _normal(*shape):
    return _RNG.standard_normal(shape)


def _alpha_bar(tau, beta_min, beta_max, power=1.0, half=0.5):
    return np.exp(-power * (tau * beta_min + half * tau**2 * (beta_max - beta_min)))


ALPHA_BAR = Exercise(
    grade="derive",
    reference=_alpha_bar,
    cases=[(0.3, 0.1, 20.0), (0.7, 0.5, 3.0), (1.0, 0.2, 1.1), (0.05, 2.0, 9.0)],
    returns=["alpha_bar"],
    mistakes={
        "that is a, the scale of the signal; alpha_bar is its square.": partial(_alpha_bar, power=0.5),
        "the integral of tau is tau^2 / 2.": partial(_alpha_bar, half=1.0),
        "beta grows with tau: integrate it from 0 to tau; its value at tau is a rate.": (
            lambda tau, low, high: np.exp(-(low + tau * (high - low)))
        ),
        "only the smallest beta was used; it grows to beta_max.": lambda tau, low, high: np.exp(-tau * low + 0 * high),
    },
    hints=[
        "a falls by the rate beta / 2: da / dtau = -beta a / 2. What is a then, and its square?",
        "alpha_bar = exp(-integral of beta from 0 to tau), where beta = beta_min + tau (beta_max - beta_min).",
        "`return np.exp(-tau * beta_min - 0.5 * tau**2 * (beta_max - beta_min))`.",
    ],
    praise="Half of the rate in a, all of it in alpha_bar.",
)


def _velocity(x, score, beta, of_x=-0.5, of_score=-0.5):
    return beta * (of_x * x + of_score * score)


VELOCITY = Exercise(
    grade="derive",
    reference=_velocity,
    cases=[
        (_normal(4, 2), _normal(4, 2), 0.7),
        (_normal(3), _normal(3), 5.0),
        (_normal(2, 1, 2), _normal(2, 1, 2), 12.0),
    ],
    returns=["velocity"],
    mistakes={
        "that moves points uphill while noise is added: a density that spreads moves away from its peaks.": (
            partial(_velocity, of_score=0.5)
        ),
        "all of the score is the drift of the reverse SDE; a flow has half of it.": partial(_velocity, of_score=-1.0),
        "the drift of the SDE is -beta x / 2.": partial(_velocity, of_x=-1.0),
        "without the score there is the drift alone, and no spreading.": partial(_velocity, of_score=0.0),
        "x must be pulled to 0, not pushed away from it.": partial(_velocity, of_x=0.5),
    },
    hints=[
        "Write the spreading, beta / 2 times the divergence of grad q, as the divergence of q times something.",
        "grad q = q grad log q. So the noise acts as a velocity of -beta / 2 times the score.",
        "`return -0.5 * beta * (x + score)`.",
    ],
    praise="The same densities at all times, and nothing random.",
)


def _reverse(x, score, beta, h, z, of_x=0.5, of_score=1.0, share=1.0, power=0.5):
    return x + h * beta * (of_x * x + of_score * score) + (share * beta * h) ** power * z


REVERSE = Exercise(
    grade="transcribe",
    reference=_reverse,
    cases=[
        (_normal(4, 2), _normal(4, 2), 3.0, 0.01, _normal(4, 2)),
        (_normal(3), _normal(3), 0.8, 0.1, _normal(3)),
        (_normal(2, 1, 2), _normal(2, 1, 2), 15.0, 0.002, _normal(2, 1, 2)),
    ],
    returns=["x"],
    mistakes={
        "half of the score belongs to the flow without noise.": partial(_reverse, of_score=0.5),
        "walking back, x grows again: the sign of its drift turns round.": partial(_reverse, of_x=-0.5),
        "walking back, the score pulls towards the data: its sign is plus.": partial(_reverse, of_score=-1.0),
        "the noise is multiplied by its variance, beta h, and not by its root.": partial(_reverse, power=1.0),
        "the noise has the variance beta h, as on the way forward.": partial(_reverse, share=2.0),
        "there is no noise in it.": partial(_reverse, share=0.0),
    },
    hints=[
        "Three terms are added to x: two of a drift, times h, and noise.",
        "Going back by h, the drift is that of Eq. reverse with the other sign: beta x / 2 + beta score.",
        "`return x + h * (0.5 * beta * x + beta * score) + (beta * h) ** 0.5 * z`.",
    ],
    praise="With small steps this is DDPM.",
)


def _curved(y, sigma):
    """Stand in for the noise that a network predicts in y."""
    return np.sin(y) + sigma * y / (1 + sigma**2)


def _heun(eps_of, y, sigmas, second="mean", at_zero=False, ahead=True, level="s"):
    y = np.asarray(y)
    for t, s in pairwise(sigmas):
        slope = eps_of(y, t)
        there = y + (s - t) * slope
        if s > 0 or at_zero:
            other = eps_of(there if ahead else y, s if level == "s" else t)
            slope = {"mean": (slope + other) / 2, "other": other, "none": slope, "sum": slope + other}[second]
        y = y + (s - t) * slope
    return y


HEUN = Exercise(
    grade="transcribe",
    reference=_heun,
    cases=[
        (_curved, _normal(4, 2), [3.0, 1.2, 0.4, 0.0]),
        (_curved, _normal(5), [1.0, 0.3]),
        (_curved, _normal(2, 1, 3), [8.0, 2.0, 0.5, 0.1, 0.0]),
    ],
    returns=["y"],
    mistakes={
        "that is Euler's step, DDIM: the second slope is not used.": partial(_heun, second="none"),
        "the second slope alone is used; take the mean of both.": partial(_heun, second="other"),
        "the two slopes are added up, and not halved.": partial(_heun, second="sum"),
        "the last step has a second slope: at sigma = 0 there is no noise to predict.": partial(_heun, at_zero=True),
        "the second slope is that where the step began; take it where Euler's step leads.": partial(_heun, ahead=False),
        "the second slope is asked for the old sigma.": partial(_heun, level="t"),
    },
    hints=[
        "First a step of Euler's, y + (s - t) * slope. What is the slope there?",
        "Then again from the old y, by the mean of the two slopes; but not where s is 0.",
        "`y = y + (s - t) * (slope + eps_of(y + (s - t) * slope, s)) / 2` where s > 0.",
    ],
    praise="Two predictions a step, and an error that falls with the square of the step.",
)


def _still(x, tau):
    """Return a field whose divergence is not the same everywhere."""
    return np.stack([np.sin(x[:, 0]) + tau * x[:, 1], x[:, 0] * x[:, 1]], axis=1)


def _shrinking(x, tau):
    return -(1 + tau) * x + x[:, ::-1] ** 2


def _change(velocity, x, taus, h, sign=-1, coordinates=None, timed=True, width=2.0, across=False):
    x, change = np.array(x, float), np.zeros(len(x))
    d = x.shape[1]
    for now, then in pairwise(taus):
        divergence = np.zeros(len(x))
        for i in range(d if coordinates is None else coordinates):
            e = h * np.eye(d)[i]
            j = (i + 1) % d if across else i
            divergence += (velocity(x + e, now) - velocity(x - e, now))[:, j] / (width * h)
        change += sign * divergence * (then - now if timed else 1.0)
        x = x + (then - now) * velocity(x, now)
    return x, change


CHANGE = Exercise(
    grade="explore",
    reference=_change,
    cases=[
        (_still, _normal(4, 2), [0.1, 0.3, 0.6], 1e-3),
        (_shrinking, _normal(3, 2), [0.5, 0.45, 0.4, 0.3], 1e-3),
        (_still, _normal(2, 2), [1.0, 0.7], 1e-3),
    ],
    returns=["x", "change of log q"],
    mistakes={
        "the sign: where a flow spreads, the divergence is above 0, and the density falls.": partial(_change, sign=1),
        "the divergence is a sum over all coordinates.": partial(_change, coordinates=1),
        "the divergence is a rate: multiply it by the time that passes.": partial(_change, timed=False),
        "a central difference goes from -h to h: divide by 2 h.": partial(_change, width=1.0),
        "the divergence takes the slope of each component along its own axis.": partial(_change, across=True),
    },
    hints=[
        "In each step, first the divergence where x is, then the step itself.",
        "The slope of component i along axis i is (v(x + h e_i) - v(x - h e_i))_i / (2 h); sum over i.",
        "`change -= divergence * (then - now)`, and then `x = x + (then - now) * velocity(x, now)`.",
    ],
    praise="So a flow carries a density along: that is a likelihood.",
)
