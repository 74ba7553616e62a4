"""Exercises of notebook 04: the divergence of two bell curves, and the simple loss."""

import math

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion, normal_kl, simple_loss


def _kl(m_1, v_1, m_2, v_2, half=0.5, one=1.0, log=1.0):
    return half * (log * math.log(v_2 / v_1) + v_1 / v_2 - one + (m_1 - m_2) ** 2 / v_2)


KL = Exercise(
    grade="transcribe",
    reference=normal_kl,
    cases=[(0.0, 1.0, 1.0, 1.0), (0.3, 0.5, -0.4, 2.0), (1.0, 3.0, 1.0, 0.7)],
    returns=["kl"],
    mistakes={
        "that is the divergence the other way round: the mean is taken under the first density.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_2, v_2, m_1, v_1)
        ),
        "the factor 1/2 is missing; it comes from the exponent of the normal density.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_1, v_1, m_2, v_2, half=1.0)
        ),
        "the -1 is missing: two equal bells should have the divergence 0.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_1, v_1, m_2, v_2, one=0.0)
        ),
        "the logarithm is upside down: it is log(variance_2 / variance_1).": (
            lambda m_1, v_1, m_2, v_2: _kl(m_1, v_1, m_2, v_2, log=-1.0)
        ),
        "the means are right, but the difference of the variances is left out.": (
            lambda m_1, v_1, m_2, v_2: (m_1 - m_2) ** 2 / (2 * v_2)
        ),
        "the arguments are variances, and yours were squared as if they were deviations.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_1, v_1**2, m_2, v_2**2)
        ),
    },
    hints=[],
    praise="It is 0 for equal bells, and never negative.",
)

_X_0, _EPS = np.array([[1.0, -1.0, 0.5], [0.2, 0.0, -0.7]]), np.array([[0.3, 1.1, -0.6], [-1.4, 0.8, 0.1]])


def _toy_network(x_t, t):
    """Stand in for a network: some function of x_t and t."""
    return np.tanh(x_t) * (1 + t / 10)


def _loss(network, alpha_bar, x_0, t, eps):
    diffusion = GaussianDiffusion(alpha_bar)
    return float(
        simple_loss(lambda x_t, t, context: network(x_t, int(t[0])), diffusion, x_0, np.full(len(x_0), t), eps)
    )


def _error(network, alpha_bar, x_0, t, eps, roots=True, noised=True, target=None, reduce=np.mean):
    a = alpha_bar[t]
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps if roots else a * x_0 + (1 - a) * eps
    target = eps if target is None else target
    return float(reduce((network(x_t if noised else x_0, t) - target) ** 2))


_ALPHA_BAR = np.array([1.0, 0.8, 0.5, 0.1])

LOSS = Exercise(
    grade="transcribe",
    reference=_loss,
    cases=[(_toy_network, _ALPHA_BAR, _X_0, 2, _EPS), (_toy_network, _ALPHA_BAR, _X_0, 3, _EPS)],
    returns=["loss"],
    mistakes={
        "the network must see the noisy image x_t, not the clean one.": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps, noised=False)
        ),
        "the weights in x_t are square roots, of alpha_bar[t] and of 1 - alpha_bar[t].": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps, roots=False)
        ),
        "the output is compared with the image; this network predicts the noise.": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps, target=x_0)
        ),
        "that is the sum; the mean over pixels and samples does not depend on how many there are.": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps, reduce=np.sum)
        ),
        "the 1/2 belongs to the weight, and L_simple has no weight: drop it.": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps) / 2
        ),
    },
    hints=[],
    praise="Four lines of mathematics have become one line of code.",
)
