"""Answers to the exercises of notebook 04."""

import math

import numpy as np

from tinydiff.diffusion import GaussianDiffusion, eps_weight, normal_kl, prior_term, simple_loss, step_term


def weight_of_image(alpha_bar_s, alpha_bar_t):
    """The error of the noise is that of the image times a / b."""

    def one(s, t):
        return eps_weight(GaussianDiffusion(np.array([1.0, s, t])), 2) * t / (1 - t)

    return np.vectorize(one)(alpha_bar_s, alpha_bar_t)


def price(predict, alpha_bar, x_0, eps):
    diffusion, x_0 = GaussianDiffusion(alpha_bar), x_0[:, None]

    def both(x_t, t, context):
        x_0_hat = predict(x_t[:, 0], int(t[0]))[:, None]
        return x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat)

    steps = [step_term(both, diffusion, x_0, t, eps[t - 1][:, None]) for t in range(1, diffusion.T + 1)]
    return prior_term(diffusion, x_0) + sum(steps)


def loss(network, alpha_bar, x_0, t, eps):
    return simple_loss(lambda x_t, t, context: network(x_t, t), GaussianDiffusion(alpha_bar), x_0, t, eps)


def kl_by_loops(mean_1, variance_1, mean_2, variance_2):
    found = []
    for one, other in zip(mean_1, mean_2, strict=True):
        total = 0.0
        for m_1, m_2 in zip(one, other, strict=True):
            total += math.log(math.sqrt(variance_2 / variance_1)) - 0.5
            total += (variance_1 + (m_1 - m_2) ** 2) / (2 * variance_2)
        found.append(total)
    return found


def kl_of_vectors(m_1, v_1, m_2, v_2):
    D, d = m_1.shape[1], m_2 - m_1
    return 0.5 * (D * np.log(v_2 / v_1) + D * (v_1 / v_2 - 1) + np.einsum("nd,nd->n", d, d) / v_2)


def price_another_way(predict, alpha_bar, x_0, eps):
    """The divergence of a step by the error of the image, and the image by -log of its density."""
    T, a_T = len(alpha_bar) - 1, alpha_bar[-1]
    total = (a_T * x_0**2 - a_T - np.log(1 - a_T)) / 2
    for t in range(T, 0, -1):
        a_s, a_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - a_t / a_s
        x_t = np.sqrt(a_t) * x_0 + np.sqrt(1 - a_t) * eps[t - 1]
        error = (x_0 - predict(x_t, t)) ** 2
        if t > 1:
            r = (1 - a_s) / (1 - a_t)
            total = total + a_s * beta / (2 * (1 - a_t) ** 2) * error + (r - 1 - np.log(r)) / 2
        else:
            total = total - np.log(np.exp(-error / (2 * beta)) / np.sqrt(2 * np.pi * beta))
    return total


def price_wrong(predict, alpha_bar, x_0, eps, variance="beta", mean_of="x_0", two_pi=True):
    total = 0.0
    for t in range(1, len(alpha_bar)):
        a_s, a_t = alpha_bar[t - 1], alpha_bar[t]
        beta = 1 - a_t / a_s
        x_t = np.sqrt(a_t) * x_0 + np.sqrt(1 - a_t) * eps[t - 1]
        error = (x_0 - predict(x_t, t if mean_of == "x_0" else t - 1)) ** 2
        if t > 1:
            r = (1 - a_s) / (1 - a_t)
            total = total + a_s * beta / (2 * (1 - a_t) ** 2) * error + (r - 1 - np.log(r)) / 2
        else:
            total = total + error / (2 * beta) + np.log((2 * np.pi if two_pi else 1) * beta) / 2
    return total + (alpha_bar[-1] * x_0**2 - alpha_bar[-1] - np.log(1 - alpha_bar[-1])) / 2


def loss_by_loop(network, alpha_bar, x_0, t, eps):
    x_t = np.stack(
        [alpha_bar[k] ** 0.5 * x + (1 - alpha_bar[k]) ** 0.5 * e for x, k, e in zip(x_0, t, eps, strict=True)]
    )
    off = (network(x_t, t) - eps).ravel()
    return float(off @ off) / off.size


def loss_transposed(network, alpha_bar, x_0, t, eps):
    a = alpha_bar[t]
    x_t = (a**0.5 * x_0.T + (1 - a) ** 0.5 * eps.T).T
    return np.square(eps - network(x_t, t)).mean()


