"""More answers to the exercises of notebook 22."""

import itertools
from collections import Counter

import numpy as np


def counted(words, weight=lambda n: n, cut=lambda s: list(itertools.pairwise(s)), words_of=lambda w: w):
    counts = {}
    for symbols, n in words_of(words):
        for pair in cut(list(symbols)):
            counts[pair] = counts.get(pair, 0) + weight(n)
    return counts


def best(choose=lambda c: min(c, key=lambda p: (-c[p], p)), **options):
    return lambda words: choose(counted(words, **options))


def best_loop(words):
    counts = Counter()
    for symbols, n in words:
        for i in range(len(symbols) - 1):
            counts[symbols[i], symbols[i + 1]] += n
    most = max(counts.values())
    return sorted(pair for pair, n in counts.items() if n == most)[0]


def best_list(words):
    return list(best_loop(words))


def disjoint(symbols):
    found, i, last = [], 0, None
    while i < len(symbols) - 1:
        pair = (symbols[i], symbols[i + 1])
        if pair == last and pair[0] == pair[1]:
            last = None
        else:
            found.append(pair)
            last = pair
        i += 1
    return found


def encode(pick, join=None):
    def answer(symbols, merges):
        rank, symbols = {tuple(pair): r for r, pair in enumerate(merges)}, list(symbols)
        while known := [i for i in range(len(symbols) - 1) if (symbols[i], symbols[i + 1]) in rank]:
            i = pick(known, symbols, rank)
            symbols[i : i + 2] = [256 + rank[symbols[i], symbols[i + 1]]]
        return symbols

    return answer


def encode_replay(symbols, merges):
    symbols = list(symbols)
    for r, pair in enumerate(merges):
        out, i = [], 0
        while i < len(symbols):
            if tuple(symbols[i : i + 2]) == tuple(pair):
                out.append(256 + r)
                i += 2
            else:
                out.append(symbols[i])
                i += 1
        symbols = out
    return tuple(symbols)


def encode_array(symbols, merges):
    return np.array(encode_replay(symbols, merges), dtype=np.int64)


def encode_replay_once(symbols, merges):
    symbols = list(symbols)
    for r, pair in enumerate(merges):
        for i in range(len(symbols) - 1):
            if (symbols[i], symbols[i + 1]) == tuple(pair):
                symbols[i : i + 2] = [256 + r]
                break
    return symbols


def encode_replay_right(symbols, merges):
    symbols = list(symbols)
    for r, pair in enumerate(merges):
        i = len(symbols) - 2
        while i >= 0:
            if (symbols[i], symbols[i + 1]) == tuple(pair):
                symbols[i : i + 2] = [256 + r]
                i -= 1
            i -= 1
    return symbols


def encode_one_round(symbols, merges):
    rank, symbols = {pair: r for r, pair in enumerate(merges)}, list(symbols)
    known = [i for i in range(len(symbols) - 1) if (symbols[i], symbols[i + 1]) in rank]
    if known:
        i = min(known, key=lambda i: rank[symbols[i], symbols[i + 1]])
        symbols[i : i + 2] = [256 + rank[symbols[i], symbols[i + 1]]]
    return symbols


def first_learned(known, symbols, rank):
    return min(known, key=lambda i: rank[symbols[i], symbols[i + 1]])


def tables_loop(dy, tokens, vocabulary):
    N, L, C = dy.shape
    d_token, d_place = np.zeros((vocabulary, C)), np.zeros((L, C))
    for n in range(N):
        for i in range(L):
            d_token[tokens[n, i]] += dy[n, i]
            d_place[i] += dy[n, i]
    return d_token, d_place


def tables(token=None, place=None):
    def answer(dy, tokens, vocabulary):
        d = np.zeros((vocabulary, dy.shape[2]))
        np.add.at(d, tokens, dy)
        return (token or (lambda dy, t, d: d))(dy, tokens, d), (place or (lambda dy: dy.sum(0)))(dy)

    return answer


def tables_one_hot(dy, tokens, vocabulary):
    return [np.einsum("nlv,nlc->vc", np.eye(vocabulary)[tokens], dy), np.einsum("nlc->lc", dy)]


def tables_masks(dy, tokens, vocabulary):
    return np.array([dy[tokens == v].sum(0) for v in range(vocabulary)]), sum(dy)


def tables_buffered(dy, tokens, vocabulary):
    d = np.zeros((vocabulary, dy.shape[2]))
    d[tokens] += dy
    return d, dy.sum(0)


def tables_each_text(dy, tokens, vocabulary):
    d = np.zeros((vocabulary, dy.shape[2]))
    for one, t in zip(dy, tokens, strict=False):
        d[t] += one
    return d, dy.sum(0)


def tables_each_place(dy, tokens, vocabulary):
    d = np.zeros((vocabulary, dy.shape[2]))
    for i in range(dy.shape[1]):
        d[tokens[:, i]] += dy[:, i]
    return d, dy.sum(0)


def geglu(value=None, gate=None):
    return lambda dy, v, g, cdf, pdf: (
        (value or (lambda dy, v, g, c, p: dy * g * c))(dy, v, g, cdf, pdf),
        (gate or (lambda dy, v, g, c, p: dy * v * (c + g * p)))(dy, v, g, cdf, pdf),
    )


