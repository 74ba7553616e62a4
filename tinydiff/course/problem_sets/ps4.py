"""Problem set 4, the network: a norm without a mean, a mask, attention pooling, a whole U, and its reach."""

from functools import partial

import numpy as np

from tinydiff.course.by_hand import softmax
from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(54)


def _rms_norm(x, gamma, eps, centre=False, root="inside", add=np.mean, axis=-1, one_plus=False, scale=True):
    centred = x - x.mean(axis=-1, keepdims=True) if centre else x
    mean_square = add(centred**2, axis=axis, keepdims=True)
    by = {"inside": (mean_square + eps) ** 0.5, "outside": mean_square**0.5 + eps, "none": mean_square + eps}[root]
    return (1 + gamma if one_plus else gamma if scale else 1.0) * centred / by


def _rows(*shape):
    return _RNG.uniform(0.3, 3, (*shape[:-1], 1)) * _RNG.standard_normal(shape) + _RNG.uniform(-1, 2, (*shape[:-1], 1))


RMS_NORM = Exercise(
    grade="transcribe",
    reference=_rms_norm,
    cases=[
        (_rows(3, 4), _RNG.uniform(0.3, 2, 4), 0.2),
        (_rows(2, 3, 5), _RNG.standard_normal(5), 1e-5),
        (_rows(2, 3, 4, 6), _RNG.standard_normal(6), 0.7),
    ],
    returns=["y"],
    mistakes={
        "that takes off the mean, as layer norm does; here nothing is taken off.": partial(_rms_norm, centre=True),
        "eps is left out: it is added to the mean square, under the root.": (
            lambda x, gamma, eps: _rms_norm(x, gamma, 0.0)
        ),
        "eps is added to the mean square, under the root; yours is added to the root.": (
            partial(_rms_norm, root="outside")
        ),
        "that divides by the mean square; x should be divided by its root.": partial(_rms_norm, root="none"),
        "that takes the sum of the squares; it is their mean.": partial(_rms_norm, add=np.sum),
        "the mean goes over all positions together; each position has a size of its own.": (
            partial(_rms_norm, axis=None)
        ),
        "the mean goes along the wrong axis: the channels are the last one.": partial(_rms_norm, axis=0),
        "gamma is missing at the end.": partial(_rms_norm, scale=False),
        "gamma multiplies as it is; some programs store gamma - 1, but not here.": partial(_rms_norm, one_plus=True),
    },
    hints=[
        "It is layer norm of notebook 07 without its mean: what is left of the formula?",
        "The mean of x * x along the last axis, with keepdims=True, plus eps; then a root.",
        "`gamma * x / ((x**2).mean(axis=-1, keepdims=True) + eps) ** 0.5`.",
    ],
    praise="Only the size is made common; the mean stays where it is.",
)


def _rms_backward(dy, x, gamma, eps, inner=1.0, power=3, use_gamma=True, add=np.mean, x_hat_in_gamma=True, axes=True):
    r = ((x**2).mean(axis=-1, keepdims=True) + eps) ** -0.5
    g = dy * gamma if use_gamma else dy
    dx = r * g - inner * r**power * x * add(g * x, axis=-1, keepdims=True)
    of_gamma = dy * x * r if x_hat_in_gamma else dy * x
    rows = tuple(range(dy.ndim - 1))
    return dx, of_gamma.sum(axis=rows) if axes else of_gamma.mean(axis=rows)


def _with_dy(x, gamma, eps):
    return _RNG.standard_normal(x.shape) + 0.3, x, gamma, eps


