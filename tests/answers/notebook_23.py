"""Answers to the exercises of notebook 23."""

import numpy as np

from tinydiff.functional import attention, attention_backward


def library_cross(x, context, w_q, w_k, w_v):
    y, weights, _ = attention(x @ w_q, context @ w_k, context @ w_v, return_weights=True)
    return y, weights


def library_context(dy, q, v, weights, context, w_k, w_v):
    _, cache = attention(q, context @ w_k, v)
    _, dk, dv = attention_backward(dy, cache._replace(weights=weights))
    d_context = np.concatenate([dk, dv], axis=-1) @ np.concatenate([w_k, w_v], axis=1).T
    return d_context, np.einsum("nwd,nwe->de", context, dk), np.einsum("nwd,nwe->de", context, dv)


def cross_by_loops(x, context, w_q, w_k, w_v):
    y, weights = [], []
    for pixels, words in zip(x, context, strict=True):
        rows = []
        for pixel in pixels:
            q = pixel @ w_q
            scores = np.array([q @ (word @ w_k) for word in words]) / len(q) ** 0.5
            e = np.exp(scores - scores.max())
            rows.append(e / e.sum())
        weights.append(np.array(rows))
        y.append(np.array(rows) @ (words @ w_v))
    return np.array(y), np.array(weights)


def cross_einsum(x, context, w_q, w_k, w_v):
    q, k, v = (np.einsum("ntc,cd->ntd", *pair) for pair in ((x, w_q), (context, w_k), (context, w_v)))
    scores = np.einsum("npd,nwd->npw", q, k) / np.sqrt(w_q.shape[1])
    log_p = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    return np.einsum("npw,nwd->npd", np.exp(log_p), v), np.exp(log_p)


def cross_float32(x, context, w_q, w_k, w_v):
    return cross_einsum(*(a.astype(np.float32) for a in (x, context, w_q, w_k, w_v)))


def cross_unstable(x, context, w_q, w_k, w_v):
    e = np.exp(x @ w_q @ (context @ w_k).swapaxes(-1, -2) / w_q.shape[1] ** 0.5)
    weights = e / e.sum(-1, keepdims=True)
    return weights @ context @ w_v, weights


def cross_of_all(x, context, w_q, w_k, w_v):
    scores = x @ w_q @ (context @ w_k).swapaxes(-1, -2) / w_q.shape[1] ** 0.5
    e = np.exp(scores - scores.max())
    weights = e / e.sum(axis=(1, 2), keepdims=True)
    return weights @ (context @ w_v), weights


def cross_scaled(by):
    def wrong(x, context, w_q, w_k, w_v):
        scores = x @ w_q @ (context @ w_k).swapaxes(-1, -2) / by(x, context, w_q)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        weights = e / e.sum(-1, keepdims=True)
        return weights @ (context @ w_v), weights

    return wrong


def context_einsum(dy, q, v, weights, context, w_k, w_v):
    dv = np.einsum("npw,npf->nwf", weights, dy)
    dp = np.einsum("npf,nwf->npw", dy, v)
    ds = weights * dp - weights * np.einsum("npw,npw->np", weights, dp)[..., None]
    dk = np.einsum("npw,npe->nwe", ds, q) / np.sqrt(q.shape[-1])
    dw_k, dw_v = np.einsum("nwd,nwe->de", context, dk), np.einsum("nwd,nwf->df", context, dv)
    return np.einsum("nwe,de->nwd", dk, w_k) + np.einsum("nwf,df->nwd", dv, w_v), dw_k, dw_v


def context_by_jacobian(dy, q, v, weights, context, w_k, w_v):
    d_context, dw_k, dw_v = np.zeros(context.shape), np.zeros(w_k.shape), np.zeros(w_v.shape)
    for n in range(len(dy)):
        dk, dv = np.zeros((context.shape[1], q.shape[2])), weights[n].T @ dy[n]
        for p in range(q.shape[1]):
            jacobian = np.diag(weights[n, p]) - np.outer(weights[n, p], weights[n, p])
            dk += np.outer(jacobian @ (v[n] @ dy[n, p]), q[n, p]) / q.shape[2] ** 0.5
        d_context[n] = dk @ w_k.T + dv @ w_v.T
        dw_k += context[n].T @ dk
        dw_v += context[n].T @ dv
    return d_context, dw_k, dw_v


def context_wrong(change):
    def wrong(*args):
        return change(*context_einsum(*args), *args)

    return wrong


def context_of_width(dy, q, v, weights, context, w_k, w_v):
    a = context_einsum(dy, q * (q.shape[-1] / v.shape[-1]) ** 0.5, v, weights, context, w_k, w_v)
    return a


def blocks_by_list(h, context, blocks, d_out):
    states = [h]
    for a, b in blocks:
        states.append(states[-1] + np.tanh(states[-1] @ a + context @ b))
    d_h, parts = d_out, []
    for k in range(len(blocks) - 1, -1, -1):
        z = states[k + 1] - states[k]
        d_z = d_h - d_h * z * z
        parts.append(np.einsum("npc,dc->nd", d_z, blocks[k][1]))
        d_h = d_h + np.einsum("npc,dc->npd", d_z, blocks[k][0])
    return d_h, sum(parts)[:, None]


