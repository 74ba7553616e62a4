"""Two-dimensional convolution as matrix products.

A convolution reads a kh x kw patch around each output pixel. There are three ways to make matrix products of it:

- ``"im2col"``, the plain one: copy every patch into a row, then multiply the rows by the (kh kw c_in, c_out) matrix;
- ``"shift"``: multiply every pixel by all kh kw taps at once, then add the results at shifted places;
- ``"winograd"``: transform tiles so that a 3 x 3 convolution takes a quarter of the multiplications.

The first two do the same multiplications. The nine-fold array is on the side of c_in in the first and of c_out in
the second, and the narrower side should carry it: the last convolution of a UNet (64 channels to 1) takes the second.
"""

from collections import namedtuple
from collections.abc import Iterator
from numbers import Integral
from typing import Any

from tinydiff.base import InputError, check_choice, check_rank, check_shape, derived, is_plain, xp_of
from tinydiff.functional.fast.winograd import transform_flipped_weights, transform_weights, winograd_conv, winograd_dw
from tinydiff.functional.linear import column_sums

# inputs: x, or what Winograd makes of it; what the gradient of w reads
Conv2dCache = namedtuple("Conv2dCache", "inputs x_shape w b stride padding algorithm")
Padding = int | tuple[tuple[int, int], tuple[int, int]]

# Patches are gathered for a few images at a time, so that their array stays small at any batch size.
PATCH_BYTES = 32 * 2**20