RIGHT = {
    "BEST_PAIR": {
        "loop": best_loop,
        "a list": best_list,
        "min": best(),
        "sorted, then max": lambda words: (lambda c: max(sorted(c), key=c.get))(counted(words)),
    },
    "ENCODE": {
        "replay, a tuple": encode_replay,
        "an array": encode_array,
        "min": encode(first_learned),
        "sorted": encode(lambda k, s, r: sorted(k, key=lambda i: (r[s[i], s[i + 1]], i))[0]),
    },
    "TABLES": {
        "loop": tables_loop,
        "one-hot": tables_one_hot,
        "masks": tables_masks,
        "float32": lambda *a: tuple(v.astype("f") for v in tables()(*a)),
    },
    "GEGLU": {
        "two terms": geglu(gate=lambda dy, v, g, c, p: dy * v * c + dy * v * g * p),
        "list, float32": lambda dy, v, g, c, p: [(dy * (g * c)).astype("f"), (v * dy * (c + p * g)).astype("f")],
        "einsum": geglu(value=lambda dy, v, g, c, p: np.einsum("...,...,...->...", dy, g, c)),
    },
}
WRONG = {
    "BEST_PAIR": {
        "first seen": best(lambda c: max(c, key=c.get)),
        "last in order": best(lambda c: max(c, key=lambda p: (c[p], p))),
        "not weighted": best(weight=lambda n: 1),
        "disjoint": best(cut=disjoint),
        "once in a word": best(cut=lambda s: list(dict.fromkeys(itertools.pairwise(s)))),
        "unordered": best(cut=lambda s: [tuple(sorted(p)) for p in itertools.pairwise(s)]),
        "rarest": best(lambda c: min(c, key=lambda p: (c[p], p))),
        "across words": best(words_of=lambda w: [([x for s, n in w for x in list(s) * n], 1)]),
        "last pair of a word forgotten": best(cut=lambda s: list(itertools.pairwise(s[:-1]))),
        "ends": best(cut=lambda s: list(zip(s, s[2:], strict=False))),
        "one text": lambda words: "".join(map(str, best_loop(words))),
        "first word": best(words_of=lambda w: w[:1]),
        "disjoint pairs": best(cut=lambda s: list(zip(s[::2], s[1::2], strict=False))),
        "turned": lambda words: best_loop(words)[::-1],
        "as texts": best(lambda c: min(c, key=lambda p: (-c[p], str(p)))),
    },
    "ENCODE": {
        "as it is": encode(lambda k, s, r: k[0]),
        "last place": encode(lambda k, s, r: k[-1]),
        "learned last": encode(lambda k, s, r: max(k, key=lambda i: r[s[i], s[i + 1]])),
        "place of the pair's value": encode(lambda k, s, r: min(k, key=lambda i: (s[i], s[i + 1]))),
        "rightmost of equals": encode(lambda k, s, r: min(k, key=lambda i: (r[s[i], s[i + 1]], -i))),
        "replay from the right": encode_replay_right,
        "each once": encode_replay_once,
        "one merge": encode_one_round,
        "nothing": lambda symbols, merges: list(symbols),
        "255": lambda symbols, merges: [t - 1 if t > 255 else t for t in encode_replay(symbols, merges)],
        "middle": encode(lambda k, s, r: k[len(k) // 2]),
        "frequent": encode(lambda k, s, r: max(k, key=lambda i: sum((s[j], s[j + 1]) == (s[i], s[i + 1]) for j in k))),
        "until ten": lambda symbols, merges: encode_replay(symbols, merges[:3]),
    },
    "TABLES": {
        "buffered": tables_buffered,
        "each text": tables_each_text,
        "each place": tables_each_place,
        "mean of a token": tables(
            lambda dy, t, d: d / np.maximum(np.bincount(t.ravel(), minlength=len(d)), 1)[:, None]
        ),
        "mean of places": tables(place=lambda dy: dy.mean(0)),
        "places over the row": tables(place=lambda dy: dy.sum(1)),
        "places not summed": tables(place=lambda dy: dy),
        "first text": lambda dy, t, v: tables()(dy[:1], t[:1], v),
        "order": lambda *a: tables()(*a)[::-1],
        "rows of the largest token": lambda dy, t, v: tables()(dy, t, t.max() + 1),
        "mean over texts": tables(lambda dy, t, d: d / len(dy)),
        "ordered by row": tables(lambda dy, t, d: d[::-1]),
        "token 0 is padding": tables(lambda dy, t, d: d * (np.arange(len(d)) > 0)[:, None]),
    },
    "GEGLU": {
        "swapped": lambda *a: geglu()(*a)[::-1],
        "cdf only": geglu(gate=lambda dy, v, g, c, p: dy * v * c),
        "pdf only": geglu(gate=lambda dy, v, g, c, p: dy * v * p),
        "g pdf": geglu(gate=lambda dy, v, g, c, p: dy * v * g * p),
        "no g": geglu(gate=lambda dy, v, g, c, p: dy * v * (c + p)),
        "no v": geglu(gate=lambda dy, v, g, c, p: dy * (c + g * p)),
        "no dy": geglu(gate=lambda dy, v, g, c, p: v * (c + g * p)),
        "value without g": geglu(lambda dy, v, g, c, p: dy * c),
        "value by gate": geglu(lambda dy, v, g, c, p: dy * g),
        "minus": geglu(gate=lambda dy, v, g, c, p: dy * v * (c - g * p)),
        "v inside": geglu(gate=lambda dy, v, g, c, p: dy * v * (c + v * p)),
        "silu": geglu(gate=lambda dy, v, g, c, p: dy * v * c * (1 + g * (1 - c))),
        "squared": geglu(gate=lambda dy, v, g, c, p: dy * v * (c - g**2 * p)),
        "value with v": geglu(lambda dy, v, g, c, p: dy * v * g * c),
    },
}
