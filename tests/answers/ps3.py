"""Answers to problem set 3."""

import math
from functools import partial

import numpy as np

from tinydiff import functional as F

C = math.sqrt(2 / math.pi)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gelu(h):
    """The tanh form is h times a sigmoid."""
    return h * sigmoid(2 * C * (h + 0.044715 * h**3))


def slope(h):
    s = sigmoid(2 * C * (h + 0.044715 * h**3))
    return s + h * s * (1 - s) * 2 * C * (1 + 0.134145 * h * h)


def slope_measured(h):
    return (gelu(h + 1e-5) - gelu(h - 1e-5)) / 2e-5


def loss_by_loops(x, w_1, b_1, w_2, b_2, target, m):
    total = 0.0
    for n in range(len(x)):
        a = gelu(x[n] @ w_1 + b_1)
        for j in range(len(b_2)):
            total += m[n] * (float(a @ w_2[:, j]) + b_2[j] - target[n, j]) ** 2
    return total / sum(m)


def loss_with(activation, x, w_1, b_1, w_2, b_2, target, m):
    return np.average(((activation(x @ w_1 + b_1) @ w_2 + b_2 - target) ** 2).sum(1), weights=m)


def check_flat(g, args, gradients, directions, h):
    out = []
    for k in range(len(args)):
        slopes = [g(*args[:k], args[k] + sign * h * directions[k], *args[k + 1 :]) for sign in (1, -1)]
        measured = np.subtract(*slopes) / h / 2
        claimed = np.vdot(gradients[k], directions[k])
        out.append(np.abs(claimed - measured) / (np.abs(claimed) + np.abs(measured)))
    return out


def gate(dy, x, w, s, slope_of=lambda a: 1 - a**2):
    a = np.tanh(x @ w)
    da = dy * s
    dh = da * slope_of(a)
    return dy + np.einsum("nj,ij->ni", dh, w), np.einsum("ni,nj->ij", x, dh), float(np.vdot(dy, a))


def sequence(dy, x, w, dilation):
    """By asking of each pair of times whether a tap joins them."""
    (N, T, _), k = x.shape, len(w)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n in range(N):
        for t in range(T):
            for i in range(k):
                if t - dilation * i >= 0:
                    dx[n, t - dilation * i] += w[i] @ dy[n, t]
                    dw[i] += np.outer(x[n, t - dilation * i], dy[n, t])
    return dx, dw


def sequence_padded(dy, x, w, dilation):
    reach = dilation * (len(w) - 1)
    T = x.shape[1]
    late = np.pad(dy, ((0, 0), (0, reach), (0, 0)))
    early = np.pad(x, ((0, 0), (reach, 0), (0, 0)))
    dx = sum(late[:, dilation * i : dilation * i + T] @ w[i].T for i in range(len(w)))
    starts = [reach - dilation * i for i in range(len(w))]
    return dx, np.stack([np.einsum("ntc,nto->co", early[:, s : s + T], dy) for s in starts])


def sequence_as_conv(dy, x, w, dilation):
    """As an ordinary convolution whose kernel has zeros between its taps."""
    k = len(w)
    spread = np.zeros((2 * dilation * (k - 1) + 1, 1, *w.shape[1:]))
    for i in range(k):
        spread[dilation * (k - 1) - dilation * i, 0] = w[i]
    reach = dilation * (k - 1)
    _, cache = F.conv2d(x[:, :, None], spread, None, 1, ((reach, reach), (0, 0)))
    dx, dw, _ = F.conv2d_backward(dy[:, :, None], cache)
    return dx[:, :, 0], dw[reach - dilation * np.arange(k), 0]


def sequence_wrong(dy, x, w, dilation, shift=0, mean=False, last=False):
    dx, dw = sequence_padded(dy, x, w, dilation)
    if last:
        dx = dx * (np.arange(x.shape[1]) < x.shape[1] - dilation)[:, None]
    return np.roll(dx, shift, axis=1), dw / (len(w) if mean else 1)