def conv2d(
    x: Any,
    w: Any,
    b: Any = None,
    stride: int = 1,
    padding: Padding = 0,
    algorithm: str | None = None,
    keep: bool = True,
) -> tuple[Any, Any]:
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
        False where no backward will follow: the large arrays that only it reads are then not made.

    Returns
    -------
    y : array, shape (N, (H + top + bottom - kh) // stride + 1, the same for the width, c_out)
    cache : Conv2dCache, or None without `keep`

    Raises
    ------
    InputError
        If shapes, dtypes, devices, stride, padding or algorithm do not fit.
    """
    xp = xp_of(x=x, w=w, b=b)
    padding = _check_conv(x, w, b, stride, padding)
    algorithm = choose_algorithm(w.shape, stride) if algorithm is None else algorithm
    _check_algorithm(algorithm, w, stride)
    inputs = x
    if algorithm == "winograd":
        y, inputs = winograd_conv(xp, _pad(xp, x, padding), derived(transform_weights, w), b, keep)
    elif algorithm == "shift":
        y = _multiply_then_add(xp, x, w, padding)
    else:
        y = _gather_then_multiply(xp, x, w, stride, padding)
    if b is not None and algorithm != "winograd":
        y += b
    return y, Conv2dCache(inputs, x.shape, w, b, stride, padding, algorithm) if keep else None


def conv2d_backward(dy: Any, cache: Conv2dCache, need_dx: bool = True, need_dw: bool = True) -> tuple:
    """Return dx, dw and db (Eq. CONV-2).

    An input pixel was read through tap (i, j) by the output pixel that lies (i, j) *before* it. So dx is again a
    convolution, of dy, with the taps flipped and the channels swapped. dw[i, j] is the product of dy with the
    pixels that tap (i, j) read.
    """
    inputs, x_shape, w, b, stride, padding, algorithm = cache
    xp = xp_of(dy=dy, x=inputs)
    check_shape("dy", dy, _output_shape(x_shape, w.shape, stride, padding))
    dx = dw = db = None
    if need_dx:
        dx = _conv2d_dx(xp, dy, x_shape, w, stride, padding, algorithm)
    if need_dw and algorithm == "winograd":
        dw, db = winograd_dw(xp, dy, inputs)
    elif need_dw:
        gather = _dw_gathering_dy if algorithm == "shift" else _dw_gathering_x
        dw, db = gather(xp, dy, inputs, w, stride, padding), column_sums(dy)
    return dx, dw, None if b is None else db


def choose_algorithm(w_shape: tuple, stride: int) -> str:
    """Return the fastest algorithm for a kernel (kh, kw, c_in, c_out), as measured on a CPU.

    A narrow output takes ``"shift"``; 3 x 3 at stride 1 takes ``"winograd"`` if there are enough channels to pay for
    the transforms; all else, and everything within ``tinydiff.plain()``, takes ``"im2col"``.
    """
    kh, kw, c_in, c_out = w_shape
    if is_plain() or stride != 1:
        return "im2col"
    return "winograd" if kh == kw == 3 and min(c_in, c_out) >= 16 else _by_narrow_side(w_shape)


def _by_narrow_side(w_shape):
    """Choose between the two without a transform: the narrower side should carry the taps."""
    _, _, c_in, c_out = w_shape
    return "shift" if 4 * c_out <= c_in and not is_plain() else "im2col"


def _output_shape(x_shape, w_shape, stride, padding):
    (n, height, width, _), (kh, kw, _, c_out), ((top, bottom), (left, right)) = x_shape, w_shape, padding
    return n, (height + top + bottom - kh) // stride + 1, (width + left + right - kw) // stride + 1, c_out


def _conv2d_dx(xp, dy, x_shape, w, stride, padding, algorithm):
    kh, kw, c_in, _ = w.shape
    (top, bottom), (left, right) = padding
    rest = ((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right))
    if algorithm == "winograd":
        return winograd_conv(xp, _pad(xp, dy, rest), transform_flipped_weights(w), keep=False)[0]
    if stride == 1:
        flipped = w[::-1, ::-1].swapaxes(2, 3)
        return conv2d(dy, flipped, None, 1, rest, _by_narrow_side(flipped.shape), keep=False)[0]
    # With stride 2 a flipped convolution would mostly multiply zeros: multiply first, add every second pixel.
    taps = _pixels_times_taps(xp, dy, w.transpose(3, 0, 1, 2))
    n, height, width, _ = x_shape
    padded = _add_taps(xp, taps, (n, height + top + bottom, width + left + right, c_in), stride)
    return padded[:, top : top + height, left : left + width]


def _gather_then_multiply(xp, x, w, stride, padding):
    kh, kw, c_in, c_out = w.shape
    y = xp.empty(_output_shape(x.shape, w.shape, stride, padding), x.dtype)
    for images, patches in _patches(xp, x, kh, kw, stride, padding):
        y[images] = (patches.reshape(-1, kh * kw * c_in) @ w.reshape(-1, c_out)).reshape(y[images].shape)
    return y


def _multiply_then_add(xp, x, w, padding):
    kh, kw, _, c_out = w.shape
    (top, bottom), (left, right) = padding
    n, height, width, _ = x.shape
    # Pixel h was read through tap i by output pixel h - i + top: flipped taps turn "- i" into "+ i".
    taps = _pixels_times_taps(xp, x, w[::-1, ::-1].transpose(2, 0, 1, 3))
    full = _add_taps(xp, taps, (n, height + kh - 1, width + kw - 1, c_out), 1)
    return full[:, kh - 1 - top : height + bottom, kw - 1 - left : width + right].copy()


def _dw_gathering_x(xp, dy, x, w, stride, padding):
    kh, kw, c_in, c_out = w.shape
    dw = xp.zeros((kh * kw * c_in, c_out), w.dtype)
    for images, patches in _patches(xp, x, kh, kw, stride, padding):
        dw += patches.reshape(-1, kh * kw * c_in).T @ dy[images].reshape(-1, c_out)
    return dw.reshape(w.shape)


def _dw_gathering_dy(xp, dy, x, w, stride, padding):
    kh, kw, c_in, c_out = w.shape
    (top, bottom), (left, right) = padding
    rest = ((kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right))
    dw = xp.zeros((c_in, kh * kw * c_out), w.dtype)
    for images, patches in _patches(xp, dy, kh, kw, 1, rest):
        dw += x[images].reshape(-1, c_in).T @ patches.reshape(-1, kh * kw * c_out)
    return dw.reshape(c_in, kh, kw, c_out)[:, ::-1, ::-1].transpose(1, 2, 0, 3)


def _patches(xp, x, kh, kw, stride, padding) -> Iterator[tuple[slice, Any]]:
    """Yield (images, patches), the patches as a strided view of shape (images, H_out, W_out, kh, kw, C)."""
    padded = _pad(xp, x, padding)
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


def _pixels_times_taps(xp, x, w_first):
    """Multiply every pixel by all taps: (N, H, W, c) with (c, kh, kw, k) gives (N, H, W, kh, kw, k)."""
    c, kh, kw, k = w_first.shape
    return (x.reshape(-1, c) @ w_first.reshape(c, -1)).reshape(*x.shape[:3], kh, kw, k)


def _add_taps(xp, taps, shape, stride):
    """Add ``taps[n, h, w, i, j]`` to pixel (h stride + i, w stride + j) of an array of zeros."""
    _, height, width, kh, kw, _ = taps.shape
    out = xp.zeros(shape, taps.dtype)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + stride * (height - 1) + 1, stride)
            columns = slice(j, j + stride * (width - 1) + 1, stride)
            out[:, rows, columns] += taps[:, :, :, i, j]
    return out


def _pad(xp, x, padding):
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    n, height, width, channels = x.shape
    padded = xp.zeros((n, height + top + bottom, width + left + right, channels), x.dtype)
    padded[:, top : top + height, left : left + width] = x
    return padded


def _check_algorithm(algorithm, w, stride):
    check_choice("algorithm", algorithm, ("im2col", "shift", "winograd"))
    if algorithm != "im2col" and stride != 1:
        raise InputError(f"algorithm is {algorithm!r}, which needs stride 1, but stride is {stride}.")
    if algorithm == "winograd" and w.shape[:2] != (3, 3):
        raise InputError(f"algorithm is 'winograd', which needs a 3 x 3 kernel, but w has shape {tuple(w.shape)}.")


def _check_conv(x, w, b, stride, padding):
    check_rank("x", x, 4)
    check_rank("w", w, 4)
    kh, kw, c_in, c_out = w.shape
    if kh % 2 == 0 or kw % 2 == 0:
        raise InputError(f"w has shape {tuple(w.shape)}, but kernel sides (its first two) must be odd.")
    if x.shape[3] != c_in:
        raise InputError(
            f"x has {x.shape[3]} channels (shape {tuple(x.shape)}), but w of shape {tuple(w.shape)} expects {c_in}. "
            "Images are (N, H, W, C)."
        )
    if 0 in (*x.shape, *w.shape):
        raise InputError(f"x has shape {tuple(x.shape)} and w {tuple(w.shape)}, but no side may be 0.")
    if b is not None:
        check_shape("b", b, (c_out,))
    if not isinstance(stride, Integral) or stride not in (1, 2):
        raise InputError(f"stride is {stride!r}, but 1 or 2 was expected.")
    if isinstance(padding, Integral):
        padding = ((padding, padding), (padding, padding))
    try:
        (top, bottom), (left, right) = padding
    except (TypeError, ValueError):
        raise InputError(
            f"padding is {padding!r}, but an int or ((top, bottom), (left, right)) was expected."
        ) from None
    whole = all(isinstance(side, Integral) for side in (top, bottom, left, right))
    if not (whole and 0 <= min(top, bottom, left, right) and max(top, bottom) < kh and max(left, right) < kw):
        raise InputError(f"padding is {padding}, but integers 0 <= padding < kernel side were expected.")
    if x.shape[1] + top + bottom < kh or x.shape[2] + left + right < kw:
        raise InputError(
            f"x has shape {tuple(x.shape)}: with padding {padding} it is smaller than the {kh} x {kw} kernel."
        )
    return (int(top), int(bottom)), (int(left), int(right))
