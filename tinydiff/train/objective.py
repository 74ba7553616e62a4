"""What a run minimises: an objective gives the loss and its gradient for each micro-batch, in one or more phases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, InputError, Memo, Noise, checks_arguments, xp_of
from tinydiff.nn import Gradients, Module
from tinydiff.train.config import TrainConfig, ValidatedConfig


@checks_arguments("__init__")
@dataclass(frozen=True)
class Phase:
    """One part of a training step: one network, trained by the gradient of one loss, which is a sum over shards.

    Parameters
    ----------
    network : Module
        The network whose weights are trained.
    add_gradient : callable
        ``add_gradient(step, shard, grads) -> loss`` adds one shard's part of the gradient to `grads` and returns its
        part of the loss. With a `join` it is a generator: it yields what the join needs, receives the join's answer,
        and then adds to `grads`.
    settings : TrainConfig
        Learning rate, betas, weight decay, clipping, and the average of the weights; batch and micro-batch say how many
        shards there are. The number of steps, and when the run logs and saves, come from the objective's config.
    name : str
        Tells the phases of an objective apart, in the log and in checkpoints; an objective with one phase needs none.
    join : callable or None
        ``join(step, yielded, grads) -> (loss, answers)``, for a loss that needs the whole batch: `yielded` holds what
        each shard yielded, `answers` what each shard receives, such as the gradient with respect to what it yielded.
        A gradient that belongs to no shard is added to `grads` here.
    before_step : callable or None
        ``before_step(step, grads, ok)``, called with the gradient of the whole batch before it is clipped. A sum over
        the batch that is no gradient, such as the counts of a codebook, may have been added up in it, in the place of
        a parameter that the optimizer must not move; it is used here, and set to 0. Where `ok`, a boolean array without
        axes, is false, something was not finite, and nothing may change.
    after_step : callable or None
        Called without arguments after each step of the optimizer, for example to bound a weight.
    in_order : bool
        Whether the shards are computed by threads and added one after the other, instead of in lanes (see `LaneSum`).
        With a join they always are.
    memo : Memo or None
        Keeps arrays that are derived from weights which do not change between steps; only for a phase that has a join
        or is in order.

    Raises
    ------
    InputError
        If there is a memo, but the shards are summed in lanes.
    """

    network: Module
    add_gradient: Callable[..., Any]
    settings: TrainConfig
    name: str = ""
    join: Callable[[int, list, Gradients], tuple[Array, Sequence]] | None = None
    before_step: Callable[[int, Gradients, Array], None] | None = None
    after_step: Callable[[], None] | None = None
    in_order: bool = False
    memo: Memo | None = None

    def __post_init__(self):
        if self.memo is not None and self.join is None and not self.in_order:
            raise InputError("A memo was given, but only a phase with a join, or in order, uses one: leave it out.")


@checks_arguments("__init__", "noise", "turns")
class Objective:
    """What is minimised. A subclass defines `add_gradient`, and overrides the other methods as needed.

    Most objectives have one network and one phase. An objective with more, such as a GAN, sets `phases` itself, one for
    each network, and `turns` says which of them a step takes. Where one network learns through another, its
    `add_gradient` calls the other's backward with ``grads=None``, which returns the gradient of the input only.

    Parameters
    ----------
    network : Module
        Trained in place.
    config : TrainConfig
    """

    def __init__(self, network: Any, config: TrainConfig):
        self.network, self.config = network, config
        self.phases: Sequence[Phase] = (Phase(network, self.add_gradient, config),)

    def turns(self, step: int) -> Sequence[Phase]:
        """Return the phases that step 0, 1, ... takes, in order: all of them, unless a subclass says otherwise."""
        return self.phases

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Any:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss."""
        raise NotImplementedError

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return metrics on held-out samples, by name; without held-out samples, an empty dict.

        The networks are those of the phases, with averaged weights. The run keeps the model with the smallest
        ``"validation_loss"``, if there is such a metric.
        """
        return {}

    @property
    def validate_every(self) -> int | None:
        """Steps between two calls of `validate`; None, for a config without this setting, validates at the end only."""
        return self.config.validate_every if isinstance(self.config, ValidatedConfig) else None

    def measure(self) -> dict[str, float]:
        """Return further values for the log, by name, besides losses, gradient norms and learning rates."""
        return {}

    def remedy(self, phase: str) -> str:
        """Return what may help once the loss, or the gradient of a phase, is not finite: the end of a run's last words.

        An objective whose loss has several parts can say which of them it was.
        """
        return f"Try a smaller learning rate (lr is {self.config.lr}), a longer warm-up, or look for NaN in the data."

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of the run besides its config: a run is resumed only with the same values."""
        return {}

    def about(self) -> dict[str, Any]:
        """Return what config.json of the trained model says of its origin, such as the data."""
        return {}

    def trained(self, *networks: Any) -> Any:
        """Return the trained model, given the network of each phase with averaged weights."""
        return networks[0]

    def noise(self, step: int, shard: int = 0) -> Noise:
        """Return the source of random numbers for one shard of a step."""
        first = shard * self.config.shard_size
        return Noise(self.config.seed, first=first, step=step, xp=xp_of(self.network.theta))
