"""Patches of images: padding with zeros, cutting patches out, and adding them back to where they were cut from."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

from tinydiff.base import Array

Sides = tuple[tuple[int, int], tuple[int, int]]  # rows above and below, columns left and right
Padding = int | Sides

# Patches are gathered for a few images at a time, so that their array stays small at any batch size.
PATCH_BYTES = 32 * 2**20


def all_sides(padding: Any) -> Sides:
    """Return a padding as ((top, bottom), (left, right)); one number stands for all four."""
    if isinstance(padding, Integral):
        padding = (int(padding), int(padding)), (int(padding), int(padding))
    (top, bottom), (left, right) = padding
    return (top, bottom), (left, right)


def pad(xp: Any, x: Array, padding: Sides) -> Array:
    """Put rows and columns of zeros around images (N, H, W, C)."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    n, height, width, channels = x.shape
    padded = xp.zeros((n, height + top + bottom, width + left + right, channels), x.dtype)
    padded[:, top : top + height, left : left + width] = x
    return padded


def cut_patches(xp: Any, x: Array, kh: int, kw: int, stride: int, padding: Sides) -> Iterator[tuple[slice, Array]]:
    """Yield (images, patches), the patches as a strided view of shape (images, H_out, W_out, kh, kw, C)."""
    padded = pad(xp, x, padding)
    n, height, width, channels = padded.shape
    h_out, w_out = (height - kh) // stride + 1, (width - kw) // stride + 1
    s_n, s_h, s_w, s_c = padded.strides
    bytes_per_image = h_out * w_out * kh * kw * channels * x.dtype.itemsize
    images_at_once = max(1, PATCH_BYTES // bytes_per_image)
    for start in range(0, n, images_at_once):
        images = slice(start, min(n, start + images_at_once))
        yield (
            images,
            xp.lib.stride_tricks.as_strided(
                padded[images],
                (images.stop - start, h_out, w_out, kh, kw, channels),
                (s_n, stride * s_h, stride * s_w, s_h, s_w, s_c),
            ),
        )


def pixels_times_taps(x: Array, w_first: Array) -> Array:
    """Multiply every pixel by all taps: (N, H, W, c) with (c, kh, kw, k) gives (N, H, W, kh, kw, k)."""
    c, kh, kw, k = w_first.shape
    return (x.reshape(-1, c) @ w_first.reshape(c, -1)).reshape(*x.shape[:3], kh, kw, k)


def add_taps(xp: Any, taps: Array, shape: tuple, stride: int) -> Array:
    """Add ``taps[n, h, w, i, j]`` to pixel (h stride + i, w stride + j) of zeros: the transpose of `cut_patches`."""
    _, height, width, kh, kw, _ = taps.shape
    out = xp.zeros(shape, taps.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            out[:, rows, columns] += taps[:, :, :, i, j]
    return out
