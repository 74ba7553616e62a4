"""For make_torch_fixtures.py: channels last and first, and cases of the pairs of a DiT, of cascades and of CLIP."""

from collections.abc import Callable

import numpy as np
from torch.nn import functional as F


def nchw(x):
    return x.permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def of_blocks(pair: Callable[..., dict], normal: Callable[..., np.ndarray]) -> dict:
    """Return the cases, made with ``pair(f, **inputs)`` of normal numbers.

    PyTorch orders the channels of a block by channel, row and column; here it is row, column and channel.
    """

    def unshuffled(x):
        n, h, w, c = x.shape
        y = nhwc(F.pixel_unshuffle(nchw(x), 2))
        return y.reshape(n, h // 2, w // 2, c, 4).swapaxes(-1, -2).reshape(n, h // 2, w // 2, 4 * c)

    def shuffled(x):
        n, h, w, c = x.shape
        by_channel = x.reshape(n, h, w, 4, c // 4).swapaxes(-1, -2).reshape(n, h, w, c)
        return nhwc(F.pixel_shuffle(nchw(by_channel), 2))

    def enlarged(x):
        return nhwc(F.interpolate(nchw(x), scale_factor=3, mode="bilinear", align_corners=False))

    return {
        "space_to_depth": pair(unshuffled, x=normal(2, 4, 6, 3)),
        "depth_to_space": pair(shuffled, x=normal(2, 2, 3, 12)),
        "upsample_bilinear": pair(enlarged, x=normal(2, 4, 3, 2)),
        "modulate": pair(
            lambda x, shift, scale: x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1),
            x=normal(2, 3, 4), shift=normal(2, 4), scale=normal(2, 4),
        ),
        "gate": pair(lambda x, gate: gate.unsqueeze(1) * x, x=normal(2, 3, 4), gate=normal(2, 4)),
        "quick_gelu": pair(lambda x: x * (1.702 * x).sigmoid(), x=3 * normal(3, 5)),
    }  # fmt: skip
