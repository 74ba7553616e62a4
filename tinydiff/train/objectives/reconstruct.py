"""Reconstruct: an image through a few latents and back, the training of the autoencoder of latent diffusion."""

import math
import zlib
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_alike,
    check_count,
    check_number,
    check_sides,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.functional import (
    adaptive_weight,
    avg_pool,
    avg_pool_backward,
    conv2d_backward,
    edge_loss,
    edge_loss_backward,
    hinge_discriminator,
    hinge_discriminator_backward,
    hinge_generator,
    hinge_generator_backward,
    kl_to_standard_normal,
    kl_to_standard_normal_backward,
    mae,
    mae_backward,
    perceptual_distance,
    perceptual_distance_backward,
    reparameterise,
)
from tinydiff.models import LatentAutoencoder, measure_latents
from tinydiff.networks import AttributeClassifier, PatchDiscriminator
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.order import shuffled
from tinydiff.train.pictures import check_pictures, checksum, pictures_in, psnr
from tinydiff.workers import map_shards

DISCRIMINATOR_BETAS = (0.5, 0.9)  # of its AdamW, as in latent diffusion: what it learns from changes all the time


@checks_arguments("__init__")
@dataclass(frozen=True)
class ReconstructConfig(ValidatedConfig):
    """How an autoencoder is trained: the settings of every validated run (`ValidatedConfig`), and eight more.

    Parameters
    ----------
    kl : float
        Weight of the KL divergence, which is a mean over all latent numbers, as the L1 loss is one over all pixels'
        numbers. Latent diffusion sums both over an image: its weight w there is ``w latents / pixels`` here, the two
        being how many numbers there are of each. Its 1e-6 is 1.7e-7 for 16 x 16 x 8 latents of 64 x 64 x 3 pixels, and
        the 1e-4 here is 6e-4 there: enough to keep the latents' size in bounds, at little cost to the images.
    equivariance : float
        Weight of the loss of half size (Eq. VAE-7): averaged latents should decode to the averaged image. It keeps
        fine detail out of the latents' fine structure, where a diffusion model would have to learn it as noise.
    edge : float
        Weight of the edge loss (Eq. EDGE-1).
    perceptual : float
        Weight of the distance of feature maps (Eq. PERC-1), which notices a face that the pixels' loss would blur.
    adversarial : float
        Weight of the discriminator's part, in units of all losses between the images (Eq. GAN-WEIGHT): at 0.5 it pulls
        half as strongly as they do at the last layer. 0 trains without a discriminator.
    adversarial_from : int
        The step, counted from 0, from which on there is one: sooner, anybody could tell the images from data.
    decoder_only : bool
        Whether the encoder stands still, so that latents stay what they are while the decoder learns to draw them
        better; for a model that was trained before.
    latent_images : int
        Over how many training images, spread evenly, mean and standard deviation of the latents are measured in the
        end; all of them, if there are not more.
    """

    kl: float = 1e-4
    equivariance: float = 0.0
    edge: float = 0.5
    perceptual: float = 0.0
    adversarial: float = 0.0
    adversarial_from: int = 0
    decoder_only: bool = False
    latent_images: int = 10_000

    def __post_init__(self):
        super().__post_init__()
        for name in ("kl", "equivariance", "edge", "perceptual", "adversarial"):
            check_number(name, getattr(self, name), 0, 1e6)
        check_count("adversarial_from", self.adversarial_from, least=0)
        if self.adversarial_from and not self.adversarial:
            raise InputError(
                f"adversarial_from is {self.adversarial_from}, but adversarial is 0: give it a weight, such as 0.5, or "
                "leave both out."
            )
        if self.decoder_only and self.weight_decay:
            raise InputError(
                f"weight_decay is {self.weight_decay}, which would move the encoder, but decoder_only is True: leave "
                "one of them out."
            )
        check_count("latent_images", self.latent_images)


