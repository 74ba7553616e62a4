"""Trained classifiers: one of clean pictures, which judges, and one of noisy pictures, which guides."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinydiff.base import Array, InputError, check_shape, checked, xp_of
from tinydiff.functional import softmax
from tinydiff.models.network import NetworkSettings
from tinydiff.models.store import register
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.nn import Tape
from tinydiff.workers import map_shards


@register("classifier", "a classifier", Classifier)
@dataclass(frozen=True)
class ClassifierSettings(NetworkSettings):
    """What config.json says of a classifier."""

    config: ClassifierConfig


@register("noisy-classifier", "a classifier of noisy pictures", NoisyClassifier)
@dataclass(frozen=True)
class NoisyClassifierSettings(NetworkSettings):
    """What config.json says of a classifier of noisy pictures."""

    config: NoisyClassifierConfig


@checked()
def class_gradient(classifier: NoisyClassifier, micro_batch: int = 16) -> Callable[[Array, Array, Array], Array]:
    """Return ``f(x_t, t, labels)``, the gradient of log p(label | x_t) in x_t, for `classifier_guidance`.

    The labels are classes of the classifier, one for each picture; the guided network need not know them. The backward
    goes through the classifier to its input; its weights get no gradients.
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
            raise InputError(f"labels has {wrong[0]}, but the classifier knows only 0 to {classes - 1}.")
        return map_shards(of_shard, (x_t, t, labels), micro_batch)

    return gradient
