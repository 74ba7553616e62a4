"""Two-dimensional convolution as matrix products.

A convolution reads a kh x kw patch around each output pixel. The plain algorithm, ``"im2col"``, copies every patch
into a row and multiplies the rows by the (kh kw c_in, c_out) matrix of the kernel. It works for every stride. Two fast
twins give the same numbers at stride 1, in `functional.fast`: ``"shift"`` multiplies first and adds the products at
shifted positions, for outputs with few channels; ``"winograd"`` computes a 3 x 3 convolution with a quarter of the
multiplications.
"""

import math
from collections import namedtuple
from typing import Any

from tinydiff.base import Array, check_shape, check_shapes, checked, derived, is_plain, xp_of
from tinydiff.functional.fast.shift_conv import dw_gathering_dy, multiply_then_add
from tinydiff.functional.fast.winograd import transform_flipped_weights, transform_weights, winograd_conv, winograd_dw
from tinydiff.functional.linear import column_sums
from tinydiff.functional.patches import Padding, Sides, add_taps, all_sides, cut_patches, pad, pixels_times_taps
from tinydiff.functional.values import check_conv, check_image_size

WIDE, FEW_PLACES = 2**18, 512  # pairs of channels of a kernel, and pixels of all images: see `choose_algorithm`
# inputs: what the gradient of w is computed from, x or (with Winograd) the transformed x
Conv2dCache = namedtuple("Conv2dCache", "inputs x_shape w b stride padding algorithm")


def gather_then_multiply(xp: Any, x: Array, w: Array, stride: int, padding: Sides) -> Array:
    """Return the convolution of x with w by im2col: every patch is a row, and the kernel is a matrix."""
    kh, kw, c_in, c_out = w.shape
    y = xp.empty(output_shape(x.shape, w.shape, stride, padding), x.dtype)
    for images, patches in cut_patches(xp, x, kh, kw, stride, padding):
        y[images] = (patches.reshape(-1, kh * kw * c_in) @ w.reshape(-1, c_out)).reshape(y[images].shape)
    return y


@checked("x w b", check_conv)
def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    stride: int = 1,
    padding: Padding = 0,
    algorithm: str | None = None,
    keep: bool = True,
) -> tuple[Array, Any]:
    """Return the cross-correlation of images with a kernel, plus a bias (Eq. CONV-1).

    ``y[n, h, w, o] = b[o] + sum over i, j, c of x[n, h stride + i - top, w stride + j - left, c] w[i, j, c, o]``,
    where x is zero outside the image.

    Parameters
    ----------
    x : array, shape (N, H, W, c_in)
    w : array, shape (kh, kw, c_in, c_out)
        kh and kw odd.
    b : array, shape (c_out,), or None
    stride : int
        1 or 2.
    padding : int or ((top, bottom), (left, right))
        Rows and columns of zeros around the image, each less than the kernel's side.
    algorithm : {"im2col", "shift", "winograd"} or None
        None takes the fastest that fits, see `choose_algorithm`.
    keep : bool
        False where no backward will follow: then the large arrays that only the backward reads are not made.

    Returns
    -------
    y : array, shape (N, (H + top + bottom - kh) // stride + 1, the same for the width, c_out)
    cache : Conv2dCache, or None without `keep`

    Raises
    ------
    InputError
        If shapes, dtypes, devices, stride, padding or algorithm do not fit.
    """
    check_shapes("x: N H W c_in, w: kh kw c_in c_out, b: c_out", x=x, w=w, b=b)
    xp, padding, inputs = xp_of(x), all_sides(padding), x
    check_image_size(x, w, padding)
    places = math.prod(x.shape[:3])
    algorithm = choose_algorithm(w.shape, stride, places) if algorithm is None else algorithm
    if algorithm == "winograd":
        u = transform_weights(w) if is_wide(w.shape) else derived(transform_weights, w)
        y, inputs = winograd_conv(xp, pad(xp, x, padding), u, b, keep)
    elif algorithm == "shift":
        y = multiply_then_add(xp, x, w, padding)
    else:
        y = gather_then_multiply(xp, x, w, stride, padding)
    if b is not None and algorithm != "winograd":
        y += b
    return y, Conv2dCache(inputs, x.shape, w, b, stride, padding, algorithm) if keep else None


