"""Answers to the exercises of problem set 5."""

import math
from itertools import pairwise

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, dpmpp_2m, heun, last, predictor
from tinydiff.train import AdamW, clip_by_global_norm, update_ema


def lion_in_place(theta, g, m, lr, weight_decay):
    sign = np.sign(m * 9 + g)
    theta *= 1 - lr * weight_decay
    theta -= lr * sign
    m += 0.01 * (g - m)


def lion(theta, g, m, lr, weight_decay):
    c = 0.9 * m + 0.1 * g
    step = np.where(c > 0, 1.0, np.where(c < 0, -1.0, 0.0))
    return [(theta - lr * step - lr * weight_decay * theta).astype(np.float32), 0.99 * m + 0.01 * g]


def weights_by_example(alpha_bar):
    """Make an error of 1 in eps_hat at x_t = 0, and see how large the others get."""
    a, b = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    x_0_hat = (0 - b) / a
    return x_0_hat**2, (a - b * x_0_hat) ** 2


def library_clipped(x_t, eps_hat, a_t, b_t, a_s, b_s):
    table = np.array([1.0, *([a_s**2] if a_s < 1 else []), a_t**2])
    predict = predictor(lambda x, t, context: eps_hat, GaussianDiffusion(table))
    x_0_hat, eps_hat = predict(x_t, np.full(len(x_t), len(table) - 1))
    return a_s * x_0_hat + b_s * eps_hat


def clipped_by_where(x_t, eps_hat, a_t, b_t, a_s, b_s):
    x_0_hat = (x_t - b_t * eps_hat) / a_t
    x_0_hat = np.where(x_0_hat > 1, 1, np.where(x_0_hat < -1, -1, x_0_hat))
    return (x_t * (b_s / b_t) + (a_s - a_t * b_s / b_t) * x_0_hat).astype(np.float32)


def library_train_step(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr):
    diffusion = GaussianDiffusion(alpha_bar)
    eps_hat, cache = forward(theta, diffusion.q_sample(x_0, t, eps), t)
    g = backward(theta, 2 * (eps_hat - eps) / eps.size, cache)
    clip_by_global_norm(g, 1.0)
    optimizer = AdamW(theta.copy(), weight_decay=0.1)
    optimizer.m, optimizer.v, optimizer.steps = m.copy(), v.copy(), k - 1
    optimizer.step(g, lr)
    ema = ema.copy()
    update_ema(ema, optimizer.theta, 0.98)
    return ((eps_hat - eps) ** 2).mean(), optimizer.theta, optimizer.m, optimizer.v, ema


def train_step_in_place(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr):
    x_t = np.stack(
        [alpha_bar[i] ** 0.5 * a + (1 - alpha_bar[i]) ** 0.5 * e for i, a, e in zip(t, x_0, eps, strict=True)]
    )
    eps_hat, cache = forward(theta, x_t, t)
    loss = np.mean(np.square(eps_hat - eps))
    g = backward(theta, (eps_hat - eps) * (2 / eps.size), cache)
    length = np.sqrt(np.vdot(g, g))
    if length > 1:
        g = g / length
    m += 0.1 * (g - m)
    v += 0.01 * (g * g - v)
    theta *= 1 - 0.1 * lr
    theta -= lr * m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.99**k)) + 1e-8)
    ema += 0.02 * (theta - ema)
    return [float(loss), theta, m, v, ema]


def train_step_in_float32(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr):
    theta, m, v, ema, x_0, eps = (a.astype(np.float32) for a in (theta, m, v, ema, x_0, eps))
    level = alpha_bar.take(t).astype(np.float32).reshape(-1, 1)
    eps_hat, cache = forward(theta, np.sqrt(level) * x_0 + np.sqrt(1 - level) * eps, t)
    g = backward(theta, 2 / np.float32(eps.size) * (eps_hat - eps), cache)
    g = g / max(1.0, float(np.linalg.norm(g)))
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * np.square(g)
    step = m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.99**k)) + 1e-8)
    theta = theta - lr * step - lr * 0.1 * theta
    return np.square(eps_hat - eps).mean(), theta, m, v, 0.98 * ema + 0.02 * theta


