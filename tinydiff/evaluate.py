"""How good is a model? Its loss on held-out images, and what an independent classifier says of its samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.backend import to_numpy, xp_of
from tinydiff.errors import InputError
from tinydiff.functional import softmax
from tinydiff.metrics import (
    LossByTimestep,
    Share,
    class_shares,
    confident_share,
    frechet_distance_of,
    loss_by_timestep,
)
from tinydiff.model import DiffusionModel
from tinydiff.nn import Classifier
from tinydiff.noise import Noise
from tinydiff.parallel import map_shards


@dataclass(frozen=True)
class Judgement:
    """What a classifier says of a set of images.

    Parameters
    ----------
    confident : Share
        Share of images that it calls with a probability above 0.9.
    classes : Share
        Share of each class among its calls.
    agreement : float or None
        Share of images that it calls by the label that was asked for, if labels were given.
    """

    confident: Share
    classes: Share
    agreement: float | None


def judge(classifier: Classifier, images: Any, labels: Any = None) -> Judgement:
    """Return what a classifier says of images (N, H, W, C) in [-1, 1]."""
    logits = map_shards(classifier.forward, (np.asarray(images, order="C"),), 100)
    probabilities, _ = softmax(logits)
    calls = probabilities.argmax(axis=1)
    agreement = None if labels is None else float((calls == labels).mean())
    return Judgement(confident_share(probabilities), class_shares(probabilities, logits.shape[1]), agreement)


def classifier_frechet(classifier: Classifier, images_1: Any, images_2: Any) -> float:
    """Return the Fréchet distance of two sets of images on the classifier's features (Eq. FD-1).

    It compares with figures of this classifier only, at equal numbers of images; it is no "FID".
    """
    features = [map_shards(classifier.features, (np.asarray(x, order="C"),), 100) for x in (images_1, images_2)]
    return frechet_distance_of(*features)


def held_out_loss(model: DiffusionModel, images: Any, labels: Any, seed: int = 0, bins: int = 10) -> LossByTimestep:
    """Return the loss on held-out images in bins of t, each image at one random t (Eq. DDPM-14).

    The loss is the mean squared error of what the network predicts: eps, x_0 or v.
    """
    if not len(images):
        raise InputError("images is empty: there is nothing to measure the loss on.")
    xp = xp_of(images)
    noise = Noise(seed, xp=xp)
    t = noise.integers(1, model.config.T, len(images), "t")
    eps = noise.normal(images.shape, "eps")
    target = model.target(images, eps, t)
    context = labels if model.config.unet.num_classes is not None else None
    output = model.network_output(model.diffusion.q_sample(images, t, eps), t, context)
    losses = ((output - target) ** 2).mean(axis=(1, 2, 3))
    return loss_by_timestep(to_numpy(t), to_numpy(losses), model.config.T, bins)

