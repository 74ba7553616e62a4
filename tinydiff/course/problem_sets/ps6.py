"""Problem set 6, guidance: many wishes, tilted bells, a measured wish, a chain with a fault, and what a pull costs."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(66)


def _wishes(given, nothing, scales, mean=False, from_given=False, forgotten=False, shared=False, whole=False):
    s = np.reshape(scales, (*np.shape(scales), *[1] * (np.ndim(nothing) - 1)))
    s = s[:, :1] + 0 * s if shared else s
    pushes = s * (given if whole else given - nothing)
    push = pushes.mean(axis=0) if mean else pushes[-1] if forgotten else pushes.sum(axis=0)
    return (given.mean(axis=0) if from_given else nothing) + push


def _one_after_the_other(given, nothing, scales):
    eps = nothing
    for told, s in zip(given, scales, strict=True):
        eps = eps + np.reshape(s, (-1, *[1] * (np.ndim(nothing) - 1))) * (told - eps)
    return eps


WISHES = Exercise(
    grade="transcribe",
    reference=_wishes,
    cases=[
        (
            _RNG.standard_normal((2, 3, 4, 5)),
            _RNG.standard_normal((3, 4, 5)),
            np.array([[1.7, 0.4, 3.0], [-1.2, 2.1, 0.6]]),
        ),
        (_RNG.standard_normal((3, 2, 4)), _RNG.standard_normal((2, 4)), _RNG.uniform(-1, 4, (3, 2))),
        (_RNG.standard_normal((1, 4, 2)), _RNG.standard_normal((4, 2)), _RNG.uniform(1, 4, (1, 4))),
    ],
    returns=["eps_hat"],
    mistakes={
        "the pushes are averaged; each wish pulls by itself, and pulls add.": partial(_wishes, mean=True),
        "the way starts from the mean of what was given; it starts from nothing.": partial(_wishes, from_given=True),
        "only the last wish is heard; all of them pull.": partial(_wishes, forgotten=True),
        "all samples have the scales of the first; each has its own.": partial(_wishes, shared=True),
        "the second wish starts from where the first one led; all differences are taken from nothing.": (
            _one_after_the_other
        ),
        "the scale multiplies all of a prediction; it multiplies only its difference from nothing.": (
            partial(_wishes, whole=True)
        ),
    },
    hints=[
        "For one wish it is CFG-6. What do two of them have in common, and what does each add?",
        "Give the scales as many axes as `given` has: (K, N, 1, ...). Then sum the pushes over the first axis.",
        "With s so shaped, `nothing + (s * (given - nothing)).sum(axis=0)`.",
    ],
    praise="Pulls add, and one may push.",
)


def _tilted(mean_all, variance_all, mean_class, variance_class, scale, share=1.0, rooted=False, plain_mean=False):
    a, b = (share - scale) / variance_all, scale / variance_class
    variance = 1 / (a + b)
    mean = variance * (a * mean_all + b * mean_class)
    if plain_mean:
        mean = mean_all + scale * (mean_class - mean_all)
    return mean, variance**0.5 if rooted else variance


def _tilted_variances(mean_all, variance_all, mean_class, variance_class, scale):
    return mean_all + scale * (mean_class - mean_all), variance_all + scale * (variance_class - variance_all)


_TILT = [
    (_RNG.standard_normal(n), 1 + _RNG.uniform(0.2, 1, n), _RNG.standard_normal(n), _RNG.uniform(0.2, 0.8, n))
    for n in (3, 2, 4)
] + [(np.array([0.4, -2.0]), np.array([0.7, 9.0]), np.array([1.5, 3.0]), np.array([0.9, 4.0]))]  # and wide ones

TILTED = Exercise(
    grade="derive",
    reference=_tilted,
    cases=[(*_TILT[0], 2.6), (*_TILT[1], 0.35), (*_TILT[2], 4.5), (*_TILT[3], 1.4)],
    returns=["mean", "variance"],
    mistakes={
        "that is the data times the class's density to the power s; Bayes' rule divides by the data, s times.": (
            lambda mean_all, variance_all, mean_class, variance_class, scale: _tilted(
                mean_all, variance_all, mean_class, variance_class, scale, share=1 + scale
            )
        ),
        "that is the power of p(y | x) alone; the data are a factor of their own.": partial(_tilted, share=0.0),
        "the variance is right but for a root: that is the standard deviation.": partial(_tilted, rooted=True),
        "the mean is right, but what comes second is one over the variance.": (
            lambda *args: (_tilted(*args)[0], 1 / _tilted(*args)[1])
        ),
        "the variances go in a line from the one to the other; what adds in an exponent is one over them.": (
            _tilted_variances
        ),
        "the means go in a line, each as much as the other; a narrow bell counts more.": (
            partial(_tilted, plain_mean=True)
        ),
    },
    hints=[
        "Write log q and log q_y as parabolas in x; p(y | x) is q_y over q, but for a constant.",
        "The exponents are weighted by 1 - s and s. The number at -x^2 / 2 is one over the new variance.",
        "With a = (1 - s) / variance_all and b = s / variance_class: variance 1 / (a + b), mean that times "
        "(a mean_all + b mean_class).",
    ],
    praise="A product of bells is a bell, if its precision is above 0.",
)


def _measured(
    x_t, alpha_bar, mean, variance, w, wish, error, of_x_t=True, uncertain=True, sign=1.0, rooted=False, of_mean=True
):
    a, noise = alpha_bar**0.5, 1 - alpha_bar
    gain = a * variance / (alpha_bar * variance + noise)
    guess = mean + gain * (x_t - a * mean)
    left = variance * noise / (alpha_bar * variance + noise)
    spread = error + (w**2 * left).sum() if uncertain else error
    spread = spread**0.5 if rooted else spread
    miss = wish - (guess if of_mean else x_t) @ w
    return sign * (miss / spread)[:, None] * w * (gain if of_x_t else 1.0)


def _measured_of_squares(x_t, alpha_bar, mean, variance, w, wish, error):
    """Forget that variances are weighted by squares."""
    left = variance * (1 - alpha_bar) / (alpha_bar * variance + 1 - alpha_bar)
    of_squares, of_weights = error + (w**2 * left).sum(), error + (abs(w) * left).sum()
    return _measured(x_t, alpha_bar, mean, variance, w, wish, error) * of_squares / of_weights


_WISH = [
    (_RNG.standard_normal((n, d)), a, _RNG.standard_normal(d), _RNG.uniform(0.2, 2, d), 1.5 * _RNG.standard_normal(d))
    for n, d, a in ((3, 4, 0.35), (2, 5, 0.87), (4, 2, 0.06))
]

MEASURED = Exercise(
    grade="derive",
    reference=_measured,
    cases=[
        (*one, _RNG.standard_normal(len(one[0])), error) for one, error in zip(_WISH, (0.3, 0.05, 0.7), strict=True)
    ],
    returns=["gradient"],
    mistakes={
        "that is the gradient in the guess; the guess moves only by its gain where x_t moves by 1.": (
            partial(_measured, of_x_t=False)
        ),
        "only the meter's error is there; while there is noise x_0 is uncertain, too, and variances add.": (
            partial(_measured, uncertain=False)
        ),
        "the sign is that of an error to be lowered; a log-probability is to rise.": partial(_measured, sign=-1.0),
        "the miss is divided by a standard deviation; a normal density's slope has the variance there.": (
            partial(_measured, rooted=True)
        ),
        "the meter reads the noisy x_t; it is to read the guess of x_0.": partial(_measured, of_mean=False),
        "`error` is squared, but it is a variance already, sigma squared.": (
            lambda x_t, alpha_bar, mean, variance, w, wish, error: _measured(
                x_t, alpha_bar, mean, variance, w, wish, error**2
            )
        ),
        "variances of a weighted sum have the squares of the weights.": _measured_of_squares,
    },
    hints=[
        "Given x_t, which distribution has w . x_0? A weighted sum of independent normal numbers is normal.",
        "Its mean is w . x_0_hat, its variance sum of w^2 u. Add `error`; derive -(c - mean)^2 / (2 variance).",
        "The gradient is (c - w . x_0_hat) / (error + sum of w^2 u), times w, times the gain k of each number.",
    ],
    praise="A wish that no class could say, and nothing was trained for it.",
)


def _told(x, t):
    return np.tanh(x + 0.4) * (0.6 + t / 2000)


def _untold(x, t):
    return 0.5 * np.sin(2 * x) - t / 900


def _other(x, t):
    return 0.8 * x**2 / (1 + x**2) + np.cos(t / 300)


def _walked(
    given, nothing, alpha_bar, times, x_T, scale, low, high, outside=1.0, arrival=False, from_given=False, closed=False,
    always=False, stale=False, low_too=False, high_not=False,
):  # fmt: skip
    x = x_T
    for t, s in pairwise(times):
        at = s if arrival else t
        inside = always or ((low <= at < high) if closed else (low < at <= high))
        inside = inside or (low_too and at == low)
        inside = inside and not (high_not and at == high)
        strength = scale if inside else outside
        told, untold = given(x, t), nothing(x, t)
        eps = (told if from_given else untold) + strength * (told - untold)
        guess = (x - (1 - alpha_bar[t]) ** 0.5 * (told if stale else eps)) / alpha_bar[t] ** 0.5
        x = alpha_bar[s] ** 0.5 * guess + (1 - alpha_bar[s]) ** 0.5 * eps
    return x


_ALPHA_BAR = np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.001, 0.02, 300))])

CHAIN = Exercise(
    grade="debug",
    reference=_walked,
    cases=[
        (_told, _untold, _ALPHA_BAR, [300, 220, 150, 60, 0], _RNG.standard_normal((3, 2)), 2.6, 60, 220),
        (_other, _told, _ALPHA_BAR, [290, 130, 40], _RNG.standard_normal((2, 4, 3)), 3.4, 100, 300),
        (_untold, _other, _ALPHA_BAR, [250, 160, 90, 50, 20, 0], _RNG.standard_normal(5), 1.7, 20, 90),
    ],
    returns=["x_0"],
    mistakes={
        PLANTED: (partial(_walked, outside=0.0)),
        "the interval is asked about the time of arrival; the prediction is made at t, where the step starts.": (
            partial(_walked, arrival=True)
        ),
        "the way starts from what was given; that is the paper's w, one less than s.": partial(
            _walked, from_given=True
        ),
        "the wrong end is closed: low < t <= high.": partial(_walked, closed=True),
        "the lower end is outside of the interval: low < t <= high.": partial(_walked, low_too=True),
        "the upper end belongs to the interval: low < t <= high.": partial(_walked, high_not=True),
        "it guides at all times: then what is the interval for?": partial(_walked, always=True),
        "the guess is made of the prediction without guidance; noise and guess belong together.": (
            partial(_walked, stale=True)
        ),
    },
    hints=[
        "What does a chain do that was never guided, at any time? With which s would this function do the same?",
        "With s = 0 nobody is asked for anything, with s = 1 the network does as told. Which is right outside?",
        "In the loop, `strength = scale if low < t <= high else 1.0`.",
    ],
    praise="Unguided is not untold.",
)


def _cost(
    draw,
    centres,
    wanted,
    scales,
    all_points=False,
    of_centre=False,
    axis_sum=False,
    first=False,
    one_mean=False,
    less=0,
):
    shares, spreads, offs = [], [], []
    for scale in scales:
        points = draw(scales[0] if first else scale)
        nearest = ((points[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
        those = points if all_points else points[nearest == wanted]
        shares.append((nearest == wanted).mean())
        middle = those.mean(axis=0) if len(those) else centres[wanted]
        squares = (those - (centres[wanted] if of_centre else middle.mean() if one_mean else middle)) ** 2
        size = squares.size - less if not axis_sum else len(those)
        spreads.append((squares.sum() / size) ** 0.5 if len(those) else 0.0)
        offs.append(((middle - centres[wanted]) ** 2).sum() ** 0.5)
    return np.array(shares), np.array(spreads), np.array(offs)


_CLOUD = _RNG.standard_normal((9, 2))
_CENTRES = np.array([[1.1, -0.7], [-0.9, -0.5], [0.2, 1.3]])


def _drawn(scale):
    return 1.1 * _CLOUD / (1 + scale) + np.array([0.3, 0.5]) * scale - np.array([0.2, 0.4])


def _drawn_wide(scale):
    return _CLOUD[:7, ::-1] * (1.6 - scale / 4) + np.array([-0.4, 0.1]) * scale


def _drawn_one(scale):
    return _CENTRES[:1] + 0.1 * _CLOUD[: int(3 + scale)] - scale


COST = Exercise(
    grade="explore",
    reference=_cost,
    cases=[
        (_drawn, _CENTRES, 2, [0.0, 0.9, 2.5]),
        (_drawn_wide, _CENTRES[:2], 1, [0.4, 3.0]),
        (_drawn_one, _CENTRES, 0, [0.0, 0.2, 1.5, 2.1]),
    ],
    returns=["share", "spread", "off"],
    mistakes={
        "the spread is that of all points; those that do not obey widen it, and it falls when they disappear.": (
            partial(_cost, all_points=True)
        ),
        "the spread is taken round the centre of the class; so a cloud that moved looks wide. Take its own mean.": (
            partial(_cost, of_centre=True)
        ),
        "the squares of both coordinates are summed; for a standard deviation of one coordinate take their mean.": (
            partial(_cost, axis_sum=True)
        ),
        "the spread is taken about one number, the mean of both coordinates; each coordinate has a mean of its own.": (
            partial(_cost, one_mean=True)
        ),
        "the squares are divided by one less than their number; NumPy's default divides by the number itself.": (
            partial(_cost, less=1)
        ),
        "all scales are those of the first: draw anew for each.": partial(_cost, first=True),
    },
    hints=[
        "For each scale: draw, and find the nearest centre of each point. Then look at the points alone that obey.",
        "`((points[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)` is the nearest centre. And if none obeys?",
        "With `own = points[nearest == wanted]`, the spread is `((own - own.mean(axis=0)) ** 2).mean() ** 0.5`.",
    ],
    praise="Three numbers instead of one: who obeys, how much they vary, and how far they have gone astray.",
)
