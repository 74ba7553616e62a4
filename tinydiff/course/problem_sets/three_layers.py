"""The backward of three layers, followed link by link, so that a message can say which link is wrong, and how.

The network of problem set 3 is linear, activation, linear, with a weighted squared error. Each link of its backward has
a right way and wrong ones. Of an answer are known only the gradients that it returns; those ways are sought which would
give them, from the loss back to x.
"""

import itertools
import math

import numpy as np

from tinydiff.course.difference import distance, in_words

_C, _CUBE = math.sqrt(2 / math.pi), 0.044715


def gelu(x):
    """Return GELU in its form with tanh."""
    return 0.5 * x * (1 + np.tanh(_C * (x + _CUBE * x**3)))


def slope(x, first=1.0, half=0.5, square=2, inner=3.0, root=_C):
    """Return its slope, or a wrong one."""
    t = np.tanh(_C * (x + _CUBE * x**3))
    return first * 0.5 * (1 + t) + half * x * (1 - t**square) * root * (1 + inner * _CUBE * x**2)


def case(rng, N, c, k, o):
    """Return x, w_1, b_1, w_2, b_2, target and m for N samples."""
    shapes = (N, c), (c, k), (k,), (k, o), (o,), (N, o)
    return *(rng.standard_normal(shape) for shape in shapes), rng.uniform(0.2, 3.0, N)


_FACTORS = {"": 2, "lacks the 2 of the square": 1, "has the square's 2 twice": 4}
_SIGNS = {"": 1, "has the wrong sign: it is y less target": -1}
_POWERS = {"": 1, "lacks the weights m": 0, "has the weights m squared": 2, "has the roots of the weights m": 0.5}
_DIVISORS = {
    "": lambda y, m: m.sum(),
    "is not divided by the sum of the m": lambda y, m: 1.0,
    "is divided by the number of samples, not by the sum of the m": lambda y, m: len(y),
    "is divided by the number of samples, besides the sum of the m": lambda y, m: m.sum() * len(y),
    "is divided by the number of all outputs, not by the sum of the m": lambda y, m: y.size,
    "is divided by the number of outputs of a sample, too, but the loss sums over them": (
        lambda y, m: m.sum() * y.shape[1]
    ),
    "is divided by the sum of the squares of the m": lambda y, m: (m**2).sum(),
}


def _scaled(factor, sign, power, divisor):
    def dy(y, target, m):
        return _FACTORS[factor] * _SIGNS[sign] * m[:, None] ** _POWERS[power] * (y - target) / _DIVISORS[divisor](y, m)

    return dy