LIBRARY = {
    "KL": lambda m_1, v_1, m_2, v_2: normal_kl(m_1, v_1, m_2, v_2).sum(axis=1),
    "PRICE": price,
    "WEIGHT": weight_of_image,
    "LOSS": loss,
}
RIGHT = {
    "KL": {
        "loops": kl_by_loops,
        "vectors": kl_of_vectors,
        "float32": lambda m_1, v_1, m_2, v_2: kl_of_vectors(m_1.astype(np.float32), v_1, m_2.astype(np.float32), v_2),
    },
    "PRICE": {
        "by the image's error": price_another_way,
        "float32": lambda predict, a, x_0, eps: price_another_way(predict, a, x_0.astype(np.float32), eps).astype("f4"),
    },
    "WEIGHT": {
        "s minus t": lambda s, t: (s - t) / 2 / (1 - t) ** 2,
        "factor squared": lambda s, t: (s**0.5 * (1 - t / s) / (1 - t)) ** 2 / (2 * (1 - t / s)),
        "from DDPM-12": lambda s, t: (1 - t / s) / (2 * (t / s) * (1 - t)) * t / (1 - t),
    },
    "LOSS": {"a loop": loss_by_loop, "transposed": loss_transposed},
}
WRONG = {
    "KL": {
        "deviations": lambda m_1, v_1, m_2, v_2: kl_of_vectors(m_1, v_1**0.5, m_2, v_2**0.5),
        "not squared": lambda m_1, v_1, m_2, v_2: kl_of_vectors(m_1, v_1, m_1, v_2) + abs(m_1 - m_2).sum(1) / (2 * v_2),
        "log of base 2": lambda m_1, v_1, m_2, v_2: kl_of_vectors(m_1, v_1, m_2, v_2) / math.log(2),
        "symmetric": lambda a, v, b, w: (kl_of_vectors(a, v, b, w) + kl_of_vectors(b, w, a, v)) / 2,
        "ratio upside down": lambda a, v, b, w: kl_of_vectors(a, v, b, w) + a.shape[1] * (w / v - v / w) / 2,
        "only the first number": lambda a, v, b, w: kl_of_vectors(a[:, :1], v, b[:, :1], w),
    },
    "PRICE": {
        "without 2 pi": lambda *args: price_wrong(*args, two_pi=False),
        "predicts at t - 1": lambda *args: price_wrong(*args, mean_of="t"),
        "one noise for all": lambda p, a, x, eps: price_another_way(p, a, x, eps[:1].repeat(len(eps), axis=0)),
        "noises in reverse order": lambda p, a, x, eps: price_another_way(p, a, x, eps[::-1]),
        "one price": lambda p, a, x, eps: price_another_way(p, a, x, eps).mean(),
        "the ELBO": lambda p, a, x, eps: -price_another_way(p, a, x, eps),
    },
    "WEIGHT": {
        "no alpha_bar_s": lambda s, t: (1 - t / s) / (2 * (1 - t) ** 2),
        "s and t swapped": lambda s, t: (t - s) / 2 / (1 - s) ** 2,
        "SNR difference": lambda s, t: (s / (1 - s) - t / (1 - t)) / 2,
        "beta of 1 - alpha_bar": lambda s, t: s * (1 - t) / (2 * (1 - t) ** 2),
        "for numbers only": lambda s, t: float((np.max(s) - np.max(t)) / 2 / (1 - np.max(t)) ** 2),
    },
    "LOSS": {
        "t for the network one too early": lambda n, a, x, t, e: loss_by_loop(lambda x_t, t: n(x_t, t - 1), a, x, t, e),
        "alpha_bar one too early": lambda n, a, x, t, e: loss_by_loop(n, np.r_[1.0, a[:-1]], x, t, e),
        "absolute values": lambda n, a, x, t, e: abs(n(loss_x_t(a, x, t, e), t) - e).mean(),
        "a loss for each sample": lambda n, a, x, t, e: (
            ((n(loss_x_t(a, x, t, e), t) - e) ** 2).reshape(len(x), -1).mean(1)
        ),
        "the sign of eps": lambda n, a, x, t, e: loss_by_loop(n, a, x, t, -e),
        "only the first sample": lambda n, a, x, t, e: loss_by_loop(n, a, x[:1], t[:1], e[:1]),
        "variances": lambda n, a, x, t, e: loss_by_loop(n, a**2, x, t, e),
        "noise not compared": lambda n, a, x, t, e: (n(loss_x_t(a, x, t, e), t) ** 2).mean(),
    },
}


def loss_x_t(alpha_bar, x_0, t, eps):
    a = alpha_bar[t]
    return (a**0.5 * x_0.T + (1 - a) ** 0.5 * eps.T).T
