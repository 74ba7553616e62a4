"""More answers to the exercises of notebook 05."""

import numpy as np


def slopes(make):
    def answer(g, x, h):
        found = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            found[index] = make(g, x, h, index)
        return found

    return answer


def moved(x, index, by):
    y = np.array(x, dtype=float)
    y[index] += by
    return y


def slopes_eye(g, x, h):
    E = np.eye(x.size).reshape(x.size, *x.shape)
    return np.reshape([(g(x + h * e) - g(x - h * e)) / (2 * h) for e in E], x.shape)


def slopes_nested_list(g, x, h):
    return slopes_eye(g, x, h).tolist()


def slopes_flat_fortran(g, x, h):
    found = np.zeros(x.size)
    for k in range(x.size):
        e = np.zeros(x.size)
        e[k] = h
        e = e.reshape(x.shape)
        found[k] = (g(x + e) - g(x - e)) / 2 / h
    return found.reshape(x.shape, order="F")


def slopes_float_x(g, x, h):
    found = np.empty(x.shape)
    it = np.nditer(x, flags=["multi_index"])
    for _ in it:
        plus, minus = x.copy(), x.copy()
        plus[it.multi_index] += h
        minus[it.multi_index] -= h
        found[it.multi_index] = (g(plus) - g(minus)) / (plus[it.multi_index] - minus[it.multi_index])
    return found


def slopes_rows(g, x, h):
    found = np.zeros_like(x)
    for k in range(len(x)):
        found[k] = (g(moved(x, k, h)) - g(moved(x, k, -h))) / (2 * h)
    return found


def slopes_cumulative(g, x, h):
    found, y = np.zeros(x.shape), x.copy()
    for i in np.ndindex(x.shape):
        y[i] += h
        up = g(y)
        y[i] -= 2 * h
        found[i] = (up - g(y)) / (2 * h)
    return found


def slopes_two_axes(g, x, h):
    found = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            found[i, j] = (g(moved(x, (i, j), h)) - g(moved(x, (i, j), -h))) / (2 * h)
    return found


def linear(dx=None, dw=None, db=None):
    def answer(dy, x, w):
        return (
            (dx or (lambda dy, x, w: dy @ w.T))(dy, x, w),
            (dw or (lambda dy, x, w: x.T @ dy))(dy, x, w),
            (db or (lambda dy, x, w: dy.sum(0)))(dy, x, w),
        )

    return answer


def tied(dx=None, dw=None):
    def answer(dy, x, w):
        return (
            (dx or (lambda dy, x, w: dy @ w @ w.T))(dy, x, w),
            (dw or (lambda dy, x, w: x.T @ (dy @ w) + dy.T @ (x @ w)))(dy, x, w),
        )

    return answer


def softmax_jacobian(dy, y):
    n = y.shape[-1]
    J = np.einsum("...i,ij->...ij", y, np.eye(n)) - np.einsum("...i,...j->...ij", y, y)
    return np.einsum("...i,...ij->...j", dy, J)


def softmax_loop(dy, y):
    rows, ys = dy.reshape(-1, dy.shape[-1]), y.reshape(-1, y.shape[-1])
    return np.array([b * (a - np.dot(a, b)) for a, b in zip(rows, ys, strict=False)]).reshape(dy.shape)


