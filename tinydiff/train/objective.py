"""What a run minimises: an objective, which says its phases, and for one micro-batch the loss and its gradient."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, Memo, Noise, xp_of
from tinydiff.nn import Gradients, Module
from tinydiff.train.config import TrainConfig


@dataclass(frozen=True)
class Phase:
    """One turn of a step: a network moves against the gradient of a loss, which is a sum over shards.

    Parameters
    ----------
    network : Module
        Whose weights move.
    add_gradient : callable
        ``add_gradient(step, shard, grads) -> loss`` adds the gradient of one shard, of its share of the batch, and
        returns its share of the loss. With a `join` it is a generator: it yields what the join should see, and is sent
        the join's answer.
    settings : TrainConfig
        Learning rate, betas, weight decay, clipping, the average of the weights; batch and micro-batch say how many
        shards there are.
    name : str
        Tells the phases of an objective apart, in the log and in checkpoints; an objective with one phase needs none.
    join : callable or None
        ``join(step, yielded, grads) -> (loss, answers)``, for a loss that looks at all shards at once: `yielded` has
        what each shard yielded, `answers` what each shard is sent, such as the gradient in what it yielded. What
        belongs to no shard is added to `grads` here.
    after_step : callable or None
        Called without arguments after each step of the optimizer, for example to bound a weight.
    in_order : bool
        Add the shards one after the other, computed by threads, and not in lanes (see `LaneSum`). With a join it is so
        in any case.
    memo : Memo or None
        What is derived from weights that stand still from step to step, for a phase in order.
    """

    network: Module
    add_gradient: Callable[..., Any]
    settings: TrainConfig
    name: str = ""
    join: Callable[[int, list, Gradients], tuple[Array, Sequence]] | None = None
    after_step: Callable[[], None] | None = None
    in_order: bool = False
    memo: Memo | None = None


class Objective:
    """What is minimised. A subclass says `add_gradient`, and overrides of the rest what it needs.

    The common case has one network and one phase; an objective with several sets `phases` itself.

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
        """Return the phases of step 0, 1, ... in their order: all of them, unless an objective says otherwise."""
        return self.phases

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Any:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss."""
        raise NotImplementedError

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return figures on held-out samples, of the averaged network of each phase; none where none are held out.

        The best model is kept by ``"validation_loss"``, if that is among them.
        """
        return {}

    def measure(self) -> dict[str, float]:
        """Return what the log should say besides losses and rates."""
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the bits of the run besides its configuration: to go on, a run must have the same."""
        return {}

    def about(self) -> dict[str, Any]:
        """Return what a trained model's config.json should say of where it comes from."""
        return {}

    def trained(self, *networks: Any) -> Any:
        """Return the result, made of the averaged network of each phase."""
        return networks[0]

    def noise(self, step: int, shard: int = 0) -> Noise:
        """Return the source of the random numbers of a shard."""
        first = shard * self.config.shard_size
        return Noise(self.config.seed, first=first, step=step, xp=xp_of(self.network.theta))
