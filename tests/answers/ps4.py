"""Answers to the exercises of problem set 4."""

import numpy as np

from tinydiff import functional as F


def softmax(scores):
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def masked_in_library(q, k, v, mask):
    y, _ = F.attention(q, k, v, np.broadcast_to(mask[:, None], (*q.shape[:2], k.shape[1])))
    return y


def without_the_missing(q, k, v, mask):
    return [softmax(a @ b[m].T / np.sqrt(len(a[0]))) @ c[m] for a, b, c, m in zip(q, k, v, mask, strict=True)]


def renormalised(q, k, v, mask):
    e = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])) * mask[:, None]
    return (e / e.sum(axis=-1, keepdims=True) @ v).astype(np.float32)


def rms_by_jacobian(dy, x, gamma, eps):
    n, rows, gs = x.shape[-1], x.reshape(-1, x.shape[-1]), (dy * gamma).reshape(-1, x.shape[-1])
    dx = np.empty(rows.shape, np.float32)
    for i, (a, g) in enumerate(zip(rows, gs, strict=True)):
        m = np.dot(a, a) / n + eps
        dx[i] = (np.eye(n) / m**0.5 - np.outer(a, a) / n / m**1.5) @ g
    size = np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True) + eps)
    return dx.reshape(x.shape), np.einsum("ic,ic->c", dy.reshape(-1, n), (x / size).reshape(-1, n))


def rms_by_x_hat(dy, x, gamma, eps):
    size = np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    x_hat, g = x / size, dy * gamma
    return (g - x_hat * (g * x_hat).mean(-1, keepdims=True)) / size, (dy * x_hat).sum(tuple(range(x.ndim - 1)))


def pooling_by_image(dy, q, x):
    dq, dx, root = np.zeros(len(q)), np.zeros(x.shape), np.sqrt(len(q))
    for n in range(len(x)):
        p = softmax(x[n] @ q / root)
        ds = (np.diag(p) - np.outer(p, p)) @ (x[n] @ dy[n])
        dq += x[n].T @ ds / root
        dx[n] = np.outer(p, dy[n]) + np.outer(ds, q) / root
    return dq, dx


def pooling_in_float32(dy, q, x):
    dq, dx = pooling_by_image(*(a.astype(np.float32) for a in (dy, q, x)))
    return dq.astype(np.float32), dx.astype(np.float32).tolist()


def whole_with_library(dy, x, w_1, w_2, w_3):
    def linear(x, w):
        return F.linear(x, w, np.zeros(w.shape[1]))

    a, cache_1 = linear(x, w_1)
    s, silu_1 = F.silu(a)
    pooled, pool = F.avg_pool(s)
    b, cache_2 = linear(pooled, w_2)
    h, silu_2 = F.silu(b)
    large, up = F.upsample_nearest(h)
    _, cache_3 = linear(np.concatenate([large, s], axis=-1), w_3)
    d_both, dw_3, _ = F.linear_backward(dy, cache_3)
    c = h.shape[-1]
    (dh,) = F.upsample_nearest_backward(d_both[..., :c], up)
    (db,) = F.silu_backward(dh, silu_2)
    d_pooled, dw_2, _ = F.linear_backward(db, cache_2)
    (ds,) = F.avg_pool_backward(d_pooled, pool)
    (da,) = F.silu_backward(ds + d_both[..., c:], silu_1)
    dx, dw_1, _ = F.linear_backward(da, cache_1)
    return dx, dw_1, dw_2, dw_3


def silu(z):
    return z / (1 + np.exp(-z))


def d_silu(z):
    return silu(z) + (1 - silu(z)) / (1 + np.exp(-z))


