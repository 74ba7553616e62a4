"""Answers to the exercises of notebook 24."""

import math
from itertools import pairwise

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, bounded, classifier_free_guidance, ddim, last
from tinydiff.evaluate import precision_and_recall
from tinydiff.evaluate.obedience import effective_number


def library_chain(guess, alpha_bar, x_T, words, nothing, scale, times):
    diffusion = GaussianDiffusion(np.array(alpha_bar))

    def predict(x_t, t, context):
        x_0_hat = guess(x_t, t[0], context)
        return x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat)

    guided = bounded(classifier_free_guidance(predict, diffusion, nothing, scale), diffusion)
    return last(ddim(guided, diffusion, x_T, times[:-1], context=words, end=times[-1]))


def chain(guess, alpha_bar, x_T, words, nothing, scale, times, limit=1.0, between=lambda x: x, before=None):
    x = x_T
    for i in range(len(times) - 1):
        t, s = times[i], times[i + 1]
        a, b, a_s, b_s = (math.sqrt(v) for v in (alpha_bar[t], 1 - alpha_bar[t], alpha_bar[s], 1 - alpha_bar[s]))
        x_0 = scale * guess(x, t, words) + (1 - scale) * guess(x, t, nothing)
        x_0 = np.minimum(np.maximum(x_0, -limit), limit)
        x = between(b_s / b * (x - a * x_0) + a_s * x_0)
    return x


def chain_float32(guess, alpha_bar, x_T, words, nothing, scale, times):
    return chain(guess, alpha_bar, *(a.astype(np.float32) for a in (x_T, words, nothing)), scale, times)


def chain_eps(guess, alpha_bar, x_T, words, nothing, scale, times):
    """Guidance on the noise, and clipped after: the same."""
    x = x_T
    for t, s in pairwise(times):
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        given, free = ((x - a * guess(x, t, c)) / b for c in (words, nothing))
        x_0 = np.clip((x - b * (free + scale * (given - free))) / a, -1, 1)
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * (x - a * x_0) / b
    return x


def chain_lazy(guess, alpha_bar, x_T, words, nothing, scale, times):
    """Guesses without words once, at the beginning."""
    free = guess(x_T, times[0], nothing)
    x = x_T
    for t, s in pairwise(times):
        x_0 = np.clip(free + scale * (guess(x, t, words) - free), -1, 1)
        eps = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps
    return x


def chain_to(*args):
    return np.clip(chain(*args), -1, 1)


def chain_half_clipped(guess, *args):
    """Only the guess with words is clipped before guidance."""
    words = args[2]
    return chain(lambda x, t, c: np.clip(guess(x, t, c), -1, 1) if c is words else guess(x, t, c), *args)


def batch_by_loop(images, rows, empty, picked, u, share, alpha_bar, t, eps):
    x_t, tokens = [], []
    for i, k in enumerate(picked):
        x_t.append(math.sqrt(alpha_bar[t[i]]) * images[k] + math.sqrt(1 - alpha_bar[t[i]]) * eps[i])
        tokens.append(list(empty) if u[i] < share else list(rows[k]))
    return np.array(x_t), tokens


def batch_assigned(images, rows, empty, picked, u, share, alpha_bar, t, eps):
    tokens, level = rows[picked], alpha_bar[t][:, None, None, None].astype(np.float32)
    tokens[np.flatnonzero(u < share)] = empty
    return np.sqrt(level) * np.take(images, picked, axis=0) + np.sqrt(1 - level) * eps, tokens


def batch_wrong(change):
    def wrong(*args):
        return change(*batch_by_loop(*args), *args)

    return wrong


def batch_of_table(images, rows, empty, picked, u, share, alpha_bar, t, eps):
    x_t, _ = batch_by_loop(images, rows, empty, picked, u, share, alpha_bar, t, eps)
    hidden = rows.copy()
    hidden[: len(u)][u < share] = empty  # hidden by place in the table
    return x_t, hidden[picked]


def batch_one_time(images, rows, empty, picked, u, share, alpha_bar, t, eps):
    return batch_by_loop(images, rows, empty, picked, u, share, alpha_bar, np.full_like(t, t[0]), eps)


def pr_by_loop(real, drawn, k):
    def covered(points, centres):
        count = 0
        for p in points:
            for c in centres:
                others = sorted(float(np.linalg.norm(c - o)) for o in centres)
                if np.linalg.norm(p - c) <= others[k]:
                    count += 1
                    break
        return count / len(points)

    return covered(drawn, real), covered(real, drawn)


def pr_squared(real, drawn, k):
    def covered(points, centres):
        inner = ((centres[:, None] - centres) ** 2).sum(-1) + np.where(np.eye(len(centres)) > 0, np.inf, 0)
        radii = np.partition(inner, k - 1, axis=1)[:, k - 1]
        return np.any(((points[:, None] - centres) ** 2).sum(-1) <= radii[None], axis=1).sum() / len(points)

    return covered(drawn, real), covered(real, drawn)


