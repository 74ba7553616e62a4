"""Answers to the exercises of notebook 15."""

import math
from itertools import pairwise

import numpy as np
from scipy import integrate

from tinydiff.diffusion import GaussianDiffusion, dpm_solver, last, linear_schedule
from tinydiff.diffusion.samplers.exponential import exponential_weights
from tinydiff.evaluate.court.orders import slope_of

LINEAR = GaussianDiffusion(linear_schedule(1000))


def scales(lam):
    return math.sqrt(1 / (1 + math.exp(-2 * lam))), math.sqrt(1 / (1 + math.exp(2 * lam)))


def library_midpoint(predict_eps, x, lam_t, lam_s):
    def predict(x_t, t, context=None):
        a, b = (float(scale) for scale in LINEAR.scales(float(t[0])))
        eps_hat = predict_eps(x_t, math.log(a / b))
        return (x_t - b * eps_hat) / a, eps_hat

    t, s = LINEAR.time_at(lam_t), LINEAR.time_at(lam_s)
    return last(dpm_solver(predict, LINEAR, x, [t], order=2, end=s))


def in_sigma(predict_eps, x, lam_t, lam_s):
    """Return the midpoint rule of x / a in sigma, with the middle in log sigma."""
    (a_t, _), (a_s, _) = scales(lam_t), scales(lam_s)
    lam_m = (lam_t + lam_s) / 2
    y = x / a_t
    y_m = y + (math.exp(-lam_m) - math.exp(-lam_t)) * predict_eps(x, lam_t)
    return a_s * (y + (math.exp(-lam_s) - math.exp(-lam_t)) * predict_eps(scales(lam_m)[0] * y_m, lam_m))


def by_quadrature(lam_0, lam_1, lam_s):
    def of(j, lam):
        here, other = ((lam_0, lam_1), (lam_1, lam_0))[j]
        return math.exp(lam - lam_s) * (lam - other) / (here - other)

    return tuple(integrate.quad(lambda lam, j=j: of(j, lam), lam_0, lam_s)[0] for j in (0, 1))


def by_solving(lam_0, lam_1, lam_s):
    """Return the weights that are right for 1 and for lambda."""
    h = lam_s - lam_0
    of_one, of_line = 1 - math.exp(-h), h - 1 + math.exp(-h)
    return np.linalg.solve([[1, 1], [0, lam_1 - lam_0]], [of_one, of_line]).tolist()


def by_weights(x, m, lams, lam_s):
    """Return the step by the library's weights of three predictions."""
    (a_s, b_s), (_, b_t) = scales(lam_s), scales(lams[0])
    weights = exponential_weights(lams, lams[0], lam_s, 1)
    return b_s / b_t * x + a_s * sum(w * one for w, one in zip(weights, m, strict=True))


def by_fit(x, m, lams, lam_s):
    """Return the step with the coefficients of the parabola, by solving for them."""
    (a_s, b_s), (_, b_t) = scales(lam_s), scales(lams[0])
    u = np.array(lams) - lams[0]
    value, slope, half = np.linalg.solve(np.vander(u, 3, increasing=True), np.stack(m).reshape(3, -1))
    h, fall = lam_s - lams[0], 1 - math.exp(lams[0] - lam_s)
    moved = fall * value + (h - fall) * slope + (h**2 / 2 - h + fall) * 2 * half
    return b_s / b_t * x + a_s * moved.reshape(np.shape(x))


def by_impulses(c, lams, eta):
    """Follow the start and each fresh noise to the end; their squares sum."""
    a, b = scales(lams[0])
    parts = [math.sqrt(a**2 * c + b**2)]
    for t, s in pairwise(lams):
        (a_t, b_t), (a_s, b_s), h = scales(t), scales(s), s - t
        factor = b_s / b_t * math.exp(-eta * h)
        factor += a_s * (1 - math.exp(-(1 + eta) * h)) * a_t * c / (a_t**2 * c + b_t**2)
        parts = [factor * part for part in parts] + [b_s * math.sqrt(1 - math.exp(-2 * eta * h))]
    return sum(part**2 for part in parts)


