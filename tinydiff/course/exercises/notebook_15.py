"""Exercises of notebook 15: the order of a sampler, steps in lambda, their weights, a missing bend, and noise."""

import math
from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(15)


def _scales(lam):
    """Return a and b where log(a / b) is lam."""
    return 1 / math.sqrt(1 + math.exp(-2 * lam)), 1 / math.sqrt(1 + math.exp(2 * lam))


def _order(calls, errors, first=-2, last=-1, sign=1, divided=True, halvings=False):
    of_errors = math.log(errors[first] / errors[last])
    of_calls = math.log(2) if halvings else math.log(calls[last] / calls[first])
    return sign * of_errors / (of_calls if divided else 1)


ORDER = Exercise(
    grade="transcribe",
    reference=_order,
    cases=[
        ([10, 20, 40, 120], [3e-2, 8e-3, 1.9e-3, 2.2e-4]),
        ([12, 18, 27], [0.5, 0.31, 0.22]),
        ([8, 16, 80], [1e-3, 1.4e-4, 1.1e-6]),
    ],
    returns=["order"],
    mistakes={
        "its sign is wrong: the error falls as calls to the power of minus the order.": partial(_order, sign=-1),
        "it is taken between the first two; the last two have the smallest steps.": partial(_order, first=0, last=1),
        "it is taken between the first and the last; take the last two.": partial(_order, first=0, last=-1),
        "the calls are left out: divide by the logarithm of how many times more they are.": (
            partial(_order, divided=False)
        ),
        "the calls are not always doubled: divide by the logarithm of their own ratio.": partial(_order, halvings=True),
    },
    hints=[
        "On logarithmic axes, error = c calls^-p is a straight line. What is its slope?",
        "The logarithm of how many times smaller the error is, over that of how many times more calls there are.",
        "`math.log(errors[-2] / errors[-1]) / math.log(calls[-1] / calls[-2])`",
    ],
    praise="So an order can be read off any two errors, if what is exact is known.",
)


def _midpoint(
    predict_eps, x, lam_t, lam_s, asked=0.5, half=True, grow=np.expm1, sign=-1, kept=True, last="middle", of="lambda"
):
    h = lam_s - lam_t
    lam_m = lam_t + asked * h
    (a_t, _), (a_m, b_m), (a_s, b_s) = _scales(lam_t), _scales(lam_m), _scales(lam_s)
    start = predict_eps(x, lam_t)
    x_m = a_m / a_t * x - b_m * np.expm1(asked * h) * start
    middle = predict_eps(x_m if half else x, lam_m if of == "lambda" else lam_t)
    eps_hat = {"middle": middle, "start": start, "mean": (start + middle) / 2}[last]
    return (a_s / a_t if kept else 1.0) * x + sign * b_s * grow(h) * eps_hat


def _wavy(x, lam):
    """Stand in for a network: a noise that depends on x and on lambda."""
    return np.sin(2 * x) + 0.3 * lam * x


def _shrinking(x, lam):
    """Stand in for another network."""
    return x / (1 + np.exp(lam))


MIDPOINT = Exercise(
    grade="transcribe",
    reference=_midpoint,
    cases=[
        (_wavy, _RNG.standard_normal((3, 2)), -0.7, 0.4),
        (_shrinking, _RNG.standard_normal(4), -1.5, -0.2),
        (_wavy, _RNG.standard_normal((2, 3)), 0.3, 1.1),
    ],
    returns=["x_s"],
    mistakes={
        "it follows the prediction of the start: follow the one in the middle.": partial(_midpoint, last="start"),
        "it follows the mean of two predictions, which is Heun's rule; follow the one in the middle.": (
            partial(_midpoint, last="mean")
        ),
        "the network is asked at x instead of at x_m.": partial(_midpoint, half=False),
        "the network is asked in the middle, but told lambda of the start.": partial(_midpoint, of="start"),
        "e^h should be e^h - 1: what the integral of e^-lambda gives.": partial(_midpoint, grow=np.exp),
        "the step is h, without the exponential: that is the integral of 1.": partial(_midpoint, grow=lambda h: h),
        "a sign is wrong: noise is taken away, not added.": partial(_midpoint, sign=1),
        "x is not scaled by a_s / a_t.": partial(_midpoint, kept=False),
        "the network is asked at the end of the step; ask in the middle of lambda.": partial(_midpoint, asked=1.0),
    },
    hints=[
        "Two steps: one to the middle, by eps_hat at the start, and one over the whole way, by eps_hat in the middle.",
        "With h = lam_s - lam_t, go to lam_t + h / 2 with b_m (e^(h/2) - 1), ask there, and go on from x, not x_m.",
        "`x_m = a_m / a_t * x - b_m * np.expm1(h / 2) * predict_eps(x, lam_t)`, then "
        "`a_s / a_t * x - b_s * np.expm1(h) * predict_eps(x_m, lam_m)`.",
    ],
    praise="Two predictions a step, and order 2.",
)


