"""More answers to the problems of set 1."""

import itertools
import math

import numpy as np


def batch(pick=lambda ab, t: ab[t], shape=lambda a, x: a.reshape(-1, *[1] * (x.ndim - 1)), mix=None):
    def answer(x_0, t, eps, alpha_bar):
        a = shape(pick(np.asarray(alpha_bar), t), x_0)
        return (mix or (lambda x, e, a: a**0.5 * x + (1 - a) ** 0.5 * e))(x_0, eps, a)

    return answer


def batch_loop(x_0, t, eps, alpha_bar):
    x_t = np.empty(x_0.shape, np.float32)
    for n in range(len(t)):
        x_t[n] = math.sqrt(alpha_bar[t[n]]) * x_0[n] + math.sqrt(1 - alpha_bar[t[n]]) * eps[n]
    return x_t


def coin_direct(x_t, a, p):
    plus = p * np.exp(-((x_t - a**0.5) ** 2) / (2 * (1 - a)))
    minus = (1 - p) * np.exp(-((x_t + a**0.5) ** 2) / (2 * (1 - a)))
    return (plus - minus) / (plus + minus)


def coin_largest(x_t, a, p):
    z = np.stack([np.log(s) - (x_t - x * a**0.5) ** 2 / (2 * (1 - a)) for s, x in ((p, 1), (1 - p, -1))])
    e = np.exp(z - z.max(0))
    return (e[0] - e[1]) / e.sum(0)


def coin_where(x_t, a, p):
    z = 2 * a**0.5 * x_t / (1 - a) + np.log(p / (1 - p))
    small = np.exp(-abs(z))
    return np.sign(z) * (1 - small) / (1 + small)


def coin_sigmoid(x_t, a, p):
    z = 2 * a**0.5 * x_t / (1 - a) + math.log(p) - math.log1p(-p)
    return 2 / (1 + np.exp(-z)) - 1


def coin_exp(x_t, a, p):
    e = np.exp(2 * a**0.5 * x_t / (1 - a)) * p / (1 - p)
    return (e - 1) / (e + 1)


def coin(f):
    return lambda x, a, p: np.tanh(f(x, a, p, np.log(p / (1 - p))))


def listed(line=lambda z: z - z.max(axis=1, keepdims=True), end=None, two=2):
    def answer(x_t, points, alpha_bar_t):
        gap = x_t[:, None] - alpha_bar_t**0.5 * points
        z = line(-(gap**2).sum(axis=2) / (two * (1 - alpha_bar_t)))
        share = np.exp(z)
        return (end or (lambda s, p: s / s.sum(axis=1, keepdims=True) @ p))(share, points)

    return answer


def listed_loop(x_t, points, alpha_bar_t):
    return [listed()(x[None], points, alpha_bar_t)[0] for x in x_t]


def sampled(steps=None, clip_at=lambda x: np.clip(x, -1, 1), again=True, last=True, mix=None, told=lambda t, s: t):
    def answer(predict, alpha_bar, times, x_T, clip):
        x = x_T
        pairs = list(zip(times, [*times[1:], 0], strict=False))
        for t, s in (steps or (lambda p, T: p))(pairs, len(alpha_bar) - 1):
            a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
            eps = predict(x, told(t, s))
            x_0 = (x - b * eps) / a
            if clip:
                x_0 = clip_at(x_0)
                if again:
                    eps = (x - a * x_0) / b
            x = (mix or (lambda x_0, e, a: a**0.5 * x_0 + (1 - a) ** 0.5 * e))(x_0, eps, alpha_bar[s])
        return x

    return answer


def sampled_recursive(predict, alpha_bar, times, x_T, clip):
    t, s = times[0], times[1] if len(times) > 1 else 0
    eps = predict(x_T, t)
    guess = (x_T - np.sqrt(1 - alpha_bar[t]) * eps) / np.sqrt(alpha_bar[t])
    if clip:
        guess = np.minimum(np.maximum(guess, -1.0), 1.0)
        eps = (x_T - np.sqrt(alpha_bar[t]) * guess) / np.sqrt(1 - alpha_bar[t])
    x = np.sqrt(alpha_bar[s]) * guess + np.sqrt(1 - alpha_bar[s]) * eps
    return sampled_recursive(predict, alpha_bar, times[1:], x, clip) if len(times) > 1 else x


def sampled_in_place(predict, alpha_bar, times, x_T, clip):
    x = np.array(x_T)
    for k, t in enumerate(times):
        s = times[k + 1] if k + 1 < len(times) else 0
        eps = predict(x_t=x, t=t)
        guess = (x - (1 - alpha_bar[t]) ** 0.5 * eps) / alpha_bar[t] ** 0.5
        if clip:
            np.clip(guess, -1, 1, out=guess)
            eps = (x - alpha_bar[t] ** 0.5 * guess) / (1 - alpha_bar[t]) ** 0.5
        x[:] = alpha_bar[s] ** 0.5 * guess + (1 - alpha_bar[s]) ** 0.5 * eps
    return x


