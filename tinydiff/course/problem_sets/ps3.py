"""Problem set 3, gradients by hand: up to the whole backward of three layers, which is told apart link by link."""

import itertools
import math
from functools import partial

import numpy as np

from tinydiff.course.difference import distance, in_words
from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(33)
_C, _CUBE = math.sqrt(2 / math.pi), 0.044715


def _gelu(x):
    return 0.5 * x * (1 + np.tanh(_C * (x + _CUBE * x**3)))


def _slope(x, first=1.0, half=0.5, square=2, inner=3.0, root=_C):
    t = np.tanh(_C * (x + _CUBE * x**3))
    return first * 0.5 * (1 + t) + half * x * (1 - t**square) * root * (1 + inner * _CUBE * x**2)


def _case(N, c, k, o):
    shapes = (N, c), (c, k), (k,), (k, o), (o,), (N, o)
    return *(_RNG.standard_normal(shape) for shape in shapes), _RNG.uniform(0.2, 3.0, N)


def _loss(x, w_1, b_1, w_2, b_2, target, m, activation=_gelu, of=None, squares=None):
    y = activation(x @ w_1 + b_1) @ w_2 + b_2
    off = (y - target) ** 2 if squares is None else squares(y - target)
    return of(off, m) if of else (m * off.sum(axis=1)).sum() / m.sum()


FORWARD = Exercise(
    grade="transcribe",
    reference=lambda x, w_1, b_1, w_2, b_2, target, m: _loss(x, w_1, b_1, w_2, b_2, target, m),
    cases=[_case(4, 3, 5, 2), _case(2, 4, 3, 5), _case(5, 2, 4, 1)],
    returns=["loss"],
    mistakes={
        "the samples are not weighted: multiply the squared error of sample n by m[n].": (
            partial(_loss, of=lambda off, m: off.sum() / len(m))
        ),
        "the sum of the weighted errors is divided by the number of samples; divide by the sum of the m.": (
            partial(_loss, of=lambda off, m: (m * off.sum(axis=1)).mean())
        ),
        "the sum of the weighted errors is not divided by the sum of the m.": (
            partial(_loss, of=lambda off, m: (m * off.sum(axis=1)).sum())
        ),
        "the outputs of a sample are averaged; the text sums over j, and averages over samples only.": (
            partial(_loss, of=lambda off, m: (m * off.mean(axis=1)).sum() / m.sum())
        ),
        "the activation is missing between the two linear layers.": partial(_loss, activation=lambda h: h),
        "the activation is that of notebook 05, SiLU; the text asks for GELU in its tanh form.": (
            partial(_loss, activation=lambda h: h / (1 + np.exp(-h)))
        ),
        "tanh alone is no activation of this network: GELU multiplies h by (1 + tanh(u)) / 2.": (
            partial(_loss, activation=lambda h: np.tanh(_C * (h + _CUBE * h**3)))
        ),
        "in u the cube of h is missing.": partial(_loss, activation=lambda h: 0.5 * h * (1 + np.tanh(_C * h))),
        "in u the root is that of pi / 2; it is that of 2 / pi.": (
            partial(_loss, activation=lambda h: 0.5 * h * (1 + np.tanh((h + _CUBE * h**3) / _C)))
        ),
        "the half in front of h is missing.": partial(_loss, activation=lambda h: 2 * _gelu(h)),
        "b_2 is missing.": lambda x, w_1, b_1, w_2, b_2, target, m: _loss(x, w_1, b_1, w_2, 0 * b_2, target, m),
        "b_1 is missing.": lambda x, w_1, b_1, w_2, b_2, target, m: _loss(x, w_1, 0 * b_1, w_2, b_2, target, m),
        "the output is activated as well; the last layer is linear.": (
            lambda x, w_1, b_1, w_2, b_2, target, m: (
                (m * ((_gelu(_gelu(x @ w_1 + b_1) @ w_2 + b_2) - target) ** 2).sum(axis=1)).sum() / m.sum()
            )
        ),
    },
    hints=[
        "Four formulas, one after the other: h, a, y, L. Every one needs only what the one before it gave.",
        "Write u on a line of its own. In L, square, sum over the outputs (axis 1), multiply by m, sum, divide.",
        "`(m * ((y - target) ** 2).sum(axis=1)).sum() / m.sum()`, with y = `a @ w_2 + b_2` and a = "
        "`0.5 * h * (1 + np.tanh(u))`.",
    ],
    praise="This is the number that everything below differentiates.",
)

