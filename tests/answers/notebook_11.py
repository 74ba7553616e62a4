"""Answers to the exercises of notebook 11."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, annealed_langevin, last


def step(x, score, size, z):
    return (np.asarray(x, np.float32) + np.float32(size) * score + np.sqrt(np.float32(2 * size)) * z).tolist()


def by_walking(v, size):
    """Walk until the variance stands still."""
    w = 1.0
    for _ in range(20_000):
        w = (1 - size / v) ** 2 * w + 2 * size
    return w


def by_scores(eps_hat, eps, b):
    s, target = (-e / b[:, None] for e in (eps_hat, eps))
    return np.linalg.norm(s - target, axis=1) ** 2


def by_points(A, c, x):
    return np.mean([0.5 * np.dot(A @ row + c, A @ row + c) + sum(A[i, i] for i in range(len(A))) for row in x])


def library_annealed(predict, x, alpha_bars, size, noises):
    """Return what the library's sampler gives; its noise at each step is taken from the list."""
    table = [1.0, *(a for a in reversed(alpha_bars) if a < 1)]
    diffusion = GaussianDiffusion(np.array(table))

    class Given:
        def at(self, **changes):
            self.step = changes.get("step", getattr(self, "step", 0))
            return self

        def normal(self, shape, purpose, layer="", dtype=np.float64):
            return noises[self.step][int(layer.removeprefix("repeat "))]

    def both(x, t, context):
        level = float(diffusion.alpha_bar[int(np.ravel(t)[0])])
        eps_hat = predict(x, level)
        return (x - (1 - level) ** 0.5 * eps_hat) / level**0.5, eps_hat

    times = [table.index(a) for a in alpha_bars[:-1]]
    end = table.index(alpha_bars[-1])
    return last(annealed_langevin(both, diffusion, x, times, size, len(noises[0]), Given(), end=end))


def by_scores_annealed(predict, x, alpha_bars, size, noises):
    """Walk in units of x / a, with the score."""
    y = x / alpha_bars[0] ** 0.5
    for k, t in enumerate(alpha_bars[:-1]):
        a, b = t**0.5, (1 - t) ** 0.5
        for z in noises[k]:
            score = -predict(a * y, t) / b
            y = y + size * b * b * score / a + np.sqrt(2 * size) * b / a * z
        if alpha_bars[k + 1] == 1:
            y = y - b / a * predict(a * y, t)
    return (alpha_bars[-1] ** 0.5 * y).astype(np.float32)


def variance(c, alpha_bars, size, repeats):
    """Follow the start, and each fresh noise, through the rest of the chain; their squares sum."""
    parts = [1.0]
    for k, t in enumerate(alpha_bars[:-1]):
        s, total = alpha_bars[k + 1], t * c + 1 - t
        for _ in range(repeats):
            parts = [(1 - size * (1 - t) / total) * p for p in parts] + [np.sqrt(2 * size * (1 - t))]
        scale = np.sqrt(s / t) if s < 1 else np.sqrt(t) * c / total
        parts = [scale * p for p in parts]
    return sum(p**2 for p in parts)


LIBRARY = {
    "STEP": "the library takes Langevin's steps within its samplers.",
    "STATIONARY": "the library has no formula for what a walk leaves.",
    "MATCHING": "the library's loss compares noises, not scores.",
    "IMPLICIT": "the library learns by denoising.",
    "ANNEALED": library_annealed,
    "VARIANCE": "the library draws samples; it has no formula for the variance of a chain.",
}
RIGHT = {
    "STEP": {
        "float32, as a list": step,
        "as a sum": lambda x, score, size, z: np.sum([x, size * score, np.sqrt(2 * size) * z], axis=0),
    },
    "STATIONARY": {
        "by walking": by_walking,
        "as one fraction": lambda v, size: np.float32(2 * v * v / (2 * v - size)),
    },
    "MATCHING": {
        "by scores": by_scores,
        "float32": lambda eps_hat, eps, b: (np.square((eps - eps_hat) / b[:, None]).sum(1)).astype(np.float32),
    },
    "IMPLICIT": {
        "point by point": by_points,
        "by einsum": lambda A, c, x: 0.5 * np.einsum("nd,nd->n", x @ A.T + c, x @ A.T + c).mean() + np.einsum("ii", A),
    },
    "ANNEALED": {
        "in units of x / a, float32": by_scores_annealed,
        "a list": lambda *args: np.asarray(by_scores_annealed(*args), float).tolist(),
    },
    "VARIANCE": {
        "all parts": variance,
        "float32": lambda *args: np.float32(variance(*args)),
    },
}
WRONG = {
    "STEP": {
        "noise of a whole step": lambda x, score, size, z: x + size * score + z,
        "noise minus": lambda x, score, size, z: x + size * score - (2 * size) ** 0.5 * z,
        "noise first": lambda x, score, size, z: x + size * (score + 2**0.5 * z),
    },
    "STATIONARY": {
        "less": lambda v, size: v / (1 + size / (2 * v)),
        "noise alone": lambda v, size: 2 * size / (1 - (1 - size) ** 2) + 0 * v,
        "standard deviation": lambda v, size: np.sqrt(v / (1 - size / (2 * v))),
    },
    "MATCHING": {
        "length, not its square": lambda eps_hat, eps, b: np.sqrt(by_scores(eps_hat, eps, b)),
        "halved": lambda eps_hat, eps, b: by_scores(eps_hat, eps, b) / 2,
        "mean of all": lambda eps_hat, eps, b: by_scores(eps_hat, eps, b) * 0 + by_scores(eps_hat, eps, b).mean(),
    },
    "IMPLICIT": {
        "determinant": lambda A, c, x: by_points(A, c, x) - np.trace(A) + np.linalg.det(A),
        "largest slope": lambda A, c, x: by_points(A, c, x) - np.trace(A) + np.diag(A).max(),
        "A transposed": lambda A, c, x: by_points(A.T, c, x),
    },
    "ANNEALED": {
        "one level less": lambda p, x, a, size, z: by_scores_annealed(p, x, [*a[:-2], a[-1]], size, z) * 1.001,
        "predicts once": lambda p, x, a, size, z: by_scores_annealed(lambda _, t: p(x, t), x, a, size, z),
        "no noise": lambda p, x, a, size, z: by_scores_annealed(p, x, a, size, 0 * z),
    },
    "VARIANCE": {
        "standard deviation": lambda *args: variance(*args) ** 0.5,
        "one step less": lambda c, a, size, repeats: variance(c, a, size, repeats - 1),
        "of data": lambda c, a, size, repeats: c,
    },
}
