"""Adversarial: a generator and a discriminator learn against each other, in turns, the training of a GAN."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from tinydiff.base import Array, InputError, check_alike, check_choice, check_number, checks_arguments, xp_of
from tinydiff.functional import (
    hinge_discriminator,
    hinge_discriminator_backward,
    hinge_generator,
    hinge_generator_backward,
)
from tinydiff.networks import Generator, PatchDiscriminator, VectorDiscriminator
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Phase
from tinydiff.train.of_data import OfData

LOSSES = ("non-saturating", "hinge")
R1_STEP = 1e-2  # how far apart the two gradients are whose difference is R1's, in units of the data


@checks_arguments("__init__")
@dataclass(frozen=True)
class AdversarialConfig(ValidatedConfig):
    """How a GAN is trained: the settings of every validated run, with other defaults, and two more.

    The optimizer forgets sooner than elsewhere, since what each of the two learns from changes all the time, and the
    learning rate stays: there is no minimum to come to rest in.

    Parameters
    ----------
    loss : str
        What the two minimise: ``"non-saturating"``, Goodfellow's, or ``"hinge"``.
    r1 : float
        Weight of the penalty on the discriminator's slope at data (Eq. GAN-R1); 0 is none.
    """

    betas: tuple[float, float] = (0.5, 0.99)
    final_lr: float = 1.0
    ema: float | None = 0.99
    clip: float | None = None
    loss: str = "non-saturating"
    r1: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_choice("loss", self.loss, LOSSES)
        check_number("r1", self.r1, 0, 1e6)


@checks_arguments("__init__")
class Adversarial(OfData):
    """A generator learns what a discriminator cannot tell from data (Goodfellow et al. 2014, Algorithm 1).

    In each step the discriminator learns to tell a batch of data from a batch of the generator's, and then the
    generator to make what it takes for data. No likelihood is computed, and none is known; there is no loss that says
    how good the pictures are, since each of the two losses is measured by the other network.

    What can go wrong has names. *Collapse*: the generator makes a few of the pictures that deceive, and leaves out the
    others. *Cycling*: it goes from one to the next, the discriminator after it, and neither comes to rest. *A
    discriminator that has won*: it tells all apart, and its loss falls to 0; then the slope that the generator learns
    from says nothing any more. `measure` logs the share that it tells apart.

    Parameters
    ----------
    network : Generator
        Trained in place.
    data : Dataset, or anything with its length, `batch()` and `name`
    config : AdversarialConfig
    discriminator : VectorDiscriminator or PatchDiscriminator
        Trained in place; r1 needs the first.
    """

    config: AdversarialConfig

    def __init__(
        self,
        network: Generator,
        data: Any,
        config: AdversarialConfig,
        discriminator: VectorDiscriminator | PatchDiscriminator,
    ):
        super().__init__(network, data, config)
        self.discriminator: Any = discriminator
        check_alike(discriminator=discriminator.theta, network=network.theta)
        reads = getattr(discriminator.config, "shape", network.config.shape)
        if config.r1 and not isinstance(discriminator, VectorDiscriminator):
            raise InputError(
                f"r1 is {config.r1}, but the discriminator's slope jumps (LeakyReLU), and the penalty needs its slope: "
                "take a VectorDiscriminator, or leave r1 at 0."
            )
        if reads != network.config.shape or discriminator.config.in_channels != network.config.in_channels:
            raise InputError(
                f"discriminator reads pictures of shape {reads} with {discriminator.config.in_channels} channels, but "
                f"the generator's are of shape {network.config.shape}."
            )
        self.told_apart: dict[int, Array] = {}  # of each shard of the last step
        self.phases = [
            Phase(discriminator, self.add_gradient_of_discriminator, replace(config, ema=None), "discriminator",
                  in_order=True),
            Phase(network, self.add_gradient, config),
        ]  # fmt: skip

    def add_gradient_of_discriminator(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add the gradient of telling data from what is made (Eq. GAN-D or GAN-HINGE-D, GAN-R1); return the loss."""
        x, noise, share = self.drawn(step, shard)
        z = noise.normal((len(x), self.network.latent), "z of the discriminator's", dtype=x.dtype)
        x_hat = self.network.forward(z)  # no tape: the generator stands still
        tape = Tape()
        real, fake = self.discriminator.forward(x, tape), self.discriminator.forward(x_hat, tape)
        if self.config.loss == "hinge":
            loss, cache = hinge_discriminator(real, fake)
            d_real, d_fake = hinge_discriminator_backward(share, cache)
            loss = share * loss
        else:
            loss = share * (_softplus(-real).mean() + _softplus(fake).mean())
            d_real, d_fake = -share / real.size * _sigmoid(-real), share / fake.size * _sigmoid(fake)
        self.discriminator.backward(d_fake, tape, grads)
        self.discriminator.backward(d_real, tape, grads)
        self.told_apart[shard] = share * 0.5 * ((real > 0).mean() + (fake < 0).mean())
        if self.config.r1:
            loss = loss + self.add_slope_penalty(x, share * self.config.r1, grads)
        return loss

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add the gradient of being taken for data (Eq. GAN-G or GAN-HINGE-G); return its part of the loss."""
        noise, part = self.noise(step, shard), self.config.part(shard)
        n = part.stop - part.start
        z = noise.normal((n, self.network.latent), "z", dtype=self.network.theta.dtype)
        tape, through = Tape(), Tape()
        fake = self.discriminator.forward(self.network.forward(z, tape), through)
        share = n / self.config.batch
        if self.config.loss == "hinge":
            loss, cache = hinge_generator(fake)
            (d_fake,) = hinge_generator_backward(share, cache)
        else:
            loss, d_fake = _softplus(-fake).mean(), -share / fake.size * _sigmoid(-fake)
        d_x_hat = self.discriminator.backward(d_fake, through)  # no grads: it stands still
        self.network.backward(d_x_hat, tape, grads)
        return share * loss

    def add_slope_penalty(self, x: Array, weight: float, grads: Gradients) -> Array:
        """Add the gradient of ``weight / 2 * mean |dD/dx|^2`` at data; return that number (Eq. GAN-R1).

        Its gradient in the weights needs the derivative of a derivative. By hand it is one difference: with u the
        slope's direction at x, held fixed, d/dtheta |dD/dx|^2 / 2 is |dD/dx| times the derivative along u of dD/dtheta,
        and so of two gradients of the weights, a small step to either side of x.

        Source: Mescheder, Geiger, Nowozin 2018 (arXiv 1801.04406), Eq. 9.
        """
        tape, xp = Tape(), xp_of(x)
        logits = self.discriminator.forward(x, tape)
        slope = self.discriminator.backward(xp.ones_like(logits), tape)
        size = xp.sqrt((slope.reshape(len(x), -1) ** 2).sum(axis=1)).reshape(-1, 1, 1, 1)
        direction = slope / xp.maximum(size, 1e-12)
        d_logits = size / (2 * R1_STEP) * (weight / len(x))
        for side in (1, -1):
            logits = self.discriminator.forward(x + side * R1_STEP * direction, tape)
            each = side * d_logits.reshape(len(x), *(1,) * (logits.ndim - 1))
            self.discriminator.backward(xp.zeros_like(logits) + each, tape, grads)
        return weight / 2 * (size * size).mean()

    def measure(self) -> dict[str, float]:
        """Return the share of a batch's data and fakes that the discriminator tells apart: 1/2 is a guess."""
        return {"told_apart": float(sum(self.told_apart.values()))} if self.told_apart else {}

    def remedy(self, phase: str) -> str:
        """Return what may help once a loss is not finite."""
        return (
            f"The two networks drove each other apart: try a smaller learning rate (lr is {self.config.lr}), or a "
            f"penalty on the discriminator's slope (r1 is {self.config.r1}), such as 1."
        )

    def identity(self) -> dict[str, Any]:
        """Return the shapes of both networks, and the data with a checksum."""
        return {**super().identity(), "discriminator": asdict(self.discriminator.config)}

    def trained(self, *networks: Any) -> Any:
        """Return the generator, which is what draws."""
        return networks[1]


def _softplus(x):
    """Return log(1 + exp(x)), without exp of a large number."""
    return xp_of(x).logaddexp(0, x)


def _sigmoid(x):
    """Return 1 / (1 + exp(-x)), the derivative of softplus, without exp of a large number."""
    return xp_of(x).exp(-_softplus(-x))