D_Y = {  # how the gradient of the output may be wrong: a sentence for each, and the gradient
    ", and it ".join(filter(None, parts)): _scaled(*parts)
    for parts in itertools.product(_FACTORS, _SIGNS, _POWERS, _DIVISORS)
} | {
    "has lost its signs: y less target may be negative": (
        lambda y, target, m: 2 * m[:, None] * abs(y - target) / m.sum()
    ),
    "forgets the target": lambda y, target, m: 2 * m[:, None] * y / m.sum(),
    "is the squared error itself, not its slope": lambda y, target, m: m[:, None] * (y - target) ** 2 / m.sum(),
    "has only signs: those are the slopes of an absolute error": (
        lambda y, target, m: m[:, None] * np.sign(y - target) / m.sum()
    ),
}
D_H = {  # how dh may be made of da wrongly
    "": lambda da, h: da * slope(h),
    "lacks the slope of the activation": lambda da, h: da,
    "has the wrong sign": lambda da, h: -da * slope(h),
    "is multiplied by the activation, and not by its slope": lambda da, h: da * gelu(h),
    "is multiplied by h": lambda da, h: da * h,
    "has the slope of the activation taken at a; it is taken where the forward was, at h": (
        lambda da, h: da * slope(gelu(h))
    ),
    "has the slope added and not multiplied": lambda da, h: da + slope(h),
    "has a slope without the term in which tanh is differentiated": lambda da, h: da * slope(h, half=0.0),
    "has a slope without the term (1 + tanh(u)) / 2": lambda da, h: da * slope(h, first=0.0),
    "has a slope that lacks the slope of u": lambda da, h: da * slope(h, inner=0.0, root=1.0),
    "has a slope in which the cube is not differentiated": lambda da, h: da * slope(h, inner=0.0),
    "has a slope in which u lacks the root of 2 / pi": lambda da, h: da * slope(h, root=1.0),
    "has a slope in which the 3 of the cube is missing": lambda da, h: da * slope(h, inner=1.0),
    "has a slope in which tanh is not squared": lambda da, h: da * slope(h, square=1),
    "has a slope in which the half of the second term is missing": lambda da, h: da * slope(h, half=1.0),
    "has the slope of SiLU": lambda da, h: da * (1 + h * (1 - 1 / (1 + np.exp(-h)))) / (1 + np.exp(-h)),
    "has the slope of the exact GELU of notebook 05": (
        lambda da, h: da * (_normal_cdf(h) + h * np.exp(-(h**2) / 2) / (2 * math.pi) ** 0.5)
    ),
    "has the slope of a ReLU": lambda da, h: da * (h > 0),
    "has the slope of tanh": lambda da, h: da * (1 - np.tanh(h) ** 2),
    "has the slope of tanh at u, and not of all that the activation is": (
        lambda da, h: da * (1 - np.tanh(_C * (h + _CUBE * h**3)) ** 2)
    ),
    "is the slope alone, and has lost da": lambda da, h: slope(h),
    "is multiplied by h, besides the slope": lambda da, h: da * slope(h) * h,
    "is multiplied by a, besides the slope": lambda da, h: da * slope(h) * gelu(h),
    "has the slope squared": lambda da, h: da * slope(h) ** 2,
    "is divided by the number of samples, but the mean over them is in dy already": lambda da, h: (
        da * slope(h) / len(h)
    ),
}
D_W = {  # how a weight's gradient may be made of its layer's dy wrongly; `other` is what else might be taken for x
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
D_B = {  # how a bias's gradient may be wrong
    "": lambda dy: dy.sum(axis=0),
    "is averaged over the samples; all of them used the same bias, and gradients add": lambda dy: dy.mean(axis=0),
    "counts the first sample only; all of them used the same bias": lambda dy: dy[0],
    "counts the last sample only; all of them used the same bias": lambda dy: dy[-1],
    "has the wrong sign; the gradients before it have not": lambda dy: -dy.sum(axis=0),
    "is summed over everything; each entry of the bias has a sum of its own": lambda dy: dy.sum() + 0 * dy[0],
}
D_X = {  # how dx may be made of dh wrongly
    "": lambda dh, w: dh @ w.T,
    "is made with a reshaped w_1, and not with a transposed one": lambda dh, w: dh @ w.reshape(w.shape[::-1]),
    "is averaged over the samples": lambda dh, w: dh @ w.T / len(dh),
    "has the wrong sign; the gradients before it have not": lambda dh, w: -dh @ w.T,
}
D_A = {"": lambda dy, w: dy @ w.T, "is made with a reshaped w_2, and not with a transposed one": D_X[
    "is made with a reshaped w_1, and not with a transposed one"
]}  # fmt: skip
_RNG = np.random.default_rng(34)
CASES = [case(_RNG, 5, 3, 4, 2), case(_RNG, 2, 4, 6, 3), case(_RNG, 4, 2, 3, 5), case(_RNG, 1, 3, 5, 2)]
NAMES = ["dw_2", "db_2", "dw_1", "db_1", "dx"]
NEAR = 1e-5  # the exercise's tolerance


def _forward(x, w_1, b_1, w_2, b_2):
    h = x @ w_1 + b_1
    a = gelu(h)
    return h, a, a @ w_2 + b_2


LINKS = ("d_y", "d_w_2", "d_b_2", "d_a", "d_h", "d_w_1", "d_b_1", "d_x")


def backward(x, w_1, b_1, w_2, b_2, target, m, **wrong):
    """Return the gradients, with a wrong link where one is named: `wrong` says of some of the links how it is made."""
    assert set(wrong) <= set(LINKS)
    d_y, d_w_2, d_b_2, d_a, d_h, d_w_1, d_b_1, d_x = (wrong.get(link, "") for link in LINKS)
    h, a, y = _forward(x, w_1, b_1, w_2, b_2)
    dy = D_Y[d_y](y, target, m)
    dh = D_H[d_h](D_A[d_a](dy, w_2), h)
    return D_W[d_w_2](a, dy, h), D_B[d_b_2](dy), D_W[d_w_1](x, dh, x), D_B[d_b_1](dh), D_X[d_x](dh, w_1)


def _normal_cdf(h):
    return np.vectorize(lambda one: (1 + math.erf(one / 2**0.5)) / 2)(h)


def _silu(h):
    return h / (1 + np.exp(-h))


FORWARDS = {  # how a forward may be wrong: a sentence, and (a, y)
    "b_1 is missing": lambda x, w_1, b_1, w_2, b_2: _then(gelu(x @ w_1), w_2, b_2),
    "b_2 is missing": lambda x, w_1, b_1, w_2, b_2: _then(gelu(x @ w_1 + b_1), w_2, 0 * b_2),
    "the activation is missing": lambda x, w_1, b_1, w_2, b_2: _then(x @ w_1 + b_1, w_2, b_2),
    "the activation is SiLU": lambda x, w_1, b_1, w_2, b_2: _then(_silu(x @ w_1 + b_1), w_2, b_2),
    "the activation is the exact GELU of notebook 05, not its form with tanh": lambda x, w_1, b_1, w_2, b_2: _then(
        (x @ w_1 + b_1) * _normal_cdf(x @ w_1 + b_1), w_2, b_2
    ),
    "the activation is tanh alone": lambda x, w_1, b_1, w_2, b_2: _then(np.tanh(x @ w_1 + b_1), w_2, b_2),
    "the activation lacks its half": lambda x, w_1, b_1, w_2, b_2: _then(2 * gelu(x @ w_1 + b_1), w_2, b_2),
    "the cube is missing in u": lambda x, w_1, b_1, w_2, b_2: _then(_without_cube(x @ w_1 + b_1), w_2, b_2),
    "the activation works on the output, too": lambda x, w_1, b_1, w_2, b_2: (
        gelu(x @ w_1 + b_1),
        gelu(gelu(x @ w_1 + b_1) @ w_2 + b_2),
    ),
}


def _then(a, w_2, b_2):
    return a, a @ w_2 + b_2


def _without_cube(h):
    return 0.5 * h * (1 + np.tanh(_C * h))


_NO_SLOPE = "lacks the slope of the activation"


def _is_of(found, forward):
    """Whether the gradients of the second layer are those that another forward would give."""

    def dy(case):
        return D_Y[""](forward(*case[:5])[1], case[5], case[6])

    return _is(found, "dw_2", lambda case: forward(*case[:5])[0].T @ dy(case)) and _is(
        found, "db_2", lambda case: dy(case).sum(axis=0)
    )


def _is(found, name, made):
    """Whether a gradient is, in all cases, what `made` gives of a case."""
    k = NAMES.index(name)
    for arrays, case in zip(found, CASES, strict=True):
        right = made(case)
        if right is None or distance(arrays[k], np.asarray(right)) > NEAR:
            return False
    return True


def _way(found, name, ways, make):
    """Return the first of the ways that makes a gradient what it is, or None."""
    return next((way for way in ways if _is(found, name, lambda case, way=way: make(ways[way], case))), None)


def diagnosis(found):
    """Return what is wrong with the gradients, found by following the backward from the loss to x, or an empty text."""
    rights = [backward(*case) for case in CASES]
    right = [_is(found, name, lambda case, k=k: backward(*case)[k]) for k, name in enumerate(NAMES)]
    if all(right):
        return ""
    good = [name for name, ok in zip(NAMES, right, strict=True) if ok]
    but = (
        f"{', '.join(good[:-1])} and {good[-1]} are right, but "
        if good[1:]
        else f"{good[0]} is right, but "
        if good
        else ""
    )

    def layer_2(d_y):
        def dy(case):
            return D_Y[d_y](_forward(*case[:5])[2], case[5], case[6])

        return (
            _way(found, "dw_2", D_W, lambda way, case: way(_forward(*case[:5])[1], dy(case), _forward(*case[:5])[0])),
            _way(found, "db_2", D_B, lambda way, case: way(dy(case))),
        )

    def layer_1(d_y, d_a, d_h):
        def dh(case):
            h, _, y = _forward(*case[:5])
            return D_H[d_h](D_A[d_a](D_Y[d_y](y, case[5], case[6]), case[3]), h)

        return (
            _way(found, "dw_1", D_W, lambda way, case: way(case[0], dh(case), case[0])),
            _way(found, "db_1", D_B, lambda way, case: way(dh(case))),
            _way(found, "dx", D_X, lambda way, case: way(dh(case), case[1])),
        )

    def strange(ways):  # how many links are not right, unknown ones first
        return sum(10 if way is None else bool(way) for way in ways)

    if any(right):  # all gradients come from dy, so one that is right shows that dy is
        d_y = ""
    else:
        d_y = min(D_Y, key=lambda way: 1.5 * bool(way) + 0.1 * way.count(", and it ") + strange(layer_2(way)))
    of_2 = layer_2(d_y)
    if strange(of_2) >= 20:
        d_y, of_2 = "", (None, None)
    pairs = [("", "")] if any(right[2:]) else list(itertools.product(D_A, D_H))  # these three all come from dh
    d_a, d_h = min(pairs, key=lambda pair: 1.5 * sum(map(bool, pair)) + strange(layer_1(d_y, *pair)))
    of_1 = layer_1(d_y, d_a, d_h)
    if d_y:
        return f"{but}dy, the gradient of the output y, {d_y}. All gradients come from dy: mend it first."
    for name, way, x, other in (("dw_2", of_2[0], "a", "h"), ("db_2", of_2[1], "", "")):
        if way:
            return f"{but}{name} {way.format(x=x, other=other)}."
    if None in of_2:
        for way, forward in FORWARDS.items():
            if _is_of(found, forward):
                return f"{but}the forward in it is not that of the network: {way}. Compare with Problem 1."
    if None not in of_2 and strange(of_1) < 30:
        if d_a:
            return f"{but}da, the gradient of the activations, {d_a}."
        if d_h:
            return f"{but}dh, the gradient of what goes into the activation, {d_h}. dw_1, db_1 and dx all come from dh."
        made_with_da = [
            name
            for k, name, way in zip((2, 3, 4), NAMES[2:], of_1, strict=True)
            if way is None and _is(found, name, lambda case, k=k: backward(*case, d_h=_NO_SLOPE)[k])
        ]
        if made_with_da:
            are = "are" if made_with_da[1:] else "is"
            return (
                f"{but}{' and '.join(made_with_da)} {are} made with da, and not with dh: the slope of the activation "
                "is missing there."
            )
        for name, way in zip(NAMES[2:], of_1, strict=True):
            if way:
                return f"{but}{name} {way.format(x='x', other='h')}."
    names = ["x", "w_1", "b_1", "w_2", "b_2", "target", "m"]
    called = [(names, case) for case in CASES]
    k = right.index(False)
    first, mine = NAMES[k], [[one[k]] for one in found]
    said = in_words("the backward", called, mine, [[np.asarray(one[k])] for one in rights], [first], NEAR)
    if ") gives " in said:  # without the long list of arguments
        said = f"the backward gives {said.partition(') gives ')[2]}"
    dh_is_right = any(right[2:])
    where = {
        "dw_2": "dy is right, so look at the product."
        if any(right)
        else "It is the first in the chain: look at dy, then at the product.",
        "db_2": "It comes from dy alone.",
        "dw_1": "dh is right, so look at the product with x."
        if dh_is_right
        else "dy is right, so look at da, at dh, and at the product with x.",
        "db_1": "It comes from dh alone.",
        "dx": "dh is right, so look at the product with w_1." if dh_is_right else "It comes from dh and w_1.",
    }[first]
    return f"{but}{said} {where}"
