"""More answers to the exercises of notebook 03."""

import numpy as np


def posterior_witnesses(x_0, x_t, alpha_bar_s, alpha_bar_t):
    alpha = alpha_bar_t / alpha_bar_s
    precision = 1 / (1 - alpha_bar_s) + alpha / (1 - alpha)
    b = np.sqrt(alpha_bar_s) * x_0 / (1 - alpha_bar_s) + np.sqrt(alpha) * x_t / (1 - alpha)
    return [b / precision, np.array(1 / precision)]


def posterior_kalman(x_0, x_t, s, t):
    mean, var, a = s**0.5 * x_0, 1 - s, t / s
    gain = var * a**0.5 / (a * var + 1 - a)
    return mean + gain * (x_t - a**0.5 * mean), (1 - gain * a**0.5) * var


def posterior(of_image=None, of_x_t=None, variance=None):
    def answer(x_0, x_t, s, t):
        a = t / s
        b = 1 - a
        i = (of_image or (lambda s, t, a, b: s**0.5 * b / (1 - t)))(s, t, a, b)
        x = (of_x_t or (lambda s, t, a, b: a**0.5 * (1 - s) / (1 - t)))(s, t, a, b)
        v = (variance or (lambda s, t, a, b: (1 - s) / (1 - t) * b))(s, t, a, b)
        return i * x_0 + x * x_t, v

    return answer


def from_eps(f):
    def answer(x_t, eps, s, t):
        a = t / s
        return f(x_t, eps, s, t, a, 1 - a)

    return answer


def step_back_trapezoid(x, density, x_t, alpha):
    q = density * np.exp(-((x_t - np.sqrt(alpha) * x) ** 2) / (2 * (1 - alpha)))
    q = q / np.trapezoid(q, x)
    mean = np.trapezoid(x * q, x)
    return float(mean), float(np.trapezoid(x**2 * q, x) - mean**2)


def step_back_average(x, density, x_t, alpha):
    q = density * np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha))) / (2 * np.pi * (1 - alpha)) ** 0.5
    mean = np.average(x, weights=q)
    return [mean, np.average((x - mean) ** 2, weights=q)]


def step_back_loop(x, density, x_t, alpha):
    norm = first = second = 0
    for xi, d in zip(x, density, strict=False):
        p = d * np.exp(-((x_t - alpha**0.5 * xi) ** 2) / 2 / (1 - alpha))
        norm, first, second = norm + p, first + p * xi, second + p * xi * xi
    return first / norm, second / norm - (first / norm) ** 2


def step_back(f=None, v=None):
    def answer(x, density, x_t, alpha):
        q = (f or (lambda x, d, y, a: d * np.exp(-((y - a**0.5 * x) ** 2) / (2 * (1 - a)))))(x, density, x_t, alpha)
        p = q / q.sum()
        mean = (p * x).sum()
        return mean, (v or (lambda x, p, m: (p * (x - m) ** 2).sum()))(x, p, mean)

    return answer


def step_back_mode(x, density, x_t, alpha):
    p = density * np.exp(-((x_t - alpha**0.5 * x) ** 2) / (2 * (1 - alpha)))
    p /= p.sum()
    return x[p.argmax()], (p * (x - x[p.argmax()]) ** 2).sum()


