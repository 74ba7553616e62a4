"""Exercises of notebook 17: what should have been said, two steps in one, limits, bends, and consistency."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(17)


def _pair(*shape):
    return tuple(_RNG.standard_normal(shape) for _ in range(2))


def _guess(x_t, x_s, a_t, b_t, a_s, b_s, sign=1, area=True, turned=False, same=False):
    over = sign * (a_s * b_t - a_t * b_s) if area else 1.0
    x_0, eps = (b_t * x_s - b_s * x_t) / over, (a_s * x_t - a_t * x_s) / over
    if same:
        x_0 = (b_s * x_s - b_t * x_t) / over
    return (eps, x_0) if turned else (x_0, eps)


GUESS = Exercise(
    grade="derive",
    reference=_guess,
    cases=[(*_pair(3, 4), 0.3, 0.9, 0.8, 0.5), (*_pair(5), 0.5, 0.5, 0.7, 0.3), (*_pair(2, 1), 0.1, 0.95, 1.0, 0.0)],
    returns=["x_0", "eps"],
    mistakes={
        "both have the wrong sign: x_0 is b_t x_s - b_s x_t over a_s b_t - a_t b_s.": partial(_guess, sign=-1),
        "what is left after the elimination is (a_s b_t - a_t b_s) times x_0: divide by that.": (
            partial(_guess, area=False)
        ),
        "x_0 comes first, and then eps.": partial(_guess, turned=True),
        "b_t and b_s are exchanged in x_0: the first equation is multiplied by b_s.": partial(_guess, same=True),
    },
    hints=[
        "Multiply the first equation by b_s, the second by b_t, and subtract: which unknown is gone?",
        "(a_s b_t - a_t b_s) x_0 = b_t x_s - b_s x_t. Likewise, with a_s and a_t, for eps.",
        "`(b_t * x_s - b_s * x_t) / area` and `(a_s * x_t - a_t * x_s) / area`, area being `a_s * b_t - a_t * b_s`.",
    ],
    praise="What many steps did, said as one guess.",
)


def _target(velocity, x, b, d, moved=1.0, later=1.0, share=0.5, only=None):
    first = velocity(x, b)
    second = velocity(x - moved * d * first, b - later * d)
    return {None: share * (first + second), "second": second, "first": first}[only]


def _wavy(x, b):
    return np.sin(2 * x) + (1 - b) * x


def _away(x, b):
    return (x - 0.4) * (0.5 + b)


TARGET = Exercise(
    grade="transcribe",
    reference=_target,
    cases=[
        (_wavy, _RNG.standard_normal((3, 2)), 1.0, 0.25),
        (_away, _RNG.standard_normal(5), 0.75, 0.125),
        (_wavy, _RNG.standard_normal(4), 0.5, 0.25),
    ],
    returns=["target"],
    mistakes={
        "the second step starts where the first one began; it should start where that one leads.": (
            partial(_target, moved=0.0)
        ),
        "the second velocity is asked for at the time of the first; it is d later, at b - d, "
        "though the paper has it so, by mistake.": partial(_target, later=0.0),
        "that walks away from the data: b falls, so x - d u.": partial(_target, moved=-1.0),
        "the second time is b + d; b falls towards the data.": partial(_target, later=-1.0),
        "that is the sum of both velocities; one step is twice as long, so take the mean.": partial(_target, share=1.0),
        "that is the second velocity alone.": partial(_target, only="second"),
        "that is the velocity of the start, which one step would have taken anyway.": partial(_target, only="first"),
    },
    hints=[
        "Three lines: the first velocity, the second, and their mean.",
        "The second is asked for at x - d first, and at the time b - d.",
        "`second = velocity(x - d * first, b - d)`, and `(first + second) / 2`.",
    ],
    praise="Two velocities, equally long: the mean.",
)


def _limit(S, N, at="start", sign=1, power=2, over=None):
    factor = 1.0
    for k in range(N):
        b = 1 - k / N if at == "start" else 1 - (k + 1) / N
        slope = (b - sign * (1 - b) * S) / ((1 - b) ** power * S + b**power)
        factor = factor * (1 - slope / (N if over is None else over))
    return factor


LIMIT = Exercise(
    grade="explore",
    reference=_limit,
    cases=[(0.36, 3), (1.5, 5), (0.1, 8)],
    returns=["factor"],
    mistakes={
        "the velocity is that at the end of each step; Euler's method takes that at its start.": (
            partial(_limit, at="end")
        ),
        "that is the flow itself; N steps do not reach it.": lambda S, N: S**0.5,
        "the velocity has b - (1 - b) S: the data count with a minus.": partial(_limit, sign=-1),
        "variances are multiplied by squares: (1 - b)^2 S + b^2.": partial(_limit, power=1),
        "that is one step, however large N is.": lambda S, N: _limit(S, 1) + 0.0 * N,
        "that adds the changes of x_1 up; each step multiplies what the one before left.": (
            lambda S, N: (
                1 - sum(((1 - k / N) - k / N * S) / ((k / N) ** 2 * S + (1 - k / N) ** 2) / N for k in range(N))
            )
        ),
    },
    hints=[
        "One step from b multiplies x by 1 - slope(b) / N. N of them one after the other?",
        "A product over b = 1, 1 - 1/N, ..., 1/N.",
        "`factor = factor * (1 - (b - (1 - b) * S) / ((1 - b) ** 2 * S + b**2) / N)`, for b = 1 - k / N.",
    ],
    praise="The student's limit is the chain, not the flow.",
)


def _bend(velocity, x_1, times, whole=True, square=True, weights="length", against="way", mean=True):
    x, us, lengths = np.asarray(x_1), [], []
    for k in range(len(times) - 1):
        us.append(velocity(x, times[k]))
        lengths.append(times[k] - times[k + 1])
        x = x - lengths[k] * us[k]
    way = {"way": x_1 - x, "turned": x - x_1, "first": us[0]}[against]
    if weights == "equal":
        lengths = [1 / len(us)] * len(us)
    total = 0.0
    for length, u in zip(lengths, us, strict=True):
        off = (u - way) ** 2 if square else abs(u - way)
        total = total + length * (off.mean() if mean else off.sum())
    return total


BEND = Exercise(
    grade="transcribe",
    reference=_bend,
    cases=[
        (_wavy, _RNG.standard_normal((3, 2)), [1.0, 0.6, 0.35, 0.0]),
        (_away, _RNG.standard_normal(5), [1.0, 0.85, 0.4, 0.0]),
        (_wavy, _RNG.standard_normal(4), [1.0, 0.2, 0.0]),
    ],
    returns=["bend"],
    mistakes={
        "all steps count alike; the integral over b weighs each by its length.": partial(_bend, weights="equal"),
        "the way as a whole is x_1 - x_0, from the data to the noise, as u is.": partial(_bend, against="turned"),
        "the velocities are compared with the first one; compare them with x_1 - x_0.": partial(_bend, against="first"),
        "that is the mean distance, and not the mean square.": partial(_bend, square=False),
        "that is the sum over all numbers; take their mean.": partial(_bend, mean=False),
    },
    hints=[
        "First walk to the end, keeping the velocities; only then the way x_1 - x_0 is known.",
        "For each step its length times the mean of (u - (x_1 - x_0))^2; then add.",
        "`sum(length * ((u - (x_1 - x)) ** 2).mean() for length, u in zip(lengths, us))`, x being the end.",
    ],
    praise="0 where every velocity is the whole way.",
)


def _earlier(sigma, k, sign=1, width=8.0, bound=True, over=lambda sigma: 1 + np.exp(sigma), times=True):
    share = 1 - 2.0 ** (-k * sign) * (1 + width / over(sigma))
    found = sigma * share if times else share
    return np.maximum(0, found) if bound else found


_SIGMA = np.array([0.05, 0.4, 1.5, 6.0])

EARLIER = Exercise(
    grade="transcribe",
    reference=_earlier,
    cases=[(_SIGMA, 1), (_SIGMA, 4), (np.array([0.2, 3.0]), 3), (_SIGMA, 8)],
    returns=["sigma_r"],
    mistakes={
        "noise below 0 there is none: max(0, ...).": partial(_earlier, bound=False),
        "with every stage r should come nearer to t: 2^-k, not 2^k.": partial(_earlier, sign=-1),
        "that is by what sigma_t is multiplied; multiply it.": partial(_earlier, times=False),
        "the 8 is missing.": partial(_earlier, width=1.0),
        "that is e^-sigma; with e^sigma times near each other are taken where there is much noise.": (
            partial(_earlier, over=lambda sigma: 1 + np.exp(-sigma))
        ),
        "the 1 in 1 + e^sigma is missing.": partial(_earlier, over=np.exp),
    },
    hints=[
        "One line, and a bound below.",
        "sigma times (1 - 2^-k (1 + 8 / (1 + e^sigma))), and np.maximum.",
        "`return np.maximum(0, sigma * (1 - 2.0**-k * (1 + 8 / (1 + np.exp(sigma)))))`.",
    ],
    praise="In stage 0 r is the clean end: that is the training of a denoiser.",
)


def _ratio(S, sigma_r, sigma_t, top=lambda S, r, t: S + r * t, total=lambda S, r, t: S + t**2):
    return top(S, sigma_r, sigma_t) / total(S, sigma_r, sigma_t)


RATIO = Exercise(
    grade="derive",
    reference=_ratio,
    cases=[(0.36, np.array([0.0, 0.3, 1.0]), np.array([0.5, 0.9, 2.5])), (1.7, 0.2, 0.6), (0.1, 0.5, 0.7)],
    returns=["ratio"],
    mistakes={
        "that is the posterior mean's, for r = 0; the noise is the same at both times, and correlated.": (
            partial(_ratio, top=lambda S, r, t: S + 0 * r)
        ),
        "that is the ODE's ratio, which is reached in the limit only.": (
            lambda S, r, t: ((S + r**2) / (S + t**2)) ** 0.5
        ),
        "that is the ratio of the variances; the covariance has sigma_r sigma_t.": (
            partial(_ratio, top=lambda S, r, t: S + r**2)
        ),
        "divide by the variance of y_t, S + sigma_t^2.": partial(_ratio, total=lambda S, r, t: S + r**2),
        "the noise alone is not all: both share x_0, with variance S.": partial(_ratio, top=lambda S, r, t: r * t),
    },
    hints=[
        "y_r = x_0 + sigma_r eps and y_t = x_0 + sigma_t eps, with the same x_0 and eps.",
        "Cov[y_r, y_t] = S + sigma_r sigma_t, and Var[y_t] = S + sigma_t^2.",
        "`return (S + sigma_r * sigma_t) / (S + sigma_t**2)`.",
    ],
    praise="Below the ODE's ratio, by Cauchy and Schwarz.",
)
