"""Embeddings: rows looked up in a table, and the sinusoidal embeddings of a timestep and of places in a grid."""

import math
from collections import namedtuple
from typing import Any

import numpy as np

from tinydiff.base import Array, check_shape, check_shapes, checked, xp_of
from tinydiff.functional.loss import labels_to_one_hot
from tinydiff.functional.values import check_dy, check_grid, check_indices, check_timesteps

EmbeddingCache = namedtuple("EmbeddingCache", "one_hot")


@checked("table", check_indices)
def embedding(indices: Array, table: Array) -> tuple[Array, EmbeddingCache]:
    """Return row ``indices[i]`` of the table for every i (Eq. EMB-1).

    It is written as the product of a one-hot matrix with the table. So the backward is the one of a linear layer,
    gradients of a row that was read twice add in a fixed order, and the same code runs on every device.

    Parameters
    ----------
    indices : integer array, any shape
    table : array, shape (rows, C)

    Returns
    -------
    y : array, shape (*indices.shape, C)
    cache : EmbeddingCache

    Raises
    ------
    InputError
        On the host, if an index is not one of 0 .. rows - 1.
    """
    check_shapes("table: rows C", table=table)
    one_hot = labels_to_one_hot(indices, table.shape[0], table.dtype)
    return one_hot @ table, EmbeddingCache(one_hot)


@checked("dy cache.one_hot", check_dy)
def embedding_backward(dy: Array, cache: EmbeddingCache) -> tuple:
    """Return None for the indices, and d_table: each row gets the sum of dy wherever it was read (Eq. EMB-2)."""
    (one_hot,) = cache
    check_shape("dy", dy, (*one_hot.shape[:-1], None))
    rows = one_hot.reshape(-1, one_hot.shape[-1])
    return None, rows.T @ dy.reshape(-1, dy.shape[-1])


@checked(check=check_timesteps)
def timestep_embedding(
    t: Array, channels: int, max_period: float = 10000.0, variant: str = "stable-diffusion", dtype: Any = None
) -> Array:
    """Return sines and cosines of t at geometrically spaced frequencies (Eq. TEMB-1).

    Both variants have ``channels / 2`` frequencies that fall from 1 towards ``1 / max_period`` radians per step:

    - ``"stable-diffusion"`` (also ADM): frequency i is ``max_period ** (-i / half)``; cosines first, then sines.
    - ``"ddpm"``: frequency i is ``max_period ** (-i / (half - 1))``, so that the last is exactly
      1 / max_period; sines first, then cosines.

    t counts steps, from 1 to T. A time in [0, 1] would hardly move the slow sines and cosines: multiply it by T first.

    Parameters
    ----------
    t : array, shape (N,)
        Step index, integer or real.
    channels : int
        An even number, at least 4.
    max_period : float
        Period of the slowest frequency in units of 2 pi steps.
    variant : str
        ``"stable-diffusion"`` or ``"ddpm"``.
    dtype : dtype or None
        Of the result; None gives float32.

    Returns
    -------
    array, shape (N, channels)

    Notes
    -----
    It has no parameters and t needs no gradient, so there is no backward.
    """
    xp = xp_of(t)
    half = channels // 2
    spacing = half if variant == "stable-diffusion" else half - 1
    frequencies = xp.exp(xp.arange(half, dtype=xp.float64) * (-math.log(max_period) / spacing))
    angles = t.astype(xp.float64)[:, None] * frequencies
    cosines, sines = xp.cos(angles), xp.sin(angles)
    parts = [cosines, sines] if variant == "stable-diffusion" else [sines, cosines]
    return xp.concatenate(parts, axis=1).astype(xp.float32 if dtype is None else dtype)


@checked(check=check_grid)
def grid_embedding(height: int, width: int, channels: int, max_period: float = 10000.0) -> np.ndarray:
    """Return sines and cosines of the place of every cell of a grid, row by row (Eq. GRID-1).

    Half of the channels are about the column, the other half about the row: sines, then cosines, at the frequencies of
    `timestep_embedding`. It is what tells a Transformer, to which the order of tokens means nothing, where they lie.

    Parameters
    ----------
    height, width : int
        Cells of the grid.
    channels : int
        A multiple of 4, at least 8.
    max_period : float
        Period of the slowest frequency in units of 2 pi cells.

    Returns
    -------
    numpy array, shape (height width, channels), float64

    Source: Peebles and Xie 2022 (arXiv 2212.09748), section 3.2, as in He et al. 2021 (arXiv 2111.06377).
    """
    rows, columns = np.divmod(np.arange(height * width), width)
    parts = []
    for places in (columns, rows):
        cosines, sines = np.split(timestep_embedding(places, channels // 2, max_period, dtype=np.float64), 2, axis=1)
        parts += [sines, cosines]
    return np.concatenate(parts, axis=1)
