"""More answers to the exercises of notebook 20."""

import numpy as np


def column(values, x):
    return np.reshape(values, (-1,) + (1,) * (x.ndim - 1))


def guided(eps=None, guess=None, shape=column):
    def answer(x_t, eps_hat, gradient, alpha_bar, scale):
        a, b = shape(alpha_bar, x_t) ** 0.5, (1 - shape(alpha_bar, x_t)) ** 0.5
        e = (eps or (lambda e, g, a, b, s: e - s * b * g))(eps_hat, gradient, a, b, scale)
        return (guess or (lambda x, e, old, g, a, b, s: (x - b * e) / a))(x_t, e, eps_hat, gradient, a, b, scale), e

    return answer


def guided_loop(x_t, eps_hat, gradient, alpha_bar, scale):
    guesses, noises = [], []
    for x, e, g, a in zip(x_t, eps_hat, gradient, alpha_bar, strict=False):
        noises.append(e - scale * np.sqrt(1 - a) * g)
        guesses.append(x / np.sqrt(a) - np.sqrt(1 / a - 1) * noises[-1])
    return guesses, noises


def guided_scores(x_t, eps_hat, gradient, alpha_bar, scale):
    a = alpha_bar[(...,) + (None,) * (x_t.ndim - 1)]
    score = -eps_hat / np.sqrt(1 - a) + scale * gradient
    return [(x_t + (1 - a) * score) / np.sqrt(a), -np.sqrt(1 - a) * score]


def classes(log_q=None, end=None, largest=lambda z: z.max(1, keepdims=True)):
    def answer(x, weights, means, variances, alpha_bar):
        u = alpha_bar * variances + 1 - alpha_bar
        d = ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(2)
        z = (log_q or (lambda d, u, D: -D / 2 * np.log(2 * np.pi * u) - d / (2 * u)))(d, u, x.shape[1])
        z = z + np.log(weights)
        if end:
            return end(z)
        z = z - largest(z)
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    return answer


def classes_loop(x, weights, means, variances, alpha_bar):
    found = []
    for point in x:
        row = []
        for w, m, v in zip(weights, means, variances, strict=False):
            u = alpha_bar * v + 1 - alpha_bar
            gap = point - np.sqrt(alpha_bar) * m
            row.append(np.log(w) - len(point) / 2 * np.log(u) - gap @ gap / (2 * u))
        found.append([r - np.logaddexp.reduce(row) for r in row])
    return found


def classes_naive(x, weights, means, variances, alpha_bar):
    u = alpha_bar * variances + 1 - alpha_bar
    d = ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(2)
    q = weights * np.exp(-d / (2 * u)) / (2 * np.pi * u) ** (x.shape[1] / 2)
    return np.log(q / q.sum(1, keepdims=True))


def classes_floor(x, weights, means, variances, alpha_bar):
    u = alpha_bar * variances + 1 - alpha_bar
    d = ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(2)
    z = np.log(weights) - d / (2 * u) - x.shape[1] / 2 * np.log(2 * np.pi * u)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return np.log(np.maximum(p, 1e-30))


def step(guess=None, end=None):
    def answer(x_t, eps_hat, gradient, alpha_bar_t, alpha_bar_s, scale):
        b = (1 - alpha_bar_t) ** 0.5
        g = eps_hat - scale * b * gradient
        x_0_hat = (guess or (lambda x, e, g, a, b: (x - b * g) / a**0.5))(x_t, eps_hat, g, alpha_bar_t, b)
        return (end or (lambda x_0, e, g, s: s**0.5 * x_0 + (1 - s) ** 0.5 * g))(x_0_hat, eps_hat, g, alpha_bar_s)

    return answer


