"""Exercises of notebook 24: a guided chain, a batch of pairs, precision and recall, what guidance does to shares."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(24)


def _guess(x, t, context):
    return 1.6 * np.sin(x + 0.3 * t) * context


def _constant_guess(x, t, context):
    return context + 0.05 * t + 0.0 * x


def _chain(
    guess,
    alpha_bar,
    x_T,
    words,
    nothing,
    scale,
    times,
    clip=True,
    late=False,
    branches=False,
    start="nothing",
    guided=True,
    noise_of="s",
    guess_at="t",
    root=0.5,
    unguided_noise=False,
):
    x = x_T
    for t, s in pairwise(times):
        at = t if guess_at == "t" else s
        given, free = guess(x, at, words), guess(x, at, nothing)
        if branches:
            given, free = np.clip(given, -1, 1), np.clip(free, -1, 1)
        x_0 = {"nothing": free, "words": given}[start] + scale * (given - free) if guided else given
        eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x_0 = np.clip(x_0, -1, 1) if clip else x_0
        if not late:
            eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        if unguided_noise:
            eps = (x - alpha_bar[t] ** 0.5 * np.clip(given, -1, 1)) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** root * x_0 + (1 - alpha_bar[t if noise_of == "t" else s]) ** root * eps
    return x


def _swapped(guess, alpha_bar, x_T, words, nothing, scale, times):
    return _chain(guess, alpha_bar, x_T, nothing, words, scale, times)


def _one_step(guess, alpha_bar, x_T, words, nothing, scale, times):
    return _chain(guess, alpha_bar, x_T, words, nothing, scale, times[:2])


_ALPHA_BAR = [1.0, 0.95, 0.86, 0.71, 0.55, 0.38, 0.2, 0.06]
_X_T, _WORDS, _NOTHING = (_RNG.standard_normal((2, 3, 4)) for _ in range(3))

CHAIN = Exercise(
    grade="transcribe",
    reference=_chain,
    cases=[
        (_guess, _ALPHA_BAR, _X_T, _WORDS, _NOTHING, 3.0, [7, 5, 4, 1, 0]),
        (_guess, _ALPHA_BAR, 1.6 * _X_T[:1], 0.4 * _WORDS[:1], 0.3 * _NOTHING[:1], 1.7, [6, 3, 2]),
        (_constant_guess, _ALPHA_BAR, _X_T[0], 0.9 * _NOTHING[1], 0.8 * _WORDS[0], 0.4, [7, 2, 0]),
    ],
    returns=["x"],
    mistakes={
        "the guess is not kept within black and white: clip it to [-1, 1].": partial(_chain, clip=False, late=True),
        "each guess is clipped before guidance; then the line through both is bent. Clip once, what guidance gives.": (
            partial(_chain, branches=True)
        ),
        "the noise is that of the guess before it was clipped; find it again after.": partial(_chain, late=True),
        "guidance starts from the guess with words; it starts from the one without, and s counts from there.": (
            partial(_chain, start="words")
        ),
        "there is no guidance: the guess without words is not used.": partial(_chain, guided=False),
        "the noise belongs to the guess with words; it should be that of the guided and clipped one.": (
            partial(_chain, unguided_noise=True)
        ),
        "words and no words are swapped: the picture is pushed away from what was asked for.": _swapped,
        "the noise of time t is put back; at time s there is less.": partial(_chain, noise_of="t"),
        "the network is told the time s, but x has the noise of t.": partial(_chain, guess_at="s"),
        "x at s is put together without roots: alpha_bar is a share of the variance.": partial(_chain, root=1.0),
        "that is one step of the chain; go on from x to the last time.": _one_step,
    },
    hints=[
        "One step: two guesses, one guided guess, one clip, the noise that belongs to it, and then x at the next time.",
        "From free go to `free + scale * (given - free)`; only then clip. Solve the equation of x_t for the noise.",
        "`eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5`, and "
        "`x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps`, for each pair of times.",
    ],
    praise="From noise to a picture: guess with words and without, go beyond, step down.",
)


def _batch(images, rows, empty, picked, u, share, alpha_bar, t, eps, **wrong):
    x_0 = images[: len(picked)] if wrong.get("first") else images[picked]
    chosen = rows[: len(picked)] if wrong.get("paired") else rows[picked]
    signal, noise = (a.reshape(-1, 1, 1, 1) for a in (alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5))
    if wrong.get("swap"):
        signal, noise = noise, signal
    if wrong.get("early"):
        signal = alpha_bar[t - 1].reshape(-1, 1, 1, 1) ** 0.5
    hidden = {"below": u < share, "up to": u <= share, "others": u >= share, "none": u < 0}[wrong.get("which", "below")]
    fill = {"empty": empty, "zero": 0, "end": empty[-1]}[wrong.get("fill", "empty")]
    return signal * x_0 + noise * eps, np.where(hidden[:, None], fill, chosen)


def _of_batch(n, share, u):
    images = _RNG.uniform(-1, 1, (9, 3, 2, 4))
    rows = np.concatenate([np.full((9, 1), 11), _RNG.integers(1, 11, (9, 4)), np.full((9, 1), 12)], axis=1)
    picked = _RNG.permutation(9)[:n]
    alpha_bar = np.concatenate([[1.0], np.linspace(0.97, 0.03, 12)])
    eps = _RNG.standard_normal((n, 3, 2, 4))
    t = _RNG.integers(1, 13, n)
    return images, rows, np.array([11, 12, 12, 12, 12, 12]), picked, np.array(u), share, alpha_bar, t, eps


BATCH = Exercise(
    grade="debug",
    reference=_batch,
    cases=[
        _of_batch(5, 0.25, [0.9, 0.25, 0.1, 0.24, 0.26]),
        _of_batch(4, 0.6, [0.3, 0.6, 0.7, 0.05]),
        _of_batch(3, 0.0, [0.0, 0.2, 0.8]),
    ],
    returns=["x_t", "tokens"],
    mistakes={
        PLANTED: (partial(_batch, paired=True)),
        "the captions are those that were picked, but the images are the first ones.": partial(_batch, first=True),
        "where u equals the share, the caption stays: hide below the share only, so that a share of 0 hides none.": (
            partial(_batch, which="up to")
        ),
        "the wrong captions are hidden: those with u below the share are, a share of all.": (
            partial(_batch, which="others")
        ),
        "hidden rows are filled with 0, which is the token of a byte; the empty prompt has a start and ends.": (
            partial(_batch, fill="zero")
        ),
        "hidden rows are filled only with ends; the empty prompt begins with a start.": partial(_batch, fill="end"),
        "nothing is hidden, so the network never learns to draw without words, and guidance has no null branch.": (
            partial(_batch, which="none")
        ),
        "image and noise have exchanged their weights.": partial(_batch, swap=True),
        "the image has the weight of t - 1; alpha_bar begins with t = 0, so its index is t itself.": (
            partial(_batch, early=True)
        ),
    },
    hints=[
        "Which picture does the first caption of the batch belong to? Look at what is indexed with what.",
        "`picked` says which pairs the batch is made of: it must choose images and captions alike.",
        "The rows of the batch are `rows[picked]`.",
    ],
    praise="Each picture has its own caption, or none.",
)


def _inside(points, centres, k, strict=False, shift=0, by_points=False, squared=False, largest=False):
    def distances(a, b):
        d = ((a[:, None] - b[None]) ** 2).sum(axis=-1)
        return d if squared else np.sqrt(d)

    radii = np.sort(distances(centres, centres), axis=1)[:, k + shift]
    if largest:
        radii = np.full_like(radii, radii.max())
    d = distances(points, centres)
    if by_points:  # the ball belongs to the point instead of the centre
        own = np.sort(distances(points, points), axis=1)[:, k]
        return (d <= own[:, None]).any(axis=1).mean()
    return (d < radii if strict else d <= radii).any(axis=1).mean()


def _precision_recall(real, drawn, k, swap=False, nearest=False, **wrong):
    def inside(points, centres):
        if not nearest:
            return _inside(points, centres, k, **wrong)
        d = np.sqrt(((points[:, None] - centres[None]) ** 2).sum(axis=-1))
        radii = np.sort(np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(axis=-1)), axis=1)[:, k]
        closest = d.argmin(axis=1)
        return (d[np.arange(len(points)), closest] <= radii[closest]).mean()

    precision, recall = inside(drawn, real), inside(real, drawn)
    return (recall, precision) if swap else (precision, recall)


def _clouds(n, m, f, spread):
    return _RNG.standard_normal((n, f)), spread * _RNG.standard_normal((m, f)) + 0.4


_ON_A_LINE = np.array([[0.0, 1.0], [1.0, 1.0], [3.0, 1.0], [7.0, 1.0]])  # whole numbers: distances are exact
_TOUCHING = np.array([[4.0, 1.0], [-2.0, 1.0], [9.5, 1.0], [13.0, 1.0], [30.0, 1.0]])
_TWICE = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, 1.0], [5.0, 1.0]])  # a twin is a neighbour, at distance 0
_NEAR_TWINS = np.array([[4.0, 1.0], [-4.0, 1.0], [11.0, 1.0], [-2.0, 1.0], [3.0, 1.0]])

RECALL = Exercise(
    grade="transcribe",
    reference=_precision_recall,
    cases=[
        (*_clouds(11, 14, 3, 0.8), 2),
        (*_clouds(16, 9, 4, 1.5), 3),
        (_ON_A_LINE, _TOUCHING, 1),
        (_TOUCHING, _ON_A_LINE, 2),
        (_TWICE, _NEAR_TWINS, 2),
        (*_clouds(13, 17, 5, 1.1), 1),
    ],
    returns=["precision", "recall"],
    mistakes={
        "a point that is exactly as far as the k-th neighbour is inside: the comparison is `<=`.": (
            partial(_precision_recall, strict=True)
        ),
        "a point is its own nearest neighbour, at distance 0, and counts as the first; the k-th other one is meant.": (
            partial(_precision_recall, shift=-1)
        ),
        "precision and recall have changed places: precision is a share of the drawn points.": (
            partial(_precision_recall, swap=True)
        ),
        "the radius belongs to the points that are tested; the balls stand around the points of the other set.": (
            partial(_precision_recall, by_points=True)
        ),
        "only the ball of the nearest point is asked; one farther away may have a larger ball.": (
            partial(_precision_recall, nearest=True)
        ),
        "all balls have the radius of the largest; each has its own, small where points lie close.": (
            partial(_precision_recall, largest=True)
        ),
    },
    hints=[
        "Each real point has a ball. First find its radius, from the real points alone; then ask each drawn point.",
        "`((a[:, None] - b[None]) ** 2).sum(-1)` holds all squared distances; sort each row among the real ones.",
        "In a sorted row of distances among the real ones, place 0 is the point itself and place k its k-th neighbour; "
        "then `(distances <= radii).any(axis=1).mean()`.",
    ],
    praise="How much of what is drawn is real, and how much of what is real is drawn.",
)


def _tilted(p, p_given, scale, start="p", normal=True, log=False, number="entropy", base=np.e):
    with np.errstate(all="ignore"):
        if log == "shares":  # the line through the shares themselves
            shares = p + scale * (p_given - p)
        else:
            first = {"p": p, "given": p_given}[start]
            shares = np.where(p > 0, first * (p_given / np.where(p > 0, p, 1)) ** scale, 0)
        shares = shares / shares.sum() if normal else shares
        logs = np.where(shares > 0, np.log(np.where(shares > 0, shares, 1)), 0) / np.log(base)
    entropy = -(shares * logs).sum()
    effective = {
        "entropy": np.exp(entropy),
        "plain": entropy,
        "squares": 1 / (shares**2).sum(),
        "max": 1 / shares.max(),
    }
    return shares, effective[number]


_P, _P_GIVEN = (a / a.sum() for a in (_RNG.uniform(0.2, 1, 5), _RNG.uniform(0.2, 1, 5)))
_WITH_0 = np.array([0.3, 0.0, 0.45, 0.25])

TONES = Exercise(
    grade="derive",
    reference=_tilted,
    cases=[
        (_P, _P_GIVEN, 3.0),
        (np.array([0.27, 0.4, 0.33]), np.array([0.3, 0.45, 0.25]), 8.0),
        (_WITH_0, np.array([0.4, 0.0, 0.35, 0.25]), 1.6),
        (_P_GIVEN, _P, 0.7),
        (np.array([0.6, 0.004, 0.396]), np.array([0.3, 0.1, 0.6]), 2.0),  # a rare tone may become a frequent one
    ],
    returns=["shares", "effective"],
    mistakes={
        "the shares do not sum to 1: divide by their sum.": partial(_tilted, normal=False),
        "guidance adds logarithms, not shares: on the line through the shares themselves they could become negative.": (
            partial(_tilted, log="shares")
        ),
        "that starts from the shares with words; start from those without, so that a scale of 1 gives p_given.": (
            partial(_tilted, start="given")
        ),
        "the second number is the entropy in nats; its exponential is a number of tones.": (
            partial(_tilted, number="plain")
        ),
        "the entropy is in bits, but it is raised with e: take the same base both times.": partial(_tilted, base=2.0),
        "that is one over the sum of squares, another measure of variety; take the exponential of the entropy.": (
            partial(_tilted, number="squares")
        ),
    },
    hints=[
        "Guidance goes from the score without words s times the way to the one with words. Scores are slopes of log p.",
        "So log p_k + s (log p_k(c) - log p_k) is the new logarithm, up to a constant; the shares must sum to 1.",
        "`shares = p * (p_given / p) ** scale`, divided by their sum; then `np.exp(-(shares * np.log(shares)).sum())`, "
        "where a share of 0 counts 0.",
    ],
    praise="A scale is a power: small differences grow.",
)
