"""Problem set 3, gradients by hand: up to the whole backward of three layers, which is told apart link by link."""

import math
from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise
from tinydiff.course.problem_sets import forward_by_hand, slips_by_hand
from tinydiff.course.problem_sets.gradients_by_hand import (
    bent,
    chained,
    errors,
    gate,
    gate_with,
    overwritten,
    relative,
    sequence,
)
from tinydiff.course.problem_sets.three_layers import CASES, NAMES, NEAR, backward, diagnosis, gelu, slope

_RNG = np.random.default_rng(33)
_C, _CUBE = math.sqrt(2 / math.pi), 0.044715


FORWARD = Exercise(
    grade="transcribe",
    reference=lambda x, w_1, b_1, w_2, b_2, target, m: forward_by_hand.loss(x, w_1, b_1, w_2, b_2, target, m),
    cases=forward_by_hand.CASES,
    returns=["loss"],
    mistakes=forward_by_hand.MISTAKES,
    hints=[
        "Five formulas, one after the other: h, u, a, y, L. Each needs only what those before it gave.",
        "Write u on a line of its own. In L, square, sum over the outputs (axis 1), multiply by m, sum, divide.",
        "`(m * ((y - target) ** 2).sum(axis=1)).sum() / m.sum()`, with y = `a @ w_2 + b_2` and a = "
        "`0.5 * h * (1 + np.tanh(u))`.",
    ],
    praise="This is the number that everything below differentiates.",
    tolerance=forward_by_hand.NEAR,
    judge=forward_by_hand.diagnosis,
)


def _slope_of(h, rule):
    u = _C * (h + _CUBE * h**3)
    return rule(h, np.tanh(u), u, _C * (1 + 3 * _CUBE * h**2))


SLOPE = Exercise(
    grade="derive",
    reference=lambda h: slope(h),
    cases=[
        (_RNG.standard_normal((3, 4)),),
        (np.array([-4.0, -1.3, 0.0, 0.6, 2.7]),),
        (3 * _RNG.standard_normal((2, 1, 5)),),
    ],
    returns=["slope"],
    mistakes={
        "the product rule has two terms, and yours lacks the one in which tanh is differentiated.": (
            partial(slope, half=0.0)
        ),
        "the product rule has two terms, and yours lacks the one in which h is differentiated: (1 + tanh(u)) / 2.": (
            partial(slope, first=0.0)
        ),
        "the factor h is missing in the second term: h / 2 stays, while tanh is differentiated.": (
            lambda h: _slope_of(h, lambda h, t, u, du: 0.5 * (1 + t) + 0.5 * (1 - t**2) * du)
        ),
        "the product rule adds its two terms; yours are multiplied.": (
            lambda h: _slope_of(h, lambda h, t, u, du: 0.5 * (1 + t) * 0.5 * h * (1 - t**2) * du)
        ),
        "the 1 is missing in (1 + tanh(u)) / 2.": (
            lambda h: _slope_of(h, lambda h, t, u, du: 0.5 * t + 0.5 * h * (1 - t**2) * du)
        ),
        "that is the slope of tanh(u) alone; the activation multiplies 1 + tanh(u) by h / 2.": (
            lambda h: _slope_of(h, lambda h, t, u, du: (1 - t**2) * du)
        ),
        "the slope of tanh is 1 - tanh(u)^2, and not 1 - u^2.": (
            lambda h: _slope_of(h, lambda h, t, u, du: 0.5 * (1 + t) + 0.5 * h * (1 - u**2) * du)
        ),
        "the slope of tanh is 1 - tanh^2, with a minus sign.": (
            lambda h: _slope_of(h, lambda h, t, u, du: 0.5 * (1 + t) + 0.5 * h * (1 + t**2) * du)
        ),
        "the slope of u is missing: tanh(u) changes with h as fast as u does, by the chain rule.": (
            partial(slope, inner=0.0, root=1.0)
        ),
        "the slope of u is not only the root of 2 / pi: the cube changes, too.": partial(slope, inner=0.0),
        "the slope of u lacks the root of 2 / pi.": partial(slope, root=1.0),
        "the cube of h has the slope 3 h^2; the 3 is missing.": partial(slope, inner=1.0),
        "the slope of tanh is 1 - tanh^2; your tanh is not squared.": partial(slope, square=1),
        "the half is missing in the second term.": partial(slope, half=1.0),
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
        "that is the activation itself, and not its slope.": gelu,
        **slips_by_hand.SLOPE,
    },
    hints=[
        "a is a product, h / 2 times (1 + tanh(u)), and u depends on h: the product rule, then the chain rule.",
        "The first term is (1 + tanh(u)) / 2. The second is h / 2 times the slope of tanh at u, times that of u.",
        "With t = tanh(u), c = root of 2 / pi: `0.5 * (1 + t) + 0.5 * h * (1 - t**2) * c * (1 + 3 * 0.044715 * h**2)`.",
    ],
    praise="A product and two chains: as far as a slope of one number goes, that is all.",
    tolerance=5e-6,  # the exact GELU is not far off
)


