"""Exercises of notebook 23: pixels look at words, what comes back to the words, and where a word is looked at."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import softmax
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(23)
_SIZES = [
    (2, 5, 3, 4, 6, 7, 8),
    (3, 4, 4, 6, 6, 5, 5),
    (1, 7, 2, 3, 5, 2, 4),
]  # N, pixels, words, C, D, of q and k, of v


def _drawn(n, pixels, words, c, d, wide, out, size=1.0):
    shapes = ((n, pixels, c), (n, words, d), (c, wide), (d, wide), (d, out))
    x, context, *weights = (_RNG.standard_normal(shape) for shape in shapes)
    return size * x, context, *weights


def _turned(a):
    return a.swapaxes(-1, -2)


def _cross(x, context, w_q, w_k, w_v, scale=None, axis=-1, values=True, normed=True, itself=False, first=False):
    asked = context[:1] if first else context
    if itself and x.shape == context.shape:
        asked = x
    q, k, v = x @ w_q, asked @ w_k, asked @ w_v
    if not values and k.shape == v.shape:
        v = k
    scores = q @ _turned(k) / (q.shape[-1] ** 0.5 if scale is None else scale(x, context, v, q.shape[-1]))
    weights = softmax(scores, axis) if normed else scores
    return weights @ v, weights


_EQUAL = _drawn(2, 4, 4, 5, 5, 3, 3)
_FAR_BELOW_0 = (  # all scores: from -2400 / 2 ** 0.5 to -1000 / 2 ** 0.5
    np.array([[[600.0, 0.0], [0.0, 500.0]]]),
    np.array([[[-2.0, -3.0], [-4.0, -5.0], [-3.0, -2.0]]]),
    np.eye(2),
    np.eye(2),
    np.array([[1.0, 0.5, -0.3], [0.2, -0.7, 0.4]]),
)

CROSS = Exercise(
    grade="transcribe",
    reference=_cross,
    cases=[_drawn(*_SIZES[0]), _EQUAL, _drawn(*_SIZES[2]), _drawn(2, 3, 5, 4, 2, 6, 3, size=300.0), _FAR_BELOW_0],
    returns=["y", "weights"],
    mistakes={
        "keys and values come from the pixels: that is self-attention, and no word is heard.": (
            partial(_cross, itself=True)
        ),
        "the values are made with the keys' matrix; what a word is and what it says are two things.": (
            partial(_cross, values=False)
        ),
        "the scores are not divided by the root of d, the number of channels of a query.": (
            partial(_cross, scale=lambda x, context, v, d: 1.0)
        ),
        "the scores are divided by d; it is its square root.": partial(_cross, scale=lambda x, context, v, d: d),
        "d is the width of x before it became a query; the product that is scaled has as many terms as q is wide.": (
            partial(_cross, scale=lambda x, context, v, d: x.shape[-1] ** 0.5)
        ),
        "d is the width of the values; the scores are products of queries and keys, so their width counts.": (
            partial(_cross, scale=lambda x, context, v, d: v.shape[-1] ** 0.5)
        ),
        "the softmax is taken over the pixels; each pixel shares its attention among the words: the last axis.": (
            partial(_cross, axis=-2)
        ),
        "the softmax is missing: weights must be positive and sum to 1 for each pixel.": partial(_cross, normed=False),
        "all pictures look at the first text; each has a text of its own.": partial(_cross, first=True),
    },
    hints=[
        "Who asks? Who answers? Three products make q, k and v, and two different arrays go into them.",
        "The scores are `(N, pixels, words)`: swap the last two axes of k only. Then a softmax over the words.",
        "`scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5`; take away the largest of each row before `np.exp`.",
    ],
    praise="Pixels ask, words answer.",
)


def _context_backward(
    dy,
    q,
    v,
    weights,
    context,
    w_k,
    w_v,
    keys=1.0,
    values=1.0,
    swapped=False,
    shifted=True,
    axis=-1,
    scaled=0.5,
    summed="sum",
    by_scores=True,
):
    d_weights = dy @ _turned(v)
    mean = (weights * d_weights).sum(axis=axis, keepdims=True) if shifted else 0.0
    d_scores = weights * (d_weights - mean) if by_scores else d_weights
    dk = _turned(d_scores) @ q / q.shape[-1] ** scaled
    dv = _turned(weights) @ dy
    d_context = keys * (dk @ w_k.T) + values * (dv @ w_v.T)
    if swapped and w_k.shape == w_v.shape:
        d_context = dk @ w_v.T + dv @ w_k.T
    dw_k, dw_v = _turned(context) @ dk, _turned(context) @ dv
    reduce = {"sum": lambda a: a.sum(axis=0), "mean": lambda a: a.mean(axis=0), "first": lambda a: a[0]}[summed]
    return d_context, reduce(dw_k), reduce(dw_v)


def _of_backward(n, pixels, words, c, d, wide, out):
    _, context, _, w_k, w_v = _drawn(n, pixels, words, c, d, wide, out)
    q = _RNG.standard_normal((n, pixels, wide))
    weights = softmax(q @ _turned(context @ w_k) / wide**0.5)
    return _RNG.standard_normal((n, pixels, out)), q, context @ w_v, weights, context, w_k, w_v


CONTEXT = Exercise(
    grade="derive",
    reference=_context_backward,
    cases=[_of_backward(*sizes) for sizes in _SIZES],
    returns=["d_context", "dw_k", "dw_v"],
    mistakes={
        "the values are forgotten: the context was read twice, by keys and by values, and gradients add.": (
            partial(_context_backward, values=0.0)
        ),
        "the keys are forgotten: the context was read twice, by keys and by values, and gradients add.": (
            partial(_context_backward, keys=0.0)
        ),
        "d_context is a mean of two; gradients of what was used twice add.": (
            partial(_context_backward, keys=0.5, values=0.5)
        ),
        "the two gradients are subtracted; they add.": partial(_context_backward, values=-1.0),
        "dk goes back through the values' matrix, and dv through the keys'.": partial(_context_backward, swapped=True),
        "the softmax's backward lacks its second part: weights sum to 1, so what raises one lowers the others.": (
            partial(_context_backward, shifted=False)
        ),
        "in the softmax's backward the sum runs over the pixels; it runs over the words, as the softmax did.": (
            partial(_context_backward, axis=-2)
        ),
        "the softmax is left out of the way back: from d_weights to the scores it multiplies by the weights.": (
            partial(_context_backward, by_scores=False)
        ),
        "the scores were divided by the root of d, and so is their gradient; yours is not.": (
            partial(_context_backward, scaled=0.0)
        ),
        "dw_k and dw_v are means over the batch; every picture used the same matrices, and gradients add.": (
            partial(_context_backward, summed="mean")
        ),
        "dw_k and dw_v hear of the first picture only; every picture used the same matrices, and gradients add.": (
            partial(_context_backward, summed="first")
        ),
    },
    hints=[
        "Walk the forward backwards: y = P v, P = softmax(scores), scores = q k^T / root of d, k = c W_k, v = c W_v.",
        "First dv and d_weights from y = P v; then notebook 07's softmax backward; then dk; then both linear layers.",
        "`d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True))`, "
        "`dk = d_scores.swapaxes(-1, -2) @ q / d ** 0.5`, and `d_context = dk @ w_k.T + dv @ w_v.T`.",
    ],
    praise="Two readers, and their gradients add.",
)


def _blocks(h, context, blocks, d_out, add=True, stream=True, mean=False, late=False, backwards=True, slope=True):
    inputs = []
    for a, b in blocks:
        z = np.tanh(h @ a + context @ b)
        inputs.append(z)
        h = h + z
    d_h, d_context = d_out, np.zeros_like(context)
    order = range(len(blocks))
    for i in reversed(order) if backwards else order:
        (a, b), z = blocks[i], inputs[i]
        d_z = (d_out if late else d_h) * ((1 - z**2) if slope else 1)
        part = d_z.sum(axis=1, keepdims=True) @ b.T
        d_context = d_context + part if add else part
        d_h = d_h + d_z @ a.T if stream else d_z @ a.T
    return d_h, d_context / (len(blocks) if mean else 1)


def _of_blocks(n, pixels, c, d, count):
    blocks = [(0.6 * _RNG.standard_normal((c, c)), 0.6 * _RNG.standard_normal((d, c))) for _ in range(count)]
    h, context, d_out = (_RNG.standard_normal(shape) for shape in ((n, pixels, c), (n, 1, d), (n, pixels, c)))
    return h, context, blocks, d_out


BLOCKS = Exercise(
    grade="debug",
    reference=_blocks,
    cases=[_of_blocks(2, 5, 3, 4, 3), _of_blocks(3, 2, 4, 6, 2), _of_blocks(1, 6, 5, 2, 4)],
    returns=["d_h", "d_context"],
    mistakes={
        PLANTED: (partial(_blocks, add=False)),
        "d_context is a mean over the blocks; each of them read the same context, and gradients add.": (
            partial(_blocks, mean=True)
        ),
        "the stream's own gradient is lost: h goes into the block and past it, so two gradients add there.": (
            partial(_blocks, stream=False)
        ),
        "every block hears d_out; it should hear what has come back through the blocks after it.": (
            partial(_blocks, late=True)
        ),
        "the blocks are walked in the order of the forward; the way back begins with the last one.": (
            partial(_blocks, backwards=False)
        ),
        "the slope of tanh, 1 - z^2, is missing.": partial(_blocks, slope=False),
    },
    hints=[
        "With one block it is right. What happens to the first block's part when the second one's comes?",
        "The context is read by every block. Where something is read twice, its gradients add.",
        "In the loop it should be `d_context = d_context + ...`, or `+=`.",
    ],
    praise="Every block that reads a word has its say.",
)


def _centres(weights, height, width, first=False, share=True, swap=False, turn=False, one=0, rows=False, peak=False):
    n, _, _, words = weights.shape
    mean = weights[:, 0] if first else weights.mean(axis=1)
    if rows:
        mean = mean / mean.sum(axis=-1, keepdims=True)
    maps = _turned(mean).reshape((n, words, width, height) if turn else (n, words, height, width))
    if turn:
        maps = _turned(maps)
    if peak:
        best = maps.reshape(n, words, -1).argmax(axis=-1)
        return np.stack([best // width, best % width], axis=-1) + 0.0
    total = maps.sum(axis=(2, 3)) if share else 1.0
    row = (maps.sum(axis=3) * (one + np.arange(height))).sum(axis=2) / total
    column = (maps.sum(axis=2) * (one + np.arange(width))).sum(axis=2) / total
    return np.stack([column, row] if swap else [row, column], axis=-1)


def _of_centres(n, heads, height, width, words):
    return softmax(2 * _RNG.standard_normal((n, heads, height * width, words))), height, width


CENTRES = Exercise(
    grade="explore",
    reference=_centres,
    cases=[_of_centres(2, 3, 4, 5, 6), _of_centres(1, 2, 3, 7, 4), _of_centres(3, 4, 5, 2, 3)],
    returns=["centres"],
    mistakes={
        "only the first head is looked at; take the mean over all heads.": partial(_centres, first=True),
        "the sums are not divided by the weight of the whole map: a centre is a mean of places, weighted by the map.": (
            partial(_centres, share=False)
        ),
        "the column stands before the row; return (row, column), as arrays do.": partial(_centres, swap=True),
        "height and width are exchanged: pixels lie row by row, so a map is `reshape(height, width)`.": (
            partial(_centres, turn=True)
        ),
        "rows and columns are counted from 1; as everywhere in NumPy, the first is 0.": partial(_centres, one=1),
        "that is the brightest pixel; the centre is the mean of all places, weighted by the map.": (
            partial(_centres, peak=True)
        ),
    },
    hints=[
        "One map for each word: mean over the heads, and the last axis, the words, brought before the pixels.",
        "A centre is a weighted mean: multiply the map by the number of each row, sum, and divide by the map's sum.",
        "`maps = weights.mean(1).swapaxes(-1, -2).reshape(n, words, height, width)`; "
        "`row = (maps.sum(3) * np.arange(height)).sum(2) / maps.sum((2, 3))`.",
    ],
    praise="Now where a word is looked at is two numbers.",
)
