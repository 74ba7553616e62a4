"""Answers to the exercises of notebook 09."""

import numpy as np

from tinydiff.diffusion import GaussianDiffusion
from tinydiff.train import AdamW, clip_by_global_norm, ema_decay, update_ema


def library_adamw(theta, g, m, v, k, lr, weight_decay):
    flat = np.ravel(theta).copy()
    optimizer = AdamW(flat, betas=(0.9, 0.99), weight_decay=weight_decay)
    optimizer.m, optimizer.v, optimizer.steps = np.ravel(m).copy(), np.ravel(v).copy(), k - 1
    optimizer.step(np.ravel(g).copy(), lr)
    return tuple(a.reshape(theta.shape) for a in (flat, optimizer.m, optimizer.v))


def library_clip(gradients, largest):
    flat = np.concatenate([np.ravel(g) for g in gradients])
    clip_by_global_norm(flat, largest)
    ends = np.cumsum([g.size for g in gradients])
    parts = np.split(flat, ends[:-1])
    return [part.reshape(g.shape) for part, g in zip(parts, gradients, strict=True)]


def library_ema(ema, theta, k, decay):
    update_ema(ema, theta, ema_decay(k, decay))
    return ema


def library_ddpm(x_t, eps_hat, z, alpha_bar_s, alpha_bar_t):
    process = GaussianDiffusion(np.array([1.0, alpha_bar_s, alpha_bar_t] if alpha_bar_s < 1 else [1.0, alpha_bar_t]))
    mean = process.posterior_mean_from_eps(x_t, process.T, eps_hat)
    return mean + process.beta(process.T) ** 0.5 * z if alpha_bar_s < 1 else mean


def adamw_in_place(theta, g, m, v, k, lr, weight_decay):
    m += 0.1 * (g - m)
    v *= 0.99
    v += 0.01 * g**2
    theta *= 1 - lr * weight_decay
    theta -= lr * np.sqrt(1 - 0.99**k) / (1 - 0.9**k) * m / (np.sqrt(v) + 1e-8 * np.sqrt(1 - 0.99**k))


def adamw_in_place_returned(theta, g, m, v, k, lr, weight_decay):
    adamw_in_place(theta, g, m, v, k, lr, weight_decay)
    return [theta, m, v]


def adamw(theta, g, m, v, k, lr, weight_decay):
    theta, g, m, v = (a.astype(np.float32) for a in (theta, g, m, v))
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * np.square(g)
    return theta - lr * m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.99**k)) + 1e-8) - lr * weight_decay * theta, m, v


def clip_in_place(gradients, largest):
    norm = np.sqrt(sum(np.vdot(g, g) for g in gradients))
    if norm > largest:
        for g in gradients:
            g *= largest / norm


def clip_together(gradients, largest):
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in gradients]))
    return tuple((g / max(1.0, norm / largest)).astype(np.float32) for g in gradients)


def ema_in_place(ema, theta, k, decay):
    d = min(decay, (1 + k) / (10 + k))
    ema *= d
    ema += (1 - d) * theta


def ema_by_difference(ema, theta, k, decay):
    return [a + max(1 - decay, 9 / (10 + k)) * (b - a) for a, b in zip(ema, theta, strict=True)]


def by_x_0_hat(x_t, eps_hat, z, s, t):
    x_0_hat = (x_t - np.sqrt(1 - t) * eps_hat) / np.sqrt(t)
    alpha = t / s
    mean = (np.sqrt(s) * (1 - alpha) * x_0_hat + np.sqrt(alpha) * (1 - s) * x_t) / (1 - t)
    return (mean + (s < 1) * np.sqrt(1 - alpha) * z).astype(np.float32)


def in_float64(x_t, eps_hat, z, s, t):
    beta = 1 - t / s
    new = (x_t - beta / np.sqrt(1 - t) * eps_hat) / np.sqrt(t / s)
    if s != 1:
        new = new + np.sqrt(beta) * z
    return new.tolist()


