"""Exercises of notebook 20: noise that is pushed towards a class, and where the logits of a label pull."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion, classifier_guidance
from tinydiff.functional import softmax

_EPS_HAT, _GRADIENT = np.array([0.4, -1.2, 0.3]), np.array([2.0, 0.5, -0.7])


def _guided(eps_hat, gradient, alpha_bar, scale):
    diffusion, x_t = GaussianDiffusion(np.array([1.0, *np.ravel(alpha_bar)])), np.zeros_like(eps_hat)
    t = 1 + np.arange(np.size(alpha_bar)) if np.ndim(alpha_bar) else 1
    predict = classifier_guidance(lambda *_: (None, eps_hat), diffusion, lambda *_: gradient, scale)
    return predict(x_t, t)[1]


def _pushed(eps_hat, gradient, alpha_bar, scale, sign=-1.0, power=0.5, signal=False, more=0.0, both=False):
    b = (alpha_bar if signal else 1 - alpha_bar) ** power
    push = sign * (scale + more) * b * gradient
    return (scale * eps_hat + push / max(scale, 1e-9)) if both else eps_hat + push


GUIDED = Exercise(
    grade="transcribe",
    reference=_guided,
    cases=[(_EPS_HAT, _GRADIENT, 0.36, 1.0), (_EPS_HAT, _GRADIENT, 0.9, 3.0), (_EPS_HAT, _GRADIENT, 0.5, 0.0)],
    returns=["eps_hat"],
    mistakes={
        "the gradient is added; the noise points downhill, so going uphill means to subtract.": (
            partial(_pushed, sign=1.0)
        ),
        "the gradient is not multiplied by the root of 1 - alpha_bar, by which score and noise differ.": (
            partial(_pushed, power=0.0)
        ),
        "the factor is a variance, 1 - alpha_bar; score and noise differ by its square root.": partial(
            _pushed, power=1.0
        ),
        "score and noise differ by the root of 1 - alpha_bar, the size of the noise, and not of alpha_bar.": (
            partial(_pushed, signal=True)
        ),
        "the score is divided by the root of 1 - alpha_bar; noise is minus the score times that root.": (
            partial(_pushed, power=-0.5)
        ),
        "the scale counts from 0: with s = 0 there is no push at all.": partial(_pushed, more=1.0),
        "the scale multiplies the prediction; it is the push that it multiplies.": partial(_pushed, both=True),
    },
    hints=[],
    praise="The predicted noise, minus a step uphill.",
)

_LOGITS, _LABELS = np.array([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0]]), np.array([0, 2])


def _logit_gradient(logits, labels):
    probabilities, _ = softmax(logits)
    return np.eye(logits.shape[1])[labels] - probabilities


def _by_hand(logits, labels, sign=1.0, mean=False, softened=True, sigmoid=False, only_label=False):
    e = np.exp(logits)
    p = e / e.sum(axis=1, keepdims=True)
    p = e / (1 + e) if sigmoid else p
    is_label = np.eye(logits.shape[1])[labels]
    d = is_label - (p if softened else logits)
    d = d * is_label if only_label else d
    return sign * d / (len(logits) if mean else 1)


LOGITS = Exercise(
    grade="transcribe",
    reference=_logit_gradient,
    cases=[(_LOGITS, _LABELS), (_LOGITS[:, ::-1] - 1.0, _LABELS[::-1])],
    returns=["d_logits"],
    mistakes={
        "the sign is that of the loss, which training lowers; here the log-probability itself should rise.": (
            partial(_by_hand, sign=-1.0)
        ),
        "it is divided by the number of pictures; each has its own log-probability, and no mean is taken.": (
            partial(_by_hand, mean=True)
        ),
        "the logits themselves are subtracted; it is their softmax.": partial(_by_hand, softened=False),
        "each logit has its own sigmoid; log sum exp has the softmax for a gradient.": partial(_by_hand, sigmoid=True),
        "only the label's logit gets a gradient; the others stand in log sum exp, and are pushed down.": (
            partial(_by_hand, only_label=True)
        ),
        "nothing is subtracted: log sum exp depends on the logits, too.": (
            lambda logits, labels: np.eye(logits.shape[1])[labels]
        ),
    },
    hints=[],
    praise="One for the label, minus the probabilities.",
)
