"""Exercises of notebook 08: upsampling, a table with a fault, and the backward of a block and of a UNet's skips."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(8)


def _upsample(dy, f, add=np.sum, tiles=False, axes=(2, 4)):
    n, height, width, channels = dy.shape
    if tiles:
        return dy.reshape(n, f, height // f, f, width // f, channels).sum(axis=(1, 3))
    blocks = dy.reshape(n, height // f, f, width // f, f, channels)
    summed = add(blocks, axis=axes, keepdims=True)
    return summed[:, :, 0, :, 0]


UPSAMPLE = Exercise(
    grade="transcribe",
    reference=_upsample,
    cases=[
        (_RNG.standard_normal((2, 4, 6, 3)) + 0.5, 2),
        (_RNG.standard_normal((4, 3, 9, 2)), 3),
        (_RNG.standard_normal((3, 8, 4, 1)), 4),
        (_RNG.standard_normal((2, 3, 5, 4)), 1),
    ],
    returns=["dx"],
    mistakes={
        "that is the mean of each block; gradients of what was used several times add, they are not averaged.": (
            partial(_upsample, add=np.mean)
        ),
        "that is one pixel of each block; x was copied to f * f places and collects from all of them.": (
            partial(_upsample, axes=())
        ),
        "only the pixels above each other are summed; a block is f pixels high and f wide.": (
            partial(_upsample, axes=(2,))
        ),
        "only the pixels beside each other are summed; a block is f pixels high and f wide.": (
            partial(_upsample, axes=(4,))
        ),
        "the pixels of a block lie beside each other; yours collects pixels that lie a part of the image apart.": (
            partial(_upsample, tiles=True)
        ),
        "the sum is divided by f; nothing was averaged in the forward, every pixel was copied whole.": (
            lambda dy, f: _upsample(dy, f) / f
        ),
    },
    hints=[
        "To which pixels of y was a pixel of x copied? Its gradient is the sum of theirs.",
        "`dy[:, i::f, j::f]` takes the pixel in row i and column j of every block; or give the rows and the columns of "
        "a block axes of their own.",
        "`dy.reshape(n, height // f, f, width // f, f, channels).sum(axis=(2, 4))`.",
    ],
    praise="One pixel, f * f readers: their gradients add.",
)


def _table(dy, indices, rows, same=0, mean=False, keep=None):
    found, counts = np.zeros((rows, dy.shape[-1])), np.zeros((rows, 1))
    for index, gradient in zip(np.ravel(indices), dy.reshape(-1, dy.shape[-1]), strict=True):
        row = (index + same) % rows
        if keep == "last":
            found[row] = 0
        if keep != "first" or not counts[row, 0]:
            found[row] += gradient
        counts[row] += 1
    return found / np.maximum(counts, 1) if mean else found


EMBEDDING = Exercise(
    grade="debug",
    reference=_table,
    cases=[
        (_RNG.standard_normal((5, 3)), np.array([2, 0, 2, 4, 2]), 6),
        (_RNG.standard_normal((2, 3, 4)), np.array([[1, 1, 0], [4, 1, 0]]), 5),
        (_RNG.standard_normal((3, 2)), np.array([0, 2, 1]), 3),
    ],
    returns=["d_table"],
    mistakes={
        PLANTED: (partial(_table, keep="last")),
        "a row that was read several times gets the first gradient alone; it collects from every place.": (
            partial(_table, keep="first")
        ),
        "that is the mean over the places where a row was read; gradients of all readers add.": (
            partial(_table, mean=True)
        ),
        "the rows are off by one: index k reads row k, and the first is row 0.": partial(_table, same=1),
        "each row gets the sum of all gradients; it collects only from where it was read.": (
            lambda dy, indices, rows: np.ones((rows, 1)) * dy.reshape(-1, dy.shape[-1]).sum(axis=0)
        ),
    },
    hints=[
        "Compare the row that was read twice with the sum of its two gradients. Which one is missing?",
        "NumPy's `a[indices] += b` reads all places first and writes them once each, so a repeated place is added to "
        "once. Loop over the places, or use `np.add.at`, or a matrix with a single 1 in each row.",
        "`np.add.at(d_table, indices, dy)` adds at each place as often as it is named.",
    ],
    praise="A row collects from every place where it was read.",
)

_MIX_F, _MIX_G = _RNG.standard_normal((3, 3)), _RNG.standard_normal((3, 3))


def _through_f(dy):
    """Stand in for the backward of f."""
    return dy[:, ::-1] @ _MIX_F


def _through_g(dy):
    """Stand in for the backward of g."""
    return np.roll(dy, 1, axis=2) @ _MIX_G


def _halved(dy):
    """Stand in for another backward."""
    return 0.5 * dy + 0.25 * dy[:, :, ::-1]


def _block(dy, f_backward, g_backward, past=1.0, inner=1.0, emb="after f", add=np.sum, axes=(1, 2), order="fg"):
    first, second = (f_backward, g_backward) if order == "fg" else (g_backward, f_backward)
    dh = first(dy)
    through = second(dh)
    of_emb = {"after f": dh, "before f": dy, "after g": through, "both": dh + dy}[emb]
    return past * dy + inner * through, add(of_emb, axis=axes)


_DY = _RNG.standard_normal((2, 4, 5, 3)) + 0.4

BLOCK = Exercise(
    grade="derive",
    reference=_block,
    cases=[
        (_DY, _through_f, _through_g),
        (_DY[:1, 1:], _through_g, _halved),
        (_RNG.standard_normal((3, 2, 4, 2)), _halved, np.negative),
    ],
    returns=["dx", "d_emb"],
    mistakes={
        "what passed by is missing: y = x + f(...), so dy itself comes back, besides what came through f and g.": (
            partial(_block, past=0.0)
        ),
        "what went through f and g is missing: x has two readers.": partial(_block, inner=0.0),
        "d_emb is taken from dy; emb was added before f, so its gradient has come back through f.": (
            partial(_block, emb="before f")
        ),
        "d_emb has gone back through g, too; emb was added after g.": partial(_block, emb="after g"),
        "emb was added in one place only, inside f; dy itself does not reach it.": partial(_block, emb="both"),
        "d_emb is a mean over the pixels; every pixel used the same vector, so the gradients add.": (
            partial(_block, add=np.mean)
        ),
        "d_emb is summed over the images, too; each image has an embedding of its own.": (
            partial(_block, axes=(0, 1, 2))
        ),
        "the backward goes the other way: f came last, so it comes first.": partial(_block, order="gf"),
    },
    hints=[
        "Give names to what is computed: h = g(x) + emb, y = x + f(h). Who reads x, and who reads emb?",
        "dh = f_backward(dy) is what reaches h. From there it goes on to g, and to emb, which every pixel used.",
        "`dh = f_backward(dy)`; then `dy + g_backward(dh)` and `dh.sum(axis=(1, 2))`.",
    ],
    praise="Two readers of x, and one vector for all pixels.",
)


def _mixing(c_in, c_out):
    """Return a function that stands in for the backward of a block."""
    matrix = _RNG.standard_normal((c_in, c_out)) / c_in**0.5

    def backward(d):
        return d[:, ::-1] @ matrix + 0.5 * np.roll(d, 1, axis=2) @ matrix

    return backward


def _stack(dy, down, middle, up, skips="last", where="before", halves="h first", turn_up=True, turn_down=True, add=1.0):
    c, dh, d_skips = dy.shape[-1], dy, []
    for backward in reversed(up) if turn_up else up:
        d_both = backward(dh)
        d_both = d_both if halves == "h first" else np.roll(d_both, c, axis=-1)
        dh = d_both[..., :c]
        d_skips.append(d_both[..., c:])
    dh = middle(dh)
    for backward in reversed(down) if turn_down else down:
        d_skip = add * d_skips.pop(-1 if skips == "last" else 0)
        dh = backward(dh + d_skip) if where == "before" else backward(dh) + d_skip
    return dh


def _levels(n):
    return [_mixing(2, 2) for _ in range(n)], _mixing(2, 2), [_mixing(2, 4) for _ in range(n)]


SKIPS = Exercise(
    grade="derive",
    reference=_stack,
    cases=[
        (_RNG.standard_normal((3, 4, 5, 2)), *_levels(3)),
        (_RNG.standard_normal((1, 3, 4, 2)), *_levels(1)),
        (_RNG.standard_normal((2, 5, 3, 2)), *_levels(2)),
    ],
    returns=["dx"],
    mistakes={
        "the skips bring nothing back: each was read by a block on the way up, which has a gradient for it.": (
            partial(_stack, add=0.0)
        ),
        "the skips' gradients come back to the wrong levels: the last one found belongs to the lowest level.": (
            partial(_stack, skips="first")
        ),
        "a skip's gradient is added after the block's backward; the skip is what the block gave, so add it before.": (
            partial(_stack, where="after")
        ),
        "h came first in the concatenation, so it owns the first c channels, and the skip the rest.": (
            partial(_stack, halves="skip first")
        ),
        "the blocks on the way up are taken in the order of the forward; the last of them comes first.": (
            partial(_stack, turn_up=False)
        ),
        "the blocks on the way down are taken in the order of the forward; the last of them comes first.": (
            partial(_stack, turn_down=False)
        ),
        "a skip's gradient is halved; two readers' gradients add.": partial(_stack, add=0.5),
    },
    hints=[
        "Read the forward from its last line to its first. What was pushed last was popped first; what is found first "
        "in the backward?",
        "Go through reversed(up): cut what comes back after c channels, and keep the skip's part in a list. Middle; "
        "then reversed(down): what a block gave had two readers, the next block and a skip.",
        "Down: `for backward in reversed(down): dh = backward(dh + d_skips.pop())`, with d_skips filled on the way "
        "through up by `d_both[..., c:]`, and `dh = d_both[..., :c]`.",
    ],
    praise="The skips' gradients go back in the reverse order, each to the block that made it.",
)