@checked("dy cache.w")
def conv2d_backward(dy: Array, cache: Conv2dCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, dw and db (Eq. CONV-2).

    An input pixel was read through tap (i, j) by the output pixel that lies (i, j) *before* it. So dx is again a
    convolution, of dy, with the taps flipped and the channels swapped. dw[i, j] is the product of dy with the
    pixels that tap (i, j) read.
    """
    inputs, x_shape, w, b, stride, padding, algorithm = cache
    check_shape("dy", dy, output_shape(x_shape, w.shape, stride, padding))
    xp = xp_of(dy)
    dx = dw = db = None
    if need_dx:
        dx = conv2d_dx(xp, dy, x_shape, w, stride, padding, algorithm)
    if need_dw and algorithm == "winograd":
        dw, db = winograd_dw(xp, dy, inputs)
    elif need_dw:
        gather = dw_gathering_dy if algorithm == "shift" else dw_gathering_x
        dw, db = gather(xp, dy, inputs, w, stride, padding), column_sums(dy)
    return dx, dw, None if b is None else db


def dw_gathering_x(xp: Any, dy: Array, x: Array, w: Array, stride: int, padding: Sides) -> Array:
    """Return the kernel's gradient: the rows of patches, transposed, times dy."""
    kh, kw, c_in, c_out = w.shape
    dw = xp.zeros((kh * kw * c_in, c_out), w.dtype)
    for images, patches in cut_patches(xp, x, kh, kw, stride, padding):
        dw += patches.reshape(-1, kh * kw * c_in).T @ dy[images].reshape(-1, c_out)
    return dw.reshape(w.shape)


def conv2d_dx(xp: Any, dy: Array, x_shape: tuple, w: Array, stride: int, padding: Sides, algorithm: str) -> Array:
    """Return the input's gradient: a convolution of dy, with the taps flipped and the channels swapped."""
    kh, kw, c_in, _ = w.shape
    (top, bottom), (left, right) = padding
    rest = ((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right))
    if algorithm == "winograd":
        return winograd_conv(xp, pad(xp, dy, rest), transform_flipped_weights(w), keep=False)[0]
    if stride == 1:
        flipped = w[::-1, ::-1].swapaxes(2, 3)
        return conv2d.bare(dy, flipped, None, 1, rest, by_narrow_side(flipped.shape), keep=False)[0]
    # With stride 2 a flipped convolution would mostly multiply zeros: multiply first, add every second pixel.
    taps = pixels_times_taps(dy, w.transpose(3, 0, 1, 2))
    n, height, width, _ = x_shape
    padded = add_taps(xp, taps, (n, height + top + bottom, width + left + right, c_in), stride)
    return padded[:, top : top + height, left : left + width]


def choose_algorithm(w_shape: tuple, stride: int, places: int | None = None) -> str:
    """Return the fastest algorithm for a kernel (kh, kw, c_in, c_out), as measured on a CPU.

    An output with few channels takes ``"shift"``; 3 x 3 at stride 1 takes ``"winograd"`` if there are enough channels
    to pay for the transforms; all else, and everything within ``tinydiff.plain()``, takes ``"im2col"``. So does a wide
    kernel on images with few `places`: its transform, four times as large, would take longer than all else.
    """
    kh, kw, c_in, c_out = w_shape
    if is_plain() or stride != 1:
        return "im2col"
    pays = not (is_wide(w_shape) and places is not None and places < FEW_PLACES)
    return "winograd" if kh == kw == 3 and min(c_in, c_out) >= 16 and pays else by_narrow_side(w_shape)


def is_wide(w_shape: tuple) -> bool:
    """Whether a kernel is so large that its transform is not kept: that of all of a large network has no room."""
    return w_shape[2] * w_shape[3] >= WIDE


def by_narrow_side(w_shape: tuple) -> str:
    """Return "shift" if y has far fewer channels than x, so that its array of taps is smaller; else "im2col"."""
    _, _, c_in, c_out = w_shape
    return "shift" if 4 * c_out <= c_in and not is_plain() else "im2col"


def output_shape(x_shape: tuple, w_shape: tuple, stride: int, padding: Sides) -> tuple[int, int, int, int]:
    """Return the shape of y."""
    (n, height, width, _), (kh, kw, _, c_out), ((top, bottom), (left, right)) = x_shape, w_shape, padding
    return n, (height + top + bottom - kh) // stride + 1, (width + left + right - kw) // stride + 1, c_out
