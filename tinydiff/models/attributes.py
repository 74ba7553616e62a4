"""A trained reader of attributes: what a picture shows, and how often that is what it should show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinydiff.base import Array, InputError, check_alike, check_count, check_rank, check_shape, checked, to_numpy, xp_of
from tinydiff.functional import softmax
from tinydiff.models.config import LARGEST_MICRO_BATCH
from tinydiff.models.network import NetworkSettings
from tinydiff.models.store import register
from tinydiff.networks import AttributeClassifier, AttributeClassifierConfig
from tinydiff.workers import map_shards

NOT_ASKED = -1  # in the place of a word's number, where a picture allows no clear answer


@register("attributes", "a reader of attributes", AttributeClassifier)
@dataclass(frozen=True)
class AttributeSettings(NetworkSettings):
    """What config.json says of a reader of attributes."""

    config: AttributeClassifierConfig


class Verdicts(NamedTuple):
    """What was read of N pictures: for each attribute the most probable word.

    Parameters
    ----------
    attributes : dict
        Name of each attribute, with the words it may be.
    indices : integer array, shape (N, attributes)
        Which of its words each attribute was read as.
    probabilities : array, shape (N, attributes)
        Of that word, as the network believes.
    """

    attributes: dict[str, tuple[str, ...]]
    indices: np.ndarray
    probabilities: np.ndarray

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """For each attribute, the word read of each picture."""
        columns = zip(self.attributes.items(), self.indices.T, strict=True)
        return {name: tuple(words[i] for i in column) for (name, words), column in columns}


@checked()
def read_attributes(classifier: AttributeClassifier, images: Array, micro_batch: int = 16) -> Verdicts:
    """Return what a trained network reads of pictures.

    Numbers in [-1, 1] are rounded to bytes first, as they are where a picture is saved. Larger pictures whose height
    and width are the same multiple of the network's are reduced, each pixel the average of the area that it covers.

    Parameters
    ----------
    classifier : AttributeClassifier
    images : array, shape (N, H, W, C)
        Bytes, or numbers in [-1, 1]; what lies outside is clipped.
    micro_batch : int
        How many pictures are computed together.

    Returns
    -------
    Verdicts

    Raises
    ------
    InputError
        If the pictures have another size or other channels.
    """
    logits = _computed(classifier, classifier.forward, images, micro_batch)
    return verdicts_of(classifier.config, to_numpy(logits))


@checked()
def attribute_features(classifier: AttributeClassifier, images: Array, micro_batch: int = 16) -> Array:
    """Return the network's last hidden layer, shape (N, features), of pictures as `read_attributes` takes them.

    All that it reads it reads from these numbers: two sets of pictures can be compared by them (Eq. FD-1).
    """
    return _computed(classifier, classifier.features, images, micro_batch)


def _computed(classifier, of_pictures, images, micro_batch):
    """Return `of_pictures`, a method of the network, of all pictures, which are brought to its size first."""
    from tinydiff.data import to_floats, to_images  # here, since Pillow comes with it, and few models ask for it
    from tinydiff.data.resizing import area_average

    check_count("micro_batch", micro_batch, most=LARGEST_MICRO_BATCH)
    xp, (height, width, channels) = xp_of(classifier.theta), classifier.config.shape
    check_rank("images", images, 4)
    check_shape("images", images, (None, None, None, channels))
    if not len(images):
        raise InputError("images is empty, but at least one picture was expected.")
    factor = images.shape[1] // height
    if factor < 1 or images.shape[1:3] != (factor * height, factor * width):
        raise InputError(
            f"images are {images.shape[1]} x {images.shape[2]}, but {height} x {width} was expected, or a multiple "
            f"such as {2 * height} x {2 * width}: resize them."
        )
    if images.dtype != np.uint8:
        check_alike(images=images)
        if not bool(xp_of(images).isfinite(images).all()):
            raise InputError("images holds NaN or infinity, but numbers in [-1, 1] were expected.")
        images = to_images(images)
    pictures = area_average(to_numpy(images), (height, width)) if factor > 1 else to_numpy(images)

    def of_shard(indices):
        shard = xp.asarray(to_floats(pictures[to_numpy(indices)]))
        return of_pictures(shard.astype(classifier.theta.dtype, copy=False))

    return map_shards(of_shard, (xp.arange(len(pictures)),), micro_batch)


@checked()
def verdicts_of(config: AttributeClassifierConfig, logits: np.ndarray) -> Verdicts:
    """Return the most probable word of each attribute, and its probability, given logits (N, classes)."""
    check_shape("logits", logits, (None, config.classes))
    probabilities = [softmax(logits[:, part])[0] for part in config.slices.values()]
    indices = np.stack([p.argmax(axis=1) for p in probabilities], axis=1)
    of_word = np.stack([p.max(axis=1) for p in probabilities], axis=1)
    return Verdicts(config.attributes, indices, of_word)


@checked()
def attribute_agreement(verdicts: Verdicts, attributes: np.ndarray) -> dict[str, float]:
    """Return for each attribute the share of pictures of which the right word was read.

    Only pictures that were asked count; an attribute that no picture was asked about is left out.

    Parameters
    ----------
    verdicts : Verdicts
    attributes : integer array, shape (N, attributes)
        The number of the right word of each attribute, or -1 where it is not asked.
    """
    check_attributes(attributes, verdicts.attributes, len(verdicts.indices))
    found = {}
    for name, read, right in zip(verdicts.attributes, verdicts.indices.T, attributes.T, strict=True):
        asked = right != NOT_ASKED
        if asked.any():
            found[name] = float((read == right)[asked].mean())
    return found


def check_attributes(attributes: np.ndarray, words: Mapping[str, tuple[str, ...]], n: int) -> None:
    """Raise `InputError` unless there is the number of a word, or -1, for each of n pictures and each attribute."""
    check_shape("attributes", attributes, (n, len(words)))
    if attributes.dtype.kind not in "iu":
        raise InputError(f"attributes has dtype {attributes.dtype}, but whole numbers were expected.")
    for (name, of_name), column in zip(words.items(), attributes.T, strict=True):
        wrong = column[(column < NOT_ASKED) | (column >= len(of_name))]
        if wrong.size:
            raise InputError(
                f"attributes holds {wrong[0]} for {name!r}, but a number from 0 to {len(of_name) - 1} was expected, or "
                f"{NOT_ASKED} where it is not asked."
            )
