"""Answers to the exercises of notebook 00."""

from itertools import combinations, pairwise

import numpy as np

from tinydiff.diffusion import GaussianDiffusion


def eps_from_x_0(x_t, x_0_hat, alpha_bar_t):
    return GaussianDiffusion(np.array([1.0, alpha_bar_t])).eps_from_x_0(x_t, 1, x_0_hat)


def by_gram_matrix(images):
    rows = images.reshape(len(images), -1)
    squares = (rows**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0))
    return distances.sum() / (len(rows) * (len(rows) - 1))


def with_indices(predict, mix, alpha_bar, x, times, told):
    for k in range(len(times) - 1):
        image, noise = predict(x, told)
        x = mix(image, noise, alpha_bar[times[k + 1]])
    return x


def recursive(predict, mix, alpha_bar, x, times, told):
    if len(times) == 1:
        return x
    return recursive(predict, mix, alpha_bar, mix(*predict(x, told), alpha_bar[times[1]]), times[1:], told)


def down_to_zero(predict, mix, alpha_bar, x, times, told):
    for _, s in pairwise([*times, 0]):
        x = mix(*predict(x, told), alpha_bar[s])
    return x


def only_the_guess(predict, mix, alpha_bar, x, times, told):
    for _, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, told)
        x = mix(x_0_hat, eps_hat, alpha_bar[s])
    return x_0_hat


def swapped_guesses(predict, mix, alpha_bar, x, times, told):
    for _, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, told)
        x = mix(eps_hat, x_0_hat, alpha_bar[s])
    return x


def upwards(predict, mix, alpha_bar, x, times, told):
    return with_indices(predict, mix, alpha_bar, x, times[::-1], told)


def all_moments(predict, mix, alpha_bar, x, times, told):
    return [x := mix(*predict(x, told), alpha_bar[s]) for s in times[1:]]


LIBRARY = {
    "VARIETY": "the library has no measure of the variety of a few images.",
    "MIX": lambda x_0_hat, eps_hat, a: GaussianDiffusion(np.array([1.0, a * (1 - 1e-15)])).q_sample(
        x_0_hat, 1, eps_hat
    ),
    "NOISE": eps_from_x_0,
    "LIE": "the library does not lie to its models.",
}
RIGHT = {
    "VARIETY": {
        "Gram matrix": by_gram_matrix,
        "combinations": lambda images: np.mean([np.sqrt(((a - b) ** 2).sum()) for a, b in combinations(images, 2)]),
        "float32, ordered pairs": lambda images: np.float32(
            np.mean(
                [
                    np.linalg.norm((a - b).astype(np.float32).ravel())
                    for i, a in enumerate(images)
                    for j, b in enumerate(images)
                    if i != j
                ]
            )
        ),
    },
    "MIX": {
        "roots": lambda x_0_hat, eps_hat, a: np.sqrt(a) * x_0_hat + np.sqrt(1 - a) * eps_hat,
        "float32": lambda x_0_hat, eps_hat, a: (
            np.float32(a) ** 0.5 * x_0_hat.astype(np.float32) + np.float32(1 - a) ** 0.5 * eps_hat
        ),
        "einsum": lambda x_0_hat, eps_hat, a: np.einsum(
            "k,k...->...", [a**0.5, (1 - a) ** 0.5], np.stack([x_0_hat, eps_hat])
        ),
    },
    "NOISE": {
        "two fractions": lambda x_t, x_0_hat, a: x_t / np.sqrt(1 - a) - np.sqrt(a / (1 - a)) * x_0_hat,
        "float32 list": lambda x_t, x_0_hat, a: (
            ((x_t - np.sqrt(a) * x_0_hat) / np.sqrt(1 - a)).astype(np.float32).tolist()
        ),
    },
    "LIE": {"indices": with_indices, "recursive": recursive},
}
WRONG = {
    "VARIETY": {
        "from the first": lambda images: np.mean([np.linalg.norm(one - images[0]) for one in images[1:]]),
        "largest": lambda images: max(np.linalg.norm(a - b) for a, b in combinations(images, 2)),
        "root of the mean square": lambda images: (
            np.mean([((a - b) ** 2).sum() for a, b in combinations(images, 2)]) ** 0.5
        ),
        "median": lambda images: np.median([np.linalg.norm(a - b) for a, b in combinations(images, 2)]),
        "standard deviation": lambda images: images.std(axis=0).mean(),
        "half": lambda images: by_gram_matrix(images) / 2,
        "first channel": lambda images: by_gram_matrix(images[..., :1]),
    },
    "MIX": {
        "clipped": lambda x, e, a: np.clip(a**0.5 * x + (1 - a) ** 0.5 * e, -1, 1),
        "guess clipped": lambda x, e, a: a**0.5 * np.clip(x, -1, 1) + (1 - a) ** 0.5 * e,
        "fresh noise": lambda x, e, a: a**0.5 * x + (1 - a) ** 0.5 * np.random.default_rng(0).standard_normal(x.shape),
        "noise of full size": lambda x, e, a: a**0.5 * x + e,
        "one image's noise": lambda x, e, a: a**0.5 * x + (1 - a) ** 0.5 * e[:1],
        "squares": lambda x, e, a: a**2 * x + (1 - a**2) * e,
    },
    "NOISE": {
        "clipped": lambda x_t, x, a: (x_t - a**0.5 * np.clip(x, -1, 1)) / (1 - a) ** 0.5,
        "added": lambda x_t, x, a: (x_t + a**0.5 * x) / (1 - a) ** 0.5,
        "by the image's weight": lambda x_t, x, a: (x_t - a**0.5 * x) / a**0.5,
        "1 less the root": lambda x_t, x, a: (x_t - a**0.5 * x) / (1 - a**0.5),
        "solved for the image": lambda x_t, x, a: (x_t - (1 - a) ** 0.5 * x) / a**0.5,
    },
    "LIE": {
        "down to 0": down_to_zero,
        "only the guess": only_the_guess,
        "swapped": swapped_guesses,
        "upwards": upwards,
        "all moments": all_moments,
        "nothing": lambda predict, mix, alpha_bar, x, times, told: x,
    },
}