@checks_arguments("__init__")
class Reconstruct(Objective):
    """The network learns to draw an image again from its latents (Rombach et al. 2022, arXiv 2112.10752, appendix G).

    With a discriminator there are two phases. In the first the autoencoder learns, also to be taken for data, in the
    second the discriminator learns to tell its images from data. Each stands still while the other moves.

    Parameters
    ----------
    model : LatentAutoencoder
        Trained in place. What its latents are standardised by is measured anew at the end.
    data : Dataset
        Training images; or what has a length, a name, ``batch(indices, xp) -> (images, labels)`` and ``describe()``,
        and perhaps draws its images when they are asked for.
    config : ReconstructConfig
    validation : Dataset or None
        Held-out images.
    features : AttributeClassifier or None
        Whose feature maps the perceptual loss compares; it stands still. Another network should judge the images later.
    discriminator : PatchDiscriminator or None
        Trained in place, from ``config.adversarial_from`` on.
    """

    config: ReconstructConfig

    def __init__(
        self,
        model: LatentAutoencoder,
        data: Any,
        config: ReconstructConfig,
        validation: Any = None,
        features: AttributeClassifier | None = None,
        discriminator: PatchDiscriminator | None = None,
    ):
        micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        super().__init__(model.network, replace(config, micro_batch=micro_batch))
        self.model, self.data, self.validation = model, data, validation
        check_pictures("data", data, model.config.shape)
        if validation is not None:
            check_pictures("validation", validation, model.config.shape)
        _check_networks(model, config, features, discriminator)
        if config.equivariance:
            check_sides("image_size", model.config.size, 2 * model.config.factor)  # the latents are halved
        self.features: Any = features
        self.discriminator: Any = discriminator
        self.parts: dict[str, Array] = {}  # of the last step's loss, for the log
        if discriminator is not None:
            settings = replace(self.config, betas=DISCRIMINATOR_BETAS, ema=None)
            self.phases = [
                Phase(model.network, self.add_gradient_against_discriminator, self.config, join=self.weigh),
                Phase(discriminator, self.add_gradient_of_discriminator, settings, "discriminator"),
            ]

    def turns(self, step: int) -> Sequence[Phase]:
        """Return the phases of a step: the discriminator's from `adversarial_from` on."""
        return self.phases if step >= self.config.adversarial_from else self.phases[:1]

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. VAE-5)."""
        x, eps, share = self._drawn(step, shard)
        tape = Tape()
        x_hat, mean, log_variance = self._forward(x, eps, tape)
        loss, d_x_hat, d_mean, d_log_variance = self._loss(x, x_hat, mean, log_variance, share, grads)
        self._backward(d_x_hat, d_mean, d_log_variance, tape, grads)
        return loss

    def add_gradient_against_discriminator(
        self, step: int, shard: int, grads: Gradients
    ) -> Generator[tuple[Array, ...], Array, None]:
        """Do the same against the discriminator; yield what its weight needs, and receive the weight (Eq. VAE-6)."""
        x, eps, share = self._drawn(step, shard)
        tape = Tape()
        x_hat, mean, log_variance = self._forward(x, eps, tape)
        loss, d_x_hat, d_mean, d_log_variance = self._loss(x, x_hat, mean, log_variance, share, grads)
        if step < self.config.adversarial_from:
            yield (loss,)
        else:
            adversarial, d_adversarial = self.deceit(x_hat, share)
            at_last_layer = [self._at_last_layer(d, tape) for d in (d_x_hat, d_adversarial)]
            weight = yield loss, adversarial, *at_last_layer  # here the shards are joined: see `weigh`
            d_x_hat = d_x_hat + weight * d_adversarial
        self._backward(d_x_hat, d_mean, d_log_variance, tape, grads)

    def weigh(self, step: int, yielded: list, grads: Gradients) -> tuple[Array, list]:
        """Return the loss of all shards, and for each the weight of the adversarial gradient (Eq. GAN-WEIGHT).

        The norms in the weight are those of the whole batch's gradients, which no shard knows.
        """
        loss, *of_discriminator = (sum(parts) for parts in zip(*yielded, strict=True))
        if not of_discriminator:
            return loss, [0.0] * len(yielded)
        adversarial, *at_last_layer = of_discriminator
        weight = self.config.adversarial * adaptive_weight(*at_last_layer)
        self.parts = {"reconstruction_loss": loss, "adversarial_loss": adversarial, "adversarial_weight": weight}
        return loss + weight * adversarial, [weight] * len(yielded)

    def add_gradient_of_discriminator(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add the gradient of telling one micro-batch from what the autoencoder makes of it (Eq. GAN-HINGE-D)."""
        x, eps, share = self._drawn(step, shard)
        x_hat, _, _ = self.network.forward(x, eps)  # no tape: the autoencoder stands still
        tape = Tape()
        real, fake = self.discriminator.forward(x, tape), self.discriminator.forward(x_hat, tape)
        loss, cache = hinge_discriminator(real, fake)
        d_real, d_fake = hinge_discriminator_backward(share, cache)
        self.discriminator.backward(d_fake, tape, grads)
        self.discriminator.backward(d_real, tape, grads)
        return share * loss

    def deceit(self, x_hat: Array, share: float) -> tuple[Array, Array]:
        """Return `share` times the loss of being told from data, and its gradient through the discriminator."""
        tape = Tape()
        loss, cache = hinge_generator(self.discriminator.forward(x_hat, tape))
        (d_logits,) = hinge_generator_backward(share, cache)
        return share * loss, self.discriminator.backward(d_logits, tape)  # no grads: it stands still

    def _at_last_layer(self, d_x_hat: Array, tape: Tape) -> Array:
        """Return the gradient of the last convolution's weights, and leave the tape as it is."""
        layer = self.network.decoder.head.layers[-1]
        _, dw, _ = conv2d_backward.bare(d_x_hat, tape[layer.path], need_dx=False)
        return dw

    def _drawn(self, step: int, shard: int) -> tuple[Array, Array, float]:
        """Return a micro-batch of images, eps ~ N(0, I) for their latents, and which share of the batch it is."""
        noise = self.noise(step, shard)
        indices = self.indices(step)[self.config.part(shard)]
        x, _ = self.data.batch(indices, noise.xp)
        eps = noise.normal((len(x), *self.model.latent_shape), "eps", dtype=x.dtype)
        return x, eps, len(indices) / self.config.batch

    def _forward(self, x: Array, eps: Array, tape: Tape) -> tuple[Array, Array, Array]:
        """Return what the network does; where the encoder stands still, its forward leaves nothing on the tape."""
        if not self.config.decoder_only:
            return self.network.forward(x, eps, tape)
        mean, log_variance = self.network.encode(x)
        z, _ = reparameterise(mean, log_variance, eps)
        return self.network.decode(z, tape), mean, log_variance

    def _backward(self, d_x_hat: Array, d_mean: Array, d_log_variance: Array, tape: Tape, grads: Gradients) -> None:
        """Add the gradient of all weights that move."""
        if self.config.decoder_only:
            self.network.decode_backward(d_x_hat, tape, grads)
        else:
            self.network.backward(d_x_hat, d_mean, d_log_variance, tape, grads)

    def _loss(
        self, x: Array, x_hat: Array, mean: Array, log_variance: Array, share: float, grads: Gradients
    ) -> tuple[Array, ...]:
        """Return `share` times the loss of a micro-batch, and its gradient in x_hat, mean and log variance."""
        config = self.config
        loss, d_x_hat = self.reconstruction(x_hat, x, share)
        kl, cache = kl_to_standard_normal(mean, log_variance)
        d_mean, d_log_variance = kl_to_standard_normal_backward(share * config.kl, cache)
        loss = loss + config.kl * kl
        if config.equivariance:
            of_half, d_mean_of_half = self.at_half_size(mean, x, share * config.equivariance, grads)
            loss, d_mean = loss + config.equivariance * of_half, d_mean + d_mean_of_half
        return share * loss, d_x_hat, d_mean, d_log_variance

    def at_half_size(self, mean: Array, x: Array, share: float, grads: Gradients) -> tuple[Array, Array]:
        """Return how far averaged latents decode from the averaged image, and `share` times its gradient (Eq. VAE-7).

        The gradient of the decoder's weights is added to `grads`.
        """
        half, pooling = avg_pool(mean)
        tape = Tape()
        loss, cache = mae(self.network.decode(half, tape), avg_pool(x)[0])
        d_x_hat, _ = mae_backward(share, cache)
        (d_mean,) = avg_pool_backward(self.network.decode_backward(d_x_hat, tape, grads), pooling)
        return loss, d_mean

    def reconstruction(self, x_hat: Array, x: Array, share: float) -> tuple[Array, Array]:
        """Return how far x_hat is from x, the sum of all losses between the two, and `share` times its gradient."""
        loss, cache = mae(x_hat, x)
        d_x_hat, _ = mae_backward(share, cache)
        if self.config.edge:
            edge, edge_cache = edge_loss(x_hat, x)
            d_of_edges, _ = edge_loss_backward(share * self.config.edge, edge_cache)
            loss, d_x_hat = loss + self.config.edge * edge, d_x_hat + d_of_edges
        if self.features is not None:
            tape = Tape()
            distance, distance_cache = perceptual_distance(self.features.maps(x_hat, tape), self.features.maps(x))
            d_maps, _ = perceptual_distance_backward(share * self.config.perceptual, distance_cache)
            d_of_maps = self.features.maps_backward(d_maps, tape)  # no grads: the features stand still
            loss, d_x_hat = loss + self.config.perceptual * distance, d_x_hat + d_of_maps
        return loss, d_x_hat

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: every epoch is a new random order of all."""
        return shuffled(len(self.data), self.config.batch, step, self.config.seed)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return figures on held-out images.

        The loss is that of training, with the same eps every time. ``psnr``, in decibels, is that of what the means
        decode to, as bytes, the squared error pooled over all images; ``kl`` is in nats for each latent number.
        """
        if self.validation is None:
            return {}
        network, n = networks[0], min(self.config.validation_images, len(self.validation))
        x, _ = self.validation.batch(np.arange(n), xp_of(network.theta))
        eps = Noise(0, xp=xp_of(x)).normal((n, *self.model.latent_shape), "validation eps", dtype=x.dtype)
        size, threads = self.config.shard_size, self.model.threads
        x_hat, mean, log_variance = map_shards(network.forward, (x, eps), size, threads)
        parts = [slice(start, start + size) for start in range(0, n, size)]  # all feature maps at once would be large
        loss = sum(float(self.reconstruction(x_hat[part], x[part], 1.0)[0]) * len(x[part]) for part in parts) / n
        kl, _ = kl_to_standard_normal(mean, log_variance)
        decoded = map_shards(network.decode, (mean,), size, threads)
        return {"validation_loss": loss + self.config.kl * float(kl), "psnr": psnr(decoded, x), "kl": float(kl)}

    def measure(self) -> dict[str, float]:
        """Return the parts of the loss and the weight between them, once there is a discriminator."""
        return {name: float(value) for name, value in self.parts.items()}

    def remedy(self, phase: str) -> str:
        """Return what may help where the loss is not finite; where it was the adversarial part, say so."""
        finite = {name: math.isfinite(value) for name, value in self.measure().items()}
        if phase != "discriminator" and (all(finite.values()) or not finite["reconstruction_loss"]):
            return super().remedy(phase)
        part = "discriminator" if phase == "discriminator" else "adversarial term"
        return (
            f"The {part} is no longer finite, the reconstruction is: give the adversarial term a smaller weight "
            f"(adversarial is {self.config.adversarial}), or let it begin later (adversarial_from is "
            f"{self.config.adversarial_from})."
        )

    def identity(self) -> dict[str, Any]:
        """Return the networks' shapes, and a checksum of the data, or of what they say of themselves."""
        others: dict[str, Any] = {}
        if self.features is not None:
            weights = zlib.crc32(to_numpy(self.features.theta).tobytes())
            others["features"] = {**asdict(self.features.config), "checksum": weights}
        if self.discriminator is not None:
            others["discriminator"] = asdict(self.discriminator.config)
        return {"network": asdict(self.model.config), **others, **self.about(), "checksum of the data": self._checksum}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many images there are."""
        return {"data": self.data.name, "images": len(self.data)}

    def trained(self, *networks: Any) -> LatentAutoencoder:
        """Return the model with the average of the weights, its latents measured over the training images."""
        if self.config.decoder_only:
            return replace(self.model, network=networks[0])  # whose latents are what they were
        model = replace(self.model, network=networks[0], mean=None, std=None)
        n = min(self.config.latent_images, len(self.data))
        spread = np.arange(n) * len(self.data) // n
        mean, std = measure_latents(model, pictures_in(self.data, spread, xp_of(self.network.theta)))
        return replace(model, mean=mean, std=std)

    @cached_property
    def _checksum(self) -> int:
        """That of the data, computed once, since each checkpoint holds it."""
        return checksum(self.data)


def _check_networks(model, config, features, discriminator):
    """Raise `InputError` unless each further network has a weight, each weight a network, and all fit together."""
    for name, network, weight in (
        ("features", features, "perceptual"),
        ("discriminator", discriminator, "adversarial"),
    ):
        value = getattr(config, weight)
        if network is None and value:
            raise InputError(f"{weight} is {value}, but {name} is None: give a network, or leave {weight} at 0.")
        if network is not None and not value:
            raise InputError(f"{name} is given, but {weight} is 0: give it a weight, such as 0.5, or leave both out.")
        if network is not None:
            check_alike(**{name: network.theta, "model": model.network.theta})
    shape = model.config.shape
    if features is not None and features.config.shape != shape:
        raise InputError(f"features reads images of shape {features.config.shape}, but the autoencoder's are {shape}.")
    if discriminator is not None and discriminator.config.in_channels != shape[-1]:
        raise InputError(
            f"discriminator.in_channels is {discriminator.config.in_channels}, but the autoencoder's images have "
            f"{shape[-1]} channels."
        )
