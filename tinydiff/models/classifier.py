"""A trained classifier of noisy pictures at work: it guides."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import CheckpointError, Device, InputError, check_shape, select_device, to_device, xp_of
from tinydiff.functional import softmax
from tinydiff.models.store import find_folder, load_weights, read_settings
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.nn import Tape
from tinydiff.workers import map_shards


def load_classifier(name: str | Path) -> Classifier:
    """Return a classifier that ships with tinydiff, by name such as ``"mnist-classifier-28"``, or from a folder."""
    folder = find_folder(name)
    try:
        classifier = Classifier(ClassifierConfig(**read_settings(folder)["classifier"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'} does not describe a classifier ({error}).") from error
    load_weights(folder / "model.safetensors", classifier)
    return classifier


def load_noisy_classifier(name: str | Path = "mnist-noisy-classifier", device: Device | None = None) -> NoisyClassifier:
    """Return a classifier of noisy pictures that ships with tinydiff, by name, or from a folder."""
    folder = find_folder(name)
    try:
        classifier = NoisyClassifier(NoisyClassifierConfig(**read_settings(folder)["noisy_classifier"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'} does not describe a noisy classifier ({error}).") from error
    load_weights(folder / "model.safetensors", classifier)
    device = select_device("cpu") if device is None else device
    return classifier if device.kind == "cpu" else classifier.bind(to_device(classifier.theta, device))


def class_gradient(classifier: NoisyClassifier, micro_batch: int = 16) -> Callable[[Any, Any, Any], Any]:
    """Return ``f(x_t, t, labels)``, the gradient of log p(label | x_t) in x_t, for `classifier_guidance`.

    Labels are those of the classifier, one for each picture; what the network that it pulls has learned does not count.
    The backward goes through the classifier to its input; its weights get no gradients.
    """

    def of_shard(x_t, t, labels):
        xp, tape = xp_of(x_t), Tape()
        probabilities, _ = softmax(classifier.forward(x_t, t, tape))
        is_label = (labels[:, None] == xp.arange(probabilities.shape[1])).astype(x_t.dtype)
        return classifier.backward(is_label - probabilities, tape)  # of the logit, less that of log sum exp

    def gradient(x_t, t, labels):
        if labels is None:
            raise InputError("labels is None, but a class for each picture was expected: say what it should show.")
        check_shape("labels", labels, (len(x_t),))
        classes = classifier.config.num_classes
        if xp_of(labels) is np and (wrong := labels[(labels < 0) | (labels >= classes)]).size:
            raise InputError(f"labels has {wrong[0]}, but the classifier knows 0 to {classes - 1} alone.")
        return map_shards(of_shard, (x_t, t, labels), micro_batch)

    return gradient
