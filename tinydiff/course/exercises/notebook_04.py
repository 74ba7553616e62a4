"""Exercises of notebook 04: a divergence, the parts of the bound, a weight for errors of the image, the simple loss."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(4)
_M_1, _M_2 = _RNG.standard_normal((3, 5)), _RNG.standard_normal((3, 5))


def _kl(mean_1, variance_1, mean_2, variance_2, half=0.5, one=1.0, log=1.0, reduce=np.sum, axis=1):
    ratio = variance_1 / variance_2
    each = half * (-log * np.log(ratio) + ratio - one + (mean_1 - mean_2) ** 2 / variance_2)
    return reduce(each, axis=axis)


KL = Exercise(
    grade="transcribe",
    reference=lambda mean_1, variance_1, mean_2, variance_2: _kl(mean_1, variance_1, mean_2, variance_2),
    cases=[
        (_M_1, 0.5, _M_2, 2.3),
        (_M_2[:, :2], 3.1, _M_1[:, 1:3], 0.7),
        (_M_1[:2, :4], 0.3, _M_1[:2, :4] + 0.01, 0.4),
    ],
    returns=["kl"],
    mistakes={
        "that is the divergence the other way round: the mean is taken under the first density.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_2, v_2, m_1, v_1)
        ),
        "the factor 1/2 is missing; it comes from the exponent of the normal density.": partial(_kl, half=1.0),
        "the -1 is missing: two equal bells should have the divergence 0.": partial(_kl, one=0.0),
        "the logarithm is upside down: it is log(variance_2 / variance_1).": partial(_kl, log=-1.0),
        "the logarithm, the ratio and the -1 are counted once for a vector; each of its numbers has a divergence, "
        "and all of them add.": (
            lambda m_1, v_1, m_2, v_2: (
                _kl(m_1[:, :1], v_1, m_1[:, :1], v_2) + ((m_1 - m_2) ** 2).sum(axis=1) / (2 * v_2)
            )
        ),
        "that is the mean over the numbers of a vector; divergences of independent numbers add.": (
            partial(_kl, reduce=np.mean)
        ),
        "that is the divergence of each single number; add them up over the numbers of a vector.": (
            partial(_kl, reduce=lambda each, axis: each)
        ),
        "that is one number for all vectors together; sum along the last axis only.": partial(_kl, axis=None),
        "the sum runs over the vectors; it should run over the numbers of each, the last axis.": partial(_kl, axis=0),
        "the means are right, but the difference of the variances is left out.": (
            lambda m_1, v_1, m_2, v_2: ((m_1 - m_2) ** 2).sum(axis=1) / (2 * v_2)
        ),
        "the difference of the means is divided by variance_1; the second density's exponent is compared, so by "
        "variance_2.": (lambda m_1, v_1, m_2, v_2: _kl(m_1 * (v_2 / v_1) ** 0.5, v_1, m_2 * (v_2 / v_1) ** 0.5, v_2)),
        "the arguments are variances, and yours were squared as if they were deviations.": (
            lambda m_1, v_1, m_2, v_2: _kl(m_1, v_1**2, m_2, v_2**2)
        ),
    },
    hints=[
        "Eq. KL-1 is for one number. The numbers of a vector are independent: what do their divergences do?",
        "Compute KL-1 for each number, shape (N, D), with `np.log` of the ratio of variances; then sum along axis 1.",
        "`(np.log(variance_2 / variance_1) + variance_1 / variance_2 - 1 + (mean_1 - mean_2) ** 2 / variance_2) / 2`, "
        "and of that `.sum(axis=1)`.",
    ],
    praise="It is 0 for equal bells, never negative, and adds over pixels.",
)


def _price(predict, alpha_bar, x_0, eps, first=1.0, image=1.0, last=0, swap=False, narrow=False, shift=0, log=1.0):
    T = len(alpha_bar) - 1

    def kl(m_1, v_1, m_2, v_2):
        return (np.log(v_2 / v_1) + v_1 / v_2 - 1 + (m_1 - m_2) ** 2 / v_2) / 2

    price = first * kl(alpha_bar[T] ** 0.5 * x_0, 1 - alpha_bar[T], 0.0, 1.0)
    for t in range(1, T + 1 - last):
        s = t - 1
        alpha = alpha_bar[t] / alpha_bar[s]
        beta = 1 - alpha
        noise = eps[(t - 1 + shift) % T]
        x_t = alpha_bar[t] ** 0.5 * x_0 + (1 - alpha_bar[t]) ** 0.5 * noise
        on_image = alpha_bar[s] ** 0.5 * beta / (1 - alpha_bar[t])
        on_x_t = alpha**0.5 * (1 - alpha_bar[s]) / (1 - alpha_bar[t])
        true_mean, mean = on_image * x_0 + on_x_t * x_t, on_image * predict(x_t, t) + on_x_t * x_t
        if t == 1:
            price = price + image * ((x_0 - mean) ** 2 / (2 * beta) + log * np.log(2 * np.pi * beta) / 2)
        else:
            variance = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * beta
            pair = (true_mean, variance), (mean, variance if narrow else beta)
            price = price + (kl(*pair[1], *pair[0]) if swap else kl(*pair[0], *pair[1]))
    return price


def _bent(x_t, t):
    """Stand in for a denoiser."""
    return 0.8 * np.tanh(x_t) + 0.1 * t


_SHORT, _LONG, _ONE = np.array([1, 0.85, 0.35]), np.array([1, 0.96, 0.8, 0.55, 0.2]), np.array([1, 0.4])

PRICE = Exercise(
    grade="debug",
    reference=lambda predict, alpha_bar, x_0, eps: _price(predict, alpha_bar, x_0, eps),
    cases=[
        (_bent, _LONG, _RNG.standard_normal(5), _RNG.standard_normal((4, 5))),
        (_bent, _SHORT, _RNG.standard_normal(3), _RNG.standard_normal((2, 3))),
        (_bent, _ONE, _RNG.standard_normal(4), _RNG.standard_normal((1, 4))),
    ],
    returns=["price"],
    mistakes={
        PLANTED: partial(_price, image=-1.0),
        "the price of the image is gone altogether; it should be there, with the right sign.": partial(
            _price, image=0.0
        ),
        "the price of the start is gone; it was right.": partial(_price, first=0.0),
        "the last step, t = T, is not paid for: range(1, T + 1) ends with T.": partial(_price, last=1),
        "the two densities of a step are swapped: the mean is taken under the forward chain's posterior.": (
            partial(_price, swap=True)
        ),
        "the model's step was given the posterior's variance; the text says that it has the variance beta.": (
            partial(_price, narrow=True)
        ),
        "only half of the image's price has the right sign: the square and the logarithm are both paid.": (
            partial(_price, log=-1.0)
        ),
    },
    hints=[
        "Eq. DDPM-5 has three parts, and each line with `price` is one of them. Which part has a wrong sign?",
        "Far numbers should cost more. Write out log p(x_0 | x_1), a normal density with the variance beta, and then "
        "its negative.",
        "The price of the image is `+ (x_0 - mean) ** 2 / (2 * beta) + np.log(2 * np.pi * beta) / 2`.",
    ],
    praise="A surprise is minus a log density: a square and half a logarithm, both with plus signs.",
)


def _weight(alpha_bar_s, alpha_bar_t):
    return alpha_bar_s * (1 - alpha_bar_t / alpha_bar_s) / (2 * (1 - alpha_bar_t) ** 2)


_S, _T = np.array([0.9, 0.7, 0.41, 0.08]), np.array([0.83, 0.22, 0.4, 0.013])

WEIGHT = Exercise(
    grade="derive",
    reference=_weight,
    cases=[(0.8, 0.3), (_S, _T), (0.97, np.array([0.96, 0.6, 0.1]))],
    returns=["weight"],
    mistakes={
        "the 1/2 of KL-1 is missing.": lambda s, t: 2 * _weight(s, t),
        "that is the weight of the noise's error, DDPM-12; here the error is that of the image.": (
            lambda s, t: (1 - t / s) / (2 * t / s * (1 - t))
        ),
        "the factor of x_0 in the mean must be squared, for the difference of the means is squared.": (
            lambda s, t: s**0.5 / (2 * (1 - t))
        ),
        "the root of alpha_bar_s is squared with the rest, so it becomes alpha_bar_s.": (
            lambda s, t: _weight(s, t) / s**0.5
        ),
        "the square is not divided by the variance: KL-1 divides by 2 beta.": lambda s, t: _weight(s, t) * (1 - t / s),
        "you divide by the posterior's variance; the model's step has the variance beta, and KL-1 divides by the "
        "second one.": lambda s, t: _weight(s, t) * (1 - t) / (1 - s),
        "`1 - alpha_bar_t` is not squared, but it stands in the factor of x_0, which is.": (
            lambda s, t: _weight(s, t) * (1 - t)
        ),
        "beta is 1 - alpha_bar_t / alpha_bar_s, and not the difference of the two alpha_bar.": (
            lambda s, t: s * _weight(s, t)
        ),
        "the factor of x_t was taken; x_t is the same in both means, and goes out.": (
            lambda s, t: t / s * (1 - s) ** 2 / (1 - t) ** 2 / (2 * (1 - t / s))
        ),
    },
    hints=[
        "Both means are DDPM-7, with x_0 in one and the guess in the other. What is left of their difference?",
        "It is the factor of x_0 times the error of the image. Square it, and divide by 2 beta.",
        "With `beta = 1 - alpha_bar_t / alpha_bar_s` the factor is `alpha_bar_s ** 0.5 * beta / (1 - alpha_bar_t)`; "
        "one beta cancels.",
    ],
    praise="One price, and two ways to say it: with the error of the noise, or with that of the image.",
)


def _toy_network(x_t, t):
    """Stand in for a network: some function of x_t and of each sample's t."""
    return np.tanh(x_t) * (1 + np.asarray(t).reshape(-1, *[1] * (x_t.ndim - 1)) / 10)


