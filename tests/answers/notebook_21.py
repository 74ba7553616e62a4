"""Answers to the exercises of notebook 21."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, bounded, classifier_free_guidance

HALF = GaussianDiffusion(np.array([1.0, 0.5]))


def of_library(predict, x_t, t, labels, nothing, scale, low, high):
    return classifier_free_guidance(predict, HALF, np.array([nothing]), scale, (low, high))(x_t, t, labels)


def clipped_of_library(x_t, given, nothing, alpha_bar, scale):
    diffusion, t = GaussianDiffusion(np.array([1.0, alpha_bar])), np.ones(len(x_t), int)

    def predict(x, t, told):
        eps = np.empty_like(x)
        eps[0::2], eps[1::2] = given, nothing
        return diffusion.x_0_from_eps(x, t, eps), eps

    told = np.ones(len(x_t), int)
    return bounded(classifier_free_guidance(predict, diffusion, np.zeros(1, int), scale), diffusion)(x_t, t, told)


def pull_by_loop(given, nothing, alpha_bar):
    out = []
    for g, n, a in zip(given, nothing, alpha_bar, strict=True):
        noises = [-np.sqrt(a) * x / np.sqrt(1 - a) for x in (g, n)]  # without x_t, which cancels
        out.append(-(noises[0] - noises[1]) / np.sqrt(1 - a))
    return out


def pull_float32(given, nothing, alpha_bar):
    a = alpha_bar.astype(np.float32)
    return ((given - nothing).astype(np.float32).T * (np.sqrt(a) / (1 - a))).T


def guided_row_by_row(predict, x_t, t, labels, nothing, scale, low, high):
    guesses, noises = [], []
    for i in range(len(x_t)):
        one = slice(i, i + 1)
        told, untold = predict(x_t[one], t[one], labels[one]), predict(x_t[one], t[one], np.array([nothing]))
        s = scale if low < t[i] <= high else 1
        x_0, eps = ((1 - s) * n[0] + s * g[0] for g, n in zip(told, untold, strict=True))
        guesses.append(x_0)
        noises.append(eps)
    return np.array(guesses), np.array(noises)


def guided_in_one_call(predict, x_t, t, labels, nothing, scale, low, high):
    n = len(x_t)
    both = predict(np.concatenate([x_t, x_t]), np.tile(t, 2), np.concatenate([labels, 0 * labels + nothing]))
    w = np.where(np.logical_and(t > low, t <= high), scale - 1, 0.0)  # the paper's w
    w = np.expand_dims(w, tuple(range(1, x_t.ndim)))
    return [(1 + w) * out[:n] - w * out[n:] for out in both]


def dynamic_by_loop(x_0_hat, percentile):
    out = []
    for x in x_0_hat:
        sizes = np.sort(abs(x).ravel())
        place = percentile * (len(sizes) - 1)
        below = int(place)
        above = min(below + 1, len(sizes) - 1)
        q = max(1.0, sizes[below] + (place - below) * (sizes[above] - sizes[below]))
        out.append((np.sign(x) * np.minimum(abs(x), q) / q).tolist())
    return out


def dynamic_float32(x_0_hat, percentile):
    x = x_0_hat.astype(np.float32)
    q = np.percentile(abs(x), 100 * percentile, axis=tuple(range(1, x.ndim)), keepdims=True)
    return np.clip(x / np.maximum(q, 1), -1, 1)


def dynamic_with(method):
    def dynamic(x_0_hat, percentile):
        sizes = abs(x_0_hat).reshape(len(x_0_hat), -1)
        q = np.maximum(1, np.quantile(sizes, percentile, axis=1, method=method))
        q = q.reshape(-1, *[1] * (x_0_hat.ndim - 1))
        return np.clip(x_0_hat, -q, q) / q

    return dynamic


def clipped_by_noise(x_t, given, nothing, alpha_bar, scale):
    a, b = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    x_0 = np.minimum(np.maximum((x_t - b * (nothing + scale * (given - nothing))) / a, -1), 1)
    return x_0, (x_t - a * x_0) / b


def clipped_float32(x_t, given, nothing, alpha_bar, scale):
    x_t, given, nothing = (v.astype(np.float32) for v in (x_t, given, nothing))
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    told, untold = (x_t - b * given) / a, (x_t - b * nothing) / a
    x_0 = np.clip(scale * told + (1 - scale) * untold, -1, 1)
    return x_0, (x_t - a * x_0) / b


def with_extra(change):
    """Return guidance row by row with something changed among its arguments."""
    return lambda *args: guided_row_by_row(*change(*args))


LIBRARY = {
    "PULL": "the library never forms the classifier's gradient.",
    "GUIDED": of_library,
    "DYNAMIC": lambda x, p: bounded(lambda *_: (x, None), HALF, "dynamic", p)(np.zeros_like(x), 1)[0],
    "CLIPPED": clipped_of_library,
}
RIGHT = {
    "PULL": {"a loop over noises": pull_by_loop, "float32, transposed": pull_float32},
    "GUIDED": {"row by row": guided_row_by_row, "in one call, with w": guided_in_one_call},
    "DYNAMIC": {"a loop": dynamic_by_loop, "float32": dynamic_float32},
    "CLIPPED": {"by noise": clipped_by_noise, "float32": clipped_float32},
}
WRONG = {
    "PULL": {
        "one alpha_bar": lambda g, n, a: np.sqrt(a[0]) / (1 - a[0]) * (g - n),
        "upside down": lambda g, n, a: (g - n) * ((1 - a) / a**0.5).reshape(-1, *[1] * (g.ndim - 1)),
        "only the told one": lambda g, n, a: pull_by_loop(g, 0 * n, a),
        "given + nothing": lambda g, n, a: pull_by_loop(g, -n, a),
    },
    "GUIDED": {
        "no guidance of the noise": lambda p, x, t, y, *rest: (guided_row_by_row(p, x, t, y, *rest)[0], p(x, t, y)[1]),
        "swapped": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, y, n, -s, low, high)),
        "ends exchanged": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, y, n, s, high, low)),
        "interval counted from the end": with_extra(
            lambda p, x, t, y, n, s, low, high: (p, x, t, y, n, s, 1000 - high, 1000 - low)
        ),
        "nothing is label 0": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, y, 0, s, low, high)),
        "one label for all": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, 0 * y + y[0], n, s, low, high)),
        "only the upper end": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, y, n, s, -1, high)),
        "only the lower end": with_extra(lambda p, x, t, y, n, s, low, high: (p, x, t, y, n, s, low, 10**6)),
    },
    "DYNAMIC": {
        **{method: dynamic_with(method) for method in ("lower", "midpoint", "nearest", "hazen", "weibull")},
        "median unbiased": dynamic_with("median_unbiased"),
        "inverted": dynamic_with("inverted_cdf"),
        "percentile of one hundred": lambda x, p: dynamic_by_loop(x, p / 100),
        "clip at 1 after": lambda x, p: np.clip(dynamic_by_loop(x, p), -1, 1) * 1.01,
        "largest of all pictures": lambda x, p: x / max(1, abs(x).max()),
        "row by row": lambda x, p: np.clip(x, -1, 1) / np.maximum(1, np.quantile(abs(x), p, axis=-1, keepdims=True)),
        "standard deviation": lambda x, p: x / np.maximum(1, x.std()),
    },
    "CLIPPED": {
        "told clipped only": lambda x, g, n, a, s: clipped_by_noise(
            x, (x - a**0.5 * np.clip((x - (1 - a) ** 0.5 * g) / a**0.5, -1, 1)) / (1 - a) ** 0.5, n, a, s
        ),
        "by w": lambda x, g, n, a, s: clipped_by_noise(x, g, n, a, s + 1),
        "noise clipped": lambda x, g, n, a, s: (
            clipped_by_noise(x, g, n, a, s)[0],
            np.clip(clipped_by_noise(x, g, n, a, s)[1], -1, 1),
        ),
        "no difference": lambda x, g, n, a, s: clipped_by_noise(x, g, g, a, s),
    },
}
