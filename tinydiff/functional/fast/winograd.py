"""Winograd's minimal filtering: a 3 x 3 convolution with a quarter of the multiplications.

Polynomials can be multiplied by evaluating both at a few points, multiplying the values, and interpolating. A
one-dimensional convolution is such a product, and its transpose, F(4, 3), computes 4 outputs of a 3-tap filter from
6 inputs with 6 multiplications instead of 12. Nested in two dimensions, F(4 x 4, 3 x 3) turns each 6 x 6 tile of the
image into 36 numbers per channel, in which the convolution is a plain product (Eq. WINO-1):

    Y = A^T [ (G w G^T) * (B^T x B) ] A

It is linear in x and in w, so each gradient is the product of the same matrices, transposed.

The 36 numbers of a tile mix its pixels, and the output transform takes them apart again: what cancels there leaves
rounding. So in float32 each product of an input and a weight is right to some 5e-6 of the largest such product in its
*tile*; in im2col, to 6e-8 of itself. With weights up to 1, one pixel of 1e6 among zeros leaves up to 5 in outputs that
cannot see it, of the tiles that it lies in. Networks normalise before they convolve, so that there are no such pixels;
to look for them would read every input once more, and no bound is right for all. Where they are to be expected, ask for
``algorithm="im2col"``, or work within ``tinydiff.plain()``.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015, arXiv 1509.09308; the points are
0, 1, -1, 2, -2 and infinity.
"""

import functools
from typing import Any

import numpy as np

from tinydiff.base import Array, xp_of
from tinydiff.workers import pieces

B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])

# vec(B^T x B) = (B^T kron B^T) vec(x): both sides of a tile in one product.
INPUT_TRANSFORM = np.kron(B_T, B_T)  # (36, 36): a tile's 6 x 6 pixels to 36 numbers
WEIGHT_TRANSFORM = np.kron(G, G)  # (36, 9)
OUTPUT_TRANSFORM = np.kron(A_T, A_T)  # (16, 36): 36 numbers to 4 x 4 pixels

# The constant polynomial is 1 at the point (1, 1), which is number 6 + 1 of the 36: A takes that number to every
# pixel of the tile with the factor 1. So a bias is added to this number only.
CONSTANT = 7

# Bytes of tiles, transformed tiles, products and pixels that are worked on at once: what a core's cache can hold.
WORKING_SET = 2 * 2**20


def transform_weights(w: Array) -> Array:
    """Return G w G^T of every pair of channels, shape (36, c_in, c_out), for w of shape (3, 3, c_in, c_out)."""
    xp = xp_of(w)
    c_in, c_out = w.shape[2:]
    u = xp.empty((36, c_in, c_out), w.dtype)
    taps = w.reshape(9, c_in, c_out)
    _matmul_into(xp, _constant(xp, "weight", w.dtype), taps.transpose(1, 0, 2), u.transpose(1, 0, 2))
    return u


def transform_flipped_weights(w: Array) -> Array:
    """Return the transform of w with taps flipped and channels swapped: the kernel of the convolution for dx."""
    return transform_weights(w[::-1, ::-1].swapaxes(2, 3))