_CHECK_X, _CHECK_W = _RNG.standard_normal((3, 2)), _RNG.standard_normal((2, 4))
_CHECK_T = np.tanh(_CHECK_X @ _CHECK_W)
_CHECK_DW = _CHECK_X.T @ (2 * _CHECK_T * (1 - _CHECK_T**2))
_CHECK_ABC = _RNG.standard_normal(4), _RNG.standard_normal((4, 2)), _RNG.standard_normal(2)


def _like(*arrays):
    return tuple(_RNG.standard_normal(a.shape) for a in arrays)


CHECK = Exercise(
    grade="explore",
    reference=lambda g, args, gradients, directions, step: errors(g, args, gradients, directions, step),
    cases=[
        (bent, (_CHECK_X, _CHECK_W), (_CHECK_X**2, _CHECK_DW), _like(_CHECK_X, _CHECK_W), 0.1),
        (chained, _CHECK_ABC, _like(*_CHECK_ABC), _like(*_CHECK_ABC), 0.2),
        (chained, _CHECK_ABC, _like(*_CHECK_ABC), _like(*_CHECK_ABC), 0.15),
    ],
    returns=["errors"],
    mistakes={
        "the difference is one-sided: step to both sides, and divide by twice the step.": partial(
            errors, back=0.0, over=1.0
        ),
        "the two ends lie two steps apart: divide by twice the step.": partial(errors, over=1.0),
        "the two ends lie two steps apart, and no more: you divide by four.": partial(errors, over=4.0),
        "all arguments move at once; move one at a time, and keep the others.": partial(errors, together=True),
        "it is always the first argument that moves.": partial(errors, first=True),
        "an argument is moved by the step in every entry; move it along its direction, by step times v.": (
            partial(errors, along=False)
        ),
        "the error has a sign; take its absolute value.": (
            partial(errors, off=lambda claimed, measured: (claimed - measured) / (abs(claimed) + abs(measured)))
        ),
        "the difference is neither made positive nor divided by |claimed| + |measured|.": (
            partial(errors, off=lambda claimed, measured: claimed - measured)
        ),
        "the error is not divided by |claimed| + |measured|.": (
            partial(errors, off=lambda claimed, measured: abs(claimed - measured))
        ),
        "the error is divided by |measured| alone; divide by |claimed| + |measured|.": (
            partial(errors, off=lambda claimed, measured: abs(claimed - measured) / abs(measured))
        ),
        "the error is divided by |claimed| alone; divide by |claimed| + |measured|.": (
            partial(errors, off=lambda claimed, measured: abs(claimed - measured) / abs(claimed))
        ),
        "the error is divided by the larger of the two sizes; divide by their sum.": (
            partial(errors, off=lambda claimed, measured: abs(claimed - measured) / max(abs(claimed), abs(measured)))
        ),
        "the error is divided by |claimed + measured|; take the sizes first, and then add.": (
            partial(errors, off=lambda claimed, measured: abs(claimed - measured) / abs(claimed + measured))
        ),
        "the error is divided by the mean of the two sizes; divide by their sum.": (
            partial(errors, off=lambda claimed, measured: 2 * relative(claimed, measured))
        ),
        **slips_by_hand.CHECK,
    },
    hints=[
        "A tuple cannot be changed: for each k make a list of args, twice, and replace its entry number k.",
        "`(gradients[k] * directions[k]).sum()` is claimed. To measure, call g with a list of arguments in which only "
        "the one with number k is moved.",
        "`moved = list(args)`, `moved[k] = args[k] + step * directions[k]`, and the same with a minus; then "
        "`abs(claimed - measured) / (abs(claimed) + abs(measured))`.",
    ],
    praise="A wrong gradient cannot hide from a random direction.",
)


