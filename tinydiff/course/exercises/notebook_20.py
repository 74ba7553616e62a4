"""Exercises of notebook 20: a pushed prediction, a perfect classifier, a step with a fault, and where logits pull."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import per_sample
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(20)


def _guided(
    x_t, eps_hat, gradient, alpha_bar, scale, sign=-1.0, factor=lambda a: (1 - a) ** 0.5, more=0.0, stale=False
):
    a = per_sample(alpha_bar, x_t)
    eps = eps_hat + sign * (scale + more) * factor(a) * gradient
    return (x_t - (1 - a) ** 0.5 * (eps_hat if stale else eps)) / a**0.5, eps


def _guess_pushed_once_more(x_t, eps_hat, gradient, alpha_bar, scale):
    x_0, eps = _guided(x_t, eps_hat, gradient, alpha_bar, scale)
    return x_0 + scale * gradient, eps


GUIDED = Exercise(
    grade="derive",
    reference=_guided,
    cases=[
        (*_RNG.standard_normal((3, 3, 2, 5)), np.array([0.36, 0.9, 0.07]), 1.7),
        (*_RNG.standard_normal((3, 2, 4)), np.array([0.62, 0.18]), 0.6),
        (*_RNG.standard_normal((3, 4, 2, 3, 1)), np.array([0.97, 0.4, 0.75, 0.22]), 4.0),
    ],
    returns=["x_0_hat", "eps_hat"],
    mistakes={
        "the gradient is added; the noise points downhill, so going uphill means to subtract.": (
            partial(_guided, sign=1.0)
        ),
        "the gradient is not multiplied by the root of 1 - alpha_bar, by which score and noise differ.": (
            partial(_guided, factor=lambda a: 1.0)
        ),
        "the factor is a variance, 1 - alpha_bar; score and noise differ by its square root.": (
            partial(_guided, factor=lambda a: 1 - a)
        ),
        "score and noise differ by the root of 1 - alpha_bar, the size of the noise, and not of alpha_bar.": (
            partial(_guided, factor=lambda a: a**0.5)
        ),
        "the score is divided by the root of 1 - alpha_bar; noise is minus the score times that root.": (
            partial(_guided, factor=lambda a: (1 - a) ** -0.5)
        ),
        "the scale counts from 0: with s = 0 there is no push at all.": partial(_guided, more=1.0),
        "the noise is pushed, but the guess of x_0 is still that of the old noise; a sampler reads both.": (
            partial(_guided, stale=True)
        ),
        "the guess of x_0 is pushed twice: the new noise already moves it.": _guess_pushed_once_more,
        "the scale multiplies the prediction; it is only the push that it multiplies.": (
            lambda x_t, eps_hat, gradient, alpha_bar, scale: _guided(x_t, scale * eps_hat, gradient, alpha_bar, scale)
        ),
    },
    hints=[
        "Write the sum of the two scores, the second times s. What is noise, in terms of a score?",
        "Multiply the sum by minus the root of 1 - alpha_bar; then solve DDPM-4 for x_0, with the new noise.",
        "With `b = (1 - alpha_bar) ** 0.5`, one number for each sample, eps is `eps_hat - scale * b * gradient`.",
    ],
    praise="The predicted noise, minus a step uphill, and the guess that belongs to it.",
)


def _classes(x, weights, means, variances, alpha_bar, prior=True, noised=True, half=True, volume=True, shrunk=True):
    """Return log p(k | x), shape (N, K)."""
    spread = alpha_bar * variances + 1 - alpha_bar if noised else variances
    centres = alpha_bar**0.5 * means if shrunk else means
    squares = ((x[:, None] - centres) ** 2).sum(axis=-1)
    log_joint = -squares / (2 * spread if half else spread)
    log_joint = log_joint - (x.shape[1] / 2 * np.log(spread) if volume else 0.0)
    log_joint = log_joint + (np.log(weights) if prior else 0.0)
    largest = log_joint.max(axis=1, keepdims=True)
    return log_joint - largest - np.log(np.exp(log_joint - largest).sum(axis=1, keepdims=True))


def _over_points(*args):
    log_p = _classes(*args)
    return log_p - np.logaddexp.reduce(log_p, axis=0)


def _joint(x, weights, means, variances, alpha_bar):
    spread = alpha_bar * variances + 1 - alpha_bar
    squares = ((x[:, None] - alpha_bar**0.5 * means) ** 2).sum(axis=-1)
    return np.log(weights) - x.shape[1] / 2 * np.log(2 * np.pi * spread) - squares / (2 * spread)


_WEIGHTS, _VARIANCES = np.array([0.5, 0.15, 0.35]), np.array([0.3, 0.05, 0.8])
_MEANS = np.array([[-1.0, -0.6], [1.1, -0.4], [0.3, 1.2]])

CLASSES = Exercise(
    grade="transcribe",
    reference=_classes,
    cases=[
        (_RNG.standard_normal((4, 2)), _WEIGHTS, _MEANS, _VARIANCES, 0.6),
        (_RNG.standard_normal((5, 3)), _WEIGHTS[1:] / 0.5, _RNG.standard_normal((2, 3)), _VARIANCES[:2], 0.95),
        (60 * _RNG.standard_normal((2, 2)), _WEIGHTS, _MEANS, _VARIANCES, 0.8),
    ],
    returns=["log_p"],
    mistakes={
        "the weights are missing: a class that is rare is less likely before anything is seen.": (
            partial(_classes, prior=False)
        ),
        "the classes keep the variances of clean data; noise makes them alpha_bar v + 1 - alpha_bar.": (
            partial(_classes, noised=False)
        ),
        "the middles stay where they are in clean data; with noise, they shrink by the root of alpha_bar.": (
            partial(_classes, shrunk=False)
        ),
        "the square is divided by the variance; a normal density has twice the variance there.": (
            partial(_classes, half=False)
        ),
        "wide and narrow bells are equally high; each is lower by D / 2 log of its variance.": (
            partial(_classes, volume=False)
        ),
        "the sum runs over the points; for each point, it is over the classes.": _over_points,
        "that is log w_k + log q_k(x), a joint density; log q(x) must be subtracted, so that the probabilities of each "
        "point sum to 1.": _joint,
        "those are the probabilities; their logarithms are asked for.": lambda *args: np.exp(_classes(*args)),
    },
    hints=[
        "Begin with the logarithm of w_k q_k(x), for each point and each class: an array (N, K).",
        "Its three parts are log w_k, -D/2 log of the variance with noise, and -|x - a m_k|^2 over twice the latter.",
        "Then subtract log sum exp over the last axis, its largest entry taken out first: `largest + np.log(np.exp("
        "log_joint - largest).sum(axis=1, keepdims=True))`.",
    ],
    praise="A perfect classifier, and no network in it.",
)


def _step(x_t, eps_hat, gradient, alpha_bar_t, alpha_bar_s, scale, of_guess=True, of_noise=True, late=False, more=0.0):
    b = (1 - alpha_bar_t) ** 0.5
    guided = eps_hat - (scale + more) * ((1 - alpha_bar_s) ** 0.5 if late else b) * gradient
    x_0 = (x_t - b * (guided if of_guess else eps_hat)) / alpha_bar_t**0.5
    return alpha_bar_s**0.5 * x_0 + (1 - alpha_bar_s) ** 0.5 * (guided if of_noise else eps_hat)


STEP = Exercise(
    grade="debug",
    reference=_step,
    cases=[
        (*_RNG.standard_normal((3, 3, 2)), 0.3, 0.45, 1.0),
        (*_RNG.standard_normal((3, 2, 4, 3)), 0.05, 0.8, 2.6),
        (*_RNG.standard_normal((3, 5)), 0.7, 1.0, 0.7),
    ],
    returns=["x_s"],
    mistakes={
        PLANTED: (partial(_step, of_guess=False)),
        "now the guess is guided, but the noise that is put back is not; both belong to one prediction.": (
            partial(_step, of_noise=False)
        ),
        "nothing is guided any more: both parts of the step use the old noise.": (
            partial(_step, of_guess=False, of_noise=False)
        ),
        "the gradient was taken at t, so its factor is the noise at t, and not at s.": partial(_step, late=True),
        "the scale is not where the fault lies: s = 1 must be enough for a perfect classifier.": (
            partial(_step, more=1.0)
        ),
    },
    hints=[
        "Which quantities does a DDIM step read from the prediction? Are all of them guided?",
        "The step makes x_0_hat and puts noise back; both have to come from the same noise.",
        "x_0_hat should be `(x_t - b * guided) / alpha_bar_t**0.5`.",
    ],
    praise="One prediction, in both of its forms.",
)


def _logits(logits, labels, sign=1.0, mean=False, softened=True, sigmoid=False, only_label=False, axis=1):
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    p = e / e.sum(axis=axis, keepdims=True)
    p = 1 / (1 + np.exp(-logits)) if sigmoid else p
    is_label = np.eye(logits.shape[1])[labels]
    d = is_label - (p if softened else logits)
    d = d * is_label if only_label else d
    return sign * d / (len(logits) if mean else 1)


_LOGITS = 1.5 * _RNG.standard_normal((4, 3))

LOGITS = Exercise(
    grade="derive",
    reference=_logits,
    cases=[
        (_LOGITS, np.array([0, 2, 2, 1])),
        (_LOGITS[:2, ::-1] - 1.0, np.array([1, 0])),
        (np.array([[900.0, 901.2, -700.0, 899.0, 3.0]]), np.array([3])),  # exp(900) is infinite
        (np.array([[400.3, 398.9, 400.8], [-403.0, -402.1, -404.0]]), np.array([2, 0])),  # each row has its own largest
    ],
    returns=["d_logits"],
    mistakes={
        "the sign is that of the loss, which training lowers; here the log-probability itself should rise.": (
            partial(_logits, sign=-1.0)
        ),
        "it is divided by the number of pictures; each has its own log-probability, and no mean is taken.": (
            partial(_logits, mean=True)
        ),
        "the logits themselves are subtracted; it is their softmax.": partial(_logits, softened=False),
        "each logit has its own sigmoid; log sum exp has the softmax for a gradient.": partial(_logits, sigmoid=True),
        "only the label's logit gets a gradient; the others stand in log sum exp, and are pushed down.": (
            partial(_logits, only_label=True)
        ),
        "that is the softmax alone; z_y itself has the derivative 1 in its own logit, and the softmax is subtracted.": (
            lambda logits, labels: -_logits(logits, labels) + np.eye(logits.shape[1])[labels]
        ),
        "nothing is subtracted: log sum exp depends on the logits, too.": (
            lambda logits, labels: np.eye(logits.shape[1])[labels]
        ),
        "the softmax is taken over the pictures; the probabilities of one picture's classes sum to 1.": (
            partial(_logits, axis=0)
        ),
    },
    hints=[
        "z_y has the derivative 1 in itself and 0 in all others. What is the derivative of log sum exp in z_k?",
        "It is e^(z_k) over the sum of all: a softmax. Subtract each row's largest logit before the exponential.",
        "The answer is `np.eye(K)[labels]` minus the softmax over axis 1, with K the number of classes.",
    ],
    praise="One for the label, minus the probabilities.",
    tolerance=1e-4,  # of numbers near 900, float32 keeps no more
)
