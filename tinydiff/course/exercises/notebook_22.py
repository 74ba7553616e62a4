"""Exercises of notebook 22: the pair that is joined next, merges replayed, tables of vectors, the backward of GEGLU."""

import math
from collections import Counter
from functools import partial
from itertools import chain, pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(22)


def _places(pairs):
    """Return the pairs of neighbours of a word without those that overlap an equal one before them."""
    found, before = [], None
    for pair in pairs:
        overlaps = pair == before
        if not overlaps:
            found.append(pair)
        before = None if overlaps else pair
    return found


def _best_pair(words, weighted=True, once=False, apart=False, ordered=True, across=False, last=False, sign=-1):
    """Return the most frequent pair of neighbours, of several the first; symbols may be numbers or texts."""
    pairs: Counter[tuple] = Counter()
    texts = [(list(chain(*(symbols for symbols, _ in words))), 1)] if across else words
    for symbols, n in texts:
        found = [pair if ordered else tuple(sorted(pair)) for pair in pairwise(symbols)]
        for pair in set(found) if once else _places(found) if apart else found:
            pairs[pair] += n if weighted else 1
    best = sign * min(sign * count for count in pairs.values())
    return (max if last else min)(pair for pair, count in pairs.items() if count == best)


_HAIR, _HAT, _CHAIR, _PAIR = (list(word.encode()) for word in ("hair", "hat", "chair", "pair"))

BEST_PAIR = Exercise(
    grade="transcribe",
    reference=_best_pair,
    cases=[
        ([(_HAIR, 9), (_HAT, 4), (_CHAIR, 2)],),
        ([(_HAT, 5), (_HAIR, 2), (_PAIR, 2)],),  # frequent in one word, or in more words
        ([([1, 2, 1, 2, 1, 2], 2), ([3, 4], 5)],),  # three times in a word
        ([([8, 9], 3), ([7, 7, 7], 2), ([5], 30)],),  # twice in a word, and both share a letter; a word of one letter
        ([([3, 1], 4), ([1, 3], 3), ([2, 5], 5)],),  # either way round
        ([([9, 4], 3), ([4, 8], 3), ([8, 9], 1)],),  # equally frequent
        ([([10, 3], 6), ([9, 4], 2), ([2, 9, 4], 4), ([9, 12], 6)],),  # equally frequent; numbers in order, not texts
        ([([1, 2, 3, 4, 5, 6, 7], 2), ([8, 9], 3)],),  # a long word that is rare
        ([(_RNG.integers(1, 5, n).tolist(), 3 + n) for n in (7, 4, 9, 2)],),
        ([(_RNG.integers(1, 4, n).tolist(), 9 - n) for n in (3, 8, 5, 6, 4)],),
    ],
    returns=["left", "right"],
    mistakes={
        "every word counts once; a word that stands n times in the texts brings its pairs n times.": (
            partial(_best_pair, weighted=False)
        ),
        "a pair that stands in a word several times counts several times.": partial(_best_pair, once=True),
        "in a, a, a the pair (a, a) stands at two places; count those that overlap, too.": (
            partial(_best_pair, apart=True)
        ),
        "the pair (a, b) is another one than (b, a): the order of the letters matters.": partial(
            _best_pair, ordered=False
        ),
        "pairs are counted across the end of a word; no merge crosses it.": partial(_best_pair, across=True),
        "of pairs that are equally frequent, the first in order is taken, and not the last.": (
            partial(_best_pair, last=True)
        ),
        "that is the rarest pair; the most frequent one saves the most tokens.": partial(_best_pair, sign=1),
    },
    hints=[
        "Count first, choose then. What does each place of each word add to the count of its pair?",
        "In a `Counter`, each pair of `pairwise(symbols)` adds n. Then the largest; of equals the first in order.",
        "`min(pairs, key=lambda pair: (-pairs[pair], pair))` is the largest count, and of equals the first in order.",
    ],
    praise="The pair that saves the most tokens becomes a token.",
)


def _encode(symbols, merges, choose=min, rounds=1_000, new=256):
    """Join known pairs, that of the smallest rank first; `choose` may take another one of the ranks found."""
    rank, symbols = {tuple(pair): r for r, pair in enumerate(merges)}, list(symbols)
    for _ in range(rounds):
        ranks = [rank[pair] for pair in pairwise(symbols) if pair in rank]
        if not ranks:
            break
        r = choose(ranks)
        i = next(i for i, pair in enumerate(pairwise(symbols)) if rank.get(pair) == r)
        symbols[i : i + 2] = [new + r]
    return symbols


def _longest(symbols, merges):
    """Take the longest known piece from the left, again and again."""
    pieces: dict[int, list[int]] = {}
    for r, pair in enumerate(merges):
        pieces[256 + r] = list(chain(*(pieces.get(part, [part]) for part in pair)))
    found, i = [], 0
    while i < len(symbols):
        fitting = [(len(p), token) for token, p in pieces.items() if list(symbols[i : i + len(p)]) == p]
        size, token = max(fitting, default=(1, symbols[i]))
        found.append(token)
        i += size
    return found


_A, _H, _I, _R, _T = b"ahirt"
_MERGES = [(_A, _I), (_H, _A), (256, _R), (_H, 258), (_T, 257), (_A, _T)]  # ai, ha, air, hair, tha, at

