"""Exercises of notebook 35: embeddings at scale 1, a prior's row of tokens, what a draw is worth, and text diffs."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import softmax
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(35)


def _unit(*shape):
    x = _RNG.standard_normal(shape)
    return x / np.sqrt((x * x).sum(axis=-1, keepdims=True))


def _standardised(
    known, z, x, axis=0, centred=True, of_z=False, power=1.0, length=True, back_mean=True, together=False
):
    of = z if of_z else known
    mean, std = of.mean(axis=0), of.std(axis=0) ** power
    if together:
        mean, std = of.mean(), of.std()
    if axis == 1:
        forward = (z - z.mean(axis=1, keepdims=True)) / z.std(axis=1, keepdims=True)
    else:
        forward = (z - centred * mean) / std
    back = x * std + back_mean * mean
    if length:
        back = back / np.sqrt((back * back).sum(axis=1, keepdims=True))
    return forward, back


def _embeddings(n, size):
    z = 0.6 * _RNG.standard_normal(size) + np.linspace(0.2, 1.5, size) * _RNG.standard_normal((n, size))
    return z / np.sqrt((z * z).sum(axis=1, keepdims=True))


STANDARDISE = Exercise(
    grade="derive",
    reference=_standardised,
    cases=[
        (_embeddings(9, 4), _embeddings(3, 4), _RNG.standard_normal((2, 4))),
        (_embeddings(12, 6), _embeddings(5, 6), _RNG.standard_normal((4, 6))),
        (_embeddings(7, 3), _embeddings(6, 3), 2 * _RNG.standard_normal((5, 3))),
    ],
    returns=["x_of_z", "z_of_x"],
    mistakes={
        "there is one mean and one standard deviation for all; each of the numbers of an embedding has its own.": (
            partial(_standardised, together=True)
        ),
        "each vector is standardised over its own numbers; take mean and standard deviation over the known ones.": (
            partial(_standardised, axis=1)
        ),
        "the mean is not taken away.": partial(_standardised, centred=False),
        "mean and standard deviation are those of the few new embeddings; take those of the known ones.": (
            partial(_standardised, of_z=True)
        ),
        "it is divided by the variance; divide by its root, the standard deviation.": partial(_standardised, power=2.0),
        "what comes back is not of length 1, as every embedding is.": partial(_standardised, length=False),
        "on the way back the mean is not added.": partial(_standardised, back_mean=False),
    },
    hints=[
        "There is a mean and a standard deviation for each number of an embedding: which axis are the vectors?",
        "Solve x = (z - mean) / std for z. Noise may leave a z of any length: bring it to length 1.",
        "`(z - known.mean(axis=0)) / known.std(axis=0)`, and `x * std + mean`, divided by its length.",
    ],
    praise="Of size 1 for the noise, and of length 1 for the CLIP.",
)


def _row(text, text_embedding, clock, noisy, places, order=(0, 1, 2, 3, 4), placed=True, query=True, turned=False):
    n, _, c = text.shape
    last = np.zeros((n, 1, c)) if query else np.broadcast_to(text_embedding[:, None], (n, 1, c))
    parts = [text, text_embedding[:, None], clock[:, None], noisy[:, None], last]
    row = np.concatenate([parts[i] for i in order], axis=1)
    return row + placed * (places[::-1] if turned else places)


def _row_case(n, length, c):
    of_one = _RNG.standard_normal((3, n, c))
    return _RNG.standard_normal((n, length, c)), *of_one, _RNG.standard_normal((length + 4, c))


ROW = Exercise(
    grade="transcribe",
    reference=_row,
    cases=[_row_case(2, 3, 5), _row_case(3, 6, 4), _row_case(4, 2, 7)],
    returns=["row"],
    mistakes={
        "the places are not added, so that the last token is nothing at all.": partial(_row, placed=False),
        "the text's embedding comes first; it comes after the text's tokens.": partial(_row, order=(1, 0, 2, 3, 4)),
        "the time comes before the text's embedding; it comes after it.": partial(_row, order=(0, 2, 1, 3, 4)),
        "the noisy embedding comes before the time; it comes after it.": partial(_row, order=(0, 1, 3, 2, 4)),
        "the noisy embedding stands last; behind it stands the token that is read, a row of zeros and its place.": (
            partial(_row, order=(0, 1, 2, 4, 3))
        ),
        "the token that is read holds the text's embedding; it holds nothing but its place.": partial(
            _row, query=False
        ),
        "the places are counted from the end.": partial(_row, turned=True),
    },
    hints=[
        "Which of the five are one token, and lack the axis of the tokens?",
        "Give them that axis with `[:, None]`, make zeros for the last token, join all five along axis 1, and add the "
        "places, which are the same for each text.",
        "`np.concatenate([text, text_embedding[:, None], clock[:, None], noisy[:, None], zeros], axis=1) + places`",
    ],
    praise="What comes later in the row may look at what comes before.",
)


def _causal(q, k, v, hidden=-np.inf, late=False, turned=False, mask=True, axis=-1, scale=True):
    tokens = q.shape[1]
    may_see = np.tril(np.ones((tokens, tokens), bool))
    if turned:
        may_see = may_see.T
    if not mask:
        may_see[:] = True
    scores = q @ k.swapaxes(1, 2) / (q.shape[-1] ** 0.5 if scale else 1)
    if late:
        return (softmax(scores, axis) * may_see) @ v
    return softmax(np.where(may_see, scores, hidden), axis) @ v


def _heads(n, tokens, size, values):
    q, k = 1.5 * _RNG.standard_normal((2, n, tokens, size))
    return q, k, _RNG.standard_normal((n, tokens, values))


MASK = Exercise(
    grade="debug",
    reference=_causal,
    cases=[_heads(2, 4, 3, 5), _heads(3, 6, 4, 2), _heads(1, 5, 2, 3)],
    returns=["y"],
    mistakes={
        PLANTED: partial(_causal, hidden=0.0),
        "each token looks only at those that come after it; it should look at those before, and at itself.": (
            partial(_causal, turned=True)
        ),
        "each token looks at all of them.": partial(_causal, mask=False),
        "what is not seen is taken out after the softmax, so that the weights of the others do not sum to 1.": (
            partial(_causal, late=True)
        ),
        "the scores are not divided by the root of the size of a key.": partial(_causal, scale=False),
        "the softmax runs over the tokens that ask; the weights of what is looked at should sum to 1.": (
            partial(_causal, axis=-2)
        ),
    },
    hints=[
        "What weight does the softmax give to a token that may not be seen, and has the score that is written there?",
        "A score of 0 is a score like any other: its weight is e^0 over the sum. Which score has the weight 0?",
        "`np.where(may_see, scores, -np.inf)`",
    ],
    praise="Nobody looks ahead any more, and the weights of what is seen sum to 1.",
)


def _found(guessed, known, axis=1, count=False, most=1, least=False, own=False):
    scores = guessed @ known.T
    scores = -scores if least else scores
    if own:
        return float((np.diag(scores) > 0).mean())
    place = (scores > np.expand_dims(np.diag(scores), axis)).sum(axis=axis)
    hits = place < most
    return float(hits.sum() if count else hits.mean())


def _pairs(n, size, noise):
    known = _unit(n, size)
    guessed = known + noise * _RNG.standard_normal((n, size))
    return guessed / np.sqrt((guessed * guessed).sum(axis=1, keepdims=True)), known


FOUND = Exercise(
    grade="transcribe",
    reference=_found,
    cases=[_pairs(7, 3, 0.5), _pairs(9, 4, 0.6), _pairs(11, 5, 0.6), _pairs(16, 4, 0.5)],
    returns=["share"],
    mistakes={
        "for each known vector the best guess is sought; seek the best known vector for each guess.": (
            partial(_found, axis=0)
        ),
        "that is how many are found; a share was asked for.": partial(_found, count=True),
        "it is enough to be among the first two; the own vector should be the first.": partial(_found, most=2),
        "the vector that is farthest is taken.": partial(_found, least=True),
        "a positive score is taken for a hit; the own vector must have the highest score of all.": (
            partial(_found, own=True)
        ),
    },
    hints=[
        "Make a table of all inner products, a row for each guess. Where should the largest number of row i stand?",
        "The argmax of each row says which known vector is the nearest to the guess; for a hit it is the row's own "
        "number.",
        "`np.mean((guessed @ known.T).argmax(axis=1) == np.arange(len(known)))`",
    ],
    praise="So often the first answer is the right one.",
)


def _best_guess(draws, unit=True, over=0, which=None, medoid=False):
    if which is not None:
        return draws[which]
    if medoid:
        cosines = np.einsum("mnd,knd->mkn", draws, draws).mean(axis=1)
        return draws[cosines.argmax(axis=0), np.arange(draws.shape[1])]
    mean = draws.mean(axis=over)
    if over == (0, 1):
        mean = np.broadcast_to(mean, draws.shape[1:])
    return mean / np.sqrt((mean * mean).sum(axis=-1, keepdims=True)) if unit else mean


def _draws(m, n, size, spread=0.5):
    z = _unit(1, n, size) + spread * _RNG.standard_normal((m, n, size))
    return z / np.sqrt((z * z).sum(axis=-1, keepdims=True))


_SETS = [(_draws(12, 3, 8),), (_draws(9, 5, 12),), (_draws(20, 4, 6),)]
_ENOUGH = 0.99  # of the largest mean cosine that there is


def _too_far(outputs):
    """Return what is wrong with guesses as the rest of a sentence, empty if nothing is."""
    for (guess,), (draws,) in zip(outputs, _SETS, strict=True):
        lengths = np.sqrt((guess**2).sum(axis=-1))
        if abs(lengths - 1).max() > 1e-3:
            return f"a guess has length {lengths.ravel()[abs(lengths - 1).argmax()]:.2f}, but embeddings have length 1."
        best = np.sqrt((draws.mean(axis=0) ** 2).sum(axis=-1)).mean()
        reached = (draws * guess).sum(axis=-1).mean()
        if reached < _ENOUGH * best:
            return f"the mean cosine is {reached:.3f}, but {best:.3f} can be reached."
    return ""


GUESS = Exercise(
    grade="explore",
    reference=_best_guess,
    cases=_SETS,
    returns=["guess"],
    mistakes={
        "the first draw is one of those that there may be, and so is any other; something lies nearer to all.": (
            partial(_best_guess, which=0)
        ),
        "that is the best of the draws; what is nearest to all of them need be none of them.": (
            partial(_best_guess, medoid=True)
        ),
        "that lies in the right direction, but it is not of length 1.": partial(_best_guess, unit=False),
        "all texts get one guess; each has draws of its own.": partial(_best_guess, over=(0, 1)),
    },
    hints=[
        "You need not draw at all. What is the mean of the cosines of one vector with many?",
        "The mean of <g, z> over the draws is <g, mean of z>. Which g of length 1 makes that as large as can be?",
        "The mean over axis 0, divided by its length.",
    ],
    praise="A high cosine, and no draw at all.",
    judge=_too_far,
)


def _alike(draws, own=False, rest=None, of_texts=False, lengths=False, half=1.0):
    m, n = draws.shape[:2]
    total = draws.sum(axis=1 if of_texts else 0)
    square = (total * total).sum(axis=-1)
    count = n if of_texts else m
    if lengths:
        square = np.sqrt(square)
    if own:
        return square / count**2
    result = half * (square - (count if rest is None else rest)) / (count * (count - 1))
    return np.full(n, result.mean()) if of_texts else result


ALIKE = Exercise(
    grade="derive",
    reference=_alike,
    cases=[(_draws(3, 4, 5),), (_draws(5, 2, 7),), (_draws(2, 6, 3),)],
    returns=["cosines"],
    mistakes={
        "each draw is compared with itself, too, which gives 1; take only pairs of different draws.": (
            partial(_alike, own=True)
        ),
        "only 1 is taken off for the pairs of a draw with itself; there are as many of them as draws.": (
            partial(_alike, rest=1)
        ),
        "draws of different texts are compared; compare those of one text.": partial(_alike, of_texts=True),
        "the length of the sum is taken; its square is the sum of all inner products.": partial(_alike, lengths=True),
        "it is divided by the number of ordered pairs, but the sum holds each pair once, or the other way round.": (
            partial(_alike, half=0.5)
        ),
    },
    hints=[
        "Multiply out the square of the length of z_1 + z_2 + ... + z_M. Which inner products are in it?",
        "It holds all M^2 ordered pairs, and M of them are of a draw with itself, which give 1 each.",
        "`((draws.sum(axis=0) ** 2).sum(axis=-1) - m) / (m * (m - 1))`",
    ],
    praise="No loop over pairs was needed.",
)


def _told(tokens, empty, z, u, swapped=False, one=False, turned=False, kept=False, whole=False):
    of_text, of_z = (u[1], u[0]) if swapped else (u[0], u[0] if one else u[1])
    hide_text, hide_z = of_text < 0.5, of_z < 0.1
    if turned:
        hide_text, hide_z = of_text < 0.1, of_z < 0.5
    words = np.where(hide_text[:, None], 0 if kept else empty, tokens)
    if whole:
        hide_text = hide_z = (of_text < 0.5) & (of_z < 0.1)
        words = np.where(hide_text[:, None], empty, tokens)
    return words, z * ~hide_z[:, None]


def _told_case(n, length, size):
    low = np.resize([0.05, 0.3, 0.7, 0.95], n)
    u = np.stack([low, np.resize([0.6, 0.02, 0.08, 0.4, 0.97], n)])
    return _RNG.integers(1, 9, (n, length)), np.arange(20, 20 + length), _unit(n, size), u


TOLD = Exercise(
    grade="transcribe",
    reference=_told,
    cases=[_told_case(8, 3, 5), _told_case(20, 2, 4), _told_case(13, 4, 6)],
    returns=["tokens", "z"],
    mistakes={
        "both are hidden by the same random number, so that a text without an embedding is never shown.": (
            partial(_told, one=True)
        ),
        "the first row of random numbers is for the texts, and the second for the embeddings; they are exchanged.": (
            partial(_told, swapped=True)
        ),
        "texts are hidden one time in ten, and embeddings every other time; it is the other way round.": (
            partial(_told, turned=True)
        ),
        "a hidden text is a row of zeros; it is the row of the empty text.": partial(_told, kept=True),
        "only both together are hidden; each is hidden by itself.": partial(_told, whole=True),
    },
    hints=[
        "Which rows are hidden? There are two answers, one for the texts and one for the embeddings.",
        "Compare u[0] with 0.5 and u[1] with 0.1; give both an axis for the numbers of a row.",
        "`np.where(u[0][:, None] < 0.5, empty, tokens), np.where(u[1][:, None] < 0.1, 0, z)`",
    ],
    praise="All four kinds are shown: both, either one, and neither.",
)


def _towards(z, text, of_picture, share, unit=True, sign=1.0, whole=False, line=False, swap=False, divide=True):
    target = text if whole else sign * (text - of_picture)
    if unit:
        target = target / np.sqrt((target * target).sum(axis=1, keepdims=True))
    share = 1 - share if swap else share
    if line:
        y = (1 - share) * z + share * target
        return y / np.sqrt((y * y).sum(axis=1, keepdims=True))
    lengths = np.sqrt((z * z).sum(axis=1, keepdims=True) * (target * target).sum(axis=1, keepdims=True))
    omega = np.arccos((z * target).sum(axis=1, keepdims=True) / lengths)
    y = np.sin((1 - share) * omega) * z + np.sin(share * omega) * target
    return y / np.sin(omega) if divide else y


TOWARDS = Exercise(
    grade="transcribe",
    reference=_towards,
    cases=[(*_unit(3, 2, 5), 0.3), (*_unit(3, 4, 3), 0.45), (*_unit(3, 3, 6), 0.8)],
    returns=["on_the_way"],
    mistakes={
        "the difference of the texts is not brought to length 1.": partial(_towards, unit=False),
        "the difference leads away from the new text; it is the new text less the old one.": (
            partial(_towards, sign=-1.0)
        ),
        "it goes towards the text itself, where no pictures are; go towards the difference of both texts.": (
            partial(_towards, whole=True)
        ),
        "that is the straight line, brought to length 1; the share is one of the angle.": partial(_towards, line=True),
        "a share of 0 should give the picture's embedding, and 1 the difference.": partial(_towards, swap=True),
        "the division by the sine of the whole angle is missing.": partial(_towards, divide=False),
    },
    hints=[
        "First the direction from the old text to the new one, at length 1; then the arc of notebook 25.",
        "The cosine of the angle is the inner product of z and that direction; each vector has an angle of its own.",
        "`(np.sin((1 - share) * omega) * z + np.sin(share * omega) * target) / np.sin(omega)`",
    ],
    praise="It turns towards what the texts have not in common.",
)