def pr_wrong(
    distance=lambda d: np.sqrt((d**2).sum(-1)), more=0, reduce=lambda inside: inside.any(1).mean(), mixed=False
):
    def wrong(real, drawn, k):
        def covered(points, centres):
            others = np.concatenate([points, centres]) if mixed else centres
            radii = np.sort(distance(centres[:, None] - others), axis=1)[:, k + more]
            return reduce(distance(points[:, None] - centres) <= radii)

        return covered(drawn, real), covered(real, drawn)

    return wrong


def tones_logs(p, p_given, scale):
    seen = (p > 0) & (p_given > 0)
    logs = (1 - scale) * np.log(p[seen]) + scale * np.log(p_given[seen])
    shares = np.zeros(len(p))
    shares[seen] = np.exp(logs - logs.max())
    shares = shares / shares.sum()
    return shares, np.prod(shares[seen] ** -shares[seen])


def tones_loop(p, p_given, scale):
    weights = [b**scale * a ** (1 - scale) if a > 0 else 0.0 for a, b in zip(p, p_given, strict=True)]
    shares = [w / sum(weights) for w in weights]
    return shares, 2 ** -sum(s * math.log2(s) for s in shares if s > 0)


def tones_softmax(p, p_given, scale):
    logits = scale * (p_given - p)
    e = np.exp(logits)
    shares = p * e / (p * e).sum()
    return shares, effective_number(shares)


LIBRARY = {
    "CHAIN": library_chain,
    "BATCH": "in the library the training loop, the forward process and the objective do this together.",
    "RECALL": precision_and_recall,
    "TONES": "the library has no function for the shares; the notebook compares its `effective_number`.",
}
RIGHT = {
    "CHAIN": {"one sum": chain, "float32": chain_float32, "guidance on the noise": chain_eps},
    "BATCH": {"a loop": batch_by_loop, "assigned": batch_assigned},
    "RECALL": {"loops": pr_by_loop, "squares": pr_squared},
    "TONES": {"logarithms": tones_logs, "a loop": tones_loop},
}
WRONG = {
    "CHAIN": {
        "no words guessed once": chain_lazy,
        "clipped to 0 .. 1": lambda *args: chain(*args, limit=0.9),
        "x clipped as well": lambda *args: chain(*args, between=lambda x: np.clip(x, -1, 1)),
        "the result clipped": chain_to,
        "the guess with words clipped before": chain_half_clipped,
        "scale less 1": lambda g, a, x, w, n, scale, times: chain(g, a, x, w, n, scale - 1, times),
        "the last step is left out": lambda g, a, x, w, n, s, times: chain(g, a, x, w, n, s, times[:-1]),
        "every time between": lambda g, a, x, w, n, s, times: chain(
            g, a, x, w, n, s, range(times[0], times[-1] - 1, -1)
        ),
    },
    "BATCH": {
        "hidden by place in the table": batch_of_table,
        "one time for all": batch_one_time,
        "start token lost": batch_wrong(lambda x, tokens, *args: (x, np.roll(tokens, 1, axis=1))),
        "the picture without noise": batch_wrong(lambda x, tokens, images, *args: (images[args[2]], tokens)),
        "all hidden": batch_wrong(lambda x, tokens, images, rows, empty, *args: (x, np.array([empty] * len(x)))),
    },
    "RECALL": {
        "one neighbour more": lambda real, drawn, k: (
            pr_wrong(more=1)(real, drawn, k) if k + 1 < min(len(real), len(drawn)) else (0.0, 0.0)
        ),
        "sums of differences": pr_wrong(distance=lambda d: abs(d).sum(-1)),
        "the largest difference": pr_wrong(distance=lambda d: abs(d).max(-1)),
        "in all balls": pr_wrong(reduce=lambda inside: inside.all(1).mean()),
        "share of pairs": pr_wrong(reduce=lambda inside: inside.mean()),
        "centres that hold a point": pr_wrong(reduce=lambda inside: inside.any(0).mean()),
        "radii among both sets": pr_wrong(mixed=True),
    },
    "TONES": {
        "softmax of differences": tones_softmax,
        "power of the shares with words": lambda p, q, s: (
            q**s / (q**s).sum(),
            effective_number(q**s / (q**s).sum()),
        ),
        "one scale too many": lambda p, q, s: tones_logs(p, q, s + 1),
        "variety of the shares with words": lambda p, q, s: (tones_logs(p, q, s)[0], effective_number(q)),
        "the ratio upside down": lambda p, q, s: tones_logs(p, q, -s),
    },
}
