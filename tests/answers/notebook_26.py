"""Answers to the exercises of notebook 26."""

import numpy as np

from tinydiff.functional import (
    contrastive_loss,
    contrastive_loss_backward,
    scaled_similarity,
    scaled_similarity_backward,
    unit_length,
    unit_length_backward,
)


def library_turn(dy, x):
    return unit_length_backward(dy, unit_length(x)[1])[0]


def library_scaled(d_logits, u, v, tau):
    logits, cache = scaled_similarity(u, v, np.array([tau]))
    du, dv, d_tau = scaled_similarity_backward(d_logits, cache)
    return logits, du, dv, d_tau[0]


def library_riddle(logits):
    loss, cache = contrastive_loss(logits)
    return loss, contrastive_loss_backward(1.0, cache)[0]


def library_shards(images, texts, scale, size):
    logits, cache = scaled_similarity(images, texts, np.log([scale]))
    loss, d_logits = library_riddle(logits)
    return loss, scaled_similarity_backward(d_logits, cache)[0]


def turn_matrix(dy, x):
    flat_dy, flat_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    rows = []
    for g, v in zip(flat_dy, flat_x, strict=True):
        length = np.linalg.norm(v)
        rows.append((np.eye(len(v)) / length - np.outer(v, v) / length**3) @ g)
    return np.reshape(rows, dy.shape)


def turn_quotient(dy, x):
    x, dy = x.astype(np.float32), dy.astype(np.float32)
    square = np.einsum("...c,...c->...", x, x)[..., None]
    return dy / square**0.5 - x * np.einsum("...c,...c->...", x, dy)[..., None] / square**1.5


def turn_first(dy, x):
    return turn_matrix(dy, x) if x.ndim == 1 else turn_matrix(dy, x[:1] + 0 * x)


def turn_other(dy, x):
    length = np.linalg.norm(dy, axis=-1, keepdims=True)
    y = dy / length
    return (x - y * (x * y).sum(-1, keepdims=True)) / length


def turn_divided_late(dy, x):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return dy - x * (dy * x).sum(-1, keepdims=True) / length**2


def turn_unnormed(dy, x):
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return dy / length - x / length * (dy * x / length).sum(-1, keepdims=True)


def scaled_loops(d_logits, u, v, tau):
    e, du, dv, d_tau = np.exp(tau), np.zeros(u.shape), np.zeros(v.shape), 0.0
    logits = np.zeros(d_logits.shape)
    for i in range(len(u)):
        for j in range(len(v)):
            logits[i, j] = e * float(np.dot(u[i], v[j]))
            du[i] += e * d_logits[i, j] * v[j]
            dv[j] += e * d_logits[i, j] * u[i]
            d_tau += d_logits[i, j] * logits[i, j]
    return logits, du, dv, d_tau


def scaled_einsum(d_logits, u, v, tau):
    g, u, v = (a.astype(np.float32) for a in (np.exp(tau) * d_logits, u, v))
    du, dv = np.einsum("ij,jc->ic", g, v), np.einsum("ij,ic->jc", g, u)
    return np.exp(tau) * np.einsum("ic,jc->ij", u, v), du, dv, (du * u).sum()


def scaled_wrong(change):
    def wrong(*args):
        return change(*scaled_loops(*args), *args)

    return wrong


def riddle_logs(logits):
    n = len(logits)
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    log_q = logits - np.logaddexp.reduce(logits, axis=0, keepdims=True)
    loss = -sum(log_p[i, i] + log_q[i, i] for i in range(n)) / (2 * n)
    return loss, ((np.exp(log_p) - np.eye(n)) / n + (np.exp(log_q) - np.eye(n)) / n) / 2


def riddle_twice(logits):
    """One cross-entropy, of the table and of its transpose."""

    def half(table):
        table = table.astype(np.float32)
        shifted = table - table.max(axis=1)[:, None]
        total = np.exp(shifted).sum(axis=1)[:, None]
        return (np.log(total)[:, 0] - np.diag(shifted)).mean(), (np.exp(shifted) / total - np.eye(len(table))) / len(
            table
        )

    (loss, d), (other, d_other) = half(logits), half(logits.T)
    return (loss + other) / 2, (d + d_other.T) / 2


def riddle_wrong(change):
    def wrong(logits):
        return change(*riddle_logs(logits), logits)

    return wrong


def riddle_unstable(logits):
    e = np.exp(logits)
    p, q = e / e.sum(1, keepdims=True), e / e.sum(0, keepdims=True)
    return -(np.log(np.diag(p)) + np.log(np.diag(q))).mean() / 2, (p + q - 2 * np.eye(len(e))) / (2 * len(e))


