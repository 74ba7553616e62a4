"""Exercises of notebook 22: the pair that is joined next, and the backward of GEGLU."""

from collections import Counter
from functools import partial
from itertools import chain, pairwise

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import geglu, geglu_backward


def _best_pair(words, weighted=True, once=False, ordered=True, across=False, last=False, sign=-1):
    """Return the most frequent pair of neighbours, of several the first; symbols may be numbers or texts."""
    pairs: Counter[tuple] = Counter()
    texts = [(list(chain(*(symbols for symbols, _ in words))), 1)] if across else words
    for symbols, n in texts:
        found = [pair if ordered else tuple(sorted(pair)) for pair in pairwise(symbols)]
        for pair in set(found) if once else found:
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
        ([([3, 1], 4), ([1, 3], 3), ([2, 5], 5)],),  # either way round
        ([([9, 4], 3), ([4, 8], 3), ([8, 9], 1)],),  # equally frequent
    ],
    returns=["left", "right"],
    mistakes={
        "every word counts once; a word that stands n times in the texts brings its pairs n times.": (
            partial(_best_pair, weighted=False)
        ),
        "a pair that stands in a word several times counts several times.": partial(_best_pair, once=True),
        "the pair (a, b) is another one than (b, a): the order of the letters matters.": partial(
            _best_pair, ordered=False
        ),
        "pairs are counted across the end of a word; no merge crosses it.": partial(_best_pair, across=True),
        "of pairs that are equally frequent, the first in order is taken, and not the last.": (
            partial(_best_pair, last=True)
        ),
        "that is the rarest pair; the most frequent one saves the most tokens.": partial(_best_pair, sign=1),
    },
    hints=[],
    praise="The pair that saves the most tokens becomes a token.",
)

_RNG = np.random.default_rng(22)
_DY, _VALUE, _GATE = (_RNG.standard_normal((3, 4)) for _ in range(3))


def _phi(gate):
    """Return Phi and phi, the normal distribution function and its density."""
    _, cache = geglu(np.concatenate([gate, gate], axis=-1))
    return cache.cdf, np.exp(-(gate**2) / 2) / (2 * np.pi) ** 0.5


def _geglu_backward(dy, value, gate, cdf, pdf):
    _, cache = geglu(np.concatenate([value, gate], axis=-1))
    (dx,) = geglu_backward(dy, cache)
    return dx[..., : value.shape[-1]], dx[..., value.shape[-1] :]


GEGLU = Exercise(
    grade="transcribe",
    reference=_geglu_backward,
    cases=[(_DY, _VALUE, _GATE, *_phi(_GATE)), (_DY[0], _VALUE[0], _GATE[0], *_phi(_GATE[0]))],
    returns=["d_value", "d_gate"],
    mistakes={
        "d_value needs the value's factor, which is gelu(gate) = gate * cdf, and not only the gate.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate, dy * value * (cdf + gate * pdf))
        ),
        "the gate stands twice in gate * cdf(gate), so d_gate has two terms: cdf + gate * pdf.": (
            lambda dy, value, gate, cdf, pdf: (dy * gate * cdf, dy * value * cdf)
        ),
        "d_gate has only one of its two terms; the product rule gives cdf + gate * pdf.": (
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
    },
    hints=[],
    praise="Each half is the other's factor.",
)
