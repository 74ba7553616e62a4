"""Answers to the exercises of notebook 35."""

from types import SimpleNamespace

import numpy as np

from tinydiff import functional as F
from tinydiff.diffusion.editing import slerp
from tinydiff.evaluate.retrieval import first_answers
from tinydiff.models import Prior, text_difference


def standardised_of_library(known, z, x):
    """The two methods of a prior, which need of it only what embeddings are standardised by."""
    prior = SimpleNamespace(mean=known.mean(axis=0), std=known.std(axis=0))
    return Prior.encode(prior, z)[:, 0, 0], Prior.decode(prior, x[:, None, None])


def causal_of_library(q, k, v):
    mask = np.tril(np.ones((q.shape[1], q.shape[1]), bool))
    y, _ = F.attention(q[:, None], k[:, None], v[:, None], mask)
    return y[:, 0]


def towards_of_library(z, text, of_picture, share):
    return slerp(z, text_difference(text, of_picture), share)


def standardised_loops(known, z, x):
    n, size = known.shape
    mean = [sum(known[:, i]) / n for i in range(size)]
    std = [(sum((known[:, i] - mean[i]) ** 2) / n) ** 0.5 for i in range(size)]
    forward = [[(row[i] - mean[i]) / std[i] for i in range(size)] for row in z]
    back = np.array([[row[i] * std[i] + mean[i] for i in range(size)] for row in x])
    return forward, [row / np.linalg.norm(row) for row in back]


def standardised_float32(known, z, x):
    known, z, x = (a.astype(np.float32) for a in (known, z, x))
    mean = known.mean(axis=0, keepdims=True)
    std = np.sqrt(((known - mean) ** 2).mean(axis=0, keepdims=True))
    back = mean + std * x
    return (z - mean) / std, back / np.linalg.norm(back, axis=1, keepdims=True)


def standardised_wrong(change):
    return lambda known, z, x: change(*standardised_float32(known, z, x))


def row_filled(text, text_embedding, clock, noisy, places):
    n, length, c = text.shape
    row = np.zeros((n, length + 4, c))
    row[:, :length] = text
    for i, one in enumerate((text_embedding, clock, noisy)):
        row[:, length + i] = one
    return row + places[None]


def row_of_each(text, text_embedding, clock, noisy, places):
    rows = [np.vstack([text[i], text_embedding[i], clock[i], noisy[i], 0 * clock[i]]) for i in range(len(text))]
    return (np.array(rows) + places).astype(np.float32)


def row_wrong(change):
    return lambda *given: change(row_filled(*given), *given)


def causal_loops(q, k, v):
    y = np.zeros(v.shape)
    for n, i in np.ndindex(q.shape[:2]):
        weights = np.exp([q[n, i] @ k[n, j] / q.shape[-1] ** 0.5 for j in range(i + 1)])
        y[n, i] = weights / weights.sum() @ v[n, : i + 1]
    return y


def causal_penalty(q, k, v):
    tokens = q.shape[1]
    scores = np.einsum("nic,njc->nij", q, k) / np.sqrt(q.shape[-1]) - 1e9 * np.triu(np.ones((tokens, tokens)), 1)
    e = np.exp(scores)
    return (e / e.sum(axis=2, keepdims=True)) @ v


def found_loops(guessed, known):
    hits = 0
    for i, guess in enumerate(guessed):
        hits += max(range(len(known)), key=lambda j, guess=guess: guess @ known[j]) == i
    return hits / len(known)


def found_by_diagonal(guessed, known):
    scores = guessed @ known.T
    return np.float32(np.mean(scores.max(axis=1) <= np.diag(scores)))


def guess_by_power(draws):
    guess = draws[0]
    for _ in range(50):
        guess = np.einsum("mnd,mn->nd", draws, (draws * guess).sum(axis=-1) + 1)
        guess = guess / np.linalg.norm(guess, axis=-1, keepdims=True)
    return guess


def guess_of_sum(draws):
    total = draws.sum(axis=0).astype(np.float32)
    return total / np.sqrt((total**2).sum(axis=-1))[:, None]


def alike_loops(draws):
    m = len(draws)
    return [
        np.mean([draws[i, n] @ draws[j, n] for i in range(m) for j in range(m) if i != j])
        for n in range(draws.shape[1])
    ]


def alike_einsum(draws):
    m = len(draws)
    table = np.einsum("mnd,knd->nmk", draws, draws)
    return np.triu(table, 1).sum(axis=(1, 2)) * 2 / (m * m - m)


def told_loops(tokens, empty, z, u):
    words, vectors = tokens.copy(), z.copy()
    for i in range(len(tokens)):
        if u[0, i] < 0.5:
            words[i] = empty
        if u[1, i] < 0.1:
            vectors[i] = 0
    return words, vectors


def told_where(tokens, empty, z, u):
    return np.where(u[0][:, None] >= 0.5, tokens, empty), np.where(u[1][:, None] >= 0.1, z, 0).astype(np.float32)


def towards_loops(z, text, of_picture, share):
    way = []
    for one, a, b in zip(z, text, of_picture, strict=True):
        target = (a - b) / np.linalg.norm(a - b)
        upright = target - (target @ one) * one
        angle = share * np.arctan2(np.linalg.norm(upright), target @ one)
        way.append(np.cos(angle) * one + np.sin(angle) * upright / np.linalg.norm(upright))
    return way


