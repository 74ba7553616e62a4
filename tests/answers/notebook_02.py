"""Answers to the exercises of notebook 02."""

import numpy as np

from tinydiff.diffusion import FiniteData, GaussianDiffusion, GaussianMixture


def process(alpha_bar):
    return GaussianDiffusion(np.array([1.0, alpha_bar]))  # one step, which leaves as much as was asked for


def mixture(x_t, weights, means, variances, alpha_bar):
    data = GaussianMixture(process(alpha_bar), weights, means[:, None], variances)
    return data.predict(x_t[:, None], 1)[0][:, 0]


def score(x_t, x_0_hat, alpha_bar):
    return process(alpha_bar).score_from_eps(process(alpha_bar).eps_from_x_0(x_t, 1, x_0_hat), 1)


def one_by_one(x_t, points, weights, alpha_bar):
    found = []
    for x in x_t:
        share = [
            w * np.exp(-sum((x - np.sqrt(alpha_bar) * p) ** 2) / 2 / (1 - alpha_bar))
            for w, p in zip(weights, points, strict=True)
        ]
        found.append(sum(s * p for s, p in zip(share, points, strict=True)) / sum(share))
    return found


def by_softmax(x_t, points, weights, alpha_bar):
    a = np.sqrt(alpha_bar)
    logits = (a * x_t @ points.T - alpha_bar * (points**2).sum(1) / 2) / (1 - alpha_bar) + np.log(weights)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.einsum("nk,kd->nd", share / share.sum(axis=1, keepdims=True), points)


def bells_in_logs(x_t, weights, means, variances, alpha_bar):
    out = []
    for x in x_t:
        total = alpha_bar * variances + (1 - alpha_bar)
        log_q = np.log(weights) - (x - alpha_bar**0.5 * means) ** 2 / (2 * total) - np.log(2 * np.pi * total) / 2
        share = np.exp(log_q - log_q.max())
        b_squared = 1 - alpha_bar
        own = (b_squared * means + alpha_bar**0.5 * variances * x) / total
        out.append(share @ own / share.sum())
    return np.array(out, np.float32)


def a_variation(x_t, weights, means, variances, alpha_bar, width=None, slope=None, shift=0.5):
    total = alpha_bar * variances + 1 - alpha_bar
    gap = x_t[:, None] - alpha_bar**shift * means
    q = np.exp(-(gap**2) / (2 if width is None else width) / total) / total**0.5
    own = means + (alpha_bar**0.5 if slope is None else slope) * variances / total * gap
    share = weights * q
    return (share * own).sum(axis=1) / share.sum(axis=1)


def by_loop(samples, images):
    return [min(np.abs(image - sample).max() for image in images) for sample in samples]


LIBRARY = {
    "DENOISER": lambda x, points, weights, a: FiniteData(process(a), points, weights).predict(x, 1)[0],
    "BELLS": mixture,
    "SCORE": score,
    "COPIES": "the library finds the nearest image by the sum of squares, and shows it.",
}
RIGHT = {
    "DENOISER": {
        "one by one": one_by_one,
        "softmax": by_softmax,
        "float32": lambda x, points, weights, a: by_softmax(x.astype(np.float32), points, weights, a).astype("f4"),
    },
    "BELLS": {
        "logarithms, float32": bells_in_logs,
        "with 2 pi": lambda x, w, m, v, a: a_variation(x, w / np.sqrt(2 * np.pi), m, v, a),
    },
    "SCORE": {
        "two fractions": lambda x, g, a: np.sqrt(a) / (1 - a) * g - x / (1 - a),
        "through the noise": lambda x, g, a: -((x - a**0.5 * g) / (1 - a) ** 0.5) / (1 - a) ** 0.5,
        "float32": lambda x, g, a: ((a**0.5 * g - x) / (1 - a)).astype(np.float32),
    },
    "COPIES": {
        "a loop": by_loop,
        "rows": lambda s, i: np.min(
            np.max(np.abs(s.reshape(len(s), 1, -1) - i.reshape(1, len(i), -1)), axis=2), axis=1
        ),
    },
}
WRONG = {
    "DENOISER": {
        "mean over the axes": lambda x, points, w, a: one_by_one(
            x / points.shape[1] ** 0.5, points / points.shape[1] ** 0.5, w, a
        ),
        "weights squared": lambda x, points, w, a: by_softmax(x, points, w**2, a),
        "roots of weights": lambda x, points, w, a: by_softmax(x, points, w**0.5, a),
        "weights reversed": lambda x, points, w, a: by_softmax(x, points, w[::-1], a),
        "signal's variance": lambda x, points, w, a: by_softmax(x, points * ((1 - a) / a) ** 0.5, w, a),
        "first x_t for all": lambda x, points, w, a: np.tile(by_softmax(x[:1], points, w, a), (len(x), 1)),
        "only the first axis": lambda x, points, w, a: np.repeat(
            by_softmax(x[:, :1], points[:, :1], w, a), points.shape[1], axis=1
        ),
        "x_t divided, not the points shrunk": lambda x, points, w, a: by_softmax(x / a, points, w, a),
        "the noise": lambda x, points, w, a: (x - a**0.5 * by_softmax(x, points, w, a)) / (1 - a) ** 0.5,
    },
    "BELLS": {
        "no 2": lambda *args: a_variation(*args, width=1),
        "slope without a": lambda *args: a_variation(*args, slope=1),
        "means not shrunk": lambda *args: a_variation(*args, shift=0),
        "means shrunk too much": lambda *args: a_variation(*args, shift=1),
        "weights reversed": lambda x, w, m, v, a: a_variation(x, w[::-1], m, v, a),
        "variances reversed": lambda x, w, m, v, a: a_variation(x, w, m, v[::-1], a),
        "roots of variances": lambda x, w, m, v, a: a_variation(x, w, m, v**0.5, a),
        "height from data's variance": lambda x, w, m, v, a: a_variation(
            x, w * (a * v + 1 - a) ** 0.5 / v**0.5, m, v, a
        ),
    },
    "SCORE": {
        "divided by a": lambda x, g, a: (a**0.5 * g - x) / (1 - a) / a**0.5,
        "x_t shrunk too": lambda x, g, a: a**0.5 * (g - x) / (1 - a),
        "only towards the guess": lambda x, g, a: g - x,
        "clipped": lambda x, g, a: np.clip((a**0.5 * g - x) / (1 - a), -1, 1),
        "guess divided": lambda x, g, a: (g / a**0.5 - x) / (1 - a),
        "noise's variance squared": lambda x, g, a: (a**0.5 * g - x) / (1 - a) ** 2,
    },
    "COPIES": {
        "root of squares": lambda s, i: np.sqrt(((s[:, None] - i) ** 2).sum(axis=(2, 3, 4))).min(axis=1),
        "first image": lambda s, i: abs(s - i[:1]).max(axis=(1, 2, 3)),
        "which": lambda s, i: abs(s[:, None] - i).max(axis=(2, 3, 4)).argmin(axis=1),
        "mean over the list": lambda s, i: abs(s[:, None] - i).max(axis=(2, 3, 4)).mean(axis=1),
        "mean image": lambda s, i: abs(s - i.mean(axis=0)).max(axis=(1, 2, 3)),
        "one number": lambda s, i: max(by_loop(s, i)),
    },
}
