"""Losses: one number each, a 0-d array (so that no step waits for the device); and the similarity of CLIP."""

from collections import namedtuple
from typing import Any

import numpy as np

from tinydiff.base import Array, check_shape, check_shapes, checked, xp_of
from tinydiff.functional.values import (
    check_asked,
    check_classes,
    check_d_loss,
    check_edges,
    check_logits,
    check_prediction,
)

MSECache = namedtuple("MSECache", "difference")
MAECache = namedtuple("MAECache", "sign")
EdgeLossCache = namedtuple("EdgeLossCache", "down right")
CrossEntropyCache = namedtuple("CrossEntropyCache", "probabilities one_hot")
MaskedCrossEntropyCache = namedtuple("MaskedCrossEntropyCache", "probabilities one_hot share")
ScaledSimilarityCache = namedtuple("ScaledSimilarityCache", "a b scale y")
ContrastiveLossCache = namedtuple("ContrastiveLossCache", "p_column p_row")


@checked("prediction target", check_prediction)
def mse(prediction: Array, target: Array) -> tuple[Array, MSECache]:
    """Return the mean squared error over all entries (Eq. MSE-1), the expectation in Eq. DDPM-14.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    loss : 0-d array
    cache : MSECache
    """
    check_shape("target", target, prediction.shape)
    difference = prediction - target
    return (difference * difference).mean(), MSECache(difference)


@checked(check=check_d_loss)
def mse_backward(d_loss: float | Array, cache: MSECache) -> tuple:
    """Return d_prediction = d_loss 2 (prediction - target) / size, and d_target, its negative (Eq. MSE-2)."""
    (difference,) = cache
    d_prediction = difference * (d_loss * (2 / difference.size))
    return d_prediction, -d_prediction


@checked("prediction target", check_prediction)
def mae(prediction: Array, target: Array) -> tuple[Array, MAECache]:
    """Return the mean absolute error over all entries, the L1 loss (Eq. L1-1).

    Of a pixel that may have several values, the mean squared error prefers their mean, a blur, and this their median.

    Parameters
    ----------
    prediction, target : arrays of one shape

    Returns
    -------
    loss : 0-d array
    cache : MAECache
    """
    check_shape("target", target, prediction.shape)
    difference = prediction - target
    return abs(difference).mean(), MAECache(xp_of(difference).sign(difference))


@checked(check=check_d_loss)
def mae_backward(d_loss: float | Array, cache: MAECache) -> tuple:
    """Return d_prediction = d_loss sign(prediction - target) / size, and d_target, its negative (Eq. L1-2).

    Where both are equal there is a kink, and 0 is taken.
    """
    (sign,) = cache
    d_prediction = sign * (d_loss * (1 / sign.size))
    return d_prediction, -d_prediction


@checked("prediction target", check_edges)
def edge_loss(prediction: Array, target: Array) -> tuple[Array, EdgeLossCache]:
    """Return how far the differences of neighbouring pixels are off: the L1 loss of both images' edges (Eq. EDGE-1).

    A shift of all pixels by one number costs nothing, but a blurred edge costs what its slope is off. It is the mean
    over all pairs of pixels one above the other, plus the mean over all pairs side by side.

    Parameters
    ----------
    prediction, target : arrays of one shape, (N, H, W, C)
        H and W at least 2.

    Returns
    -------
    loss : 0-d array
    cache : EdgeLossCache

    Source: after the gradient difference loss of Mathieu et al. 2016 (arXiv 1511.05440), which compares the sizes of
    the differences; here they keep their sign.
    """
    check_shape("target", target, prediction.shape)
    xp, difference = xp_of(prediction), prediction - target
    down = difference[:, 1:] - difference[:, :-1]
    right = difference[:, :, 1:] - difference[:, :, :-1]
    return abs(down).mean() + abs(right).mean(), EdgeLossCache(xp.sign(down), xp.sign(right))


@checked(check=check_d_loss)
def edge_loss_backward(d_loss: float | Array, cache: EdgeLossCache) -> tuple:
    """Return d_prediction and d_target, its negative (Eq. EDGE-2).

    Each pair of neighbours pulls its second pixel one way, and its first pixel the other way.
    """
    down, right = cache
    n, height, width, channels = len(down), right.shape[1], down.shape[2], down.shape[3]
    d_prediction = xp_of(down).zeros((n, height, width, channels), down.dtype)
    d_down, d_right = down * (d_loss * (1 / down.size)), right * (d_loss * (1 / right.size))
    d_prediction[:, 1:] += d_down
    d_prediction[:, :-1] -= d_down
    d_prediction[:, :, 1:] += d_right
    d_prediction[:, :, :-1] -= d_right
    return d_prediction, -d_prediction


@checked("logits", check_classes)
def cross_entropy(logits: Array, labels: Array) -> tuple[Array, CrossEntropyCache]:
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
    check_shapes("logits: N classes, labels: N", logits=logits, labels=labels)
    xp, one_hot = xp_of(logits), labels_to_one_hot(labels, logits.shape[1], logits.dtype)
    log_p = log_softmax(xp, logits, axis=-1)
    of_label = xp.where(one_hot > 0, log_p, 0).sum(axis=-1)  # a product would be NaN where another log_p is -inf
    return -of_label.mean(), CrossEntropyCache(xp.exp(log_p), one_hot)


@checked(check=check_d_loss)
def cross_entropy_backward(d_loss: float | Array, cache: CrossEntropyCache) -> tuple:
    """Return d_logits = d_loss (softmax(logits) - one_hot) / N (Eq. CE-2). Labels have no gradient."""
    probabilities, one_hot = cache
    return ((probabilities - one_hot) * (d_loss * (1 / len(one_hot))),)