def wrong_step(**what):
    """Return a step of training in which one thing is otherwise."""

    def step(theta, m, v, ema, k, x_0, t, eps, alpha_bar, forward, backward, lr):
        same_t = np.full_like(t, t[0]) if "same t" in what else t
        level = alpha_bar[same_t][:, None]
        x_t = level**0.5 * x_0 + (1 - level) ** 0.5 * eps
        eps_hat, cache = forward(theta, x_t, same_t)
        wanted = x_0 if "x_0" in what else eps
        d = 2 * (eps_hat - wanted) / eps.size
        g = backward(theta, d, cache)
        if "largest" in what:
            g = g * min(1, 1 / abs(g).max())
        else:
            g = g * min(1, what.get("clip", 1) / np.linalg.norm(g))
        b_1, b_2 = what.get("betas", (0.9, 0.99))
        m, v = b_1 * m + (1 - b_1) * g, b_2 * v + (1 - b_2) * g**2
        steps = k + what.get("late", 0)
        m_hat, v_hat = m / (1 - b_1**steps), v / (1 - b_2**steps)
        new = theta - lr * (m_hat / (v_hat**0.5 + what.get("eps", 1e-8)) + what.get("decay", 0.1) * theta)
        new = new if "state" not in what else theta
        warm = min(0.98, (1 + k) / (10 + k)) if "warm" in what else 0.98
        ema = warm * ema + (1 - warm) * (ema if "no average" in what else new)
        loss = abs(eps_hat - wanted).mean() if "abs" in what else ((eps_hat - wanted) ** 2).mean()
        return loss, new, m, v, ema

    return step


def order_by_hand(sampler, exact, counts):
    x = np.log10([float(n) for n in counts])
    y = np.log10([np.max(np.abs(sampler(n) - exact)) for n in counts])
    return -np.sum((x - x.mean()) * (y - y.mean())) / np.sum((x - x.mean()) ** 2)


def order_by_lstsq(sampler, exact, counts):
    table = np.array([[np.log2(n), 1.0] for n in counts])
    found, *_ = np.linalg.lstsq(table, np.log2([abs(sampler(n) - exact).max() for n in counts]), rcond=None)
    return np.float32(-found[0])


def library_sampler(method):
    """Return a sampler of the library, with a table of alpha_bar at the given times."""

    def sampler(predict, a, b, x, times):
        table = np.concatenate([[1.0], [a(t) ** 2 for t in times[::-1]]])
        diffusion = GaussianDiffusion(table)

        def at_step(x, step, context):
            return predict(x, times[len(times) - int(step[0])])

        return last(method(at_step, diffusion, x, list(range(len(times), 1, -1)), end=1))

    return sampler


def midpoint(predict, a, b, x, times, where=0.5):
    for t, s in pairwise(times):
        middle = t + where * (s - t)
        sigma_t, sigma_m, sigma_s = (b(u) / a(u) for u in (t, middle, s))
        z = x / a(t)
        _, eps_hat = predict(x, t)
        _, eps_hat = predict(a(middle) * (z + (sigma_m - sigma_t) * eps_hat), middle)
        x = a(s) * (z + (sigma_s - sigma_t) * eps_hat)
    return x


def midpoint_of_sigma(predict, a, b, x, times):
    for t, s in pairwise(times):
        sigma_t, sigma_s = b(t) / a(t), b(s) / a(s)
        sigma_m = (sigma_t + sigma_s) / 2
        middle = 2 / np.pi * math.atan(sigma_m)
        _, eps_hat = predict(x, t)
        _, eps_hat = predict(a(middle) * (x / a(t) + (sigma_m - sigma_t) * eps_hat), middle)
        x = a(s) * (x / a(t) + (sigma_s - sigma_t) * eps_hat)
    return x.astype(np.float64)


def two_steps(predict, a, b, x, times):
    """Adams and Bashforth's method: the slope, continued by what it was a step before."""
    before = length_before = None
    for t, s in pairwise(times):
        _, eps_hat = predict(x, t)
        length = b(s) / a(s) - b(t) / a(t)
        slope = eps_hat if before is None else eps_hat + length / (2 * length_before) * (eps_hat - before)
        x, before, length_before = a(s) * (x / a(t) + length * slope), eps_hat, length
    return x