def backward(x, w_1, b_1, w_2, b_2, target, m, dy=None, dh=None, slope_of=slope):
    h = x @ w_1 + b_1
    a = gelu(h)
    y = a @ w_2 + b_2
    d_y = (m / m.sum() * (y - target).T * 2).T if dy is None else dy(y, target, m)
    d_h = (d_y @ w_2.T) * slope_of(h) if dh is None else dh(d_y, w_2, h, a)
    return a.T @ d_y, np.ones(len(x)) @ d_y, np.einsum("nc,nk->ck", x, d_h), d_h.sum(0), (w_1 @ d_h.T).T


def backward_by_loops(x, w_1, b_1, w_2, b_2, target, m):
    """Sample after sample, gradients adding up."""
    total, grads = m.sum(), [np.zeros(a.shape) for a in (w_2, b_2, w_1, b_1, x)]
    for n in range(len(x)):
        h = x[n] @ w_1 + b_1
        a = gelu(h)
        dy = 2 * m[n] / total * (a @ w_2 + b_2 - target[n])
        dh = slope(h) * (w_2 @ dy)
        for grad, part in zip(grads, (np.outer(a, dy), dy, np.outer(x[n], dh), dh), strict=False):
            grad += part
        grads[4][n] = w_1 @ dh
    return grads


def backward_measured(x, w_1, b_1, w_2, b_2, target, m):
    """All by central differences: slow, but right."""
    args = [x, w_1, b_1, w_2, b_2]
    grads = []
    for k in (3, 4, 1, 2, 0):
        grad = np.zeros(args[k].shape)
        for index in np.ndindex(grad.shape):
            step = np.zeros(grad.shape)
            step[index] = 1e-5
            ends = [
                loss_by_loops(*[a + sign * step if j == k else a for j, a in enumerate(args)], target, m)
                for sign in (1, -1)
            ]
            grad[index] = (ends[0] - ends[1]) / 2e-5
        grads.append(grad)
    return tuple(grads)


def by_library(x, w_1, b_1, w_2, b_2, target, m):
    """The library's linear layers; its GELU is the exact one."""
    h, first = F.linear(x, w_1, b_1)
    y, second = F.linear(gelu(h), w_2, b_2)
    dy = 2 * m[:, None] * (y - target) / m.sum()
    da, dw_2, db_2 = F.linear_backward(dy, second)
    dx, dw_1, db_1 = F.linear_backward(da * slope(h), first)
    return dw_2, db_2, dw_1, db_1, dx


def but(**changed):
    """Return a backward that is right but for some gradients: name -> function of the right one."""
    names = ["dw_2", "db_2", "dw_1", "db_1", "dx"]

    def answer(*args):
        return tuple(changed.get(name, lambda a: a)(grad) for name, grad in zip(names, backward(*args), strict=True))

    return answer


def backward_with(activation, x, w_1, b_1, w_2, b_2, target, m):
    """Return the backward with another activation, but with the right slope."""
    h = x @ w_1 + b_1
    a = activation(h)
    dy = 2 * m[:, None] * (a @ w_2 + b_2 - target) / m.sum()
    dh = dy @ w_2.T * slope(h)
    return a.T @ dy, dy.sum(axis=0), x.T @ dh, dh.sum(axis=0), dh @ w_1.T


