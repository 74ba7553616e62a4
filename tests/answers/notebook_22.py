"""Answers to the exercises of notebook 22."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np

from tinydiff import functional as F
from tinydiff.text import Tokenizer
from tinydiff.text.tokenizer import BYTES, END_OF_WORD


def tables_of_library(dy, tokens, vocabulary):
    table = np.zeros((vocabulary, dy.shape[-1]))
    _, d_token = F.embedding_backward(dy, F.embedding(tokens, table)[1])
    places = np.arange(tokens.shape[1])
    _, d_place = F.embedding_backward(dy.sum(axis=0), F.embedding(places, table[:1].repeat(len(places), 0))[1])
    return d_token, d_place


def geglu_of_library(dy, value, gate, cdf, pdf):
    (dx,) = F.geglu_backward(dy, F.geglu(np.concatenate([value, gate], axis=-1))[1])
    return dx[..., : value.shape[-1]], dx[..., value.shape[-1] :]


def encode_of_library(symbols, merges):
    """Encode with a sign at the end, which no merge joins, and number the tokens as the exercise does."""
    texts = [chr(i) for i in range(256)]
    for left, right in merges:
        texts.append(texts[left] + texts[right])
    tokenizer = Tokenizer([(texts[left], texts[right]) for left, right in merges])
    ids = tokenizer.encode("".join(map(chr, symbols)) + "z")
    names = [tokenizer.tokens[i] for i in ids]
    assert names.pop() == "z" + END_OF_WORD
    return [ord(name) if name in BYTES else texts.index(name) for name in names]


def by_dictionary(words):
    counts = defaultdict(int)
    for symbols, n in words:
        for i in range(len(symbols) - 1):
            counts[symbols[i], symbols[i + 1]] += n
    most = max(counts.values())
    return sorted(pair for pair, count in counts.items() if count == most)[0]


def by_sorting(words):
    pairs = [pair for symbols, n in words for pair in pairwise(symbols) for _ in range(n)]
    ranked = sorted(set(pairs))
    return list(max(ranked, key=pairs.count))  # max takes the first of equals


def first_seen(words):
    pairs: Counter = Counter()
    for symbols, n in words:
        for pair in pairwise(symbols):
            pairs[pair] += n
    return pairs.most_common(1)[0][0]


def counting(overlaps=True, key=None, weigh=lambda n, symbols: n):
    """Return a chooser of pairs with something done otherwise."""

    def best(words):
        pairs: Counter = Counter()
        for symbols, n in words:
            i = 0
            while i + 1 < len(symbols):
                pair = (symbols[i], symbols[i + 1])
                pairs[pair] += weigh(n, symbols)
                i += 2 if not overlaps and i + 2 < len(symbols) and pair == (symbols[i + 1], symbols[i + 2]) else 1
        return min(pairs, key=lambda pair: (-pairs[pair], key(pair) if key else pair))

    return best


def replayed(symbols, merges):
    """Go once through the merges in their order."""
    for r, (left, right) in enumerate(merges):
        joined, i = [], 0
        while i < len(symbols):
            here = i + 1 < len(symbols) and (symbols[i], symbols[i + 1]) == (left, right)
            joined.append(256 + r if here else symbols[i])
            i += 2 if here else 1
        symbols = joined
    return symbols


def replayed_array(symbols, merges):
    return np.array(replayed(symbols, merges), dtype=np.int32)


def recursive(symbols, merges, order=min):
    pairs = list(pairwise(symbols))
    known = [merges.index(pair) for pair in pairs if pair in merges]
    if not known:
        return symbols
    i = pairs.index(merges[order(known)])
    return recursive([*symbols[:i], 256 + order(known), *symbols[i + 2 :]], merges, order)


def replayed_from_the_right(symbols, merges):
    turned = replayed(symbols[::-1], [(right, left) for left, right in merges])
    return turned[::-1]


def one_hot(dy, tokens, vocabulary):
    hot = (tokens[..., None] == np.arange(vocabulary)).astype(np.float32)
    return np.einsum("nlv,nlc->vc", hot, dy), np.einsum("nlc->lc", dy)


def by_loops(dy, tokens, vocabulary):
    d_token = np.zeros((vocabulary, dy.shape[-1]))
    d_place = np.zeros(dy.shape[1:])
    for n, row in enumerate(tokens):
        for i, token in enumerate(row):
            d_token[token] += dy[n, i]
            d_place[i] += dy[n, i]
    return d_token.tolist(), d_place.tolist()


def added_once(dy, tokens, vocabulary):
    d_token = np.zeros((vocabulary, dy.shape[-1]))
    d_token[tokens] += dy
    return d_token, dy.sum(axis=0)


def geglu_of_gelu(dy, value, gate, cdf, pdf):
    slope = gate * pdf
    slope = slope + cdf
    return np.multiply(dy, cdf * gate), np.multiply(np.multiply(value, slope), dy)


def geglu_float32(dy, value, gate, cdf, pdf):
    dy, value, gate, cdf, pdf = (a.astype(np.float32) for a in (dy, value, gate, cdf, pdf))
    return [dy * (gate * cdf), dy * (value * cdf + value * gate * pdf)]


LIBRARY = {
    "BEST_PAIR": "the library counts the letters of texts, the last one marked; notebook 22 compares its merges.",
    "ENCODE": encode_of_library,
    "TABLES": tables_of_library,
    "GEGLU": geglu_of_library,
}
RIGHT = {
    "BEST_PAIR": {"a dictionary": by_dictionary, "sorting": by_sorting},
    "ENCODE": {"merge by merge": replayed, "an array": replayed_array, "recursive": recursive},
    "TABLES": {"one-hot": one_hot, "loops": by_loops},
    "GEGLU": {"of gelu": geglu_of_gelu, "float32": geglu_float32},
}
WRONG = {
    "BEST_PAIR": {
        "first seen": first_seen,
        "not overlapping": counting(overlaps=False),
        "ties by text": counting(key=str),
        "ties by the right one": counting(key=lambda pair: pair[::-1]),
        "weighed by length": counting(weigh=lambda n, symbols: n * len(symbols)),
        "share of the word": counting(weigh=lambda n, symbols: n / len(symbols)),
    },
    "ENCODE": {
        "latest first": lambda symbols, merges: recursive(symbols, merges, max),
        "from the right": replayed_from_the_right,
        "without the last merge": lambda symbols, merges: replayed(symbols, merges[:-1]),
        "not at all": lambda symbols, merges: symbols,
    },
    "TABLES": {
        "added once": added_once,
        "first text": lambda dy, tokens, v: one_hot(dy[:1], tokens[:1], v),
        "means": lambda dy, tokens, v: one_hot(dy / len(dy), tokens, v),
        "places from the last": lambda dy, tokens, v: (one_hot(dy, tokens, v)[0], dy[-1]),
        "places backwards": lambda dy, tokens, v: (one_hot(dy, tokens, v)[0], dy.sum(axis=0)[::-1]),
    },
    "GEGLU": {
        "gelu of the value": lambda dy, v, g, cdf, pdf: (dy * v * cdf, dy * v * (cdf + g * pdf)),
        "value twice": lambda dy, v, g, cdf, pdf: (dy * v * g * cdf, dy * v * (cdf + g * pdf)),
        "swish": lambda dy, v, g, cdf, pdf: (dy * g * cdf, dy * v * (cdf + g * cdf * (1 - cdf))),
        "gate squared": lambda dy, v, g, cdf, pdf: (dy * g * cdf, dy * v * (cdf + g * g * pdf)),
        "1 - cdf": lambda dy, v, g, cdf, pdf: (dy * g * (1 - cdf), dy * v * (1 - cdf - g * pdf)),
    },
}