RMS_BACKWARD = Exercise(
    grade="derive",
    reference=_rms_backward,
    cases=[_with_dy(*case) for case in RMS_NORM.cases],
    returns=["dx", "d_gamma"],
    mistakes={
        "the path through the size is missing: a larger x makes every y of its position smaller.": (
            partial(_rms_backward, inner=0.0)
        ),
        "the path through the size has the wrong sign: it takes something off.": partial(_rms_backward, inner=-1.0),
        "the path through the size is too weak by 2: the derivative of a square brings a 2.": (
            partial(_rms_backward, inner=0.5)
        ),
        "the path through the size is too strong by 2: the derivative of 1 / root brings a 1/2.": (
            partial(_rms_backward, inner=2.0)
        ),
        "the path through the size has a wrong power of r: the derivative of m^(-1/2) has m^(-3/2), which is r^3.": (
            partial(_rms_backward, power=1)
        ),
        "the path through the size has a mean, not a sum: the size was a mean of squares.": (
            partial(_rms_backward, add=np.sum)
        ),
        "gamma is missing on the way back: what reaches x / size is dy * gamma.": (
            partial(_rms_backward, use_gamma=False)
        ),
        "gamma was multiplied by x / size, so d_gamma needs r, too.": partial(_rms_backward, x_hat_in_gamma=False),
        "d_gamma is a mean over the positions; gamma was used at each, so the gradients add.": (
            partial(_rms_backward, axes=False)
        ),
    },
    hints=[
        "With m the mean square and r = (m + eps)^(-1/2), y = gamma * x * r. On which two paths does x reach y?",
        "Directly, with the factor r. And through m: dm / dx_j = 2 x_j / n, dr / dm = -r^3 / 2, and r stands in every "
        "y_i of the position with the factor gamma_i x_i.",
        "With g = dy * gamma: `r * g - r**3 * x * (g * x).mean(axis=-1, keepdims=True)`; and d_gamma sums `dy * x * r` "
        "over all axes but the last.",
    ],
    praise="One path less than in layer norm, and the same pattern.",
)


def _masked(q, k, v, mask, where="before", value=-np.inf, scaled=True, turned=False):
    mask = ~mask if turned else mask
    scores = np.einsum("nqd,nkd->nqk", q, k) / (q.shape[-1] ** 0.5 if scaled else 1.0)
    if where == "before":
        weights = softmax(np.where(mask[:, None], scores, value))
    elif where == "after":
        weights = softmax(scores) * mask[:, None]
    else:
        weights = softmax(scores)
    return weights @ v


def _sets(n, queries, keys, d, d_v, counts):
    q, k, v = (_RNG.standard_normal(shape) for shape in ((n, queries, d), (n, keys, d), (n, keys, d_v)))
    return q, k, v, np.arange(keys) < np.array(counts)[:, None]


_HOLES = (*_sets(2, 3, 4, 5, 2, [4, 4])[:3], np.array([[True, False, True, True], [False, False, True, False]]))
_, _K, *_AS_MANY = _sets(2, 4, 4, 3, 2, [2, 3])  # as many queries as keys, which look away from those that are there
_AWAY = -40 * np.arange(1.0, 5)[:, None] * (_K[:, :1] + _K[:, 1:2])

MASKED = Exercise(
    grade="debug",
    reference=_masked,
    cases=[_sets(3, 2, 5, 4, 6, [4, 2, 3]), _HOLES, _sets(2, 4, 3, 2, 5, [1, 2]), (_AWAY, _K, *_AS_MANY)],
    returns=["y"],
    mistakes={
        PLANTED: (partial(_masked, where="after")),
        "the masked scores are 0, which is no small score: exp(0) is 1. Take minus infinity.": (
            partial(_masked, value=0.0)
        ),
        "the mask is not used.": partial(_masked, where="nowhere"),
        "the mask is turned round: True is a key that is there.": partial(_masked, turned=True),
        "the scores are not divided by the root of d any more.": partial(_masked, scaled=False),
    },
    hints=[
        "Sum the weights of a query whose picture has masked keys. What should it be?",
        "A key that is not there must be left out before the softmax divides by the sum: so its score must have the "
        "exponential 0.",
        "Before the softmax: `scores = np.where(mask[:, None], scores, -np.inf)`, and no mask after it.",
    ],
    praise="What is masked has the weight 0, and the others share all of it.",
)


def _pool_backward(
    dy, q, x, scaled=True, inner=True, over_images=True, keys=True, values=True, whole=False, mean=False
):
    """Of y[n] = sum over i of p[n, i] x[n, i], with p[n] = softmax of x[n] q / sqrt(c)."""
    root = q.shape[0] ** 0.5
    p = softmax(np.einsum("nic,c->ni", x, q) / root)
    dp = np.einsum("nc,nic->ni", dy, x)
    along = (p * dp).sum(axis=None if whole else 1, keepdims=True)
    ds = p * (dp - (along if inner else 0.0)) / (root if scaled else 1.0)
    dq = np.einsum("ni,nic->nc", ds, x)
    dx = values * np.einsum("ni,nc->nic", p, dy) + keys * np.einsum("ni,c->nic", ds, q)
    return (dq.mean(axis=0) if mean else dq.sum(axis=0) if over_images else dq[0]), dx