def sampled_array_of_times(predict, alpha_bar, times, x_T, clip):
    times = np.append(np.asarray(times), 0)
    x = x_T
    for t, s in itertools.pairwise(times):
        eps = predict(x, t)
        guess = (x - np.sqrt(1 - alpha_bar[t]) * eps) / np.sqrt(alpha_bar[t])
        if clip:
            guess = guess.clip(-1, 1)
            eps = (x - np.sqrt(alpha_bar[t]) * guess) / np.sqrt(1 - alpha_bar[t])
        x = np.sqrt(alpha_bar[s]) * guess + np.sqrt(1 - alpha_bar[s]) * eps
    return x


def shares_loop(samples, points):
    counts = [0] * len(points)
    for s in samples:
        best = 0
        for k in range(1, len(points)):
            if ((s - points[k]) ** 2).sum() < ((s - points[best]) ** 2).sum():
                best = k
        counts[best] += 1
    return [c / len(samples) for c in counts]


def shares(distance=lambda g: (g**2).sum(2), pick=lambda d: d.argmin(1), count=None):
    def answer(samples, points):
        k = pick(distance(samples[:, None] - points))
        return (count or (lambda k, K, N: np.bincount(k, minlength=K) / N))(k, len(points), len(samples))

    return answer


def last_of_equals(d):
    return d.shape[1] - 1 - d[:, ::-1].argmin(1)