def _weights(lam_0, lam_1, lam_s, form="right"):
    h, fall = lam_s - lam_0, -math.expm1(lam_0 - lam_s)
    second = (h - fall) / (lam_1 - lam_0)
    if form == "exchanged":
        return second, fall - second
    if form == "unipc":
        second = fall * h / 2 / (lam_1 - lam_0)
    elif form == "sign":
        second = -second
    elif form == "adams":
        return 1.5 * fall, -0.5 * fall
    elif form == "plain":
        second = h**2 / 2 / (lam_1 - lam_0)
        return h - second, second
    elif form == "growing":
        grow = math.expm1(h)
        second = (grow - h) / (lam_1 - lam_0)
        return grow - second, second
    elif form == "apart":
        return fall, second
    return fall - second, second


WEIGHTS = Exercise(
    grade="derive",
    reference=_weights,
    cases=[(0.3, -0.1, 0.9), (-0.8, -1.9, -0.2), (1.0, 0.75, 1.3), (-0.5, -0.9, 1.4)],
    returns=["w_0", "w_1"],
    mistakes={
        "the two weights are exchanged: w_0 is that of the later prediction, at lam_0.": (
            partial(_weights, form="exchanged")
        ),
        "these are Adams and Bashforth's 3/2 and -1/2, which know nothing of the steps' lengths.": (
            partial(_weights, form="adams")
        ),
        "w_1 has the sign of an interpolation; the line goes on beyond lam_0, away from lam_1.": (
            partial(_weights, form="sign")
        ),
        "that is the integral of the line alone; in it stands e^(lambda - lam_s) too.": partial(_weights, form="plain"),
        "the exponential grows the other way: e^(lambda - lam_s) is 1 at the end of the step.": (
            partial(_weights, form="growing")
        ),
        "together they should be 1 - e^-h: what w_1 gives, w_0 takes.": partial(_weights, form="apart"),
        "w_1 takes half of the step for its mean: near, but the integral is known exactly.": (
            partial(_weights, form="unipc")
        ),
    },
    hints=[
        "L_1 is the line that is 1 at lam_1 and 0 at lam_0; w_1 is the integral of e^(lambda - lam_s) L_1.",
        "With u = lambda - lam_0, w_1 is the integral of e^(u - h) u from 0 to h, over lam_1 - lam_0: by parts.",
        "`w_1 = (h - 1 + math.exp(-h)) / (lam_1 - lam_0)`, `w_0 = 1 - math.exp(-h) - w_1`.",
    ],
    praise="Whatever the lengths of the steps: a prediction that is a line in lambda is followed exactly.",
)


def _third_step(x, m, lams, lam_s, bend=2.0, slope=True, last=True):
    (a_s, b_s), (_, b_t) = _scales(lam_s), _scales(lams[0])
    h, h_0, h_1 = lam_s - lams[0], lams[0] - lams[1], lams[1] - lams[2]
    first, before = (m[0] - m[1]) / h_0, (m[1] - m[2]) / h_1
    change = (first - before) / (h_0 + h_1)
    d_1 = first + (h_0 * change if slope else 0.0)
    d_2 = bend * change
    fall = -math.expm1(-h)
    moved = fall * m[0] + (h - fall) * d_1 + (h**2 / 2 - h + fall) * (d_2 if last else 0.0)
    return b_s / b_t * x + a_s * moved


