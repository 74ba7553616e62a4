"""Answers to problem set 6."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, classifier_free_guidance, ddim, last


def chain_of_library(given, nothing, alpha_bar, times, x_T, scale, low, high):
    diffusion = GaussianDiffusion(alpha_bar)

    def predict(x, t, told):
        eps = np.stack([(given if c else nothing)(row, time) for row, time, c in zip(x, t, told, strict=True)])
        return diffusion.x_0_from_eps(x, t, eps), eps

    guided = classifier_free_guidance(predict, diffusion, np.zeros(1, int), scale, (low, high))
    return last(ddim(guided, diffusion, x_T, times[:-1], context=np.ones(len(x_T), int), end=times[-1]))


def wishes_by_loop(given, nothing, scales):
    out = []
    for n, start in enumerate(nothing):
        eps = start.copy()
        for k in range(len(given)):
            eps += scales[k, n] * (given[k, n] - start)
        out.append(eps)
    return out


def wishes_einsum(given, nothing, scales):
    pushes = np.einsum("kn,kn...->n...", scales, given.astype(np.float32))
    return pushes + ((1 - scales.sum(axis=0)) * nothing.T).T


def tilted_by_completion(m, v, mc, vc, s):
    square, linear = -0.5 * ((1 - s) / v + s / vc), (1 - s) * m / v + s * mc / vc
    return -linear / (2 * square), -1 / (2 * square)


def tilted_by_grid(m, v, mc, vc, s):
    means, variances = [], []
    x = np.linspace(-40, 40, 400_001)
    for one in zip(m, v, mc, vc, strict=True):
        log = -(1 - s) * (x - one[0]) ** 2 / (2 * one[1]) - s * (x - one[2]) ** 2 / (2 * one[3])
        p = np.exp(log - log.max())
        p /= p.sum()
        means.append((p * x).sum())
        variances.append((p * (x - means[-1]) ** 2).sum())
    return means, variances


def log_measured(x_t, alpha_bar, mean, variance, w, wish, error):
    """Return log p(c | x_t): c and x_t are normal together, so c given x_t has a mean and a variance."""
    a, spread = alpha_bar**0.5, alpha_bar * variance + 1 - alpha_bar
    gain = a * variance / spread
    of_wish = w @ mean + (x_t - a * mean) @ (gain * w)
    var = error + (w**2 * variance).sum() - ((a * w * variance) ** 2 / spread).sum()
    return -((wish - of_wish) ** 2) / (2 * var)


def measured_by_differences(x_t, *rest):
    out, h = np.zeros_like(x_t), 1e-5
    for d in range(x_t.shape[1]):
        step = h * np.eye(x_t.shape[1])[d]
        out[:, d] = (log_measured(x_t + step, *rest) - log_measured(x_t - step, *rest)) / (2 * h)
    return out


def measured_by_loop(x_t, alpha_bar, mean, variance, w, wish, error):
    out = []
    for x, c in zip(x_t, wish, strict=True):
        precision = 1 / variance + alpha_bar / (1 - alpha_bar)  # of x_0 given x_t
        guess = (mean / variance + alpha_bar**0.5 * x / (1 - alpha_bar)) / precision
        total = error + sum(w**2 / precision)
        out.append((c - w @ guess) / total * w * alpha_bar**0.5 / (1 - alpha_bar) / precision)
    return out


def chain_rewritten(given, nothing, alpha_bar, times, x_T, scale, low, high):
    x, times = x_T.copy(), list(times)
    while len(times) > 1:
        t, s = times.pop(0), times[0]
        told = given(x, t)
        eps = told + (scale - 1) * (told - nothing(x, t)) if t > low and t <= high else told
        ratio = np.sqrt(alpha_bar[s] / alpha_bar[t])
        x = ratio * x + (np.sqrt(1 - alpha_bar[s]) - ratio * np.sqrt(1 - alpha_bar[t])) * eps
    return x


def chain_float32(given, nothing, alpha_bar, times, x_T, scale, low, high):
    return chain_rewritten(given, nothing, alpha_bar, times, x_T.astype(np.float32), scale, low, high)


def cost_by_norms(draw, centres, wanted, scales):
    out = []
    for s in scales:
        points = draw(s)
        d = np.stack([np.linalg.norm(points - c, axis=1) for c in centres])
        own = points[d.argmin(axis=0) == wanted]
        if len(own) == 0:
            out.append((0.0, 0.0, 0.0))
            continue
        spread = np.sqrt(own.var(axis=0).mean())
        out.append((len(own) / len(points), spread, np.linalg.norm(own.mean(axis=0) - centres[wanted])))
    return tuple(np.array(out).T)


def cost_with_lists(draw, centres, wanted, scales):
    shares, spreads, offs = cost_by_norms(draw, centres, wanted, scales)
    return [shares.tolist(), spreads.astype(np.float32), list(offs)]


def cost_with(spread):
    def cost(draw, centres, wanted, scales):
        shares, spreads, offs = cost_by_norms(draw, centres, wanted, scales)
        return (
            shares,
            np.array([spread(draw(s), centres, wanted, one) for s, one in zip(scales, spreads, strict=True)]),
            offs,
        )

    return cost


LIBRARY = {
    "WISHES": "the library guides by one condition.",
    "TILTED": "the library knows no tilted densities, which it would not draw from.",
    "MEASURED": "the library guides by classifiers, and by masks in edits; it has no meters.",
    "CHAIN": chain_of_library,
    "COST": "the library's evaluation takes pictures, and a classifier to judge them.",
}
RIGHT = {
    "WISHES": {"a loop": wishes_by_loop, "einsum, float32": wishes_einsum},
    "TILTED": {"completing a square": tilted_by_completion, "on a grid": tilted_by_grid},
    "MEASURED": {"differences": measured_by_differences, "precisions": measured_by_loop},
    "CHAIN": {"rewritten": chain_rewritten, "float32": chain_float32},
    "COST": {"norms": cost_by_norms, "lists": cost_with_lists},
}
WRONG = {
    "WISHES": {
        "no nothing": lambda given, nothing, s: wishes_by_loop(given, 0 * nothing, s),
        "first wish": lambda given, nothing, s: wishes_by_loop(given[:1], nothing, s[:1]),
        "w for s": lambda given, nothing, s: wishes_by_loop(given, nothing, s + 1),
        "nothing once for each": lambda given, nothing, s: wishes_einsum(given, nothing, s) + nothing * (len(s) - 1),
        "scales of the wrong sample": lambda given, nothing, s: wishes_by_loop(given, nothing, s[:, ::-1]),
        "no negative": lambda given, nothing, s: wishes_by_loop(given, nothing, abs(s)),
        "normalised": lambda given, nothing, s: wishes_by_loop(given, nothing, s / abs(s).sum(axis=0)),
    },
    "TILTED": {
        "s = 1": lambda m, v, mc, vc, s: (mc, vc),
        "product": lambda m, v, mc, vc, s: tilted_by_completion(m, v, mc, vc, 0.5),
        "class over s": lambda m, v, mc, vc, s: (mc, vc / s),
        "w for s": lambda m, v, mc, vc, s: tilted_by_completion(m, v, mc, vc, s + 1),
        "precision": lambda m, v, mc, vc, s: (
            tilted_by_completion(m, v, mc, vc, s)[0],
            1 / tilted_by_completion(m, v, mc, vc, s)[1],
        ),
    },
    "MEASURED": {
        "error as a deviation": lambda x, a, m, v, w, c, e: measured_by_loop(x, a, m, v, w, c, e**2),
        "no mean": lambda x, a, m, v, w, c, e: measured_by_loop(x, a, 0 * m, v, w, c, e),
        "one wish": lambda x, a, m, v, w, c, e: measured_by_loop(x, a, m, v, w, c[:1] + 0 * c, e),
        "spread of the data": lambda x, a, m, v, w, c, e: (
            np.array(measured_by_loop(x, a, m, v, w, c, e)) * e / (e + (w**2 * v).sum())
        ),
        "alpha_bar for its root": lambda x, a, m, v, w, c, e: np.array(measured_by_loop(x, a, m, v, w, c, e)) * a**0.5,
    },
    "CHAIN": {
        "outside nothing": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(n, g, a, t, x, 1 - s, lo, hi),
        "ends turned": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(g, n, a, t, x, s, 300 - hi, 300 - lo),
        "one step less": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(g, n, a, t[:-1], x, s, lo, hi),
        "no interval": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(g, n, a, t, x, s, -1, 10**6),
        "lower end in": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(g, n, a, t, x, s, lo - 1, hi),
        "upper end out": lambda g, n, a, t, x, s, lo, hi: chain_rewritten(g, n, a, t, x, s, lo, hi - 1),
    },
    "COST": {
        "unbiased": cost_with(lambda p, c, k, spread: spread * (len(p) / (len(p) - 1)) ** 0.5 if len(p) > 1 else 0),
        "variance": cost_with(lambda p, c, k, spread: spread**2),
        "all": cost_with(lambda p, c, k, spread: p.std(axis=0).mean()),
        "mean of deviations": cost_with(
            lambda p, c, k, spread: (
                p[((p[:, None] - c) ** 2).sum(-1).argmin(1) == k].std(axis=0).mean() if spread else 0.0
            )
        ),
        "city blocks": lambda draw, c, k, scales: tuple(
            np.array([((abs(draw(s)[:, None] - c).sum(-1).argmin(1) == k).mean(), 0.3, 0.3) for s in scales]).T
        ),
    },
}