RIGHT = {
    "BATCH": {
        "loop, float32": batch_loop,
        "einsum": lambda x_0, t, eps, alpha_bar: (
            np.einsum("n,n...->n...", alpha_bar[t] ** 0.5, x_0)
            + np.einsum("n,n...->n...", (1 - alpha_bar[t]) ** 0.5, eps)
        ),
        "transposed": lambda x_0, t, eps, alpha_bar: (
            (np.sqrt(alpha_bar)[t] * x_0.T + np.sqrt(1 - alpha_bar)[t] * eps.T).T
        ),
        "list": lambda *a: batch_loop(*a).tolist(),
    },
    "MEMORY": {
        "by the jump": lambda s, t, S: np.sqrt(t / s) * np.sqrt((s * S + 1 - s) / (t * S + 1 - t)),
        "one root": lambda s, t, S: (t * (1 + s * (S - 1)) / (s * (1 + t * (S - 1)))) ** 0.5,
        "0-d array": lambda s, t, S: np.asarray(
            (t / s) ** 0.5 * (s * S + 1 - s) / ((s * S + 1 - s) * (t * S + 1 - t)) ** 0.5
        ),
    },
    "COIN": {
        "largest out": coin_largest,
        "small exponents only": coin_where,
        "sigmoid": coin_sigmoid,
        "tanh, float32": lambda x, a, p: np.tanh(a**0.5 * x / (1 - a) + np.arctanh(2 * p - 1)).astype("f"),
    },
    "STABLE": {
        "loop": listed_loop,
        "plain": listed(),
        "log sum": listed(lambda z: z - np.logaddexp.reduce(z, axis=1)[:, None]),
        "axis -1": listed(lambda z: z - np.max(z, -1)[:, np.newaxis]),
    },
    "SAMPLE": {
        "recursive": sampled_recursive,
        "in place in a copy, keywords": sampled_in_place,
        "times as an array": sampled_array_of_times,
        "plain": sampled(),
    },
    "SHARES": {
        "loop, a list": shares_loop,
        "norms": shares(lambda g: np.linalg.norm(g, axis=2)),
        "means": shares(count=lambda k, K, N: np.array([np.mean(k == j) for j in range(K)])),
        "one-hot": shares(count=lambda k, K, N: np.eye(K)[k].mean(0)),
        "squares multiplied out": lambda x, p: shares_loop(x, p),
    },
}
WRONG = {
    "BATCH": {
        "off by one": batch(lambda ab, t: ab[t - 1]),
        "first": batch(lambda ab, t: np.full(len(t), ab[t[0]])),
        "by place": batch(lambda ab, t: ab[: len(t)]),
        "last axis": batch(shape=lambda a, x: a),
        "columns": batch(shape=lambda a, x: a[:, None]),
        "images only": batch(shape=lambda a, x: a[:, None, None, None]),
        "no roots": batch(mix=lambda x, e, a: a * x + (1 - a) * e),
        "1 - root": batch(mix=lambda x, e, a: a**0.5 * x + (1 - a**0.5) * e),
        "swapped": batch(mix=lambda x, e, a: (1 - a) ** 0.5 * x + a**0.5 * e),
        "product": batch(lambda ab, t: np.cumprod(ab)[t]),
        "sorted": batch(lambda ab, t: ab[np.sort(t)]),
        "mean": batch(lambda ab, t: np.full(len(t), ab[t].mean())),
        "ratio": batch(lambda ab, t: ab[t] / ab[t - 1]),
        "noise of the batch": batch(mix=lambda x, e, a: a**0.5 * x + (1 - a) ** 0.5 * e[:1]),
        "clipped": batch(mix=lambda x, e, a: np.clip(a**0.5 * x + (1 - a) ** 0.5 * e, -1, 1)),
    },
    "MEMORY": {
        "S = 1": lambda s, t, S: (t / s) ** 0.5,
        "no noise of s": lambda s, t, S: (t * s) ** 0.5 * S / ((s * S + 1 - s) * (t * S + 1 - t)) ** 0.5,
        "covariance": lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s),
        "no root": lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s) / (s * S + 1 - s) / (t * S + 1 - t),
        "S squared": lambda s, t, S: (t / s) ** 0.5 * ((s * S**2 + 1 - s) / (t * S**2 + 1 - t)) ** 0.5,
        "regression": lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s) / (t * S + 1 - t),
        "square": lambda s, t, S: t / s * (s * S + 1 - s) / (t * S + 1 - t),
        "upside": lambda s, t, S: (t / s) ** 0.5 * ((t * S + 1 - t) / (s * S + 1 - s)) ** 0.5,
        "difference": lambda s, t, S: (t / s) ** 0.5 * ((s * S + t) / (t * S + s)) ** 0.5,
        "root of the covariance": lambda s, t, S: ((s * S + 1 - s) / (t * S + 1 - t)) ** 0.5,
        "data only": lambda s, t, S: (t * S / (t * S + 1 - t)) ** 0.5,
        "S as std": lambda s, t, S: (t / s) ** 0.5 * ((s * S**0.5 + 1 - s) / (t * S**0.5 + 1 - t)) ** 0.5,
        "at most 0.99": lambda s, t, S: min(0.95, (t * (1 + s * (S - 1)) / (s * (1 + t * (S - 1)))) ** 0.5),
    },
    "COIN": {
        "direct": coin_direct,
        "exp": coin_exp,
        "fair": coin(lambda x, a, p, odds: a**0.5 * x / (1 - a)),
        "no half": coin(lambda x, a, p, odds: a**0.5 * x / (1 - a) + odds),
        "twice": coin(lambda x, a, p, odds: 2 * a**0.5 * x / (1 - a) + odds),
        "no a": coin(lambda x, a, p, odds: x / (1 - a) + odds / 2),
        "a": coin(lambda x, a, p, odds: a * x / (1 - a) + odds / 2),
        "std": coin(lambda x, a, p, odds: a**0.5 * x / (1 - a) ** 0.5 + odds / 2),
        "sign of p": coin(lambda x, a, p, odds: a**0.5 * x / (1 - a) - odds / 2),
        "p linear": coin(lambda x, a, p, odds: a**0.5 * x / (1 - a) + 2 * p - 1),
        "probability": lambda x, a, p: (1 + coin_where(x, a, p)) / 2,
        "sign": lambda x, a, p: np.sign(x + 1e-12),
        "clipped line": lambda x, a, p: np.clip(x / a**0.5, -1, 1),
        "exponents at most 5": coin(lambda x, a, p, odds: np.clip(a**0.5 * x / (1 - a) + odds / 2, -3, 3)),
        "prior mean added": lambda x, a, p: np.tanh(a**0.5 * x / (1 - a)) + 2 * p - 1,
        "prior mean": lambda x, a, p: 0 * x + 2 * p - 1,
        "direct, nan to 0": lambda x, a, p: np.nan_to_num(coin_direct(x, a, p)),
    },
    "STABLE": {
        "as it is": listed(lambda z: z - z.max()),
        "over images": listed(lambda z: z - z.max(axis=0)),
        "smallest": listed(lambda z: z - z.min(axis=1, keepdims=True)),
        "not at all": listed(lambda z: z),
        "mean": listed(lambda z: z - z.mean(axis=1, keepdims=True)),
        "nan to 0": lambda x, p, a: np.nan_to_num(listed(lambda z: z - z.max())(x, p, a)),
        "a little below": listed(lambda z: z - z.max(), lambda s, p: s / (s.sum(1, keepdims=True) + 1e-12) @ p),
        "cut": listed(lambda z: np.maximum(z - z.max(), -700)),
        "all shares equal if lost": listed(
            lambda z: z - z.max(), lambda s, p: (s + 1e-300) / (s + 1e-300).sum(1, keepdims=True) @ p
        ),
        "divided": listed(lambda z: z / z.max(axis=1, keepdims=True)),
        "absolute": listed(lambda z: z - abs(z).max(axis=1, keepdims=True)),
        "sum over images": listed(end=lambda s, p: s / s.sum(0) @ p),
        "nearest": lambda x, p, a: p[((x[:, None] - a**0.5 * p) ** 2).sum(2).argmin(1)],
        "first max": listed(lambda z: z - z[:1].max()),
        "the first's": listed(lambda z: z - z[:, :1]),
    },
    "SAMPLE": {
        "no last step": sampled(lambda p, T: p[:-1]),
        "from T": sampled(lambda p, T: [(T, p[0][0]), *p]),
        "first to 0": sampled(lambda p, T: [(p[0][0], 0)]),
        "clipped always": lambda f, ab, ti, x, c: sampled()(f, ab, ti, x, True),
        "never clipped": lambda f, ab, ti, x, c: sampled()(f, ab, ti, x, False),
        "noise not again": sampled(again=False),
        "top only": sampled(clip_at=lambda x: np.minimum(x, 1)),
        "bottom only": sampled(clip_at=lambda x: np.maximum(x, -1)),
        "result clipped": lambda f, ab, ti, x, c: np.clip(
            sampled()(f, ab, ti, x, False), *((-1, 1) if c else (None, None))
        ),
        "result clipped too": lambda f, ab, ti, x, c: np.clip(sampled()(f, ab, ti, x, c), -1, 1),
        "told s": sampled(told=lambda t, s: s),
        "told the index": sampled(told=lambda t, s: t + 1),
        "all steps of one": sampled(lambda p, T: [(t, t - 1) for t in range(p[0][0], 0, -1)]),
        "no roots": sampled(mix=lambda x, e, a: a * x + (1 - a) * e),
        "to 1": sampled(lambda p, T: [*p[:-1], (p[-1][0], 1)]),
        "to -1": sampled(lambda p, T: [*p[:-1], (p[-1][0], -1)]),
        "fresh noise": sampled(
            mix=lambda x, e, a: a**0.5 * x + (1 - a) ** 0.5 * np.random.default_rng(0).normal(size=x.shape)
        ),
        "s twice": sampled(lambda p, T: [*p, (p[-1][0], 0)]),
        "tanh": sampled(clip_at=np.tanh),
        "outside nothing": sampled(clip_at=lambda x: np.where(abs(x) > 1, 0, x)),
        "clip by scale": sampled(clip_at=lambda x: x / np.maximum(1, abs(x).max())),
    },
    "SHARES": {
        "last of equals": shares(pick=last_of_equals),
        "split": shares(
            pick=lambda d: (lambda m: m / m.sum(1, keepdims=True))((d == d.min(1, keepdims=True)).astype(float)),
            count=lambda m, K, N: m.mean(0),
        ),
        "both": shares(pick=lambda d: d == d.min(1, keepdims=True), count=lambda m, K, N: m.mean(0)),
        "counts": shares(count=lambda k, K, N: np.bincount(k, minlength=K)),
        "only seen ones": shares(count=lambda k, K, N: np.unique(k, return_counts=True)[1] / N),
        "no minlength": shares(count=lambda k, K, N: np.bincount(k) / N),
        "over points": shares(count=lambda k, K, N: np.bincount(k, minlength=K) / K),
        "absolute": shares(lambda g: abs(g).sum(2)),
        "largest": shares(lambda g: abs(g).max(2)),
        "first coordinate": shares(lambda g: abs(g[..., 0])),
        "inner product": lambda x, p: np.bincount((x @ p.T).argmax(1), minlength=len(p)) / len(x),
        "cosine": lambda x, p: (
            np.bincount((x @ (p / (np.linalg.norm(p, axis=1, keepdims=True) + 1e-12)).T).argmax(1), minlength=len(p))
            / len(x)
        ),
        "furthest": shares(pick=lambda d: d.argmax(1)),
        "points to samples": lambda x, p: (
            np.bincount(((x[:, None] - p) ** 2).sum(2).argmin(0), minlength=len(p))[: len(p)] / len(x)
        ),
        "soft": lambda x, p: (
            np.exp(-((x[:, None] - p) ** 2).sum(2)).mean(0) / np.exp(-((x[:, None] - p) ** 2).sum(2)).mean(0).sum()
        ),
        "uniform": lambda x, p: np.full(len(p), 1 / len(p)),
    },
}
