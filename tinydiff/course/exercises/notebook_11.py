"""Exercises of notebook 11: Langevin's step and what it leaves, three losses for a score, annealing."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(11)


def _normal(*shape):
    return _RNG.standard_normal(shape)


def _step(x, score, size, z, along=1.0, power=0.5, share=2.0, uphill=1):
    return x + uphill * along * size * score + (share * size) ** power * z


STEP = Exercise(
    grade="transcribe",
    reference=_step,
    cases=[
        (_normal(3, 2), _normal(3, 2), 0.1, _normal(3, 2)),
        (_normal(5), _normal(5), 0.7, _normal(5)),
        (_normal(2, 1, 3), _normal(2, 1, 3), 0.02, _normal(2, 1, 3)),
    ],
    returns=["x"],
    mistakes={
        "that walks downhill: the score points to where the density grows.": partial(_step, uphill=-1),
        "the noise is multiplied by its variance; its size is the root of 2 size.": partial(_step, power=1.0),
        "the noise has the variance size, and not twice as much.": partial(_step, share=1.0),
        "half of the score with all of the noise: the two belong together as size and 2 size.": (
            partial(_step, along=0.5)
        ),
        "there is no noise in it: all points would end on the nearest peak.": partial(_step, share=0.0),
    },
    hints=[
        "Two things are added to x: a part of the score, and noise.",
        "The part of the score is `size`; the noise has the variance 2 size, so z is multiplied by its root.",
        "`return x + size * score + (2 * size) ** 0.5 * z`.",
    ],
    praise="Uphill, and shaken: repeated, this draws from any density whose slope is known.",
)


def _stationary(v, size):
    return v / (1 - size / (2 * v))


STATIONARY = Exercise(
    grade="derive",
    reference=_stationary,
    cases=[(1.0, 0.1), (0.25, 0.2), (2.5, 1.5), (0.6, 0.9)],
    returns=["variance"],
    mistakes={
        "that is what an infinitely small step would leave; a finite one leaves more.": lambda v, size: v + 0 * size,
        "that is the first term of a series: right for small steps, but the sum is known.": (
            lambda v, size: v * (1 + size / (2 * v))
        ),
        "the square of (1 - size / v) has two terms with size: twice the first, and the square.": (
            lambda v, size: v / (1 - size / v)
        ),
        "that is the factor itself; the variance is multiplied by its square.": lambda v, size: 2 * v + 0 * size,
        "the slope of log q is -x / v, not -x: with v = 1 there is no difference.": (
            lambda v, size: 1 / (1 - size / 2) + 0 * v
        ),
    },
    hints=[
        "With the score -x / v, the step multiplies x by 1 - size / v, and adds noise of the variance 2 size.",
        "The variance w that stays as it is satisfies w = (1 - size / v)^2 w + 2 size. Solve it for w.",
        "1 - (1 - size / v)^2 = (2 size / v) (1 - size / (2 v)), so w = v / (1 - size / (2 v)).",
    ],
    praise="Too wide by about half a step, however long it walks.",
)


def _dsm(eps_hat, eps, b, power=2, sign=-1, total=True):
    squares = (eps + sign * eps_hat) ** 2
    return (squares.sum(axis=1) if total else squares.mean(axis=1)) / b**power


MATCHING = Exercise(
    grade="derive",
    reference=_dsm,
    cases=[
        (_normal(4, 2), _normal(4, 2), np.array([0.9, 0.5, 0.2, 0.7])),
        (_normal(3, 5), _normal(3, 5), np.array([0.3, 0.99, 0.6])),
        (_normal(2, 3), _normal(2, 3), np.array([1.0, 0.1])),
    ],
    returns=["loss"],
    mistakes={
        "that is the simple loss itself: the scores are -eps / b, so their difference is divided by b.": (
            partial(_dsm, power=0)
        ),
        "the difference is divided by b, so its square is divided by b squared.": partial(_dsm, power=1),
        "scores grow where b is small: divide by b squared, do not multiply.": partial(_dsm, power=-2),
        "the two noises are added; both scores have the same sign, so it drops out.": partial(_dsm, sign=1),
        "the mean over coordinates was taken; the squared length of a vector is the sum.": partial(_dsm, total=False),
    },
    hints=[
        "Write both scores with b: that of x_t given x_0, and the one that eps_hat stands for.",
        "They are -eps / b and -eps_hat / b. Take the squared length of their difference, for each sample.",
        "`return ((eps - eps_hat) ** 2).sum(axis=1) / b**2`.",
    ],
    praise="So the simple loss is denoising score matching, weighted by b squared.",
)


def _implicit(A, c, x, half=0.5, of_matrix=np.trace, sign=1, mean=True, constant=True):
    score = x @ A.T + (c if constant else 0)
    squares = half * (score**2).sum(axis=1)
    return (squares.mean() if mean else squares.sum()) + sign * of_matrix(A)


def _planted(A, c, x):
    """Take the sum of all slopes, also of those across."""
    return _implicit(A, c, x, of_matrix=np.sum)


IMPLICIT = Exercise(
    grade="debug",
    reference=_implicit,
    cases=[
        (_normal(2, 2), _normal(2), _normal(6, 2)),
        (_normal(3, 3), _normal(3), _normal(5, 3)),
        (np.array([[-1.0, 0.4], [0.3, -2.0]]), _normal(2), _normal(4, 2)),
    ],
    returns=["loss"],
    mistakes={
        PLANTED: _planted,
        "the sign of the divergence came from the integration by parts, and is plus.": partial(_implicit, sign=-1),
        "half of the squared length belongs there, since the cross term had a factor of 2.": (
            partial(_implicit, half=1.0)
        ),
        "the points are summed up; the loss is a mean over them.": partial(_implicit, mean=False),
        "the divergence is left out: then no score at all would be the best one.": partial(_implicit, sign=0),
        "the constant c is part of the score.": partial(_implicit, constant=False),
    },
    hints=[
        "Look at the divergence: which derivatives does it add up?",
        "That of the first component along the first axis, of the second along the second, and no others.",
        "For s(x) = A x + c they stand on the diagonal of A: `np.trace(A)`.",
    ],
    praise="No density and no noise in it: the data and the slope of the model are enough.",
)


def _wavy(x, alpha_bar):
    """Stand in for a network: the noise in x, of the shape of x."""
    return np.sin(2 * x) + (1 - alpha_bar) * x


def _annealed(predict, x, alpha_bars, size, noises, share=2.0, of_noise=1, along=1, carry=True, end=True, fresh=True):
    x = np.asarray(x)
    for k, (t, s) in enumerate(pairwise(alpha_bars)):
        b = (1 - t) ** 0.5
        for j in range(len(noises[k])):
            z = noises[k][j if fresh else 0]
            x = x - size * b**along * predict(x, t) + (share * size) ** 0.5 * b**of_noise * z
        if s < 1 or not end:
            x = (s / t) ** 0.5 * x if carry else x
        else:
            x = (x - b * predict(x, t)) / t**0.5
    return x


_TO_DATA, _PART = [0.02, 0.15, 0.4, 0.77, 1.0], [0.05, 0.3, 0.85]

ANNEALED = Exercise(
    grade="transcribe",
    reference=_annealed,
    cases=[
        (_wavy, _normal(3, 2), _TO_DATA, 0.1, _normal(4, 3, 3, 2)),
        (_wavy, _normal(2, 1, 3), _PART, 0.3, _normal(2, 2, 2, 1, 3)),
        (_wavy, _normal(5), [0.6, 1.0], 0.05, _normal(1, 4, 5)),
    ],
    returns=["x"],
    mistakes={
        "the noise has the variance of one step, size b^2, and not twice as much.": partial(_annealed, share=1.0),
        "the noise is not multiplied by b: with little noise in x the steps must be small, too.": (
            partial(_annealed, of_noise=0)
        ),
        "size b^2 times the score -eps_hat / b leaves one b, not two.": partial(_annealed, along=2),
        "size b^2 times the score -eps_hat / b leaves a b.": partial(_annealed, along=0),
        "x is not brought to the scale of the next level: x / a stays as it is, so x grows with a.": (
            partial(_annealed, carry=False)
        ),
        "the step to alpha_bar = 1 is the guess x_0_hat; noise would stay in it.": partial(_annealed, end=False),
        "the same noise is used again and again at a level; each step has its own.": partial(_annealed, fresh=False),
    },
    hints=[
        "Two loops: over the levels, and over the noises of a level. At the end of a level x gets its new scale.",
        "A step at level t: x - size * b * eps_hat + root of (2 size) * b * z, with b the root of 1 - t.",
        "After the inner loop: `x = (s / t) ** 0.5 * x`, or for s = 1 the guess, `(x - b * predict(x, t)) / t**0.5`.",
    ],
    praise="That is the sampler of the first score networks: no schedule of steps back, only levels.",
)


def _chain(c, alpha_bars, size, repeats, start=1.0, squared=True, share=2.0, carry=True, once=False, guess=True):
    variance = start if start is not None else alpha_bars[0] * c + 1 - alpha_bars[0]
    for t, s in pairwise(alpha_bars):
        total = t * c + 1 - t
        factor = 1 - size * (1 - t) / total
        for _ in range(1 if once else repeats):
            variance = (factor**2 if squared else factor) * variance + share * size * (1 - t)
        if s < 1 or not guess:
            variance = s / t * variance if carry else variance
        else:
            variance = t * (c / total) ** 2 * variance
    return variance


VARIANCE = Exercise(
    grade="explore",
    reference=_chain,
    cases=[
        (0.25, _TO_DATA, 0.1, 5),
        (1.8, _PART, 0.3, 3),
        (0.6, [0.3, 0.97, 1.0], 0.05, 8),
    ],
    returns=["variance"],
    mistakes={
        "the chain starts from noise of variance 1, which is not quite the variance at the first level.": (
            partial(_chain, start=None)
        ),
        "a factor multiplies sizes; variances are multiplied by its square.": partial(_chain, squared=False),
        "the fresh noise has the variance 2 size b^2.": partial(_chain, share=1.0),
        "between two levels x is multiplied by the root of s / t, and so its variance by s / t.": (
            partial(_chain, carry=False)
        ),
        "there are several steps at each level.": partial(_chain, once=True),
        "the step to alpha_bar = 1 is the guess x_0_hat, a multiple of x.": partial(_chain, guess=False),
    },
    hints=[
        "All is linear. With the total variance t c + 1 - t, what is eps_hat of x?",
        "eps_hat = b x / (t c + 1 - t), so a step multiplies x by 1 - size b^2 / (t c + 1 - t), and adds 2 size b^2.",
        "Between levels: `variance *= s / t`, and for s = 1: `variance *= t * (c / (t * c + 1 - t)) ** 2`.",
    ],
    praise="Exact for every number of levels and steps, without drawing one number.",
)
