"""Answers to problem set 1."""

from itertools import pairwise

import numpy as np

from tinydiff.diffusion import FiniteData, GaussianDiffusion, ddim, last


def process(alpha_bar):
    return GaussianDiffusion(np.array([1.0, alpha_bar]))  # one step, which leaves as much as was asked for


def coin_of_list(x_t, alpha_bar, p):
    data = FiniteData(process(alpha_bar), np.array([[1.0], [-1.0]]), [p, 1 - p])
    return data.predict(x_t.reshape(-1, 1), 1)[0].reshape(x_t.shape)


def by_ddim(predict, alpha_bar, times, x_T, clip):
    diffusion = GaussianDiffusion(alpha_bar)

    def both(x, t, context):
        eps_hat = predict(x, int(t[0]))
        x_0_hat = diffusion.x_0_from_eps(x, t, eps_hat)
        if clip:
            x_0_hat = x_0_hat.clip(-1, 1)
            eps_hat = diffusion.eps_from_x_0(x, t, x_0_hat)
        return x_0_hat, eps_hat

    return last(ddim(both, diffusion, x_T, times))


def one_by_one(x_0, t, eps, alpha_bar):
    return [np.sqrt(alpha_bar[k]) * x + np.sqrt(1 - alpha_bar[k]) * e for x, k, e in zip(x_0, t, eps, strict=True)]


def transposed(x_0, t, eps, alpha_bar):
    share = alpha_bar[t]
    return (share**0.5 * x_0.T + (1 - share) ** 0.5 * eps.T).T


def last_axis(x_0, t, eps, alpha_bar):
    share = np.resize(alpha_bar[t], x_0.shape[-1])
    return share**0.5 * x_0 + (1 - share) ** 0.5 * eps


def coin_by_exponents(x_t, alpha_bar, p):
    a, b_squared = alpha_bar**0.5, 1 - alpha_bar
    up, down = np.log(p) - (x_t - a) ** 2 / (2 * b_squared), np.log(1 - p) - (x_t + a) ** 2 / (2 * b_squared)
    largest = np.maximum(up, down)
    up, down = np.exp(up - largest), np.exp(down - largest)
    return (up - down) / (up + down)


def coin_overflowing(x_t, alpha_bar, p):
    a, b_squared = alpha_bar**0.5, 1 - alpha_bar
    up, down = p * np.exp(a * x_t / b_squared), (1 - p) * np.exp(-a * x_t / b_squared)
    return (up - down) / (up + down)


def list_by_loop(x_t, points, alpha_bar):
    out = []
    for x in x_t:
        z = [-np.sum((x - np.sqrt(alpha_bar) * p) ** 2) / 2 / (1 - alpha_bar) for p in points]
        share = np.exp(np.array(z) - max(z))
        out.append(np.average(points, axis=0, weights=share))
    return out


def list_with(change):
    def denoise(x_t, points, alpha_bar):
        z = -((x_t[:, None] - alpha_bar**0.5 * points) ** 2).sum(axis=2) / (2 * (1 - alpha_bar))
        share = np.exp(change(z))
        return share / share.sum(axis=1, keepdims=True) @ points

    return denoise


def recursive(predict, alpha_bar, times, x_T, clip):
    t, *later = times
    s = later[0] if later else 0
    a, b = np.sqrt(alpha_bar[t]), np.sqrt(1 - alpha_bar[t])
    x_0_hat = (x_T - b * predict(x_T, t)) / a
    if clip:
        x_0_hat = np.minimum(np.maximum(x_0_hat, -1), 1)
    # the same step, with the noise left out: what is not the image is scaled
    c = np.sqrt((1 - alpha_bar[s]) / (1 - alpha_bar[t]))
    x = c * x_T + (np.sqrt(alpha_bar[s]) - c * a) * x_0_hat
    return recursive(predict, alpha_bar, later, x, clip) if later else x


def in_float32(predict, alpha_bar, times, x_T, clip):
    x = x_T.astype(np.float32)
    for i, t in enumerate(times):
        s = times[i + 1] if i + 1 < len(times) else 0
        a, b, a_s, b_s = (float(v) for v in np.sqrt([alpha_bar[t], 1 - alpha_bar[t], alpha_bar[s], 1 - alpha_bar[s]]))
        eps = predict(x, t).astype(np.float32)
        guess = (x - b * eps) / a
        if clip:
            guess = guess.clip(-1, 1)
            eps = (x - a * guess) / b
        x = a_s * guess + b_s * eps
    return x


def loop(step, end=(0,)):
    def run(predict, alpha_bar, times, x_T, clip):
        x = x_T
        for t, s in pairwise([*times, *end]):
            a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
            a_s, b_s = alpha_bar[s] ** 0.5, (1 - alpha_bar[s]) ** 0.5
            x = step(x, predict(x, t), a, b, a_s, b_s, clip, x_T)
        return x

    return run


def clipped(x_0_hat, clip):
    return np.clip(x_0_hat, -1, 1) if clip else x_0_hat