def heun_in_time(predict, a, b, x, times):
    """Heun's method for dx / dt itself, with a' = -pi b / 2 and b' = pi a / 2."""

    def speed(x, t):
        x_0_hat, eps_hat = predict(x, t)
        return np.pi / 2 * (a(t) * eps_hat - b(t) * x_0_hat)

    for t, s in pairwise(times):
        first = speed(x, t)
        x = x + (s - t) * (first + speed(x + (s - t) * first, s)) / 2
    return x


def runge_kutta(predict, a, b, x, times):
    def speed(x, t):
        x_0_hat, eps_hat = predict(x, t)
        return np.pi / 2 * (a(t) * eps_hat - b(t) * x_0_hat)

    for t, s in pairwise(times):
        h = s - t
        k_1 = speed(x, t)
        k_2 = speed(x + h / 2 * k_1, t + h / 2)
        k_3 = speed(x + h / 2 * k_2, t + h / 2)
        x = x + h / 6 * (k_1 + 2 * k_2 + 2 * k_3 + speed(x + h * k_3, s))
    return x


def ddim(predict, a, b, x, times):
    for t, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, t)
        x = a(s) * x_0_hat + b(s) * eps_hat
    return x


def euler_in_time(predict, a, b, x, times):
    for t, s in pairwise(times):
        x_0_hat, eps_hat = predict(x, t)
        x = x + (s - t) * np.pi / 2 * (a(t) * eps_hat - b(t) * x_0_hat)
    return x


def extrapolated(predict, a, b, x, times):
    """Twice the end of twice as many steps of DDIM, less the end of the others: Richardson's order 2."""
    finer = np.sort(np.concatenate([times, (times[1:] + times[:-1]) / 2]))[::-1]
    return 2 * ddim(predict, a, b, x, finer) - ddim(predict, a, b, x, times)


