"""Answers to the exercises of notebook 07."""

import numpy as np

from tinydiff.functional import attention, attention_backward, group_norm, layer_norm_backward, merge_heads, split_heads
from tinydiff.functional.attention import AttentionCache
from tinydiff.functional.norm import LayerNormCache


def by_image_and_group(x, gamma, beta, groups, eps):
    y, size = np.empty(x.shape), x.shape[-1] // groups
    for i in range(len(x)):
        for first in range(0, x.shape[-1], size):
            some = x[i, :, :, first : first + size]
            y[i, :, :, first : first + size] = (some - np.mean(some)) / np.sqrt(np.var(some) + eps)
    return (y * gamma + beta).astype(np.float32)


def with_repeat(x, gamma, beta, groups, eps):
    size = x.shape[-1] // groups
    mean = x.mean(axis=(1, 2)).reshape(len(x), groups, size).mean(-1).repeat(size, axis=1)[:, None, None]
    square = ((x - mean) ** 2).mean(axis=(1, 2)).reshape(len(x), groups, size).mean(-1).repeat(size, axis=1)
    return (x - mean) * (gamma / np.sqrt(square[:, None, None] + eps)) + beta


def by_rows(g, x_hat, rstd):
    return [
        [r[0] * (a - np.mean(gs) - b * np.mean(gs * xs)) for a, b in zip(gs, xs, strict=True)]
        for gs, xs, r in zip(g, x_hat, rstd, strict=True)
    ]


def by_jacobian(g, x_hat, rstd):
    n = g.shape[1]
    jacobian = np.eye(n) - 1 / n - np.einsum("ri,rj->rij", x_hat, x_hat) / n
    return rstd * np.einsum("rij,ri->rj", jacobian, g)


def by_softmax_jacobians(dy, q, k, v, weights):
    d_weights = dy @ v.T
    d_scores = np.stack([(np.diag(p) - np.outer(p, p)) @ g for p, g in zip(weights, d_weights, strict=True)])
    root = np.sqrt(len(q[0]))
    return d_scores @ (k / root), d_scores.T @ (q / root), weights.T @ dy


def by_y(dy, q, k, v, weights):
    along = np.einsum("ij,ij->i", dy, weights @ v)
    d_scores = weights * (np.einsum("ic,jc->ij", dy, v) - along[:, None]) / q.shape[1] ** 0.5
    return [
        np.einsum("ij,jc->ic", d_scores, k),
        np.einsum("ij,ic->jc", d_scores, q),
        np.einsum("ij,ic->jc", weights, dy),
    ]


def softmax(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def head_by_head(q, k, v, heads):
    parts = [np.split(x, heads, axis=-1) for x in (q, k, v)]
    y = [softmax(np.einsum("ntc,nsc->nts", a, b) * a.shape[-1] ** -0.5) @ c for a, b, c in zip(*parts, strict=True)]
    return np.concatenate(y, axis=-1).astype(np.float32)


def with_einsum(q, k, v, heads):
    q, k, v = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    weights = softmax(np.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1]))
    return np.einsum("nhts,nshd->nthd", weights, v).reshape(*q.shape[:2], -1)


def multi_head(q, k, v, heads):
    return merge_heads(attention(*(split_heads(x, heads) for x in (q, k, v)))[0])


