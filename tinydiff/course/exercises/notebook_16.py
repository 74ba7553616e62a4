"""Exercises of notebook 16: the line and its velocity, the mean velocity, the floor of the loss, and bent paths."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(16)


def _arrays(*shape):
    return tuple(_RNG.standard_normal(shape) for _ in range(2))


def _line(x_0, eps, b, turned=False, root=False, u=lambda x_0, eps, b: eps - x_0):
    a = (1 - b**2) ** 0.5 if root else 1 - b
    return (b * x_0 + a * eps if turned else a * x_0 + b * eps), u(x_0, eps, b)


LINE = Exercise(
    grade="transcribe",
    reference=_line,
    cases=[(*_arrays(3, 4), 0.3), (*_arrays(2, 3, 1), 0.85), (*_arrays(5), 0.55)],
    returns=["x_b", "u"],
    mistakes={
        "at b = 0 x_b should be the data; yours is the noise there.": partial(_line, turned=True),
        "the velocity is turned round: b grows towards the noise, so u is eps - x_0.": (
            partial(_line, u=lambda x_0, eps, b: x_0 - eps)
        ),
        "that is DDPM's arc, a = sqrt(1 - b^2); on the line a is 1 - b.": partial(_line, root=True),
        "that is v = a eps - b x_0, DDPM's velocity by the angle; FLOW-2 has no a and b.": (
            partial(_line, u=lambda x_0, eps, b: (1 - b) * eps - b * x_0)
        ),
        "u is the derivative of x_b by b, not what has been walked: leave b out.": (
            partial(_line, u=lambda x_0, eps, b: b * (eps - x_0))
        ),
    },
    hints=[
        "Two lines above, FLOW-1 and FLOW-2.",
        "The data times what is left, 1 - b, plus the noise times b; and the difference of the two ends.",
        "`return (1 - b) * x_0 + b * eps, eps - x_0`.",
    ],
    praise="A line has one velocity, whatever b is.",
)


def _ends(x_b, u, b, back=1.0, on=1.0, left=lambda b: 1 - b, walked=lambda b: b):
    return x_b - back * walked(b) * u, x_b + on * left(b) * u


ENDS = Exercise(
    grade="derive",
    reference=_ends,
    cases=[(*_arrays(3, 4), 0.3), (*_arrays(2, 3, 1), 0.85), (*_arrays(5), 0.6)],
    returns=["x_0", "eps"],
    mistakes={
        "x_0 and eps are exchanged in their distances: back to the data is b, on to the noise 1 - b.": (
            partial(_ends, left=lambda b: b, walked=lambda b: 1 - b)
        ),
        "u points to the noise: to reach the data, go against it.": partial(_ends, back=-1.0),
        "u points to the noise: to reach it, go along.": partial(_ends, on=-1.0),
        "that goes back by a whole u; only b of it has been walked.": partial(_ends, walked=lambda b: 1.0),
        "that goes on by a whole u; 1 - b of it is left.": partial(_ends, left=lambda b: 1.0),
    },
    hints=[
        "Two equations, two unknowns: put eps = u + x_0 into the line.",
        "x_b = x_0 + b u. And eps = x_0 + u.",
        "`return x_b - b * u, x_b + (1 - b) * u`.",
    ],
    praise="Back by what has been walked, on by what is left.",
)


def _velocity(x, b, points, spread=2, scaled=True, signal=True, over=lambda b: b, mean=False, answer="u"):
    far = x[:, None] - ((1 - b) * points if signal else points)
    weights = np.exp(-(far**2) / (2 * b**spread)) if not mean else np.ones(far.shape)
    weights = weights / (weights.sum(axis=1, keepdims=True) if scaled else 1)
    x_0_hat = (weights * points).sum(axis=1)
    return {"u": (x - x_0_hat) / over(b), "x_0": x_0_hat, "turned": (x_0_hat - x) / over(b)}[answer]


_POINTS = np.array([-0.9, 0.1, 0.7])

VELOCITY = Exercise(
    grade="derive",
    reference=_velocity,
    cases=[
        (np.array([-1.2, -0.3, 0.4, 1.5]), 0.4, _POINTS),
        (np.array([-2.0, 0.3, 0.8]), 0.75, np.array([-1.0, 1.2])),
        (np.array([0.5, -0.6]), 0.9, _POINTS),
    ],
    returns=["u"],
    mistakes={
        "the weights do not sum to 1: divide by their sum.": partial(_velocity, scaled=False),
        "x is compared with the points themselves; at b they have shrunk to (1 - b) p.": partial(
            _velocity, signal=False
        ),
        "the noise at b has the deviation b, so its variance is b^2, not b.": partial(_velocity, spread=1),
        "that is x_0_hat; the velocity is (x - x_0_hat) / b.": partial(_velocity, answer="x_0"),
        "the velocity is turned round: it points from the data to the noise.": partial(_velocity, answer="turned"),
        "x - x_0_hat is the way that was walked; the velocity is that over the time b.": (
            partial(_velocity, over=lambda b: 1.0)
        ),
        "that divides by 1 - b; b is the time since the data.": partial(_velocity, over=lambda b: 1 - b),
        "every point counts alike; those that explain x count more.": partial(_velocity, mean=True),
    },
    hints=[
        "By FLOW-3, u = (x - x_0) / b for every line through x. So what is the mean of u?",
        "The mean of x_0 given x: the points, weighted by their chances, whose sum must be 1.",
        "`weights = np.exp(-((x[:, None] - (1 - b) * points) ** 2) / (2 * b**2))`, then "
        "`(x - (weights * points).sum(axis=1) / weights.sum(axis=1)) / b`.",
    ],
    praise="The best denoiser and the marginal velocity are one knowledge.",
)


def _floor(S, b, numerator=lambda S, b: S, total=lambda S, b: (1 - b) ** 2 * S + b**2):
    return numerator(S, b) / total(S, b) + 0 * b


_B = np.array([0.05, 0.4, 0.8])

FLOOR = Exercise(
    grade="derive",
    reference=_floor,
    cases=[(0.3, _B), (1.7, _B), (0.05, 0.5), (0.6, 0.9)],
    returns=["floor"],
    mistakes={
        "that is the variance of u before x_b is seen; seeing it leaves less.": (lambda S, b: 1 + S + 0 * b),
        "that is what x_b explains of u; the floor is what is left of 1 + S.": (
            lambda S, b: (b - (1 - b) * S) ** 2 / ((1 - b) ** 2 * S + b**2)
        ),
        "that is the floor for x_0, Var[x_0 | x_b]; for u divide it by b^2.": (
            lambda S, b: S * b**2 / ((1 - b) ** 2 * S + b**2)
        ),
        "the covariance of u and x_b is b - (1 - b) S: u has -x_0 in it.": (
            lambda S, b: 1 + S - (b + (1 - b) * S) ** 2 / ((1 - b) ** 2 * S + b**2)
        ),
        "Var[x_b] has (1 - b)^2, since variances are multiplied by squares.": (
            partial(_floor, total=lambda S, b: (1 - b) * S + b)
        ),
        "signal and noise are exchanged in Var[x_b]: the data are multiplied by 1 - b.": (
            partial(_floor, total=lambda S, b: b**2 * S + (1 - b) ** 2)
        ),
    },
    hints=[
        "Three moments: Var[u], Cov[u, x_b] and Var[x_b], of u = eps - x_0 and x_b = (1 - b) x_0 + b eps.",
        "1 + S, b - (1 - b) S, and (1 - b)^2 S + b^2. Put them in, and multiply out the numerator.",
        "`return S / ((1 - b) ** 2 * S + b**2)`.",
    ],
    praise="1 at the data, S at the noise.",
)


def _euler(velocity, x, times, at="start", sign=1, whole=False):
    for k in range(len(times) - 1):
        change = times[k + 1] - times[k]
        change = -times[k] / (len(times) - 1 - k) if whole else change
        b = times[k] if at == "start" else max(times[k + 1], 1e-3) if at == "end" else times[0]
        x = x + sign * change * velocity(x, b)
    return x


def _wavy(x, b):
    return np.sin(2 * x) + (1 - b) * x


def _away(x, b):
    return (x - 0.4) * (0.5 + b)


EULER = Exercise(
    grade="transcribe",
    reference=_euler,
    cases=[
        (_wavy, _RNG.standard_normal((3, 2)), [1.0, 0.6, 0.35, 0.0]),
        (_away, _RNG.standard_normal(5), [1.0, 0.85, 0.4, 0.1]),
        (_wavy, _RNG.standard_normal(4), [1.0, 0.2]),
    ],
    returns=["x"],
    mistakes={
        "that walks away from the data: the times fall, so the change of b is below 0.": partial(_euler, sign=-1),
        "the velocity is that at the end of the step; x is still at its start.": partial(_euler, at="end"),
        "the velocity is always asked for at the first time.": partial(_euler, at="first"),
        "the steps are taken for equal ones down to 0; take the times that are given.": partial(_euler, whole=True),
    },
    hints=[
        "A loop over neighbours in times, and one line in it.",
        "x changes by the velocity times the change of b, and that is below 0.",
        "`x = x + (times[k + 1] - times[k]) * velocity(x, times[k])`.",
    ],
    praise="On this path DDIM is Euler's method.",
)


def _bow(S, b, path=lambda S, b: ((1 - b) ** 2 * S + b**2) ** 0.5, line=lambda S, b: (1 - b) * S**0.5 + b):
    return path(S, b) - line(S, b)


BOW = Exercise(
    grade="explore",
    reference=_bow,
    cases=[(0.3, _B), (1.7, _B), (0.05, 0.5), (0.6, 0.9)],
    returns=["bow"],
    mistakes={
        "the sign is turned: take the line off the path.": lambda S, b: -_bow(S, b),
        "the path ends at sqrt(S), not at S: so does its line.": partial(_bow, line=lambda S, b: (1 - b) * S + b),
        "that is the variance along the path; the path goes with its root.": (
            partial(_bow, path=lambda S, b: (1 - b) ** 2 * S + b**2)
        ),
        "the line is that from x_1 to the mean of the data, 0; the path ends at sqrt(S).": (
            partial(_bow, line=lambda S, b: b)
        ),
        "the line runs from data to noise: at b = 1 it is 1.": partial(_bow, line=lambda S, b: b * S**0.5 + 1 - b),
    },
    hints=[
        "Where is the path at b = 0, where at b = 1? The line goes through both.",
        "sqrt(S) and 1. Between them the line is (1 - b) sqrt(S) + b.",
        "`return ((1 - b) ** 2 * S + b**2) ** 0.5 - ((1 - b) * S**0.5 + b)`.",
    ],
    praise="A hypotenuse is shorter than the sum of its legs.",
)