def fresh(x, eps, a, b, a_s, b_s, clip, x_T):
    return a_s * clipped((x - b * eps) / a, clip) + b_s * np.random.default_rng(0).standard_normal(x.shape)


def first_noise(x, eps, a, b, a_s, b_s, clip, x_T):
    return a_s * clipped((x - b * eps) / a, clip) + b_s * x_T


def not_divided(x, eps, a, b, a_s, b_s, clip, x_T):
    x_0_hat = clipped(x - b * eps, clip)
    return a_s * x_0_hat + b_s * (x - a * x_0_hat) / b


def noise_lost(x, eps, a, b, a_s, b_s, clip, x_T):
    return a_s * clipped((x - b * eps) / a, clip)


def eps_is_the_image(x, eps, a, b, a_s, b_s, clip, x_T):
    x_0_hat = clipped(eps, clip)
    return a_s * x_0_hat + b_s * (x - a * x_0_hat) / b


def eps_clipped(x, eps, a, b, a_s, b_s, clip, x_T):
    eps = clipped(eps, clip)
    return a_s * (x - b * eps) / a + b_s * eps


def to_zero_one(x, eps, a, b, a_s, b_s, clip, x_T):
    x_0_hat = (x - b * eps) / a
    x_0_hat = np.clip(x_0_hat, 0, 1) if clip else x_0_hat
    return a_s * x_0_hat + b_s * (x - a * x_0_hat) / b


def right_step(x, eps, a, b, a_s, b_s, clip, x_T):
    x_0_hat = clipped((x - b * eps) / a, clip)
    return a_s * x_0_hat + b_s * (x - a * x_0_hat) / b


def euler(x, eps, a, b, a_s, b_s, clip, x_T):
    return a_s / a * x - (b - b_s) * eps


def nearest_by_loop(samples, points):
    counts = [0] * len(points)
    for sample in samples:
        counts[min(range(len(points)), key=lambda k: np.linalg.norm(sample - points[k]))] += 1
    return [count / len(samples) for count in counts]


