"""Answers to problem set 7."""

from functools import reduce
from itertools import pairwise

import numpy as np

from tinydiff.functional import attention


def library_masked(q, k, v, lengths):
    mask = np.broadcast_to(np.arange(k.shape[1]) < lengths[:, None, None], (*q.shape[:2], k.shape[1]))
    y, weights, _ = attention(q, k, v, mask, return_weights=True)
    return y, weights


def masked_loop(q, k, v, lengths):
    y, weights = np.zeros((*q.shape[:2], v.shape[2])), np.zeros((*q.shape[:2], k.shape[1]))
    for n, length in enumerate(lengths):
        scores = q[n] @ k[n, :length].T / np.sqrt(q.shape[2])
        e = np.exp(scores - scores.max(axis=1)[:, None])
        weights[n, :, :length] = e / e.sum(axis=1)[:, None]
        y[n] = weights[n, :, :length] @ v[n, :length]
    return y, weights


def masked_renormalised(q, k, v, lengths):
    seen = np.arange(k.shape[1])[None] < lengths[:, None]
    scores = np.einsum("npc,nwc->npw", q, k).astype(np.float64) / q.shape[2] ** 0.5
    scores -= np.where(seen[:, None], scores, -1e300).max(-1, keepdims=True)
    e = np.where(seen[:, None], np.exp(np.minimum(scores, 0)), 0)
    weights = (e / e.sum(-1, keepdims=True)).astype(np.float32)
    return np.einsum("npw,nwd->npd", weights, v), weights


def masked_small(q, k, v, lengths):
    """A score of -10, which is not low enough where scores are low themselves."""
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    scores = np.where(np.arange(k.shape[1]) < lengths[:, None, None], scores, -10.0)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    weights = e / e.sum(-1, keepdims=True)
    return weights @ v, weights


def masked_values(q, k, v, lengths):
    """Only the values are hidden."""
    seen = np.arange(k.shape[1])[:, None] < lengths[:, None, None]
    _, weights = masked_loop(q, k, v, np.full(len(q), k.shape[1]))
    return weights @ (v * seen), weights


def masked_pixels(q, k, v, lengths):
    """The scaled width is that of the values."""
    return masked_loop(q * (q.shape[2] / v.shape[2]) ** 0.5, k, v, lengths)


def sharp_logs(dy, scores, v, tau):
    z = np.exp(tau) * scores
    p = np.exp(z - np.logaddexp.reduce(z, axis=-1, keepdims=True))
    inner = np.einsum("npf,nwf->npw", dy, v)
    # the covariance of z and inner under p, summed
    cov = (p * z * inner).sum(-1) - (p * z).sum(-1) * (p * inner).sum(-1)
    return np.einsum("npw,nwf->npf", p, v), cov.sum()


def sharp_jacobian(dy, scores, v, tau):
    y, d_tau = np.zeros(dy.shape), 0.0
    for n in range(len(dy)):
        for i in range(dy.shape[1]):
            z = np.exp(tau) * scores[n, i].astype(np.float32)
            p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            y[n, i] = p @ v[n]
            d_tau += (v[n] @ dy[n, i]) @ (np.diag(p) - np.outer(p, p)) @ z
    return y, d_tau


def maps_by_number(weights, pieces, height, width):
    owner = np.repeat(np.arange(len(pieces)), pieces)
    maps = np.zeros((len(pieces), height, width))
    for token, word in enumerate(owner):
        maps[word] += np.mean([head[:, token + 1] for head in weights], axis=0).reshape(height, width)
    return maps


def maps_reduceat(weights, pieces, height, width):
    mean = weights.mean(axis=0)[:, 1 : 1 + sum(pieces)]
    starts = np.concatenate([[0], np.cumsum(pieces)[:-1]])
    return np.add.reduceat(mean.astype(np.float32), starts, axis=1).T.reshape(-1, height, width)


def regions(guess, alpha_bar, x_T, texts, masks, nothing, scale, times):
    x = x_T
    for t, s in pairwise(times):
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        free = guess(x, t, nothing)
        x_0 = (1 - scale * reduce(np.add, masks)) * free
        for text, mask in zip(texts, masks, strict=True):
            x_0 = x_0 + scale * mask * guess(x, t, text)
        x_0 = np.maximum(np.minimum(x_0, 1), -1)
        x = alpha_bar[s] ** 0.5 * x_0 + ((1 - alpha_bar[s]) ** 0.5 / b) * (x - a * x_0)
    return x


def regions_float32(guess, alpha_bar, x_T, texts, masks, nothing, scale, times):
    masks = np.stack([np.broadcast_to(mask, x_T.shape) for mask in masks]).astype(np.float32)
    return regions(guess, alpha_bar, x_T.astype(np.float32), texts, list(masks), nothing, scale, times)


def regions_apart(guess, alpha_bar, x_T, texts, masks, nothing, scale, times):
    """Chains of their own, joined at the end."""
    x = regions(guess, alpha_bar, x_T, texts[:1], [0 * masks[0]], nothing, scale, times)
    for text, mask in zip(texts, masks, strict=True):
        alone = regions(guess, alpha_bar, x_T, [text], [np.ones_like(mask)], nothing, scale, times)
        x = (1 - mask) * x + mask * alone
    return x


def regions_clipped(guess, *args):
    return regions(lambda x, t, c: np.clip(guess(x, t, c), -1, 1), *args)