GATE = Exercise(
    grade="debug",
    reference=lambda dy, x, w, s: gate(dy, x, w, s),
    cases=[
        (_RNG.standard_normal((4, 3)), _RNG.standard_normal((4, 3)), _RNG.standard_normal((3, 3)), 0.6),
        (_RNG.standard_normal((3, 2)), _RNG.standard_normal((3, 2)), _RNG.standard_normal((2, 2)), -1.7),
        (_RNG.standard_normal((2, 5)), _RNG.standard_normal((2, 5)), 0.5 * _RNG.standard_normal((5, 5)), 0.3),
    ],
    returns=["dx", "dw", "ds"],
    mistakes={
        PLANTED: partial(gate, at="s a"),
        "the slope of tanh is taken at h; written with its output it is 1 - a^2.": partial(gate, at="h"),
        "a is tanh(h) already: the slope is 1 - a^2, without another tanh.": partial(gate, at="tanh a"),
        "in the bracket there is still an s; the slope of tanh is 1 - a^2, and knows nothing of the gate.": (
            lambda dy, x, w, s: gate_with(dy, x, w, s, lambda a: 1 - s * a**2)
        ),
        "the factor s is gone from dh, and is still in the bracket; it belongs before dy, and only there.": (
            partial(gate, at="s a", gate=False)
        ),
        "the slope of tanh is 1 - a^2, and not the square of 1 - a.": (
            lambda dy, x, w, s: gate_with(dy, x, w, s, lambda a: (1 - a) ** 2)
        ),
        "dh has the factor s twice.": lambda dy, x, w, s: gate_with(dy, x, w, s, lambda a: s * (1 - a**2)),
        "dh has lost the factor s: a reaches y only through s.": partial(gate, gate=False),
        "dx has lost what comes straight from y: x is read twice, by the sum and by the product.": (
            partial(gate, skip=0.0)
        ),
        "w is no longer transposed in dx; that part was right.": partial(gate, turned=False),
        "ds is a mean; s is used by every number of a, and gradients add.": partial(gate, mean=True),
        "the slope of tanh is gone from dh.": lambda dy, x, w, s: (
            dy + s * dy @ w.T,
            x.T @ (s * dy),
            gate(dy, x, w, s)[2],
        ),
        **slips_by_hand.GATE,
    },
    hints=[
        "Use your check with s = 1 and with another s. Which gradients are right with which s? Which line do the wrong "
        "ones share?",
        "dx and dw both come from dh, and ds does not. Derive dh: how fast does y grow with h, where a = tanh(h)?",
        "The slope of tanh is 1 - tanh(h)^2, and tanh(h) is a, before the gate: `dh = s * dy * (1 - a**2)`.",
    ],
    praise="A check at s = 1 alone would never have found it.",
)


def _sequence_case(N, T, c, o, k, dilation):
    return *(_RNG.standard_normal(shape) for shape in ((N, T, o), (N, T, c), (k, c, o))), dilation


