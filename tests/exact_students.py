"""Students that learn exactly what a linear network could, for the tests of few steps; and data of exact moments."""

import numpy as np

from tinydiff.base import as_condition
from tinydiff.diffusion import predictor


def of_exact_moments(n=16, seed=0):
    """Return u and w, n numbers each as pictures of one pixel: of mean square 1, and without correlation."""
    u, w = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, 2)))[0].T * n**0.5
    return u.reshape(-1, 1, 1, 1), w.reshape(-1, 1, 1, 1)


def slope_of(target, x_t):
    """Return the number c for which c x_t is nearest to the target, in the mean square."""
    return float((target * x_t).sum() / (x_t * x_t).sum())


class LinearStudent:
    """A network that multiplies x_t by a number, one for each time and, if it is told, for each length of a step."""

    def __init__(self):
        self.slopes = {}
        self.theta = np.zeros(1)

    def bind(self, theta):
        return self

    def forward(self, x_t, t, context=None, tape=None):
        step = as_condition(context).step_size
        told = np.zeros(len(t)) if step is None else step
        slopes = [self.slopes[round(float(at), 9), round(float(d), 9)] for at, d in zip(t, told, strict=True)]
        return np.reshape(slopes, (-1, 1, 1, 1)).astype(x_t.dtype) * x_t

    def learn(self, target, x_t, t, told=0.0, rest=None):
        """Learn a time by least squares; `rest` is what may be left of the target, relative."""
        slope = slope_of(target, x_t)
        if rest is not None:
            np.testing.assert_allclose(target, slope * x_t, rtol=0, atol=rest)
        self.slopes[round(float(t), 9), round(float(told), 9)] = slope

    def predict(self, diffusion, kind):
        return predictor(self.forward, diffusion, kind, clip=False)
