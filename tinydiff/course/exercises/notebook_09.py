"""Exercises of notebook 09: an optimizer's step, clipping with a fault, an average, a floor, and a step of DDPM."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(9)


def _adamw(
    theta, g, m, v, k, lr, weight_decay, corrected=(0.9, 0.99), betas=(0.9, 0.99), inside=False, power=0.5, decay=""
):
    decayed = weight_decay * theta
    g = g + decayed if decay == "in the gradient" else g
    m_new, v_new = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g * g
    m_hat, v_hat = m_new / (1 - corrected[0] ** k), v_new / (1 - corrected[1] ** k)
    step = m_hat / ((v_hat + 1e-8) ** power if inside else v_hat**power + 1e-8)
    of_decay = {"": lr * decayed, "in the gradient": 0.0, "without lr": decayed, "grows": -lr * decayed}[decay]
    return theta - lr * step - of_decay, m_new, v_new


def _of_before(theta, g, m, v, k, lr, weight_decay):
    m_hat, v_hat = m / (1 - 0.9**k), v / (1 - 0.99**k)
    after = _adamw(theta, g, m, v, k, lr, weight_decay)
    return theta - lr * (m_hat / (v_hat**0.5 + 1e-8) + weight_decay * theta), *after[1:]


def _uphill(theta, g, m, v, k, lr, weight_decay):
    new, m, v = _adamw(theta, g, m, v, k, lr, weight_decay)
    return 2 * theta - new - 2 * lr * weight_decay * theta, m, v


def _state(*shape, size=1.0):
    """Return theta, a gradient, m and v."""
    theta, g, m = (_RNG.standard_normal(shape) for _ in range(3))
    return theta, size * g, m, _RNG.uniform(1, 5, shape)


_TINY = np.array([3e-8, -2e-8, 1e-7, -5e-8])

ADAMW = Exercise(
    grade="transcribe",
    reference=_adamw,
    cases=[
        (*_state(5, size=3), 3, 0.13, 0.3),
        (*_state(2, 3)[:2], np.zeros((2, 3)), np.zeros((2, 3)), 1, 0.2, 0.7),
        (_RNG.standard_normal(4), _TINY, 0.6 * _TINY[::-1], 0.8 * _TINY**2, 12, 0.4, 0.0),
        (*_state(3, size=40), 90, 0.3, 0.2),
    ],
    returns=["theta", "m", "v"],
    changes=("theta", "m", "v"),
    mistakes={
        "m and v start at 0 and are too small at first: divide by 1 - 0.9 ** k and by 1 - 0.99 ** k.": (
            partial(_adamw, corrected=(0.0, 0.0))
        ),
        "v is corrected with the beta of m; each average has a beta of its own.": (
            partial(_adamw, corrected=(0.9, 0.9))
        ),
        "the correction of v is missing: it starts at 0, too.": partial(_adamw, corrected=(0.9, 0.0)),
        "the two betas are exchanged: m forgets with 0.9, v with 0.99.": (
            partial(_adamw, betas=(0.99, 0.9), corrected=(0.99, 0.9))
        ),
        "v is the mean of squares; the step is measured in units of its square root.": partial(_adamw, power=1.0),
        "epsilon is added under the root; it stands outside, where it is in units of a gradient.": (
            partial(_adamw, inside=True)
        ),
        "the decay went into the gradient, so that it is divided by sqrt(v), too: AdamW keeps it apart.": (
            partial(_adamw, decay="in the gradient")
        ),
        "the decay must be multiplied by the learning rate, as the rest of the step is.": (
            partial(_adamw, decay="without lr")
        ),
        "the weights grow by the decay; they should shrink.": partial(_adamw, decay="grows"),
        "the step uses the averages from before this gradient: update m and v first.": _of_before,
        "that is uphill: the step goes against the gradient.": _uphill,
    },
    hints=[
        "Three lines: the two averages first, then their corrected values, then the step.",
        "m_hat is m / (1 - 0.9 ** k), with the new m; v_hat in the same way with 0.99. The bracket holds the quotient "
        "and weight_decay * theta, and all of it is multiplied by lr.",
        "`theta - lr * (m_hat / (v_hat**0.5 + 1e-8) + weight_decay * theta), m, v`.",
    ],
    praise="Average gradient over usual size; and the weights decay on their own.",
)


def _clip(gradients, largest, own=False, stretch=False, how="length"):
    if how == "entries":
        return [np.clip(g, -largest, largest) for g in gradients]
    clipped = []
    for g in gradients:
        some = np.ravel(g) if own else np.concatenate([np.ravel(one) for one in gradients])
        norm = {
            "length": np.sum(some**2) ** 0.5,
            "squared": np.sum(some**2),
            "rms": np.mean(some**2) ** 0.5,
            "sum": np.sum(np.abs(some)),
            "largest": np.max(np.abs(some)),
            "sum of norms": sum(np.sum(one**2) ** 0.5 for one in gradients),
        }[how]
        clipped.append(g * (largest / norm if stretch else min(1.0, largest / norm)))
    return clipped


def _three(scale):
    return [scale * s * _RNG.standard_normal(shape) for s, shape in ((1.0, (2, 3)), (0.2, (3,)), (2.5, (3, 4)))]


CLIP = Exercise(
    grade="debug",
    reference=_clip,
    cases=[(_three(1.3), 1.7), (_three(0.03), 0.9), (_three(0.4), 2.6), (_three(20.0), 30.0)],
    returns=["the first array", "the second array", "the third array"],
    changes=("gradients",),
    mistakes={
        PLANTED: (partial(_clip, own=True)),
        "each entry is clipped alone, so that the direction changes.": partial(_clip, how="entries"),
        "a short gradient is stretched to the largest length; it should stay as it is.": partial(_clip, stretch=True),
        "that compares with the sum of squares; a length is its root.": partial(_clip, how="squared"),
        "that compares with the root of the mean of squares; a length is the root of their sum.": (
            partial(_clip, how="rms")
        ),
        "lengths do not add up: the squares do. Sum them over all arrays, then take the root.": (
            partial(_clip, how="sum of norms")
        ),
        "that compares with the largest entry; the length counts all of them.": partial(_clip, how="largest"),
        "that compares with the sum of sizes; the length is the root of the sum of squares.": partial(_clip, how="sum"),
    },
    hints=[
        "The whole gradient is one long vector, cut into arrays. Which length does the loop compare?",
        "The square of the whole length is the sum of all arrays' sums of squares. It is the same for every array.",
        "`norm = sum((one**2).sum() for one in gradients) ** 0.5`.",
    ],
    praise="One length for all, so that the direction stays.",
)


def _young(k, decay):
    return min(decay, (1 + k) / (10 + k))


def _ema(ema, theta, k, decay, rule=_young, old=None, new=None):
    d = rule(k, decay)
    return (d if old is None else old(d)) * ema + (1 - d if new is None else new(d)) * theta


EMA = Exercise(
    grade="transcribe",
    reference=_ema,
    cases=[
        (_RNG.standard_normal(4), _RNG.standard_normal(4), 1, 0.999),
        (_RNG.standard_normal((2, 3)), _RNG.standard_normal((2, 3)), 40, 0.97),
        (_RNG.standard_normal(3), _RNG.standard_normal(3), 700, 0.9),
        (_RNG.standard_normal(5), _RNG.standard_normal(5), 3, 0.2),
    ],
    returns=["ema"],
    changes=("ema",),
    mistakes={
        "the shares are swapped: d is the share of the old average that stays.": (
            partial(_ema, old=lambda d: 1 - d, new=lambda d: d)
        ),
        "the two shares must sum to 1: theta comes in with 1 - d.": partial(_ema, new=lambda d: 1.0),
        "the old average is kept whole, so the sum grows: it must shrink by d.": partial(_ema, old=lambda d: 1.0),
        "the young average does not forget faster: take the smaller of decay and (1 + k) / (10 + k).": (
            partial(_ema, rule=lambda k, decay: decay)
        ),
        "that is the larger of the two decays; a young average should forget faster, so take the smaller.": (
            partial(_ema, rule=lambda k, decay: max(decay, (1 + k) / (10 + k)))
        ),
        "the warm-up never ends: from some k on decay is the smaller one.": (
            partial(_ema, rule=lambda k, decay: (1 + k) / (10 + k))
        ),
        "the warm-up is one step off: at k = 1 it is 2 / 11.": (
            partial(_ema, rule=lambda k, decay: min(decay, k / (9 + k)))
        ),
    },
    hints=[
        "First the decay of this step, d_k, then the average with it.",
        "d_k is the smaller of decay and (1 + k) / (10 + k); the old average keeps the share d_k, theta gets the rest.",
        "`d = min(decay, (1 + k) / (10 + k))`, then `d * ema + (1 - d) * theta`.",
    ],
    praise="It forgets at a constant rate, and faster while it is young.",
)


def _floor(alpha_bar, variance):
    return alpha_bar * variance / (alpha_bar * variance + 1 - alpha_bar)


FLOOR = Exercise(
    grade="derive",
    reference=_floor,
    cases=[(0.7, 0.3), (0.15, 2.5), (np.array([0.999, 0.9, 0.45, 0.03]), 0.04), (np.array([[0.97, 0.2, 0.6]]), 1.7)],
    returns=["loss"],
    mistakes={
        "that is the share of x_t's variance that is noise, which can be guessed; the rest is what is left.": (
            lambda alpha_bar, variance: 1 - _floor(alpha_bar, variance)
        ),
        "that is the variance of x_0 that is left; the question was about eps.": (
            lambda alpha_bar, variance: variance * (1 - alpha_bar) / (alpha_bar * variance + 1 - alpha_bar)
        ),
        "that is a standard deviation; the loss is a mean square.": (
            lambda alpha_bar, variance: _floor(alpha_bar, variance) ** 0.5
        ),
        "the data's variance is not 1: x_t has the variance alpha_bar * variance + 1 - alpha_bar.": (
            lambda alpha_bar, variance: alpha_bar + 0 * variance
        ),
        "variance is a variance already, and alpha_bar multiplies it once.": (
            lambda alpha_bar, variance: _floor(alpha_bar, variance**2)
        ),
        "alpha_bar multiplies the variance of the data; its root multiplies the data.": (
            lambda alpha_bar, variance: alpha_bar**0.5 * variance / (alpha_bar**0.5 * variance + (1 - alpha_bar) ** 0.5)
        ),
        "that is the loss of a network that says 0; knowing x_t helps.": (
            lambda alpha_bar, variance: np.ones_like(alpha_bar + variance)
        ),
        "that is a signal-to-noise ratio, without bound; divide by all of x_t's variance, and it is a share.": (
            lambda alpha_bar, variance: alpha_bar * variance / (1 - alpha_bar)
        ),
    },
    hints=[
        "x_t is a sum of two independent normal numbers, one of them the noise. Which share of its variance is which?",
        "The best guess of eps is a multiple c of x_t, with c = E[eps x_t] / E[x_t^2]. The mean square of eps - c x_t "
        "is 1 - c^2 E[x_t^2].",
        "E[eps x_t] is the root of 1 - alpha_bar, and E[x_t^2] is alpha_bar * variance + 1 - alpha_bar: so it is "
        "`1 - (1 - alpha_bar) / (alpha_bar * variance + 1 - alpha_bar)`.",
    ],
    praise="Where the noise is little beside the data's spread, nobody can tell it from them.",
)


def _ddpm(x_t, eps_hat, z, alpha_bar_s, alpha_bar_t, size=0.5, always=False, tilde=False, share=0.5, scale=0.5, sign=1):
    alpha = alpha_bar_t / alpha_bar_s
    mean = (x_t - sign * (1 - alpha) / (1 - alpha_bar_t) ** share * eps_hat) / alpha**scale
    spread = (1 - alpha) * ((1 - alpha_bar_s) / (1 - alpha_bar_t) if tilde else 1.0)
    return mean + spread**size * z if alpha_bar_s < 1 or always else mean


def _three_arrays(*shape):
    return tuple(_RNG.standard_normal(shape) for _ in range(3))


DDPM = Exercise(
    grade="transcribe",
    reference=_ddpm,
    cases=[
        (*_three_arrays(3, 4), 0.6, 0.55),
        (*_three_arrays(2, 3, 1), 0.9, 0.2),
        (*_three_arrays(5), 1.0, 0.83),
        (*_three_arrays(2), 0.03, 0.007),
        (*_three_arrays(4), 0.9999, 0.9991),  # nearly the last step, which is only that to alpha_bar = 1
    ],
    returns=["x_s"],
    mistakes={
        "the last step, where alpha_bar_s is 1, must add no noise: what it leads to is the sample.": (
            partial(_ddpm, always=True)
        ),
        "the fresh noise is multiplied by its variance beta; multiply by the root.": partial(_ddpm, size=1.0),
        "no fresh noise is added: that is only the mean of the step.": (
            lambda x_t, eps_hat, z, s, t: _ddpm(x_t, eps_hat, 0 * z, s, t)
        ),
        "in the mean, beta is divided by 1 - alpha_bar_t; it is the square root of it.": partial(_ddpm, share=1.0),
        "in the mean, beta is not divided by the root of 1 - alpha_bar_t.": partial(_ddpm, share=0.0),
        "the mean is not divided by the root of alpha: on the way back the image grows again.": (
            partial(_ddpm, scale=0.0)
        ),
        "the mean is divided by alpha; it is the square root.": partial(_ddpm, scale=1.0),
        "the predicted noise is added to the image; it has to be taken off.": partial(_ddpm, sign=-1),
        "the variance is beta-tilde, which is a good choice too; but beta is asked for here.": (
            partial(_ddpm, tilde=True)
        ),
        "alpha is the share that this step alone keeps, alpha_bar_t / alpha_bar_s; yours is that of all steps.": (
            lambda x_t, eps_hat, z, s, t: (
                (x_t - (1 - t) ** 0.5 * eps_hat) / t**0.5 + ((1 - t) ** 0.5 * z if s < 1 else 0.0)
            )
        ),
    },
    hints=[
        "First alpha and beta of this step, then the mean, then the noise.",
        "alpha is alpha_bar_t / alpha_bar_s, beta is 1 - alpha; the noise has the variance beta: multiply z by a root, "
        "unless alpha_bar_s is 1.",
        "The mean is `(x_t - beta / (1 - alpha_bar_t) ** 0.5 * eps_hat) / alpha**0.5`; add `beta**0.5 * z` if "
        "`alpha_bar_s < 1`.",
    ],
    praise="The mean of the posterior at the guess, and fresh noise, except in the last step.",
)
