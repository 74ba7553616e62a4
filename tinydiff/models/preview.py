"""A cheap look at latents: the colour of each position as a linear function of its latents, found by least squares."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_alike,
    check_images,
    check_shape,
    check_sides,
    checked,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.models.autoencoder import LatentAutoencoder


@checks_arguments("pictures")
class LinearPreview(NamedTuple):
    """A matrix from latents to colours.

    Parameters
    ----------
    weight : array, shape (latent_channels, C)
    bias : array, shape (C,)
    """

    weight: np.ndarray
    bias: np.ndarray

    def pictures(self, latents: Array) -> Array:
        """Return small pictures (N, h, w, C) of latents (N, h, w, c), clipped to [-1, 1] (Eq. PREVIEW-1)."""
        check_alike(latents=latents)
        xp = xp_of(latents)
        check_shape("latents", latents, (None, None, None, len(self.weight)))
        weight, bias = (xp.asarray(part, latents.dtype) for part in self)
        return xp.clip(latents @ weight + bias, -1, 1)


@checked()
def fit_preview(model: LatentAutoencoder, batches: Iterable[Array]) -> LinearPreview:
    """Return the preview whose squared error is smallest over some pictures (Eq. PREVIEW-1).

    Each position of the latents is to give the mean colour of the pixels that it stands for. Decoding takes a network;
    this takes one small product, and shows what is drawn early in a chain.

    Parameters
    ----------
    model : LatentAutoencoder
    batches : iterable of arrays (N, H, W, C), in [-1, 1]

    Raises
    ------
    InputError
        If there is no batch.
    """
    factor, rows = model.factor, model.config.latent_channels + 1
    of_latents, of_both = np.zeros((rows, rows)), np.zeros((rows, model.config.in_channels))
    empty = True
    for images in batches:
        check_shape("a batch", images, (None, None, None, model.config.in_channels))
        check_sides("a batch", images.shape[1:3], factor)
        check_images("a batch", images)
        n, height, width, channels = images.shape
        blocks = to_numpy(images).reshape(n, height // factor, factor, width // factor, factor, channels)
        colours = blocks.mean(axis=(2, 4)).reshape(-1, channels).astype(np.float64)
        z = to_numpy(model.encode(images)).reshape(-1, rows - 1).astype(np.float64)
        z = np.concatenate([z, np.ones((len(z), 1))], axis=1)  # the last coefficient is the bias
        of_latents += z.T @ z
        of_both += z.T @ colours
        empty = False
    if empty:
        raise InputError("batches holds no images, but at least one was expected.")
    solution, *_ = np.linalg.lstsq(of_latents, of_both, rcond=None)  # also where a channel never changes
    return LinearPreview(solution[:-1], solution[-1])
