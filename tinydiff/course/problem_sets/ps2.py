"""Problem set 2, posterior and bound: witnesses, a step without an image, a fault, and the whole bound of a chain."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(22)
_BIT = np.log(2)  # in nats


def _witnesses(means, variances, plain=False, inverse=False, root=False, narrow=True, mean_of_all=False):
    means, variances = np.asarray(means, np.float64), np.asarray(variances, np.float64)
    weights = np.ones(variances.shape) if plain else variances if inverse else 1 / variances
    weights = weights**0.5 if root else weights
    mean = (means.T * weights).T.sum(axis=0) / weights.sum()
    precision = (1 / variances).sum() if narrow else (1 / variances).mean()
    return mean, (variances.mean() if mean_of_all else 1 / precision)


WITNESSES = Exercise(
    grade="transcribe",
    reference=lambda means, variances: _witnesses(means, variances),
    cases=[
        (_RNG.standard_normal((3, 4)), np.array([0.3, 1.7, 0.08])),
        (_RNG.standard_normal((2, 5)), np.array([2.2, 0.6])),
        (_RNG.standard_normal((4, 3, 2)), np.array([0.5, 0.9, 3.0, 0.2])),
        (_RNG.standard_normal((1, 2)), np.array([0.7])),
    ],
    returns=["mean", "variance"],
    mistakes={
        "the mean is plain; the surer witness, with the smaller variance, should count more.": (
            partial(_witnesses, plain=True)
        ),
        "the mean is weighted by the variances; the surer witness has the smaller variance: weigh by one over it.": (
            partial(_witnesses, inverse=True)
        ),
        "the weights are one over the deviations; they are one over the variances.": partial(_witnesses, root=True),
        "the mean is right, but the precisions are averaged; each witness adds to what is known: sum them.": (
            partial(_witnesses, narrow=False)
        ),
        "the mean is right, but the variance is the mean of the variances; several witnesses are surer than each.": (
            partial(_witnesses, mean_of_all=True)
        ),
        "the mean is right, but what comes second is the precision; the variance is one over it.": (
            lambda means, variances: (_witnesses(means, variances)[0], (1 / variances).sum())
        ),
        "the mean is right, but what comes second is a standard deviation.": (
            lambda means, variances: (_witnesses(means, variances)[0], _witnesses(means, variances)[1] ** 0.5)
        ),
        "the weighted sum is not divided by the sum of the weights.": (
            lambda means, variances: (
                _witnesses(means, variances)[0] * (1 / variances).sum(),
                _witnesses(means, variances)[1],
            )
        ),
    },
    hints=[
        "The exponent is a sum over the witnesses. What multiplies x^2 in it, and what multiplies -2 x?",
        "A is the sum of one over each variance, B the sum of each mean over its variance; the mean is B / A, the "
        "variance 1 / A. `means` may have further axes after the first.",
        "`A = (1 / variances).sum()` and `B = np.tensordot(1 / variances, means, axes=1)`; then `B / A` and `1 / A`.",
    ],
    praise="Precisions add: every witness makes the others surer.",
)


def _walk(x_T, alpha_bar, noises, points, last=0.0, wide=False, shift=0, first=False):
    x = x_T
    T = len(alpha_bar) - 1
    for t in range(T, 0, -1):
        a_s, a_t = alpha_bar[t - 1], alpha_bar[t]
        alpha = a_t / a_s
        beta = 1 - alpha
        logs = -((x[:, None] - a_t**0.5 * points) ** 2) / (2 * (1 - a_t))
        p = np.exp(logs - logs.max(axis=1, keepdims=True))
        x_0_hat = (p / p.sum(axis=1, keepdims=True)) @ points
        mean = (a_s**0.5 * beta * x_0_hat + alpha**0.5 * (1 - a_s) * x) / (1 - a_t)
        variance = beta if wide else (1 - a_s) / (1 - a_t) * beta
        scale = variance if first else variance**0.5
        x = mean + (scale if t > 1 else last * beta**0.5) * noises[(t - 1 + shift) % T]
    return x


_TABLE = np.array([1.0, 0.9, 0.65, 0.4, 0.15])

CHAIN = Exercise(
    grade="debug",
    reference=lambda x_T, alpha_bar, noises, points: _walk(x_T, alpha_bar, noises, points),
    cases=[
        (_RNG.standard_normal(5), _TABLE, _RNG.standard_normal((4, 5)), np.array([-1.0, 0.4, 1.3])),
        (_RNG.standard_normal(3), _TABLE[[0, 2, 4]], _RNG.standard_normal((2, 3)), np.array([-0.7, 0.9])),
        (_RNG.standard_normal(2), _TABLE[[0, 3]], _RNG.standard_normal((1, 2)), np.array([-0.2, 0.8, 1.0, 2.0])),
    ],
    returns=["x_0"],
    mistakes={
        PLANTED: (partial(_walk, first=True)),
        "the variance is now beta; the text asks for the posterior's, beta-tilde. Mend the noise's factor only.": (
            partial(_walk, wide=True)
        ),
        "noise is added in the last step, too, with the size of beta; beta-tilde is 0 there.": partial(_walk, last=1.0),
        "the noises are read one step off; the one of the step from t is noises[t - 1], and that was right.": (
            partial(_walk, shift=1)
        ),
        "there is no noise in any step now: that goes to the mean each time, and nowhere else.": (
            lambda x_T, alpha_bar, noises, points: _walk(x_T, alpha_bar, 0 * noises, points)
        ),
    },
    hints=[
        "The means are right. What else is in the line that makes the new x?",
        "A normal number with variance v is a standard one times the root of v (notebook 01).",
        "It should be `x = mean + variance**0.5 * noises[t - 1]`.",
    ],
    praise="Variances are not sizes: with too little noise the chain ran to the middle.",
)


def _weight(alpha_bar_s, alpha_bar_t, of="variance"):
    s, t = alpha_bar_s, alpha_bar_t
    if of == "noise":
        return (1 - t) / t * (s / (1 - s) - t / (1 - t)) / 2
    return {"variance": s / (1 - s) - t / (1 - t), "beta": s * (1 - t / s) / (1 - t) ** 2}[of] / 2


_S, _T = np.array([0.9, 0.7, 0.41, 0.08]), np.array([0.83, 0.22, 0.4, 0.013])

FALL = Exercise(
    grade="derive",
    reference=lambda alpha_bar_s, alpha_bar_t: _weight(alpha_bar_s, alpha_bar_t),
    cases=[(0.8, 0.3), (_S, _T), (0.97, np.array([0.96, 0.6, 0.1]))],
    returns=["weight"],
    mistakes={
        "that is the weight for a step with the variance beta, as in notebook 04; here it has the posterior's.": (
            partial(_weight, of="beta")
        ),
        "the 1/2 of KL-1 is missing.": lambda s, t: 2 * _weight(s, t),
        "that is the weight of the noise's error; here the error is that of the image.": partial(_weight, of="noise"),
        "the sign is turned: a price is positive, and there is more signal at s than at t.": lambda s, t: (
            -_weight(s, t)
        ),
        "the factor of x_0 in the mean must be squared.": (
            lambda s, t: s**0.5 * (1 - t / s) / (1 - t) / (2 * (1 - s) / (1 - t) * (1 - t / s))
        ),
        "the square is not divided by the variance: KL-1 divides by twice the variance of the model's step.": (
            lambda s, t: s * (1 - t / s) ** 2 / (1 - t) ** 2 / 2
        ),
        "that is the fall of alpha_bar, and not of alpha_bar / (1 - alpha_bar).": lambda s, t: (s - t) / 2,
        "that is half the ratio of the two signal-to-noise ratios; simplify once more, it is a difference.": (
            lambda s, t: s / (1 - s) / (t / (1 - t)) / 2
        ),
    },
    hints=[
        "With equal variances only the means are left in KL-1. Their difference is the factor of x_0 in DDPM-7, times "
        "the error of the image.",
        "Square the factor, divide by twice the posterior's variance: alpha_bar_s beta / (2 (1 - alpha_bar_t) "
        "(1 - alpha_bar_s)), and alpha_bar_s beta is alpha_bar_s - alpha_bar_t.",
        "It is `(alpha_bar_s / (1 - alpha_bar_s) - alpha_bar_t / (1 - alpha_bar_t)) / 2`.",
    ],
    praise="A step costs what the signal-to-noise ratio falls by: nothing else of the schedule counts.",
)


def _step(x_t, x_0_hat, x_0_variance, s, t):
    alpha = t / s
    c, d = s**0.5 * (1 - alpha) / (1 - t), alpha**0.5 * (1 - s) / (1 - t)
    return c * x_0_hat + d * x_t, (1 - s) / (1 - t) * (1 - alpha) + c**2 * x_0_variance


def _posterior(x_t, s, t, points, weights, uniform=False, variance=True, hard=False, clean=False):
    noise = 1 - t
    logs = -((x_t[:, None] - (points if clean else t**0.5 * points)) ** 2) / (2 * noise)
    logs = logs if uniform else logs + np.log(weights)
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    p = p == p.max(axis=1, keepdims=True) if hard else p
    p = p / p.sum(axis=1, keepdims=True)
    mean = p @ points
    return _step(x_t, mean, p @ points**2 - mean**2 if variance else 0 * mean, s, t)


_POINTS, _WEIGHTS = np.array([-1.2, 0.3, 1.1]), np.array([0.5, 0.15, 0.35])

BACK = Exercise(
    grade="derive",
    reference=lambda x_t, alpha_bar_s, alpha_bar_t, points, weights: _posterior(
        x_t, alpha_bar_s, alpha_bar_t, points, weights
    ),
    cases=[
        (np.array([-0.6, 0.1, 0.4, 1.3]), 0.6, 0.35, _POINTS, _WEIGHTS),
        (
            np.array([-2.0, 0.7]),
            0.9,
            0.2,
            np.array([-0.9, 0.8, 1.4, -0.1, 0.25]),
            np.array([0.1, 0.3, 0.2, 0.25, 0.15]),
        ),
        (np.array([0.2, -0.4, 0.9]), 0.3, 0.27, np.array([-1.0, 1.3]), np.array([0.7, 0.3])),
    ],
    returns=["mean", "variance"],
    mistakes={
        "the mean is right, but the variance is that of a known image; the image is not known, and its own variance "
        "comes on top (the law of total variance).": partial(_posterior, variance=False),
        "the mean is right, but the variance is that of the means alone; the posterior's, beta-tilde, comes on top.": (
            lambda x_t, s, t, points, weights: (
                _posterior(x_t, s, t, points, weights)[0],
                _posterior(x_t, s, t, points, weights)[1] - (1 - s) / (1 - t) * (1 - t / s),
            )
        ),
        "the weights of the points are ignored; rare points are less probable beforehand.": partial(
            _posterior, uniform=True
        ),
        "you go back to the most probable point; average over all points instead.": partial(_posterior, hard=True),
        "the points are compared with x_t as they are; at t a point has shrunk by the root of alpha_bar_t.": (
            partial(_posterior, clean=True)
        ),
        "the mean is right, but what comes second is a standard deviation.": (
            lambda x_t, s, t, points, weights: (
                _posterior(x_t, s, t, points, weights)[0],
                _posterior(x_t, s, t, points, weights)[1] ** 0.5,
            )
        ),
        "that is the mean and the variance of x_0 given x_t; one step goes to x_s only.": (
            lambda x_t, s, t, points, weights: _posterior(x_t, 1.0, t, points, weights)
        ),
        "the mean is right, but the image's variance is multiplied by the factor of x_0 itself; a factor enters a "
        "variance squared.": lambda x_t, s, t, points, weights: _factor_once(x_t, s, t, points, weights),
    },
    hints=[
        "Two stages: which points may have given x_t, and how probable is each? From each of them, the step is DDPM-7.",
        "p[n, k] is proportional to weights[k] times the normal density of x_t[n] about the root of alpha_bar_t times "
        "points[k], with the variance 1 - alpha_bar_t. The mean and variance of x_0 under p give those of the step.",
        "With c the factor of x_0 in DDPM-7: the mean is DDPM-7 at `p @ points`, and the variance is beta-tilde + "
        "`c**2 * (p @ points**2 - (p @ points) ** 2)`.",
    ],
    praise="Where the image is uncertain, the step back is wider than any one image says.",
)


def _factor_once(x_t, s, t, points, weights):
    mean, variance = _posterior(x_t, s, t, points, weights)
    tilde = (1 - s) / (1 - t) * (1 - t / s)
    return mean, tilde + (variance - tilde) / (s**0.5 * (1 - t / s) / (1 - t))


def _bits(alpha_bar, mean, variance, levels=None, log=_BIT, start=True, image=True, last=0, squares=True, tilde=False):
    """Return the bound for data N(mean, variance) with the exact denoiser, averaged over the data, in bits."""
    T, total = len(alpha_bar) - 1, 0.0
    a_T = alpha_bar[T]
    if start:
        second = mean**2 + variance if squares else mean**2
        total += (a_T * second + (1 - a_T) - 1 - np.log(1 - a_T)) / 2
    for t in range(1, T + 1 - last):
        a_s, a_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - a_t / a_s
        rest = variance * (1 - a_t) / (a_t * variance + 1 - a_t)  # Var[x_0 | x_t]
        if t > 1:
            ratio = (1 - a_s) / (1 - a_t)
            divide = ratio * beta if tilde else beta
            total += a_s * beta**2 / (1 - a_t) ** 2 * rest / (2 * divide)
            total += 0 if tilde else (ratio - 1 - np.log(ratio)) / 2
        elif image:
            total += rest / (2 * beta) + np.log(2 * np.pi * beta) / 2
    return total / log


_LINE = np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.05, 0.7, 6))])

BOUND = Exercise(
    grade="explore",
    reference=lambda alpha_bar, mean, variance: _bits(alpha_bar, mean, variance),
    cases=[
        (_LINE, 0.7, 0.3),
        (_TABLE, -1.4, 2.2),
        (np.array([1.0, 0.97, 0.9, 0.71, 0.44, 0.2, 0.06]), 0.2, 0.05),
        (np.array([1.0, 0.55]), 0.4, 1.3),
    ],
    returns=["bits"],
    mistakes={
        "that is in nats; a bit is log(2) nats, so divide by it.": partial(_bits, log=1.0),
        "the price of the start is missing.": partial(_bits, start=False),
        "the price of the image, the term of t = 1, is missing.": partial(_bits, image=False),
        "the last step, t = T, is not paid for: t runs from 1 to T, both included.": partial(_bits, last=1),
        "in the price of the start the mean of x_0^2 is needed: it is mean^2 + variance, and not mean^2.": (
            partial(_bits, squares=False)
        ),
        "the model's steps were given the posterior's variance; the text says that they have the variance beta.": (
            partial(_bits, tilde=True)
        ),
        "that is the bound on log p, with its sign; the price is asked for.": lambda *args: -_bits(*args),
        "bits are nats divided by log(2), and you multiply.": lambda *args: _bits(*args) * np.log(2) ** 2,
    },
    hints=[
        "Three parts, as in Eq. DDPM-5. In each only a mean of a square is unknown: of x_0 in the first, of the error "
        "x_0 - x_0_hat in the others.",
        "The mean of x_0^2 is mean^2 + variance; the mean of the squared error is Var[x_0 | x_t], given in the text. "
        "A step costs c^2 times it over 2 beta, with c from DDPM-7, and the constant of KL-1.",
        "At t > 1: `(c**2 * rest / beta + r - 1 - np.log(r)) / 2` with `r = (1 - alpha_bar_s) / (1 - alpha_bar_t)`; "
        "at t = 1: `rest / (2 * beta) + np.log(2 * np.pi * beta) / 2`. Sum, add the start, divide by `np.log(2)`.",
    ],
    praise="No random number was drawn, and the bound is exact.",
)
