"""Exercises of notebook 08: upsampling, the concatenation of a skip, and a residual block."""

import numpy as np

from tinydiff.course.exercise import Exercise
from tinydiff.functional import avg_pool, upsample_nearest_backward
from tinydiff.functional.resample import UpsampleCache

_RNG = np.random.default_rng(8)
_DY = _RNG.standard_normal((2, 4, 6, 3))

UPSAMPLE = Exercise(
    grade="transcribe",
    reference=lambda dy: upsample_nearest_backward(dy, UpsampleCache(2))[0],
    cases=[(_DY,), (_DY[:1, :2, :2],)],
    returns=["dx"],
    mistakes={
        "that is the mean of the four; gradients of what was used four times add, they are not averaged.": (
            lambda dy: avg_pool(dy)[0]
        ),
        "that is one of the four; the pixel was copied to four places and collects from all of them.": (
            lambda dy: dy[:, ::2, ::2].copy()
        ),
        "only two of the four are summed; the block is two pixels high and two wide.": (
            lambda dy: dy[:, ::2, ::2] + dy[:, 1::2, ::2]
        ),
        "the whole image is summed; every pixel collects from its own block only.": (
            lambda dy: dy.sum(axis=(1, 2), keepdims=True) * np.ones((1, dy.shape[1] // 2, dy.shape[2] // 2, 1))
        ),
        "dx has as many pixels as dy; it must be half as high and half as wide.": lambda dy: dy,
    },
    hints=[],
    praise="One pixel, four readers: their gradients add.",
)

CONCATENATION = Exercise(
    grade="transcribe",
    reference=lambda dy, c: (dy[..., :c], dy[..., c:]),
    cases=[(_DY, 2), (_DY, 1)],
    returns=["dh", "d_skip"],
    mistakes={
        "the two are swapped: h came first, so it owns the first c channels.": lambda dy, c: (dy[..., c:], dy[..., :c]),
        "the cut is at the wrong place: c channels belong to h, and the rest to the skip.": (
            lambda dy, c: (dy[..., : dy.shape[-1] - c], dy[..., dy.shape[-1] - c :])
        ),
        "the skip gets nothing back: its channels were read like all others.": (
            lambda dy, c: (dy[..., :c], np.zeros_like(dy[..., c:]))
        ),
        "that halves the gradient; nothing was averaged, the channels only stood side by side.": (
            lambda dy, c: (dy[..., :c] / 2, dy[..., c:] / 2)
        ),
    },
    hints=[],
    praise="What was put side by side is cut apart again.",
)


def _twice(dy):
    """Stand in for the backward of what is inside a block."""
    return 2 * dy[..., ::-1]


RESIDUAL = Exercise(
    grade="transcribe",
    reference=lambda dy, inner_backward: (dy + inner_backward(dy), dy.sum(axis=(1, 2))),
    cases=[(_DY, _twice), (_DY[:1], np.negative)],
    returns=["dx", "d_emb"],
    mistakes={
        "what passed by is missing: y = x + f(x) + emb, so dy itself comes back, besides what came through f.": (
            lambda dy, inner_backward: (inner_backward(dy), dy.sum(axis=(1, 2)))
        ),
        "what went through f is missing: x has two readers.": lambda dy, inner_backward: (dy, dy.sum(axis=(1, 2))),
        "d_emb is a mean over the pixels; every pixel used the same vector, so the gradients add.": (
            lambda dy, inner_backward: (dy + inner_backward(dy), dy.mean(axis=(1, 2)))
        ),
        "d_emb is summed over the images, too; each image has an embedding of its own.": (
            lambda dy, inner_backward: (dy + inner_backward(dy), dy.sum(axis=(0, 1, 2)))
        ),
        "the two gradients of x add; they are not multiplied.": (
            lambda dy, inner_backward: (dy * inner_backward(dy), dy.sum(axis=(1, 2)))
        ),
    },
    hints=[],
    praise="Two readers of x, and one vector for all pixels.",
)
