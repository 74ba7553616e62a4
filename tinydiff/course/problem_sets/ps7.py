"""Problem set 7, words and pictures: hidden words, sharpness, shifted maps, several texts, a word's worth."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.by_hand import softmax
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(70)


def _normal(*shapes):
    return [_RNG.standard_normal(shape) for shape in shapes]


def _turned(a):
    return a.swapaxes(-1, -2)


def _masked(q, k, v, lengths, way="before", shift=0, turned=False, scaled=True, first=False):
    scores = q @ _turned(k) / (q.shape[-1] ** 0.5 if scaled else 1.0)
    count = np.full_like(lengths, lengths[0]) if first else lengths
    seen = np.arange(k.shape[1]) < (count + shift)[:, None, None]
    if turned:
        seen = ~seen if (lengths < k.shape[1]).all() else seen
    if way == "before":
        weights = softmax(np.where(seen, scores, -np.inf))
    elif way == "after":
        weights = np.where(seen, softmax(scores), 0.0)
    elif way == "zero":
        weights = softmax(np.where(seen, scores, 0.0))
    else:
        weights = softmax(scores)
    return weights @ v, weights


def _of_masked(n, pixels, words, wide, out, lengths, size=1.0):
    q, k, v = _normal((n, pixels, wide), (n, words, wide), (n, words, out))
    return size * q, k, v, np.array(lengths)


_SEEN_FAR_BELOW = (  # scores are thousands, those of the hidden words far above 0 and the others far below
    1000 * np.array([[[1.0, 0, 2, 0], [0, 3, 0, 1]], [[2, 1, 0, 0], [0, 0, 1, 3]]]),
    np.array([[[-9.0, -5, -8, -7], [-7, -6, -6, -8], [9, 9, 9, 9]], [[-6, -8, -9, -7], [9, 8, 9, 7], [8, 9, 8, 9]]]),
    np.array([[[1.0, -0.5], [0.3, 2.0], [-1.4, 0.8]], [[-0.6, 0.9], [1.2, 0.1], [0.4, -1.1]]]),
    np.array([2, 1]),
)

MASKED = Exercise(
    grade="transcribe",
    reference=_masked,
    cases=[
        _of_masked(3, 4, 6, 5, 2, [2, 5, 4]),
        _of_masked(2, 5, 4, 3, 3, [4, 1]),
        _of_masked(2, 3, 7, 4, 5, [3, 6], size=400.0),
        _SEEN_FAR_BELOW,
    ],
    returns=["y", "weights"],
    mistakes={
        "the weights are cut after the softmax, so they no longer sum to 1: hide the scores before it.": (
            partial(_masked, way="after")
        ),
        "hidden scores are set to 0, which is a score like any other; e^0 is 1. Take one whose exponential is 0.": (
            partial(_masked, way="zero")
        ),
        "nothing is hidden: the pixels still look at what stands behind the end.": partial(_masked, way="none"),
        "one token too few is seen: a text of length 3 has the tokens 0, 1 and 2.": (
            lambda q, k, v, lengths: _masked(q, k, v, np.maximum(lengths - 1, 1))
        ),
        "one token too many is seen: a text of length 3 has the tokens 0, 1 and 2.": partial(_masked, shift=1),
        "all texts are cut at the length of the first; each has a length of its own.": partial(_masked, first=True),
        "the scores are not divided by the root of the width of q.": partial(_masked, scaled=False),
    },
    hints=[
        "Which entries of the scores (N, pixels, words) belong to tokens behind the end?",
        "`np.arange(words) < lengths[:, None, None]` says which are seen. What must a score be, so that e^score is 0?",
        "`scores = np.where(seen, scores, -np.inf)`, then the softmax, with the largest score taken away first.",
    ],
    praise="What is not there gets nothing, and the rest shares the whole.",
)


def _sharpness(dy, scores, v, tau, shifted=True, slopes="scores", per=None, exp=True, power=1.0):
    scale = np.exp(tau)
    weights = softmax(scale * scores if exp else tau * scores)
    d_weights = dy @ _turned(v)
    mean = (weights * d_weights).sum(axis=-1, keepdims=True) if shifted else 0.0
    d_scaled = weights * (d_weights - mean)
    products = d_scaled * (scores if slopes == "scores" else 1.0) * (scale**power if exp else 1.0)
    if slopes == "weights":
        products = d_weights * scores * scale
    total = products.sum() if per is None else products.mean() if per == "all" else products.sum() / len(dy)
    return weights @ v, total


def _of_sharpness(n, pixels, words, out, tau):
    dy, scores, v = _normal((n, pixels, out), (n, pixels, words), (n, words, out))
    return dy, scores, v, tau


SHARPNESS = Exercise(
    grade="derive",
    reference=_sharpness,
    cases=[_of_sharpness(2, 4, 5, 3, 0.4), _of_sharpness(3, 5, 2, 4, -0.8), _of_sharpness(1, 6, 4, 2, 1.1)],
    returns=["y", "d_tau"],
    mistakes={
        "the scores are multiplied by tau itself; tau is the logarithm of the sharpness.": partial(
            _sharpness, exp=False
        ),
        "the softmax's backward lacks its second part: weights sum to 1, so what raises one lowers the others.": (
            partial(_sharpness, shifted=False)
        ),
        "the softmax is left out of the way back.": partial(_sharpness, slopes="weights"),
        "that is the slope in e^tau; tau is its logarithm, so a factor e^tau is missing.": partial(
            _sharpness, power=0.0
        ),
        "the sharpness is one number for all pixels and words: its parts add, and no mean is taken.": (
            partial(_sharpness, per="all")
        ),
        "the parts of the pictures add as well: divide by nothing.": partial(_sharpness, per="pictures"),
    },
    hints=[
        "y = P v, P = softmax(z), z = e^tau times the scores. Walk back: from dy to d_weights, to d_z, to d_tau.",
        "If tau grows by a little, each z grows by z times that little. What does that say of d_tau?",
        "`d_z = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True))` and `d_tau = (d_z * z).sum()`.",
    ],
    praise="One number says how sharply pixels look, and it can be learned.",
)


def _word_maps(weights, pieces, height, width, first=1, heads="mean", join="sum", turned=False, step=None):
    mean = {"mean": weights.mean(axis=0), "first": weights[0], "max": weights.max(axis=0)}[heads]
    maps = []
    for count in pieces:
        part = mean[:, first : first + count]
        part = part.sum(axis=1) if join == "sum" else part.mean(axis=1) if join == "mean" else part[:, 0]
        maps.append(part.reshape(width, height).T if turned else part.reshape(height, width))
        first += count if step is None else step
    return np.stack(maps)


def _of_maps(heads, height, width, pieces, more):
    scores = 2 * _RNG.standard_normal((heads, height * width, 1 + sum(pieces) + more))
    return softmax(scores), pieces, height, width


WORD_MAPS = Exercise(
    grade="debug",
    reference=_word_maps,
    cases=[
        _of_maps(3, 2, 4, [1, 3, 2], 2),
        _of_maps(2, 5, 3, [2, 1, 1, 4], 3),
        _of_maps(4, 3, 2, [1, 2], 1),
    ],
    returns=["maps"],
    mistakes={
        PLANTED: (partial(_word_maps, first=0)),
        "two tokens are skipped at the beginning; there is one start.": partial(_word_maps, first=2),
        "only the first token of each word counts; a word gets what all its tokens get.": partial(
            _word_maps, join="one"
        ),
        "the tokens of a word are averaged; the word gets the sum of what they get.": partial(_word_maps, join="mean"),
        "each word is taken for one token when the next one is looked for; move on by all its tokens.": (
            partial(_word_maps, step=1)
        ),
        "only the first head is looked at; take the mean over heads.": partial(_word_maps, heads="first"),
        "height and width are exchanged: pixels lie row by row.": partial(_word_maps, turned=True),
    },
    hints=[
        "Which token is number 0 of each row? Whose map does the first word get?",
        "Count by hand for `pieces = [1, 3]`: which token numbers belong to the first word, and which to the second?",
        "The words begin at token 1: `first = 1`.",
    ],
    praise="Each word has its own map again.",
)


def _regions(guess, alpha_bar, x_T, texts, masks, nothing, scale, times, **wrong):
    x = x_T
    for t, s in pairwise(times):
        free = guess(x, t, nothing)
        pull = sum(mask * (guess(x, t, text) - free) for text, mask in zip(texts, masks, strict=True))
        if wrong.get("share"):
            pull = pull / len(texts)
        if wrong.get("inputs"):  # the mask cuts what the network sees
            pull = sum(mask * (guess(mask * x, t, text) - free) for text, mask in zip(texts, masks, strict=True))
        if wrong.get("nowhere"):
            pull = sum(guess(x, t, text) - free for text in texts)
        if wrong.get("one"):
            pull = masks[0] * (guess(x, t, texts[0]) - free)
        x_0 = free + scale * pull
        if wrong.get("given"):
            covered = sum(masks)
            x_0 = (
                (1 - covered) * free + sum(m * guess(x, t, c) for c, m in zip(texts, masks, strict=True)) + scale * pull
            )
        if wrong.get("weak"):
            x_0 = free + pull
        if wrong.get("alone"):
            x_0 = scale * pull
        x_0 = x_0 if wrong.get("loose") else np.clip(x_0, -1, 1)
        eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        if wrong.get("late"):
            loose = free + scale * pull
            eps = (x - alpha_bar[t] ** 0.5 * loose) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
    return x


def _mixes(x, t, context):
    """Guess from all pixels, as a network does: what stands elsewhere counts too."""
    return 1.4 * np.sin(x + 0.4 * x.mean() + 0.2 * t) * context + 0.1 * context


_LEVELS = [1.0, 0.96, 0.88, 0.74, 0.57, 0.39, 0.21, 0.07]


def _of_regions(n, height, width, channels, count, scale, times):
    texts = [1.2 * _RNG.standard_normal(channels) for _ in range(count)]
    cuts = np.linspace(0, width, count + 1).astype(int)
    masks = []
    for a, b in pairwise(cuts):
        mask = np.zeros((1, height, width, 1))
        mask[:, 1:, a:b] = 1  # the first row belongs to no text
        masks.append(mask)
    for mask in masks:
        mask[:, 1, -1] = 0.7  # here all texts pull
    masks[0][0, -1, 0, 0] = 0.35
    x_T = _RNG.standard_normal((n, height, width, channels))
    return _mixes, _LEVELS, x_T, texts, masks, 0.6 * _RNG.standard_normal(channels), scale, times


REGIONS = Exercise(
    grade="transcribe",
    reference=_regions,
    cases=[
        _of_regions(2, 3, 5, 4, 2, 2.5, [7, 5, 2, 0]),
        _of_regions(3, 2, 7, 3, 3, 1.4, [6, 4, 1]),
        _of_regions(1, 4, 3, 2, 1, 4.0, [7, 6, 3]),
    ],
    returns=["x"],
    mistakes={
        "the pulls are averaged over the texts; each acts in full where its mask is 1.": partial(_regions, share=True),
        "the network is shown only the masked part of x; it always sees all of x, and only its answer is masked.": (
            partial(_regions, inputs=True)
        ),
        "the masks are not used: all texts pull everywhere.": partial(_regions, nowhere=True),
        "only the first text pulls.": partial(_regions, one=True),
        "guidance starts from the guesses with words; it starts from the one without, everywhere.": (
            partial(_regions, given=True)
        ),
        "the guess without words is missing: the pull is added to it.": partial(_regions, alone=True),
        "the scale is not used.": partial(_regions, weak=True),
        "the guess is not kept within black and white: clip it to [-1, 1].": partial(_regions, loose=True),
        "the noise is that of the guess before it was clipped; find it again after.": partial(_regions, late=True),
    },
    hints=[
        "Take notebook 24's chain. Where there was one way from `free` to `given`, there are now several, each masked.",
        "`pull` is the sum of `mask * (guess(x, t, text) - free)` over all texts; the guess is `free + scale * pull`.",
        "Then clip, `eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5`, and "
        "`x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps`.",
    ],
    praise="One picture, several texts, each in its place.",
)


def _worth(
    guess, x, t, words, nothing,
    power=2, root=True, all_others=False, reduce="mean", zero=False, pooled=False, one_by_one=True,
):  # fmt: skip
    whole, found = guess(x, t, words), []
    for j in range(words.shape[1]):
        other = nothing.copy() if all_others else words.copy()
        if not one_by_one:
            other[:, :j] = nothing[:, :j]
        other[:, j] = words[:, j] if all_others else 0.0 if zero else nothing[:, j]
        change = abs(guess(x, t, other) - (guess(x, t, nothing) if all_others else whole)) ** power
        axes = None if pooled else tuple(range(1, change.ndim))
        value = change.mean(axis=axes) if reduce == "mean" else change.sum(axis=axes)
        found.append(np.broadcast_to(value, len(x)))
    worth = np.stack(found, axis=1)
    return worth ** (1 / power) if root else worth


def _of_worth(n, height, width, words, channels, t):
    def guess(x, t, context):
        pull = np.tanh(context @ np.linspace(-1, 1, channels)[:, None])[:, None]  # (n, 1, words, 1)
        seen = softmax(x[..., :1].reshape(len(x), -1, 1) * np.cos(np.arange(words) + 0.1 * t))
        return np.tanh(x + (seen @ pull[:, 0]).reshape(*x.shape[:3], 1) * (1 + x**2))

    return (guess, *_normal((n, height, width, 2)), t, *_normal((n, words, channels), (n, words, channels)))


WORTH = Exercise(
    grade="explore",
    reference=_worth,
    cases=[_of_worth(3, 2, 5, 4, 6, 3), _of_worth(2, 3, 2, 6, 4, 8), _of_worth(1, 4, 3, 2, 5, 1)],
    returns=["worth"],
    mistakes={
        "that is the mean square; take its root, so that it is a change of pixels.": partial(_worth, root=False),
        "that is the mean absolute change; take the root of the mean square.": partial(_worth, power=1),
        "that keeps one word and takes all others away; take away one and keep the others.": (
            partial(_worth, all_others=True)
        ),
        "the word's vector is set to 0, which is a vector like any other; put that of the empty prompt in its place.": (
            partial(_worth, zero=True)
        ),
        "the words before it are still away; put each back before the next is taken, so that one alone is missing.": (
            partial(_worth, one_by_one=False)
        ),
        "squares are summed over the pixels; take their mean.": partial(_worth, reduce="sum"),
        "all pictures share one number; each has its own: the mean runs over all axes but the first.": (
            partial(_worth, pooled=True)
        ),
    },
    hints=[
        "Guess once with all words. Then, for each word, once without it; how far apart are the two guesses?",
        "Copy `words`, put `nothing[:, j]` in place of `words[:, j]`, guess, and compare with the first guess.",
        "`np.sqrt(((guess(x, t, other) - whole) ** 2).mean(axis=(1, 2, 3)))`, one column for each j.",
    ],
    praise="How much a picture would miss each word.",
)
