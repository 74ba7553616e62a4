"""Losses: pairs whose output is one number, a 0-d array (so that no step waits for the device)."""

from collections import namedtuple
from typing import Any

from tinydiff.base import InputError, check_rank, check_shape, xp_of

MSECache = namedtuple("MSECache", "difference")
CrossEntropyCache = namedtuple("CrossEntropyCache", "probabilities one_hot")
ScaledSimilarityCache = namedtuple("ScaledSimilarityCache", "a b scale y")
ContrastiveLossCache = namedtuple("ContrastiveLossCache", "p_column p_row")


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


def scaled_similarity(a: Any, b: Any, log_scale: Any) -> tuple[Any, ScaledSimilarityCache]:
    """Return how alike each a is to each b, ``exp(log_scale) a b^T`` (Eq. NCE-1); exp(-log_scale) is a temperature.

    Parameters
    ----------
    a : array, shape (N, C)
        Vectors of length 1, such as of pictures.
    b : array, shape (M, C)
        And of texts.
    log_scale : array, shape (1,)

    Returns
    -------
    y : array, shape (N, M)
    cache : ScaledSimilarityCache
    """
    xp = xp_of(a=a, b=b, log_scale=log_scale)
    check_rank("a", a, 2)
    check_shape("b", b, (None, a.shape[1]))
    check_shape("log_scale", log_scale, (1,))
    scale = xp.exp(log_scale)
    y = scale * (a @ b.T)
    return y, ScaledSimilarityCache(a, b, scale, y)


def scaled_similarity_backward(dy: Any, cache: ScaledSimilarityCache) -> tuple:
    """Return da, db and d_log_scale = <dy, y>, because y grows by itself with log_scale (Eq. NCE-2)."""
    a, b, scale, y = cache
    check_shape("dy", dy, y.shape)
    return scale * (dy @ b), scale * (dy.T @ a), (dy * y).sum().reshape(1)


def contrastive_loss(logits: Any) -> tuple[Any, ContrastiveLossCache]:
    """Return how surprising it is, in nats, that row i belongs to column i and to no other (Eq. NCE-3).

    The mean of two cross-entropies: which text belongs to a picture, and which picture to a text. A guess costs log N.

    Parameters
    ----------
    logits : array, shape (N, N)
        Of each picture (rows) with each text (columns); the pairs stand on the diagonal.

    Returns
    -------
    loss : 0-d array
    cache : ContrastiveLossCache

    Source: Radford et al. 2021 (CLIP, arXiv 2103.00020), Fig. 3; each half is the InfoNCE of van den Oord et al. 2018
    (arXiv 1807.03748), Eq. 4.
    """
    xp = xp_of(logits=logits)
    check_rank("logits", logits, 2)
    check_shape("logits", logits, (len(logits), len(logits)))
    if not logits.size:
        raise InputError(f"logits has shape {tuple(logits.shape)}: the mean of no numbers is undefined.")
    log_p_column, log_p_row = (log_softmax(xp, logits, axis) for axis in (1, 0))
    pairs = xp.arange(len(logits))
    loss = -0.5 * (log_p_column + log_p_row)[pairs, pairs].mean()
    return loss, ContrastiveLossCache(xp.exp(log_p_column), xp.exp(log_p_row))


def contrastive_loss_backward(d_loss: Any, cache: ContrastiveLossCache) -> tuple:
    """Return d_logits: what was believed in both directions, less what was true (Eq. NCE-4)."""
    p_column, p_row = cache
    xp, n = xp_of(p_column), len(p_column)
    return ((p_column + p_row - 2 * xp.eye(n, dtype=p_column.dtype)) * (d_loss * (1 / (2 * n))),)


def log_softmax(xp: Any, x: Any, axis: int) -> Any:
    """Return log softmax along an axis, without overflow."""
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


def labels_to_one_hot(name: str, labels: Any, classes: int, dtype: Any) -> Any:
    """Return an array (..., classes) with a one where the label is, and check the labels' range on the host."""
    xp = xp_of(labels)
    if labels.dtype.kind not in "iu":
        raise InputError(f"{name} has dtype {labels.dtype}, but integers were expected.")
    if xp.__name__ == "numpy" and labels.size and not (0 <= labels.min() and labels.max() < classes):
        worst = labels.max() if labels.max() >= classes else labels.min()
        raise InputError(f"{name} holds {worst}, but integers from 0 to {classes - 1} were expected.")
    return (labels[..., None] == xp.arange(classes)).astype(dtype)
