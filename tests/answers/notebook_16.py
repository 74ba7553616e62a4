"""Answers to the exercises of notebook 16."""

import itertools

import numpy as np

from tinydiff.diffusion import FiniteData, Gaussian, GaussianPath, ddim, last, straight_schedule

PATH = GaussianPath(straight_schedule(1000), "straight")


def library_line(x_0, eps, b):
    return PATH.q_sample(x_0, 1000 * b, eps), PATH.flow_from(x_0, eps, 1000 * b)


def library_ends(x_b, u, b):
    return PATH.x_0_from_flow(x_b, 1000 * b, u), PATH.eps_from_flow(x_b, 1000 * b, u)


def library_velocity(x, b, points):
    x_0_hat, eps_hat = FiniteData(PATH, points[:, None]).predict(x[:, None], 1000 * b)
    return (eps_hat - x_0_hat)[:, 0]


def library_euler(velocity, x, times):
    def predict(x, t, context):
        b = float(t[0]) / 1000
        u = velocity(x, b)
        return x - b * u, x + (1 - b) * u

    *visited, end = [1000 * b for b in times]
    return last(ddim(predict, PATH, x, visited, end=end))


def library_bow(S, b):
    paths = [Gaussian(PATH, np.zeros(1), S).flow(np.ones((1, 1)), 1000, 1000 * one)[0, 0] for one in np.atleast_1d(b)]
    bow = np.array(paths) - ((1 - np.atleast_1d(b)) * S**0.5 + np.atleast_1d(b))
    return bow if np.ndim(b) else bow[0]


def by_steps(velocity, x, times):
    x = np.array(x)
    for b, change in zip(times[:-1], np.diff(times), strict=True):
        x += change * velocity(x, b)
    return x


def one_by_one(x, b, points):
    found = []
    for place in x:
        chances = np.exp(-((place - (1 - b) * points) ** 2) / b**2 / 2)
        chances /= chances.sum()
        found.append(chances @ ((place - points) / b))
    return found


def by_eps(x, b, points):
    weights = np.exp(-0.5 * ((x - (1 - b) * points[:, None]) / b) ** 2)
    eps = (weights * (x - (1 - b) * points[:, None]) / b).sum(axis=0) / weights.sum(axis=0)
    return (eps - x) / (1 - b)


LIBRARY = {
    "LINE": library_line,
    "ENDS": library_ends,
    "VELOCITY": library_velocity,
    "FLOOR": "the library trains, and has no formula for where a loss ends.",
    "EULER": library_euler,
    "BOW": library_bow,
}
RIGHT = {
    "LINE": {
        "from the data": lambda x_0, eps, b: (x_0 + b * (eps - x_0), eps - x_0),
        "in float32": lambda x_0, eps, b: tuple(
            one.astype(np.float32) for one in (eps - (1 - b) * (eps - x_0), -(x_0 - eps))
        ),
    },
    "ENDS": {
        "one after the other": lambda x_b, u, b: ((x_b - b * u), (x_b - b * u) + u),
        "as a matrix": lambda x_b, u, b: tuple(np.tensordot([[1, -b], [1, 1 - b]], np.stack([x_b, u]), 1)),
    },
    "VELOCITY": {"one place after the other": one_by_one, "from the noise": by_eps},
    "FLOOR": {
        "from the moments": lambda S, b: 1 + S - (b - (1 - b) * S) ** 2 / ((1 - b) ** 2 * S + b**2),
        "upside down": lambda S, b: 1 / ((1 - b) ** 2 + b**2 / S),
    },
    "EULER": {"in place": by_steps, "in float32": lambda v, x, times: by_steps(v, x, times).astype(np.float32)},
    "BOW": {
        "by hypot": lambda S, b: np.hypot((1 - b) * S**0.5, b) - b - (1 - b) * S**0.5,
        "by a complex number": lambda S, b: abs((1 - b) * S**0.5 + 1j * b) - ((1 - b) * S**0.5 + b),
    },
}
WRONG = {
    "LINE": {
        "twice the velocity": lambda x_0, eps, b: ((1 - b) * x_0 + b * eps, 2 * (eps - x_0)),
        "noise is added to all of the data": lambda x_0, eps, b: (x_0 + b * eps, eps - x_0),
        "the other order": lambda x_0, eps, b: (eps - x_0, (1 - b) * x_0 + b * eps),
    },
    "ENDS": {
        "divided by 1 - b": lambda x_b, u, b: (x_b / (1 - b), x_b + (1 - b) * u),
        "only x_0 is right": lambda x_b, u, b: (x_b - b * u, u),
        "in the other order": lambda x_b, u, b: (x_b + (1 - b) * u, x_b - b * u),
    },
    "VELOCITY": {
        "the nearest point only": lambda x, b, points: (
            (x - points[abs(x[:, None] - (1 - b) * points).argmin(axis=1)]) / b
        ),
        "without the half": lambda x, b, points: one_by_one(x, b / 2**0.5, points),
        "the noise": lambda x, b, points: x + (1 - b) * np.array(one_by_one(x, b, points)),
    },
    "FLOOR": {
        "S": lambda S, b: S + 0 * b,
        "the root": lambda S, b: (S / ((1 - b) ** 2 * S + b**2)) ** 0.5,
        "1 at the noise": lambda S, b: 1 / ((1 - b) ** 2 * S + b**2),
    },
    "EULER": {
        "half of each step": lambda v, x, times: by_steps(lambda x, b: 0.5 * v(x, b), x, times),
        "one step": lambda v, x, times: x + (times[-1] - times[0]) * v(x, times[0]) * 0.999,
        "the start again and again": lambda v, x, times: (
            x + sum((s - t) * v(np.asarray(x), t) for t, s in itertools.pairwise(times)) * 1.01
        ),
    },
    "BOW": {
        "squared": lambda S, b: library_bow(S, b) ** 2,
        "without the line": lambda S, b: ((1 - b) ** 2 * S + b**2) ** 0.5,
        "half": lambda S, b: 0.5 * library_bow(S, b),
    },
}
