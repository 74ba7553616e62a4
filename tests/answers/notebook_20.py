"""Answers to the exercises of notebook 20."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, GaussianMixture, classifier_guidance
from tinydiff.functional import cross_entropy, cross_entropy_backward


def guided(x_t, eps_hat, gradient, alpha_bar, scale):
    order = np.argsort(-alpha_bar)
    diffusion = GaussianDiffusion(np.array([1.0, *alpha_bar[order]]))
    t = 1 + np.argsort(order)
    return classifier_guidance(lambda *_: (None, eps_hat), diffusion, lambda *_: gradient, scale)(x_t, t)


def classes(x, weights, means, variances, alpha_bar):
    mixture = GaussianMixture(GaussianDiffusion(np.array([1.0, alpha_bar])), weights, means, variances)
    return np.stack([mixture.log_class_probability(x, 1, np.full(len(x), k)) for k in range(len(means))], axis=1)


def logits(logits, labels):
    _, cache = cross_entropy(logits, labels)
    (d,) = cross_entropy_backward(-float(len(logits)), cache)
    return d


def by_loop(x_t, eps_hat, gradient, alpha_bar, scale):
    guesses, noises = [], []
    for x, e, g, a in zip(x_t, eps_hat, gradient, alpha_bar, strict=True):
        noises.append(e - g * np.sqrt(1 - a) * scale)
        guesses.append((x - np.sqrt(1 - a) * noises[-1]) / np.sqrt(a))
    return guesses, noises


def by_scores(x_t, eps_hat, gradient, alpha_bar, scale):
    """Push the score, and take the guess by Tweedie's formula."""
    a = alpha_bar.reshape(-1, *[1] * (x_t.ndim - 1))
    score = -eps_hat / (1 - a) ** 0.5 + scale * gradient
    return (x_t + (1 - a) * score) / a**0.5, -score * (1 - a) ** 0.5


def guided_float32(x_t, eps_hat, gradient, alpha_bar, scale):
    x_t, eps_hat, gradient, alpha_bar = (v.astype(np.float32) for v in (x_t, eps_hat, gradient, alpha_bar))
    a = np.expand_dims(alpha_bar, tuple(range(1, x_t.ndim)))
    eps = eps_hat - np.float32(scale) * np.sqrt(1 - a) * gradient
    return (x_t - np.sqrt(1 - a) * eps) / np.sqrt(a), eps


def classes_by_loop(x, weights, means, variances, alpha_bar):
    out = []
    for point in x:
        row = []
        for w, m, v in zip(weights, means, variances, strict=True):
            s = alpha_bar * v + 1 - alpha_bar
            d = point - np.sqrt(alpha_bar) * m
            row.append(np.log(w) - len(d) / 2 * np.log(2 * np.pi * s) - d @ d / (2 * s))
        out.append(np.array(row) - np.logaddexp.reduce(row))
    return out


def classes_einsum(x, weights, means, variances, alpha_bar):
    s = alpha_bar * (variances - 1) + 1
    d = x[:, None, :] - alpha_bar**0.5 * means[None]
    z = np.log(weights) - 0.5 * np.einsum("nkd,nkd->nk", d, d) / s - 0.5 * x.shape[1] * np.log(s)
    return z - np.logaddexp.reduce(z, axis=1)[:, None]