def whole(dy, x, w_1, w_2, w_3):
    a = np.einsum("nhwi,io->nhwo", x, w_1)
    pooled = sum(silu(a)[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    b = np.einsum("nhwi,io->nhwo", pooled, w_2)
    d_both, c = np.einsum("nhwo,io->nhwi", dy, w_3), w_2.shape[1]
    db = sum(d_both[:, i::2, j::2, :c] for i in (0, 1) for j in (0, 1)) * d_silu(b)
    ds = d_both[..., c:] + np.kron(np.einsum("nhwo,io->nhwi", db, w_2), np.ones((1, 2, 2, 1))) / 4
    da = ds * d_silu(a)
    both = np.concatenate([np.kron(silu(b), np.ones((1, 2, 2, 1))), silu(a)], axis=-1)
    dws = [np.tensordot(i, d, axes=((0, 1, 2), (0, 1, 2))) for i, d in ((x, da), (pooled, db), (both, dy))]
    return [np.einsum("nhwo,io->nhwi", da, w_1).astype(np.float32), *dws]


def reach(f, x, row, column):
    found = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = 1e-4
        step = step.reshape(x.shape)
        found.append((f(x + step)[row, column] - f(x - step)[row, column]) / 2e-4)
    return np.array(found).reshape(x.shape)


def reach_with_copies(f, x, row, column):
    slopes = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        moved = np.array(x)
        moved[index] += 5e-4
        up = f(moved)[row][column]
        moved[index] -= 1e-3
        slopes[index] = (up - f(moved)[row][column]) / 1e-3
    return slopes.tolist()


LIBRARY = {
    "RMS_NORM": "the library has no RMS norm.",
    "RMS_BACKWARD": "the library has no RMS norm.",
    "MASKED": masked_in_library,
    "POOLING": "the library has no attention pooling.",
    "WHOLE_U": whole_with_library,
    "REACH": "the library does not measure what a network sees.",
}
RIGHT = {
    "RMS_NORM": {
        "by the norm": lambda x, gamma, eps: (
            x * gamma / np.sqrt(np.linalg.norm(x, axis=-1, keepdims=True) ** 2 / x.shape[-1] + eps)
        ),
        "einsum, float32": lambda x, gamma, eps: (
            gamma * x / np.sqrt(np.einsum("...c,...c->...", x, x)[..., None] / x.shape[-1] + eps)
        ).astype(np.float32),
        "list": lambda x, gamma, eps: (gamma * (x / np.sqrt(np.mean(x * x, -1)[..., None] + eps))).tolist(),
    },
    "RMS_BACKWARD": {"Jacobian, float32": rms_by_jacobian, "by x_hat": rms_by_x_hat},
    "MASKED": {
        "without the missing": without_the_missing,
        "renormalised": renormalised,
        "a large negative number": lambda q, k, v, mask: (
            softmax(q @ k.swapaxes(1, 2) / q.shape[-1] ** 0.5 - 1e9 * ~mask[:, None]) @ v
        ),
    },
    "POOLING": {"image by image": pooling_by_image, "float32": pooling_in_float32},
    "WHOLE_U": {"einsum": whole, "the library's layers": whole_with_library},
    "REACH": {"one list": reach, "copies": reach_with_copies},
}
WRONG = {
    "RMS_NORM": {
        "largest": lambda x, gamma, eps: gamma * x / (abs(x).max(-1, keepdims=True) + eps),
        "mean size": lambda x, gamma, eps: gamma * x / (abs(x).mean(-1, keepdims=True) + eps),
        "length": lambda x, gamma, eps: gamma * x / np.sqrt((x**2).sum(-1, keepdims=True) + eps),
        "no eps": lambda x, gamma, eps: gamma * x / np.sqrt((x**2).mean(-1, keepdims=True)),
        "standard deviation": lambda x, gamma, eps: gamma * x / np.sqrt(x.var(-1, keepdims=True) + eps),
        "gamma inside": lambda x, gamma, eps: gamma * x / np.sqrt(((gamma * x) ** 2).mean(-1, keepdims=True) + eps),
    },
    "RMS_BACKWARD": {
        "layer norm's": lambda dy, x, gamma, eps: (
            rms_by_x_hat(dy, x, gamma, eps)[0] - (dy * gamma).mean(-1, keepdims=True),
            rms_by_x_hat(dy, x, gamma, eps)[1],
        ),
        "r squared": lambda dy, x, gamma, eps: (
            rms_by_x_hat(dy, x, gamma, eps)[0] / np.sqrt((x * x).mean(-1, keepdims=True) + eps),
            rms_by_x_hat(dy, x, gamma, eps)[1],
        ),
        "gamma twice": lambda dy, x, gamma, eps: rms_by_x_hat(dy * gamma, x, gamma, eps),
        "no eps": lambda dy, x, gamma, eps: rms_by_x_hat(dy, x, gamma, 0.0),
        "d_gamma of each row": lambda dy, x, gamma, eps: (rms_by_x_hat(dy, x, gamma, eps)[0], dy * x),
        "dy for g outside": lambda dy, x, gamma, eps: (
            rms_by_x_hat(dy, x, gamma, eps)[0] + (dy - dy * gamma) / np.sqrt((x * x).mean(-1, keepdims=True) + eps),
            rms_by_x_hat(dy, x, gamma, eps)[1],
        ),
    },
    "MASKED": {
        "one mask for all": lambda q, k, v, mask: renormalised(q, k, v, np.ones_like(mask) * mask[:1]),
        "values masked": lambda q, k, v, mask: renormalised(q, k, v * mask[..., None], np.ones_like(mask)),
        "divided by the number": lambda q, k, v, mask: (
            renormalised(q, k, v * mask[..., None], np.ones_like(mask)) * (mask.shape[1] / mask.sum(1))[:, None, None]
        ),
        "largest left out": lambda q, k, v, mask: renormalised(
            q, k, v, mask * (np.arange(mask.shape[1]) > 0) | (mask.sum(1) == 1)[:, None]
        ),
        "mean of those there": lambda q, k, v, mask: (
            np.einsum("nk,nkd->nd", mask / mask.sum(1, keepdims=True), v)[:, None] + 0 * q[..., :1]
        ),
        "minus 1": lambda q, k, v, mask: softmax(q @ k.swapaxes(1, 2) / q.shape[-1] ** 0.5 - ~mask[:, None]) @ v,
    },
    "POOLING": {
        "q for x": lambda dy, q, x: (pooling_by_image(dy, q, x)[0], pooling_by_image(dy, q, x)[1] * 0.5),
        "mean softmax": lambda dy, q, x: pooling_by_image(dy, 0 * q, x),
        "scaled by positions": lambda dy, q, x: (
            pooling_by_image(dy, q, x)[0] * np.sqrt(len(q) / x.shape[1]),
            pooling_by_image(dy, q, x)[1],
        ),
        "dq for each image": lambda dy, q, x: (
            np.stack([pooling_by_image(dy[i : i + 1], q, x[i : i + 1])[0] for i in range(len(x))]),
            pooling_by_image(dy, q, x)[1],
        ),
        "subtracted": lambda dy, q, x: (-pooling_by_image(dy, q, x)[0], pooling_by_image(dy, q, x)[1]),
        "scaled twice": lambda dy, q, x: (
            pooling_by_image(dy, q, x)[0] / np.sqrt(len(q)),
            pooling_by_image(dy, q, x)[1],
        ),
    },
    "WHOLE_U": {
        "gradient at the output of SiLU": lambda dy, x, *w: [a * 1.01 for a in whole(dy, x, *w)],
        "halves exchanged": lambda dy, x, w_1, w_2, w_3: whole(dy, x, w_1, w_2, np.roll(w_3, w_2.shape[1], axis=0)),
        "pool of one pixel": lambda dy, x, w_1, w_2, w_3: whole(
            dy, np.repeat(np.repeat(x[:, ::2, ::2], 2, 1), 2, 2), w_1, w_2, w_3
        ),
        "first image only": lambda dy, x, *w: [whole(dy, x, *w)[0], *whole(dy[:1], x[:1], *w)[1:]],
        "dw_2 from the skip": lambda dy, x, *w: [a if i != 2 else a + 0.1 for i, a in enumerate(whole(dy, x, *w))],
        "dw exchanged": lambda *args: [whole(*args)[i] for i in (0, 3, 2, 1)],
    },
    "REACH": {
        "all pixels by one": lambda f, x, row, column: (f(x + 1e-4) - f(x - 1e-4)) / 2e-4,
        "input's place": lambda f, x, row, column: np.array(
            [
                [
                    (f(x + s) - f(x - s))[i, j] / 2e-4
                    for j in range(x.shape[1])
                    for s in [1e-4 * (np.indices(x.shape)[0] == i) * (np.indices(x.shape)[1] == j)]
                ]
                for i in range(x.shape[0])
            ]
        ),
        "not divided": lambda *args: reach(*args) * 2e-4,
        "transposed map": lambda f, x, row, column: reach(f, x, row, column)[::-1],
        "at the middle": lambda f, x, row, column: reach(f, x, x.shape[0] // 2, x.shape[1] // 2),
        "zero input": lambda f, x, row, column: reach(f, 0 * x, row, column),
    },
}