LIBRARY = {
    "ADAMW": library_adamw,
    "CLIP": library_clip,
    "EMA": library_ema,
    "FLOOR": "the library has exact denoisers, and no formula for what they cannot know.",
    "DDPM": library_ddpm,
}
RIGHT = {
    "ADAMW": {"float32": adamw, "in place": adamw_in_place, "in place, returned": adamw_in_place_returned},
    "CLIP": {"in place": clip_in_place, "together, in float32": clip_together},
    "EMA": {
        "in place": ema_in_place,
        "in place, returned": library_ema,
        "by the difference": ema_by_difference,
        "float32": lambda ema, theta, k, decay: (
            np.float32(min(decay, (1 + k) / (10 + k))) * ema.astype(np.float32)
            + np.float32(1 - min(decay, (1 + k) / (10 + k))) * theta.astype(np.float32)
        ),
    },
    "FLOOR": {
        "by the signal-to-noise ratio": lambda a, c: 1 / (1 + (1 - a) / (a * c)),
        "one less": lambda a, c: 1 - (1 - a) / (a * c + 1 - a),
        "expected squares": lambda a, c: (
            1 - 2 * (1 - a) / (a * c + 1 - a) + (1 - a) / (a * c + 1 - a) ** 2 * (a * c + 1 - a)
        ),
        "by the variance of x_0": lambda a, c: a / (1 - a) / (1 / c + a / (1 - a)),
    },
    "DDPM": {"by x_0_hat, float32": by_x_0_hat, "a list": in_float64},
}
WRONG = {
    "ADAMW": {
        "epsilon inside the root": lambda theta, g, m, v, k, lr, w: (
            theta
            - lr
            * (
                (0.9 * m + 0.1 * g) / (1 - 0.9**k) / np.sqrt((0.99 * v + 0.01 * g**2) / (1 - 0.99**k) + 1e-16)
                + w * theta
            ),
            0.9 * m + 0.1 * g,
            0.99 * v + 0.01 * g**2,
        ),
        "no epsilon": lambda theta, g, m, v, k, lr, w: (
            theta
            - lr * ((0.9 * m + 0.1 * g) / (1 - 0.9**k) / np.sqrt((0.99 * v + 0.01 * g**2) / (1 - 0.99**k)) + w * theta),
            0.9 * m + 0.1 * g,
            0.99 * v + 0.01 * g**2,
        ),
        "beta_2 of 0.999": lambda theta, g, m, v, k, lr, w: (
            *library_adamw(theta, g, m, v, k, lr, w)[:2],
            0.999 * v + 0.001 * g**2,
        ),
        "k one less": lambda theta, g, m, v, k, lr, w: library_adamw(theta, g, m, v, max(k - 1, 1), lr, w),
        "k one more": lambda theta, g, m, v, k, lr, w: library_adamw(theta, g, m, v, k + 1, lr, w),
        "corrected averages kept": lambda theta, g, m, v, k, lr, w: (
            library_adamw(theta, g, m, v, k, lr, w)[0],
            library_adamw(theta, g, m, v, k, lr, w)[1] / (1 - 0.9**k),
            library_adamw(theta, g, m, v, k, lr, w)[2],
        ),
        "no decay": lambda theta, g, m, v, k, lr, w: library_adamw(theta, g, m, v, k, lr, 0.0),
        "decay of the new weights": lambda theta, g, m, v, k, lr, w: (
            (1 - lr * w) * library_adamw(theta, g, m, v, k, lr, 0.0)[0],
            *library_adamw(theta, g, m, v, k, lr, w)[1:],
        ),
        "m and v exchanged": lambda *args: [library_adamw(*args)[i] for i in (0, 2, 1)],
        "m alone": lambda theta, g, m, v, k, lr, w: (
            theta - lr * (0.9 * m + 0.1 * g) - lr * w * theta,
            *library_adamw(theta, g, m, v, k, lr, w)[1:],
        ),
        "v forgets to square": lambda theta, g, m, v, k, lr, w: (
            *library_adamw(theta, g, m, v, k, lr, w)[:2],
            0.99 * v + 0.01 * abs(g),
        ),
        "only theta in place": lambda theta, g, m, v, k, lr, w: theta.__isub__(lr * g),
    },
    "CLIP": {
        "nothing": lambda gradients, largest: gradients,
        "the largest array": lambda gradients, largest: [
            g * min(1, largest / max(np.linalg.norm(one) for one in gradients)) for g in gradients
        ],
        "the last array is forgotten": lambda gradients, largest: [*library_clip(gradients, largest)[:2], gradients[2]],
        "norm of the first two": lambda gradients, largest: [
            g * min(1, largest / np.sqrt(sum((one**2).sum() for one in gradients[:2]))) for g in gradients
        ],
        "to length 1": lambda gradients, largest: library_clip(gradients, 1.0),
        "root twice": lambda gradients, largest: [
            g * min(1, (largest / np.sqrt(sum((one**2).sum() for one in gradients))) ** 0.5) for g in gradients
        ],
    },
    "EMA": {
        "plain mean": lambda ema, theta, k, decay: (ema + theta) / 2,
        "running mean": lambda ema, theta, k, decay: ema + (theta - ema) / k,
        "product of decays": lambda ema, theta, k, decay: (
            decay * (1 + k) / (10 + k) * ema + (1 - decay * (1 + k) / (10 + k)) * theta
        ),
        "theta in place": lambda ema, theta, k, decay: theta,
        "unchanged": lambda ema, theta, k, decay: None,
        "power": lambda ema, theta, k, decay: decay**k * ema + (1 - decay**k) * theta,
    },
    "FLOOR": {
        "0": lambda a, c: 0 * a * c,
        "data's variance": lambda a, c: c + 0 * a,
        "noise's": lambda a, c: 1 - a + 0 * c,
        "sum left out": lambda a, c: a * c / (a + 1 - a) * 1.0,
        "half": lambda a, c: a * c / (a * c + 1 - a) / 2,
        "squared": lambda a, c: (a * c / (a * c + 1 - a)) ** 2,
        "first entry": lambda a, c: np.ravel(a)[0] * c / (np.ravel(a)[0] * c + 1 - np.ravel(a)[0]) + 0 * a,
        "roots of shares": lambda a, c: 1 - ((1 - a) / (a * c + 1 - a)) ** 0.5,
    },
    "DDPM": {
        "beta_t of a single step": lambda x, e, z, s, t: library_ddpm(x, e, z, s, t) + 0.01 * z,
        "noise of the level": lambda x, e, z, s, t: library_ddpm(x, e, 0 * z, s, t) + (1 - s) ** 0.5 * z,
        "DDIM": lambda x, e, z, s, t: s**0.5 * (x - (1 - t) ** 0.5 * e) / t**0.5 + (1 - s) ** 0.5 * e,
        "noise inside the root of alpha": lambda x, e, z, s, t: (
            library_ddpm(x, e, 0 * z, s, t) + ((1 - t / s) / (t / s)) ** 0.5 * z * (s < 1)
        ),
        "no noise above 0.5": lambda x, e, z, s, t: library_ddpm(x, e, z if s < 0.5 else 0 * z, s, t),
        "x_0_hat": lambda x, e, z, s, t: (x - (1 - t) ** 0.5 * e) / t**0.5,
        "clipped": lambda x, e, z, s, t: library_ddpm(
            x, (x - t**0.5 * np.clip((x - (1 - t) ** 0.5 * e) / t**0.5, -1, 1)) / (1 - t) ** 0.5, z, s, t
        ),
    },
}