RIGHT = {
    "SLOPES": {
        "directions of eye": slopes_eye,
        "nested lists": slopes_nested_list,
        "the true difference below": slopes_float_x,
        "further default": lambda g, x, h, factor=2: slopes(
            lambda g, x, h, i: (g(moved(x, i, h)) - g(moved(x, i, -h))) / factor / h
        )(g, x, h),
    },
    "LINEAR": {
        "einsum, a list": lambda dy, x, w: [
            np.einsum("nj,ij->ni", dy, w),
            np.einsum("ni,nj->ij", x, dy),
            np.einsum("nj->j", dy),
        ],
        "outer products": linear(
            dw=lambda dy, x, w: sum(np.outer(a, b) for a, b in zip(x, dy, strict=False)),
            db=lambda dy, x, w: list(map(sum, dy.T)),
        ),
        "ones": linear(dw=lambda dy, x, w: (dy.T @ x).T, db=lambda dy, x, w: np.ones(len(dy)) @ dy),
        "float32": lambda dy, x, w: tuple(v.astype("f") for v in (dy @ w.T, x.T @ dy, dy.sum(0))),
    },
    "TWICE": {
        "einsum": lambda dy, x, w: (
            np.einsum("nd,dk,ck->nc", dy, w, w),
            np.einsum("nc,nd,dk->ck", x, dy, w) + np.einsum("nd,nc,ck->dk", dy, x, w),
        ),
        "Gram": lambda dy, x, w: [dy @ (w @ w.T), (x.T @ dy + dy.T @ x) @ w],
        "loop": tied(
            dw=lambda dy, x, w: sum(np.outer(a, b @ w) + np.outer(b, a @ w) for a, b in zip(x, dy, strict=False))
        ),
    },
    "SOFTMAX": {
        "Jacobian": softmax_jacobian,
        "rows": softmax_loop,
        "two terms": lambda dy, y: y * dy - y * np.einsum("...i,...i->...", y, dy)[..., None],
        "float32": lambda dy, y: (y * (dy - (dy * y).sum(-1, keepdims=True))).astype("f"),
    },
}
WRONG = {
    "SLOPES": {
        "forward": slopes(lambda g, x, h, i: (g(moved(x, i, h)) - g(x)) / h),
        "backward": slopes(lambda g, x, h, i: (g(x) - g(moved(x, i, -h))) / h),
        "over h": slopes(lambda g, x, h, i: (g(moved(x, i, h)) - g(moved(x, i, -h))) / h),
        "no division": slopes(lambda g, x, h, i: g(moved(x, i, h)) - g(moved(x, i, -h))),
        "own h": slopes(lambda g, x, h, i: (g(moved(x, i, 1e-5)) - g(moved(x, i, -1e-5))) / 2e-5),
        "half a step": slopes(lambda g, x, h, i: (g(moved(x, i, h / 2)) - g(moved(x, i, -h / 2))) / h),
        "sign": slopes(lambda g, x, h, i: (g(moved(x, i, -h)) - g(moved(x, i, h))) / (2 * h)),
        "factor": slopes(lambda g, x, h, i: (g(moved(x, i, h * x[i])) - g(moved(x, i, -h * x[i]))) / (2 * h)),
        "relative": slopes(
            lambda g, x, h, i: (g(moved(x, i, h * abs(x[i]))) - g(moved(x, i, -h * abs(x[i])))) / (2 * h * abs(x[i]))
        ),
        "fourth order": slopes(
            lambda g, x, h, i: (
                (8 * (g(moved(x, i, h)) - g(moved(x, i, -h))) - g(moved(x, i, 2 * h)) + g(moved(x, i, -2 * h)))
                / (12 * h)
            )
        ),
        "rows": slopes_rows,
        "not put back": slopes_cumulative,
        "two axes only": slopes_two_axes,
        "other order": slopes_flat_fortran,
        "absolute": slopes(lambda g, x, h, i: abs(g(moved(x, i, h)) - g(moved(x, i, -h))) / (2 * h)),
        "one for all": lambda g, x, h: np.full(x.shape, (g(x + h) - g(x - h)) / (2 * h)),
        "flat": lambda g, x, h: slopes_eye(g, x, h).ravel(),
    },
    "LINEAR": {
        "mean": linear(db=lambda dy, x, w: dy.mean(0)),
        "dw mean": linear(dw=lambda dy, x, w: x.T @ dy / len(x)),
        "no sum": linear(db=lambda dy, x, w: dy),
        "keepdims": linear(db=lambda dy, x, w: dy.sum(0, keepdims=True)),
        "other axis": linear(db=lambda dy, x, w: dy.sum(1)),
        "dw turned": linear(dw=lambda dy, x, w: dy.T @ x),
        "not turned": linear(dx=lambda dy, x, w: dy @ w),
        "ones": linear(db=lambda dy, x, w: np.ones(dy.shape[1])),
        "order": lambda dy, x, w: (x.T @ dy, dy @ w.T, dy.sum(0)),
        "first sample": linear(dw=lambda dy, x, w: np.outer(x[0], dy[0])),
        "total": linear(db=lambda dy, x, w: dy.sum()),
        "sign": linear(dx=lambda dy, x, w: -dy @ w.T),
        "y": linear(dw=lambda dy, x, w: x.T @ (x @ w)),
        "two only": lambda dy, x, w: (dy @ w.T, x.T @ dy),
    },
    "TWICE": {
        "first use": tied(dw=lambda dy, x, w: x.T @ (dy @ w)),
        "second use": tied(dw=lambda dy, x, w: dy.T @ (x @ w)),
        "twice the first": tied(dw=lambda dy, x, w: 2 * x.T @ (dy @ w)),
        "mean": tied(dw=lambda dy, x, w: (x.T @ (dy @ w) + dy.T @ (x @ w)) / 2),
        "difference": tied(dw=lambda dy, x, w: x.T @ (dy @ w) - dy.T @ (x @ w)),
        "dx once": tied(dx=lambda dy, x, w: dy @ w),
        "second with x": tied(dw=lambda dy, x, w: x.T @ (dy @ w) + x.T @ (x @ w)),
        "turned": tied(dw=lambda dy, x, w: (x.T @ (dy @ w) + dy.T @ (x @ w)).T),
        "dx twice": tied(dx=lambda dy, x, w: 2 * dy @ w @ w.T),
        "dx with dy.T": tied(dx=lambda dy, x, w: x @ w @ w.T),
        "as if square": tied(dw=lambda dy, x, w: x.T @ dy @ w + x.T @ dy @ w),
        "order": lambda dy, x, w: tied()(dy, x, w)[::-1],
        "batch mean": tied(dw=lambda dy, x, w: (x.T @ (dy @ w) + dy.T @ (x @ w)) / len(x)),
    },
    "SOFTMAX": {
        "diagonal": lambda dy, y: dy * y * (1 - y),
        "no sum": lambda dy, y: dy * y,
        "sum over all": lambda dy, y: y * (dy - (dy * y).sum()),
        "first axis": lambda dy, y: y * (dy - (dy * y).sum(0, keepdims=True)),
        "mean": lambda dy, y: y * (dy - (dy * y).mean(-1, keepdims=True)),
        "sum of dy": lambda dy, y: y * (dy - dy.sum(-1, keepdims=True)),
        "mean of dy": lambda dy, y: y * (dy - dy.mean(-1, keepdims=True)),
        "no y outside": lambda dy, y: dy - (dy * y).sum(-1, keepdims=True),
        "sign": lambda dy, y: y * ((dy * y).sum(-1, keepdims=True) - dy),
        "no brackets": lambda dy, y: y * dy - (dy * y).sum(-1, keepdims=True),
        "y squared": lambda dy, y: y * dy - y**2 * dy.sum(-1, keepdims=True),
        "axis 1": lambda dy, y: y * (dy - (dy * y).sum(1, keepdims=True)) if dy.ndim > 1 else dy,
        "last two axes": lambda dy, y: (
            y * (dy - (dy * y).sum((-2, -1), keepdims=True)) if dy.ndim > 1 else y * (dy - dy @ y)
        ),
        "loss": lambda dy, y: y - dy,
        "rows of one matrix only": lambda dy, y: np.einsum(
            "ni,nij->nj", dy, np.einsum("ni,ij->nij", y, np.eye(y.shape[-1])) - np.einsum("ni,nj->nij", y, y)
        ),
    },
}
