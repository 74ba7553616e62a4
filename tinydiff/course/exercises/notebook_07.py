"""Exercises of notebook 07: group norm and its backward, the backward of attention, and heads with a fault."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(7)


_AXES = {"group": (1, 2, 4), "channel": (1, 2), "position": 4, "batch": (0, 1, 2, 4), "image": (1, 2, 3, 4)}


def _group_norm(x, gamma, beta, groups, eps, within="group", divide="root", fewer=0, scale=True, apart=False):
    size = x.shape[-1] // groups
    cut = x.reshape(*x.shape[:3], size, groups).swapaxes(3, 4) if apart else x.reshape(*x.shape[:3], groups, size)
    centred = cut - cut.mean(axis=_AXES[within], keepdims=True)
    variance = (centred**2).sum(axis=_AXES[within], keepdims=True)
    variance = variance / (centred.size // variance.size - fewer)
    by = {"root": (variance + eps) ** 0.5, "variance": variance + eps, "eps outside": variance**0.5 + eps}[divide]
    x_hat = centred / by
    x_hat = (x_hat.swapaxes(3, 4) if apart else x_hat).reshape(x.shape)
    return gamma * x_hat + beta if scale else x_hat


def _images(*shape):
    """Return images whose channels, pixels and images have means and spreads of their own."""
    spread = _RNG.uniform(0.2, 3, (shape[0], 1, 1, shape[-1]))
    return spread * _RNG.standard_normal(shape) + _RNG.uniform(-2, 2, (shape[0], shape[1], 1, shape[-1]))


_X_6, _X_4 = _images(3, 2, 5, 6), _images(2, 4, 3, 4)
_GAMMA, _BETA = _RNG.uniform(0.3, 2, 6), _RNG.standard_normal(6)

GROUP_NORM = Exercise(
    grade="transcribe",
    reference=_group_norm,
    cases=[
        (_X_6, _GAMMA, _BETA, 2, 0.3),
        (_X_6, _GAMMA, _BETA, 3, 1e-5),
        (_X_4, _GAMMA[:4], _BETA[:4], 1, 0.05),
        (_X_4, _GAMMA[2:], _BETA[2:], 4, 1e-3),
    ],
    returns=["y"],
    mistakes={
        "that normalises each channel alone; the channels of a group share one mean and one variance.": (
            partial(_group_norm, within="channel")
        ),
        "that normalises each position alone; a group has all the pixels of its channels.": (
            partial(_group_norm, within="position")
        ),
        "the means go over the batch, too; every image has means and variances of its own.": (
            partial(_group_norm, within="batch")
        ),
        "all channels are taken as one group, whatever groups says.": partial(_group_norm, within="image"),
        "a group is made of neighbouring channels; yours takes channels that lie apart, such as 0 and 2 of four.": (
            partial(_group_norm, apart=True)
        ),
        "eps is added to the variance, under the root; yours is added to the standard deviation.": (
            partial(_group_norm, divide="eps outside")
        ),
        "that divides by the variance; x_hat is x in units of its root, the standard deviation.": (
            partial(_group_norm, divide="variance")
        ),
        "the variance is the mean of the squares, divided by n; yours is divided by n - 1.": partial(
            _group_norm, fewer=1
        ),
        "eps is left out: it is added to the variance, under the root.": lambda x, gamma, beta, groups, eps: (
            _group_norm(x, gamma, beta, groups, 0.0)
        ),
        "gamma and beta are missing: they scale and shift each channel at the end.": partial(_group_norm, scale=False),
    },
    hints=[
        "Which numbers share a mean? Give them axes of their own, and average over just these.",
        "Reshape x to (N, H, W, groups, C / groups): then a group's numbers lie along the axes 1, 2 and 4.",
        "`x.reshape(n, height, width, groups, -1)`, then mean and variance with `axis=(1, 2, 4), keepdims=True`, "
        "and reshape x_hat back to x.shape before `gamma * x_hat + beta`.",
    ],
    praise="One mean and one variance for each image and group.",
)

_ROWS = _RNG.standard_normal((3, 7)) * np.array([[0.3], [1.0], [4.0]]) + np.array([[2.0], [-1.0], [0.5]])


def _normalised(rows):
    rstd = (rows.var(axis=1, keepdims=True) + 0.1) ** -0.5
    return (rows - rows.mean(axis=1, keepdims=True)) * rstd, rstd


_G = _RNG.standard_normal((3, 7)) + 0.7


def _paths(g, x_hat, rstd, mean=1.0, variance=1.0, power=1.0, axis=-1, total=False, shape=True, own=False):
    add = np.sum if total else np.mean
    through_mean = add(g, axis=axis, keepdims=True)
    inner = g * x_hat if own else add(g * x_hat, axis=axis, keepdims=True)
    return rstd**power * (g - mean * through_mean - variance * inner * (x_hat if shape else 1.0))


NORM = Exercise(
    grade="derive",
    reference=_paths,
    cases=[
        (_G, *_normalised(_ROWS)),
        (_G[:1] + 0.5, *_normalised(_ROWS[:1])),
        (_G[1:, :4], *_normalised(_ROWS[1:, 3:])),
    ],
    returns=["dx"],
    mistakes={
        "the path through the mean is missing: raising one x raises the mean, and lowers every x_hat.": (
            partial(_paths, mean=0.0)
        ),
        "the path through the variance is missing: an x far from the mean widens the group, and shrinks every x_hat.": (
            partial(_paths, variance=0.0)
        ),
        "only the direct path is there; x also reaches every x_hat through the mean and through the variance.": (
            partial(_paths, mean=0.0, variance=0.0)
        ),
        "the path through the variance has the wrong sign: a wider group makes every x_hat smaller.": (
            partial(_paths, variance=-1.0)
        ),
        "the path through the variance is too weak by 2: the derivative of a square brings a 2.": (
            partial(_paths, variance=0.5)
        ),
        "the path through the variance is too strong by 2: the derivative of 1 / root brings a 1/2.": (
            partial(_paths, variance=2.0)
        ),
        "rstd is missing: x_hat is x in units of the standard deviation.": partial(_paths, power=0.0),
        "the powers of rstd do not add up: each of the three paths has rstd once.": partial(_paths, power=2.0),
        "the paths through mean and variance are means over the group, not sums.": partial(_paths, total=True),
        "the path through the variance must be multiplied by x_hat: it is strongest far from the mean.": (
            partial(_paths, shape=False)
        ),
        "the variance is shared by the group, so all of g * x_hat comes back along it: take its mean.": (
            partial(_paths, own=True)
        ),
        "the means are taken over all rows together; each group has its own mean and variance.": (
            partial(_paths, axis=None)
        ),
    },
    hints=[
        "The path is x_j -> sigma^2 -> r -> every x_hat_i. Write the derivative of each arrow, and multiply.",
        "d sigma^2 / d x_j = 2 (x_j - mu) / n, since the mean inside brings nothing; d r / d sigma^2 = -r^3 / 2; "
        "d x_hat_i / d r = x_i - mu. Replace each x - mu by x_hat / r.",
        "The third path is `-rstd * x_hat * (g * x_hat).mean(axis=-1, keepdims=True)`; add the direct one, `rstd * g`, "
        "and the one through the mean.",
    ],
    praise="Three paths meet: direct, through the mean, through the variance.",
)


def _weights(q, k):
    scores = q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _of_attention(queries, keys, d, d_v):
    q, k, v = (_RNG.standard_normal(shape) for shape in ((queries, d), (keys, d), (keys, d_v)))
    return _RNG.standard_normal((queries, d_v)) + 0.3, q, k, v, _weights(q, k)


def _attention(
    dy, q, k, v, weights, width=None, softmax=True, inner=True, plain=False, mixed=False, whole=False, evenly=False
):
    dp = dy @ v.T
    if softmax:
        along = (dp * weights).sum(axis=None if whole else -1, keepdims=True)
        along = dp.mean(axis=-1, keepdims=True) if evenly else along
        ds = weights * (dp - (along if inner else 0.0))
    else:
        ds = dp
    ds = ds / {None: q, "v": v, "keys": k.T}[width].shape[-1] ** 0.5 if width != "none" else ds
    square = weights.shape[0] == weights.shape[1]
    dv = weights @ dy if plain and square else weights.T @ dy
    dq, dk = (ds.T @ k, ds @ q) if mixed and square else (ds @ k, ds.T @ q)
    return dq, dk, dv


ATTENTION = Exercise(
    grade="derive",
    reference=_attention,
    cases=[_of_attention(4, 4, 5, 3), _of_attention(3, 5, 2, 6), _of_attention(6, 2, 7, 1)],
    returns=["dq", "dk", "dv"],
    mistakes={
        "the factor 1 / sqrt(d) is missing: the scores were q k^T / sqrt(d), so it comes back in their gradient.": (
            partial(_attention, width="none")
        ),
        "d is the width of v; the scores were divided by the root of the width of q and k.": (
            partial(_attention, width="v")
        ),
        "d is the number of keys; the scores were divided by the root of the width of q and k.": (
            partial(_attention, width="keys")
        ),
        "the softmax is missing: what reaches the weights must go back through it to reach the scores.": (
            partial(_attention, softmax=False)
        ),
        "the softmax has only half of its gradient: subtract the sum of d_weights * weights in every row.": (
            partial(_attention, inner=False)
        ),
        "inside the softmax's gradient each query's d_weights are averaged evenly; weigh them by P.": (
            partial(_attention, evenly=True)
        ),
        "the sum inside the softmax's gradient goes over all queries; every query has a softmax of its own.": (
            partial(_attention, whole=True)
        ),
        "dv uses the weights as they are; the keys collect from all queries that read them: transpose.": (
            partial(_attention, plain=True)
        ),
        "d_scores is transposed in the wrong place: its rows are queries, so dq = d_scores k and dk = d_scores^T q.": (
            partial(_attention, mixed=True)
        ),
    },
    hints=[
        "Walk back: first y = P v, then the softmax in each row, then S = q k^T / sqrt(d). Notebook 05 has all three.",
        "From y = P v come dv = P^T dy and d_P = dy v^T; the softmax gives d_S = P * (d_P - the sum of d_P * P in "
        "each row); then S is a product again, with the factor 1 / sqrt(d).",
        "`d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)) / q.shape[-1] ** 0.5`, "
        "then `d_scores @ k` and `d_scores.T @ q`.",
    ],
    praise="Back through the average, the softmax and the product.",
)


def _multi_head(q, k, v, heads, cut="after", width="head", merged=True, over=-1):
    n, tokens, channels = q.shape
    d = channels // heads

    def split(x):
        if cut == "before":
            return x.reshape(n, heads, -1, d)
        if cut == "apart":
            return x.reshape(n, -1, d, heads).transpose(0, 3, 1, 2)
        return x.reshape(n, -1, heads, d).swapaxes(1, 2)

    scores = split(q) @ split(k).swapaxes(-1, -2) / (d if width == "head" else channels) ** 0.5
    e = np.exp(scores - scores.max(axis=over, keepdims=True))
    y = e / e.sum(axis=over, keepdims=True) @ split(v)
    return (y.swapaxes(1, 2) if merged else y).reshape(n, tokens, channels)


def _qkv(n, queries, keys, channels):
    return tuple(_RNG.standard_normal((n, length, channels)) for length in (queries, keys, keys))


HEADS = Exercise(
    grade="debug",
    reference=_multi_head,
    cases=[(*_qkv(2, 4, 4, 6), 3), (*_qkv(3, 5, 2, 8), 2), (*_qkv(1, 3, 3, 5), 1)],
    returns=["y"],
    mistakes={
        PLANTED: (partial(_multi_head, cut="before", merged=True)),
        "split is as it was, and the other end follows it: then no fault shows in the shapes, but heads mix tokens.": (
            partial(_multi_head, cut="before", merged=False)
        ),
        "a head should have neighbouring channels, the first head the first C / heads of them.": (
            partial(_multi_head, cut="apart")
        ),
        "the scores are divided by the root of all channels; d is the width of one head.": (
            partial(_multi_head, width="all")
        ),
        "the softmax goes over the queries; each query shares its weight among the keys.": (
            partial(_multi_head, over=-2)
        ),
    },
    hints=[
        "If the tokens come in another order, the outputs should, too. Which line lets a token's numbers fall into the "
        "place of another's?",
        "`reshape` reads numbers in the order in which they lie in memory: token by token, and in each token channel "
        "by channel. So cut only the last axis, and exchange axes afterwards.",
        "In split: `x.reshape(n, -1, heads, c // heads).swapaxes(1, 2)`.",
    ],
    praise="First cut the channels, then exchange the axes.",
)