SLOPE = Exercise(
    grade="derive",
    reference=lambda h: _slope(h),
    cases=[(_RNG.standard_normal((3, 4)),), (np.array([-4.0, -1.3, 0.0, 0.6, 2.7]),), (3 * _RNG.standard_normal((2, 1, 5)),)],
    returns=["slope"],
    mistakes={
        "the product rule has two terms, and yours lacks the one in which tanh is differentiated.": (
            partial(_slope, half=0.0)
        ),
        "the product rule has two terms, and yours lacks the one in which h is differentiated: (1 + tanh(u)) / 2.": (
            partial(_slope, first=0.0)
        ),
        "the slope of u is missing: tanh(u) changes with h as fast as u does, by the chain rule.": (
            partial(_slope, inner=0.0, root=1.0)
        ),
        "the slope of u is not only the root of 2 / pi: the cube changes, too.": partial(_slope, inner=0.0),
        "the slope of u lacks the root of 2 / pi.": partial(_slope, root=1.0),
        "the cube of h has the slope 3 h^2; the 3 is missing.": partial(_slope, inner=1.0),
        "the slope of tanh is 1 - tanh^2; your tanh is not squared.": partial(_slope, square=1),
        "the half is missing in the second term.": partial(_slope, half=1.0),
        "the slope of tanh is 1 - tanh^2, taken at u and not at h.": (
            lambda h: (
                0.5 * (1 + np.tanh(_C * (h + _CUBE * h**3)))
                + 0.5 * h * (1 - np.tanh(h) ** 2) * _C * (1 + 3 * _CUBE * h**2)
            )
        ),
        "that is the slope of the exact GELU of notebook 05; this one is made with tanh, and differs a little.": (
            lambda h: (
                np.vectorize(lambda one: (1 + math.erf(one / 2**0.5)) / 2)(h)
                + h * np.exp(-(h**2) / 2) / (2 * math.pi) ** 0.5
            )
        ),
        "that is the activation itself, and not its slope.": _gelu,
    },
    hints=[
        "a is a product, h / 2 times (1 + tanh(u)), and u depends on h: the product rule, then the chain rule.",
        "The first term is (1 + tanh(u)) / 2. The second is h / 2 times the slope of tanh at u, times that of u.",
        "With t = tanh(u): `0.5 * (1 + t) + 0.5 * h * (1 - t**2) * c * (1 + 3 * 0.044715 * h**2)`, c the root of 2 / pi.",
    ],
    praise="A product and two chains: as far as a slope of one number goes, that is all.",
    tolerance=5e-6,  # the exact GELU is not far off
)


def _errors(g, args, gradients, directions, h, back=1.0, over=2.0, scale=1.0, together=False, absolute=False, first=False):
    errors = []
    for k, (claim, d) in enumerate(zip(gradients, directions, strict=True)):
        ends = []
        for sign in (1.0, -back):
            moved = [
                a + sign * h * e if (together or j == (0 if first else k)) else a
                for j, (a, e) in enumerate(zip(args, directions, strict=True))
            ]
            ends.append(g(*moved))
        slope, claimed = (ends[0] - ends[1]) / (over * h), (claim * d).sum()
        off = claimed - slope if absolute else abs(claimed - slope)
        errors.append(off / (scale * (abs(claimed) + abs(slope))))
    return np.array(errors)


def _bent(x, w):
    """Some number of two arrays, (3, 2) and (2, 4)."""
    return (np.tanh(x @ w) ** 2).sum() + (x**3).sum() / 3


def _chained(a, b, c):
    """Some number of three arrays, (4,), (4, 2) and (2,)."""
    return np.exp(0.3 * (a @ b + c)) @ c + (a**4).sum() / 8


_CHECK_X, _CHECK_W = _RNG.standard_normal((3, 2)), _RNG.standard_normal((2, 4))
_CHECK_T = np.tanh(_CHECK_X @ _CHECK_W)
_CHECK_DW = _CHECK_X.T @ (2 * _CHECK_T * (1 - _CHECK_T**2))
_CHECK_ABC = _RNG.standard_normal(4), _RNG.standard_normal((4, 2)), _RNG.standard_normal(2)


def _like(*arrays):
    return tuple(_RNG.standard_normal(a.shape) for a in arrays)


