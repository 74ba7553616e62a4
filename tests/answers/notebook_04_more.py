"""More answers to the exercises of notebook 04."""

from math import log

import numpy as np


def kl(f, over=lambda d: d.sum(axis=1)):
    return lambda m1, v1, m2, v2: over(f(m1 - m2, v1, v2))


def kl_logs(mean_1, variance_1, mean_2, variance_2):
    D = mean_1.shape[1]
    gap = mean_1 - mean_2
    return D * (log(variance_2) - log(variance_1) + variance_1 / variance_2 - 1) / 2 + np.einsum(
        "nd,nd->n", gap, gap
    ) / (2 * variance_2)


def kl_std(mean_1, variance_1, mean_2, variance_2):
    s1, s2 = np.sqrt(variance_1), np.sqrt(variance_2)
    return [
        float(sum(np.log(s2 / s1) + (s1**2 + (a - b) ** 2) / (2 * s2**2) - 0.5 for a, b in zip(x, y, strict=False)))
        for x, y in zip(mean_1, mean_2, strict=False)
    ]


def price(last=None, divergence=None, weights=None, start=None, steps=2):
    def normal_kl(m1, v1, m2, v2):
        return (np.log(v2 / v1) + v1 / v2 - 1 + (m1 - m2) ** 2 / v2) / 2

    def answer(predict, alpha_bar, x_0, eps):
        kl = divergence or normal_kl
        T = len(alpha_bar) - 1
        total = (start or (lambda kl, a, x: kl(a[T] ** 0.5 * x, 1 - a[T], 0.0, 1.0)))(kl, alpha_bar, x_0)
        for t in range(T, 0, -1):
            s, a_t = alpha_bar[t - 1], alpha_bar[t]
            alpha = a_t / s
            beta = 1 - alpha
            x_t = a_t**0.5 * x_0 + (1 - a_t) ** 0.5 * eps[t - 1]
            i, j = s**0.5 * beta / (1 - a_t), alpha**0.5 * (1 - s) / (1 - a_t)
            mean = i * predict(x_t, t) + j * x_t
            if t >= steps:
                total = total + kl(i * x_0 + j * x_t, (1 - s) / (1 - a_t) * beta, mean, beta)
            else:
                f = last or (lambda x, m, b: (x - m) ** 2 / (2 * b) + np.log(2 * np.pi * b) / 2)
                total = total + f(x_0, mean, beta)
        return total

    return answer


def weight(f):
    return lambda s, t: f(s, t, t / s, 1 - t / s)


def loss_loop(network, alpha_bar, x_0, t, eps):
    x_t = np.stack(
        [alpha_bar[k] ** 0.5 * x + (1 - alpha_bar[k]) ** 0.5 * e for x, k, e in zip(x_0, t, eps, strict=False)]
    )
    return float(np.mean(np.square(network(x_t, t) - eps)))


def loss_einsum(network, alpha_bar, x_0, t, eps):
    a = np.asarray(alpha_bar)[t]
    x_t = np.einsum("n,n...->n...", np.sqrt(a), x_0) + np.einsum("n,n...->n...", np.sqrt(1 - a), eps)
    gap = (eps - network(x_t, t)).ravel()
    return gap @ gap / gap.size


def loss_moved(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t]
    x_t = (a**0.5 * x_0.T + (1 - a) ** 0.5 * eps.T).T
    return np.array([((e - g) ** 2).mean() for e, g in zip(eps, network(x_t, t), strict=False)]).mean()


def loss(share=lambda a, t: a[t], mean=np.mean, told=lambda t: t, goal=lambda x_0, eps: eps, of=np.square):
    def answer(network, alpha_bar, x_0, t, eps):
        a = np.reshape(share(alpha_bar, t), (-1, *[1] * (x_0.ndim - 1)))
        x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps
        return mean(of(network(x_t, told(t)) - goal(x_0, eps)))

    return answer


def loss_last_axis(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t]
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps
    return ((network(x_t, t) - eps) ** 2).mean()


