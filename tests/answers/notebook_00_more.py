"""More answers to the exercises of notebook 00."""

from itertools import combinations, pairwise

import numpy as np


def variety_einsum(images):
    flat = images.reshape(len(images), -1)
    gap = flat[:, None] - flat[None]
    d = np.sqrt(np.einsum("ijk,ijk->ij", gap, gap))
    return d[np.triu_indices(len(d), 1)].mean()


def variety_offset(images):
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    total, n = 0, 0
    for i in range(len(flat)):
        for j in range(len(flat)):
            if i != j:
                total += np.linalg.norm(flat[i] - flat[j])
                n += 1
    return total / n


def variety_unique(images):
    d = [np.linalg.norm(a - b) for a, b in combinations(images, 2)]
    return np.mean([x for x in d if x > 0])


def lie_last_too(predict, mix, alpha_bar, x, times, told):
    for t in times:
        x = mix(*predict(x, told), alpha_bar[t])
    return x


def lie_to_zero(predict, mix, alpha_bar, x, times, told):
    for s in [*times[1:], 0]:
        x = mix(*predict(x, told), alpha_bar[s])
    return x


def lie_swapped(predict, mix, alpha_bar, x, times, told):
    for s in times[1:]:
        a, b = predict(x, told)
        x = mix(b, a, alpha_bar[s])
    return x


def lie_once(predict, mix, alpha_bar, x, times, told):
    a, b = predict(x, told)
    for s in times[1:]:
        x = mix(a, b, alpha_bar[s])
    return x


def lie_jump(predict, mix, alpha_bar, x, times, told):
    return mix(*predict(x, told), alpha_bar[times[-1]])


def lie_own_mix(predict, mix, alpha_bar, x, times, told):
    for s in times[1:]:
        a, b = predict(x, told)
        x = alpha_bar[s] ** 0.5 * a + (1 - alpha_bar[s]) ** 0.5 * b
    return x


def lie_minus_one(predict, mix, alpha_bar, x, times, told):
    for t in times[:-1]:
        x = mix(*predict(x, told), alpha_bar[t - 1])
    return x


def lie_array_told(predict, mix, alpha_bar, x, times, told):
    for k in range(1, len(times)):
        guess, noise = predict(x, time=told)
        x = mix(x_0_hat=guess, eps_hat=noise, alpha_bar_s=alpha_bar[times[k]])
    return x


def lie_keyword_x(predict, mix, alpha_bar, x, times, told):
    for k in range(1, len(times)):
        guess, noise = predict(x=x, time=told)
        x = mix(guess, noise, alpha_bar[times[k]])
    return x


def lie_while(predict, mix, alpha_bar, x, times, told):
    times = list(times)
    x = x.copy()
    while len(times) > 1:
        times.pop(0)
        x[...] = mix(*predict(x, told), alpha_bar[times[0]])
    return x


def lie_in_mix_level_of_told(predict, mix, alpha_bar, x, times, told):
    for _s in times[1:]:
        x = mix(*predict(x, told), alpha_bar[told])
    return x