def step_scores(x_t, eps_hat, gradient, alpha_bar_t, alpha_bar_s, scale):
    score = -eps_hat / np.sqrt(1 - alpha_bar_t) + scale * gradient
    ratio = np.sqrt(alpha_bar_s / alpha_bar_t)
    noise = -np.sqrt(1 - alpha_bar_t) * score
    return ratio * x_t + (np.sqrt(1 - alpha_bar_s) - ratio * np.sqrt(1 - alpha_bar_t)) * noise


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits_loop(logits, labels):
    g = -softmax(logits)
    for n, y in enumerate(labels):
        g[n, y] += 1
    return g


def logits_unstable(logits, labels):
    e = np.exp(logits)
    return np.eye(logits.shape[1])[labels] - e / e.sum(1, keepdims=True)


def logits_largest_of_all(logits, labels):
    e = np.exp(logits - logits.max())
    return np.eye(logits.shape[1])[labels] - e / e.sum(1, keepdims=True)


def logits_own(logits, labels):
    p = softmax(logits)
    g = np.zeros_like(p)
    rows = np.arange(len(p))
    g[rows, labels] = 1 - p[rows, labels]
    return g


def logits_clipped(logits, labels):
    e = np.exp(np.clip(logits, -500, 500))
    return np.eye(logits.shape[1])[labels] - e / e.sum(1, keepdims=True)


