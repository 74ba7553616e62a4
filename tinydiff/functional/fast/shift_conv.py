"""Convolution by shifts: multiply every pixel by all taps at once, then add the products at shifted positions.

It does the same multiplications as im2col. Both make an array that is kh kw times as large as an image, here with c_out
channels, in im2col with c_in: where the output has few channels, as in a UNet's last convolution (64 to 1), it is far
smaller here.
The plain twin is im2col, in `tinydiff.functional.conv`.
"""

from typing import Any

from tinydiff.base import Array
from tinydiff.functional.patches import Sides, add_taps, cut_patches, pixels_times_taps


def multiply_then_add(xp: Any, x: Array, w: Array, padding: Sides) -> Array:
    """Return the convolution of x with w at stride 1."""
    kh, kw, _, c_out = w.shape
    (top, bottom), (left, right) = padding
    n, height, width, _ = x.shape
    # Pixel h was read through tap i by output pixel h - i + top: flipped taps turn "- i" into "+ i".
    taps = pixels_times_taps(x, w[::-1, ::-1].transpose(2, 0, 1, 3))
    full = add_taps(xp, taps, (n, height + kh - 1, width + kw - 1, c_out), 1)
    return full[:, kh - 1 - top : height + bottom, kw - 1 - left : width + right].copy()


def dw_gathering_dy(xp: Any, dy: Array, x: Array, w: Array, stride: int, padding: Sides) -> Array:
    """Return the kernel's gradient at stride 1 from patches of dy: for each tap, the outputs that read x through it."""
    kh, kw, c_in, c_out = w.shape
    (top, bottom), (left, right) = padding
    rest = ((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right))
    dw = xp.zeros((c_in, kh * kw * c_out), w.dtype)
    for images, patches in cut_patches(xp, dy, kh, kw, stride, rest):
        dw += x[images].reshape(-1, c_in).T @ patches.reshape(-1, kh * kw * c_out)
    return dw.reshape(c_in, kh, kw, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)