THIRD_STEP = Exercise(
    grade="debug",
    reference=_third_step,
    cases=[
        (_RNG.standard_normal((3, 2)), list(_RNG.standard_normal((3, 3, 2))), [0.4, -0.1, -0.9], 1.1),
        (_RNG.standard_normal(4), list(_RNG.standard_normal((3, 4))), [-0.6, -1.0, -1.3], 0.3),
        (_RNG.standard_normal((2, 2)), list(_RNG.standard_normal((3, 2, 2))), [0.9, 0.5, 0.1], 2.0),
    ],
    returns=["x_s"],
    mistakes={
        PLANTED: partial(_third_step, bend=1.0),
        "the slope is that between the last two; at the last one the parabola is steeper or less steep.": (
            partial(_third_step, slope=False)
        ),
        "slope and bend are both too small.": partial(_third_step, bend=1.0, slope=False),
        "the bend is left out: that is the line of two predictions.": partial(_third_step, last=False),
        "the bend has the wrong sign.": partial(_third_step, bend=-2.0),
        "the bend is twice what it should be.": partial(_third_step, bend=4.0),
    },
    hints=[
        "Feed it a prediction that you know, such as lambda^2. Which of its value, slope and bend is not right?",
        "The second derivative of lambda^2 is 2. What is the difference of two slopes, over the distance between the "
        "middles of their steps? And which distance is in the formula?",
        "`d_2 = 2 * change`: the middles of two neighbouring steps are only (h_0 + h_1) / 2 apart.",
    ],
    praise="And with the factor of 2 the order is 3. In public code it is missing.",
)


def _variance(c, lams, eta, noise="step", squared=True, start=True, drift=1.0):
    a, b = _scales(lams[0])
    variance = a * a * c + b * b if start else 1.0
    for t, s in pairwise(lams):
        (a_t, b_t), (a_s, b_s), h = _scales(t), _scales(s), s - t
        guess = a_t * c / (a_t * a_t * c + b_t * b_t)
        factor = b_s / b_t * math.exp(-eta * h) - a_s * math.expm1(-(1 + drift * eta) * h) * guess
        fresh = {
            "step": -(b_s**2) * math.expm1(-2 * eta * h),
            "half": -(b_s**2) * math.expm1(-eta * h),
            "none": 0.0,
            "root": b_s * math.sqrt(-math.expm1(-2 * eta * h)),
            "all": b_s**2 if eta else 0.0,
        }[noise]
        variance = (factor**2 if squared else factor) * variance + fresh
    return variance


VARIANCE = Exercise(
    grade="explore",
    reference=_variance,
    cases=[
        (0.3, [-1.0, -0.2, 0.5, 1.4], 1.0),
        (0.3, [-1.0, -0.2, 0.5, 1.4], 0.0),
        (1.7, [-1.5, -0.7, 0.2], 0.4),
        (0.05, [0.1, 0.8], 2.0),
    ],
    returns=["variance"],
    mistakes={
        "the fresh noise is that of half a step: its variance is b_s^2 (1 - e^(-2 eta h)).": (
            partial(_variance, noise="half")
        ),
        "the fresh noise is left out.": partial(_variance, noise="none"),
        "the fresh noise adds its standard deviation; variances add.": partial(_variance, noise="root"),
        "all noise at s is fresh: some of the old is still there.": partial(_variance, noise="all"),
        "a factor multiplies sizes; variances are multiplied by its square.": partial(_variance, squared=False),
        "the chain starts with the variance a^2 c + b^2 of the noisy data, not with 1.": partial(
            _variance, start=False
        ),
        "with noise, the drift is stronger too: (1 + eta) h in the exponent.": partial(_variance, drift=0.0),
    },
    hints=[
        "x_0_hat is a multiple of x_t, so x_s is a factor times x_t, and fresh noise.",
        "The factor is b_s / b_t e^(-eta h) + a_s (1 - e^(-(1 + eta) h)) a_t c / (a_t^2 c + b_t^2).",
        "`variance = factor**2 * variance + b_s**2 * (1 - math.exp(-2 * eta * h))`",
    ],
    praise="Exact for every number of steps, without one random number.",
)