LIBRARY = {
    "GROUP_NORM": lambda *args: group_norm(*args)[0],
    "NORM": lambda g, x_hat, rstd: layer_norm_backward(g, LayerNormCache(x_hat, np.ones(x_hat.shape[-1]), rstd))[0],
    "ATTENTION": lambda dy, *cache: attention_backward(dy, AttentionCache(*cache)),
    "HEADS": multi_head,
}
RIGHT = {
    "GROUP_NORM": {"loops, in float32": by_image_and_group, "means repeated": with_repeat},
    "NORM": {
        "lists": by_rows,
        "the whole Jacobian": by_jacobian,
        "float32": lambda g, x_hat, rstd: by_jacobian(*(a.astype(np.float32) for a in (g, x_hat, rstd))),
    },
    "ATTENTION": {"Jacobians": by_softmax_jacobians, "einsum, by way of y": by_y},
    "HEADS": {"head by head": head_by_head, "einsum": with_einsum},
}
WRONG = {
    "GROUP_NORM": {
        "beta inside": lambda x, gamma, beta, groups, eps: (
            gamma * (by_image_and_group(x, gamma, beta, groups, eps) + beta)
        ),
        "no eps": lambda x, gamma, beta, groups, eps: with_repeat(x, gamma, beta, groups, 0.0),
        "another eps": lambda x, gamma, beta, groups, eps: with_repeat(x, gamma, beta, groups, 1e-5),
        "groups as their size": lambda x, gamma, beta, groups, eps: with_repeat(
            x, gamma, beta, x.shape[-1] // groups, eps
        ),
        "not centred": lambda x, gamma, beta, groups, eps: (
            x / with_repeat(x, 0 * gamma + 1, 0, groups, eps).std() * gamma + beta
        ),
        "first image for all": lambda x, *args: np.broadcast_to(with_repeat(x[:1], *args), x.shape),
    },
    "NORM": {
        "plus the mean": lambda g, x_hat, rstd: (
            rstd * (g + g.mean(-1, keepdims=True) - x_hat * (g * x_hat).mean(-1, keepdims=True))
        ),
        "divided by n - 1": lambda g, x_hat, rstd: (
            rstd * (g - g.mean(-1, keepdims=True) - x_hat * (g * x_hat).sum(-1, keepdims=True) / (g.shape[1] - 1))
        ),
        "divided by rstd": lambda g, x_hat, rstd: by_jacobian(g, x_hat, rstd) / rstd**2,
        "mean of products as product of means": lambda g, x_hat, rstd: (
            rstd * (g - g.mean(-1, keepdims=True) - x_hat * g.mean(-1, keepdims=True) * x_hat.mean(-1, keepdims=True))
        ),
        "means along the groups": lambda g, x_hat, rstd: rstd * (g - g.mean(0) - x_hat * (g * x_hat).mean(0)),
    },
    "ATTENTION": {
        "scaled by v's width": lambda dy, q, k, v, p: (
            *(a * (q.shape[1] / v.shape[1]) ** 0.5 for a in by_y(dy, q, k, v, p)[:2]),
            p.T @ dy,
        ),
        "scaled by d": lambda dy, q, k, v, p: (*(a / q.shape[1] ** 0.5 for a in by_y(dy, q, k, v, p)[:2]), p.T @ dy),
        "softmax along the queries": lambda dy, q, k, v, p: (
            (p * (dy @ v.T - (p * (dy @ v.T)).sum(0))) @ k / q.shape[1] ** 0.5,
            (p * (dy @ v.T - (p * (dy @ v.T)).sum(0))).T @ q / q.shape[1] ** 0.5,
            p.T @ dy,
        ),
        "mean of the row": lambda dy, q, k, v, p: (
            (p * (dy @ v.T - (dy @ v.T).mean(-1, keepdims=True))) @ k / q.shape[1] ** 0.5,
            (p * (dy @ v.T - (dy @ v.T).mean(-1, keepdims=True))).T @ q / q.shape[1] ** 0.5,
            p.T @ dy,
        ),
        "dq and dk exchanged": lambda *args: [by_y(*args)[i] for i in (1, 0, 2)],
        "dk without its factor": lambda dy, q, k, v, p: (
            by_y(dy, q, k, v, p)[0],
            by_y(dy, q, k, v, p)[1] * q.shape[1] ** 0.5,
            p.T @ dy,
        ),
    },
    "HEADS": {
        "not merged": lambda q, k, v, heads: (
            multi_head(q, k, v, heads).reshape(*q.shape[:2], heads, -1).swapaxes(2, 3).reshape(q.shape)
        ),
        "one head": lambda q, k, v, heads: multi_head(q, k, v, 1),
        "keys split elsewhere": lambda q, k, v, heads: multi_head(
            q, k.reshape(*k.shape[:2], heads, -1).swapaxes(2, 3).reshape(k.shape), v, heads
        ),
        "axes flattened": lambda q, k, v, heads: multi_head(q, k, v, heads)[:, ::-1],
    },
}
