"""Features of pictures that need no training on them: averages of random convolutions."""

from functools import partial

import numpy as np

from tinydiff.base import Array, Noise, check_images, checked, xp_of
from tinydiff.evaluate.frechet import frechet_distance_of
from tinydiff.functional import avg_pool, conv2d
from tinydiff.workers import map_shards

CHANNELS = (16, 32, 64)  # of the layers; between two of them height and width are halved


@checked()
def random_features(images: Array) -> Array:
    """Return 64 features of each picture: what fixed random convolutions answer, on average over the picture.

    Three layers of 3 x 3 convolutions, each followed by ReLU. Their weights are random and always the same, so
    pictures of any kind and size have features, and no training on such pictures is needed. They answer to edges,
    colours and textures: noise, blur, faded contrast and a few pictures repeated many times raise the Fréchet distance
    on them several times, a class that is missing hardly.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
        Numbers from -1 to 1.

    Returns
    -------
    array, shape (N, 64)

    Raises
    ------
    InputError
        If the images are none of these.
    """
    check_images("images", images)
    noise, kernels, c = Noise(0, xp=xp_of(images)), [], images.shape[-1]
    for layer, channels in enumerate(CHANNELS):
        kernel = noise.normal((3, 3, c, channels), f"random features {layer}", dtype=images.dtype)
        kernels.append(kernel * (2 / (9 * c)) ** 0.5)  # so that numbers neither grow nor shrink from layer to layer
        c = channels
    return map_shards(partial(_features, kernels=kernels), (images,), 100)


@checked()
def random_features_frechet(images_1: Array, images_2: Array) -> float:
    """Return the Fréchet distance (Eq. FD-1) of two sets of pictures on their `random_features`.

    Compare it only with figures of the same numbers of pictures, and of the same size; it is no "FID".
    """
    return frechet_distance_of(random_features(images_1), random_features(images_2))


def _features(images, kernels):
    xp, h = xp_of(images), images
    for layer, kernel in enumerate(kernels):
        if layer and min(h.shape[1:3]) >= 2:
            h, _ = avg_pool(h[:, : h.shape[1] // 2 * 2, : h.shape[2] // 2 * 2], 2)
        h, _ = conv2d(h, kernel, xp.zeros(kernel.shape[-1], kernel.dtype), padding=1)
        h = xp.maximum(h, np.float32(0))
    return h.mean(axis=(1, 2))