def winograd_conv(xp: Any, padded: Array, u: Array, b: Array | None = None, keep: bool = True) -> tuple[Array, Array]:
    """Convolve padded images with a 3 x 3 kernel at stride 1, Eq. WINO-1.

    Parameters
    ----------
    xp : module
    padded : array, shape (N, H + 2, W + 2, c_in)
    u : array, shape (36, c_in, c_out)
        The transformed kernel, see `transform_weights`.
    b : array, shape (c_out,), or None
    keep : bool
        Whether to keep the transformed input, which `winograd_dw` reads.

    Returns
    -------
    y : array, shape (N, H, W, c_out)
    v : array, shape (tiles, 36, c_in), or None
        The transformed input, if it is kept.
    """
    (n, height, width, c_in), c_out = padded.shape, u.shape[2]
    height, width = height - 2, width - 2
    tiles_h, tiles_w = -(-height // 4), -(-width // 4)
    tiles = tiles_h * tiles_w  # of one image
    to_numbers, to_pixels = _constant(xp, "input", u.dtype), _constant(xp, "output", u.dtype)
    v: Array = xp.empty((n * tiles, 36, c_in), u.dtype) if keep else None
    y = xp.empty((n, tiles_h, 4, tiles_w, 4, c_out), u.dtype)
    bytes_of_an_image = tiles * 36 * (2 * c_in + 2 * c_out) * u.dtype.itemsize
    for images in pieces(xp, n, bytes_of_an_image, WORKING_SET):
        v_part = v[images.start * tiles : images.stop * tiles] if keep else None
        v_part = xp.matmul(to_numbers, _tiles_of_six(xp, padded[images], tiles_h, tiles_w), out=v_part)
        m = xp.empty((len(v_part), 36, c_out), u.dtype)
        _matmul_into(xp, v_part.transpose(1, 0, 2), u, m.transpose(1, 0, 2))
        if b is not None:
            m[:, CONSTANT] += b
        pixels = (to_pixels @ m).reshape(-1, tiles_h, tiles_w, 4, 4, c_out)
        y[images] = pixels.transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(n, 4 * tiles_h, 4 * tiles_w, c_out)[:, :height, :width], v


def winograd_dw(xp: Any, dy: Array, v: Array) -> tuple[Array, Array]:
    """Return the gradients of the kernel, (3, 3, c_in, c_out), and of the bias, (c_out,), Eq. WINO-2.

    v is the transformed input that `winograd_conv` returned.
    """
    c_in, c_out = v.shape[2], dy.shape[3]
    dm = _constant(xp, "output.T", dy.dtype) @ _tiles_of_four(xp, dy)  # y = OUTPUT_TRANSFORM m
    du = v.transpose(1, 2, 0) @ dm.transpose(1, 0, 2)  # m = v u at each of the 36 points
    dw = xp.empty((9, c_in, c_out), dy.dtype)
    matrix = _constant(xp, "weight.T", dy.dtype)  # u = WEIGHT_TRANSFORM w
    _matmul_into(xp, matrix, du.transpose(1, 0, 2), dw.transpose(1, 0, 2))
    return dw.reshape(3, 3, c_in, c_out), dm[:, CONSTANT].sum(axis=0)


def _matmul_into(xp, a, b, out):
    """Multiply stacks of matrices into a view whose stack is not its first axis in memory.

    BLAS writes rows at any distance, so on the CPU nothing is copied. CuPy would write a copy in any case.
    """
    if xp is np:
        np.matmul(a, b, out=out)
    else:
        out[...] = a @ b


def _tiles_of_six(xp, padded, tiles_h, tiles_w):
    """Cut images into 6 x 6 tiles that overlap by 2: shape (tiles, 36, C)."""
    n, height, width, c = padded.shape
    if (height, width) != (4 * tiles_h + 2, 4 * tiles_w + 2):
        whole = xp.zeros((n, 4 * tiles_h + 2, 4 * tiles_w + 2, c), padded.dtype)
        whole[:, :height, :width] = padded
        padded = whole
    s_n, s_h, s_w, s_c = padded.strides
    tiles = xp.lib.stride_tricks.as_strided(
        padded, (n, tiles_h, tiles_w, 6, 6, c), (s_n, 4 * s_h, 4 * s_w, s_h, s_w, s_c)
    )
    return tiles.reshape(n * tiles_h * tiles_w, 36, c)


def _tiles_of_four(xp, y):
    """Cut images into 4 x 4 tiles, zeros beyond the edge: shape (tiles, 16, C)."""
    n, height, width, c = y.shape
    tiles_h, tiles_w = -(-height // 4), -(-width // 4)
    if (height, width) != (4 * tiles_h, 4 * tiles_w):
        whole = xp.zeros((n, 4 * tiles_h, 4 * tiles_w, c), y.dtype)
        whole[:, :height, :width] = y
        y = whole
    return y.reshape(n, tiles_h, 4, tiles_w, 4, c).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)


@functools.cache
def _constant(xp, name, dtype):
    """Return one of the three transforms above, or its transpose, as an array of this module and dtype."""
    matrix = {"input": INPUT_TRANSFORM, "weight": WEIGHT_TRANSFORM, "output": OUTPUT_TRANSFORM}[name.removesuffix(".T")]
    return xp.asarray(np.ascontiguousarray(matrix.T if name.endswith(".T") else matrix), dtype)