def _pooled(n, pixels, c):
    return _RNG.standard_normal((n, c)) + 0.4, _RNG.standard_normal(c), _RNG.standard_normal((n, pixels, c))


POOLING = Exercise(
    grade="derive",
    reference=_pool_backward,
    cases=[_pooled(3, 5, 4), _pooled(2, 3, 6), _pooled(4, 2, 3)],
    returns=["dq", "dx"],
    mistakes={
        "x was read twice, as keys and as values; what it got as keys, through the weights, is missing.": (
            partial(_pool_backward, keys=False)
        ),
        "x was read twice, as keys and as values; what it got as values, with the weights, is missing.": (
            partial(_pool_backward, values=False)
        ),
        "the factor 1 / sqrt(C) of the scores is missing on the way back.": partial(_pool_backward, scaled=False),
        "the softmax has only half of its gradient: subtract the sum of dp * p in every image.": (
            partial(_pool_backward, inner=False)
        ),
        "the sum inside the softmax's gradient goes over all images; each has a softmax of its own.": (
            partial(_pool_backward, whole=True)
        ),
        "dq is that of the first image; all images used the same q, so their gradients add.": (
            partial(_pool_backward, over_images=False)
        ),
        "dq is a mean over the images; gradients of all readers add.": partial(_pool_backward, mean=True),
    },
    hints=[
        "Two products and a softmax, as in notebook 07; but x is both keys and values, and all images share q.",
        "From y: dp[n, i] is dy[n] times x[n, i], and x gets p dy. Through the softmax: ds = p (dp - the sum of p dp "
        "in each image). From the scores: q gets ds x / sqrt(C), summed over all, and x gets ds q / sqrt(C).",
        "`dx = p[..., None] * dy[:, None] + ds[..., None] * q`, and `dq = np.einsum('ni,nic->c', ds, x)`, with ds "
        "divided by the root of C.",
    ],
    praise="Two readings of x, and one q for all: three sums of gradients.",
)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _u_backward(
    dy, x, w_1, w_2, w_3, skip=1.0, share=0.25, copies=np.sum, silu="both", cut="h first", add=np.sum, at="output"
):
    a = x @ w_1
    s = a * _sigmoid(a)
    pooled = (s[:, ::2, ::2] + s[:, 1::2, ::2] + s[:, ::2, 1::2] + s[:, 1::2, 1::2]) / 4
    b = pooled @ w_2
    h = b * _sigmoid(b)
    large = h.repeat(2, axis=1).repeat(2, axis=2)
    both = np.concatenate([large, s], axis=-1)
    dw_3 = np.tensordot(both, dy, axes=((0, 1, 2), (0, 1, 2)))
    d_both = dy @ w_3.T
    c = h.shape[-1]
    d_large, d_s = (d_both[..., :c], skip * d_both[..., c:])
    if cut != "h first":
        d_large, d_s = d_both[..., -c:], skip * d_both[..., :-c]
    n, height, width, _ = dy.shape
    dh = copies(d_large.reshape(n, height // 2, 2, width // 2, 2, c), axis=(2, 4))
    of_silu = [_sigmoid(z) * (1 + z * (1 - _sigmoid(z))) for z in (a, b)]
    if silu == "sigmoid":
        of_silu = [_sigmoid(z) for z in (a, b)]
    db = dh * (1.0 if silu in ("none", "outer") else of_silu[1])
    dw_2 = np.tensordot(pooled, db, axes=((0, 1, 2), (0, 1, 2)))
    d_s = d_s + share * (db @ w_2.T).repeat(2, axis=1).repeat(2, axis=2)
    da = d_s * (1.0 if silu == "none" else of_silu[0])
    dw_1 = np.tensordot(x, da, axes=((0, 1, 2), (0, 1, 2)))
    if add is np.mean:
        dw_1, dw_2, dw_3 = dw_1 / n, dw_2 / n, dw_3 / n
    return da @ w_1.T, dw_1, dw_2, dw_3


def _of_u(n, height, width, c_in, c, c_low, c_out):
    x, dy = _RNG.standard_normal((n, height, width, c_in)), _RNG.standard_normal((n, height, width, c_out)) + 0.2
    return dy, x, *(_RNG.standard_normal(shape) * 0.7 for shape in ((c_in, c), (c, c_low), (c_low + c, c_out)))


WHOLE_U = Exercise(
    grade="derive",
    reference=_u_backward,
    cases=[_of_u(3, 4, 6, 2, 3, 3, 1), _of_u(2, 2, 4, 1, 4, 4, 3), _of_u(1, 6, 2, 3, 2, 5, 2)],
    returns=["dx", "dw_1", "dw_2", "dw_3"],
    mistakes={
        "the skip brings nothing back: s had two readers, the pooling and the concatenation.": (
            partial(_u_backward, skip=0.0)
        ),
        "what comes back through the pooling is missing: s had two readers.": partial(_u_backward, share=0.0),
        "pooling's backward gives each pixel of a block all of the gradient; it had a quarter of the share.": (
            partial(_u_backward, share=1.0)
        ),
        "upsampling's backward takes a mean; a pixel that was copied to four places collects from all of them.": (
            partial(_u_backward, copies=np.mean)
        ),
        "SiLU has no gradient in yours: multiply by its derivative at what went in.": partial(_u_backward, silu="none"),
        "the gradient of the lower SiLU is missing.": partial(_u_backward, silu="outer"),
        "the derivative of z sigmoid(z) has two terms; yours is the sigmoid alone.": (
            partial(_u_backward, silu="sigmoid")
        ),
        "the gradients of the weights are means over the images; gradients of all readers add.": (
            partial(_u_backward, add=np.mean)
        ),
    },
    hints=[
        "Write the forward once more, with a name for everything; then go through its lines from last to first.",
        "The order: dw_3 and d_both; cut d_both after the channels of h; collect blocks of four for dh; SiLU; dw_2 and "
        "d_pooled; spread quarters of it and add the skip's part; SiLU; dw_1 and dx.",
        "Easily forgotten: `d_s = d_both[..., c:] + d_pooled.repeat(2, axis=1).repeat(2, axis=2) / 4`, and "
        "the derivative of SiLU, `sig * (1 + z * (1 - sig))` with sig = sigmoid(z).",
    ],
    praise="A whole network, forward and backward, in two dozen lines.",
)


def _reach(f, x, row, column, h=1e-3, central=True, half=True, far=False, turned=False, absolute=False):
    found = np.zeros(x.shape)
    for i, j in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i, j] += h
        down[i, j] -= h if central else 0.0
        change = f(up) - f(down)
        change = change.sum() if far else change[column, row] if turned else change[row, column]
        found[i, j] = change / (2 * h if central and half else h)
    return abs(found) if absolute else found


def _blurred(x):
    """Stand in for a network without pooling: weighted neighbours, and a bend."""
    y = 0.5 * x + 0.3 * np.roll(x, 1, axis=0) - 0.2 * np.roll(x, -1, axis=1)
    return np.tanh(y) + 0.1 * y**2


def _blocked(x):
    """Stand in for a network that pools in rows: pixels of a row know each other."""
    return x**3 + x * x.mean(axis=1, keepdims=True)


REACH = Exercise(
    grade="explore",
    reference=_reach,
    cases=[
        (_blurred, _RNG.standard_normal((5, 6)), 1, 3),
        (_blocked, _RNG.standard_normal((4, 4)), 2, 3),
        (_blurred, _RNG.standard_normal((4, 3)), 0, 2),
    ],
    returns=["slopes"],
    tolerance=3e-4,  # a difference of two float32 numbers, divided by a small h
    mistakes={
        "the slope is twice too large: from x - h to x + h are two h.": partial(_reach, half=False),
        "all outputs together are looked at; the question is what the one at (row, column) sees.": (
            partial(_reach, far=True)
        ),
        "row and column are exchanged.": partial(_reach, turned=True),
        "the sizes of the slopes are right, but a slope may be negative.": partial(_reach, absolute=True),
        "the step is too large for a slope: take one near 1e-3.": partial(_reach, h=0.5),
    },
    hints=[
        "Move one pixel of x a little, and look at one pixel of f(x).",
        "For every (i, j): f of x with h more there, less f of x with h less there, at (row, column), divided by 2 h. "
        "Work on copies, for x cannot be changed.",
        "`up = x.copy(); up[i, j] += h`, the same with minus, and `(f(up) - f(down))[row, column] / (2 * h)`.",
    ],
    praise="A map of what one pixel of the output sees.",
)
