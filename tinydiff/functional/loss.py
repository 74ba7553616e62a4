"""Losses: pairs whose output is one number, a 0-d array (so that no step waits for the device)."""

from collections import namedtuple
from typing import Any

from tinydiff.backend import xp_of
from tinydiff.errors import InputError, check_rank, check_shape

MSECache = namedtuple("MSECache", "difference")
CrossEntropyCache = namedtuple("CrossEntropyCache", "probabilities one_hot")


def mse(prediction: Any, target: Any) -> tuple[Any, MSECache]:
    """Return the mean squared error over all entries (Eq. MSE-1), the expectation in Eq. DDPM-14.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    loss : 0-d array
    cache : MSECache
    """
    xp_of(prediction=prediction, target=target)
    check_shape("target", target, prediction.shape)
    if not prediction.size:
        raise InputError(f"prediction has shape {tuple(prediction.shape)}: the mean of no numbers is undefined.")
    difference = prediction - target
    return (difference * difference).mean(), MSECache(difference)


def mse_backward(d_loss: Any, cache: MSECache) -> tuple:
    """Return d_prediction = d_loss 2 (prediction - target) / size, and d_target, its negative (Eq. MSE-2)."""
    (difference,) = cache
    d_prediction = difference * (d_loss * (2 / difference.size))
    return d_prediction, -d_prediction


def cross_entropy(logits: Any, labels: Any) -> tuple[Any, CrossEntropyCache]:
    """Return the mean of ``-log softmax(logits)[label]`` in nats (Eq. CE-1).

    Parameters
    ----------
    logits : array, shape (N, classes)
    labels : integer array, shape (N,)

    Returns
    -------
    loss : 0-d array
    cache : CrossEntropyCache

    Raises
    ------
    InputError
        If shapes do not fit or, on the host, if a label is not one of 0 .. classes - 1.
    """
    xp = xp_of(logits=logits)
    xp_of(logits, labels)
    check_rank("logits", logits, 2)
    check_shape("labels", labels, (len(logits),))
    if not logits.size:
        raise InputError(f"logits has shape {tuple(logits.shape)}: the mean of no numbers is undefined.")
    one_hot = labels_to_one_hot("labels", labels, logits.shape[1], logits.dtype)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_sum = xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    loss = (log_sum[:, 0] - (shifted * one_hot).sum(axis=-1)).mean()
    return loss, CrossEntropyCache(xp.exp(shifted - log_sum), one_hot)


def cross_entropy_backward(d_loss: Any, cache: CrossEntropyCache) -> tuple:
    """Return d_logits = d_loss (softmax(logits) - one_hot) / N (Eq. CE-2). Labels have no gradient."""
    probabilities, one_hot = cache
    return ((probabilities - one_hot) * (d_loss * (1 / len(one_hot))),)


def labels_to_one_hot(name: str, labels: Any, classes: int, dtype: Any) -> Any:
    """Return an array (..., classes) with a one where the label is, and check the labels' range on the host."""
    xp = xp_of(labels)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} has dtype {labels.dtype}, but integers were expected.")
    if xp.__name__ == "numpy" and labels.size and not (0 <= labels.min() and labels.max() < classes):
        worst = labels.max() if labels.max() >= classes else labels.min()
        raise InputError(f"{name} holds {worst}, but integers from 0 to {classes - 1} were expected.")
    return (labels[..., None] == xp.arange(classes)).astype(dtype)
