"""More answers to the exercises of notebook 02."""

import numpy as np


def bells(q=lambda gap, total, w: np.exp(-(gap**2) / (2 * total)) / total**0.5, gain=None):
    def guess(x_t, weights, means, variances, alpha_bar):
        a = alpha_bar**0.5
        total = alpha_bar * variances + 1 - alpha_bar
        gap = x_t[:, None] - a * means
        x_0_hat_k = means + a * variances / total * gap
        r = weights * q(gap, total, weights)
        return (r * x_0_hat_k).sum(axis=1) / r.sum(axis=1)

    return guess


def bells_loop(x_t, weights, means, variances, alpha_bar):
    found = []
    for x in x_t:
        top = bottom = 0.0
        for w, m, v in zip(weights, means, variances, strict=False):
            u = alpha_bar * v + 1 - alpha_bar
            gap = x - alpha_bar**0.5 * m
            r = w * np.exp(-0.5 * gap**2 / u) / np.sqrt(2 * np.pi * u)
            top += r * (m + alpha_bar**0.5 * v / u * gap)
            bottom += r
        found.append(top / bottom)
    return found


def bells_log(x_t, weights, means, variances, alpha_bar):
    u = alpha_bar * variances + 1 - alpha_bar
    gap = x_t[:, None] - alpha_bar**0.5 * means
    z = np.log(weights) - 0.5 * np.log(u) - gap**2 / (2 * u)
    r = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    return np.einsum("nk,nk->n", r, means + alpha_bar**0.5 * variances / u * gap)


def denoiser(z, axis=1):
    def guess(x_t, points, weights, alpha_bar):
        a, v = alpha_bar**0.5, 1 - alpha_bar
        d = ((x_t[:, None] - a * points) ** 2).sum(axis=2)
        r = weights * np.exp(z(d, v))
        return r / r.sum(axis=axis, keepdims=True) @ points

    return guess


def denoiser_loop(x_t, points, weights, alpha_bar):
    found = np.zeros(x_t.shape)
    for n, x in enumerate(x_t):
        z = [
            np.log(w) - np.sum((x - alpha_bar**0.5 * p) ** 2) / (2 * (1 - alpha_bar))
            for p, w in zip(points, weights, strict=False)
        ]
        r = np.exp(np.array(z) - max(z))
        found[n] = sum(rk * p for rk, p in zip(r / r.sum(), points, strict=False))
    return found


def denoiser_product(x_t, points, weights, alpha_bar, floor=0.0):
    a = alpha_bar**0.5
    z = (a * x_t @ points.T - alpha_bar * (points**2).sum(1) / 2) / (1 - alpha_bar)
    r = weights * np.exp(z - z.max(1, keepdims=True))
    return (r / r.sum(1, keepdims=True)) @ points


def denoiser_nearest(x_t, points, weights, alpha_bar):
    d = ((x_t[:, None] - alpha_bar**0.5 * points) ** 2).sum(axis=2)
    return points[d.argmin(axis=1)]


def denoiser_max_of_all(x_t, points, weights, alpha_bar):
    z = -((x_t[:, None] - alpha_bar**0.5 * points) ** 2).sum(axis=2) / (2 * (1 - alpha_bar))
    r = weights * np.exp(z - z.max())
    return r / r.sum(axis=1, keepdims=True) @ points


def denoiser_softmax_ignores_weights_scale(x_t, points, weights, alpha_bar):
    z = -((x_t[:, None] - alpha_bar**0.5 * points) ** 2).sum(axis=2) / (2 * (1 - alpha_bar)) + weights
    r = np.exp(z - z.max(axis=1, keepdims=True))
    return r / r.sum(axis=1, keepdims=True) @ points


def copies(reduce):
    def off(samples, images):
        return np.array([min(reduce(abs(s - i)) for i in images) for s in samples])

    return off


def copies_nearest_by_norm(samples, images):
    found = []
    for s in samples:
        k = np.argmin([((s - i) ** 2).sum() for i in images])
        found.append(abs(s - images[k]).max())
    return np.array(found)


def copies_big(samples, images):
    return np.abs(samples[:, None] - images[None]).max(axis=(2, 3, 4)).min(axis=1)