@checked("logits", check_asked)
def masked_cross_entropy(logits: Array, labels: Array) -> tuple[Array, MaskedCrossEntropyCache]:
    """Return the mean of ``-log softmax(logits)[label]`` over the rows that are asked, in nats (Eq. MCE-1).

    A row is not asked where its label is -1, as for a picture that allows no clear answer: it adds nothing to the loss,
    and its gradient is 0. Where no row is asked, the loss is 0. Where all are, it is `cross_entropy`.

    Parameters
    ----------
    logits : array, shape (N, classes)
    labels : integer array, shape (N,)
        The right class of each row, or -1.

    Returns
    -------
    loss : 0-d array
    cache : MaskedCrossEntropyCache

    Raises
    ------
    InputError
        If shapes do not fit or, on the host, if a label is neither -1 nor one of 0 .. classes - 1.
    """
    check_shapes("logits: N classes, labels: N", logits=logits, labels=labels)
    xp, one_hot = xp_of(logits), labels_to_one_hot(labels, logits.shape[1], logits.dtype)  # only zeros for label -1
    log_p = log_softmax(xp, logits, axis=-1)
    asked = one_hot.sum(axis=-1, keepdims=True)  # 1 or 0
    share = asked / xp.maximum(asked.sum(), 1)  # of each row in the mean
    loss = -(xp.where(one_hot > 0, log_p, 0) * share).sum()
    return loss, MaskedCrossEntropyCache(xp.exp(log_p), one_hot, share)


@checked(check=check_d_loss)
def masked_cross_entropy_backward(d_loss: float | Array, cache: MaskedCrossEntropyCache) -> tuple:
    """Return d_logits = d_loss (softmax(logits) - one_hot) / asked, and 0 in rows not asked (Eq. MCE-2)."""
    probabilities, one_hot, share = cache
    return ((probabilities - one_hot) * (d_loss * share),)


@checked("a b log_scale")
def scaled_similarity(a: Array, b: Array, log_scale: Array) -> tuple[Array, ScaledSimilarityCache]:
    """Return scaled cosine similarities, ``exp(log_scale) a b^T`` (Eq. NCE-1); exp(-log_scale) is a temperature.

    Parameters
    ----------
    a : array, shape (N, C)
        Vectors of length 1, such as embeddings of pictures.
    b : array, shape (M, C)
        Vectors of length 1, such as embeddings of texts.
    log_scale : array, shape (1,)

    Returns
    -------
    y : array, shape (N, M)
    cache : ScaledSimilarityCache
    """
    check_shapes("a: N C, b: M C, log_scale: 1", a=a, b=b, log_scale=log_scale)
    scale = xp_of(log_scale).exp(log_scale)
    y = scale * (a @ b.T)
    return y, ScaledSimilarityCache(a, b, scale, y)


@checked("dy cache.y")
def scaled_similarity_backward(dy: Array, cache: ScaledSimilarityCache) -> tuple:
    """Return da, db and d_log_scale = <dy, y>: the derivative of y in log_scale is y itself (Eq. NCE-2)."""
    a, b, scale, y = cache
    check_shape("dy", dy, y.shape)
    return scale * (dy @ b), scale * (dy.T @ a), (dy * y).sum().reshape(1)


@checked("logits", check_logits)
def contrastive_loss(logits: Array) -> tuple[Array, ContrastiveLossCache]:
    """Return the contrastive loss, in nats: row i should go with column i and with no other (Eq. NCE-3).

    It is the mean of two cross-entropies: which text belongs to a picture, and which picture to a text. Guessing costs
    log N.

    Parameters
    ----------
    logits : array, shape (N, N)
        Of each picture (rows) with each text (columns); the right pairs are on the diagonal.

    Returns
    -------
    loss : 0-d array
    cache : ContrastiveLossCache

    Source: Radford et al. 2021 (CLIP, arXiv 2103.00020), Fig. 3; each half is the InfoNCE of van den Oord et al. 2018
    (arXiv 1807.03748), Eq. 4.
    """
    check_shapes("logits: N N", logits=logits)
    xp = xp_of(logits)
    log_p_column = log_softmax(xp, logits, axis=1)  # of each text, given the picture
    log_p_row = log_softmax(xp, logits, axis=0)  # of each picture, given the text
    pairs = xp.arange(len(logits))
    loss = -0.5 * (log_p_column[pairs, pairs] + log_p_row[pairs, pairs]).mean()
    return loss, ContrastiveLossCache(xp.exp(log_p_column), xp.exp(log_p_row))


@checked(check=check_d_loss)
def contrastive_loss_backward(d_loss: float | Array, cache: ContrastiveLossCache) -> tuple:
    """Return d_logits = d_loss (p_column + p_row - 2 I) / (2 N): probabilities minus one-hot, twice (Eq. NCE-4)."""
    p_column, p_row = cache
    xp, n = xp_of(p_column), len(p_column)
    return ((p_column + p_row - 2 * xp.eye(n, dtype=p_column.dtype)) * (d_loss * (1 / (2 * n))),)


def log_softmax(xp: Any, x: Array, axis: int) -> Array:
    """Return log softmax along an axis, without overflow."""
    with np.errstate(over="ignore"):  # a difference may be -inf, whose exponential is 0
        shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


def labels_to_one_hot(labels: Array, classes: int, dtype: Any) -> Array:
    """Return a one-hot row for each label, (..., classes)."""
    return (labels[..., None] == xp_of(labels).arange(classes)).astype(dtype)