CHECK = Exercise(
    grade="explore",
    reference=lambda g, args, gradients, directions, h: _errors(g, args, gradients, directions, h),
    cases=[
        (_bent, (_CHECK_X, _CHECK_W), (_CHECK_X**2, _CHECK_DW), _like(_CHECK_X, _CHECK_W), 0.1),
        (_chained, _CHECK_ABC, _like(*_CHECK_ABC), _like(*_CHECK_ABC), 0.2),
        (_chained, _CHECK_ABC, _like(*_CHECK_ABC), _like(*_CHECK_ABC), 0.15),
    ],
    returns=["errors"],
    mistakes={
        "the difference is one-sided: step to both sides, and divide by 2 h.": partial(_errors, back=0.0, over=1.0),
        "the two ends lie 2 h apart: divide by 2 h.": partial(_errors, over=1.0),
        "the two ends lie 2 h apart, and no more: you divide by 4 h.": partial(_errors, over=4.0),
        "all arguments move at once; move one at a time, and keep the others.": partial(_errors, together=True),
        "it is always the first argument that moves.": partial(_errors, first=True),
        "the error has a sign; take its absolute value.": partial(_errors, absolute=True),
        "the error is not divided by |claimed| + |measured|.": (
            lambda g, args, gradients, directions, h: (
                _errors(g, args, gradients, directions, h)
                * np.array(
                    [
                        abs((claim * d).sum())
                        + abs((g(*_moved(args, k, h, d)) - g(*_moved(args, k, -h, d))) / (2 * h))
                        for k, (claim, d) in enumerate(zip(gradients, directions, strict=True))
                    ]
                )
            )
        ),
        "the error is divided by the mean of the two sizes; divide by their sum.": partial(_errors, scale=0.5),
    },
    hints=[
        "For each argument two numbers: what its claimed gradient says of the direction, and what GC-1 measures along it.",
        "`(gradients[k] * directions[k]).sum()` is claimed. To measure, call g with a list of arguments in which only "
        "the one with number k is moved.",
        "`moved = list(args)`, `moved[k] = args[k] + h * directions[k]`, and the same with a minus; then "
        "`abs(claimed - measured) / (abs(claimed) + abs(measured))`.",
    ],
    praise="A wrong gradient cannot hide from a random direction.",
)


def _moved(args, k, h, d):
    return [a + h * d if j == k else a for j, a in enumerate(args)]


def _gate(dy, x, w, s, skip=1.0, gate=True, at="a", turned=True, mean=False):
    a = np.tanh(x @ w)
    inside = {"a": a, "s a": s * a, "h": x @ w}[at]
    dh = (s if gate else 1) * dy * (1 - inside**2)
    ds = (dy * a).mean() if mean else (dy * a).sum()
    return skip * dy + dh @ (w.T if turned else w), x.T @ dh, ds


GATE = Exercise(
    grade="debug",
    reference=lambda dy, x, w, s: _gate(dy, x, w, s),
    cases=[
        (_RNG.standard_normal((4, 3)), _RNG.standard_normal((4, 3)), _RNG.standard_normal((3, 3)), 0.6),
        (_RNG.standard_normal((3, 2)), _RNG.standard_normal((3, 2)), _RNG.standard_normal((2, 2)), -1.7),
        (_RNG.standard_normal((2, 5)), _RNG.standard_normal((2, 5)), 0.5 * _RNG.standard_normal((5, 5)), 0.3),
    ],
    returns=["dx", "dw", "ds"],
    mistakes={
        "the slope of tanh is still taken at s a; it is 1 - tanh(h)^2, and tanh(h) is a, before the gate.": (
            partial(_gate, at="s a")
        ),
        "the slope of tanh is taken at h; written with its output it is 1 - a^2.": partial(_gate, at="h"),
        "dh has lost the factor s: a reaches y only through s.": partial(_gate, gate=False),
        "dx has lost what comes straight from y: x is read twice, by the sum and by the product.": (
            partial(_gate, skip=0.0)
        ),
        "w is no longer transposed in dx; that part was right.": partial(_gate, turned=False),
        "ds is a mean; s is used by every number of a, and gradients add.": partial(_gate, mean=True),
        "the slope of tanh is gone from dh.": lambda dy, x, w, s: (dy + s * dy @ w.T, x.T @ (s * dy), _gate(dy, x, w, s)[2]),
    },
    hints=[
        "Use your check with s = 1 and with another s. Which gradients are right with which s? Which line do the wrong "
        "ones share?",
        "dx and dw both come from dh. The slope of tanh at h, written with its output, is 1 - tanh(h)^2.",
        "The line should be `dh = s * dy * (1 - a**2)`.",
    ],
    praise="A check at s = 1 alone would never have found it.",
)


