"""More answers to the problems of set 6."""

from itertools import pairwise

import numpy as np


def wishes_loop(given, nothing, scales):
    out = np.array(nothing)
    for g, s in zip(given, scales, strict=False):
        for n in range(len(out)):
            out[n] += s[n] * (g[n] - nothing[n])
    return out


def wishes(f, shape=None):
    def answer(given, nothing, scales):
        s = (shape or (lambda s, x: s.reshape(*s.shape, *[1] * (x.ndim - 1))))(scales, nothing)
        return f(given, nothing, s)

    return answer


def tilted(precision=None, mean=None, end=lambda m, v: (m, v)):
    def answer(m, v, m_y, v_y, s):
        A = (precision or (lambda v, w, s: (1 - s) / v + s / w))(v, v_y, s)
        B = (mean or (lambda m, v, n, w, s: (1 - s) * m / v + s * n / w))(m, v, m_y, v_y, s)
        return end(B / A, 1 / A)

    return answer


def tilted_fraction(mean_all, variance_all, mean_class, variance_class, scale):
    below = variance_class + scale * (variance_all - variance_class)
    return [
        (mean_all * variance_class + scale * (mean_class * variance_all - mean_all * variance_class)) / below,
        variance_all * variance_class / below,
    ]


def tilted_loop(mean_all, variance_all, mean_class, variance_class, scale):
    found = [
        (1 / ((1 - scale) / v + scale / w), ((1 - scale) * m / v + scale * n / w))
        for m, v, n, w in zip(mean_all, variance_all, mean_class, variance_class, strict=False)
    ]
    return [v * b for v, b in found], [v for v, _ in found]


def measured(variance=None, k=None, end=None, guess=None):
    def answer(x_t, a, m, v, w, wish, error):
        total = a * v + 1 - a
        kk = (k or (lambda a, v, T: a**0.5 * v / T))(a, v, total)
        u = v * (1 - a) / total
        x_0 = (guess or (lambda x, m, k, a: m + k * (x - a**0.5 * m)))(x_t, m, kk, a)
        V = (variance or (lambda w, u, e: (w**2 * u).sum() + e))(w, u, error)
        gap = (wish - x_0 @ w)[:, None]
        return (end or (lambda gap, V, k, w: gap / V * k * w))(gap, V, kk, w)

    return answer


def measured_loop(x_t, alpha_bar, mean, variance, w, wish, error):
    found = np.zeros(x_t.shape)
    for n in range(len(x_t)):
        c, spread, slopes = 0.0, error, []
        for d in range(x_t.shape[1]):
            total = alpha_bar * variance[d] + 1 - alpha_bar
            k = np.sqrt(alpha_bar) * variance[d] / total
            c += w[d] * (mean[d] + k * (x_t[n, d] - np.sqrt(alpha_bar) * mean[d]))
            spread += w[d] ** 2 * variance[d] * (1 - alpha_bar) / total
            slopes.append(k * w[d])
        found[n] = np.array(slopes) * (wish[n] - c) / spread
    return found.tolist()


def measured_difference(x_t, alpha_bar, mean, variance, w, wish, error):
    def log_p(x):
        total = alpha_bar * variance + 1 - alpha_bar
        x_0 = mean + alpha_bar**0.5 * variance / total * (x - alpha_bar**0.5 * mean)
        V = (w**2 * variance * (1 - alpha_bar) / total).sum() + error
        return -((wish - x_0 @ w) ** 2) / (2 * V)

    eye = 1e-3 * np.eye(x_t.shape[1])
    return np.stack([(log_p(x_t + e) - log_p(x_t - e)) / 2e-3 for e in eye], axis=1)


def chain(strength, blend=lambda n, g, s: n + s * (g - n), when=lambda t, s: t, end=lambda p: p):
    def answer(given, nothing, alpha_bar, times, x_T, scale, low, high):
        x = x_T
        for t, s in end(list(pairwise(times))):
            k = strength(when(t, s), scale, low, high)
            eps = blend(nothing(x, t), given(x, t), k)
            x_0 = (x - (1 - alpha_bar[t]) ** 0.5 * eps) / alpha_bar[t] ** 0.5
            x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
        return x

    return answer