RIGHT = {
    "GUIDED": {
        "loops, lists": guided_loop,
        "scores": guided_scores,
        "float32": lambda *args: tuple(np.asarray(v, "f") for v in guided_scores(*args)),
    },
    "CLASSES": {
        "loops": classes_loop,
        "logaddexp": classes(end=lambda z: z - np.logaddexp.reduce(z, 1, keepdims=True)),
        "no 2 pi": classes(lambda d, u, D: -D / 2 * np.log(u) - d / (2 * u)),
        "float32": lambda *args: np.asarray(classes_loop(*args), "f"),
    },
    "STEP": {
        "scores": step_scores,
        "difference": step(lambda x, e, g, a, b: (x - b * e) / a**0.5 - b / a**0.5 * (g - e)),
        "list": lambda *args: step()(*args).tolist(),
    },
    "LOGITS": {
        "loop": logits_loop,
        "equal": lambda logits, labels: (labels[:, None] == np.arange(logits.shape[1])) - softmax(logits),
        "eye, float32": lambda logits, labels: (np.eye(logits.shape[1])[labels] - softmax(logits)).astype("f"),
        "logs": lambda logits, labels: (
            np.identity(logits.shape[1])[labels] - np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        ),
    },
}
WRONG = {
    "GUIDED": {
        "plus": guided(lambda e, g, a, b, s: e + s * b * g),
        "no b": guided(lambda e, g, a, b, s: e - s * g),
        "b squared": guided(lambda e, g, a, b, s: e - s * b**2 * g),
        "over b": guided(lambda e, g, a, b, s: e - s / b * g),
        "a": guided(lambda e, g, a, b, s: e - s * a * g),
        "old guess": guided(guess=lambda x, e, old, g, a, b, s: (x - b * old) / a),
        "no a below": guided(guess=lambda x, e, old, g, a, b, s: x - b * e),
        "order": lambda *args: guided()(*args)[::-1],
        "1 + scale": guided(lambda e, g, a, b, s: e - (1 + s) * b * g),
        "scale - 1": guided(lambda e, g, a, b, s: e - (s - 1) * b * g),
        "scale ignored": guided(lambda e, g, a, b, s: e - b * g),
        "noise scaled": guided(lambda e, g, a, b, s: (1 - s) * e - s * b * g),
        "first": guided(shape=lambda a, x: np.full((len(x),) + (1,) * (x.ndim - 1), a[0])),
        "last axis": guided(shape=lambda a, x: a),
        "columns for pictures": guided(shape=lambda a, x: a[:, None, None, None]),
        "columns": guided(shape=lambda a, x: a[:, None]),
        "only guess": guided(lambda e, g, a, b, s: e, lambda x, e, old, g, a, b, s: (x - b * (e - s * b * g)) / a),
        "clipped": guided(guess=lambda x, e, old, g, a, b, s: np.clip((x - b * e) / a, -1, 1)),
    },
    "CLASSES": {
        "naive": classes_naive,
        "floor": classes_floor,
        "largest of all": classes(largest=lambda z: z.max()),
        "largest over points": classes(largest=lambda z: z.max(0)),
        "joint": classes(end=lambda z: z),
        "probabilities": lambda *args: np.exp(classes()(*args)),
        "sum over points": classes(end=lambda z: z - np.logaddexp.reduce(z, 0, keepdims=True)),
        "no weights": lambda x, w, m, v, a: classes()(x, np.ones_like(w), m, v, a),
        "no height": classes(lambda d, u, D: -d / (2 * u)),
        "height of one direction": classes(lambda d, u, D: -0.5 * np.log(2 * np.pi * u) - d / (2 * u)),
        "height of two directions": classes(lambda d, u, D: -np.log(2 * np.pi * u) - d / (2 * u)),
        "no two": classes(lambda d, u, D: -D / 2 * np.log(u) - d / u),
        "not squared": classes(lambda d, u, D: -D / 2 * np.log(u) - d**0.5 / (2 * u)),
        "no noise": lambda x, w, m, v, a: classes(lambda d, u, D: -D / 2 * np.log(a * v) - d / (2 * a * v))(
            x, w, m, v, a
        ),
        "not shrunk": lambda x, w, m, v, a: classes()(x, w, m / a**0.5, v, a),
        "variances without alpha": lambda x, w, m, v, a: classes()(x, w, m, v / a, a),
        "likelihood": lambda x, w, m, v, a: classes()(x, w, m, v, a) - np.log(w),
        "equal variances": lambda x, w, m, v, a: classes()(x, w, m, v * 0 + v.mean(), a),
        "no log of weights": lambda x, w, m, v, a: classes()(x, np.exp(w), m, v, a),
    },
    "STEP": {
        "as it is": step(lambda x, e, g, a, b: (x - b * e) / a**0.5),
        "guess guided, noise not": step(end=lambda x, e, g, s: s**0.5 * x + (1 - s) ** 0.5 * e),
        "none guided": step(
            lambda x, e, g, a, b: (x - b * e) / a**0.5, lambda x, e, g, s: s**0.5 * x + (1 - s) ** 0.5 * e
        ),
        "no a": step(lambda x, e, g, a, b: x - b * g),
        "a not root": step(lambda x, e, g, a, b: (x - b * g) / a),
        "plus": step(lambda x, e, g, a, b: (x + b * g) / a**0.5),
        "mean": step(lambda x, e, g, a, b: (x - b * (g + e) / 2) / a**0.5),
        "sign of the pull": step(lambda x, e, g, a, b: (x - b * (2 * e - g)) / a**0.5),
        "no b": step(lambda x, e, g, a, b: (x - g) / a**0.5),
        "clipped": step(lambda x, e, g, a, b: np.clip((x - b * g) / a**0.5, -1, 1)),
    },
    "LOGITS": {
        "unstable": logits_unstable,
        "largest of all": logits_largest_of_all,
        "clipped": logits_clipped,
        "loss": lambda z, y: -logits_loop(z, y),
        "mean": lambda z, y: logits_loop(z, y) / len(z),
        "own only": logits_own,
        "softmax": lambda z, y: softmax(z),
        "no softmax": lambda z, y: np.eye(z.shape[1])[y],
        "softmax over the batch": lambda z, y: np.eye(z.shape[1])[y] - softmax(z.T).T,
        "first label": lambda z, y: np.eye(z.shape[1])[np.full(len(y), y[0])] - softmax(z),
        "square": lambda z, y: np.eye(len(z))[y] - softmax(z),
        "probability": lambda z, y: logits_loop(z, y) * softmax(z)[np.arange(len(y)), y][:, None],
        "one number": lambda z, y: 1 - softmax(z)[np.arange(len(y)), y],
        "10 classes": lambda z, y: np.eye(10)[y] - softmax(z),
    },
}
