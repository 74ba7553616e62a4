"""AdamW, gradient clipping, the learning rate and the average of the weights, on flat vectors."""

import math
from dataclasses import dataclass

from tinydiff.base import Array, check_number, xp_of
from tinydiff.workers import pieces

PIECE_BYTES = 2**17  # computed at once: eight arrays of this size fit into a core's cache


@dataclass
class AdamW:
    """Adam with decoupled weight decay (Eq. ADAMW-1; Loshchilov and Hutter 2019, arXiv 1711.05101).

    Parameters
    ----------
    theta : array
        The parameters, changed in place.
    decay_mask : array or None
        1 where weight decay acts, 0 elsewhere; None: it acts everywhere.
    betas : (float, float)
        Decay of the first and of the second moment.
    eps : float
    weight_decay : float
        Share of a weight that is taken away per step, in units of the learning rate.
    """

    theta: Array
    decay_mask: Array | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self):
        xp = xp_of(self.theta)
        self.m, self.v, self.steps = xp.zeros_like(self.theta), xp.zeros_like(self.theta), 0
        for i, beta in enumerate(self.betas):
            check_number(f"betas[{i}]", beta, 0, 1 - 1e-9)

    def step(self, g: Array, lr: float, ok: Array = True, ema: Array | None = None, decay: float = 0.0) -> None:
        """Take one step against the gradient g, and move the average of the weights in the same pass.

        Parameters
        ----------
        g : array, shape of theta
        lr : float
        ok : bool, or boolean array without axes
            Where it is false, nothing changes; no value is read back from a GPU.
        ema : array, shape of theta, or None
            Moved towards the new theta, see `update_ema`.
        decay : float
            Decay of the average.
        """
        xp = xp_of(self.theta, g, ema)
        self.steps += 1
        beta_1, beta_2 = (xp.where(ok, beta, 1).astype(self.theta.dtype) for beta in self.betas)
        lr = xp.where(ok, lr, 0).astype(self.theta.dtype)
        for piece in pieces(xp, len(g), self.theta.itemsize, PIECE_BYTES):
            self._step(piece, xp.where(ok, g[piece], 0), lr, beta_1, beta_2)
            if ema is not None:
                update_ema(ema[piece], self.theta[piece], decay, ok)

    def _step(self, piece, g, lr, beta_1, beta_2):
        xp = xp_of(self.theta)
        theta, m, v = self.theta[piece], self.m[piece], self.v[piece]
        m *= beta_1
        m += (1 - beta_1) * g
        g *= g
        g *= 1 - beta_2
        v *= beta_2
        v += g
        denominator = v * (1 / (1 - self.betas[1] ** self.steps))  # v_hat
        xp.sqrt(denominator, out=denominator)
        denominator += self.eps
        if self.weight_decay:
            decay = self.weight_decay if self.decay_mask is None else self.weight_decay * self.decay_mask[piece]
            theta -= lr * decay * theta
        update = m * (lr / (1 - self.betas[0] ** self.steps))  # lr m_hat
        update /= denominator
        theta -= update


def clip_by_global_norm(g: Array, largest: float) -> Array:
    """Scale g, in place, so that its norm is at most `largest`; return the norm it had (Eq. CLIP-1)."""
    xp = xp_of(g)
    norm = xp.sqrt(xp.dot(g, g))
    g *= xp.minimum(1.0, largest / (norm + 1e-12)).astype(g.dtype)
    return norm


def learning_rate(step: int, steps: int, peak: float, warmup: int = 0, final: float = 0.0) -> float:
    """Return the learning rate of step 1 .. steps: a linear warm-up to `peak`, then a half cosine (Eq. LR-1).

    Parameters
    ----------
    step, steps : int
    peak : float
    warmup : int
        Steps until the peak.
    final : float
        Learning rate at the end, as a share of the peak.
    """
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


def ema_decay(step: int, decay: float) -> float:
    """Return the decay at a step, from 1: ``min(decay, (1 + step) / (10 + step))``, a warm-up (Eq. EMA-2).

    With a constant decay the average would remember the random initial weights for 1 / (1 - decay) steps, and early
    samples would be noise.
    """
    return min(decay, (1 + step) / (10 + step))


def update_ema(ema: Array, theta: Array, decay: float, ok: Array = True) -> None:
    """Move the average towards theta, in place, where ok: ``ema = decay ema + (1 - decay) theta`` (Eq. EMA-1)."""
    ema += (1 - decay) * xp_of(ema, theta).where(ok, theta - ema, 0)
