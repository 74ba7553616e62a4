"""More answers to the problems of set 2."""

import numpy as np


def witnesses_loop(means, variances):
    precision = sum(1 / v for v in variances)
    return [sum(m / v for m, v in zip(means, variances, strict=False)) / precision, 1 / precision]


def witnesses_pairs(means, variances):
    mean, variance = means[0], variances[0]
    for m, v in zip(means[1:], variances[1:], strict=False):
        gain = variance / (variance + v)
        mean, variance = mean + gain * (m - mean), (1 - gain) * variance
    return mean, variance


def witnesses(weights=None, variance=None):
    def answer(means, variances):
        w = (weights or (lambda v: 1 / v / (1 / v).sum()))(variances)
        return np.tensordot(w, means, 1), (variance or (lambda v: 1 / (1 / v).sum()))(variances)

    return answer


def chain(line=lambda v: v**0.5, stop=0, axis=1, noise=lambda n, t: n[t - 1], mean=None):
    def answer(x_T, alpha_bar, noises, points):
        x = x_T
        for t in range(len(alpha_bar) - 1, stop, -1):
            s, a_t = alpha_bar[t - 1], alpha_bar[t]
            alpha = a_t / s
            beta = 1 - alpha
            logs = -((x[:, None] - a_t**0.5 * points) ** 2) / (2 * (1 - a_t))
            p = np.exp(logs - logs.max(axis=1, keepdims=True))
            x_0 = (p / p.sum(axis=1, keepdims=True)) @ points
            m = (s**0.5 * beta * x_0 + alpha**0.5 * (1 - s) * x) / (1 - a_t)
            if mean:
                m = mean(m, x_0, x, s, a_t)
            x = m + line((1 - s) / (1 - a_t) * beta) * noise(noises, t)
        return x

    return answer


def chain_variance_kept(x_T, alpha_bar, noises, points):
    return chain(np.sqrt)(x_T, alpha_bar, noises, points)


def chain_beta(x_T, alpha_bar, noises, points):
    x = x_T
    for t in range(len(alpha_bar) - 1, 0, -1):
        s, a_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - a_t / s
        logs = -((x[:, None] - a_t**0.5 * points) ** 2) / (2 * (1 - a_t))
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        x_0 = (p / p.sum(axis=1, keepdims=True)) @ points
        x = (s**0.5 * beta * x_0 + (1 - beta) ** 0.5 * (1 - s) * x) / (1 - a_t) + beta**0.5 * noises[t - 1]
    return x


def step_back_loop(x_t, alpha_bar_s, alpha_bar_t, points, weights):
    means, variances = [], []
    a = alpha_bar_t / alpha_bar_s
    c, d = alpha_bar_s**0.5 * (1 - a) / (1 - alpha_bar_t), a**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    beta = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - a)
    for x in x_t:
        z = np.log(weights) - (x - alpha_bar_t**0.5 * points) ** 2 / (2 * (1 - alpha_bar_t))
        r = np.exp(z - z.max())
        r /= r.sum()
        mu = c * points + d * x
        means.append(r @ mu)
        variances.append(r @ (mu**2 + beta) - means[-1] ** 2)
    return means, variances


def step_back(logs=None, mean=None, variance=None, weighted=True, stable=True):
    def answer(x_t, s, t, points, weights):
        a = t / s
        c, d = s**0.5 * (1 - a) / (1 - t), a**0.5 * (1 - s) / (1 - t)
        z = (logs or (lambda x, p, s, t: -((x[:, None] - t**0.5 * p) ** 2) / (2 * (1 - t))))(x_t, points, s, t)
        z = z - z.max(1, keepdims=True) if stable else z
        r = (weights if weighted else 1) * np.exp(z)
        r = r / r.sum(1, keepdims=True)
        guess = r @ points
        open_ = r @ points**2 - guess**2
        m = (mean or (lambda g, x, c, d: c * g + d * x))(guess, x_t, c, d)
        tilde = (1 - s) / (1 - t) * (1 - a)
        v = (variance or (lambda tilde, c, o, b, d: tilde + c**2 * o))(tilde, c, open_, 1 - a, d)
        return m, v + 0 * x_t

    return answer


def bits(alpha_bar, mean, variance, **k):
    def kl(gap, v1, v2):
        return (np.log(v2 / v1) + v1 / v2 - 1 + gap / v2) / 2

    T = len(alpha_bar) - 1
    square = k.get("square", lambda m, v: m * m + v)(mean, variance)
    total = k.get("start", lambda kl, q, a: kl(a * q, 1 - a, 1.0))(kl, square, alpha_bar[T])
    for t in range(k.get("first", 1), T + k.get("last", 1)):
        s, a_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - a_t / s
        left = k.get("left", lambda v, a: v * (1 - a) / (a * v + 1 - a))(variance, a_t)
        if t > k.get("image", 1):
            c = s**0.5 * beta / (1 - a_t)
            total += k.get("kl", kl)(c**2 * left, (1 - s) / (1 - a_t) * beta, beta)
        else:
            total += k.get("end", lambda left, b: (left / b + np.log(2 * np.pi * b)) / 2)(left, beta)
    return total / k.get("unit", np.log(2))