def _shifted(x, by):
    """Move a sequence by some places to later times (or to earlier ones); zeros come in."""
    out = np.zeros(x.shape)
    T = x.shape[1]
    for t in range(max(0, by), min(T, T + by)):
        out[:, t] = x[:, t - by]
    return out


def _sequence(dy, x, w, dilation, dx_sign=-1, dw_sign=1, by=None, roll=False, flip=False, scale=1.0, dx_only=None):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    shift = (lambda a, n: np.roll(a, n, axis=1)) if roll else _shifted
    taps = w[::-1] if flip else w
    for i in range(len(w)):
        far = i * (dilation if by is None else by)
        dw[i] = scale * np.einsum("ntc,nto->co", shift(x, dw_sign * far), dy)
        if dx_only in (None, i):
            dx = dx + shift(dy, dx_sign * far) @ taps[i].T
    return dx, dw


def _sequence_case(N, T, c, o, k, dilation):
    return *(_RNG.standard_normal(shape) for shape in ((N, T, o), (N, T, c), (k, c, o))), dilation


SEQUENCE = Exercise(
    grade="derive",
    reference=lambda dy, x, w, dilation: _sequence(dy, x, w, dilation),
    cases=[_sequence_case(2, 7, 3, 4, 3, 2), _sequence_case(3, 9, 2, 1, 2, 4), _sequence_case(2, 5, 1, 3, 4, 1)],
    returns=["dx", "dw"],
    mistakes={
        "dw is right, but dx looks into the past. The output at t read the input at t - d i: so the input at s was read "
        "by outputs that come later.": partial(_sequence, dx_sign=1),
        "dx is right, but dw meets the wrong inputs: tap i read the input d i steps before the output.": (
            partial(_sequence, dw_sign=-1)
        ),
        "the dilation is ignored: tap i lies d i steps back, and not i.": partial(_sequence, by=1),
        "the end of the sequence comes back at its beginning; outside it, there are zeros.": (
            partial(_sequence, roll=True)
        ),
        "dw is right, but the taps in dx are reversed: each input gets its gradient through the tap that read it.": (
            partial(_sequence, flip=True)
        ),
        "dw is averaged over the sequences; all of them used the same taps, and gradients add.": (
            lambda dy, x, w, dilation: (
                _sequence(dy, x, w, dilation)[0],
                _sequence(dy, x, w, dilation)[1] / len(x),
            )
        ),
        "dw is averaged over the times; all of them used the same taps, and gradients add.": (
            lambda dy, x, w, dilation: (
                _sequence(dy, x, w, dilation)[0],
                _sequence(dy, x, w, dilation)[1] / x.shape[1],
            )
        ),
        "dx holds the gradient through the last tap only: an input is read through every tap, and gradients add.": (
            lambda dy, x, w, dilation: _sequence(dy, x, w, dilation, dx_only=len(w) - 1)
        ),
        "dx holds the gradient through the first tap only: an input is read through every tap, and gradients add.": (
            partial(_sequence, dx_only=0)
        ),
        "only the first sequence counts in dw; all of them used the same taps.": (
            lambda dy, x, w, dilation: (
                _sequence(dy, x, w, dilation)[0],
                _sequence(dy[:1], x[:1], w, dilation)[1],
            )
        ),
    },
    hints=[
        "As in notebook 06: which inputs did tap i read, and, for one input at time s, which outputs read it?",
        "Tap i and the output at t met x at t - d i. So x at s met the outputs at s + d i, if there are any so late.",
        "For each i, with far = d i and T times: `dw[i]` sums over `x[:, : T - far]` and `dy[:, far:]`, and "
        "`dx[:, : T - far] += dy[:, far:] @ w[i].T`.",
    ],
    praise="Outputs read the past, so gradients come from the future.",
)


# The whole thing. An answer is followed link by link, from the loss back to x: each link has a right way and wrong ones.

