"""More answers to the exercises of notebook 21."""

import numpy as np


def column(values, x):
    return np.reshape(values, (-1,) + (1,) * (x.ndim - 1))


def pull(f, shape=column):
    return lambda given, nothing, alpha_bar: f(given - nothing, shape(np.asarray(alpha_bar), given))


def pull_noises(given, nothing, alpha_bar):
    a = column(alpha_bar, given)
    x_t = 0.3 * given
    eps_y, eps = ((x_t - a**0.5 * g) / (1 - a) ** 0.5 for g in (given, nothing))
    return -(eps_y - eps) / (1 - a) ** 0.5


def guided(scales=None, blend=None, extra=None, told=None):
    def answer(predict, x_t, t, labels, nothing, scale, low, high):
        with_label = predict(x_t, t, labels)
        without = predict(x_t, t, (told or (lambda y, n: np.full_like(y, n)))(labels, nothing))
        s = column((scales or (lambda t, s, low, h: np.where((low < t) & (t <= h), s, 1.0)))(t, scale, low, high), x_t)
        f = blend or (lambda g, n, s: n + s * (g - n))
        return tuple(f(g, n, s) for g, n in zip(with_label, without, strict=False))

    return answer


def guided_loop(predict, x_t, t, labels, nothing, scale, low, high):
    guesses, noises = predict(x_t, t, labels)
    bare_guesses, bare_noises = predict(x_t, t, labels * 0 + nothing)
    guesses, noises = guesses.copy(), noises.copy()
    for n, time in enumerate(t):
        if low < time <= high:
            guesses[n] = scale * guesses[n] - (scale - 1) * bare_guesses[n]
            noises[n] = scale * noises[n] - (scale - 1) * bare_noises[n]
    return [guesses, noises]


def guided_one_batch(predict, x_t, t, labels, nothing, scale, low, high):
    both = predict(
        np.concatenate([x_t, x_t]), np.concatenate([t, t]), np.concatenate([labels, np.full(len(t), nothing)])
    )
    s = column([scale if low < time <= high else 1 for time in t], x_t)
    n = len(t)
    return [v[n:] + s * (v[:n] - v[n:]) for v in both]


def guided_singly(predict, x_t, t, labels, nothing, scale, low, high):
    found = []
    for k in range(len(t)):
        one = slice(k, k + 1)
        g, n = predict(x_t[one], t[one], labels[one]), predict(x_t[one], t[one], np.array([nothing]))
        s = scale if low < t[k] <= high else 1
        found.append([(b + s * (a - b))[0] for a, b in zip(g, n, strict=False)])
    return np.array([f[0] for f in found]), np.array([f[1] for f in found])


def guided_a_number(predict, x_t, t, labels, nothing, scale, low, high):
    return guided(told=lambda y, n: n)(predict, x_t, t, labels, nothing, scale, low, high)


def guided_any(predict, x_t, t, labels, nothing, scale, low, high):
    if not np.any((low < t) & (t <= high)):
        return predict(x_t, t, labels)
    return guided(lambda t, s, low, h: np.full(len(t), s))(predict, x_t, t, labels, nothing, scale, low, high)


def guided_guess_only(predict, x_t, t, labels, nothing, scale, low, high):
    return guided()(predict, x_t, t, labels, nothing, scale, low, high)[0], predict(x_t, t, labels)[1]


def guided_noise_only(predict, x_t, t, labels, nothing, scale, low, high):
    return predict(x_t, t, labels)[0], guided()(predict, x_t, t, labels, nothing, scale, low, high)[1]


def threshold(q=None, end=None):
    def answer(x_0_hat, percentile):
        rows = np.abs(x_0_hat).reshape(len(x_0_hat), -1)
        found = (q or (lambda r, p: np.maximum(1, np.quantile(r, p, axis=1))))(rows, percentile)
        found = column(np.broadcast_to(found, len(rows)), x_0_hat)
        return (end or (lambda x, q: np.clip(x, -q, q) / q))(x_0_hat, found)

    return answer


def threshold_sorted(x_0_hat, percentile):
    found = []
    for x in x_0_hat:
        values = np.sort(abs(x).ravel())
        place = percentile * (values.size - 1)
        k = min(int(place), values.size - 1)
        upper = values[min(k + 1, values.size - 1)]
        q = max(1.0, values[k] + (place - k) * (upper - values[k]))
        found.append(np.minimum(np.maximum(x, -q), q) / q)
    return np.stack(found)


def threshold_axes(x_0_hat, percentile):
    q = np.percentile(abs(x_0_hat), 100 * percentile, axis=tuple(range(1, x_0_hat.ndim)), keepdims=True)
    return (x_0_hat / np.maximum(q, 1)).clip(-1, 1)