def unguarded_classes(x, weights, means, variances, alpha_bar):
    s = alpha_bar * variances + 1 - alpha_bar
    q = weights * s ** (-x.shape[1] / 2)
    q = q * np.exp(-((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(axis=-1) / (2 * s))
    return np.log(q / q.sum(axis=1, keepdims=True))


def one_d(x, weights, means, variances, alpha_bar):
    s = alpha_bar * variances + 1 - alpha_bar
    z = np.log(weights) - ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(axis=-1) / (2 * s) - 0.5 * np.log(s)
    return z - np.logaddexp.reduce(z, axis=1)[:, None]


def step_rewritten(x_t, eps_hat, gradient, a_t, a_s, scale):
    eps = eps_hat - scale * (1 - a_t) ** 0.5 * gradient
    ratio = (a_s / a_t) ** 0.5
    return ratio * x_t + ((1 - a_s) ** 0.5 - ratio * (1 - a_t) ** 0.5) * eps


def step_of_parts(x_t, eps_hat, gradient, a_t, a_s, scale):
    push = -scale * np.sqrt(1 - a_t) * gradient
    plain = np.sqrt(a_s) * (x_t - np.sqrt(1 - a_t) * eps_hat) / np.sqrt(a_t) + np.sqrt(1 - a_s) * eps_hat
    return plain + (np.sqrt(1 - a_s) - np.sqrt(a_s / a_t) * np.sqrt(1 - a_t)) * push


def logits_by_loop(logits, labels):
    d = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        e = [np.exp(z - max(row)) for z in row]
        d.append([float(k == label) - one / sum(e) for k, one in enumerate(e)])
    return d


def logits_in_place(logits, labels):
    z = logits.astype(np.float32)
    p = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    p[np.arange(len(p)), labels] -= 1
    return -p


def logits_overflow(logits, labels):
    e = np.exp(logits)
    return np.eye(logits.shape[1])[labels] - e / e.sum(axis=1, keepdims=True)


LIBRARY = {
    "GUIDED": guided,
    "CLASSES": classes,
    "STEP": "the library's samplers make a step from a prediction, which is guided before.",
    "LOGITS": logits,
}
RIGHT = {
    "GUIDED": {"a loop": by_loop, "by scores": by_scores, "float32": guided_float32},
    "CLASSES": {"a loop": classes_by_loop, "einsum": classes_einsum},
    "STEP": {"without x_0_hat": step_rewritten, "parts": step_of_parts},
    "LOGITS": {"a loop": logits_by_loop, "float32 in place": logits_in_place},
}
WRONG = {
    "GUIDED": {
        "one alpha_bar for all": lambda x, e, g, a, s: by_loop(x, e, g, np.full(len(x), a[0]), s),
        "gradient scaled in the guess only": lambda x, e, g, a, s: (by_loop(x, e, g, a, s)[0], e),
        "guess not divided by a": lambda x, e, g, a, s: (
            [k * r for k, r in zip(by_loop(x, e, g, a, s)[0], a**0.5, strict=True)],
            by_loop(x, e, g, a, s)[1],
        ),
        "scale squared": lambda x, e, g, a, s: by_loop(x, e, g, a, s * s),
        "normalised gradient": lambda x, e, g, a, s: by_loop(x, e, g / np.linalg.norm(g), a, s),
        "mixed as for labels": lambda x, e, g, a, s: by_loop(x, (1 - s) * e, g, a, s),
    },
    "CLASSES": {
        "overflow": unguarded_classes,
        "D is 1": one_d,
        "the joint": lambda x, w, m, v, a: np.log(w) + classes_by_loop(x, w, m, v, a),
        "probabilities": lambda *args: np.exp(classes_by_loop(*args)),
        "variance plus noise": lambda x, w, m, v, a: classes_einsum(x, w, m, v / a, a),
        "largest only": lambda x, w, m, v, a: (
            classes_einsum(x, w, m, v, a) - classes_einsum(x, w, m, v, a).max(axis=1, keepdims=True)
        ),
    },
    "STEP": {
        "minus in the noise": lambda x, e, g, t, s, c: step_rewritten(x, e, -g, t, s, c),
        "alphas swapped": lambda x, e, g, t, s, c: step_rewritten(x, e, g, s, t, c),
        "no root": lambda x, e, g, t, s, c: step_rewritten(x, e, g * (1 - t) ** 0.5, t, s, c),
    },
    "LOGITS": {
        "overflow": logits_overflow,
        "wrong axis of labels": lambda logits, labels: -np.array(logits_by_loop(logits, labels))[::-1],
        "clipped at the label": lambda logits, labels: np.maximum(logits_by_loop(logits, labels), 0),
        "the most likely": lambda logits, labels: np.array(logits_by_loop(logits, logits.argmax(axis=1))),
    },
}