LIBRARY = {
    "LION": "the library has no such optimizer.",
    "WEIGHTS": "the library has no such weights.",
    "CLIPPED": library_clipped,
    "TRAIN_STEP": library_train_step,
    "ORDER": "the library does not measure orders.",
    "SAMPLER": library_sampler(heun),
}
RIGHT = {
    "LION": {"in place": lion_in_place, "where, float32": lion},
    "WEIGHTS": {
        "by an example": weights_by_example,
        "by SNR": lambda alpha_bar: (1 / (alpha_bar / (1 - alpha_bar)), 1 + (1 - alpha_bar) / alpha_bar),
    },
    "CLIPPED": {"where, float32": clipped_by_where, "the library": library_clipped},
    "TRAIN_STEP": {
        "in place": train_step_in_place,
        "float32": train_step_in_float32,
        "the library": library_train_step,
    },
    "ORDER": {"by hand": order_by_hand, "least squares, float32": order_by_lstsq},
    "SAMPLER": {
        "Heun": library_sampler(heun),
        "DPM-Solver++(2M)": library_sampler(dpmpp_2m),
        "midpoint": midpoint,
        "midpoint of sigma": midpoint_of_sigma,
        "Adams and Bashforth": two_steps,
        "Heun in time": heun_in_time,
        "order 4": runge_kutta,
        "extrapolated": extrapolated,
    },
}
WRONG = {
    "LION": {
        "sign of m": lambda theta, g, m, lr, w: (theta - lr * (np.sign(m) + w * theta), 0.99 * m + 0.01 * g),
        "c kept": lambda theta, g, m, lr, w: (lion(theta, g, m, lr, w)[0], 0.9 * m + 0.1 * g),
        "uphill": lambda theta, g, m, lr, w: (2 * theta - lion(theta, g, m, lr, w)[0], 0.99 * m + 0.01 * g),
        "no decay": lambda theta, g, m, lr, w: lion(theta, g, m, lr, 0.0),
        "m unchanged": lambda theta, g, m, lr, w: (lion(theta, g, m, lr, w)[0], m),
        "normalised": lambda theta, g, m, lr, w: (
            theta - lr * ((0.9 * m + 0.1 * g) / np.linalg.norm(0.9 * m + 0.1 * g) + w * theta),
            0.99 * m + 0.01 * g,
        ),
        "half and half": lambda theta, g, m, lr, w: (theta - lr * (np.sign(m + g) + w * theta), 0.99 * m + 0.01 * g),
    },
    "WEIGHTS": {
        "exchanged": lambda alpha_bar: (1 / alpha_bar, (1 - alpha_bar) / alpha_bar),
        "SNR": lambda alpha_bar: (alpha_bar / (1 - alpha_bar), 1 / (1 - alpha_bar)),
        "ones": lambda alpha_bar: (alpha_bar * 0 + 1, alpha_bar * 0 + 1),
        "v of x_0": lambda alpha_bar: ((1 - alpha_bar) / alpha_bar, 1 / (1 - alpha_bar)),
        "roots": lambda alpha_bar: ((1 - alpha_bar) / alpha_bar, 1 / alpha_bar**0.5),
    },
    "CLIPPED": {
        "x_s clipped": lambda x_t, e, a_t, b_t, a_s, b_s: np.clip(clipped_by_where(x_t, e, a_t, b_t, a_s, b_s), -1, 1),
        "clipped to [0, 1]": lambda x_t, e, a_t, b_t, a_s, b_s: (
            x_t * (b_s / b_t) + (a_s - a_t * b_s / b_t) * np.clip((x_t - b_t * e) / a_t, 0, 1)
        ),
        "x_t clipped": lambda x_t, *args: clipped_by_where(np.clip(x_t, -1, 1), *args),
        "not moved": lambda x_t, *args: x_t,
        "x_0_hat": lambda x_t, e, a_t, b_t, a_s, b_s: np.clip((x_t - b_t * e) / a_t, -1, 1),
        "twice": lambda x_t, e, a_t, b_t, a_s, b_s: (
            a_s * np.clip((x_t - b_t * e) / a_t, -1, 1)
            + b_s * (e + (x_t - a_t * np.clip((x_t - b_t * e) / a_t, -1, 1)) / b_t) / 2
        ),
    },
    "TRAIN_STEP": {
        "one t for all": wrong_step(**{"same t": True}),
        "predicts x_0": wrong_step(x_0=True),
        "mean of sizes as the loss": wrong_step(abs=True),
        "clipped by the largest": wrong_step(largest=True),
        "clipped to 5": wrong_step(clip=5),
        "beta_2 of 0.999": wrong_step(betas=(0.9, 0.999)),
        "beta_1 of 0.99": wrong_step(betas=(0.99, 0.99)),
        "k one more": wrong_step(late=1),
        "large epsilon": wrong_step(eps=1e-3),
        "decay of 0.01": wrong_step(decay=0.01),
        "weights that stay": wrong_step(state=True),
        "average with a warm-up": wrong_step(warm=True),
        "average that stays": wrong_step(**{"no average": True}),
        "v from before the clipping": lambda *args: (
            *library_train_step(*args)[:3],
            library_train_step(*args)[3] * 1.02,
            library_train_step(*args)[4],
        ),
    },
    "ORDER": {
        "of an error": lambda sampler, exact, counts: abs(sampler(counts[-1]) - exact).max(),
        "by ratio": lambda sampler, exact, counts: (
            np.log(abs(sampler(counts[0]) - exact).max() / abs(sampler(counts[1]) - exact).max())
            / np.log(counts[1] / counts[0])
        ),
        "whole number": lambda *args: round(order_by_hand(*args)),
        "norm": lambda sampler, exact, counts: (
            -np.polyfit(np.log(counts), np.log([np.linalg.norm(sampler(n) - exact) for n in counts]), 1)[0]
        ),
        "signed": lambda sampler, exact, counts: (
            -np.polyfit(np.log(counts), np.log([abs((sampler(n) - exact)[0]) for n in counts]), 1)[0]
        ),
        "logarithm of errors alone": lambda sampler, exact, counts: (
            -np.polyfit(counts, np.log([abs(sampler(n) - exact).max() for n in counts]), 1)[0]
        ),
    },
    "SAMPLER": {
        "DDIM, of order 1": ddim,
        "Euler in time": euler_in_time,
        "a quarter of the way": lambda *args: midpoint(*args, where=0.25),
        "half of the times": lambda predict, a, b, x, times: ddim(predict, a, b, x, times[::2]),
        "x_0_hat": lambda predict, a, b, x, times: predict(x, times[0])[0],
        "the start": lambda predict, a, b, x, times: x,
        "twice DDIM": lambda predict, a, b, x, times: ddim(
            predict, a, b, x, np.sort(np.concatenate([times, (times[1:] + times[:-1]) / 2]))[::-1]
        ),
    },
}
