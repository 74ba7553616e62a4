"""What several references are made of, written in NumPy: exercises do not use the library, which they check."""

import numpy as np


def softmax(scores, axis=-1):
    """Return the softmax along an axis."""
    e = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def per_sample(numbers, x):
    """Return one number for each sample, in a shape that multiplies x."""
    return np.reshape(numbers, (-1, *[1] * (np.ndim(x) - 1)))