# a wrong backward, and what its message should say
SAID = [
    (
        partial(backward, dy=lambda y, t, m: 2 * (y - t) / len(y)),
        "dy, the gradient of the output y, lacks the weights m",
    ),
    (
        partial(backward, dy=lambda y, t, m: (y - t) * m[:, None]),
        "lacks the 2 of the square, and it is not divided by the sum",
    ),
    (lambda *args: backward_with(lambda h: h * sigmoid(h), *args), "the activation is SiLU. Compare with Problem 1"),
    (lambda *args: backward(*args[:2], 0 * args[2], *args[3:]), "b_1 is missing"),
    (
        partial(backward, slope_of=lambda h: (h > 0) * 1.0),
        "dw_2 and db_2 are right, but dh, .* has the slope of a ReLU",
    ),
    (partial(backward, slope_of=gelu), "dh, .* is multiplied by the activation, and not by its slope"),
    (
        partial(backward, slope_of=lambda h: slope(h) + 0.01),
        "dw_2 and db_2 are right, but .* dy is right, so look at da",
    ),
    (but(db_2=lambda a: a / 3), "dw_2, dw_1, db_1 and dx are right, but db_2 is 0.33333 times"),
    (but(dx=lambda a: -a), "dw_2, db_2, dw_1 and db_1 are right, but dx has the wrong sign"),
    (but(dw_1=lambda a: 0 * a), "dw_2, db_2, db_1 and dx are right, but dw_1 is 0 everywhere"),
    (but(dw_2=lambda a: a.T), r"gives dw_2 with shape \(2, 4\), but \(4, 2\) was expected. It is the transpose."),
    (but(db_1=lambda a: a[None]), "The numbers are right, but their shape is not."),
    (
        lambda *args: tuple(g / len(args[0]) if g.ndim == 1 else g for g in partial(backward, slope_of=np.tanh)(*args)),
        "dw_2 is right, but db_2 is averaged over the samples",
    ),
    (
        lambda *args: (*backward(*args)[:2], *backward(*args, slope_of=np.ones_like)[2:4], backward(*args)[4]),
        "dw_2, db_2 and dx are right, but dw_1 and db_1 are made with da",
    ),
    (
        partial(backward, dy=lambda y, t, m: 2 * m[:, None] * (y - t) / m.sum() / len(y)),
        "dy, .* is divided by the number of samples, besides the sum",
    ),
    (
        lambda *args: tuple(g / (len(args[0]) if k > 1 else 1) for k, g in enumerate(backward(*args))),
        "dw_2 and db_2 are right, but dh, .* is divided by the number of samples",
    ),
    (
        lambda *args: tuple(g / (len(args[0]) if k < 2 else 1) for k, g in enumerate(backward(*args))),
        "dw_1, db_1 and dx are right, but dw_2 is averaged over the samples",
    ),
    (but(dw_1=lambda a: a * a), "dh is right, so look at the product with x"),
    (but(dw_2=lambda a: a * a), "dy is right, so look at the product"),
    (partial(backward, slope_of=lambda h: -slope(h)), "dh, .* has the wrong sign"),
    (lambda *args: backward(*args)[::-1], "another order"),
    (lambda *args: backward(*args)[:4], r"a tuple \(dw_2, db_2, dw_1, db_1, dx\) was expected"),
]

