"""Winograd's minimal filtering: a 3 x 3 convolution with a quarter of the multiplications.

Polynomials can be multiplied by evaluating both at a few points, multiplying the values, and interpolating. A
one-dimensional convolution is such a product, and its transpose, F(4, 3), computes 4 outputs of a 3-tap filter from
6 inputs with 6 multiplications instead of 12. Nested in two dimensions, F(4 x 4, 3 x 3) turns each 6 x 6 tile of the
image into 36 numbers per channel, in which the convolution is a plain product (Eq. WINO-1):

    Y = A^T [ (G w G^T) * (B^T x B) ] A

It is linear in x and in w, so each gradient is the product of the same matrices, transposed.

Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015, arXiv 1509.09308; the points are
0, 1, -1, 2, -2 and infinity.
"""

from typing import Any

import numpy as np

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


def winograd_conv(xp: Any, padded: Any, w: Any) -> tuple[Any, Any]:
    """Convolve padded images with a 3 x 3 kernel at stride 1, Eq. WINO-1.

    Parameters
    ----------
    xp : module
    padded : array, shape (N, H + 2, W + 2, c_in)
    w : array, shape (3, 3, c_in, c_out)

    Returns
    -------
    y : array, shape (N, H, W, c_out)
    v : array, shape (tiles, 36, c_in)
        The transformed input, for `winograd_dw`.
    """
    n, height, width, c_in = padded.shape[0], padded.shape[1] - 2, padded.shape[2] - 2, padded.shape[3]
    c_out = w.shape[3]
    tiles_h, tiles_w = -(-height // 4), -(-width // 4)
    v = _matrix(xp, INPUT_TRANSFORM, w.dtype) @ _tiles_of_six(xp, padded, tiles_h, tiles_w)
    u = (_matrix(xp, WEIGHT_TRANSFORM, w.dtype) @ w.reshape(9, -1)).reshape(36, c_in, c_out)
    m = _product_per_point(xp, v, u)
    y = (_matrix(xp, OUTPUT_TRANSFORM, w.dtype) @ m).reshape(n, tiles_h, tiles_w, 4, 4, c_out)
    y = y.transpose(0, 1, 3, 2, 4, 5).reshape(n, 4 * tiles_h, 4 * tiles_w, c_out)
    return y[:, :height, :width], v


def winograd_dw(xp: Any, dy: Any, v: Any) -> Any:
    """Return the kernel's gradient, shape (3, 3, c_in, c_out), from dy and the transformed input (Eq. WINO-2)."""
    c_in, c_out = v.shape[2], dy.shape[3]
    dm = _matrix(xp, OUTPUT_TRANSFORM.T, dy.dtype) @ _tiles_of_four(xp, dy)  # y = OUTPUT_TRANSFORM m
    du = v.transpose(1, 2, 0) @ dm.transpose(1, 0, 2)  # m = v u at each of the 36 points
    dw = _matrix(xp, WEIGHT_TRANSFORM.T, dy.dtype) @ du.reshape(36, -1)  # u = WEIGHT_TRANSFORM w
    return dw.reshape(3, 3, c_in, c_out)


def _product_per_point(xp, v, u):
    """Multiply (tiles, 36, c_in) by (36, c_in, c_out) at each of the 36 points; the result stays tile-major."""
    m = xp.empty((v.shape[0], 36, u.shape[2]), v.dtype)
    xp.matmul(v.transpose(1, 0, 2), u, out=m.transpose(1, 0, 2))
    return m


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


def _matrix(xp, matrix, dtype):
    return xp.asarray(matrix, dtype)
