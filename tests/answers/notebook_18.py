"""Answers to the exercises of notebook 18."""

import numpy as np
import scipy.special
import scipy.stats

from tinydiff.networks.real_nvp import Coupling
from tinydiff.train import bits_per_number

softplus = scipy.special.softplus if hasattr(scipy.special, "softplus") else (lambda x: -scipy.special.log_expit(-x))


def losses(real, fake):
    return softplus(-real).mean() + softplus(fake).mean(), softplus(-fake).mean()


def pull(fake):
    sigmoid = scipy.special.expit
    return -sigmoid(fake) / fake.size, (sigmoid(fake) - 1) / fake.size


def bound(x, x_hat, sigma, mean, log_variance):
    log_likelihood = scipy.stats.norm.logpdf(x, x_hat, sigma).sum(axis=1)
    kl = (0.5 * (np.exp(log_variance) + mean**2 - 1) - 0.5 * log_variance).sum(axis=1)
    return np.mean(kl - log_likelihood) / x.shape[1]


def importance(log_weights):
    return scipy.special.logsumexp(log_weights, axis=0) - np.log(len(log_weights))


def coupling(x, keeps, s_and_t):
    s, t = s_and_t(x[:, keeps])
    scale, shift = np.zeros(x.shape), np.zeros(x.shape)
    scale[:, ~keeps], shift[:, ~keeps] = s, t
    return x * np.exp(scale) + shift, scale.sum(axis=1)


def inverse(y, keeps, s_and_t):
    s, t = s_and_t(y[:, keeps])
    scale, shift = np.zeros(y.shape), np.zeros(y.shape)
    scale[:, ~keeps], shift[:, ~keeps] = s, t
    return (y - shift) / np.exp(scale)


def library_coupling(keeps, s_and_t):
    """Return the library's coupling, with a given function in the place of its network."""
    layer = Coupling(keeps, (2,), 1.0, np.random.default_rng(0), np.float64)
    layer._s_and_t = lambda kept, tape: s_and_t(kept)
    return layer


LIBRARY = {
    "LOSSES": "the library computes a loss together with its gradient, in an objective.",
    "PULL": "the library has the gradient inside an objective, in one of the two forms.",
    "BOUND": "the library computes the bound together with its gradient, in an objective.",
    "IMPORTANCE": "the library draws the samples, too, and has no function of their weights.",
    "COUPLING": lambda x, keeps, s_and_t: tuple(library_coupling(keeps, s_and_t).forward(x)),
    "INVERSE": lambda y, keeps, s_and_t: library_coupling(keeps, s_and_t).inverse(y).y,
    "BITS": lambda nats, levels: bits_per_number(nats, levels),
}
RIGHT = {
    "LOSSES": {
        "by SciPy": losses,
        "with where": lambda real, fake: tuple(
            sum(np.mean(np.where(x > 0, x, 0) + np.log1p(np.exp(-abs(x)))) for x in xs)
            for xs in ((-real, fake), (-fake,))
        ),
    },
    "PULL": {
        "by SciPy": pull,
        "with tanh": lambda fake: (-(1 + np.tanh(fake / 2)) / 2 / fake.size, -(1 - np.tanh(fake / 2)) / 2 / fake.size),
    },
    "BOUND": {
        "by SciPy": bound,
        "float32": lambda *args: np.float32(bound(*args)),
    },
    "IMPORTANCE": {
        "by SciPy": importance,
        "as a list": lambda log_weights: [float(importance(column[:, None])[0]) for column in log_weights.T],
    },
    "COUPLING": {
        "all places": coupling,
        "float32": lambda x, keeps, f: tuple(a.astype(np.float32) for a in coupling(x, keeps, f)),
    },
    "INVERSE": {"all places": inverse, "as a list": lambda *args: inverse(*args).tolist()},
    "BITS": {
        "in logarithms of 2": lambda nats, levels: nats / np.log(2) + np.log2(levels) - 1,
        "of the probability": lambda nats, levels: -np.log2(np.exp(-nats) * 2 / levels),
    },
}
WRONG = {
    "LOSSES": {
        "probabilities in the place of logits": lambda real, fake: losses(
            scipy.special.expit(real), scipy.special.expit(fake)
        ),
        "one loss twice": lambda real, fake: (losses(real, fake)[0],) * 2,
        "game of zero sum": lambda real, fake: (losses(real, fake)[0], -losses(real, fake)[0]),
    },
    "PULL": {
        "both saturate": lambda fake: (pull(fake)[0],) * 2,
        "neither saturates": lambda fake: (-np.ones_like(fake) / fake.size,) * 2,
        "probability of data": lambda fake: (scipy.special.expit(fake), scipy.special.expit(-fake)),
    },
    "BOUND": {
        "not over D": lambda x, *rest: bound(x, *rest) * x.shape[1],
        "standard deviation for variance": lambda x, x_hat, sigma, m, v: bound(x, x_hat, sigma**0.5, m, v),
        "log variance doubled": lambda x, x_hat, sigma, m, v: bound(x, x_hat, sigma, m, 2 * v),
        "the likelihood's sign": lambda *args: -bound(*args),
    },
    "IMPORTANCE": {
        "median": lambda log_weights: np.median(log_weights, axis=0),
        "one sample": lambda log_weights: log_weights[0],
        "without the last": lambda log_weights: importance(log_weights[:-1]),
    },
    "COUPLING": {
        "keeps and moves exchanged": lambda x, keeps, f: (
            np.where(keeps, x * 1.1, x),
            coupling(x, keeps, f)[1],
        ),
        "identity": lambda x, keeps, f: (x, np.zeros(len(x))),
        "one log_det for all": lambda x, keeps, f: (
            coupling(x, keeps, f)[0],
            coupling(x, keeps, f)[1].mean() + 0 * x[:, 0],
        ),
    },
    "INVERSE": {
        "identity": lambda y, keeps, f: y,
        "shift only": lambda y, keeps, f: np.where(keeps, y, y - coupling(0 * y, keeps, f)[0]),
        "twice": lambda y, keeps, f: inverse(inverse(y, keeps, f), keeps, f),
    },
    "BITS": {
        "without the cell": lambda nats, levels: nats / np.log(2),
        "logarithm of 10": lambda nats, levels: (nats + np.log(levels / 2)) / np.log(10),
        "half the levels, squared": lambda nats, levels: (nats + np.log(levels * levels / 2)) / np.log(2),
    },
}