LIBRARY = {
    "FORWARD": "the library has no weighted loss, and no GELU by tanh.",
    "SLOPE": "the library's GELU is the exact one.",
    "CHECK": "the library's gradcheck chooses its own directions.",
    "GATE": "the library has no such gate.",
    "SEQUENCE": sequence_as_conv,
    "BACKWARD": by_library,
}
RIGHT = {
    "FORWARD": {
        "loops": loss_by_loops,
        "average": lambda x, w_1, b_1, w_2, b_2, t, m: np.average(
            np.square(gelu(x @ w_1 + b_1) @ w_2 + b_2 - t).sum(-1), weights=m
        ),
    },
    "SLOPE": {
        "by a sigmoid": slope,
        "measured": slope_measured,
        "float32": lambda h: slope(h.astype(np.float32)),
        "cosh": lambda h: (
            0.5 * (1 + np.tanh(C * (h + 0.044715 * h**3)))
            + 0.5 * h * C * (1 + 0.134145 * h**2) / np.cosh(C * (h + 0.044715 * h**3)) ** 2
        ),
    },
    "CHECK": {"flat": check_flat, "as an array": lambda *args: np.array(check_flat(*args), np.float32)},
    "GATE": {
        "einsum": gate,
        "cosh": lambda dy, x, w, s: gate(dy, x, w, s, slope_of=lambda a: np.cosh(x @ w) ** -2.0),
    },
    "SEQUENCE": {"asking": sequence, "padded": sequence_padded, "a list": lambda *args: list(sequence(*args))},
    "BACKWARD": {
        "another way": backward,
        "loops": backward_by_loops,
        "measured": backward_measured,
        "float32": lambda *args: [g.astype(np.float32) for g in backward(*args)],
    },
}
WRONG = {
    "FORWARD": {
        "m of the outputs": lambda x, w_1, b_1, w_2, b_2, t, m: (
            ((m[:, None] * (gelu(x @ w_1 + b_1) @ w_2 + b_2 - t)) ** 2).sum() / m.sum()
        ),
        "absolute": lambda x, w_1, b_1, w_2, b_2, t, m: np.average(
            abs(gelu(x @ w_1 + b_1) @ w_2 + b_2 - t).sum(1), weights=m
        ),
        "half": lambda *args: loss_by_loops(*args) / 2,
        "exact gelu": lambda x, w_1, b_1, w_2, b_2, t, m: np.average(
            ((F.gelu(x @ w_1 + b_1)[0] @ w_2 + b_2 - t) ** 2).sum(1), weights=m
        ),
        "another constant": partial(loss_with, lambda h: h * sigmoid(2 * C * (h + 0.044175 * h**3))),
        "a squared": partial(loss_with, lambda h: gelu(h) ** 2),
        "m upside down": lambda x, w_1, b_1, w_2, b_2, t, m: loss_by_loops(x, w_1, b_1, w_2, b_2, t, 1 / m),
    },
    "SLOPE": {
        "0.0447": lambda h: slope(h) + 1e-3 * h,
        "tanh": lambda h: 1 - np.tanh(h) ** 2,
        "silu": lambda h: sigmoid(h) * (1 + h * (1 - sigmoid(h))),
        "relu": lambda h: (h > 0) * 1.0,
        "squared slope of u": lambda h: (
            0.5 * (1 + np.tanh(C * (h + 0.044715 * h**3)))
            + 0.5 * h * (C * (1 + 0.134145 * h**2)) ** 2 / np.cosh(C * (h + 0.044715 * h**3)) ** 2
        ),
        "no cube": lambda h: 0.5 * (1 + np.tanh(C * h)) + 0.5 * h * C / np.cosh(C * h) ** 2,
    },
    "CHECK": {
        "the largest": lambda *args: max(check_flat(*args)),
        "of sizes squared": lambda *args: np.square(check_flat(*args)),
        "direction not used in the claim": lambda g, args, grads, directions, h: check_flat(
            g, args, tuple(a * 0 + a.sum() / a.size for a in grads), directions, h
        ),
        "one direction for all": lambda g, args, grads, directions, h: check_flat(
            g, args, grads, tuple(0 * d + d.ravel()[0] for d in directions), h
        ),
        "h of its own": lambda g, args, grads, directions, h: check_flat(g, args, grads, directions, 1e-6),
    },
    "GATE": {
        "slope at y": lambda dy, x, w, s: gate(dy, x, w, s, slope_of=lambda a: 1 - (x + s * a) ** 2),
        "s squared": lambda dy, x, w, s: gate(dy, x, w, s, slope_of=lambda a: s * (1 - a**2)),
        "one minus a": lambda dy, x, w, s: gate(dy, x, w, s, slope_of=lambda a: 1 - a),
        "s inside": lambda dy, x, w, s: gate(dy, x, w, s, slope_of=lambda a: 1 - s * a**2),
        "ds with s": lambda dy, x, w, s: (*gate(dy, x, w, s)[:2], s * gate(dy, x, w, s)[2]),
    },
    "SEQUENCE": {
        "moved by one": lambda *args: sequence_wrong(*args, shift=1),
        "mean over taps": lambda *args: sequence_wrong(*args, mean=True),
        "the end left out": lambda *args: sequence_wrong(*args, last=True),
        "forward": lambda dy, x, w, d: (
            sequence_padded(dy[:, ::-1], x, w, d)[0][:, ::-1],
            sequence_padded(dy, x, w, d)[1],
        ),
        "dw reversed": lambda dy, x, w, d: (sequence(dy, x, w, d)[0], sequence(dy, x, w, d)[1][::-1]),
        "always 2": lambda dy, x, w, d: sequence(dy, x, w, min(d, 2)),
    },
    "BACKWARD": {said: answer for answer, said in SAID},
}
