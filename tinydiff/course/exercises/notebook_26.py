"""Exercises of notebook 26: a vector brought to length 1, a learned scale, the riddle of a CLIP, and its shards."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import softmax
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(26)


def _lengths(x):
    return np.sqrt((x * x).sum(axis=-1, keepdims=True))


def _turn(dy, x, along=1.0, power=1.0, unit=True, keep=False, axis=-1, apart=False):
    length = _lengths(x)
    if axis is None and x.ndim > 1:
        length = np.sqrt((x * x).sum())
    y = x / length if unit else x
    part = y * (dy * y).sum(axis=None if apart else -1, keepdims=True)
    return (part if keep else dy - along * part) / length**power


TURN = Exercise(
    grade="derive",
    reference=_turn,
    cases=[
        tuple(2 * _RNG.standard_normal((2, 3, 4))),
        tuple(0.3 * _RNG.standard_normal((2, 5))),
        tuple(3 * _RNG.standard_normal((2, 2, 4, 3))),
    ],
    returns=["dx"],
    mistakes={
        "nothing is taken away: the part of dy along y cannot turn the vector, so it has no effect on y.": (
            partial(_turn, along=0.0)
        ),
        "the part along y is added; it is taken away.": partial(_turn, along=-1.0),
        "that is the part along y; it is what should go, and the rest stays.": partial(_turn, keep=True),
        "the part is measured along x, which has another length than 1; measure it along y = x / |x|.": (
            partial(_turn, unit=False)
        ),
        "the division by the length of x is missing: a long vector is harder to turn.": partial(_turn, power=0.0),
        "it is divided by the square of the length; only y = x / |x| divides, and once.": partial(_turn, power=2.0),
        "it is multiplied by the length of x: a long vector is harder to turn, so divide.": partial(_turn, power=-1.0),
        "the products are summed over all vectors; each vector has its own: sum over the last axis.": (
            partial(_turn, apart=True)
        ),
        "all vectors together are brought to one length; each has its own, along the last axis.": (
            partial(_turn, axis=None)
        ),
    },
    hints=[
        "Move x by a small dx. Which part of dx makes x longer only, and what does the rest do to y?",
        "dy = (dx - y <y, dx>) / |x| is a symmetric matrix times dx; a gradient goes back by the transpose.",
        "`(dy - y * (dy * y).sum(axis=-1, keepdims=True)) / length`, with the length of x.",
    ],
    praise="What would make the vector longer is gone, and the rest turns it.",
)


def _scaled(
    d_logits,
    u,
    v,
    tau,
    exp=True,
    scales=(1, 1),
    texts=True,
    of_tau="log",
    turned=True,
    mean=False,
    axis=None,
    swap=False,
):
    scale = np.exp(tau) if exp else tau
    logits = scale * (u @ v.T)
    du = scale ** scales[0] * (d_logits @ v)
    dv = scale ** scales[1] * ((d_logits.T if turned or d_logits.shape[0] != d_logits.shape[1] else d_logits) @ u)
    products = d_logits * {"log": logits, "scale": logits / scale, "square": logits * scale}[of_tau]
    d_tau = products.mean() if mean else np.trace(products) if axis == "diagonal" else products.sum()
    return logits.T if swap else logits, du, dv, d_tau


def _unit(n, c):
    x = _RNG.standard_normal((n, c))
    return x / _lengths(x)


SCALED = Exercise(
    grade="transcribe",
    reference=_scaled,
    cases=[
        (_RNG.standard_normal((3, 5)), _unit(3, 4), _unit(5, 4), 1.3),
        (_RNG.standard_normal((4, 4)), _unit(4, 3), _unit(4, 3), -0.7),
        (_RNG.standard_normal((5, 2)), _unit(5, 6), _unit(2, 6), 2.6),
    ],
    returns=["logits", "du", "dv", "d_tau"],
    mistakes={
        "the cosines are multiplied by tau itself; the scale is its exponential.": partial(_scaled, exp=False),
        "du and dv lack the scale: logits change e^tau times as much as the cosines.": partial(_scaled, scales=(0, 0)),
        "d_tau is the gradient of the scale; that of its logarithm has the scale as one more factor.": (
            partial(_scaled, of_tau="scale")
        ),
        "d_tau has the scale twice; it is in the logits already.": partial(_scaled, of_tau="square"),
        "for dv the gradient must be transposed: a text has a column of it, not a row.": partial(_scaled, turned=False),
        "d_tau is a mean; tau is in every logit, so their parts add.": partial(_scaled, mean=True),
        "d_tau hears of the right pairs only; tau is in every logit.": partial(_scaled, axis="diagonal"),
    },
    hints=[
        "Three gradients of one product: two are notebook 05's for a product of matrices, times the scale.",
        "If tau grows by a little, each logit grows by itself times that little.",
        "`du = scale * d_logits @ v`, `dv = scale * d_logits.T @ u` and `d_tau = (d_logits * logits).sum()`.",
    ],
    praise="One number more to learn: how sure to be.",
)


def _riddle(
    logits,
    rows=0.5,
    columns=0.5,
    true=1.0,
    mean=True,
    sign=1.0,
    log=True,
    together=False,
    everywhere=False,
    d_rows=False,
):
    n = len(logits)
    p, q = softmax(logits, 1), softmax(logits, 0)
    if together:
        p = q = softmax(logits, (0, 1))
    with np.errstate(divide="ignore"):
        if log:
            log_p, log_q = (logits - logits.max(a, keepdims=True) for a in (1, 0))
            log_p = log_p - np.log(np.exp(log_p).sum(1, keepdims=True))
            log_q = log_q - np.log(np.exp(log_q).sum(0, keepdims=True))
            if together:
                shifted = logits - logits.max()
                log_p = log_q = shifted - np.log(np.exp(shifted).sum())
            found = rows * log_p + columns * log_q
        else:
            found = rows * p + columns * q
    loss = -found.mean() if everywhere else -np.diag(found).mean()
    believed = p if d_rows else rows * p + columns * q
    d_logits = sign * (believed - true * (rows + columns) * np.eye(n))
    return loss, d_logits / (n if mean else 1)


_FAR_APART = np.array(  # one row far below the others, and pairs whose probability is 0 in float64: e^-1200
    [[600.0, -300, -200, 100], [-900, -500, -450, -800], [300, 250, -700, 500], [0, -350, 50, 200]]
)

RIDDLE = Exercise(
    grade="derive",
    reference=_riddle,
    cases=[
        (2 * _RNG.standard_normal((4, 4)),),
        (_RNG.standard_normal((3, 3)) - 1.0,),
        (40 * _RNG.standard_normal((5, 5)) + 900.0,),
        (_FAR_APART,),
    ],
    returns=["loss", "d_logits"],
    mistakes={
        "only the rows are asked: which picture belongs to a text is the other half of the riddle.": (
            partial(_riddle, rows=1.0, columns=0.0)
        ),
        "only the columns are asked: which text belongs to a picture is the other half of the riddle.": (
            partial(_riddle, rows=0.0, columns=1.0)
        ),
        "the loss asks both ways, but d_logits comes from the rows alone; both halves have a gradient.": (
            partial(_riddle, d_rows=True)
        ),
        "the two halves are added; the loss is their mean, so that a guess costs log N.": (
            partial(_riddle, rows=1.0, columns=1.0)
        ),
        "d_logits is not divided by the number of pairs; the loss is a mean over them.": partial(_riddle, mean=False),
        "what was true is subtracted once; both directions have probabilities, so subtract it from each.": (
            partial(_riddle, true=0.5)
        ),
        "what was true is not taken away from what was believed: on the diagonal it is 1.": partial(_riddle, true=0.0),
        "d_logits has the other sign: it is what was believed less what was true, the way up of the loss.": (
            partial(_riddle, sign=-1.0)
        ),
        "the loss is the mean of the probabilities; a loss in nats is the mean of their logarithms.": (
            partial(_riddle, log=False)
        ),
        "the softmax is taken over the whole table; take it once along each row and once along each column.": (
            partial(_riddle, together=True)
        ),
        "the loss is a mean over the whole table; only the pairs on the diagonal were asked for.": (
            partial(_riddle, everywhere=True)
        ),
    },
    hints=[
        "It is the cross-entropy of notebook 05 twice: for each row, and for each column, the label on the diagonal.",
        "The gradient of a cross-entropy is softmax less one-hot, divided by N; take the mean of two. For the loss, "
        "logits can be large: take away the largest and never take the logarithm of a probability that may be 0.",
        "`d_logits = (p + q - 2 * np.eye(n)) / (2 * n)`, with p along the rows and q along the columns; "
        "`log_p = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))`.",
    ],
    praise="What was believed in both directions, less what was true.",
)


def _sharded(
    images, texts, scale, size, parted=False, texts_too=True, halves=False, mean=False, first=False, scaled=True
):
    n = len(images)
    shards = [slice(i, i + size) for i in range(0, n, size)]
    if parted:
        losses, parts = [], []
        for s in shards:
            loss, d = _riddle(scale * images[s] @ texts[s].T)
            losses.append(loss * (len(images[s]) / n))
            parts.append(scale * d @ texts[s] * (len(images[s]) / n))
        return sum(losses), np.concatenate(parts)
    logits = scale * images @ texts.T
    loss, d_logits = _riddle(logits)
    if halves:  # each shard of pictures is compared with all texts, but not the other way round
        p = softmax(logits, 1)
        loss, d_logits = -np.log(np.diag(p)).mean(), (p - np.eye(n)) / n
    if mean:
        d_logits = d_logits * len(shards)
    if first:
        d_logits = np.where(np.arange(n)[:, None] < size, d_logits, 0)
    return loss, (scale if scaled else 1.0) * d_logits @ texts


SHARDS = Exercise(
    grade="debug",
    reference=_sharded,
    cases=[
        (_unit(6, 4), _unit(6, 4), 3.0, 2),
        (_unit(7, 3), _unit(7, 3), 1.4, 3),
        (_unit(4, 5), _unit(4, 5), 6.5, 4),
    ],
    returns=["loss", "d_images"],
    mistakes={
        PLANTED: (partial(_sharded, parted=True)),
        "pictures are compared with all texts, but texts are not with all pictures: half of the riddle is missing.": (
            partial(_sharded, halves=True)
        ),
        "each shard's gradient is too large by the number of shards; the loss is a mean over all pairs.": (
            partial(_sharded, mean=True)
        ),
        "only the first shard gets a gradient.": partial(_sharded, first=True),
        "the gradient of the pictures lacks the scale: logits change that many times as much as cosines.": (
            partial(_sharded, scaled=False)
        ),
    },
    hints=[
        "With random vectors the loss should be about log of the batch. Of which number is it the logarithm?",
        "Encoding can be done shard by shard. What must be done with all at once?",
        "Join first: `logits = scale * images @ texts.T` of the whole batch, and one riddle; then cut its gradients.",
    ],
    praise="Shards encode alone and meet for the riddle.",
)