ENCODE = Exercise(
    grade="debug",
    reference=_encode,
    cases=[
        (list(b"hair"), _MERGES),
        (list(b"that"), _MERGES),
        (list(b"aaaaa"), [(_A, _A), (256, _A), (256, 256)]),
        (list(b"xthaihatair"), _MERGES),
        (list(b"bat"), _MERGES),
        (list(b"q"), _MERGES),
    ],
    returns=["tokens"],
    mistakes={
        PLANTED: (partial(_encode, choose=lambda ranks: ranks[0])),
        "the last pair that is known is joined; it should be the one that was learned first.": (
            partial(_encode, choose=lambda ranks: ranks[-1])
        ),
        "the pair that was learned last is joined; begin with the one that was learned first.": (
            partial(_encode, choose=max)
        ),
        "the longest known piece is taken from the left; merges are replayed in their order.": (_longest),
        "only one pair is joined; go on until none of the neighbours is known.": partial(_encode, rounds=1),
        "merge number r makes the token 256 + r: the first 256 are the bytes.": partial(_encode, new=0),
    },
    hints=[
        "Follow 'hair' by hand: which merge came first in the training, and which does this function do first?",
        "Of all places with a known pair, take the one whose pair has the smallest rank.",
        "`i = min(known, key=lambda i: rank[symbols[i], symbols[i + 1]])`.",
    ],
    praise="A text is cut as the training cut it.",
)


def _tables(dy, tokens, vocabulary, last=False, mean=False, of_batch=None, counted=False, by_text=False):
    d_token, d_place = np.zeros((vocabulary, dy.shape[-1])), dy.sum(axis=0)
    if last:
        d_token[tokens] = dy
    elif by_text:
        for one, text in zip(dy, tokens, strict=True):
            d_token[text] += one
    else:
        np.add.at(d_token, tokens, dy)
    if mean:
        d_place = d_place / len(dy)
    if of_batch is not None:
        d_place = dy[of_batch]
    if counted:
        d_token = d_token / np.maximum(1, np.bincount(tokens.ravel(), minlength=vocabulary))[:, None]
    return d_token, d_place


TABLES = Exercise(
    grade="derive",
    reference=_tables,
    cases=[
        (_RNG.standard_normal((2, 5, 3)), np.array([[6, 1, 1, 3, 6], [6, 3, 1, 0, 3]]), 7),
        (_RNG.standard_normal((3, 4, 2)), np.array([[0, 8, 2, 2], [0, 5, 8, 2], [0, 0, 2, 2]]), 10),
        (_RNG.standard_normal((1, 3, 6)), np.array([[4, 1, 4]]), 5),
    ],
    returns=["d_token", "d_place"],
    mistakes={
        "each place writes its gradient over the last one, as `d_token[tokens] += dy` does, too; a token at "
        "several places collects from all of them.": partial(_tables, last=True),
        "each text is added on its own, but a token that comes twice within one text is counted once there.": (
            partial(_tables, by_text=True)
        ),
        "the places get the mean over the texts; each text read the vector, and gradients add.": (
            partial(_tables, mean=True)
        ),
        "the places have the gradient of the first text only; all texts of the batch read the same vectors.": (
            partial(_tables, of_batch=0)
        ),
        "the tokens get the mean over the places where they stand; gradients add.": partial(_tables, counted=True),
    },
    hints=[
        "What is read several times gets several gradients. Who reads row 3 of each of the two tables?",
        "Row v of the first collects dy wherever tokens is v; row i of the second collects dy[n, i] over all texts n.",
        "`np.add.at(d_token, tokens, dy)` adds also where a row comes twice; d_place is `dy.sum(axis=0)`.",
    ],
    praise="Who is read often collects often.",
)

_GATES = [_RNG.standard_normal(shape) for shape in ((3, 4), (5,), (2, 3, 2))]


def _phi(gate):
    """Return Phi and phi, the normal distribution function and its density."""
    cdf = 0.5 * (1 + np.vectorize(math.erf)(gate / 2**0.5))
    return cdf, np.exp(-(gate**2) / 2) / (2 * np.pi) ** 0.5


def _geglu(dy, value, gate, cdf, pdf):
    return dy * gate * cdf, dy * value * (cdf + gate * pdf)


GEGLU = Exercise(
    grade="derive",
    reference=_geglu,
    cases=[(*_RNG.standard_normal((2, *gate.shape)), gate, *_phi(gate)) for gate in _GATES],
    returns=["d_value", "d_gate"],
    mistakes={
        "d_value needs the value's factor, which is gelu(gate) = gate * cdf, and not only the gate.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate, dy * value * (cdf + gate * pdf))
        ),
        "the gate stands twice in gate * cdf(gate), so d_gate has two terms, and yours is only that of the first.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * value * cdf)
        ),
        "the gate stands twice in gate * cdf(gate), so d_gate has two terms, and yours is only that of the second.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * value * gate * pdf)
        ),
        "d_gate lacks the gate's factor, which is the value.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * (cdf + gate * pdf))
        ),
        "the two halves are swapped: the value comes first.": (
            lambda dy, value, gate, cdf, pdf: (dy * value * (cdf + gate * pdf), dy * gate * cdf)
        ),
        "dy is missing: a backward returns the derivative times what comes from above.": (
            lambda dy, value, gate, cdf, pdf: (gate * cdf, value * (cdf + gate * pdf))
        ),
        "the density stands alone in d_gate; by the product rule it is multiplied by the gate.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * value * (cdf + pdf))
        ),
        "the density falls, so its own derivative is -gate * pdf; here it is cdf that is derived, and that rises.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * value * (cdf - gate * pdf))
        ),
    },
    hints=[
        "y = value * gate * cdf(gate) is a product. Derive it once in the value, once in the gate.",
        "In the gate there are two factors, gate and cdf(gate); the derivative of cdf is pdf.",
        "d_value is `dy * gate * cdf`, d_gate is dy * value times the sum of cdf and gate * pdf.",
    ],
    praise="Each half is the other's factor.",
)