_D_Y = {  # how the gradient of the output may be wrong: a sentence, and the gradient
    "": lambda y, target, m: 2 * m[:, None] * (y - target) / m.sum(),
    "lacks the 2 of the square": lambda y, target, m: m[:, None] * (y - target) / m.sum(),
    "has the wrong sign: it is y less target": lambda y, target, m: -2 * m[:, None] * (y - target) / m.sum(),
    "has the wrong sign, and lacks the 2 of the square": lambda y, target, m: -m[:, None] * (y - target) / m.sum(),
    "lacks the weights m": lambda y, target, m: 2 * (y - target) / m.sum(),
    "is that of notebook 05, with neither the weights m nor their sum": lambda y, target, m: 2 * (y - target) / y.size,
    "lacks the weights m, and is divided by the number of samples": lambda y, target, m: 2 * (y - target) / len(y),
    "lacks the weights m and is not divided by their sum": lambda y, target, m: 2 * (y - target),
    "is not divided by the sum of the m": lambda y, target, m: 2 * m[:, None] * (y - target),
    "is divided by the number of samples, not by the sum of the m": (
        lambda y, target, m: 2 * m[:, None] * (y - target) / len(y)
    ),
    "is divided by the number of all outputs, not by the sum of the m": (
        lambda y, target, m: 2 * m[:, None] * (y - target) / y.size
    ),
    "is divided by the number of outputs of a sample, but the loss sums over them": (
        lambda y, target, m: 2 * m[:, None] * (y - target) / (m.sum() * y.shape[1])
    ),
    "has the weights m squared": lambda y, target, m: 2 * m[:, None] ** 2 * (y - target) / m.sum(),
    "forgets the target": lambda y, target, m: 2 * m[:, None] * y / m.sum(),
    "is the squared error itself, not its slope": lambda y, target, m: m[:, None] * (y - target) ** 2 / m.sum(),
}
_D_H = {  # how dh may be made of da wrongly
    "": lambda da, h: da * _slope(h),
    "lacks the slope of the activation": lambda da, h: da,
    "is multiplied by the activation, and not by its slope": lambda da, h: da * _gelu(h),
    "is multiplied by h": lambda da, h: da * h,
    "has the slope of the activation taken at a; it is taken where the forward was, at h": (
        lambda da, h: da * _slope(_gelu(h))
    ),
    "has the slope added and not multiplied": lambda da, h: da + _slope(h),
    "has a slope without the term in which tanh is differentiated": lambda da, h: da * _slope(h, half=0.0),
    "has a slope without the term (1 + tanh(u)) / 2": lambda da, h: da * _slope(h, first=0.0),
    "has a slope that lacks the slope of u": lambda da, h: da * _slope(h, inner=0.0, root=1.0),
    "has a slope in which the cube is not differentiated": lambda da, h: da * _slope(h, inner=0.0),
    "has a slope in which u lacks the root of 2 / pi": lambda da, h: da * _slope(h, root=1.0),
    "has a slope in which the 3 of the cube is missing": lambda da, h: da * _slope(h, inner=1.0),
    "has a slope in which tanh is not squared": lambda da, h: da * _slope(h, square=1),
    "has a slope in which the half of the second term is missing": lambda da, h: da * _slope(h, half=1.0),
    "has the slope of SiLU": lambda da, h: da * (1 + h * (1 - 1 / (1 + np.exp(-h)))) / (1 + np.exp(-h)),
    "has the slope of a ReLU": lambda da, h: da * (h > 0),
    "has the slope of tanh": lambda da, h: da * (1 - np.tanh(h) ** 2),
    "has the slope squared": lambda da, h: da * _slope(h) ** 2,
}
_D_W = {  # how a weight's gradient may be made of its layer's dy wrongly; `other` is what else might be taken for x
    "": lambda x, dy, other: x.T @ dy,
    "was made with {other} in place of {x}: a layer's weights meet what the layer was given": (
        lambda x, dy, other: other.T @ dy if other.shape == x.shape else None
    ),
    "is averaged over the samples; all of them used the same weights, and gradients add": (
        lambda x, dy, other: x.T @ dy / len(x)
    ),
    "counts the first sample only; all of them used the same weights": lambda x, dy, other: x[:1].T @ dy[:1],
    "counts the last sample only; all of them used the same weights": lambda x, dy, other: x[-1:].T @ dy[-1:],
    "has the wrong sign; the gradients before it have not": lambda x, dy, other: -x.T @ dy,
}
_D_B = {  # how a bias's gradient may be wrong
    "": lambda dy: dy.sum(axis=0),
    "is averaged over the samples; all of them used the same bias, and gradients add": lambda dy: dy.mean(axis=0),
    "counts the first sample only; all of them used the same bias": lambda dy: dy[0],
    "counts the last sample only; all of them used the same bias": lambda dy: dy[-1],
    "has the wrong sign; the gradients before it have not": lambda dy: -dy.sum(axis=0),
    "is summed over everything; each entry of the bias has a sum of its own": lambda dy: dy.sum() + 0 * dy[0],
}
_D_X = {  # how dx may be made of dh wrongly
    "": lambda dh, w: dh @ w.T,
    "is made with a reshaped w_1, and not with a transposed one": lambda dh, w: dh @ w.reshape(w.shape[::-1]),
    "is averaged over the samples": lambda dh, w: dh @ w.T / len(dh),
    "has the wrong sign; the gradients before it have not": lambda dh, w: -dh @ w.T,
}
_D_A = {"": lambda dy, w: dy @ w.T, "is made with a reshaped w_2, and not with a transposed one": _D_X[
    "is made with a reshaped w_1, and not with a transposed one"
]}  # fmt: skip
_NAMES = ["dw_2", "db_2", "dw_1", "db_1", "dx"]
_NEAR = 1e-5  # the exercise's tolerance