RIGHT = {
    "POSTERIOR": {
        "witnesses, a list": posterior_witnesses,
        "gain": posterior_kalman,
        "float32": lambda x_0, x_t, s, t: tuple(np.float32(v) for v in posterior_kalman(x_0, x_t, s, t)),
    },
    "FROM_EPS": {
        "by x_0": lambda x_t, eps, s, t: posterior_kalman((x_t - (1 - t) ** 0.5 * eps) / t**0.5, x_t, s, t)[0],
        "two terms": from_eps(lambda x, e, s, t, a, b: a**-0.5 * x - b / (1 - t) ** 0.5 * a**-0.5 * e),
        "float32": from_eps(
            lambda x, e, s, t, a, b: (np.sqrt(s / t) * (x - (s - t) / s / np.sqrt(1 - t) * e)).astype("f")
        ),
    },
    "STEP_BACK": {
        "trapezoids": step_back_trapezoid,
        "weighted average, a list": step_back_average,
        "loop": step_back_loop,
    },
}
WRONG = {
    "POSTERIOR": {
        "std": posterior(variance=lambda s, t, a, b: ((1 - s) / (1 - t) * b) ** 0.5),
        "beta": posterior(variance=lambda s, t, a, b: b),
        "no root of the image": posterior(of_image=lambda s, t, a, b: s * b / (1 - t)),
        "no root of x_t": posterior(of_x_t=lambda s, t, a, b: a * (1 - s) / (1 - t)),
        "alpha bar t as alpha": posterior(of_x_t=lambda s, t, a, b: t**0.5 * (1 - s) / (1 - t)),
        "image by t": posterior(of_image=lambda s, t, a, b: t**0.5 * b / (1 - t)),
        "beta is a difference": posterior(of_image=lambda s, t, a, b: s**0.5 * (s - t) / (1 - t)),
        "beta difference in the variance": posterior(variance=lambda s, t, a, b: (1 - s) / (1 - t) * (s - t)),
        "upside down": posterior(variance=lambda s, t, a, b: (1 - t) / (1 - s) * b),
        "swapped": lambda x_0, x_t, s, t: posterior_kalman(x_t, x_0, s, t),
        "times swapped": lambda x_0, x_t, s, t: posterior_kalman(x_0, x_t, t, s),
        "order": lambda x_0, x_t, s, t: posterior_kalman(x_0, x_t, s, t)[::-1],
        "variance as an image": lambda x_0, x_t, s, t: (
            posterior_kalman(x_0, x_t, s, t)[0],
            posterior_kalman(x_0, x_t, s, t)[1] + 0 * x_0,
        ),
        "mean of witnesses": posterior(of_image=lambda s, t, a, b: s**0.5 / 2, of_x_t=lambda s, t, a, b: a**-0.5 / 2),
        "precision": posterior(variance=lambda s, t, a, b: (1 - t) / (1 - s) / b),
    },
    "FROM_EPS": {
        "no root": from_eps(lambda x, e, s, t, a, b: (x - b / (1 - t) * e) / a**0.5),
        "noise whole": from_eps(lambda x, e, s, t, a, b: (x - (1 - t) ** 0.5 * e) / a**0.5),
        "beta root": from_eps(lambda x, e, s, t, a, b: (x - b**0.5 * e) / a**0.5),
        "alpha bar": from_eps(lambda x, e, s, t, a, b: (x - b / (1 - t) ** 0.5 * e) / t**0.5),
        "1 - s": from_eps(lambda x, e, s, t, a, b: (x - b / (1 - s) ** 0.5 * e) / a**0.5),
        "plus": from_eps(lambda x, e, s, t, a, b: (x + b / (1 - t) ** 0.5 * e) / a**0.5),
        "ddim": from_eps(lambda x, e, s, t, a, b: s**0.5 * (x - (1 - t) ** 0.5 * e) / t**0.5 + (1 - s) ** 0.5 * e),
        "divided last": from_eps(lambda x, e, s, t, a, b: x / a**0.5 - b / (1 - t) ** 0.5 * e),
        "alpha not root": from_eps(lambda x, e, s, t, a, b: (x - b / (1 - t) ** 0.5 * e) / a),
        "x_0": from_eps(lambda x, e, s, t, a, b: (x - (1 - t) ** 0.5 * e) / t**0.5),
        "b as difference": from_eps(lambda x, e, s, t, a, b: (x - (s - t) / (1 - t) ** 0.5 * e) / a**0.5),
        "tied": from_eps(lambda x, e, s, t, a, b: (x - (1 - a) / (1 - a) ** 0.5 * e) / a**0.5),
    },
    "STEP_BACK": {
        "std": step_back(v=lambda x, p, m: (p * (x - m) ** 2).sum() ** 0.5),
        "second moment": step_back(v=lambda x, p, m: (p * x**2).sum()),
        "unweighted": step_back(v=lambda x, p, m: ((x - m) ** 2).mean()),
        "no density": step_back(lambda x, d, y, a: np.exp(-((y - a**0.5 * x) ** 2) / (2 * (1 - a)))),
        "no x_t": step_back(lambda x, d, y, a: d),
        "alpha not root": step_back(lambda x, d, y, a: d * np.exp(-((y - a * x) ** 2) / (2 * (1 - a)))),
        "no two": step_back(lambda x, d, y, a: d * np.exp(-((y - a**0.5 * x) ** 2) / (1 - a))),
        "std in place of the variance": step_back(
            lambda x, d, y, a: d * np.exp(-((y - a**0.5 * x) ** 2) / (2 * (1 - a) ** 0.5))
        ),
        "not shrunk": step_back(lambda x, d, y, a: d * np.exp(-((y - x) ** 2) / (2 * (1 - a)))),
        "steps down": step_back(lambda x, d, y, a: d * np.exp(-((a**0.5 * y - x) ** 2) / (2 * (1 - a)))),
        "root of q": step_back(lambda x, d, y, a: d * np.exp(-((y - a**0.5 * x) ** 2) / (2 * (1 - a))) ** 2),
        "sum": step_back(lambda x, d, y, a: d + np.exp(-((y - a**0.5 * x) ** 2) / (2 * (1 - a)))),
        "alpha as variance": step_back(lambda x, d, y, a: d * np.exp(-((y - a**0.5 * x) ** 2) / (2 * a))),
        "density in the exponent": step_back(lambda x, d, y, a: np.exp(d - ((y - a**0.5 * x) ** 2) / (2 * (1 - a)))),
        "mode": step_back_mode,
        "sample variance": step_back(v=lambda x, p, m: (p * (x - m) ** 2).sum() * len(x) / (len(x) - 1)),
    },
}