def chain_keywords(given, nothing, alpha_bar, times, x_T, scale, low, high):
    x = np.array(x_T)
    for k in range(len(times) - 1):
        t, s = times[k], times[k + 1]
        eps = given(x=x, t=t)
        if low < t and t <= high:
            eps = scale * eps - (scale - 1) * nothing(x=x, t=t)
        a, b = np.sqrt(alpha_bar[t]), np.sqrt(1 - alpha_bar[t])
        x = np.sqrt(alpha_bar[s]) * (x - b * eps) / a + np.sqrt(1 - alpha_bar[s]) * eps
    return x


def cost(own=None, spread=None, off=None, share=None):
    def answer(draw, centres, wanted, scales):
        found = []
        for s in scales:
            x = draw(s)
            mine = x[(own or (lambda x, c, k: ((x[:, None] - c) ** 2).sum(2).argmin(1) == k))(x, centres, wanted)]
            p = (share or (lambda mine, x: len(mine) / len(x)))(mine, x)
            if not len(mine):
                found.append((p, 0.0, 0.0))
                continue
            found.append(
                (
                    p,
                    (spread or (lambda m, x, c: np.sqrt(((m - m.mean(0)) ** 2).mean())))(mine, x, centres[wanted]),
                    (off or (lambda m, x, c: np.linalg.norm(m.mean(0) - c)))(mine, x, centres[wanted]),
                )
            )
        return tuple(np.array(f) for f in zip(*found, strict=False))

    return answer


def cost_loop(draw, centres, wanted, scales):
    share, spread, off = [], [], []
    for s in scales:
        x = draw(s)
        own = [p for p in x if np.argmin([np.hypot(*(p - c)) for c in centres]) == wanted]
        share.append(len(own) / len(x))
        mean = np.mean(own, axis=0) if own else centres[wanted]
        spread.append(np.sqrt(np.mean([(p - mean) ** 2 for p in own])) if own else 0)
        off.append(float(np.hypot(*(mean - centres[wanted]))))
    return share, spread, off


def cost_keyword(draw, centres, wanted, scales):
    return cost()(lambda s: draw(scale=s), centres, wanted, scales)