def _forward(x, w_1, b_1, w_2, b_2):
    h = x @ w_1 + b_1
    a = _gelu(h)
    return h, a, a @ w_2 + b_2


def _backward(
    x, w_1, b_1, w_2, b_2, target, m, d_y="", d_h="", d_w_2="", d_b_2="", d_w_1="", d_b_1="", d_x="", d_a=""
):
    h, a, y = _forward(x, w_1, b_1, w_2, b_2)
    dy = _D_Y[d_y](y, target, m)
    dh = _D_H[d_h](_D_A[d_a](dy, w_2), h)
    return _D_W[d_w_2](a, dy, h), _D_B[d_b_2](dy), _D_W[d_w_1](x, dh, x), _D_B[d_b_1](dh), _D_X[d_x](dh, w_1)


def _is(found, name, made):
    """Whether a gradient is, in all cases, what `made` gives of a case."""
    k = _NAMES.index(name)
    for arrays, case in zip(found, BACKWARD_CASES, strict=True):
        right = made(case)
        if right is None or distance(arrays[k], np.asarray(right)) > _NEAR:
            return False
    return True


def _way(found, name, ways, make):
    """Return the first of the ways that makes a gradient what it is, or None."""
    return next((way for way in ways if _is(found, name, lambda case, way=way: make(ways[way], case))), None)


def _diagnosis(found):
    """Return what is wrong with the gradients, found by following the backward from the loss to x, or an empty text."""
    rights = [_backward(*case) for case in BACKWARD_CASES]
    right = [_is(found, name, lambda case, k=k: _backward(*case)[k]) for k, name in enumerate(_NAMES)]
    if all(right):
        return ""
    good = [name for name, ok in zip(_NAMES, right, strict=True) if ok]
    but = f"{' and '.join([', '.join(good[:-1]), good[-1]] if good[1:] else good)} {'are' if good[1:] else 'is'} right, but "
    but = but if good else ""

    def layer_2(d_y):
        def dy(case):
            return _D_Y[d_y](_forward(*case[:5])[2], case[5], case[6])

        return (
            _way(found, "dw_2", _D_W, lambda way, case: way(_forward(*case[:5])[1], dy(case), _forward(*case[:5])[0])),
            _way(found, "db_2", _D_B, lambda way, case: way(dy(case))),
        )

    def layer_1(d_y, d_a, d_h):
        def dh(case):
            h, _, y = _forward(*case[:5])
            return _D_H[d_h](_D_A[d_a](_D_Y[d_y](y, case[5], case[6]), case[3]), h)

        return (
            _way(found, "dw_1", _D_W, lambda way, case: way(case[0], dh(case), case[0])),
            _way(found, "db_1", _D_B, lambda way, case: way(dh(case))),
            _way(found, "dx", _D_X, lambda way, case: way(dh(case), case[1])),
        )

    def strange(ways):  # how many links are not right, unknown ones first
        return sum(10 if way is None else bool(way) for way in ways)

    d_y = min(_D_Y, key=lambda way: 1.5 * bool(way) + strange(layer_2(way)))
    of_2 = layer_2(d_y)
    if strange(of_2) >= 20:
        d_y, of_2 = "", (None, None)
    pairs = list(itertools.product(_D_A, _D_H))
    d_a, d_h = min(pairs, key=lambda pair: 1.5 * sum(map(bool, pair)) + strange(layer_1(d_y, *pair)))
    of_1 = layer_1(d_y, d_a, d_h)
    if d_y:
        return f"{but}dy, the gradient of the output y, {d_y}. All gradients come from dy: mend it first."
    for name, way, x, other in (("dw_2", of_2[0], "a", "h"), ("db_2", of_2[1], "", "")):
        if way:
            return f"{but}{name} {way.format(x=x, other=other)}."
    if None not in of_2 and strange(of_1) < 30:
        if d_a:
            return f"{but}da, the gradient of the activations, {d_a}."
        if d_h:
            return f"{but}dh, the gradient of what goes into the activation, {d_h}. dw_1, db_1 and dx all come from dh."
        for name, way in zip(_NAMES[2:], of_1, strict=True):
            if way:
                return f"{but}{name} {way.format(x='x', other='h')}."
    names = ["x", "w_1", "b_1", "w_2", "b_2", "target", "m"]
    called = [(names, case) for case in BACKWARD_CASES]
    said = in_words("the backward", called, found, [list(map(np.asarray, one)) for one in rights], _NAMES, _NEAR)
    first = _NAMES[right.index(False)]
    where = {
        "dw_2": "It is the first in the chain: look at dy, then at the product.",
        "db_2": "It comes from dy alone.",
        "dw_1": "dy is right, so look at da, at dh, and at the product with x.",
        "db_1": "It comes from dh alone.",
        "dx": "It comes from dh and w_1.",
    }[first]
    return f"{said.rstrip('.')}. {where}"


