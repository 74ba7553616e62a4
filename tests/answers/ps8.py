"""Answers to problem set 8."""

import math
from itertools import pairwise

import numpy as np


def mask_loop(first, second, threshold):
    heat = np.zeros((*first.shape[1:4], 1))
    for one, other in zip(first, second, strict=True):
        heat += np.abs(one - other).mean(axis=-1, keepdims=True) / len(first)
    for n in range(len(heat)):
        heat[n] = (heat[n] - heat[n].min()) / np.ptp(heat[n])
    return heat, np.where(heat >= threshold, 0, 1)


def mask_einsum(first, second, threshold):
    change = np.abs(second - first).astype(np.float32)
    heat = np.einsum("knhwc->nhw", change)
    low, high = heat.reshape(len(heat), -1).min(1), heat.reshape(len(heat), -1).max(1)
    heat = ((heat - low[:, None, None]) / (high - low)[:, None, None])[..., None]
    return heat, (heat < threshold).astype(np.float32)


def mask_wrong(change):
    def wrong(first, second, threshold):
        return change(*mask_loop(first, second, threshold), first, second, threshold)

    return wrong


def mask_divided(first, second, threshold):
    heat = np.abs(first - second).mean(axis=(0, 4))[..., None]
    heat = heat / heat.max(axis=(1, 2, 3), keepdims=True)
    return heat, (heat < threshold) + 0.0


def mask_squares(first, second, threshold):
    return mask_loop(np.abs(first - second) ** 2, 0 * second, threshold)


def edited_loop(guess, alpha_bar, picture, eps, times, strength):
    times = list(filter(lambda t: t <= round(strength * (len(alpha_bar) - 1), 6), times))
    a = np.sqrt(alpha_bar).astype(np.float32)
    b = np.sqrt(1 - alpha_bar).astype(np.float32)
    x = a[times[0]] * picture + b[times[0]] * eps
    while times:
        t = times.pop(0)
        s = times[0] if times else 0
        x_0 = guess(x, t)
        x = a[s] * x_0 + b[s] / b[t] * (x - a[t] * x_0)
    return x


def edited_recursive(guess, alpha_bar, picture, eps, times, strength):
    left = [t for t in times if t <= strength * (len(alpha_bar) - 1)]

    def down(x, path):
        if not path:
            return x
        t, s = path[0], path[1] if len(path) > 1 else 0
        x_0 = guess(x, t)
        noise = (x - math.sqrt(alpha_bar[t]) * x_0) / math.sqrt(1 - alpha_bar[t])
        return down(math.sqrt(alpha_bar[s]) * x_0 + math.sqrt(1 - alpha_bar[s]) * noise, path[1:])

    return down(math.sqrt(alpha_bar[left[0]]) * picture + math.sqrt(1 - alpha_bar[left[0]]) * eps, left)


def edited_ending_early(guess, alpha_bar, picture, eps, times, strength):
    left = [t for t in times if t <= strength * (len(alpha_bar) - 1)]
    x = alpha_bar[left[0]] ** 0.5 * picture + (1 - alpha_bar[left[0]]) ** 0.5 * eps
    for t, s in pairwise(left):
        x_0 = guess(x, t)
        x = alpha_bar[s] ** 0.5 * x_0 + ((1 - alpha_bar[s]) / (1 - alpha_bar[t])) ** 0.5 * (
            x - alpha_bar[t] ** 0.5 * x_0
        )
    return x


def yes_no_loops(logits, bias):
    n = len(logits)
    loss, d = 0.0, np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            a = (logits[i, j] + bias) * (1 if i == j else -1)
            loss += (math.log1p(math.exp(-a)) if a > 0 else -a + math.log1p(math.exp(a))) / n
            p = 1 / (1 + math.exp(-a)) if a > 0 else math.exp(a) / (1 + math.exp(a))
            d[i, j] = (p - 1) * (1 if i == j else -1) / n
    return loss, d, d.sum()


def yes_no_cross_entropy(logits, bias):
    """Probability less what is true."""
    x = logits + bias
    p = np.exp(-np.logaddexp(0, -x))
    true = np.eye(len(x))
    loss = (true * np.logaddexp(0, -x) + (1 - true) * np.logaddexp(0, x)).sum() / len(x)
    d = ((p - true) / len(x)).astype(np.float32)
    return loss, d, d.sum()


def yes_no_wrong(change):
    def wrong(logits, bias):
        return change(*yes_no_loops(logits, bias), logits, bias)

    return wrong


def yes_no_unstable(logits, bias):
    z = 2 * np.eye(len(logits)) - 1
    a = z * (logits + bias)
    p = 1 / (1 + np.exp(-a))
    d = -z * (1 - p) / len(a)
    return -np.log(p).sum() / len(a), d, d.sum()


def repainted_ddim(guess, alpha_bar, x_T, known, mask, times, resample, eps_step, eps_known, eps_up):
    """DDPM's step as DDIM's with eta = 1."""
    x = x_T
    for i, t in enumerate(times):
        s = times[i + 1] if i + 1 < len(times) else 0
        a_t, b_t, a_s, b_s = (math.sqrt(v) for v in (alpha_bar[t], 1 - alpha_bar[t], alpha_bar[s], 1 - alpha_bar[s]))
        for r in range(resample if s else 1):
            if r:
                x = a_t / a_s * x + math.sqrt(1 - (a_t / a_s) ** 2) * eps_up[i, r]
            x_0 = guess(x, t)
            noise = (x - a_t * x_0) / b_t
            sigma = b_s / b_t * math.sqrt(1 - (a_t / a_s) ** 2)
            drawn = a_s * x_0 + math.sqrt(max(b_s**2 - sigma**2, 0)) * noise + sigma * eps_step[i, r]
            x = np.where(mask == 1, a_s * known + b_s * eps_known[i, r], drawn)
    return x


