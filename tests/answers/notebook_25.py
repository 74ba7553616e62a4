"""Answers to the exercises of notebook 25."""

from itertools import pairwise

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, ddim, last
from tinydiff.diffusion.editing import ddim_inversion, keep_known, slerp


def library_join(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    process = GaussianDiffusion(
        np.array([1.0, alpha_bar_s, alpha_bar_t]) if alpha_bar_s < 1 else np.array([1.0, alpha_bar_t])
    )
    t = len(process.alpha_bar) - 1
    x_s = process.posterior_mean(x_0_hat, x_t, t, t - 1)
    if t > 1:
        x_s = x_s + process.posterior_variance(t, 1) ** 0.5 * eps
        known = process.q_sample(known, 1, eps_known)
    return mask * known + (1 - mask) * x_s


def library_keep(x_t, x_0_hat, eps_hat, known, mask, alpha_bar_t):
    process = GaussianDiffusion(np.array([1.0, alpha_bar_t]))
    keeping = keep_known(lambda x, t, context: (x_0_hat, eps_hat), process, known, mask)
    return keeping(x_t, np.ones(len(x_t), int))


def library_trip(predict, alpha_bar, x_0, times):
    process = GaussianDiffusion(alpha_bar)

    def of_all(x, t, context=None):
        return predict(x, int(t[0]))

    *_, (_, x_T) = ddim_inversion(of_all, process, x_0, times)
    return x_T, last(ddim(of_all, process, x_T, times))


def join_ddim(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s, known_level=None, late=False):
    """DDPM's step as DDIM's with eta = 1."""
    b_t, b_s = 1 - alpha_bar_t, 1 - alpha_bar_s
    sigma = np.sqrt(b_s / b_t * (1 - alpha_bar_t / alpha_bar_s))
    eps_hat = (x_t - np.sqrt(alpha_bar_t) * x_0_hat) / np.sqrt(b_t)
    drawn = np.sqrt(alpha_bar_s) * x_0_hat + np.sqrt(b_s - sigma**2) * eps_hat + sigma * eps
    return np.where(mask == 1, np.sqrt(alpha_bar_s) * known + np.sqrt(b_s) * eps_known, drawn)


def join_loop(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    x_s, alpha = np.empty(x_t.shape, np.float32), alpha_bar_t / alpha_bar_s
    mask = np.broadcast_to(mask, x_t.shape)
    for i in np.ndindex(x_t.shape):
        if mask[i]:
            x_s[i] = alpha_bar_s**0.5 * known[i] + (1 - alpha_bar_s) ** 0.5 * eps_known[i]
        else:
            mean = alpha_bar_s**0.5 * (1 - alpha) * x_0_hat[i] + alpha**0.5 * (1 - alpha_bar_s) * x_t[i]
            x_s[i] = mean / (1 - alpha_bar_t) + ((1 - alpha_bar_s) * (1 - alpha) / (1 - alpha_bar_t)) ** 0.5 * eps[i]
    return x_s


def join_deterministic(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    eps_hat = (x_t - alpha_bar_t**0.5 * x_0_hat) / (1 - alpha_bar_t) ** 0.5
    drawn = alpha_bar_s**0.5 * x_0_hat + (1 - alpha_bar_s) ** 0.5 * eps_hat
    return mask * (alpha_bar_s**0.5 * known + (1 - alpha_bar_s) ** 0.5 * eps_known) + (1 - mask) * drawn


def join_renoised(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    """The guess is noised anew: the right distribution at s, but not the step."""
    return alpha_bar_s**0.5 * (mask * known + (1 - mask) * x_0_hat) + (1 - alpha_bar_s) ** 0.5 * (
        mask * eps_known + (1 - mask) * eps
    )


def join_late_mean(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    right = join_ddim(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s)
    return np.where(mask == 1, alpha_bar_t**0.5 * known + (1 - alpha_bar_s) ** 0.5 * eps_known, right)


def join_of_x_t(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    right = join_ddim(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s)
    eps_t = (x_t - alpha_bar_t**0.5 * known) / (1 - alpha_bar_t) ** 0.5
    return np.where(mask == 1, alpha_bar_s**0.5 * known + (1 - alpha_bar_s) ** 0.5 * eps_t, right)


def join_whole_picture(x_t, x_0_hat, known, mask, eps, eps_known, alpha_bar_t, alpha_bar_s):
    return join_ddim(
        x_t, mask * known + (1 - mask) * x_0_hat, known, 0 * mask, eps, eps_known, alpha_bar_t, alpha_bar_s
    )


def keep_change(x_t, x_0_hat, eps_hat, known, mask, alpha_bar_t):
    """The noise changes by what the picture changes, the other way."""
    change = mask * (known - x_0_hat)
    return x_0_hat + change, eps_hat - np.sqrt(alpha_bar_t / (1 - alpha_bar_t)) * change


def keep_float32(*args):
    x_t, x_0_hat, _, known, mask = (a.astype(np.float32) for a in args[:5])
    x_0 = x_0_hat + mask * (known - x_0_hat)
    return x_0, np.divide(x_t - args[5] ** 0.5 * x_0, (1 - args[5]) ** 0.5)


def keep_wrong(change):
    def wrong(*args):
        return change(*keep_change(*args), *args)

    return wrong


def trip_recursive(predict, alpha_bar, x_0, times):
    a, b, grid, x = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar), [0, *reversed(times)], x_0
    for i in range(1, len(grid)):
        picture, noise = predict(x, grid[max(i - 1, 1)])
        x = a[grid[i]] * picture + b[grid[i]] * noise
    x_T = x
    for i in range(len(grid) - 1, 0, -1):
        picture, noise = predict(x, grid[i])
        x = a[grid[i - 1]] * picture + b[grid[i - 1]] * noise
    return x_T, x


def trip_ratio(predict, alpha_bar, x_0, times):
    """Steps written with eps alone."""

    def move(x, at, start, end):
        eps = predict(x, at)[1]
        return predict(x, at)[0] * alpha_bar[end] ** 0.5 + eps * (1 - alpha_bar[end]) ** 0.5

    x, nodes = x_0, list(times) + [0]
    for s, t in zip(nodes[:0:-1], nodes[-2::-1], strict=True):
        x = move(x, s or t, s, t)
    x_T = x
    for t, s in pairwise(nodes):
        x = move(x, t, t, s)
    return x_T.astype(np.float32), x.astype(np.float32)


def trip_x_alone(predict, alpha_bar, x_0, times):
    """A deterministic step written from x and the noise, with x_0 left to itself."""
    x_T, _ = trip_recursive(predict, alpha_bar, x_0, times)
    return x_T, x_0


def trip_noised(predict, alpha_bar, x_0, times):
    a = alpha_bar[times[0]]
    x_T = a**0.5 * x_0 + (1 - a) ** 0.5 * np.random.default_rng(0).standard_normal(x_0.shape)
    x = x_T
    for t, s in zip(times, [*times[1:], 0], strict=True):
        picture, noise = predict(x, t)
        x = alpha_bar[s] ** 0.5 * picture + (1 - alpha_bar[s]) ** 0.5 * noise
    return x_T, x


def trip_first_noise(predict, alpha_bar, x_0, times):
    """The first prediction is kept on the whole way up."""
    picture, noise = predict(x_0, times[-1])
    a = alpha_bar[times[0]]
    x = x_T = a**0.5 * picture + (1 - a) ** 0.5 * noise
    for t, s in zip(times, [*times[1:], 0], strict=True):
        picture, noise = predict(x, t)
        x = alpha_bar[s] ** 0.5 * picture + (1 - alpha_bar[s]) ** 0.5 * noise
    return x_T, x


def trip_picture(predict, alpha_bar, x_0, times):
    """The picture on the way up is the given one, not the guess."""
    x, grid = x_0, [0, *reversed(times)]
    for i in range(1, len(grid)):
        _, noise = predict(x, grid[max(i - 1, 1)])
        x = alpha_bar[grid[i]] ** 0.5 * x_0 + (1 - alpha_bar[grid[i]]) ** 0.5 * noise
    x_T = x
    for i in range(len(grid) - 1, 0, -1):
        picture, noise = predict(x, grid[i])
        x = alpha_bar[grid[i - 1]] ** 0.5 * picture + (1 - alpha_bar[grid[i - 1]]) ** 0.5 * noise
    return x_T, x


def slerp_turned(a, b, w):
    """Turn a towards b in their plane (a and b are equally long)."""
    flat_a, flat_b = a.reshape(len(a), -1), b.reshape(len(b), -1)
    out = []
    for p, q in zip(flat_a, flat_b, strict=True):
        r = np.linalg.norm(p)
        across = q - (p @ q) / r**2 * p
        angle = np.arctan2(np.linalg.norm(across), (p @ q) / r)
        out.append(np.cos(w * angle) * p + np.sin(w * angle) * r * across / np.linalg.norm(across))
    return np.reshape(out, a.shape)


def slerp_einsum(a, b, w):
    p, q = (x.reshape(len(x), -1).astype(np.float32) for x in (a, b))
    omega = np.arccos(np.einsum("nd,nd->n", p, q) / np.linalg.norm(p, axis=1) / np.linalg.norm(q, axis=1))[:, None]
    x = np.sin(omega - w * omega) / np.sin(omega) * p + np.sin(w * omega) / np.sin(omega) * q
    return x.reshape(a.shape).tolist()


def slerp_of(weights):
    def wrong(a, b, w):
        axes = tuple(range(1, a.ndim))
        omega = np.arccos((a * b).sum(axes, keepdims=True) / (a * a).sum(axes, keepdims=True))
        w_a, w_b = weights(w, omega)
        return w_a * a + w_b * b

    return wrong


def slerp_last_axis(a, b, w):
    return slerp_turned(a.reshape(-1, a.shape[-1]), b.reshape(-1, a.shape[-1]), w).reshape(a.shape)


LIBRARY = {"JOIN": library_join, "KEEP": library_keep, "TRIP": library_trip, "SLERP": slerp}
RIGHT = {
    "JOIN": {"DDIM with eta 1": join_ddim, "a loop in float32": join_loop},
    "KEEP": {"by the change": keep_change, "float32": keep_float32},
    "TRIP": {"by index": trip_recursive, "float32": trip_ratio},
    "SLERP": {"turned": slerp_turned, "einsum": slerp_einsum},
}
WRONG = {
    "JOIN": {
        "eta 0": join_deterministic,
        "noised anew": join_renoised,
        "late in the mean only": join_late_mean,
        "the noise of x_t again": join_of_x_t,
        "joined before the step": join_whole_picture,
        "only one noise": lambda *args: join_ddim(*args[:5], args[4], *args[6:]),
    },
    "KEEP": {
        "nothing kept": lambda x_t, x_0_hat, eps_hat, *rest: (x_0_hat, eps_hat),
        "noise kept where known": keep_wrong(
            lambda x_0, eps, x_t, g, e, known, mask, a: (x_0, mask * e + (1 - mask) * eps)
        ),
        "noise of the noised picture": keep_wrong(lambda x_0, eps, x_t, *rest: (x_0, x_t - x_0)),
        "the change of the noise forgotten its weight": keep_wrong(
            lambda x_0, eps, x_t, g, e, known, mask, a: (x_0, e - mask * (known - g))
        ),
    },
    "TRIP": {
        "back is x_0": trip_x_alone,
        "noise at random": trip_noised,
        "the first prediction for all": trip_first_noise,
        "the picture itself on the way up": trip_picture,
        "back first": lambda *args: trip_recursive(*args)[::-1],
    },
    "SLERP": {
        "cosines": slerp_of(lambda w, o: (np.cos(w * o), np.sin(w * o))),
        "weights of roots": slerp_of(lambda w, o: ((1 - w) ** 0.5, w**0.5)),
        "no angle in the second": slerp_of(lambda w, o: (np.sin((1 - w) * o) / np.sin(o), np.sin(w) / np.sin(o))),
        "each pixel for itself": slerp_last_axis,
        "the long way": slerp_of(
            lambda w, o: (np.sin((1 - w) * (2 * np.pi - o)) / -np.sin(o), np.sin(w * (2 * np.pi - o)) / -np.sin(o))
        ),
    },
}