SEQUENCE = Exercise(
    grade="derive",
    reference=lambda dy, x, w, dilation: sequence(dy, x, w, dilation),
    cases=[_sequence_case(2, 7, 3, 4, 3, 2), _sequence_case(3, 9, 2, 1, 2, 4), _sequence_case(2, 5, 1, 3, 4, 1)],
    returns=["dx", "dw"],
    mistakes={
        "dw is right, but dx takes dy from earlier times. The output at t read the input at t - d i, so the input at "
        "a time s was read by outputs that come later.": partial(sequence, dx_sign=1),
        "dx is right, but dw meets the wrong inputs: tap i read the input d i steps before the output.": (
            partial(sequence, dw_sign=-1)
        ),
        "the dilation is ignored: tap i lies d i steps back, and not i.": partial(sequence, by=1),
        "the end of the sequence comes back at its beginning; outside it, there are zeros.": (
            partial(sequence, roll=True)
        ),
        "dw is right, but the taps in dx are reversed: each input gets its gradient through the tap that read it.": (
            partial(sequence, flip=True)
        ),
        "dw is right, but dx is overwritten by each tap; an input is read through every tap, and gradients add.": (
            lambda dy, x, w, dilation: (overwritten(dy, x, w, dilation), sequence(dy, x, w, dilation)[1])
        ),
        "dw is right, but in dx the end of the sequence comes back at its beginning, or the other way round; outside "
        "it, there are zeros.": (
            lambda dy, x, w, dilation: (
                sequence(dy, x, w, dilation, roll=True)[0],
                sequence(dy, x, w, dilation)[1],
            )
        ),
        "dx is right, but dw pairs inputs and outputs of the same time; tap i read the input d i steps before.": (
            lambda dy, x, w, dilation: (sequence(dy, x, w, dilation)[0], sequence(dy, x, w, dilation, by=0)[1])
        ),
        "dw is right, but in dx no tap looks away from its own time; the outputs at s + d i read the input at s.": (
            lambda dy, x, w, dilation: (sequence(dy, x, w, dilation, by=0)[0], sequence(dy, x, w, dilation)[1])
        ),
        "dw is averaged over the sequences; all of them used the same taps, and gradients add.": (
            lambda dy, x, w, dilation: (
                sequence(dy, x, w, dilation)[0],
                sequence(dy, x, w, dilation)[1] / len(x),
            )
        ),
        "dw is averaged over the times; all of them used the same taps, and gradients add.": (
            lambda dy, x, w, dilation: (
                sequence(dy, x, w, dilation)[0],
                sequence(dy, x, w, dilation)[1] / x.shape[1],
            )
        ),
        "dx holds the gradient through the last tap only: an input is read through every tap, and gradients add.": (
            lambda dy, x, w, dilation: sequence(dy, x, w, dilation, dx_only=len(w) - 1)
        ),
        "dx holds the gradient through the first tap only: an input is read through every tap, and gradients add.": (
            partial(sequence, dx_only=0)
        ),
        "only the first sequence counts in dw; all of them used the same taps.": (
            lambda dy, x, w, dilation: (
                sequence(dy, x, w, dilation)[0],
                sequence(dy[:1], x[:1], w, dilation)[1],
            )
        ),
        **slips_by_hand.SEQUENCE,
    },
    hints=[
        "As in notebook 06: which inputs did tap i read, and, for one input at time s, which outputs read it?",
        "Tap i and the output at t met x at t - d i. So x at s met the outputs at s + d i, if there are any so late.",
        "For each i, with far = d i and T times: `dw[i]` sums over `x[:, : T - far]` and `dy[:, far:]`, and "
        "`dx[:, : T - far] += dy[:, far:] @ w[i].T`.",
    ],
    praise="Outputs read earlier inputs, so an input's gradient comes from later outputs.",
)


BACKWARD = Exercise(
    grade="derive",
    reference=lambda x, w_1, b_1, w_2, b_2, target, m: backward(x, w_1, b_1, w_2, b_2, target, m),
    cases=CASES,
    returns=NAMES,
    mistakes={
        "dw_2 and db_2 are right, but the slope of the activation is missing between da and dh.": (
            partial(backward, d_h="lacks the slope of the activation")
        ),
        "all gradients are half of what they should be: the square in the loss gives a factor 2.": (
            partial(backward, d_y="lacks the 2 of the square")
        ),
        "all gradients have the wrong sign: the slope of (y - target)^2 in y is 2 (y - target).": (
            partial(backward, d_y="has the wrong sign: it is y less target")
        ),
        "the weights m are missing in dy: each sample's error counts m[n] times in the loss.": (
            partial(backward, d_y="lacks the weights m")
        ),
        "dy is not divided by the sum of the m, as the loss is.": (
            partial(backward, d_y="is not divided by the sum of the m")
        ),
        "dw_2 and db_2 are right, but the slope of the activation is taken at a; take it at h.": (
            partial(backward, d_h="has the slope of the activation taken at a; it is taken where the forward was, at h")
        ),
        "db_1 and db_2 are averaged over the samples; all of them used the same biases, and gradients add.": (
            partial(
                backward,
                d_b_1="is averaged over the samples; all of them used the same bias, and gradients add",
                d_b_2="is averaged over the samples; all of them used the same bias, and gradients add",
            )
        ),
        "the gradients come in the order of the forward; return them in the order in which they are found: dw_2, db_2, "
        "dw_1, db_1, dx.": (lambda *args: tuple(backward(*args)[k] for k in (4, 2, 3, 0, 1))),
        "the first layer's gradients come before the second's; return dw_2, db_2, dw_1, db_1, dx.": (
            lambda *args: tuple(backward(*args)[k] for k in (2, 3, 0, 1, 4))
        ),
        "dw_2 was made with h in place of a: a layer's weights meet what the layer was given, after the activation.": (
            partial(
                backward,
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
    praise="The backward of a whole network, from the loss to x.",
    tolerance=NEAR,
    judge=diagnosis,
)