_ALPHA_BAR = np.array([1.0, 0.83, 0.52, 0.1])
_X_0, _EPS = _RNG.standard_normal((3, 4, 2)), _RNG.standard_normal((3, 4, 2))
_ROWS, _EPS_ROWS = _RNG.standard_normal((2, 5)), _RNG.standard_normal((2, 5))


def _error(network, alpha_bar, x_0, t, eps, roots=True, noised=True, image=False, swap=False, reduce=np.mean):
    a = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))
    a = 1 - a if swap else a
    x_t = a**0.5 * x_0 + (1 - a) ** 0.5 * eps if roots else a * x_0 + (1 - a) * eps
    return reduce((network(x_t if noised else x_0, t) - (x_0 if image else eps)) ** 2)


LOSS = Exercise(
    grade="transcribe",
    reference=lambda network, alpha_bar, x_0, t, eps: _error(network, alpha_bar, x_0, t, eps),
    cases=[
        (_toy_network, _ALPHA_BAR, _X_0, np.array([2, 3, 1]), _EPS),
        (_toy_network, _ALPHA_BAR, _EPS[:, None], np.array([3, 1, 1]), _X_0[:, None]),
        (_toy_network, _ALPHA_BAR, _ROWS, np.array([1, 2]), _EPS_ROWS),
    ],
    returns=["loss"],
    mistakes={
        "the network must see the noisy image x_t, not the clean one.": partial(_error, noised=False),
        "the weights in x_t are square roots, of alpha_bar[t] and of 1 - alpha_bar[t].": partial(_error, roots=False),
        "the weights in x_t are swapped: at small t nearly all is image.": partial(_error, swap=True),
        "the output is compared with the image; this network predicts the noise.": partial(_error, image=True),
        "alpha_bar is read one step too early: its index is the time itself, as alpha_bar[0] is 1.": (
            lambda network, alpha_bar, x_0, t, eps: _error(network, np.roll(alpha_bar, 1), x_0, t, eps)
        ),
        "all samples have the t of the first; each has its own, so alpha_bar[t] needs a shape like (N, 1, 1).": (
            lambda network, alpha_bar, x_0, t, eps: np.mean(
                (network(alpha_bar[t[0]] ** 0.5 * x_0 + (1 - alpha_bar[t[0]]) ** 0.5 * eps, 0 * t + t[0]) - eps) ** 2
            )
        ),
        "that is the sum; the mean over pixels and samples does not depend on how many there are.": (
            partial(_error, reduce=np.sum)
        ),
        "the pixels are summed, and only the samples averaged; take the mean over both.": (
            partial(_error, reduce=lambda squares: squares.sum() / len(squares))
        ),
        "that is the root of the mean square; L_simple is the mean square itself, with no root.": (
            partial(_error, reduce=lambda squares: squares.mean() ** 0.5)
        ),
        "the 1/2 belongs to the weight, and L_simple has no weight: drop it.": (
            partial(_error, reduce=lambda squares: squares.mean() / 2)
        ),
    },
    hints=[
        "First x_t, by Eq. DDPM-4, with another alpha_bar for each sample; then compare the network's output with eps.",
        "`alpha_bar[t]` has the shape (N,). To multiply images it needs a 1 for each further axis of x_0.",
        "`a = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))`; then x_t, and `((network(x_t, t) - eps) ** 2).mean()`.",
    ],
    praise="Four lines of mathematics have become three lines of code.",
)