RIGHT = {
    "VARIETY": {
        "by einsum": variety_einsum,
        "ordered pairs, in float32": variety_offset,
        "python float of a list": lambda images: float(
            np.mean([((a - b) ** 2).sum() ** 0.5 for a, b in combinations(list(images), 2)])
        ),
        "as an array of no axes": lambda images: np.asarray(variety_einsum(images)),
        "by norm": lambda images: (
            sum(np.linalg.norm(a - b) for a, b in combinations(images.reshape(len(images), -1), 2))
            / (len(images) * (len(images) - 1) / 2)
        ),
    },
    "MIX": {
        "by np.sqrt": lambda x_0_hat, eps_hat, alpha_bar_s: (
            np.sqrt(alpha_bar_s) * x_0_hat + np.sqrt(1 - alpha_bar_s) * eps_hat
        ),
        "by einsum": lambda x, e, a: np.einsum("k,k...->...", np.sqrt([a, 1 - a]), np.stack([x, e])),
        "weights in float32": lambda x, e, a: np.float32(a**0.5) * x + np.float32((1 - a) ** 0.5) * e,
        "a list": lambda x, e, a: (a**0.5 * x + (1 - a) ** 0.5 * e).tolist(),
    },
    "NOISE": {
        "by np.sqrt": lambda x_t, x_0_hat, alpha_bar_t: np.divide(
            x_t - x_0_hat * np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
        ),
        "two terms": lambda x_t, x_0, a: x_t / (1 - a) ** 0.5 - (a / (1 - a)) ** 0.5 * x_0,
        "Fortran order": lambda x_t, x_0, a: np.asfortranarray((x_t - a**0.5 * x_0) * (1 - a) ** -0.5),
    },
    "LIE": {
        "keywords": lie_array_told,
        "a mix of its own": lie_own_mix,
        "keyword x": lie_keyword_x,
        "writes in a copy": lie_while,
    },
}
WRONG = {
    "VARIETY": {
        "equal pictures left out": variety_unique,
        "to the first": lambda im: np.mean([np.linalg.norm(im[0] - b) for b in im[1:]]),
        "neighbours": lambda im: np.mean([np.linalg.norm(a - b) for a, b in pairwise(im)]),
        "root of the mean": lambda im: np.sqrt(np.mean([((a - b) ** 2).sum() for a, b in combinations(im, 2)])),
        "rms over pixels": lambda im: np.mean([np.sqrt(((a - b) ** 2).mean()) for a, b in combinations(im, 2)]),
        "absolute": lambda im: np.mean([np.abs(a - b).sum() for a, b in combinations(im, 2)]),
        "first channel": lambda im: np.mean([np.linalg.norm(a[..., 0] - b[..., 0]) for a, b in combinations(im, 2)]),
        "channels apart": lambda im: np.mean(
            [np.sqrt(((a - b) ** 2).sum(axis=(0, 1))).mean() for a, b in combinations(im, 2)]
        ),
        "sum over pairs": lambda im: np.sum([np.linalg.norm(a - b) for a, b in combinations(im, 2)]),
        "n too many": lambda im: np.sum([np.linalg.norm(a - b) for a, b in combinations(im, 2)]) / len(im),
        "to the mean": lambda im: np.mean([np.linalg.norm(a - im.mean(0)) for a in im]),
        "square of means, times root 2": lambda im: np.sqrt(2 * im.var(axis=0, ddof=1).sum()),
        "median": lambda im: np.median([np.linalg.norm(a - b) for a, b in combinations(im, 2)]),
        "first three": lambda im: variety_einsum(im[:3]),
        "spectral norm": lambda im: np.mean([np.linalg.norm(a[..., 0] - b[..., 0], 2) for a, b in combinations(im, 2)]),
        "squares": lambda im: np.mean([((a - b) ** 2).sum() for a, b in combinations(im, 2)]),
    },
    "MIX": {
        "normalised": lambda x, e, a: (a**0.5 * x + (1 - a) ** 0.5 * e) / (a**0.5 + (1 - a) ** 0.5),
        "complement of the root": lambda x, e, a: a**0.5 * x + (1 - a**0.5) * e,
        "eps only": lambda x, e, a: x + (1 - a) ** 0.5 * e,
        "minus": lambda x, e, a: a**0.5 * x - (1 - a) ** 0.5 * e,
        "clipped": lambda x, e, a: a**0.5 * np.clip(x, -1, 1) + (1 - a) ** 0.5 * e,
        "clipped result": lambda x, e, a: np.clip(a**0.5 * x + (1 - a) ** 0.5 * e, -1, 1),
        "no root": lambda x, e, a: a * x + (1 - a) * e,
        "swapped": lambda x, e, a: (1 - a) ** 0.5 * x + a**0.5 * e,
        "one added": lambda x, e, a: a**0.5 * x + (1 + a) ** 0.5 * e,
    },
    "NOISE": {
        "no division": lambda x, x_0, a: x - a**0.5 * x_0,
        "no a": lambda x, x_0, a: (x - x_0) / (1 - a) ** 0.5,
        "no root below": lambda x, x_0, a: (x - a**0.5 * x_0) / (1 - a),
        "no root": lambda x, x_0, a: (x - a * x_0) / (1 - a),
        "other way": lambda x, x_0, a: (x - (1 - a) ** 0.5 * x_0) / a**0.5,
        "sign": lambda x, x_0, a: (a**0.5 * x_0 - x) / (1 - a) ** 0.5,
        "eps": lambda x, x_0, a: (x - a**0.5 * x_0) / ((1 - a) ** 0.5 + 1e-3),
        "standardised": lambda x, x_0, a: (x - a**0.5 * x_0) / (x - a**0.5 * x_0).std(),
        "1-root": lambda x, x_0, a: (x - a**0.5 * x_0) / (1 - a**0.5),
        "brackets": lambda x, x_0, a: x - a**0.5 * x_0 / (1 - a) ** 0.5,
    },
    "LIE": {
        "level of all times": lie_last_too,
        "to zero": lie_to_zero,
        "swapped": lie_swapped,
        "one guess": lie_once,
        "one jump": lie_jump,
        "steps of one": lie_minus_one,
        "mix told": lie_in_mix_level_of_told,
        "one step short": lambda predict, mix, ab, x, times, told: lie_while(predict, mix, ab, x, times[:-1], told),
    },
}