RIGHT = {
    "WISHES": {
        "loops": wishes_loop,
        "einsum": lambda given, nothing, scales: nothing + np.einsum("kn,kn...->n...", scales, given - nothing),
        "weights of all": wishes(lambda g, n, s: (s * g).sum(0) + (1 - s.sum(0)) * n),
        "float32 list": lambda *a: wishes_loop(*a).astype("f").tolist(),
    },
    "TILTED": {"fractions": tilted_fraction, "loop, lists": tilted_loop, "precision": tilted()},
    "MEASURED": {
        "loop, a list": measured_loop,
        "plain": measured(),
        "differences": measured_difference,
    },
    "CHAIN": {
        "keywords": chain_keywords,
        "1 outside": chain(lambda t, s, low, h: s if low < t <= h else 1.0),
        "weights": chain(lambda t, s, low, h: s if low < t <= h else 1, lambda n, g, s: (1 - s) * n + s * g),
    },
    "COST": {
        "loop, lists": cost_loop,
        "plain": cost(),
        "keyword": cost_keyword,
        "std": cost(spread=lambda m, x, c: (m - m.mean(0)).std()),
    },
}
WRONG = {
    "WISHES": {
        "mean": wishes(lambda g, n, s: n + (s * (g - n)).mean(0)),
        "sum of given": wishes(lambda g, n, s: n + (s * g).sum(0)),
        "one scale": wishes(
            lambda g, n, s: n + (s * (g - n)).sum(0), lambda s, x: s[:, :1].reshape(len(s), 1, *[1] * (x.ndim - 1))
        ),
        "first wish": wishes(lambda g, n, s: n + (s * (g - n))[0]),
        "no nothing": wishes(lambda g, n, s: (s * (g - n)).sum(0)),
        "nothing K times": wishes(lambda g, n, s: (n + s * (g - n)).sum(0)),
        "from the first": wishes(lambda g, n, s: g[0] + (s * (g - n)).sum(0)),
        "abs": wishes(lambda g, n, s: n + (abs(s) * (g - n)).sum(0)),
        "negative cut": wishes(lambda g, n, s: n + (np.maximum(s, 0) * (g - n)).sum(0)),
        "normalised": wishes(lambda g, n, s: n + (s * (g - n)).sum(0) / s.sum(0)),
        "one after another": lambda g, n, s: __import__("functools").reduce(
            lambda e, k: e + s[k].reshape(-1, *[1] * (n.ndim - 1)) * (g[k] - e), range(len(g)), n
        ),
        "order of axes": wishes(lambda g, n, s: n + (s * (g - n)).sum(1)),
        "first two": wishes(lambda g, n, s: n + (s * (g - n))[:2].sum(0)),
        "w": wishes(lambda g, n, s: n + ((1 + s) * (g - n)).sum(0)),
        "images only": wishes(lambda g, n, s: n + (s * (g - n)).sum(0), lambda s, x: s[:, :, None, None, None]),
    },
    "TILTED": {
        "product": tilted(lambda v, w, s: 1 / v + s / w, lambda m, v, n, w, s: m / v + s * n / w),
        "powers of the class": tilted(lambda v, w, s: s / w, lambda m, v, n, w, s: s * n / w),
        "guided score line": tilted(end=lambda m, v: (m, v**0.5)),
        "precision": tilted(end=lambda m, v: (m, 1 / v)),
        "mix of means": lambda m, v, n, w, s: ((1 - s) * m + s * n, 1 / ((1 - s) / v + s / w)),
        "mix of both": lambda m, v, n, w, s: ((1 - s) * m + s * n, (1 - s) * v + s * w),
        "s + 1": lambda m, v, n, w, s: tilted()(m, v, n, w, s + 1),
        "no means": tilted(mean=lambda m, v, n, w, s: s * n / w),
        "turned": lambda m, v, n, w, s: tilted()(n, w, m, v, s),
        "stds": tilted(lambda v, w, s: (1 - s) / v**0.5 + s / w**0.5),
        "order": tilted(end=lambda m, v: (v, m)),
        "abs": tilted(lambda v, w, s: abs(1 - s) / v + s / w),
        "mean not divided": lambda m, v, n, w, s: ((1 - s) * m / v + s * n / w, 1 / ((1 - s) / v + s / w)),
        "s = 1": lambda m, v, n, w, s: (n, w),
        "at most the class": tilted(end=lambda m, v: (m, np.minimum(v, 1))),
        "equal variances": lambda m, v, n, w, s: (m + s * (n - m), w),
    },
    "MEASURED": {
        "no error": measured(lambda w, u, e: (w**2 * u).sum()),
        "error squared": measured(lambda w, u, e: (w**2 * u).sum() + e * e),
        "only error": measured(lambda w, u, e: e),
        "w not squared": measured(lambda w, u, e: (w * u).sum() + e),
        "no w": measured(lambda w, u, e: u.sum() + e),
        "square of the sum": measured(lambda w, u, e: (w * u**0.5).sum() ** 2 + e),
        "std": measured(lambda w, u, e: ((w**2 * u).sum() + e) ** 0.5),
        "no k": measured(end=lambda g, V, k, w: g / V * w + 0 * k),
        "no w in the slope": measured(end=lambda g, V, k, w: g / V * k + 0 * w),
        "sign": measured(end=lambda g, V, k, w: -g / V * k * w),
        "twice": measured(end=lambda g, V, k, w: 2 * g / V * k * w),
        "half": measured(end=lambda g, V, k, w: g / V / 2 * k * w),
        "no V": measured(end=lambda g, V, k, w: g * k * w),
        "V of each": measured(lambda w, u, e: w**2 * u + e),
        "x_t for the guess": measured(guess=lambda x, m, k, a: x),
        "no mean": measured(guess=lambda x, m, k, a: k * x),
        "mean not shrunk": measured(guess=lambda x, m, k, a: m + k * (x - m)),
        "x over a": measured(guess=lambda x, m, k, a: x / a**0.5),
        "k as 1 / a": measured(k=lambda a, v, T: a**-0.5 + 0 * T),
        "first wish": lambda x, a, m, v, w, c, e: measured()(x, a, m, v, w, np.full(len(c), c[0]), e),
        "log p": lambda x, a, m, v, w, c, e: measured(end=lambda g, V, k, w: -(g**2) / 2 / V + 0 * k)(
            x, a, m, v, w, c, e
        ),
        "data variance": lambda x, a, m, v, w, c, e: measured(lambda w_, u, e_: (w_**2 * v).sum() + e_)(
            x, a, m, v, w, c, e
        ),
        "variances 1": lambda x, a, m, v, w, c, e: measured()(x, a, m, np.ones_like(v), w, c, e),
    },
    "CHAIN": {
        "as it is": chain(lambda t, s, low, h: s if low < t <= h else 0.0),
        "low <=": chain(lambda t, s, low, h: s if low <= t <= h else 1.0),
        "< high": chain(lambda t, s, low, h: s if low < t < h else 1.0),
        "end of the step": chain(lambda t, s, low, h: s if low < t <= h else 1.0, when=lambda t, s: s),
        "always": chain(lambda t, s, low, h: s),
        "never": chain(lambda t, s, low, h: 1.0),
        "turned": chain(lambda t, s, low, h: 1.0 if low < t <= h else s),
        "0 to 1": chain(lambda t, s, low, h: s if low < t <= h else 0.5),
        "w": chain(lambda t, s, low, h: s if low < t <= h else 0.0, lambda n, g, s: g + s * (g - n)),
        "w inside": chain(lambda t, s, low, h: 1 + s if low < t <= h else 1.0),
        "no low": chain(lambda t, s, low, h: s if t <= h else 1.0),
        "no high": chain(lambda t, s, low, h: s if low < t else 1.0),
        "swapped": chain(lambda t, s, low, h: s if low < t <= h else 1.0, lambda n, g, s: g + s * (n - g)),
        "one step short": chain(lambda t, s, low, h: s if low < t <= h else 1.0, end=lambda p: p[:-1]),
        "middle": chain(lambda t, s, low, h: s if low < t <= h else 1.0, when=lambda t, s: (t + s) / 2),
    },
    "COST": {
        "ddof": cost(spread=lambda m, x, c: m.std(0, ddof=1).mean() if len(m) > 1 else 0.0),
        "ddof of all": cost(spread=lambda m, x, c: (m - m.mean(0)).std(ddof=1)),
        "about the centre": cost(spread=lambda m, x, c: np.sqrt(((m - c) ** 2).mean())),
        "one mean of both": cost(spread=lambda m, x, c: m.std()),
        "mean of stds": cost(spread=lambda m, x, c: m.std(0).mean()),
        "sum of coordinates": cost(spread=lambda m, x, c: np.sqrt(((m - m.mean(0)) ** 2).sum(1).mean())),
        "variance": cost(spread=lambda m, x, c: ((m - m.mean(0)) ** 2).mean()),
        "all points": cost(spread=lambda m, x, c: (x - x.mean(0)).std()),
        "off of all": cost(off=lambda m, x, c: np.linalg.norm(x.mean(0) - c)),
        "mean distance": cost(off=lambda m, x, c: np.linalg.norm(m - c, axis=1).mean()),
        "off squared": cost(off=lambda m, x, c: ((m.mean(0) - c) ** 2).sum()),
        "off by coordinate": cost(off=lambda m, x, c: abs(m.mean(0) - c).max()),
        "off sum": cost(off=lambda m, x, c: abs(m.mean(0) - c).sum()),
        "count": cost(share=lambda m, x: len(m)),
        "percent": cost(share=lambda m, x: 100 * len(m) / len(x)),
        "absolute distance": cost(lambda x, c, k: abs(x[:, None] - c).sum(2).argmin(1) == k),
        "largest coordinate": cost(lambda x, c, k: abs(x[:, None] - c).max(2).argmin(1) == k),
        "near": cost(lambda x, c, k: np.linalg.norm(x - c[k], axis=1) < 1),
        "first cluster": cost(lambda x, c, k: ((x[:, None] - c) ** 2).sum(2).argmin(1) == 0),
        "two clusters": cost(lambda x, c, k: ((x[:, None] - c[: k + 1]) ** 2).sum(2).argmin(1) == k),
        "order": lambda *a: cost()(*a)[::-1],
        "scales from 1": lambda d, c, w, s: cost()(d, c, w, [max(v, 1) for v in s]),
        "index": lambda d, c, w, s: cost()(d, c, w, list(range(len(s)))),
        "rows": lambda *a: np.array(cost()(*a)).T,
    },
}
