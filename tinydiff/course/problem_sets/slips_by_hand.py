"""More slips that problem set 3 knows: a sentence for each, and a function that makes it."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tinydiff.course.problem_sets.gradients_by_hand import errors, gate, relative, sequence
from tinydiff.course.problem_sets.three_layers import slope

Mistakes: TypeAlias = dict[str, Callable[..., Any]]
_C, _CUBE = math.sqrt(2 / math.pi), 0.044715


def _terms(h):
    """Return the two terms of the slope's product rule."""
    return slope(h, half=0.0), slope(h, first=0.0)


def _with_slope_of_u(slope_of_u):
    def answer(h):
        t = np.tanh(_C * (h + _CUBE * h**3))
        return 0.5 * (1 + t) + 0.5 * h * (1 - t**2) * slope_of_u(h)

    return answer


SLOPE: Mistakes = {
    "the product rule multiplies each factor's slope by the other factor; yours multiplies the two slopes.": (
        lambda h: 0.5 * (1 - np.tanh(_C * (h + _CUBE * h**3)) ** 2) * _C * (1 + 3 * _CUBE * h**2)
    ),
    "the product rule adds its two terms; yours are subtracted.": lambda h: _terms(h)[0] - _terms(h)[1],
    "in the slope of u the 1 is missing: h has a slope, too, besides the cube.": (
        _with_slope_of_u(lambda h: _C * 3 * _CUBE * h**2)
    ),
    "the slope of the cube is 3 h^2; the square is missing.": _with_slope_of_u(lambda h: _C * (1 + 3 * _CUBE * h)),
    "the half is missing in the first term.": partial(slope, first=2.0),
    "that is the slope of SiLU, of notebook 05; this activation is GELU, made with tanh.": (
        lambda h: (1 + h * (1 - 1 / (1 + np.exp(-h)))) / (1 + np.exp(-h))
    ),
}


def _heaped(g, args, gradients, directions, step, one_list):
    """Return the errors where arguments that were moved stay where they are."""
    out, up = [], list(args)
    down = up if one_list else list(args)
    for k, (claim, d) in enumerate(zip(gradients, directions, strict=True)):
        up[k] = args[k] + step * d
        high = g(*up)
        down[k] = args[k] - step * d
        out.append(relative((claim * d).sum(), (high - g(*down)) / (2 * step)))
    return np.array(out)


CHECK: Mistakes = {
    "`/ 2 * step` divides by 2, and then multiplies by the step; write `/ (2 * step)`.": (
        lambda g, args, gradients, directions, step: errors(g, args, gradients, directions, step, over=2 / step**2)
    ),
    "the first error is right, but arguments moved earlier stay moved; begin with a new list(args) for each end of "
    "each k.": partial(_heaped, one_list=False),
    "arguments moved earlier stay where they were moved last; begin with a new list(args) for each end of each k.": (
        partial(_heaped, one_list=True)
    ),
    "every error is 1, as if g had not changed. Are both ends one list with two names, as in `a = b = list(args)`?": (
        partial(errors, back=-1.0)
    ),
    "the step is one of your own; use the step that is given.": (
        lambda g, args, gradients, directions, step: errors(g, args, gradients, directions, 1e-5)
    ),
    "what is measured has the wrong sign: the end moved by + step comes first.": partial(errors, over=-2.0),
    "what is claimed is the sum of the gradient; multiply it by the direction first, entry by entry.": (
        lambda g, args, gradients, directions, step: _claiming(
            lambda claim, d: claim.sum(), g, args, gradients, directions, step
        )
    ),
    "what is claimed is a mean over the entries; it is the sum.": (
        lambda g, args, gradients, directions, step: _claiming(
            lambda claim, d: (claim * d).mean(), g, args, gradients, directions, step
        )
    ),
}


def _claiming(claimed, g, args, gradients, directions, step):
    """Return the errors where something else is claimed."""
    found = iter([claimed(claim, d) for claim, d in zip(gradients, directions, strict=True)])
    return errors(g, args, gradients, directions, step, off=lambda right, measured: relative(next(found), measured))


def _gate_with_dh(dh_of):
    def answer(dy, x, w, s):
        dh = dh_of(dy, x @ w, s)
        return dy + dh @ w.T, x.T @ dh, (dy * np.tanh(x @ w)).sum()

    return answer


GATE: Mistakes = {
    "the slope of tanh is taken at s h; the gate comes after tanh, which is given h alone.": (
        _gate_with_dh(lambda dy, h, s: s * dy * (1 - np.tanh(s * h) ** 2))
    ),
    "dh is divided by s; y grows with a by the factor s, so dy is multiplied by it.": (
        _gate_with_dh(lambda dy, h, s: dy / s * (1 - np.tanh(h) ** 2))
    ),
    "ds was right before, and now it has a factor s; y grows with s as fast as a says, and no faster.": (
        lambda dy, x, w, s: (*gate(dy, x, w, s)[:2], s * gate(dy, x, w, s)[2])
    ),
}


def _without_tap(dy, x, w, dilation, tap):
    """Return the gradients where one tap is left out of the loop."""
    w = w.copy()
    w[tap] = 0
    dx, dw = sequence(dy, x, w, dilation)
    dw[tap] = 0
    return dx, dw


def _moved_by(dy, x, w, far_of):
    """Return the gradients where tap i lies some other number of steps back."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for i in range(len(w)):
        one_x, one_w = sequence(dy, x, np.concatenate([0 * w[:1], w[i : i + 1]]), far_of(i))
        dx, dw[i] = dx + one_x, one_w[1]
    return dx, dw


SEQUENCE: Mistakes = {
    "both go the wrong way in time: the output at t read the input at t - d i, so `dy[:, far:]` meets "
    "`x[:, : T - far]`.": partial(sequence, dx_sign=1, dw_sign=-1),
    "the last tap is left out; the taps are `range(k)`, from 0 to k - 1.": partial(_without_tap, tap=-1),
    "the first tap is left out, the one with i = 0; it reads the input of the same time.": (
        partial(_without_tap, tap=0)
    ),
    "tap i lies d i steps back, a product; yours lies d + i steps back.": (
        lambda dy, x, w, dilation: _moved_by(dy, x, w, lambda i: dilation + i)
    ),
    "nothing is shifted in time: tap i meets the inputs d i steps before the outputs.": partial(sequence, by=0),
    "dx is right, but in dw the end of the sequence comes back at its beginning; outside it, there are zeros.": (
        lambda dy, x, w, dilation: (
            sequence(dy, x, w, dilation)[0],
            sequence(dy, x, w, dilation, roll=True)[1],
        )
    ),
}