def repainted_float32(guess, alpha_bar, x_T, known, mask, *rest):
    floats = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in rest]
    return repainted_ddim(guess, alpha_bar, x_T.astype(np.float32), known.astype(np.float32), mask, *floats)


def repainted_with(times_noise):
    def wrong(guess, alpha_bar, x_T, known, mask, times, resample, *noises):
        return repainted_ddim(guess, alpha_bar, x_T, known, mask, times, resample, *times_noise(*noises))

    return wrong


def front_pairs(kept, fits):
    return [
        not any(
            (k >= kept[i] and f >= fits[i]) and (k, f) != (kept[i], fits[i]) for k, f in zip(kept, fits, strict=True)
        )
        for i in range(len(kept))
    ]


def front_sorted(kept, fits):
    found, best = np.zeros(len(kept), bool), -np.inf
    for k in np.unique(kept)[::-1]:
        top = fits[kept == k].max()
        if top > best:
            found |= (kept == k) & (fits == top)
            best = top
    return found


def front_broadcast(kept, fits):
    no_worse = (kept[None] >= kept[:, None]) & (fits[None] >= fits[:, None])
    better = (kept[None] > kept[:, None]) | (fits[None] > fits[:, None])
    return ~(no_worse & better).any(axis=1)


LIBRARY = {
    "MASK": "the library takes a mask and makes none.",
    "EDITED": "the library's image_to_image takes a model; notebook 25 compares it.",
    "YES_NO": "the library's CLIP asks which, and not whether.",
    "REPAINTED": "the library's repaint draws its noise itself; notebook 25 compares its steps.",
    "FRONT": "the library compares no settings.",
}
RIGHT = {
    "MASK": {"a loop": mask_loop, "einsum": mask_einsum},
    "EDITED": {"a queue": edited_loop, "recursive": edited_recursive},
    "YES_NO": {"loops": yes_no_loops, "cross-entropy": yes_no_cross_entropy},
    "REPAINTED": {"DDIM with eta 1": repainted_ddim, "float32": repainted_float32},
    "FRONT": {"pairs": front_pairs, "sorted": front_sorted, "broadcast": front_broadcast},
}
WRONG = {
    "MASK": {
        "divided by the highest only": mask_divided,
        "squares": mask_squares,
        "up to the threshold": mask_wrong(lambda heat, keep, *args: (heat, (heat <= args[2]) + 0.0)),
        "the first draw only": mask_wrong(lambda heat, keep, a, b, threshold: mask_loop(a[:1], b[:1], threshold)),
        "the first channel only": mask_wrong(lambda heat, keep, a, b, t: mask_loop(a[..., :1], b[..., :1], t)),
        "the heat's mean as threshold": mask_wrong(lambda heat, keep, *args: (heat, (heat < heat.mean()) + 0.0)),
    },
    "EDITED": {
        "without the step to 0": edited_ending_early,
        "one time less": lambda g, a, p, e, times, s: edited_recursive(g, a, p, e, times[1:], s - 0.2),
        "noise of half its size": lambda g, a, p, e, times, s: edited_recursive(g, a, p, 0.5 * e, times, s),
        "strength as a share of the steps": lambda g, a, p, e, times, s: edited_recursive(
            g, a, p, e, times[len(times) - max(1, round(s * len(times))) :], 1.0
        ),
    },
    "YES_NO": {
        "overflows": yes_no_unstable,
        "without the bias": lambda logits, bias: yes_no_loops(logits, 0.0),
        "in bits": yes_no_wrong(lambda loss, d, d_bias, *args: (loss / math.log(2), d, d_bias)),
        "d_bias of the diagonal": yes_no_wrong(lambda loss, d, d_bias, *args: (loss, d, np.trace(d))),
        "twice as strong for no": yes_no_wrong(lambda loss, d, b, *a: (loss, d * (2 - np.eye(len(d))), b)),
    },
    "REPAINTED": {
        "the same noise at each repeat": repainted_with(lambda a, b, c: (a[:, :1] + 0 * a, b, c)),
        "the known part's noise for the step": repainted_with(lambda a, b, c: (b, b, c)),
        "the first noise up": repainted_with(lambda a, b, c: (a, b, np.roll(c, 1, axis=1))),
        "no noise in the step": repainted_with(lambda a, b, c: (0 * a, b, c)),
        "no noise in the known part": repainted_with(lambda a, b, c: (a, 0 * b, c)),
        "never repeated": lambda g, a, x, k, m, times, resample, *n: repainted_ddim(g, a, x, k, m, times, 1, *n),
    },
    "FRONT": {
        "best by either": lambda kept, fits: (kept == kept.max()) | (fits == fits.max()),
        "one of equals": lambda kept, fits: front_broadcast(
            kept - 1e-9 * np.arange(len(kept)), fits - 1e-9 * np.arange(len(kept))
        ),
        "above the mean in both": lambda kept, fits: (kept >= kept.mean()) & (fits >= fits.mean()),
        "beaten ones": lambda kept, fits: ~front_broadcast(kept, fits),
    },
}