def blocks_recursive(h, context, blocks, d_out):
    if not blocks:
        return d_out, np.zeros(context.shape)
    (a, b), *others = blocks
    z = np.tanh(h @ a + context @ b)
    d_h, d_context = blocks_recursive(h + z, context, others, d_out)
    d_z = d_h * (1 - z**2)
    return d_h + d_z @ a.T, d_context + (d_z @ b.T).sum(axis=1, keepdims=True)


def blocks_wrong(change):
    def wrong(h, context, blocks, d_out):
        d_h, d_context = blocks_recursive(h, context, blocks, d_out)
        return change(d_h, d_context, h, context, blocks, d_out)

    return wrong


def blocks_first(h, context, blocks, d_out):
    d_h, _ = blocks_recursive(h, context, blocks, d_out)
    _, after = blocks_recursive(h + np.tanh(h @ blocks[0][0] + context @ blocks[0][1]), context, blocks[1:], d_out)
    return d_h, after  # the first block's part is lost


def blocks_outer(h, context, blocks, d_out):
    total = np.zeros(context.shape)
    for a, b in blocks:  # as if each had got the first h
        z = np.tanh(h @ a + context @ b)
        total += (d_out * (1 - z**2) @ b.T).sum(1, keepdims=True)
    return blocks_recursive(h, context, blocks, d_out)[0], total


def centres_by_loops(weights, height, width):
    n, heads, _, words = weights.shape
    out = np.zeros((n, words, 2))
    for i in range(n):
        for w in range(words):
            of_word = sum(weights[i, h, :, w] for h in range(heads))
            for p, value in enumerate(of_word):
                out[i, w] += value * np.array(divmod(p, width))
            out[i, w] /= of_word.sum()
    return out


def centres_einsum(weights, height, width):
    places = np.stack(np.divmod(np.arange(height * width), width), axis=-1)
    mean = weights.astype(np.float32).mean(axis=1)
    return (np.einsum("npw,pk->nwk", mean, places) / mean.sum(axis=1)[..., None]).tolist()


def centres_of_heads(weights, height, width):
    return np.mean([centres_by_loops(weights[:, [h]], height, width) for h in range(weights.shape[1])], axis=0)


LIBRARY = {
    "CROSS": library_cross,
    "CONTEXT": library_context,
    "BLOCKS": "the library's blocks are larger; its sum over them is compared with differences in the notebook.",
    "CENTRES": "the library draws the maps and has no function for their centres.",
}
RIGHT = {
    "CROSS": {
        "loops": cross_by_loops,
        "einsum": cross_einsum,
        "float32": cross_float32,
        "in lists": lambda *args: [a.tolist() for a in cross_by_loops(*args)],
    },
    "CONTEXT": {
        "einsum": context_einsum,
        "Jacobians": context_by_jacobian,
        "float32": lambda *args: context_einsum(*(a.astype(np.float32) for a in args)),
    },
    "BLOCKS": {"a list of parts": blocks_by_list, "recursive": blocks_recursive},
    "CENTRES": {"loops": centres_by_loops, "einsum": centres_einsum},
}
WRONG = {
    "CROSS": {
        "no largest taken away": cross_unstable,
        "one softmax for all": cross_of_all,
        "root of the number of words": cross_scaled(lambda x, c, w: c.shape[1] ** 0.5),
        "root of the context's width": cross_scaled(lambda x, c, w: c.shape[2] ** 0.5),
        "root of the number of pixels": cross_scaled(lambda x, c, w: x.shape[1] ** 0.5),
        "weights alone": lambda *args: cross_einsum(*args)[1],
        "texts of the neighbour": lambda x, c, *w: cross_einsum(x, np.roll(c, 1, axis=0), *w),
    },
    "CONTEXT": {
        "d_context of the first picture for all": context_wrong(lambda c, k, v, *a: (c[:1] + 0 * c, k, v)),
        "matrices not summed over the batch": context_wrong(
            lambda c, k, v, dy, q, v_, p, context, *w: (c, np.einsum("nwd,nwe->nde", context, context), v)
        ),
        "scaled by the values' width": context_of_width,
        "matrices transposed": context_wrong(lambda c, k, v, *a: (c, k.T, v.T)),
        "context's gradient summed over words": context_wrong(lambda c, k, v, *a: (c.sum(1, keepdims=True), k, v)),
    },
    "BLOCKS": {
        "the first block is lost": blocks_first,
        "not through the stream": blocks_outer,
        "pixels averaged": blocks_wrong(lambda a, b, h, *rest: (a, b / h.shape[1])),
        "d_out added once more": blocks_wrong(lambda a, b, h, c, blocks, d_out: (a + d_out, b)),
        "pictures added": blocks_wrong(lambda a, b, *rest: (a, b.sum(0, keepdims=True) + 0 * b)),
    },
    "CENTRES": {
        "the mean of the heads' centres": centres_of_heads,
        "middle of pixels": lambda *args: centres_by_loops(*args) + 0.5,
        "shares of the height": lambda w, height, width: centres_by_loops(w, height, width) / [height, width],
        "words and pixels mixed up": lambda w, height, width: centres_by_loops(
            w.reshape(w.shape[0], w.shape[1], w.shape[3], -1).swapaxes(-1, -2), height, width
        ),
    },
}