def towards_float32(z, text, of_picture, share):
    z, difference = z.astype(np.float32), (text - of_picture).astype(np.float32)
    target = difference / np.sqrt((difference**2).sum(axis=1))[:, None]
    omega = np.arccos(np.einsum("nd,nd->n", z, target))[:, None]
    return (np.sin(omega - share * omega) * z + np.sin(share * omega) * target) / np.sin(omega)


LIBRARY = {
    "STANDARDISE": standardised_of_library,
    "ROW": "The library's prior makes its row inside its forward, which the notebook compares as a whole.",
    "MASK": causal_of_library,
    "FOUND": lambda guessed, known: first_answers(guessed @ known.T)[0] / len(known),
    "GUESS": "The library has no use for a guess that nothing was drawn for.",
    "ALIKE": "The library does not measure this.",
    "TOLD": "Decode.context draws its random numbers itself.",
    "TOWARDS": towards_of_library,
}
RIGHT = {
    "STANDARDISE": {"loops": standardised_loops, "float32": standardised_float32},
    "ROW": {"filled": row_filled, "text by text": row_of_each},
    "MASK": {"loops": causal_loops, "a large number taken off": causal_penalty},
    "FOUND": {"loops": found_loops, "by the diagonal": found_by_diagonal},
    "GUESS": {"turned until it stands still": guess_by_power, "the sum": guess_of_sum},
    "ALIKE": {"loops": alike_loops, "einsum": alike_einsum},
    "TOLD": {"loops": told_loops, "where": told_where},
    "TOWARDS": {"in the plane": towards_loops, "float32": towards_float32},
}
WRONG = {
    "STANDARDISE": {
        "twice as large": standardised_wrong(lambda x, z: (2 * x, z)),
        "the other sign": standardised_wrong(lambda x, z: (x, -z)),
        "of length 1 too early": standardised_wrong(lambda x, z: (x / np.linalg.norm(x, axis=1, keepdims=True), z)),
        "of the root of the size": lambda known, z, x: (z * z.shape[1] ** 0.5, x / np.linalg.norm(x, axis=1)[:, None]),
    },
    "ROW": {
        "places twice": row_wrong(lambda row, *given: row + given[-1]),
        "of the last text": row_wrong(lambda row, *given: np.broadcast_to(row[-1:], row.shape)),
        "a query of ones": row_wrong(lambda row, *given: row + (np.arange(row.shape[1]) == row.shape[1] - 1)[:, None]),
        "mirrored": row_wrong(lambda row, *given: row[:, ::-1]),
    },
    "MASK": {
        "the first cannot be hidden": lambda q, k, v: causal_penalty(q, k, v) + v[:, :1] - v.mean(axis=1)[:, None],
        "one block ahead": lambda q, k, v: causal_loops(q, np.roll(k, 1, axis=1), v),
        "values mirrored": lambda q, k, v: causal_loops(q, k, v[:, ::-1]),
        "queries for keys": lambda q, k, v: causal_loops(k, q, v),
    },
    "FOUND": {
        "none": lambda guessed, known: 0.0,
        "all": lambda guessed, known: 1.0,
        "mean of both ways": lambda guessed, known: (
            (found_loops(guessed, known) + found_loops(known, guessed)) / 2 + 0.1
        ),
        "not found": lambda guessed, known: 1 - found_loops(guessed, known),
        "the mean cosine": lambda guessed, known: (guessed * known).sum(axis=1).mean(),
    },
    "GUESS": {
        "zeros": lambda draws: 0 * draws[0],
        "away": lambda draws: -guess_of_sum(draws),
        "of two draws": lambda draws: guess_of_sum(draws[:2]),
        "all the same way": lambda draws: np.ones(draws.shape[1:]) / draws.shape[2] ** 0.5,
        "of the text before": lambda draws: np.roll(guess_of_sum(draws), 1, axis=0),
    },
    "ALIKE": {
        "of the first two": lambda draws: (draws[0] * draws[1]).sum(axis=-1) + 0.1,
        "with the mean": lambda draws: np.sqrt((draws.mean(axis=0) ** 2).sum(axis=-1)),
        "an angle": lambda draws: np.arccos(alike_einsum(draws)),
        "one number": lambda draws: np.full(draws.shape[1], np.mean(alike_loops(draws))),
    },
    "TOLD": {
        "nothing hidden": lambda tokens, empty, z, u: (tokens, z),
        "all hidden": lambda tokens, empty, z, u: (0 * tokens + empty, 0 * z),
        "the others hidden": lambda tokens, empty, z, u: told_loops(tokens, empty, z, 1 - u),
        "embeddings of the mean": lambda tokens, empty, z, u: (
            told_loops(tokens, empty, z, u)[0],
            np.where(u[1][:, None] < 0.1, z.mean(axis=0), z),
        ),
    },
    "TOWARDS": {
        "nowhere": lambda z, text, of_picture, share: z,
        "half as far": lambda z, text, of_picture, share: towards_loops(z, text, of_picture, share / 2),
        "away from it": lambda z, text, of_picture, share: towards_loops(z, of_picture - text, 0 * text, share),
        "of the sum": lambda z, text, of_picture, share: towards_loops(z, text, -of_picture, share),
        "an addition": lambda z, text, of_picture, share: z + share * (text - of_picture),
    },
}