def loss_weighted(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps
    return ((1 - a) / a * (network(x_t, t) - eps) ** 2).mean()


def loss_scaled_by_std(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))
    return ((network(a**0.5 * x_0 + (1 - a) * eps, t) - eps) ** 2).mean()


def loss_no_time(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t].reshape(-1, 1, 1, 1) if x_0.ndim == 4 else alpha_bar[t][:, None]
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps
    return ((network(x_t, t) - eps) ** 2).mean()


RIGHT = {
    "KL": {
        "logs apart": kl_logs,
        "standard deviations, a list": kl_std,
        "float32": lambda m1, v1, m2, v2: kl_logs(
            m1.astype("f"), np.float32(v1), m2.astype("f"), np.float32(v2)
        ).astype("f"),
    },
    "PRICE": {
        "from the end": price(),
        "written otherwise": price(
            last=lambda x, m, b: 0.5 * (x - m) ** 2 / b + 0.5 * np.log(b) + 0.5 * np.log(2 * np.pi)
        ),
        "a density": price(last=lambda x, m, b: -np.log(np.exp(-((x - m) ** 2) / (2 * b)) / (2 * np.pi * b) ** 0.5)),
    },
    "WEIGHT": {
        "simplified": lambda s, t: (s - t) / (2 * (1 - t) ** 2),
        "of the weights": lambda s, t: (np.sqrt(s) * (1 - t / s) / (1 - t)) ** 2 / (2 * (1 - t / s)),
        "float32": lambda s, t: (
            np.float32(s * (1 - t / s) / 2 / (1 - t) ** 2)
            if np.ndim(s) == 0
            else (s * (1 - t / s) / 2 / (1 - t) ** 2).astype("f")
        ),
    },
    "LOSS": {"loop": loss_loop, "einsum": loss_einsum, "transposed": loss_moved},
}
WRONG = {
    "KL": {
        "turned round": lambda m1, v1, m2, v2: kl_logs(m2, v2, m1, v1),
        "D forgotten": (lambda m1, v1, m2, v2: ((m1 - m2) ** 2).sum(1) / v2 / 2 + (np.log(v2 / v1) + v1 / v2 - 1) / 2),
        "mean": kl(lambda g, a, b: (np.log(b / a) + a / b - 1 + g**2 / b) / 2, lambda d: d.mean(1)),
        "total": kl(lambda g, a, b: (np.log(b / a) + a / b - 1 + g**2 / b) / 2, lambda d: d.sum()),
        "no half": kl(lambda g, a, b: np.log(b / a) + a / b - 1 + g**2 / b),
        "log 2": kl(lambda g, a, b: (np.log2(b / a) + a / b - 1 + g**2 / b) / 2),
        "no one": kl(lambda g, a, b: (np.log(b / a) + a / b + g**2 / b) / 2),
        "over v1": kl(lambda g, a, b: (np.log(b / a) + a / b - 1 + g**2 / a) / 2),
        "no square": kl(lambda g, a, b: (np.log(b / a) + a / b - 1 + abs(g) / b) / 2),
        "variances as std": kl(lambda g, a, b: (2 * np.log(b / a) + a**2 / b**2 - 1 + g**2 / b**2) / 2),
        "axis 0": kl(lambda g, a, b: (np.log(b / a) + a / b - 1 + g**2 / b) / 2, lambda d: d.sum(0)),
        "equal variances": kl(lambda g, a, b: g**2 / b / 2),
        "log turned": kl(lambda g, a, b: (np.log(a / b) + a / b - 1 + g**2 / b) / 2),
        "log1p": kl(lambda g, a, b: (b / a - 1 + a / b - 1 + g**2 / b) / 2),
        "symmetric": lambda m1, v1, m2, v2: (kl_logs(m1, v1, m2, v2) + kl_logs(m2, v2, m1, v1)) / 2,
    },
    "PRICE": {
        "both signs": price(last=lambda x, m, b: (x - m) ** 2 / (2 * b) - np.log(2 * np.pi * b) / 2),
        "as it is": price(last=lambda x, m, b: -((x - m) ** 2) / (2 * b) - np.log(2 * np.pi * b) / 2),
        "no constant": price(last=lambda x, m, b: (x - m) ** 2 / (2 * b)),
        "no half of the log": price(last=lambda x, m, b: (x - m) ** 2 / (2 * b) + np.log(2 * np.pi * b)),
        "beta outside of the log": price(last=lambda x, m, b: (x - m) ** 2 / (2 * b) + np.log(2 * np.pi) / 2),
        "absolute": price(last=lambda x, m, b: abs(x - m) / (2 * b) + np.log(2 * np.pi * b) / 2),
        "no two": price(last=lambda x, m, b: (x - m) ** 2 / b + np.log(2 * np.pi * b) / 2),
        "squared error": price(last=lambda x, m, b: (x - m) ** 2 + np.log(2 * np.pi * b) / 2),
        "log of both": price(last=lambda x, m, b: 0 * x),
        "kl turned": price(divergence=lambda a, v, b, w: (np.log(v / w) + w / v - 1 + (a - b) ** 2 / v) / 2),
        "no start": price(start=lambda kl, a, x: 0.0),
        "start turned": price(start=lambda kl, a, x: kl(0.0, 1.0, a[-1] ** 0.5 * x, 1 - a[-1])),
        "image also of t = 2": price(steps=3),
    },
    "WEIGHT": {
        "no half": weight(lambda s, t, a, b: s * b / (1 - t) ** 2),
        "beta squared": weight(lambda s, t, a, b: s * b**2 / (1 - t) ** 2 / 2),
        "over the posterior variance": weight(lambda s, t, a, b: s * b / (1 - t) / (1 - s) / 2),
        "not squared": weight(lambda s, t, a, b: s**0.5 / (1 - t) / 2),
        "alpha bar t": weight(lambda s, t, a, b: t * b / (1 - t) ** 2 / 2),
        "of the noise": weight(lambda s, t, a, b: b / (2 * a * (1 - t))),
        "below not squared": weight(lambda s, t, a, b: s * b / (1 - t) / 2),
        "signal to noise": weight(lambda s, t, a, b: (s / (1 - s) - t / (1 - t)) / 2),
        "root of s": weight(lambda s, t, a, b: s**0.5 * b / (1 - t) ** 2 / 2),
        "difference": weight(lambda s, t, a, b: (s - t) / (1 - t) / 2),
        "one number": weight(lambda s, t, a, b: np.mean(s * b / (1 - t) ** 2 / 2)),
        "beta a difference": weight(lambda s, t, a, b: s * (s - t) / (1 - t) ** 2 / 2),
    },
    "LOSS": {
        "sum": loss(mean=np.sum),
        "sum over pixels": loss(mean=lambda d: d.reshape(len(d), -1).sum(1).mean()),
        "half": loss(mean=lambda d: d.mean() / 2),
        "absolute": loss(of=np.abs),
        "root": loss(mean=lambda d: d.mean() ** 0.5),
        "one off": loss(lambda a, t: a[t - 1]),
        "first time": loss(lambda a, t: np.full(len(t), a[t[0]])),
        "time of the first told": loss(told=lambda t: t * 0 + t[0]),
        "the image": loss(goal=lambda x_0, eps: x_0),
        "per sample": loss(mean=lambda d: d.reshape(len(d), -1).mean(1)),
        "median": loss(mean=np.median),
        "no root": loss(lambda a, t: a[t] ** 2),
        "product": loss(lambda a, t: np.cumprod(a)[t]),
        "last axis": loss_last_axis,
        "weighted": loss_weighted,
        "noise weight not a root": loss_scaled_by_std,
        "numbers and images only": loss_no_time,
        "mean of t": loss(lambda a, t: np.full(len(t), a[t].mean())),
        "first sample": loss(mean=lambda d: d[0].mean()),
        "reversed": loss(lambda a, t: a[::-1][t]),
    },
}