def midpoint_in_alpha_bar(predict_eps, x, lam_t, lam_s):
    """Ask at the mean of the two signals, which is not the middle of lambda."""
    signal = (scales(lam_t)[0] + scales(lam_s)[0]) / 2
    lam_m = math.log(signal / math.sqrt(1 - signal**2))
    (a_t, _), (a_m, b_m), (a_s, b_s) = scales(lam_t), scales(lam_m), scales(lam_s)
    x_m = a_m / a_t * x - b_m * math.expm1(lam_m - lam_t) * predict_eps(x, lam_t)
    return a_s / a_t * x - b_s * math.expm1(lam_s - lam_t) * predict_eps(x_m, lam_m)


LIBRARY = {
    "ORDER": lambda calls, errors: slope_of(calls, errors, 0.0),
    "MIDPOINT": library_midpoint,
    "WEIGHTS": lambda lam_0, lam_1, lam_s: tuple(exponential_weights([lam_0, lam_1], lam_0, lam_s, 1)),
    "THIRD_STEP": by_weights,
    "VARIANCE": "the library follows impulses through a chain; it has no formula for the variance.",
}
RIGHT = {
    "ORDER": {
        "by polyfit": lambda calls, errors: -np.polyfit(np.log(calls[-2:]), np.log(errors[-2:]), 1)[0],
        "in log2": lambda calls, errors: (np.log2(errors[-2]) - np.log2(errors[-1])) / np.log2(calls[-1] / calls[-2]),
    },
    "MIDPOINT": {"in sigma": in_sigma, "as a list": lambda *given: np.float32(in_sigma(*given)).tolist()},
    "WEIGHTS": {"by quadrature": by_quadrature, "by solving": by_solving},
    "THIRD_STEP": {"by fit": by_fit, "by weights": by_weights},
    "VARIANCE": {"by impulses": by_impulses, "float32": lambda *given: np.float32(by_impulses(*given))},
}
WRONG = {
    "ORDER": {
        "of all points": lambda calls, errors: -np.polyfit(np.log(calls), np.log(errors), 1)[0],
        "upside down": lambda calls, errors: math.log(calls[-1] / calls[-2]) / math.log(errors[-2] / errors[-1]),
        "rounded": lambda calls, errors: round(math.log(errors[-2] / errors[-1]) / math.log(calls[-1] / calls[-2])),
        "without logarithms": lambda calls, errors: errors[-2] / errors[-1] / (calls[-1] / calls[-2]),
    },
    "MIDPOINT": {
        "middle of the signal": midpoint_in_alpha_bar,
        "one step": lambda predict, x, t, s: (
            scales(s)[0] / scales(t)[0] * x - scales(s)[1] * math.expm1(s - t) * predict(x, t)
        ),
        "from the middle on": lambda predict, x, t, s: in_sigma(
            predict, in_sigma(predict, x, t, (t + s) / 2), (t + s) / 2, s
        ),
        "a_t for a_s": lambda predict, x, t, s: in_sigma(predict, x, t, s) * scales(t)[0] / scales(s)[0],
    },
    "WEIGHTS": {
        "of the other side": lambda lam_0, lam_1, lam_s: by_quadrature(lam_1, lam_0, lam_s),
        "w_0 alone": lambda lam_0, lam_1, lam_s: (1 - math.exp(lam_0 - lam_s), 0.0),
        "rate 2": lambda lam_0, lam_1, lam_s: tuple(exponential_weights([lam_0, lam_1], lam_0, lam_s, 2)),
        "of eps": lambda lam_0, lam_1, lam_s: tuple(exponential_weights([lam_0, lam_1], lam_0, lam_s, -1)),
    },
    "THIRD_STEP": {
        "of eps": lambda x, m, lams, lam_s: -by_weights(x, m, lams, lam_s),
        "the oldest first": lambda x, m, lams, lam_s: by_weights(x, m[::-1], lams, lam_s),
        "x is not kept": lambda x, m, lams, lam_s: by_weights(0 * x, m, lams, lam_s),
        "two only": lambda x, m, lams, lam_s: by_weights(x, m[:2], lams[:2], lam_s),
    },
    "VARIANCE": {
        "standard deviation": lambda *given: math.sqrt(by_impulses(*given)),
        "of the data": lambda c, lams, eta: c,
        "of the noisy data": lambda c, lams, eta: scales(lams[-1])[0] ** 2 * c + scales(lams[-1])[1] ** 2,
        "one step less": lambda c, lams, eta: by_impulses(c, lams[:-1], eta),
        "eta squared": lambda c, lams, eta: by_impulses(c, lams, eta**2),
        "no noise": lambda c, lams, eta: by_impulses(c, lams, 0.0),
    },
}