LIBRARY = {
    "BATCH": lambda x_0, t, eps, alpha_bar: GaussianDiffusion(alpha_bar).q_sample(x_0, t, eps),
    "MEMORY": "the library knows no correlation of two times of a chain.",
    "COIN": coin_of_list,
    "STABLE": lambda x_t, points, a: FiniteData(process(a), points).predict(x_t, 1)[0],
    "SAMPLE": by_ddim,
    "SHARES": "the library counts classes of images, by a classifier.",
}
RIGHT = {
    "BATCH": {
        "one by one": one_by_one,
        "transposed": transposed,
        "einsum, float32": lambda x_0, t, eps, alpha_bar: (
            np.einsum("n,n...->n...", np.sqrt(alpha_bar[t]), x_0)
            + np.einsum("n,n...->n...", np.sqrt(1 - alpha_bar[t]), eps)
        ).astype(np.float32),
    },
    "MEMORY": {
        "one root": lambda s, t, S: np.sqrt(t * (s * S + 1 - s) / (s * (t * S + 1 - t))),
        "by signal and noise": lambda s, t, S: (
            (np.sqrt(s * t) * S + np.sqrt(t / s) * (1 - s)) / np.sqrt(1 + s * (S - 1)) / np.sqrt(1 + t * (S - 1))
        ),
    },
    "COIN": {
        "exponents": coin_by_exponents,
        "as a list of two": coin_of_list,
        "a sigmoid": lambda x, a, p: 2 / (1 + (1 - p) / p * np.exp(np.clip(-2 * a**0.5 * x / (1 - a), -500, 500))) - 1,
        "float32": lambda x, a, p: np.float32(coin_by_exponents(x, a, p)),
    },
    "STABLE": {
        "a loop": list_by_loop,
        "reshaped": list_with(lambda z: z - z.max(axis=1)[:, None]),
        "log sum": list_with(lambda z: z - np.logaddexp.reduce(z, axis=1)[:, None]),
    },
    "SAMPLE": {"recursive": recursive, "float32": in_float32, "in place of pairs": loop(right_step)},
    "SHARES": {
        "a loop": nearest_by_loop,
        "mean of truth values": lambda samples, points: np.mean(
            np.linalg.norm(samples[:, None] - points, axis=2).argmin(axis=1)[:, None] == np.arange(len(points)), axis=0
        ),
    },
}
WRONG = {
    "BATCH": {
        "along the last axis": last_axis,
        "times off by one": lambda x_0, t, eps, alpha_bar: transposed(x_0, np.minimum(t + 1, 12), eps, alpha_bar),
        "share of T": lambda x_0, t, eps, alpha_bar: transposed(x_0, t, eps, 1 - np.arange(13) / 12),
        "noise subtracted": lambda x_0, t, eps, alpha_bar: transposed(x_0, t, -eps, alpha_bar),
        "one noise": lambda x_0, t, eps, alpha_bar: transposed(x_0, t, 0 * eps + eps[:1], alpha_bar),
        "times sorted": lambda x_0, t, eps, alpha_bar: transposed(x_0, np.sort(t), eps, alpha_bar),
        "clipped": lambda x_0, t, eps, alpha_bar: np.clip(transposed(x_0, t, eps, alpha_bar), -1, 1),
    },
    "MEMORY": {
        "share of the signal": lambda s, t, S: (t * S) ** 0.5 / (t * S + 1 - t) ** 0.5,
        "no noise at s": lambda s, t, S: (t / s * S / (t * S + 1 - t)) ** 0.5,
        "s and t swapped": lambda s, t, S: (s / t * (t * S + 1 - t) / (s * S + 1 - s)) ** 0.5,
        "S is a standard deviation": lambda s, t, S: (t / s * (s * S**2 + 1 - s) / (t * S**2 + 1 - t)) ** 0.5,
        "step without a root": lambda s, t, S: t / s * ((s * S + 1 - s) / (t * S + 1 - t)) ** 0.5,
        "variances without the noise": lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s) / (s * S * t * S) ** 0.5,
    },
    "COIN": {
        "overflows": coin_overflowing,
        "a line": lambda x, a, p: (2 * p - 1) + a**0.5 / (a + 1 - a) * (x - a**0.5 * (2 * p - 1)),
        "prior's mean added": lambda x, a, p: np.tanh(a**0.5 * x / (1 - a)) + 2 * p - 1,
        "p not under a log": lambda x, a, p: np.tanh(a**0.5 * x / (1 - a) + p / (1 - p) / 2),
        "only p under the log": lambda x, a, p: np.tanh(a**0.5 * x / (1 - a) + np.log(p) / 2),
        "x_t divided by a": lambda x, a, p: np.tanh(x / a**0.5 / (1 - a) + np.log(p / (1 - p)) / 2),
        "signal below": lambda x, a, p: np.tanh(a**0.5 * x / a + np.log(p / (1 - p)) / 2),
        "shrunk": lambda x, a, p: a**0.5 * coin_by_exponents(x, a, p),
        "prior on the other side": lambda x, a, p: np.tanh(a**0.5 * (x + np.log(p / (1 - p)) / 2) / (1 - a)),
    },
    "STABLE": {
        "as it was": list_with(lambda z: z - z.max()),
        "not at all": list_with(lambda z: z),
        "along the points": list_with(lambda z: z - z.max(axis=0)),
        "the least": list_with(lambda z: z - z.min(axis=1, keepdims=True)),
        "the mean": list_with(lambda z: z - z.mean(axis=1, keepdims=True)),
        "divided": list_with(lambda z: z / abs(z).max(axis=1, keepdims=True)),
        "cut": list_with(lambda z: np.maximum(z, -700)),
        "a little added": lambda x, points, a: (
            np.exp(-((x[:, None] - a**0.5 * points) ** 2).sum(2) / (2 * (1 - a)))
            / (np.exp(-((x[:, None] - a**0.5 * points) ** 2).sum(2) / (2 * (1 - a))).sum(1, keepdims=True) + 1e-9)
            @ points
        ),
    },
    "SAMPLE": {
        "fresh noise": loop(fresh),
        "noise of the start": loop(first_noise),
        "not divided by a": loop(not_divided),
        "noise lost": loop(noise_lost),
        "eps taken for the image": loop(eps_is_the_image),
        "noise clipped": loop(eps_clipped),
        "clipped to 0 and 1": loop(to_zero_one),
        "Euler": loop(euler),
        "ends at 1": loop(right_step, end=(1,)),
        "clipped at the end only": lambda predict, alpha_bar, times, x, clip: clipped(
            by_ddim(predict, alpha_bar, times, x, False), clip
        ),
        "times sorted": lambda predict, alpha_bar, times, x, clip: by_ddim(
            predict, alpha_bar, list(range(times[0], 0, -1)), x, clip
        ),
        "always from T": lambda predict, alpha_bar, times, x, clip: by_ddim(
            predict, alpha_bar, [12, *(t for t in times if t < 12)], x, clip
        ),
    },
    "SHARES": {
        "counts": lambda s, p: np.array(nearest_by_loop(s, p)) * len(s),
        "no minlength": lambda s, p: np.bincount(((s[:, None] - p) ** 2).sum(axis=2).argmin(axis=1)) / len(s),
        "sorted": lambda s, p: np.sort(nearest_by_loop(s, p)),
        "absolute differences": lambda s, p: (
            np.bincount(abs(s[:, None] - p).sum(axis=2).argmin(axis=1), minlength=len(p)) / len(s)
        ),
        "largest product": lambda s, p: np.bincount((s @ p.T).argmax(axis=1), minlength=len(p)) / len(s),
        "soft": lambda s, p: (
            np.exp(-((s[:, None] - p) ** 2).sum(2)) / np.exp(-((s[:, None] - p) ** 2).sum(2)).sum(1, keepdims=True)
        ).mean(axis=0),
        "the last of two": lambda s, p: np.array(nearest_by_loop(s, p[::-1]))[::-1],
    },
}
