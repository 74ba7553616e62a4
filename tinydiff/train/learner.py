"""A network that learns: its gradient as a sum over shards, its optimizer, and the average of its weights."""

import math
from typing import Any

from tinydiff.base import Array, InputError, xp_of
from tinydiff.nn import Gradients
from tinydiff.train.joined import JoinedSum
from tinydiff.train.objective import Phase
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate, update_ema
from tinydiff.workers import LaneSum, share_weights


class Learner:
    """The state of one phase during a run.

    Parameters
    ----------
    phase : Phase
    steps : int
        Steps of the whole run: the learning rate falls until the last.
    threads, processes
        See `Run`.
    """

    def __init__(self, phase: Phase, steps: int, threads: int | None, processes: bool | None):
        settings, network = phase.settings, phase.network
        self.phase, self.steps, self.network = phase, steps, network
        self.prefix = f"{phase.name}_" if phase.name else ""
        self.parameters = network.parameters()
        self.gradient_sum: LaneSum | JoinedSum
        if phase.join is not None or phase.in_order:
            if processes:
                raise InputError(
                    "processes is True, but the shards of a phase with a join, or in order, are computed by threads: "
                    "leave it out."
                )
            join = None if phase.join is None else self._join
            self.gradient_sum = JoinedSum(self._add, settings.shards, network.theta, join, threads, phase.memo)
        else:
            self.gradient_sum = LaneSum(self._add, settings.shards, network.theta, settings.lanes, threads, processes)
        self.optimizer = AdamW(network.theta, network.decay_mask(), settings.betas, weight_decay=settings.weight_decay)
        self.average = None if settings.ema is None else network.theta.copy()

    @property
    def in_processes(self) -> bool:
        """Whether other processes compute shards."""
        return isinstance(self.gradient_sum, LaneSum) and self.gradient_sum.crew is not None

    def share(self) -> None:
        """Move the weights into memory that all processes share."""
        share_weights(self.network)
        self.optimizer.theta = self.network.theta

    @property
    def ema(self) -> Array:
        """The average of the weights, or the weights themselves where none is kept."""
        return self.network.theta if self.average is None else self.average

    def averaged(self) -> Any:
        """Return the network with the average of its weights."""
        return self.network if self.average is None else self.network.bind(self.average)

    def take_step(self, step: int, ok: Array) -> tuple[dict[str, Array], Array]:
        """Compute the gradient of step 0, 1, ... and take the optimizer's step; return (record, whether all is finite).

        Parameters
        ----------
        step : int
        ok : boolean array without axes
            Whether this step may change anything: everything in it was finite so far. No value is read back from a GPU.
        """
        settings, xp = self.phase.settings, xp_of(self.network.theta)
        loss, gradient = sum(self.gradient_sum(step)), self.gradient_sum.totals[0]
        ok = ok & xp.isfinite(loss)
        if self.phase.before_step is not None:
            self.phase.before_step(step, Gradients(self.parameters, gradient), ok)
        norm = clip_by_global_norm(gradient, math.inf if settings.clip is None else settings.clip)
        ok = ok & xp.isfinite(norm)
        lr = learning_rate(step + 1, self.steps, settings.lr, settings.warmup, settings.final_lr)
        self._move(gradient, lr, step, ok)
        record = {"loss": loss, "gradient_norm": norm, "lr": lr}
        return {f"{self.prefix}{name}": value for name, value in record.items()}, ok

    def _move(self, gradient, lr, step, ok):
        """Take the optimizer's step, and move the average after it."""
        ema, decay = self.phase.settings.ema, 0.0
        if ema is not None:
            decay = ema_decay(step + 1, ema) if self.phase.settings.ema_warmup else ema
        if self.phase.after_step is None:
            self.optimizer.step(gradient, lr, ok, self.average, decay)  # both in one pass through memory
            return
        self.optimizer.step(gradient, lr, ok)
        self.phase.after_step()
        if self.average is not None:
            update_ema(self.average, self.network.theta, decay, ok)

    def not_finite(self) -> str | None:
        """Return the name of a parameter whose gradient is not finite, or None."""
        xp = xp_of(self.network.theta)
        gradients = Gradients(self.parameters, self.gradient_sum.totals[0]).named()
        return next((name for name, g in gradients.items() if not bool(xp.isfinite(g).all())), None)

    def state(self) -> dict[str, Array]:
        """Return the vectors that a checkpoint keeps."""
        return {"theta": self.network.theta, "ema": self.ema, "m": self.optimizer.m, "v": self.optimizer.v}

    def resume(self, vectors: dict[str, Array], steps: int) -> None:
        """Continue from the vectors of a checkpoint, after this many steps of the optimizer."""
        for part, vector in self.state().items():
            vector[...] = xp_of(vector).asarray(vectors[part])
        self.optimizer.steps = steps

    def _add(self, shard, flat, step):
        return self.phase.add_gradient(step, shard, Gradients(self.parameters, flat))

    def _join(self, yielded, flat, step):
        assert self.phase.join is not None
        return self.phase.join(step, yielded, Gradients(self.parameters, flat))
