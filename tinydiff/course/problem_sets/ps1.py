"""Problem set 1: noise for a batch, what a chain remembers, exact denoisers, and the sampling loop."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(201)
_TABLE = np.concatenate([[1.0], np.cumprod(1 - np.linspace(0.02, 0.35, 12))])


def _column(numbers, x):
    return numbers.reshape(-1, *(1,) * (x.ndim - 1))


def _noisy(x_0, t, eps, alpha_bar, signal=0.5, noise=0.5, earlier=0):
    share = _column(alpha_bar[t - earlier], x_0)
    return share**signal * x_0 + (1 - share) ** noise * eps


def _one_for_all(x_0, t, eps, alpha_bar):
    return alpha_bar[t[0]] ** 0.5 * x_0 + (1 - alpha_bar[t[0]]) ** 0.5 * eps


BATCH = Exercise(
    grade="transcribe",
    reference=_noisy,
    cases=[
        (_RNG.standard_normal((3, 2, 4, 1)), np.array([1, 12, 5]), _RNG.standard_normal((3, 2, 4, 1)), _TABLE),
        (_RNG.standard_normal((2, 5)), np.array([9, 4]), _RNG.standard_normal((2, 5)), _TABLE),
        (_RNG.standard_normal((4, 4, 4, 4)), np.array([3, 3, 8, 11]), _RNG.standard_normal((4, 4, 4, 4)), _TABLE),
    ],
    returns=["x_t"],
    mistakes={
        "the shares themselves are weights; sizes are multiplied by the roots of both.": (
            partial(_noisy, signal=1.0, noise=1.0)
        ),
        "the image has its root, but the noise is multiplied by 1 - alpha_bar, a variance.": partial(_noisy, noise=1.0),
        "the noise has its root, but the image is multiplied by alpha_bar, a share of the variance.": (
            partial(_noisy, signal=1.0)
        ),
        "alpha_bar is read one step too early: its index is the time itself, as alpha_bar[0] is 1.": (
            partial(_noisy, earlier=1)
        ),
        "all images get the first one's time; each has its own.": _one_for_all,
        "the two weights are swapped: at a small t most of the image is left.": (
            lambda x_0, t, eps, alpha_bar: _noisy(eps, t, x_0, alpha_bar)
        ),
    },
    hints=[
        "For one image it is Eq. DDPM-4. What has the shape (N,), and how must it look beside (N, H, W, C)?",
        "`alpha_bar[t]` takes N numbers at once. Give them axes of length 1, so that each multiplies its own image.",
        "`share = alpha_bar[t].reshape(-1, *[1] * (x_0.ndim - 1))`; then both roots of it as always.",
    ],
    praise="This is how a training batch is made: every image at a time of its own.",
)


def _memory(alpha_bar_s, alpha_bar_t, S):
    variance_s, variance_t = alpha_bar_s * S + 1 - alpha_bar_s, alpha_bar_t * S + 1 - alpha_bar_t
    return (alpha_bar_t / alpha_bar_s * variance_s / variance_t) ** 0.5


MEMORY = Exercise(
    grade="derive",
    reference=_memory,
    cases=[(0.8, 0.3, 0.25), (0.95, 0.9, 3.0), (0.4, 0.07, 0.6), (1.0, 0.55, 0.1)],
    returns=["correlation"],
    mistakes={
        "that is right for data of variance 1 only; the variances at s and at t depend on S.": (
            lambda s, t, S: (t / s) ** 0.5
        ),
        "that is the covariance; divide by both standard deviations, at s and at t.": (
            lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s)
        ),
        "that is the square of the correlation.": lambda s, t, S: _memory(s, t, S) ** 2,
        "only the image is in your covariance; the noise that x_s has already is in x_t too.": (
            lambda s, t, S: (s * t) ** 0.5 * S / ((s * S + 1 - s) * (t * S + 1 - t)) ** 0.5
        ),
        "the covariance is divided by the variance at s; that is a slope, not a correlation.": (
            lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s) / (s * S + 1 - s) ** 0.5
        ),
        "that is the slope of the best line from x_t back to x_s; a correlation has both standard deviations below.": (
            lambda s, t, S: (t / s) ** 0.5 * (s * S + 1 - s) / (t * S + 1 - t)
        ),
        "the share of the step is upside down: alpha_bar_t is the smaller one.": (
            lambda s, t, S: (s / t * (s * S + 1 - s) / (t * S + 1 - t)) ** 0.5
        ),
    },
    hints=[
        "Write x_t with x_s and fresh noise, as in notebook 01's jump. With which part of it is x_s correlated?",
        "Cov(x_s, x_t) = sqrt(alpha_bar_t / alpha_bar_s) Var(x_s). And Var(x_s) = alpha_bar_s S + 1 - alpha_bar_s.",
        "With `v_s` and `v_t` for the variances: `(alpha_bar_t / alpha_bar_s) ** 0.5 * v_s / (v_s * v_t) ** 0.5`.",
    ],
    praise="Fresh noise is all that a chain forgets with.",
)


def _coin(x_t, alpha_bar_t, p, prior=0.5, slope=1.0, power=1.0, signal=0.5):
    log_odds = 2 * slope * alpha_bar_t**signal * x_t / (1 - alpha_bar_t) ** power + 2 * prior * np.log(p / (1 - p))
    return np.tanh(log_odds / 2)


COIN = Exercise(
    grade="derive",
    reference=_coin,
    cases=[
        (_RNG.standard_normal((2, 5)), 0.45, 0.7),
        (_RNG.standard_normal((4, 3)) * 0.6, 0.12, 0.08),
        (np.array([0.9, -1.3, 0.012, -0.004, 2.5]), 0.9991, 0.35),
    ],
    returns=["x_0_hat"],
    mistakes={
        "p is forgotten: before x_t is seen, +1 has the probability p.": lambda *args: _coin(*args, prior=0),
        "p counts twice: the ratio p / (1 - p) comes in once, under the logarithm.": lambda *args: _coin(
            *args, prior=1
        ),
        "p and 1 - p are swapped: p belongs to +1.": lambda x_t, alpha_bar_t, p: _coin(x_t, alpha_bar_t, 1 - p),
        "the factor of x_t is twice too large: (x + a)^2 - (x - a)^2 is 4 a x, and 2 b^2 stands below it.": (
            lambda *args: _coin(*args, slope=2)
        ),
        "the factor of x_t is half of what it should be.": lambda *args: _coin(*args, slope=0.5),
        "the square is divided by the noise's standard deviation; it must be the variance, 1 - alpha_bar_t.": (
            lambda *args: _coin(*args, power=0.5)
        ),
        "noise has shrunk the two values to sqrt(alpha_bar_t) times their size, not to alpha_bar_t.": (
            lambda *args: _coin(*args, signal=1.0)
        ),
        "noise has shrunk the two values: at t they are sqrt(alpha_bar_t) and -sqrt(alpha_bar_t).": (
            lambda *args: _coin(*args, signal=0.0)
        ),
        "that is the probability of +1; the mean of +1 and -1 is twice that, less 1.": (
            lambda *args: (_coin(*args) + 1) / 2
        ),
        "that is the likelier of the two values; the best guess is their mean.": lambda *args: np.sign(_coin(*args)),
    },
    hints=[
        "Let r be the probability of +1 given x_t. The mean is then r - (1 - r). How large is r / (1 - r)?",
        "By Bayes' rule L = log(r / (1 - r)) is log(p / (1 - p)) + 2 a x_t / b^2; and r - (1 - r) is tanh(L / 2).",
        "`np.tanh(alpha_bar_t**0.5 * x_t / (1 - alpha_bar_t) + np.log(p / (1 - p)) / 2)`.",
    ],
    praise="A tanh, the softest of switches: with little noise it is a step, with much of it a line.",
)


def _of_list(
    x_t, points, alpha_bar_t, largest=lambda z: z.max(axis=1, keepdims=True), least=-np.inf, scale=0.5, width=2
):
    gap = x_t[:, None] - alpha_bar_t**scale * points
    z = -(gap**2).sum(axis=2) / (width * (1 - alpha_bar_t))
    share = np.exp(np.maximum(z - largest(z), least))
    return share / share.sum(axis=1, keepdims=True) @ points


def _zero_where_blind(x_t, points, alpha_bar_t):
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(_of_list(x_t, points, alpha_bar_t, np.max))


_POINTS = _RNG.standard_normal((4, 3))

STABLE = Exercise(
    grade="debug",
    reference=_of_list,
    cases=[
        (np.concatenate([_POINTS[:2] + 0.1, _RNG.standard_normal((3, 3)) * 20]), _POINTS, 0.97),
        (_RNG.standard_normal((2, 5)), _RNG.standard_normal((3, 5)), 0.4),
        (np.array([[-60.0], [0.2], [0.7]]), np.array([[0.5], [-0.8]]), 0.85),
    ],
    returns=["x_0_hat"],
    mistakes={
        "where exp gives 0 for all points, they get equal shares; but one of them is still by far the likeliest.": (
            partial(_of_list, largest=np.max, least=-700.0)
        ),
        "where exp gives 0 for all points, the guess is 0; but one of them is still by far the likeliest.": (
            _zero_where_blind
        ),
        "the largest is taken for each point, over the batch; it must be one number for each x_t.": (
            partial(_of_list, largest=lambda z: z.max(axis=0), least=-700.0)
        ),
        "only the likeliest point is left; take the largest exponent out, and keep the others.": (
            lambda x_t, points, alpha_bar_t: points[
                (-((x_t[:, None] - alpha_bar_t**0.5 * points) ** 2).sum(axis=2)).argmax(axis=1)
            ]
        ),
    },
    hints=[
        "One image alone is right, whichever it is. So which line lets the images of a batch meddle with each other?",
        "A factor drops out of shares only if all points of one x_t have it. So each x_t needs its own largest.",
        "It should be `z = z - z.max(axis=1, keepdims=True)`.",
    ],
    praise="Each x_t now has an exponent of 0 among its own: at least one share is safe.",
)


def _predict(x_t, t):
    """Stand in for a network that predicts the noise: it mixes neighbours, and depends on the time."""
    return 0.8 * np.tanh(x_t) + 0.25 * np.roll(x_t, 1, axis=-1) - 0.03 * t


def _sampled(
    predict,
    alpha_bar,
    times,
    x_T,
    clip,
    end=(0,),
    again=True,
    clip_x=False,
    at=lambda t, s: s,
    ask=lambda t, s: t,
    root=0.5,
):
    x = x_T
    for t, s in pairwise([*times, *end]):
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        eps_hat = predict(x, ask(t, s))
        x_0_hat = (x - b * eps_hat) / a
        if clip:
            x_0_hat = np.clip(x_0_hat, -1, 1)
            if again:
                eps_hat = (x - a * x_0_hat) / b
        left = alpha_bar[at(t, s)]
        x = left**root * x_0_hat + (1 - left) ** root * eps_hat
        if clip_x and clip:
            x = np.clip(x, -1, 1)
    return x


def _restarted(predict, alpha_bar, times, x_T, clip):
    return _sampled(predict, alpha_bar, [times[0]], x_T, clip)


def _with_clip(always):
    return lambda predict, alpha_bar, times, x_T, clip: _sampled(predict, alpha_bar, times, x_T, always)


SAMPLE = Exercise(
    grade="derive",
    reference=_sampled,
    cases=[
        (_predict, _TABLE, [12, 7, 3, 1], _RNG.standard_normal((2, 5)), False),
        (_predict, _TABLE, [12, 9, 8, 2], _RNG.standard_normal((3, 4)), True),
        (_predict, _TABLE, [10, 4], _RNG.standard_normal((2, 1, 3)), True),
        (_predict, _TABLE, [5], _RNG.standard_normal((4, 2)), False),
        (_predict, _TABLE, list(range(12, 0, -1)), _RNG.standard_normal((1, 6)), True),
    ],
    returns=["x_0"],
    mistakes={
        "the last step is missing: from the last of the times it goes on to t = 0.": partial(_sampled, end=()),
        "after clipping, the old noise is mixed in; find it again, so that both guesses together still make x_t.": (
            partial(_sampled, again=False)
        ),
        "x itself is clipped too; only the guess of the clean image is, for noisy images may be larger.": (
            partial(_sampled, clip_x=True)
        ),
        "the guess is clipped even where clip is False.": _with_clip(True),
        "the guess is never clipped, though clip is True.": _with_clip(False),
        "the mix takes alpha_bar at the time t, where x is already; it leads to the next time.": (
            partial(_sampled, at=lambda t, s: t)
        ),
        "the mix leads to t - 1; the next of the times may be much earlier.": partial(_sampled, at=lambda t, s: t - 1),
        "the model is told the next time; it must hear how noisy its input is, which is t.": (
            partial(_sampled, ask=lambda t, s: s)
        ),
        "the mix has alpha_bar and 1 - alpha_bar as weights; they need their roots.": partial(_sampled, root=1.0),
        "that jumps to 0 from the first of the times; each of them is a stop.": _restarted,
    },
    hints=[
        "Write one step first, from t to s: predict the noise, find the clean image, clip, find the noise again, mix.",
        "The steps are the pairs of neighbours in `[*times, 0]`: `for t, s in pairwise([*times, 0])`.",
        "`x_0_hat = (x - b * eps_hat) / a`, clip, `eps_hat = (x - a * x_0_hat) / b`; then mix, with alpha_bar[s].",
    ],
    praise="That is a sampler, whole: the rest of the course changes only what stands behind predict.",
)


def _shares(samples, points):
    nearest = ((samples[:, None] - points) ** 2).sum(axis=2).argmin(axis=1)
    return np.bincount(nearest, minlength=len(points)) / len(samples)


def _shares_by(measure):
    def mistaken(samples, points):
        return np.bincount(measure(samples[:, None] - points).argmin(axis=1), minlength=len(points)) / len(samples)

    return mistaken


def _of_points(samples, points):
    return np.bincount(((points[:, None] - samples) ** 2).sum(axis=2).argmin(axis=0), minlength=len(points)) * 1.0


_CORNERS = np.array([[1.0, 0.3], [-0.7, 0.9], [0.1, -1.2], [8.0, 8.0]])
_CLOUD = _RNG.standard_normal((23, 2)) * 1.5
_PRODUCTS = _RNG.standard_normal((17, 3)) * 2

SHARES = Exercise(
    grade="explore",
    reference=_shares,
    cases=[
        (_CLOUD, _CORNERS),
        (_PRODUCTS, _RNG.standard_normal((5, 3))),
        (np.array([[0.0], [1.0], [2.6], [-4.0], [0.9]]), np.array([[2.0], [0.0], [9.0]])),
    ],
    returns=["shares"],
    mistakes={
        "those are counts; shares are counts divided by how many samples there are.": _of_points,
        "the counts are divided by the number of points; divide by the number of samples.": (
            lambda samples, points: _shares(samples, points) * len(samples) / len(points)
        ),
        "only the first coordinate is compared.": _shares_by(lambda gap: abs(gap[..., 0])),
        "differences are summed with their signs; square them first.": _shares_by(lambda gap: gap.sum(axis=2)),
        "the shares are of the points that are furthest away; take the nearest.": (
            _shares_by(lambda gap: -(gap**2).sum(axis=2))
        ),
        "the largest coordinate alone decides which point is near; take the distance of Pythagoras.": (
            _shares_by(lambda gap: abs(gap).max(axis=2))
        ),
    },
    hints=[
        "First, for each sample, the number of its nearest point: an array of whole numbers, (N,).",
        "`((samples[:, None] - points) ** 2).sum(axis=2)` has the shape (N, K); `.argmin(axis=1)` gives the numbers.",
        "`np.bincount(nearest, minlength=len(points)) / len(samples)`; minlength keeps the points that nobody is near.",
    ],
    praise="They sum to 1, and can be laid beside the weights of the data.",
)
