"""A small noisy classifier that several tests share."""

import numpy as np

from tinydiff.networks import NoisyClassifier, NoisyClassifierConfig

NOISY = NoisyClassifierConfig(image_size=8, channels=(4, 8), num_classes=3)


def noisy_classifier(dtype=np.float64):
    rng = np.random.default_rng(0)
    model = NoisyClassifier(NOISY, rng, dtype)
    model.theta[:] += 0.1 * rng.standard_normal(model.theta.shape)
    return model
