"""Exercises of notebook 25: a step of RePaint, a prediction that keeps what is known, a round trip, and an arc."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(25)


def _normal(*shapes):
    return [_RNG.standard_normal(shape) for shape in shapes]


def _join(
    x_t,
    x_0_hat,
    known,
    mask,
    eps,
    eps_known,
    alpha_bar_t,
    alpha_bar_s,
    level="s",
    fresh=True,
    turn=False,
    same=False,
    variance="beta-tilde",
    root=0.5,
    mean="posterior",
    whole=False,
):
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    of_x_0 = alpha_bar_s**0.5 * beta / (1 - alpha_bar_t)
    of_x_t = alpha**0.5 * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    unknown = of_x_0 * x_0_hat + of_x_t * x_t
    if mean == "swapped":
        unknown = of_x_t * x_0_hat + of_x_0 * x_t
    spread = {"beta-tilde": (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta, "beta": beta, "none": 0.0}[variance]
    unknown = unknown + spread**root * (eps_known if same else eps)
    at = alpha_bar_t if level == "t" else alpha_bar_s
    known_s = at**0.5 * known + (1 - at) ** 0.5 * eps_known if fresh else known
    mask = 1 - mask if turn else mask
    return mask * known_s + unknown if whole else mask * known_s + (1 - mask) * unknown


_MASK = (_RNG.random((3, 2, 5, 1)) < 0.5) + 0.0
_MASK_OF_ONE = (_RNG.random((1, 4, 3, 1)) < 0.5) + 0.0
_FIVE = [(3, 2, 5, 4), (2, 4, 3, 2)]

JOIN = Exercise(
    grade="transcribe",
    reference=_join,
    cases=[
        (*_normal(*[_FIVE[0]] * 3), _MASK, *_normal(*[_FIVE[0]] * 2), 0.3, 0.6),
        (*_normal(*[_FIVE[1]] * 3), _MASK_OF_ONE, *_normal(*[_FIVE[1]] * 2), 0.85, 0.95),
        (*_normal(*[_FIVE[0]] * 3), 1 - _MASK, *_normal(*[_FIVE[0]] * 2), 0.97, 1.0),
    ],
    returns=["x_s"],
    mistakes={
        "the known part has the noise of t, but the unknown part has come down to s: take alpha_bar_s.": (
            partial(_join, level="t")
        ),
        "the known part is joined without noise; the network would see a clean patch in a noisy picture.": (
            partial(_join, fresh=False)
        ),
        "the mask is turned round: it is 1 where the picture is known.": partial(_join, turn=True),
        "both parts have the same noise; the step's noise is eps, that of the known part eps_known.": (
            partial(_join, same=True)
        ),
        "the step's noise has the variance beta; with x_0 guessed it is beta-tilde, which is smaller.": (
            partial(_join, variance="beta")
        ),
        "the step's own noise is missing: RePaint takes DDPM's steps, which draw.": partial(_join, variance="none"),
        "the step's noise is multiplied by its variance; multiply by the root.": partial(_join, root=1.0),
        "in the step's mean the weights of x_0_hat and x_t have changed places.": partial(_join, mean="swapped"),
        "the step of the model is added everywhere; it counts where the mask is 0.": partial(_join, whole=True),
    },
    hints=[
        "Two pictures at the time s: one is known, and noised; the other is a step of DDPM. Then the mask chooses.",
        "Known: `alpha_bar_s ** 0.5 * known + (1 - alpha_bar_s) ** 0.5 * eps_known`; the step is notebook 03's.",
        "The step: alpha = alpha_bar_t / alpha_bar_s, and the mean `(alpha_bar_s ** 0.5 * (1 - alpha) * x_0_hat + "
        "alpha ** 0.5 * (1 - alpha_bar_s) * x_t) / (1 - alpha_bar_t)`; the variance is "
        "`(1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha)`.",
    ],
    praise="Both parts have come down to the same time.",
)


def _keep(
    x_t, x_0_hat, eps_hat, known, mask, alpha_bar_t, eps="found", turn=False, hard=False, by="root", sign=1, only=False
):
    mask = 1 - mask if turn else mask
    m = (mask > 0) + 0.0 if hard else mask
    x_0 = m * known + (1 - m) * x_0_hat
    found = (x_t - sign * alpha_bar_t**0.5 * x_0) / (1 - alpha_bar_t) ** (0.5 if by == "root" else 1.0)
    if only:
        found = (x_t - alpha_bar_t**0.5 * known) / (1 - alpha_bar_t) ** 0.5
    return x_0, {"found": found, "old": eps_hat, "joined": (1 - m) * eps_hat}[eps]


def _of_keep(shape, mask, alpha_bar_t):
    x_t, x_0_hat, known = _normal(shape, shape, shape)
    return x_t, x_0_hat, (x_t - alpha_bar_t**0.5 * x_0_hat) / (1 - alpha_bar_t) ** 0.5, known, mask, alpha_bar_t


_SOFT = np.round(_RNG.random((3, 2, 5, 1)), 1)

KEEP = Exercise(
    grade="debug",
    reference=_keep,
    cases=[_of_keep(_FIVE[0], _MASK, 0.3), _of_keep(_FIVE[1], _MASK_OF_ONE, 0.7), _of_keep(_FIVE[0], _SOFT, 0.55)],
    returns=["x_0", "eps"],
    mistakes={
        "the noise is still that of the network's guess; with another x_0, another noise makes x_t: find it again.": (
            partial(_keep, eps="old")
        ),
        "the noise of the known part is set to 0, but x_t has noise there: it follows from x_t and x_0.": (
            partial(_keep, eps="joined")
        ),
        "the mask is turned round: it is 1 where the picture is known.": partial(_keep, turn=True),
        "at a soft edge the mask is a share: m times the known and 1 - m times the guess.": partial(_keep, hard=True),
        "the noise is divided by its variance, 1 - alpha_bar_t; divide by the root.": partial(_keep, by="variance"),
        "the picture is added to x_t; take it away, and what is left is noise.": partial(_keep, sign=-1),
        "the noise is found from the known picture everywhere; it follows from the joined one.": (
            partial(_keep, only=True)
        ),
    },
    hints=[
        "Put what is returned into x_t = a x_0 + b eps. Where does it not hold, and which of the two has changed?",
        "Solve this equation for eps, with the new x_0, and return that in place of eps_hat.",
        "The line is `eps = (x_t - alpha_bar_t ** 0.5 * x_0) / (1 - alpha_bar_t) ** 0.5`.",
    ],
    praise="Picture and noise belong together again.",
)


def _moved(x, x_0, eps, alpha_bar):
    return alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * eps


def _trip(predict, alpha_bar, x_0, times, at="s", down_at="t", ends=True, order=True, level="t", clean=False):
    path = [*times, 0]
    x = x_0
    steps = [(t, s) for t, s in pairwise(path)]
    for t, s in reversed(steps) if order else steps:
        now = s if at == "s" else t
        now = t if now == 0 and not clean else now
        if s == 0 and not ends:
            continue
        x_0_hat, eps_hat = predict(x, now)
        x = _moved(x, x_0_hat, eps_hat, alpha_bar[t if level == "t" else s])
    x_T = x
    for t, s in steps:
        if s == 0 and not ends:
            continue
        x_0_hat, eps_hat = predict(x, t if down_at == "t" else max(s, 1))
        x = _moved(x, x_0_hat, eps_hat, alpha_bar[s])
    return x_T, x


_LEVELS = np.cos(np.linspace(0, 1.5, 41)) ** 2


def _of_a_bell(x, t, levels=_LEVELS, mean=0.4, variance=0.3):
    """Predict exactly for data that are normal."""
    a, b = levels[t] ** 0.5, (1 - levels[t]) ** 0.5
    x_0 = mean + a * variance / (a * a * variance + b * b) * (x - a * mean)
    return x_0, (x - a * x_0) / b


def _of_two(x, t, levels=_LEVELS):
    """Predict exactly for data that are -0.8 or 0.8."""
    a, b = levels[t] ** 0.5, (1 - levels[t]) ** 0.5
    x_0 = 0.8 * np.tanh(0.8 * a * x / b**2)
    return x_0, (x - a * x_0) / b


TRIP = Exercise(
    grade="explore",
    reference=_trip,
    cases=[
        (_of_a_bell, _LEVELS, _RNG.standard_normal((3, 4)), [40, 30, 20, 10]),
        (_of_two, _LEVELS, 0.8 * np.sign(_RNG.standard_normal((5, 2))) + 0.02, [40, 33, 21, 12, 5]),
        (_of_a_bell, _LEVELS, _RNG.standard_normal((2, 3, 2)), [37, 24, 3]),
    ],
    returns=["x_T", "back"],
    mistakes={
        "on the way up the network is told t, but x still has the noise of s: that is the time to predict at.": (
            partial(_trip, at="t")
        ),
        "on the way down the network is told s, but x has the noise of t.": partial(_trip, down_at="s"),
        "the step between 0 and the smallest time is left out, both ways: times do not hold 0, the path ends there.": (
            partial(_trip, ends=False)
        ),
        "the way up takes the times as they are, from the largest to the smallest; turn them round.": (
            partial(_trip, order=False)
        ),
        "each step upwards ends at the level of s, where it began; it should reach t.": partial(_trip, level="s"),
    },
    hints=[
        "Write the pairs (t, s) of the way down, the last one ending at 0. The way up takes the same pairs backwards.",
        "Up: predict at s (at t where s is 0), then join picture and noise with alpha_bar[t]. Down: predict at t.",
        "`for t, s in reversed(pairs): x_0_hat, eps_hat = predict(x, s if s > 0 else t)`, then "
        "`x = alpha_bar[t] ** 0.5 * x_0_hat + (1 - alpha_bar[t]) ** 0.5 * eps_hat`.",
    ],
    praise="There and back again; the error is worth a picture.",
)


def _slerp(a, b, w, lengths=True, swap=False, divide=True, inside=True, together=False, cosine=False, line=False):
    axes = None if together else tuple(range(1, a.ndim))
    keep = not together
    inner = (a * b).sum(axis=axes, keepdims=keep)
    squares = (a * a).sum(axis=axes, keepdims=keep) * (b * b).sum(axis=axes, keepdims=keep)
    count = a.size if together else a[0].size
    angle = np.arccos(np.clip(inner / (squares**0.5 if lengths else count), -1, 1))
    w = 1 - w if swap else w
    if line:
        x = (1 - w) * a + w * b
        return x * ((squares**0.25) / (x * x).sum(axis=axes, keepdims=keep) ** 0.5)
    turn = np.cos if cosine else np.sin
    parts = (turn((1 - w) * angle), turn(w * angle)) if inside else ((1 - w) * np.sin(angle), w * np.sin(angle))
    return (parts[0] * a + parts[1] * b) / (np.sin(angle) if divide else 1.0)


def _of_one_length(shape, length):
    return [
        length * x / np.sqrt((x * x).sum(axis=tuple(range(1, x.ndim)), keepdims=True)) for x in _normal(shape, shape)
    ]


SLERP = Exercise(
    grade="derive",
    reference=_slerp,
    cases=[
        (*_of_one_length((3, 2, 4), 3.1), 0.3),
        (*_of_one_length((2, 5), 1.7), 0.85),
        (*_of_one_length((1, 3, 2, 2), 2.4), 0.0),
        (*_of_one_length((4, 3), 0.6), 0.1),
    ],
    returns=["x"],
    mistakes={
        "that is the straight line; its middle is shorter than its ends.": partial(_slerp, inside=False),
        "that is the straight line, made as long as the ends; it lies on the sphere, but w is no share of the angle.": (
            partial(_slerp, line=True)
        ),
        "w = 0 should give a and w = 1 should give b; the two weights are swapped.": partial(_slerp, swap=True),
        "the division by the sine of the whole angle is missing.": partial(_slerp, divide=False),
        "the cosine is the product of a and b divided by the product of their own lengths.": (
            partial(_slerp, lengths=False)
        ),
        "all samples have one angle in common; each has its own: sum over all axes but the first.": (
            partial(_slerp, together=True)
        ),
    },
    hints=[
        "Draw a, b and x in their plane, all of one length. What are the angles of the triangle w_a a, w_b b, x?",
        "The angle at the tip of w_a a is pi - omega; those opposite w_a a and w_b b are (1 - w) omega and w omega. "
        "Now the law of sines.",
        "The weights are `np.sin((1 - w) * omega) / np.sin(omega)` and `np.sin(w * omega) / np.sin(omega)`.",
    ],
    praise="At an even pace along the sphere.",
)