def worth_loop(guess, x, t, words, nothing):
    whole, rows = guess(x, t, words), np.zeros(words.shape[:2])
    for j in range(words.shape[1]):
        keep = (np.arange(words.shape[1]) != j)[None, :, None]
        change = guess(x, t, np.where(keep, words, nothing)) - whole
        for n in range(len(x)):
            rows[n, j] = np.linalg.norm(change[n]) / change[n].size ** 0.5
    return rows


def worth_batch(guess, x, t, words, nothing):
    columns = []
    for j in range(words.shape[1]):
        other = np.concatenate([words[:, :j], nothing[:, j : j + 1], words[:, j + 1 :]], axis=1)
        change = (guess(x, t, words) - guess(x, t, other)).reshape(len(x), -1)
        columns.append(np.sqrt(np.mean(change**2, axis=1)))
    return np.transpose(columns).astype(np.float32)


def worth_wrong(change):
    def wrong(guess, x, t, words, nothing):
        return change(worth_loop(guess, x, t, words, nothing), guess, x, t, words, nothing)

    return wrong


def worth_growing(guess, x, t, words, nothing):
    """Words once taken away stay away."""
    other, whole, found = words.copy(), guess(x, t, words), []
    for j in range(words.shape[1]):
        other[:, j] = nothing[:, j]
        found.append(np.sqrt(((guess(x, t, other) - whole) ** 2).mean(axis=(1, 2, 3))))
    return np.stack(found, axis=1)


LIBRARY = {
    "MASKED": library_masked,
    "SHARPNESS": "the library's attention has no learned sharpness.",
    "WORD_MAPS": "the library's word_maps takes a model and a prompt, not weights.",
    "REGIONS": "the library draws a picture from one text.",
    "WORTH": "the library does not leave out single words.",
}
RIGHT = {
    "MASKED": {"a loop": masked_loop, "renormalised in float32": masked_renormalised},
    "SHARPNESS": {"a covariance": sharp_logs, "Jacobians": sharp_jacobian},
    "WORD_MAPS": {"by number": maps_by_number, "reduceat": maps_reduceat},
    "REGIONS": {"one sum": regions, "float32": regions_float32},
    "WORTH": {"norms": worth_loop, "in float32": worth_batch},
}
WRONG = {
    "MASKED": {
        "a low score": masked_small,
        "values hidden only": masked_values,
        "width of the values": masked_pixels,
        "lengths turned round": lambda q, k, v, lengths: masked_loop(q, k, v, lengths[::-1]),
        "the last ones seen": lambda q, k, v, lengths: masked_loop(q, k[:, ::-1], v[:, ::-1], lengths),
    },
    "SHARPNESS": {
        "unscaled softmax": lambda dy, s, v, tau: (sharp_logs(dy, s, v, tau)[0], sharp_logs(dy, s, v, 0.0)[1]),
        "slope in the temperature": lambda dy, s, v, tau: (sharp_logs(dy, s, v, tau)[0], -sharp_logs(dy, s, v, tau)[1]),
        "one for each picture": lambda dy, s, v, tau: (
            sharp_logs(dy, s, v, tau)[0],
            [sharp_logs(dy[[n]], s[[n]], v[[n]], tau)[1] for n in range(len(dy))],
        ),
        "softmax over the pixels": lambda dy, s, v, tau: (
            sharp_logs(dy, s, v, tau)[0],
            sharp_logs(dy, s - s.mean(axis=1, keepdims=True), v, tau)[1],
        ),
    },
    "WORD_MAPS": {
        "words of the end": lambda w, pieces, h, c: maps_by_number(w[:, :, ::-1], pieces, h, c),
        "words backwards": lambda w, pieces, h, c: maps_by_number(w, pieces, h, c)[::-1],
        "sum over heads": lambda w, pieces, h, c: maps_by_number(w, pieces, h, c) * len(w),
        "each map sums to 1": lambda w, pieces, h, c: (
            maps_by_number(w, pieces, h, c) / maps_by_number(w, pieces, h, c).sum((1, 2), keepdims=True)
        ),
    },
    "REGIONS": {
        "joined at the end": regions_apart,
        "each guess clipped": regions_clipped,
        "hard masks": lambda g, a, x, c, masks, *rest: regions(g, a, x, c, [np.round(m) for m in masks], *rest),
        "masks turned round": lambda g, a, x, c, masks, *rest: regions(g, a, x, c, [1 - m for m in masks], *rest),
        "texts turned round": lambda g, a, x, c, masks, *rest: regions(g, a, x, c, [m[:, ::-1] for m in masks], *rest),
    },
    "WORTH": {
        "words stay away": worth_growing,
        "shares": worth_wrong(lambda found, *args: found / found.sum(axis=1, keepdims=True)),
        "against no words": worth_wrong(
            lambda found, guess, x, t, words, nothing: worth_loop(guess, x, t, nothing, words)
        ),
        "another time": worth_wrong(lambda found, guess, x, t, *c: worth_loop(guess, x, t + 1, *c)),
        "largest change": worth_wrong(
            lambda found, guess, x, t, words, nothing: np.stack(
                [
                    abs(
                        guess(x, t, np.where((np.arange(words.shape[1]) == j)[None, :, None], nothing, words))
                        - guess(x, t, words)
                    ).max(axis=(1, 2, 3))
                    for j in range(words.shape[1])
                ],
                axis=1,
            )
        ),
    },
}
