"""Exercises of notebook 12: the cosine, long steps, v, an end without signal, EDM's two numbers, a weight for v."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(12)


def _cosine(T, s, power=2, divided=True, angle=np.pi / 2, late=0, offset=True):
    t = (np.arange(T + 1) + late) / T
    f = np.cos((t + s) / (1 + s) * angle if offset else t * angle) ** power
    return f / f[0] if divided else f


COSINE = Exercise(
    grade="transcribe",
    reference=_cosine,
    cases=[(5, 0.008), (9, 0.2), (3, 0.05)],
    returns=["alpha_bar"],
    mistakes={
        "the cosine is not squared: f has the shape of a, and alpha_bar is a squared.": partial(_cosine, power=1),
        "f is not divided by f(0), so that alpha_bar is not 1 at t = 0.": partial(_cosine, divided=False),
        "the angle goes up to pi, twice as far as the formula says.": partial(_cosine, angle=np.pi),
        "t runs from 1 to T + 1; the table begins at t = 0.": partial(_cosine, late=1),
        "s is not used: it keeps the first steps from being too small.": partial(_cosine, offset=False),
    },
    hints=[
        "The table has T + 1 entries, t = 0 .. T. First f at all of them, then one division.",
        "`t = np.arange(T + 1)`; the angle is (t / T + s) / (1 + s) times pi / 2.",
        "`f = np.cos((t / T + s) / (1 + s) * np.pi / 2) ** 2`, and `return f / f[0]`.",
    ],
    praise="Flat at both ends, and a straight fall in the middle.",
)


def _table(*values):
    return np.array([1.0, *values])


_FALLING, _SLOWLY = _table(0.98, 0.9, 0.75, 0.5, 0.3, 0.12, 0.04), _table(0.999, 0.99, 0.97, 0.95, 0.9)


def _betas(alpha_bar, times, of="ratio"):
    steps = list(zip(times, [*times[1:], 0], strict=True))
    single = 1 - alpha_bar[1:] / alpha_bar[:-1]
    found = {
        "ratio": [1 - alpha_bar[t] / alpha_bar[s] for t, s in steps],
        "one": [single[t - 1] for t, s in steps],
        "sum": [single[s:t].sum() for t, s in steps],
        "all": [1 - alpha_bar[t] for t, s in steps],
        "difference": [alpha_bar[s] - alpha_bar[t] for t, s in steps],
        "stride": [1 - alpha_bar[t] / alpha_bar[max(t - (times[0] - times[1]), 0)] for t, s in steps],
        "without the last": [1 - alpha_bar[t] / alpha_bar[s if s else times[-1] - 1] for t, s in steps],
    }
    return np.array(found[of])


LONG_STEPS = Exercise(
    grade="derive",
    reference=_betas,
    cases=[(_FALLING, [7, 4, 3, 1]), (_SLOWLY, [5, 2]), (_FALLING, [6, 5, 2])],
    returns=["betas"],
    mistakes={
        "these are the betas of single steps: a long step adds the noise of all the steps that it stands for.": (
            partial(_betas, of="one")
        ),
        "the betas of the single steps are added up, but what came first is scaled down by what follows.": (
            partial(_betas, of="sum")
        ),
        "that is the noise since t = 0; the step begins at s, where some of it is there already.": (
            partial(_betas, of="all")
        ),
        "a difference of alpha_bar is in units of x_0; beta is in units of x_s, so divide by alpha_bar_s.": (
            partial(_betas, of="difference")
        ),
        "s is found by the first stride, but these times are not equally far apart.": partial(_betas, of="stride"),
        "the last step ends one step below its time; it should end at 0.": partial(_betas, of="without the last"),
    },
    hints=[
        "The steps lead from each time to the next, the last one to 0. What share of the signal's variance is kept?",
        "alpha_bar_t = alpha_bar_s times what the step keeps. The step adds what it does not keep.",
        "`np.array([1 - alpha_bar[t] / alpha_bar[s] for t, s in zip(times, [*times[1:], 0])])`.",
    ],
    praise="Every formula of DDPM holds for a chain of long steps, with these betas.",
)


def _turn(x_t, v, alpha_bar, sign_0=-1, sign_eps=1, root=True, exchanged=False, divide=False):
    a, b = (alpha_bar**0.5, (1 - alpha_bar) ** 0.5) if root else (alpha_bar, 1 - alpha_bar)
    if exchanged:
        a, b = b, a
    x_0, eps = a * x_t + sign_0 * b * v, b * x_t + sign_eps * a * v
    return (x_0 / a if divide else x_0), eps


TURN = Exercise(
    grade="derive",
    reference=_turn,
    cases=[
        (_RNG.standard_normal((3, 2)), _RNG.standard_normal((3, 2)), 0.3),
        (_RNG.standard_normal(4), _RNG.standard_normal(4), 0.9),
        (_RNG.standard_normal((2, 2, 1)), _RNG.standard_normal((2, 2, 1)), 0.02),
    ],
    returns=["x_0", "eps"],
    mistakes={
        "x_0 turns the wrong way: v contains -b x_0, so it must be subtracted.": partial(_turn, sign_0=1),
        "eps turns the wrong way: v contains +a eps, so it must be added.": partial(_turn, sign_eps=-1),
        "a and b are the roots of alpha_bar and of 1 - alpha_bar.": partial(_turn, root=False),
        "a and b are exchanged.": partial(_turn, exchanged=True),
        "nothing need be divided: a squared and b squared add up to 1.": partial(_turn, divide=True),
    },
    hints=[
        "Two equations, x_t = a x_0 + b eps and v = a eps - b x_0, and two unknowns.",
        "Multiply the first by a and the second by b, and subtract: a^2 + b^2 = 1. Then the other way round.",
        "`return a * x_t - b * v, b * x_t + a * v`, with the roots a and b.",
    ],
    praise="A turn back by an angle. No division: so v says something of x_0 even where no signal is left.",
)


def _dark(alpha_bar, of_root=True, stretched=True, squared=True, only_last=False):
    part = alpha_bar[1:]
    root = part**0.5 if of_root else part
    moved = root - root[-1]
    if stretched:
        moved = moved * root[0] / (root[0] - root[-1])
    if only_last:
        moved = np.append(root[:-1], 0.0)
    return np.concatenate([[1.0], moved**2 if of_root and squared else moved])


ZERO_END = Exercise(
    grade="transcribe",
    reference=_dark,
    cases=[(_FALLING,), (_SLOWLY,), (_table(0.7, 0.2, 0.19),)],
    returns=["alpha_bar"],
    mistakes={
        "alpha_bar itself is moved; the formula moves its root.": partial(_dark, of_root=False),
        "the roots are moved but not stretched, so that alpha_bar_1 is not what it was.": partial(
            _dark, stretched=False
        ),
        "these are the roots; alpha_bar is their square.": partial(_dark, squared=False),
        "only the last entry becomes 0, and the last step takes all at once.": partial(_dark, only_last=True),
    },
    hints=[
        "alpha_bar[0] = 1 stays out of it. Of the rest, take roots, move, stretch, and square again.",
        "Move all roots down by the last one; then the first one is too small, by a factor that stretches it back.",
        "`root = alpha_bar[1:] ** 0.5`, `moved = (root - root[-1]) * root[0] / (root[0] - root[-1])`, and then "
        "`np.concatenate([[1.0], moved**2])`.",
    ],
    praise="Nothing is left at T, and hardly anything changed at the beginning.",
)


def _precondition(sigma, data, skip="best", root=True):
    c_skip = {
        "best": data**2 / (sigma**2 + data**2),
        "exchanged": sigma**2 / (sigma**2 + data**2),
        "roots": data / (sigma**2 + data**2) ** 0.5,
        "no squares": data / (sigma + data),
        "one": 1.0 + 0 * sigma,
        "none": 0.0 * sigma,
    }[skip]
    variance = (1 - c_skip) ** 2 * data**2 + c_skip**2 * sigma**2
    return c_skip, variance**0.5 if root else variance


_SIGMAS = np.array([0.02, 0.3, 0.9, 4.0])

PRECONDITION = Exercise(
    grade="derive",
    reference=_precondition,
    cases=[(_SIGMAS, 0.5), (_SIGMAS, 1.3), (np.array([0.1, 7.0]), 0.25)],
    returns=["c_skip", "c_out"],
    mistakes={
        "the network is asked for x_0 as it is; some of it is in y already.": partial(_precondition, skip="none"),
        "all of y is passed on, also where it is nearly all noise.": partial(_precondition, skip="one"),
        "c_skip is upside down: where there is little noise, y should be passed on.": (
            partial(_precondition, skip="exchanged")
        ),
        "c_skip has roots: the share of the data in the variance of y is a quotient of squares.": (
            partial(_precondition, skip="roots")
        ),
        "standard deviations do not add up; their squares do.": partial(_precondition, skip="no squares"),
        "c_out is a variance; it should be the standard deviation of what is left.": partial(_precondition, root=False),
    },
    hints=[
        "What is left to the network is x_0 - c_skip y = (1 - c_skip) x_0 - c_skip sigma eps. Its variance?",
        "(1 - c_skip)^2 data^2 + c_skip^2 sigma^2: where is its derivative 0? c_out is then the root of it.",
        "`c_skip = data**2 / (sigma**2 + data**2)`, `c_out = sigma * data / (sigma**2 + data**2) ** 0.5`.",
    ],
    praise="The network is always asked for something of variance 1, and what is amplified of its errors is the least.",
)


def _weight(snr, gamma, of="v"):
    least = np.minimum(snr, gamma)
    return {
        "v": least / (snr + 1),
        "eps": least / snr,
        "x_0": least,
        "bounded": np.minimum(snr + 1, gamma) / (snr + 1),
        "root": least / (snr + 1) ** 0.5,
        "times": least * (snr + 1),
        "largest": np.maximum(snr, gamma) / (snr + 1),
    }[of]


MIN_SNR = Exercise(
    grade="debug",
    reference=_weight,
    cases=[(np.array([0.01, 0.7, 3.0, 20.0]), 5.0), (np.array([0.5, 2.0, 90.0]), 1.5), (np.array([4.0, 6.0]), 5.0)],
    returns=["weight"],
    mistakes={
        PLANTED: partial(_weight, of="eps"),
        "that is the weight for a network that says x_0.": partial(_weight, of="x_0"),
        "the limit is that of the squared error of x_0; it is applied to SNR alone, and then divided.": (
            partial(_weight, of="bounded")
        ),
        "squared errors are divided by the square of the gain, which is SNR + 1 and no root.": (
            partial(_weight, of="root")
        ),
        "the squared error of v is already SNR + 1 times that of x_0: divide by it.": partial(_weight, of="times"),
        "the weight should be bounded from above: the smaller of the two.": partial(_weight, of="largest"),
    },
    hints=[
        "The loss should be min(SNR, gamma) times the squared error of x_0. How large is that, if v is wrong by 1?",
        "x_0_hat = a x_t - b v, so the error of x_0 is b times that of v, and b^2 = 1 / (SNR + 1).",
        "`return np.minimum(snr, gamma) / (snr + 1)`.",
    ],
    praise="Divided by SNR it would be the weight of eps: another loss, which hardly sees the noisy end.",
)