BACKWARD_CASES = [_case(5, 3, 4, 2), _case(2, 4, 6, 3), _case(4, 2, 3, 5), _case(1, 3, 5, 2)]

BACKWARD = Exercise(
    grade="derive",
    reference=lambda x, w_1, b_1, w_2, b_2, target, m: _backward(x, w_1, b_1, w_2, b_2, target, m),
    cases=BACKWARD_CASES,
    returns=_NAMES,
    mistakes={
        "dw_2 and db_2 are right, but the slope of the activation is missing between da and dh.": (
            partial(_backward, d_h="lacks the slope of the activation")
        ),
        "all gradients are half of what they should be: the square in the loss gives a factor 2.": (
            partial(_backward, d_y="lacks the 2 of the square")
        ),
        "all gradients have the wrong sign: the slope of (y - target)^2 in y is 2 (y - target).": (
            partial(_backward, d_y="has the wrong sign: it is y less target")
        ),
        "the weights m are missing in dy: each sample's error counts m[n] times in the loss.": (
            partial(_backward, d_y="lacks the weights m")
        ),
        "dy is not divided by the sum of the m, as the loss is.": (
            partial(_backward, d_y="is not divided by the sum of the m")
        ),
        "dw_2 and db_2 are right, but the slope of the activation is taken at a; take it at h.": (
            partial(
                _backward, d_h="has the slope of the activation taken at a; it is taken where the forward was, at h"
            )
        ),
        "db_1 and db_2 are averaged over the samples; all of them used the same biases, and gradients add.": (
            partial(
                _backward,
                d_b_1="is averaged over the samples; all of them used the same bias, and gradients add",
                d_b_2="is averaged over the samples; all of them used the same bias, and gradients add",
            )
        ),
        "dw_2 was made with h in place of a: a layer's weights meet what the layer was given, after the activation.": (
            partial(
                _backward,
                d_w_2="was made with {other} in place of {x}: a layer's weights meet what the layer was given",
            )
        ),
    },
    hints=[
        "First run the forward and keep h, a and y. Then go back, one link at a time: dy, then dw_2, db_2 and da, then "
        "dh, then dw_1, db_1 and dx.",
        "dy is what your derivative of L says, one row for each sample, with its m. A linear layer is LIN-2, twice. "
        "Between them, dh is da times the slope of Problem 2, at h.",
        "`dy = 2 * m[:, None] * (y - target) / m.sum()`, `da = dy @ w_2.T`, `dh = da * slope`, and each layer's "
        "gradients are `x.T @ dy`, `dy.sum(axis=0)`, with its own x and dy.",
    ],
    praise="A whole network's backward, and every line of it is yours.",
    tolerance=_NEAR,
    judge=_diagnosis,
)