def rule(method):
    return lambda r, p: np.maximum(1, np.quantile(r, p, axis=1, method=method))


def clipped(guess_clip=False, end=np.clip, noise=None, blend=None):
    def answer(x_t, given, nothing, alpha_bar, scale):
        a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
        guess = lambda eps: np.clip((x_t - b * eps) / a, -1, 1) if guess_clip else (x_t - b * eps) / a  # noqa: E731
        x_0_hat = (blend or (lambda n, g, s: n + s * (g - n)))(guess(nothing), guess(given), scale)
        x_0_hat = end(x_0_hat, -1, 1)
        return x_0_hat, (noise or (lambda x, x_0, a, b, g, n, s: (x - a * x_0) / b))(
            x_t, x_0_hat, a, b, given, nothing, scale
        )

    return answer


def clipped_noises(x_t, given, nothing, alpha_bar, scale):
    a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    eps = (1 - scale) * nothing + scale * given
    x_0_hat = np.minimum(1, np.maximum(-1, (x_t - b * eps) / a))
    return [x_0_hat, x_t / b - a / b * x_0_hat]


RIGHT = {
    "PULL": {
        "by noises": pull_noises,
        "loop": lambda given, nothing, alpha_bar: [
            np.sqrt(a) / (1 - a) * (g - n) for g, n, a in zip(given, nothing, alpha_bar, strict=False)
        ],
        "transposed": lambda given, nothing, alpha_bar: ((given - nothing).T * (alpha_bar**0.5 / (1 - alpha_bar))).T,
        "float32": lambda given, nothing, alpha_bar: np.einsum(
            "n...,n->n...", given - nothing, alpha_bar**0.5 / (1 - alpha_bar)
        ).astype("f"),
    },
    "GUIDED": {
        "loop in a copy, a list": guided_loop,
        "one batch": guided_one_batch,
        "one by one": guided_singly,
        "weights": guided(blend=lambda g, n, s: s * g + (1 - s) * n),
        "labels as a list": guided(told=lambda y, n: np.array([n] * len(y))),
    },
    "DYNAMIC": {"sorted": threshold_sorted, "axes": threshold_axes, "list": lambda *a: threshold()(*a).tolist()},
    "CLIPPED": {
        "noises": clipped_noises,
        "plain": clipped(),
        "further default": lambda x_t, given, nothing, alpha_bar, scale, top=1.0: clipped(
            end=lambda x, low, h: np.clip(x, -top, top)
        )(x_t, given, nothing, alpha_bar, scale),
    },
}
WRONG = {
    "PULL": {
        "no a": pull(lambda d, a: d / (1 - a)),
        "a not root": pull(lambda d, a: d * a / (1 - a)),
        "root below": pull(lambda d, a: d * (a / (1 - a)) ** 0.5),
        "sign": pull(lambda d, a: -d * a**0.5 / (1 - a)),
        "difference": pull(lambda d, a: d),
        "only b": pull(lambda d, a: d / (1 - a) ** 0.5),
        "over a": pull(lambda d, a: d / a**0.5 / (1 - a)),
        "upside": pull(lambda d, a: d * (1 - a) / a**0.5),
        "first": pull(lambda d, a: d * a**0.5 / (1 - a), lambda a, x: a[0]),
        "last axis": pull(lambda d, a: d * a**0.5 / (1 - a), lambda a, x: a),
        "pictures only": pull(lambda d, a: d * a**0.5 / (1 - a), lambda a, x: a[:, None, None, None]),
        "mean": pull(lambda d, a: d * a**0.5 / (1 - a), lambda a, x: a.mean()),
        "score of the told": lambda given, nothing, a: column(a**0.5 / (1 - a), given) * given,
    },
    "GUIDED": {
        "low <=": guided(lambda t, s, low, h: np.where((low <= t) & (t <= h), s, 1.0)),
        "< high": guided(lambda t, s, low, h: np.where((low < t) & (t < h), s, 1.0)),
        "0 outside": guided(lambda t, s, low, h: np.where((low < t) & (t <= h), s, 0.0)),
        "no interval": guided(lambda t, s, low, h: np.full(len(t), s)),
        "no low": guided(lambda t, s, low, h: np.where(t <= h, s, 1.0)),
        "no high": guided(lambda t, s, low, h: np.where(t > low, s, 1.0)),
        "first time": guided(lambda t, s, low, h: np.full(len(t), s if low < t[0] <= h else 1.0)),
        "any": guided_any,
        "w": guided(blend=lambda g, n, s: (1 + s) * g - s * n),
        "from the label": guided(blend=lambda g, n, s: g + s * (g - n)),
        "swapped": guided(blend=lambda g, n, s: g + s * (n - g)),
        "times": guided(blend=lambda g, n, s: s * g),
        "guess only": guided_guess_only,
        "noise only": guided_noise_only,
        "label 0": guided(told=lambda y, n: y * 0),
        "label -1": guided(told=lambda y, n: y * 0 - 1),
        "order": lambda *a: guided()(*a)[::-1],
        "outside nothing": guided(lambda t, s, low, h: np.where((low < t) & (t <= h), s, 0.0)),
        "inside turned": guided(lambda t, s, low, h: np.where((low < t) & (t <= h), 1.0, s)),
    },
    "DYNAMIC": {
        "all together": threshold(lambda r, p: max(1, np.quantile(r, p))),
        "no 1": threshold(lambda r, p: np.quantile(r, p, axis=1)),
        "no abs": lambda x, p: threshold(lambda r, p: np.maximum(1, np.quantile(x.reshape(len(x), -1), p, axis=1)))(
            x, p
        ),
        "percent": threshold(lambda r, p: np.maximum(1, np.percentile(r, p, axis=1))),
        "lower": threshold(rule("lower")),
        "higher": threshold(rule("higher")),
        "nearest": threshold(rule("nearest")),
        "midpoint": threshold(rule("midpoint")),
        "hazen": threshold(rule("hazen")),
        "weibull": threshold(rule("weibull")),
        "median unbiased": threshold(rule("median_unbiased")),
        "largest": threshold(lambda r, p: np.maximum(1, r.max(1))),
        "not divided": threshold(end=lambda x, q: np.clip(x, -q, q)),
        "not clipped": threshold(end=lambda x, q: x / q),
        "static": threshold(end=lambda x, q: np.clip(x, -1, 1)),
        "clip to 1, then divide": threshold(end=lambda x, q: np.clip(x, -1, 1) / q),
        "above only": threshold(end=lambda x, q: np.minimum(x, q) / q),
        "at most 1": threshold(lambda r, p: np.minimum(1, np.quantile(r, p, axis=1))),
        "columns": lambda x, p: threshold_axes(x.reshape(-1, x.shape[-1]), p).reshape(x.shape),
        "0.995": lambda x, p: threshold_axes(x, 0.995),
        "first": threshold(lambda r, p: max(1, np.quantile(r[0], p))),
        "only if larger pictures": threshold(
            end=lambda x, q: np.where(abs(x) > q, np.sign(x), x / q) * np.where(q > 1, 1, 0.999)
        ),
        "sum": threshold(lambda r, p: 1 + np.quantile(r, p, axis=1)),
        "each channel": lambda x, p: (
            threshold_axes(np.moveaxis(x, -1, 1).reshape(-1, x[0, ..., 0].size), p)
            .reshape(np.moveaxis(x, -1, 1).shape)
            .swapaxes(1, -1)
            if x.ndim == 3
            else x
        ),
    },
    "CLIPPED": {
        "as it is": clipped(True),
        "not at all": clipped(end=lambda x, a, b: x),
        "guided noise": clipped(noise=lambda x, x_0, a, b, g, n, s: n + s * (g - n)),
        "only the told": clipped(blend=lambda n, g, s: n + s * (np.clip(g, -1, 1) - n)),
        "only nothing": clipped(blend=lambda n, g, s: np.clip(n, -1, 1) + s * (g - np.clip(n, -1, 1))),
        "w": clipped(blend=lambda n, g, s: g + s * (g - n)),
        "top only": clipped(end=lambda x, a, b: np.minimum(x, 1)),
        "bottom only": clipped(end=lambda x, a, b: np.maximum(x, -1)),
        "0 to 1": clipped(end=lambda x, a, b: np.clip(x, 0, 1)),
        "tanh": clipped(end=lambda x, a, b: np.tanh(x)),
        "difference clipped": clipped(blend=lambda n, g, s: n + np.clip(s * (g - n), -1, 1)),
        "bounds of 2": clipped(blend=lambda n, g, s: np.clip(n, -2, 2) + s * (np.clip(g, -2, 2) - np.clip(n, -2, 2))),
        "noise not divided": clipped(noise=lambda x, x_0, a, b, g, n, s: x - a * x_0),
        "noise of the unclipped, clipped": clipped(
            noise=lambda x, x_0, a, b, g, n, s: np.clip((x - a * x_0) / b, -1, 1)
        ),
        "dynamic": clipped(end=lambda x, a, b: x / max(1, abs(x).max())),
    },
}