def with_bits(**k):
    return lambda alpha_bar, mean, variance: bits(alpha_bar, mean, variance, **k)


def bits_arrays(alpha_bar, mean, variance):
    a = np.asarray(alpha_bar)
    s, t = a[:-1], a[1:]
    beta = 1 - t / s
    left = variance * (1 - t) / (t * variance + 1 - t)
    ratio = ((1 - s) / (1 - t))[1:]
    steps = 0.5 * (-np.log(ratio) + ratio - 1 + (s * beta / (1 - t) ** 2 * left)[1:])
    start = 0.5 * (-np.log(1 - a[-1]) - a[-1] + a[-1] * (mean**2 + variance))
    image = 0.5 * (np.log(2 * np.pi * beta[0]) + left[0] / beta[0])
    return float((start + steps.sum() + image) * np.log2(np.e))


RIGHT = {
    "WITNESSES": {
        "loop, a list": witnesses_loop,
        "one after another": witnesses_pairs,
        "average": lambda means, variances: (
            np.average(means, axis=0, weights=1 / variances),
            np.float32(1 / np.sum(1 / variances)),
        ),
        "reshaped": lambda means, variances: (
            (means / variances.reshape(-1, *[1] * (means.ndim - 1))).sum(0) / (1 / variances).sum(),
            np.array(1 / (1 / variances).sum()),
        ),
    },
    "CHAIN": {"np.sqrt": chain_variance_kept, "power": chain()},
    "FALL": {
        "signal to noise": lambda s, t: (s / (1 - s) - t / (1 - t)) / 2,
        "one fraction": lambda s, t: (s - t) / (2 * (1 - s) * (1 - t)),
        "one over": lambda s, t: (1 / (1 - s) - 1 / (1 - t)) / 2,
        "of the posterior": lambda s, t: s * (1 - t / s) / (2 * (1 - t) * (1 - s)),
        "list or number": lambda s, t: np.asarray((s - t) / (1 - s) / (1 - t) / 2).tolist(),
    },
    "BACK": {
        "loop, lists": step_back_loop,
        "plain": step_back(),
        "no largest out": step_back(stable=False),
        "float32": lambda *a: tuple(np.asarray(v, "f") for v in step_back()(*a)),
    },
    "BOUND": {"loop": with_bits(), "arrays": bits_arrays, "0-d array": lambda *a: np.asarray(bits_arrays(*a))},
}
WRONG = {
    "WITNESSES": {
        "plain mean": witnesses(lambda v: np.full(len(v), 1 / len(v))),
        "by variance": witnesses(lambda v: v / v.sum()),
        "by std": witnesses(lambda v: v**-0.5 / (v**-0.5).sum()),
        "not normalised": witnesses(lambda v: 1 / v),
        "precision": witnesses(variance=lambda v: (1 / v).sum()),
        "std": witnesses(variance=lambda v: (1 / v).sum() ** -0.5),
        "harmonic mean": witnesses(variance=lambda v: len(v) / (1 / v).sum()),
        "mean of variances": witnesses(variance=np.mean),
        "smallest": witnesses(variance=np.min),
        "over K squared": witnesses(variance=lambda v: v.sum() / len(v) ** 2),
        "two witnesses": lambda m, v: witnesses()(m[:2], v[:2]),
        "product over sum": witnesses(variance=lambda v: v.prod() / v.sum()),
        "order": lambda m, v: witnesses()(m, v)[::-1],
        "last axis": lambda m, v: ((m / v).sum(0) / (1 / v).sum(), 1 / (1 / v).sum()),
        "one number": lambda m, v: (witnesses()(m, v)[0].mean(), witnesses()(m, v)[1]),
        "variance of an image": lambda m, v: (witnesses()(m, v)[0], np.full(m.shape[1:], witnesses()(m, v)[1])),
        "minus one": witnesses(variance=lambda v: 1 / ((1 / v).sum() - 1)),
    },
    "CHAIN": {
        "as it is": chain(lambda v: v),
        "none": chain(lambda v: 0),
        "squared": chain(lambda v: v**2),
        "fourth root": chain(lambda v: v**0.25),
        "beta": chain_beta,
        "half": chain(lambda v: (v / 2) ** 0.5),
        "other noise": chain(noise=lambda n, t: n[-t]),
        "the same noise": chain(noise=lambda n, t: n[0]),
        "index t": chain(noise=lambda n, t: n[t % len(n)]),
        "one step short": chain(stop=1),
        "no way kept": chain(mean=lambda m, x_0, x, s, t: s**0.5 * x_0),
        "unit": chain(lambda v: v**0.5 > 0),
        "minus": chain(lambda v: -(v**0.5)),
    },
    "FALL": {
        "no half": lambda s, t: s / (1 - s) - t / (1 - t),
        "sign": lambda s, t: (t / (1 - t) - s / (1 - s)) / 2,
        "beta": lambda s, t: (s - t) / (2 * (1 - t) ** 2),
        "logs": lambda s, t: (np.log(s / (1 - s)) - np.log(t / (1 - t))) / 2,
        "noise to signal": lambda s, t: ((1 - t) / t - (1 - s) / s) / 2,
        "difference": lambda s, t: (s - t) / 2,
        "roots": lambda s, t: ((s / (1 - s)) ** 0.5 - (t / (1 - t)) ** 0.5) / 2,
        "t below only": lambda s, t: (s - t) / (2 * (1 - t)),
        "beta tilde whole": lambda s, t: s * (1 - t / s) ** 2 / (2 * (1 - t) * (1 - s)),
        "one number": lambda s, t: np.mean((s - t) / (2 * (1 - s) * (1 - t))),
        "sum": lambda s, t: np.sum((s - t) / (2 * (1 - s) * (1 - t))),
        "eps": lambda s, t: (s - t) / (2 * (1 - s + 1e-3) * (1 - t)),
        "of eps": lambda s, t: (1 - t) / t * (s - t) / (2 * (1 - s) * (1 - t)),
        "numbers only": lambda s, t: float((s - t) / (2 * (1 - s) * (1 - t))),
        "alpha bar only": lambda s, t: (s / (1 - s)) / 2,
    },
    "BACK": {
        "no weights": step_back(weighted=False),
        "first part": step_back(variance=lambda tilde, c, o, b, d: tilde),
        "second part": step_back(variance=lambda tilde, c, o, b, d: c**2 * o),
        "c not squared": step_back(variance=lambda tilde, c, o, b, d: tilde + c * o),
        "no c": step_back(variance=lambda tilde, c, o, b, d: tilde + o),
        "beta": step_back(variance=lambda tilde, c, o, b, d: b + c**2 * o),
        "std": step_back(variance=lambda tilde, c, o, b, d: (tilde + c**2 * o) ** 0.5),
        "both squared": step_back(variance=lambda tilde, c, o, b, d: (c**2 + d**2) * o + tilde),
        "guess": step_back(mean=lambda g, x, c, d: g),
        "no x_t": step_back(mean=lambda g, x, c, d: c * g),
        "Bayes at s": step_back(lambda x, p, s, t: -((x[:, None] - s**0.5 * p) ** 2) / (2 * (1 - s))),
        "Bayes with the step": step_back(
            lambda x, p, s, t: -((x[:, None] - (t / s) ** 0.5 * p) ** 2) / (2 * (1 - t / s))
        ),
        "no two": step_back(lambda x, p, s, t: -((x[:, None] - t**0.5 * p) ** 2) / (1 - t)),
        "not shrunk": step_back(lambda x, p, s, t: -((x[:, None] - p) ** 2) / (2 * (1 - t))),
        "prior": step_back(lambda x, p, s, t: 0 * x[:, None] * p),
        "nearest": step_back(lambda x, p, s, t: -1e9 * (x[:, None] - t**0.5 * p) ** 2),
        "first": lambda x, *a: tuple(v[:1] + 0 * x for v in step_back()(x, *a)),
        "unbiased": step_back(variance=lambda tilde, c, o, b, d: tilde + 2 * c**2 * o),
        "order": lambda *a: step_back()(*a)[::-1],
    },
    "BOUND": {
        "nats": with_bits(unit=1),
        "over log 10": with_bits(unit=np.log(10)),
        "times log 2": with_bits(unit=1 / np.log(2)),
        "no mean": with_bits(square=lambda m, v: v),
        "no variance": with_bits(square=lambda m, v: m * m),
        "mean not squared": with_bits(square=lambda m, v: m + v),
        "no start": with_bits(start=lambda kl, q, a: 0),
        "start not shrunk": with_bits(start=lambda kl, q, a: kl(q, 1 - a, 1.0)),
        "start root": with_bits(start=lambda kl, q, a: kl(a**0.5 * q, 1 - a, 1.0)),
        "start turned": with_bits(start=lambda kl, q, a: kl(a * q, 1.0, 1 - a)),
        "no image": with_bits(first=2),
        "last step left out": with_bits(last=0),
        "image of t = 2 too": with_bits(image=2),
        "no 2 pi": with_bits(end=lambda left, b: (left / b + np.log(b)) / 2),
        "sign of the log": with_bits(end=lambda left, b: (left / b - np.log(2 * np.pi * b)) / 2),
        "log not halved": with_bits(end=lambda left, b: left / b / 2 + np.log(2 * np.pi * b)),
        "data variance": with_bits(left=lambda v, a: v),
        "left without noise": with_bits(left=lambda v, a: 1 - a),
        "kl turned": with_bits(kl=lambda g, v1, v2: (np.log(v1 / v2) + v2 / v1 - 1 + g / v1) / 2),
        "only squares": with_bits(kl=lambda g, v1, v2: g / v2 / 2),
        "mean over steps": lambda ab, m, v: bits(ab, m, v) / (len(ab) - 1),
        "steps by tilde": with_bits(kl=lambda g, v1, v2: g / v1 / 2),
        "exact": lambda ab, m, v: np.log2(2 * np.pi * np.e * v) / 2,
    },
}