def riddle_untransposed(logits):
    loss, _ = riddle_logs(logits)
    p = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    q = np.exp(logits.T - np.logaddexp.reduce(logits.T, axis=1, keepdims=True))
    return loss, (p + q - 2 * np.eye(len(p))) / (2 * len(p))


def riddle_largest(logits):
    """As if the right one were the largest, and not the diagonal."""
    n, one_hot = len(logits), (logits == logits.max(1, keepdims=True)) + 0.0
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return -(log_p * one_hot).sum() / n, (np.exp(log_p) - one_hot) / n


def shards_joined(images, texts, scale, size):
    loss, d_logits = riddle_logs(scale * np.einsum("ic,jc->ij", images, texts))
    parts = [scale * d_logits[i : i + size] @ texts for i in range(0, len(images), size)]
    return loss, np.concatenate(parts)


def shards_loops(images, texts, scale, size):
    loss, d_logits = riddle_twice(scale * images @ texts.T)
    d_images = np.zeros(images.shape)
    for i in range(len(images)):
        for j in range(len(texts)):
            d_images[i] += scale * d_logits[i, j] * texts[j]
    return loss, d_images


def shards_own_gradient(images, texts, scale, size):
    loss, d_logits = riddle_logs(scale * images @ texts.T)
    keep = np.arange(len(images)) // size
    return loss, scale * (d_logits * (keep[:, None] == keep)) @ texts


def shards_means(images, texts, scale, size):
    parts = [riddle_logs(scale * images[i : i + size] @ texts[i : i + size].T)[0] for i in range(0, len(images), size)]
    return np.mean(parts), shards_joined(images, texts, scale, size)[1]


def shards_of_texts(images, texts, scale, size):
    loss, d_logits = riddle_logs(scale * images @ texts.T)
    return loss, scale * d_logits.T @ images


LIBRARY = {"TURN": library_turn, "SCALED": library_scaled, "RIDDLE": library_riddle, "SHARDS": library_shards}
RIGHT = {
    "TURN": {"a matrix": turn_matrix, "a quotient in float32": turn_quotient},
    "SCALED": {"loops": scaled_loops, "einsum": scaled_einsum},
    "RIDDLE": {"logarithms": riddle_logs, "twice": riddle_twice},
    "SHARDS": {"joined": shards_joined, "loops": shards_loops},
}
WRONG = {
    "TURN": {
        "the first vector for all": turn_first,
        "x and dy exchanged": turn_other,
        "divided in the part only": turn_divided_late,
        "lengths once too few": turn_unnormed,
        "dy at length 1": lambda dy, x: turn_matrix(dy / np.linalg.norm(dy, axis=-1, keepdims=True), x),
        "sums of sizes for a length": lambda dy, x: (
            turn_matrix(dy, x) * np.linalg.norm(x, axis=-1, keepdims=True) / abs(x).sum(-1, keepdims=True)
        ),
    },
    "SCALED": {
        "temperature": lambda g, u, v, tau: scaled_loops(g, u, v, -tau),
        "dv lacks the scale": scaled_wrong(lambda y, du, dv, dt, g, u, v, tau: (y, du, dv / np.exp(tau), dt)),
        "d_tau of the cosines' gradient": scaled_wrong(lambda y, du, dv, dt, *args: (y, du, dv, du.sum())),
        "d_tau for each pair": scaled_wrong(lambda y, du, dv, dt, g, *args: (y, du, dv, g * y)),
        "on the sphere again": scaled_wrong(lambda y, du, dv, dt, g, u, *args: (y, turn_matrix(du, u), dv, dt)),
    },
    "RIDDLE": {
        "not stable": riddle_unstable,
        "columns not turned back": riddle_untransposed,
        "the largest is right": riddle_largest,
        "sum instead of mean": riddle_wrong(lambda loss, d, logits: (loss * len(logits), d * len(logits))),
        "in bits": riddle_wrong(lambda loss, d, logits: (loss / np.log(2), d)),
        "diagonal only": riddle_wrong(lambda loss, d, logits: (loss, d * np.eye(len(d)))),
    },
    "SHARDS": {
        "gradients within a shard": shards_own_gradient,
        "losses within a shard": shards_means,
        "gradient of the texts": shards_of_texts,
        "last shard lost": lambda a, b, s, size: shards_joined(a[: len(a) - 1], b[: len(a) - 1], s, size),
    },
}
