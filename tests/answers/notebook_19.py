"""Answers to the exercises of notebook 19."""

from itertools import pairwise

import numpy as np

from tinydiff.diffusion import (
    FiniteData,
    GaussianDiffusion,
    classifier_free_guidance,
    cosine_schedule,
    ddim,
)

DIFFUSION = GaussianDiffusion(cosine_schedule(1000))


def library_pairs(times):
    """Return where DDIM says that it predicts, and where it arrives."""
    asked, point = [], FiniteData(DIFFUSION, np.zeros((1, 1)))

    def predict(x, t, context):
        asked.append(float(t[0]))
        return point.predict(x, t)

    arrived = [float(s) for s, _, _ in ddim(predict, DIFFUSION, np.ones((1, 1)), list(map(float, times)))]
    return np.stack([asked, arrived], axis=1)


def library_guided(given, nothing, s):
    """Return the eps_hat of classifier-free guidance, from a prediction that reads it off the context."""

    def predict(x, t, context):
        told = context.reshape(-1, *[1] * (x.ndim - 1)) > 0
        return x, np.where(told, np.repeat(given, 2, axis=0), np.repeat(nothing, 2, axis=0))

    guided = classifier_free_guidance(predict, DIFFUSION, np.zeros(1), s + 1e-13)
    return guided(np.zeros(given.shape), np.full(len(given), 5.0), np.ones(len(given)))[1]


def library_join(unknown_s, known, z, mask, alpha_bar_t, alpha_bar_s):
    """Return what `repaint` joins, with the noise that is given: its own cannot be."""
    diffusion = GaussianDiffusion(np.array([1.0, min(alpha_bar_s, 1 - 1e-12), alpha_bar_t]))
    known_s = diffusion.q_sample(known, 1, z) if alpha_bar_s < 1 else known
    return np.where(mask == 1, known_s, unknown_s)


LIBRARY = {
    "LOUD": "the library does not make this mistake.",
    "PAIRS": library_pairs,
    "GUIDE": library_guided,
    "SCALE": "the library trains in float32 and scales no loss.",
    "KNOWN": library_join,
    "SYMPTOM": "the library does not judge pictures by their looks.",
}


def loud(s, t, eta):
    beta_tilde = (1 - s) / (1 - t) * (s - t) / s
    return np.float32((1 - s) + eta * eta * beta_tilde)


def symptom(x):
    x = np.asarray(x, np.float32)
    if np.isnan(x).any() or np.isinf(x).any() or np.mean(x) < -0.98:
        return 1
    if np.std(x) < 0.2:
        return 2
    a, b = x[..., 1:] - x[..., 1:].mean(), x[..., :-1] - x[..., :-1].mean()
    if (a * b).mean() / (a.std() * b.std()) < 0.3:
        return 3
    return 4 * int(np.sqrt(x.var(0)).mean() * 10 < x.std())


def scale_rule(scale, good, finite, every):
    if finite:
        full = (good + 1) % every == 0
        return (2 * scale, 0) if full else (scale, good + 1)
    return 0.5 * scale, 0


RIGHT = {
    "LOUD": {
        "float32": loud,
        "factored": lambda s, t, eta: (1 - s) * (1 + eta**2 * (1 - t / s) / (1 - t)),
    },
    "PAIRS": {
        "pairwise": lambda times: [list(pair) for pair in pairwise([*times, 0])],
        "rolled": lambda times: np.stack(
            [times, np.roll(times, -1) * (np.arange(len(times)) < len(times) - 1)], axis=1
        ),
    },
    "GUIDE": {
        "with w": lambda given, nothing, s: s * given - (s - 1) * nothing,
        "float32": lambda given, nothing, s: np.float32(nothing + s * (given - nothing)),
        "mixed": lambda given, nothing, s: (1 - s) * nothing + s * given,
    },
    "SCALE": {
        "the other way round": scale_rule,
        "whole numbers": lambda scale, good, finite, every: (
            (int(scale * 2), 0) if finite and good + 1 >= every else ((scale, good + 1) if finite else (scale / 2, 0))
        ),
    },
    "KNOWN": {
        "where": lambda u, known, z, mask, t, s: np.where(mask == 1, np.sqrt(s) * known + np.sqrt(1 - s) * z, u),
        "float32": lambda u, known, z, mask, t, s: np.float32(u + mask * (np.sqrt(s) * known + np.sqrt(1 - s) * z - u)),
    },
    "SYMPTOM": {"by hand": symptom, "as a float": lambda x: float(symptom(x))},
}
WRONG = {
    "LOUD": {
        "twice": lambda s, t, eta: 2 * (1 - s),
        "with the noise of t": lambda s, t, eta: 1 - t + loud(s, t, eta) - (1 - s),
        "a standard deviation": lambda s, t, eta: float(loud(s, t, eta)) ** 0.5,
    },
    "PAIRS": {
        "up": lambda times: np.stack([times, [1000.0, *list(times)[:-1]]], axis=1),
        "all to 0": lambda times: np.stack([times, np.zeros(len(times))], axis=1),
        "one less": lambda times: np.stack([times, np.append(np.asarray(times)[1:] - 1, 0)], axis=1),
    },
    "GUIDE": {
        "the mean": lambda given, nothing, s: (given + nothing) / 2 * s,
        "clipped": lambda given, nothing, s: np.clip(nothing + s * (given - nothing), -1, 1),
        "no scale": lambda given, nothing, s: given + nothing - nothing * 1.001,
    },
    "SCALE": {
        "a quarter": lambda scale, good, finite, every: (
            (scale / 4, 0) if not finite else scale_rule(scale, good, True, every)
        ),
        "never up": lambda scale, good, finite, every: (scale, good + 1) if finite else (scale / 2, 0),
        "one early": lambda scale, good, finite, every: scale_rule(scale, good + 1, finite, every),
    },
    "KNOWN": {
        "only the known": lambda u, known, z, mask, t, s: np.sqrt(s) * known + np.sqrt(1 - s) * z,
        "added": lambda u, known, z, mask, t, s: mask * (np.sqrt(s) * known + np.sqrt(1 - s) * z) + u,
        "half-way": lambda u, known, z, mask, t, s: (
            mask * (np.sqrt((s + t) / 2) * known + np.sqrt(1 - (s + t) / 2) * z) + (1 - mask) * u
        ),
    },
    "SYMPTOM": {
        "always fine": lambda x: 0,
        "never alike": lambda x: min(symptom(x), 3) if symptom(x) < 4 else 0,
        "grey at half": lambda x: 2 if np.isfinite(x).all() and x.mean() > -0.9 and x.std() < 0.7 else symptom(x),
    },
}
