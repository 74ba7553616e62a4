"""The forward of problem set 3: the loss, wrong ones, and a judge that says where in it to look.

Of an answer is known one number for each case. So some cases switch a part of the network off: where w_2 is 0, the
output does not depend on the activation, and where all h are far from 0, each a is h or 0, whatever u is in detail.
"""

import math
from functools import partial

import numpy as np

from tinydiff.course.difference import agree, in_words
from tinydiff.course.problem_sets.three_layers import case, gelu

_C, _CUBE = math.sqrt(2 / math.pi), 0.044715
_RNG = np.random.default_rng(35)
NEAR = 1e-5  # the exercise's tolerance


def loss(*case, activation=gelu, of=None, squares=None):
    """Return the loss, or a wrong one."""
    x, w_1, b_1, w_2, b_2, target, m = case
    y = activation(x @ w_1 + b_1) @ w_2 + b_2
    off = (y - target) ** 2 if squares is None else squares(y - target)
    return of(off, m) if of else (m * off.sum(axis=1)).sum() / m.sum()


def _without_activation():
    x, w_1, b_1, w_2, *others = case(_RNG, 3, 2, 4, 2)
    return x, w_1, b_1, 0 * w_2, *others


def _far_from_0():
    signs = np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])
    x, _, b_1, w_2, *others = case(_RNG, 3, 2, 3, 2)
    return np.sign(x) * (1 + abs(x)) * np.array([1.0, 0.1]), 40 * signs, b_1, w_2, *others


CASES = [case(_RNG, 4, 3, 5, 2), case(_RNG, 2, 4, 3, 5), case(_RNG, 5, 2, 4, 1), _without_activation(), _far_from_0()]
OUT_OF_SIGHT, FAR = 3, 4  # the numbers of those two cases


def _with_u(u):
    return partial(loss, activation=lambda h: 0.5 * h * (1 + np.tanh(u(h))))


MISTAKES = {
    "the samples are not weighted: multiply the squared error of sample n by m[n].": (
        partial(loss, of=lambda off, m: off.sum() / len(m))
    ),
    "the sum of the weighted errors is divided by the number of samples; divide by the sum of the m.": (
        partial(loss, of=lambda off, m: (m * off.sum(axis=1)).mean())
    ),
    "the sum of the weighted errors is not divided by the sum of the m.": (
        partial(loss, of=lambda off, m: (m * off.sum(axis=1)).sum())
    ),
    "the outputs of a sample are averaged; the text sums over j, and averages over samples only.": (
        partial(loss, of=lambda off, m: (m * off.mean(axis=1)).sum() / m.sum())
    ),
    "that is the mean over all outputs, as in notebook 05; each sample has a weight here.": (
        partial(loss, of=lambda off, m: off.mean())
    ),
    "the weighted errors are averaged over all outputs; divide their sum by the sum of the m.": (
        partial(loss, of=lambda off, m: (m[:, None] * off).mean())
    ),
    "that is the root of the loss; the text takes none.": (
        partial(loss, of=lambda off, m: ((m * off.sum(axis=1)).sum() / m.sum()) ** 0.5)
    ),
    "the errors are not squared; they are made positive by squaring, not by abs.": partial(loss, squares=abs),
    "m is squared with the error; it multiplies the square.": (
        partial(loss, of=lambda off, m: (m**2 * off.sum(axis=1)).sum() / m.sum())
    ),
    "the activation is missing between the two linear layers.": partial(loss, activation=lambda h: h),
    "the activation is that of notebook 05, SiLU; the text asks for GELU in its tanh form.": (
        partial(loss, activation=lambda h: h / (1 + np.exp(-h)))
    ),
    "the activation is the exact GELU of notebook 05; the text asks for its form with tanh, which differs a little.": (
        partial(loss, activation=lambda h: h * np.vectorize(lambda one: (1 + math.erf(one / 2**0.5)) / 2)(h))
    ),
    "tanh alone is no activation of this network: GELU multiplies h by (1 + tanh(u)) / 2.": (
        partial(loss, activation=lambda h: np.tanh(_C * (h + _CUBE * h**3)))
    ),
    "in a the 1 is missing: h / 2 multiplies 1 + tanh(u).": (
        partial(loss, activation=lambda h: 0.5 * h * np.tanh(_C * (h + _CUBE * h**3)))
    ),
    "in a the factor h is missing: (1 + tanh(u)) / 2 multiplies h.": (
        partial(loss, activation=lambda h: 0.5 * (1 + np.tanh(_C * (h + _CUBE * h**3))))
    ),
    "in u the cube of h is missing.": _with_u(lambda h: _C * h),
    "in u the root is that of pi / 2; it is that of 2 / pi.": _with_u(lambda h: (h + _CUBE * h**3) / _C),
    "in u the root is taken of 2 alone; it is the root of 2 / pi.": (
        _with_u(lambda h: 2**0.5 / math.pi * (h + _CUBE * h**3))
    ),
    "in u the root is missing: h + 0.044715 h^3 is multiplied by the root of 2 / pi.": (
        _with_u(lambda h: 2 / math.pi * (h + _CUBE * h**3))
    ),
    "in u the factor before the bracket is missing: the root of 2 / pi.": _with_u(lambda h: h + _CUBE * h**3),
    "in u stands the square of h; it is the cube.": _with_u(lambda h: _C * (h + _CUBE * h**2)),
    "in u the cube is multiplied by 0.44715; there is one more 0 after the point.": (
        _with_u(lambda h: _C * (h + 10 * _CUBE * h**3))
    ),
    "the half in front of h is missing.": partial(loss, activation=lambda h: 2 * gelu(h)),
    "b_2 is missing.": lambda x, w_1, b_1, w_2, b_2, target, m: loss(x, w_1, b_1, w_2, 0 * b_2, target, m),
    "b_1 is missing.": lambda x, w_1, b_1, w_2, b_2, target, m: loss(x, w_1, 0 * b_1, w_2, b_2, target, m),
    "the output is activated as well; the last layer is linear.": (
        lambda x, w_1, b_1, w_2, b_2, target, m: (
            (m * ((gelu(gelu(x @ w_1 + b_1) @ w_2 + b_2) - target) ** 2).sum(axis=1)).sum() / m.sum()
        )
    ),
}


def diagnosis(found):
    """Return what is wrong with the losses of all cases, or an empty text."""
    rights = [[np.asarray(loss(*one))] for one in CASES]
    if agree(found, rights, NEAR):
        return ""
    ok = [agree([a], [b], NEAR) for a, b in zip(found, rights, strict=True)]
    if ok[OUT_OF_SIGHT] and ok[FAR]:
        return (
            "the loss is right wherever u is far from 0, so h, y and L are; compare your u with the text, letter by "
            "letter and digit by digit."
        )
    if ok[OUT_OF_SIGHT]:
        return "the loss is right where w_2 is 0, so L and b_2 are; compare your h, u and a with the text."
    names = ["x", "w_1", "b_1", "w_2", "b_2", "target", "m"]
    said = in_words("the loss", [(names, one) for one in CASES], found, rights, ["loss"], NEAR)
    if ") gives " in said:  # without the long list of arguments
        said = f"your function gives {said.partition(') gives ')[2]} It is wrong even where w_2 is 0: look at L first."
    return said