RIGHT = {
    "BELLS": {"loops, a list": bells_loop, "logs": bells_log},
    "DENOISER": {
        "no largest out": denoiser(lambda d, v: -d / (2 * v)),
        "largest out of all": denoiser_max_of_all,
        "loops": denoiser_loop,
        "product, a further default": denoiser_product,
        "float32": lambda x_t, points, weights, alpha_bar: denoiser_loop(
            x_t.astype("f"), points.astype("f"), weights.astype("f"), np.float32(alpha_bar)
        ).astype("f"),
    },
    "SCORE": {
        "by eps": lambda x, x_0, a: -((x - a**0.5 * x_0) / (1 - a) ** 0.5) / (1 - a) ** 0.5,
        "two terms": lambda x, x_0, a: np.sqrt(a) / (1 - a) * x_0 - x / (1 - a),
        "negative": lambda x, x_0, a: np.negative(np.divide(x - np.sqrt(a) * x_0, 1 - a)).astype("f"),
    },
    "COPIES": {
        "all at once": copies_big,
        "flat": lambda samples, images: [
            abs(images.reshape(len(images), -1) - s.ravel()).max(1).min() for s in samples
        ],
        "by norm": lambda samples, images: np.linalg.norm(
            samples.reshape(len(samples), 1, -1) - images.reshape(len(images), -1), np.inf, axis=2
        ).min(1),
        "loop": lambda samples, images: tuple(
            min(float(np.max(np.abs(np.subtract(s, i)))) for i in images) for s in samples
        ),
    },
}
WRONG = {
    "BELLS": {
        "over the variance": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u)) / u),
        "times the root": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u)) * u**0.5),
        "no two": bells(lambda g, u, w: np.exp(-(g**2) / u) / u**0.5),
        "as it is": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u))),
        "two pi inside u": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u)) / (1 + u) ** 0.5),
        "over the sum": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u)) / u.sum()),
        "root in the exponent": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u**0.5)) / u**0.5),
        "weights twice": bells(lambda g, u, w: w * np.exp(-(g**2) / (2 * u)) / u**0.5),
        "weights not": bells(lambda g, u, w: np.exp(-(g**2) / (2 * u)) / u**0.5 / w),
        "absolute": bells(lambda g, u, w: np.exp(-abs(g) / (2 * u)) / u**0.5),
    },
    "DENOISER": {
        "weights as logs": denoiser_softmax_ignores_weights_scale,
        "nearest": denoiser_nearest,
        "largest over samples": denoiser(lambda d, v: -(d - d.min(0)) / (2 * v)),
        "sum over samples": denoiser(lambda d, v: -(d - d.min(1, keepdims=True)) / (2 * v), axis=0),
        "no two": denoiser(lambda d, v: -(d - d.min(1, keepdims=True)) / v),
        "std": denoiser(lambda d, v: -(d - d.min(1, keepdims=True)) / (2 * v**0.5)),
        "no square": denoiser(lambda d, v: -(d**0.5 - d.min(1, keepdims=True) ** 0.5) / (2 * v)),
        "no weights": lambda x, p, w, a: denoiser_product(x, p, np.ones_like(w), a),
        "a missing": lambda x, p, w, a: denoiser_product(x / a**0.5, p, w, a),
        "squares of points dropped": lambda x, p, w, a: denoiser_product(
            x, p, w * np.exp(a * (p**2).sum(1) / 2 / (1 - a)), a
        ),
        "D in density": lambda x, p, w, a: a**0.5 * denoiser_product(x, p, w, a),
        "first sample": lambda x, p, w, a: denoiser_product(x[:1], p, w, a) + 0 * x,
    },
    "SCORE": {
        "one root": lambda x, x_0, a: -(x - a**0.5 * x_0) / (1 - a) ** 0.5,
        "sign": lambda x, x_0, a: (x - a**0.5 * x_0) / (1 - a),
        "no root": lambda x, x_0, a: -(x - a * x_0) / (1 - a),
        "no a": lambda x, x_0, a: -(x - x_0) / (1 - a),
        "only x": lambda x, x_0, a: -x / (1 - a),
        "three halves": lambda x, x_0, a: -(x - a**0.5 * x_0) / (1 - a) ** 1.5,
        "over a": lambda x, x_0, a: -(x / a**0.5 - x_0) / (1 - a),
        "square": lambda x, x_0, a: -((x - a**0.5 * x_0) ** 2) / (2 * (1 - a)),
        "1 - root": lambda x, x_0, a: -(x - a**0.5 * x_0) / (1 - a**0.5) ** 2,
    },
    "COPIES": {
        "mean": copies(np.mean),
        "norm": copies(lambda d: np.sqrt((d**2).sum())),
        "sum": copies(np.sum),
        "nearest by norm": copies_nearest_by_norm,
        "channels": copies(lambda d: d.sum(-1).max()),
        "first channel": copies(lambda d: d[..., 0].max()),
        "no abs": lambda s, i: (s[:, None] - i).max((2, 3, 4)).min(1),
        "min of max of signed": lambda s, i: abs((s[:, None] - i).max((2, 3, 4))).min(1),
        "wrong axis": lambda s, i: abs(s[:, None] - i).max((2, 3, 4)).min(0),
        "order": lambda s, i: abs(s[:, None] - i).min(1).max((1, 2, 3)),
        "max max": lambda s, i: abs(s[:, None] - i).max((1, 2, 3, 4)),
        "mean of list": lambda s, i: abs(s[:, None] - i).max((2, 3, 4)).mean(1),
        "all": lambda s, i: np.full(len(s), abs(s[:, None] - i).max((2, 3, 4)).min()),
        "from mean": lambda s, i: abs(s - i.mean(0)).max((1, 2, 3)),
        "first ten": lambda s, i: copies_big(s, i[:2]),
        "absolute values first": lambda s, i: copies_big(abs(s), abs(i)),
        "paired": lambda s, i: np.array([abs(a - i[k % len(i)]).max() for k, a in enumerate(s)]),
    },
}
