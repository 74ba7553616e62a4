"""Exercises of notebook 24: captions hidden in training, and a guided chain from noise to picture."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.diffusion import GaussianDiffusion, bounded, classifier_free_guidance, ddim, last

_ROWS = np.array([[9, 1, 4, 10, 10], [9, 2, 2, 3, 10], [9, 5, 10, 10, 10], [9, 6, 1, 4, 10]])
_EMPTY = np.array([9, 10, 10, 10, 10])
_U = np.array([0.05, 0.6, 0.3, 0.95])


def _hidden(rows, empty, u, share):
    return np.where((u < share)[:, None], empty, rows)


HIDE = Exercise(
    grade="transcribe",
    reference=_hidden,
    cases=[(_ROWS, _EMPTY, _U, 0.1), (_ROWS, _EMPTY, _U, 0.5), (_ROWS, _EMPTY, _U, 0.0)],
    returns=["rows"],
    mistakes={
        "the wrong captions are hidden: those with u below the share are, a share of all.": (
            lambda rows, empty, u, share: np.where((u >= share)[:, None], empty, rows)
        ),
        "hidden rows are filled with 0, which is the token of a byte; the empty prompt has a start and ends.": (
            lambda rows, empty, u, share: np.where((u < share)[:, None], 0, rows)
        ),
        "hidden rows are filled only with ends; the empty prompt begins with a start.": (
            lambda rows, empty, u, share: np.where((u < share)[:, None], empty[-1], rows)
        ),
        "hidden rows are left out, but each picture needs a row.": lambda rows, empty, u, share: rows[u >= share],
        "nothing is hidden, so the network never learns to draw without words, and guidance has no null branch.": (
            lambda rows, empty, u, share: rows.copy()
        ),
    },
    hints=[],
    praise="One caption in ten is hidden, and the network learns to draw with words and without.",
)

_RNG = np.random.default_rng(24)
_ALPHA_BAR = np.linspace(1, 0.02, 5).tolist()
_X_T, _WORDS, _NOTHING = (_RNG.standard_normal((2, 3)) for _ in range(3))


def _guess(x, t, context):
    return np.sin(x + 0.3 * t) * context


def _drawn(guess, alpha_bar, x_T, words, nothing, scale, times):
    diffusion = GaussianDiffusion(np.array(alpha_bar))

    def predict(x_t, t, context):
        x_0_hat = guess(x_t, t[0], context)
        return x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat)

    guided = bounded(classifier_free_guidance(predict, diffusion, nothing, scale), diffusion)
    return last(ddim(guided, diffusion, x_T, times[:-1], context=words, end=times[-1]))


def _by_hand(
    guess, alpha_bar, x_T, words, nothing, scale, times, clip=True, late=False, paper=False, guided=True, at_s=False
):
    x = x_T
    for t, s in pairwise(times):
        given, free = guess(x, t, words), guess(x, t, nothing)
        start = given if paper else free
        x_0 = start + scale * (given - free) if guided else given
        eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x_0 = np.clip(x_0, -1, 1) if clip else x_0
        if clip and not late:
            eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        there = t if at_s else s
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[there]) ** 0.5 * eps
    return x


def _swapped(guess, alpha_bar, x_T, words, nothing, scale, times):
    return _by_hand(guess, alpha_bar, x_T, nothing, words, scale, times)


def _one_step(guess, alpha_bar, x_T, words, nothing, scale, times):
    return _by_hand(guess, alpha_bar, x_T, words, nothing, scale, times[:2])


CHAIN = Exercise(
    grade="transcribe",
    reference=_drawn,
    cases=[
        (_guess, _ALPHA_BAR, _X_T, _WORDS, _NOTHING, 3.0, [4, 3, 2, 1, 0]),
        (_guess, _ALPHA_BAR, _X_T, _WORDS, _NOTHING, 1.5, [4, 2, 1]),
    ],
    returns=["x"],
    mistakes={
        "the guess is not kept within black and white: clip it to [-1, 1].": partial(_by_hand, clip=False),
        "the noise is that of the guess before it was clipped; find it again after.": partial(_by_hand, late=True),
        "guidance starts from the guess with words; it starts from the one without, and s counts from there.": (
            partial(_by_hand, paper=True)
        ),
        "there is no guidance: the guess without words is not used.": partial(_by_hand, guided=False),
        "words and no words are swapped: the picture is pushed away from what was asked for.": _swapped,
        "the noise of time t is put back; at time s there is less.": partial(_by_hand, at_s=True),
        "that is one step of the chain; go on from x to the last time.": _one_step,
    },
    hints=[],
    praise="From noise to a picture: guess with words and without, go beyond, step down.",
    tolerance=1e-9,
)
