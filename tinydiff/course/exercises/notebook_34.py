"""Exercises of notebook 34: patches, what tokens cost, where a patch is, and adaLN-zero forwards and backwards."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(34)


def _patches(x, p, axes=(0, 1, 3, 2, 4, 5), every=False):
    n, height, width, c = x.shape
    rows, columns = height // p, width // p
    if every:  # pixels that lie rows and columns apart
        blocks = x.reshape(n, p, rows, p, columns, c).transpose(0, 2, 4, 1, 3, 5)
    else:
        blocks = x.reshape(n, rows, p, columns, p, c).transpose(axes)
    return blocks.reshape(n, rows * columns, p * p * c)


PATCHES = Exercise(
    grade="transcribe",
    reference=_patches,
    cases=[
        (_RNG.standard_normal((7, 6, 10, 4)), 2),
        (_RNG.standard_normal((2, 12, 15, 7)), 3),
        (_RNG.standard_normal((3, 8, 24, 5)), 4),
    ],
    returns=["tokens"],
    mistakes={
        "only the shape is changed: so a token gets pixels that follow each other in one line, and no square.": (
            partial(_patches, axes=(0, 1, 2, 3, 4, 5))
        ),
        "inside a patch, pixels come column by column; they should come row by row.": (
            partial(_patches, axes=(0, 1, 3, 4, 2, 5))
        ),
        "inside a patch, the channel comes first; it should come last: all channels of a pixel, then the next pixel.": (
            partial(_patches, axes=(0, 1, 3, 5, 2, 4))
        ),
        "patches come column by column; they should come row by row, as one reads.": (
            partial(_patches, axes=(0, 3, 1, 2, 4, 5))
        ),
        "a token gets pixels from all over the picture; it should get p x p neighbours.": partial(_patches, every=True),
    },
    hints=[
        "Give each index of the formula an axis of its own: picture, h, i, w, j, c. Which order do they have in x, and "
        "which should they have?",
        "Reshape to (N, H / p, p, W / p, p, C), exchange two axes, and reshape again.",
        "`x.reshape(n, h // p, p, w // p, p, c).swapaxes(2, 3).reshape(n, -1, p * p * c)`",
    ],
    praise="The picture is a row of tokens now, and no number was lost.",
)


def _unpatch(tokens, p, height, width, axes=(0, 1, 3, 2, 4, 5), channels_first=False):
    n, rows, columns = len(tokens), height // p, width // p
    if channels_first:
        blocks = tokens.reshape(n, rows, columns, -1, p, p).transpose(0, 1, 2, 4, 5, 3)
    else:
        blocks = tokens.reshape(n, rows, columns, p, p, -1)
    return blocks.transpose(axes).reshape(n, height, width, -1)


UNPATCH = Exercise(
    grade="debug",
    reference=_unpatch,
    cases=[
        (_RNG.standard_normal((7, 15, 16)), 2, 6, 10),
        (_RNG.standard_normal((2, 20, 63)), 3, 12, 15),
        (_RNG.standard_normal((3, 12, 80)), 4, 8, 24),
    ],
    returns=["x"],
    mistakes={
        PLANTED: partial(_unpatch, axes=(0, 1, 4, 2, 3, 5)),
        "no axes are exchanged, so each patch is laid out as a line and not as a square.": (
            partial(_unpatch, axes=(0, 1, 2, 3, 4, 5))
        ),
        "patches are laid out column by column; they come row by row.": partial(_unpatch, axes=(0, 2, 3, 1, 4, 5)),
        "the channel is taken for the first index of a token; it is the last.": partial(_unpatch, channels_first=True),
        "pixels of one patch are spread over the whole picture; they should lie side by side.": (
            partial(_unpatch, axes=(0, 3, 1, 4, 2, 5))
        ),
    },
    hints=[
        "Look at one patch of the picture, and at the same patch of what comes back. What was done to it?",
        "The axes are picture, h, w, i, j, c. A line of the picture is h and i together, a column w and j: bring i "
        "beside h, and j beside w.",
        "`blocks.transpose(0, 1, 3, 2, 4, 5)`",
    ],
    praise="Each pixel is back where it was.",
)


def _cost(tokens, channels, layers, linear=24, attention=4, modulation=12, power=2, per_token=False, half=1.0):
    of_modulation = modulation * channels**2 * (tokens if per_token else 1)
    of_block = linear * channels**2 * tokens + attention * channels * tokens**power + of_modulation
    return half * layers * of_block


COST = Exercise(
    grade="derive",
    reference=_cost,
    cases=[(6, 8, 1), (16, 40, 3), (256, 12, 2), (3, 5, 7)],
    returns=["flops"],
    mistakes={
        "a multiplication and its addition are counted as one; here they are two.": partial(_cost, half=0.5),
        "attention is counted once per token; every token asks every token, so it grows with the square.": (
            partial(_cost, power=1)
        ),
        "of attention's two products, q k^T and P v, one is missing.": partial(_cost, attention=2),
        "the layer after attention (C to C) is missing.": partial(_cost, linear=22),
        "queries, keys and values are counted as one layer of C to C; they are three.": partial(_cost, linear=20),
        "the feed-forward network has two layers, of C to 4 C and back; one is missing.": partial(_cost, linear=16),
        "the modulation is missing: a layer of C to 6 C, once for each picture.": partial(_cost, modulation=0),
        "the modulation is computed from the embedding, once for each picture, and not once for each token.": (
            partial(_cost, per_token=True)
        ),
        "the modulation is counted as a layer of C to 3 C; each of the two branches needs three vectors.": (
            partial(_cost, modulation=6)
        ),
    },
    hints=[
        "A linear layer of a to b numbers costs 2 a b for each token that goes through it. Which layers has a block?",
        "For each token: 3 C^2 for q, k and v, C^2 after attention, 4 C^2 and 4 C^2 in the feed-forward network, twice "
        "each. Then q k^T and P v, T^2 C each, twice. And once for each picture, C to 6 C.",
        "`layers * (24 * channels**2 * tokens + 4 * channels * tokens**2 + 12 * channels**2)`",
    ],
    praise="The first term grows with the tokens, the second with their square.",
)


def _sinusoids(places, n, first="sin", spacing=None, start=0):
    angles = (places[:, None] + start) * 1e4 ** (-np.arange(n) / (n if spacing is None else spacing(n)))
    parts = [np.sin(angles), np.cos(angles)]
    return np.concatenate(parts if first == "sin" else parts[::-1], axis=1)


def _grid(height, width, channels, rows_first=False, down=False, mixed=False, **options):
    rows, columns = np.divmod(np.arange(height * width), width)
    if down:
        columns, rows = np.divmod(np.arange(height * width), height)
    of_columns, of_rows = (_sinusoids(places, channels // 4, **options) for places in (columns, rows))
    embedding = np.concatenate([of_rows, of_columns] if rows_first else [of_columns, of_rows], axis=1)
    if mixed:  # sine, cosine, sine, cosine ...
        embedding = embedding.reshape(len(rows), 2, 2, -1).swapaxes(2, 3).reshape(len(rows), channels)
    return embedding


GRID = Exercise(
    grade="transcribe",
    reference=_grid,
    cases=[(3, 5, 8), (4, 2, 12), (2, 6, 20)],
    returns=["embedding"],
    mistakes={
        "the row comes first; the first half of the channels is about the column, w.": partial(_grid, rows_first=True),
        "cosines come first; each half begins with its sines.": partial(_grid, first="cos"),
        "cells are numbered column by column; they should be numbered row by row, as one reads.": (
            partial(_grid, down=True)
        ),
        "sines and cosines take turns; first come all sines, then all cosines.": partial(_grid, mixed=True),
        "the frequencies fall too fast: divide i by n, and not by n - 1.": partial(_grid, spacing=lambda n: n - 1),
        "the frequencies fall too slowly: n is a quarter of the channels.": partial(_grid, spacing=lambda n: 2 * n),
        "places are counted from 1; count from 0.": partial(_grid, start=1),
    },
    hints=[
        "Which row and which column has cell number k of a grid of the given width? How many frequencies are there?",
        "`np.divmod(np.arange(height * width), width)` gives rows and columns; with n = channels // 4 frequencies make "
        "(cells, n) angles of each.",
        "`np.concatenate([np.sin(w), np.cos(w), np.sin(h), np.cos(h)], axis=1)` with `w = columns[:, None] * omega`",
    ],
    praise="A place is shown by two clocks, one for its column and one for its row.",
)


def _ramps(height, width, channels, largest=None, rows=True):
    embedding = np.zeros((height * width, channels))
    h, w = np.divmod(np.arange(height * width), width)
    embedding[:, 0], embedding[:, 1] = w / (largest or width), rows * h / (largest or height)
    return embedding


def _random_places(height, width, channels):
    return np.random.default_rng(1).choice([-1.0, 1.0], (height * width, channels))


_GRIDS = [(4, 6, 16), (8, 5, 16), (3, 7, 24)]
_LEAST, _NEARER = 0.5, 0.9


def _unlike(outputs):
    """Return what is wrong with embeddings of places as the rest of a sentence, empty if nothing is."""
    for (embedding,), (height, width, _) in zip(outputs, _GRIDS, strict=True):
        grid = f"on the grid of {height} x {width}"
        if not abs(embedding).max() <= 1 + 1e-6:
            return f"{grid} a number is {abs(embedding).max():.3g}, but all should lie between -1 and 1."
        h, w = np.divmod(np.arange(height * width), width)
        steps = abs(h[:, None] - h) + abs(w[:, None] - w)
        apart = np.linalg.norm(embedding[:, None] - embedding, axis=2)
        least = apart[steps > 0].min()
        if least < _LEAST:
            return f"{grid} two places have embeddings that are only {least:.2g} apart; {_LEAST} was asked for."
        near, others = apart[steps == 1].mean(), apart[steps > 1].mean()
        if near > _NEARER * others:
            return (
                f"{grid} neighbours are {near:.2f} apart on average, and all others {others:.2f}; neighbours should be "
                "nearer than that, by a tenth at least."
            )
    return ""


PLACES = Exercise(
    grade="explore",
    reference=_grid,
    cases=_GRIDS,
    returns=["embedding"],
    mistakes={
        "row and column are written as they are; then the last places are large numbers beside the picture's.": (
            partial(_ramps, largest=1)
        ),
        "row and column are in one channel each, as shares of the side: so neighbours differ by hardly anything, and "
        "the less, the larger the grid. Use more of the channels.": _ramps,
        "only the column is told, so that all places of a column are alike.": partial(_ramps, rows=False),
        "places are random signs: any two are far apart, but neighbours are as far apart as opposite corners.": (
            _random_places
        ),
    },
    hints=[
        "One slow number tells left from right, but hardly neighbours; one fast number does the opposite. You have "
        "many channels.",
        "Give half of the channels to the column and half to the row, and write each several times: as sine and cosine "
        "of it, at fast and slow frequencies, as notebook 08 does with the time.",
        "`np.sin(columns[:, None] * 10.0 ** -np.arange(channels // 4))`, the cosine of that, and both for the rows.",
    ],
    praise="Any two places differ, and neighbours differ less.",
    judge=_unlike,
)


def _modulate_backward(dy, x, scale, one=1.0, mean=False, apart=False, of_x=True, pictures=False, scaled=False):
    add = np.mean if mean else np.sum
    dx = dy * (one + scale[:, None])
    d_shift, d_scale = add(dy, axis=1), add(dy * x if of_x else dx, axis=1)
    if apart:
        d_scale = dy.sum(axis=1) * x.sum(axis=1)
    if scaled:
        d_scale = d_scale * (1 + scale)
    if pictures:
        d_shift, d_scale = (np.broadcast_to(d.sum(axis=0), d.shape) for d in (d_shift, d_scale))
    return dx, d_shift, d_scale


def _modulated(n, tokens, c):
    return *_RNG.standard_normal((2, n, tokens, c)), _RNG.standard_normal((n, c))


MODULATE = Exercise(
    grade="derive",
    reference=_modulate_backward,
    cases=[_modulated(2, 5, 3), _modulated(3, 4, 6), _modulated(4, 7, 2)],
    returns=["dx", "d_shift", "d_scale"],
    mistakes={
        "dx lacks the 1: x is multiplied by 1 + scale, and where the scale is 0 the gradient should pass.": (
            partial(_modulate_backward, one=0.0)
        ),
        "the tokens' gradients are averaged; each token reads shift and scale, so they add.": (
            partial(_modulate_backward, mean=True)
        ),
        "d_scale is a product of two sums; it is the sum of the products, token by token.": (
            partial(_modulate_backward, apart=True)
        ),
        "d_scale lacks x: the slope of x (1 + scale) in scale is x.": partial(_modulate_backward, of_x=False),
        "d_scale is multiplied by 1 + scale; the slope of x (1 + scale) in scale is x alone.": (
            partial(_modulate_backward, scaled=True)
        ),
        "shift and scale get the gradients of other pictures, too; each picture has vectors of its own.": (
            partial(_modulate_backward, pictures=True)
        ),
    },
    hints=[
        "Write the formula for one number y[n, i, c]. Which y read x[n, i, c], and which read scale[n, c]?",
        "x is read by one y, with the slope 1 + scale. Shift and scale are read by all tokens i of their picture, with "
        "the slopes 1 and x: sum over the axis of the tokens.",
        "`dy * (1 + scale[:, None]), dy.sum(axis=1), (dy * x).sum(axis=1)`",
    ],
    praise="All tokens of a picture tell its shift and its scale what they did.",
)


def _branch(x, emb, weight, bias, f, order=(0, 1, 2), one=1.0, axis=-1, norm=True, late=False, gate_all=False, skip=1):
    vectors = np.split((emb @ weight + bias)[:, None], 3, axis=-1)
    shift, scale, gate = (vectors[i] for i in order)
    h = x
    if norm:
        h = (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + 1e-6)
    h = f(h) * (one + scale) + shift if late else f(h * (one + scale) + shift)
    return gate * (x + h) if gate_all else skip * x + gate * h


def _branch_case(n, tokens, c, c_emb):
    """Return the arguments of a branch whose function mixes tokens and channels."""
    mix, of_tokens = _RNG.standard_normal((c, c)), _RNG.standard_normal((tokens, tokens))
    weight, bias = _RNG.standard_normal((c_emb, 3 * c)), _RNG.standard_normal(3 * c)
    x, emb = 2 * _RNG.standard_normal((n, tokens, c)) + 1, _RNG.standard_normal((n, c_emb))
    return x, emb, weight, bias, lambda h: np.tanh(of_tokens @ h @ mix)


BRANCH = Exercise(
    grade="transcribe",
    reference=_branch,
    cases=[_branch_case(2, 5, 6, 3), _branch_case(3, 4, 8, 5), _branch_case(4, 7, 5, 2)],
    returns=["y"],
    mistakes={
        "the scale stands alone; it is 1 + scale, so that a scale of 0 changes nothing.": partial(_branch, one=0.0),
        "shift and scale are exchanged: the order is shift, scale, gate.": partial(_branch, order=(1, 0, 2)),
        "the gate is taken from the first third; the order is shift, scale, gate.": partial(_branch, order=(1, 2, 0)),
        "the norm is over the tokens; each token is normalised over its own channels.": partial(_branch, axis=1),
        "the norm is missing: f should see numbers of one scale.": partial(_branch, norm=False),
        "what comes out of f is modulated; modulate what goes in.": partial(_branch, late=True),
        "the gate shuts the way straight through, too; it belongs to the branch alone.": (
            partial(_branch, gate_all=True)
        ),
        "the way straight through is missing: x is added to the branch.": partial(_branch, skip=0),
    },
    hints=[
        "Which axis are the channels, and how does a vector of a picture, (N, C), meet its tokens, (N, tokens, C)?",
        "Split `emb @ weight + bias` in three, give each an axis for the tokens, normalise x over the last axis, "
        "modulate, call f, gate, and add x.",
        "`x + gate[:, None] * f(x_hat * (1 + scale[:, None]) + shift[:, None])`",
    ],
    praise="With weights of 0 it would have given x back, unchanged.",
)
