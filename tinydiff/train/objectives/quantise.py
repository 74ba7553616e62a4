"""Quantise: pictures through codes. The training of an autoencoder with a codebook, or with FSQ."""

import warnings
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_number, checks_arguments, xp_of
from tinydiff.functional import (
    codebook_loss,
    codebook_loss_backward,
    codebook_usage,
    commitment_loss,
    commitment_loss_backward,
    mae,
    mae_backward,
)
from tinydiff.networks import QuantisedAutoencoder
from tinydiff.nn import Gradients, Tape, VectorQuantiser
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.order import shuffled
from tinydiff.train.pictures import check_pictures, checksum, psnr
from tinydiff.workers import map_shards

COLLAPSED = 0.1  # of all codes; a codebook whose perplexity is below is said to have collapsed


@checks_arguments("__init__")
@dataclass(frozen=True)
class QuantiseConfig(ValidatedConfig):
    """How an autoencoder with codes is trained: the settings of every validated run, and three for a codebook.

    FSQ has no use for the three.

    Parameters
    ----------
    commitment : float
        Weight of the commitment loss (Eq. VQ-COMMIT), a mean over all numbers.
    codebook_decay : float or None
        Decay of the averages that codes are (Eq. VQ-EMA); None trains codes with the codebook loss (Eq. VQ-BOOK).
    restart_below : float or None
        A code whose average count in a batch is below begins anew at a random vector of the batch (Eq. VQ-RESTART);
        None restarts no code. Without averages it must be None.
    """

    micro_batch: int | None = 8
    commitment: float = 0.25
    codebook_decay: float | None = 0.99
    restart_below: float | None = 1.0

    def __post_init__(self):
        super().__post_init__()
        check_number("commitment", self.commitment, 0, 1e6)
        if self.codebook_decay is not None:
            check_number("codebook_decay", self.codebook_decay, 0, 1 - 1e-9)
        if self.restart_below is not None:
            check_number("restart_below", self.restart_below, 0, 1e9)
            if self.codebook_decay is None:
                raise InputError(
                    f"restart_below is {self.restart_below}, but codebook_decay is None, and without averages nothing "
                    "says which codes are hardly used: give restart_below None too, or a decay."
                )


@checks_arguments("__init__")
class Quantise(Objective):
    """The network learns to say a picture in codes, and to draw it from them (van den Oord et al. 2017).

    A codebook is averaged, and its codes restarted, by numbers that are summed over the shards of a batch in the places
    of gradients (`VectorQuantiser.remember`). So it has the same bits for any number of processes, and is saved with
    the weights.

    Parameters
    ----------
    network : QuantisedAutoencoder
        Trained in place.
    data : Dataset
        Training images; or what has a length, a name, ``batch(indices, xp) -> (images, labels)`` and ``describe()``,
        and perhaps draws its images when they are asked for.
    config : QuantiseConfig
    validation : Dataset or None
        Held-out images.
    """

    config: QuantiseConfig

    def __init__(self, network: QuantisedAutoencoder, data: Any, config: QuantiseConfig, validation: Any = None):
        super().__init__(network, config)
        self.phases = [Phase(network, self.add_gradient, config, before_step=self.before_step)]
        self.data, self.validation = data, validation
        self.quantiser = network.quantiser
        self.codebook = self.quantiser if isinstance(self.quantiser, VectorQuantiser) else None  # FSQ learns no codes
        self.is_averaged = self.codebook is not None and config.codebook_decay is not None
        height, width, _ = network.config.latent_shape
        self.positions = height * width  # of a picture, each with a code
        check_pictures("data", data, network.config.shape)
        if validation is not None:
            check_pictures("validation", validation, network.config.shape)
        if self.is_averaged:
            self._check_restarts()

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss."""
        config, network, noise = self.config, self.network, self.noise(step, shard)
        x_0, _ = self.data.batch(self.indices(step)[config.part(shard)], noise.xp)
        share = len(x_0) / config.batch

        tape = Tape(noise)
        z = network.encode(x_0, tape)
        z_q, indices = self.quantiser.forward(z, tape)  # Eq. VQ-1 or FSQ-1
        x_hat = network.decode(z_q, tape)
        loss, cache = mae(x_hat, x_0)
        d_x_hat, _ = mae_backward(share, cache)
        d_z_q = network.decode_backward(d_x_hat, tape, grads)
        dz = self.quantiser.backward(d_z_q, tape, grads)  # straight-through, Eq. VQ-ST or FSQ-2
        if self.codebook is not None:
            committed, committed_cache = commitment_loss(z, z_q)  # Eq. VQ-COMMIT
            d_committed, _ = commitment_loss_backward(config.commitment * share, committed_cache)
            loss, dz = loss + config.commitment * committed, dz + d_committed
            loss = loss + self._learn_codes(self.codebook, z, indices, step, shard, grads)
        network.encode_backward(dz, tape, grads)
        self.quantiser.count(indices, grads)
        return share * loss

    def _learn_codes(self, codebook, z, indices, step, shard, grads):
        """Add what these vectors have to say of the codes to `grads`; return the codebook loss, where there is one."""
        if self.is_averaged:
            codebook.remember(z, indices, grads, self._candidates(codebook, z, step, shard))  # Eq. VQ-EMA
            return 0
        loss, cache = codebook_loss(codebook.codebook.value, z, indices)  # Eq. VQ-BOOK
        d_codebook, _, _ = codebook_loss_backward(len(z) / self.config.batch, cache)
        grads.add(codebook.codebook, d_codebook)
        return loss

    def _candidates(self, codebook, z, step, shard):
        """Return for each code the random vector of the batch that it may be restarted with; 0 if it is not in here."""
        config, xp, vectors = self.config, xp_of(z), z.reshape(-1, z.shape[-1])
        per_image = len(vectors) // len(z)
        noise = Noise(config.seed, step=step, xp=xp)
        chosen = noise.integers(0, config.batch * per_image - 1, codebook.codes, "restart")
        chosen -= config.part(shard).start * per_image
        is_here = (0 <= chosen) & (chosen < len(vectors))
        return xp.where(is_here[:, None], vectors[xp.where(is_here, chosen, 0)], 0)

    def before_step(self, step: int, grads: Gradients, ok: Array) -> None:
        """Take the sums over the batch out of its gradient; average and restart codes, and count how they are used."""
        config, seen = self.config, (step + 1) * self.config.batch
        if self.codebook is not None and config.codebook_decay is not None:
            self.codebook.average(grads, config.codebook_decay, config.restart_below, ok)
        ends_epoch = seen // len(self.data) > (seen - config.batch) // len(self.data)
        before = self.quantiser.usage() if ends_epoch else None
        self.quantiser.end_of_batch(grads, ends_epoch, ok)
        if ends_epoch:
            self._say_if_collapsed(before, seen // len(self.data))

    def _say_if_collapsed(self, before, epoch):
        """Say so where an epoch was worth few codes, unless it was so in the epoch before.

        The perplexity decides: over an epoch in which codes and vectors move, many codes are used once in passing.
        """
        usage, codes = self.quantiser.usage(), self.quantiser.codes
        if usage is None or usage[1] >= COLLAPSED * codes or (before is not None and before[1] < COLLAPSED * codes):
            return
        if self.codebook is None:
            remedy = "lower the learning rate, or take fewer levels"
        elif self.config.restart_below:
            remedy = "raise restart_below, lower the learning rate, or use FSQ (quantiser fsq)"
        else:
            remedy = "set restart_below, so that unused codes begin anew, lower the learning rate, or use FSQ"
        warnings.warn(
            f"The codebook has collapsed: in epoch {epoch:,}, {usage[0]:,} of {codes:,} codes were used, with a "
            f"perplexity of {usage[1]:.1f}, less than {COLLAPSED:.0%} of them: {remedy}.",
            stacklevel=2,
        )

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: every epoch is a new random order of all."""
        return shuffled(len(self.data), self.config.batch, step, self.config.seed)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return figures on held-out images: the L1 loss, the PSNR in decibels, and how many of the codes they use."""
        (network,), data = networks, self.validation
        if data is None:
            return {}
        n, xp = min(self.config.validation_images, len(data)), xp_of(network.theta)
        x_0, _ = data.batch(np.arange(n), xp)
        indices = map_shards(network.to_indices, (x_0,), self.config.shard_size)
        x_hat = map_shards(network.from_indices, (indices,), self.config.shard_size)
        used, perplexity = codebook_usage(xp.bincount(indices.reshape(-1), minlength=network.quantiser.codes))
        return {
            "validation_loss": float(mae(x_hat, x_0)[0]),
            "psnr": psnr(x_hat, x_0),
            "validation_codes_used": used,
            "validation_perplexity": perplexity,
        }

    def trained(self, *networks: Any) -> QuantisedAutoencoder:
        """Return the network with the average of its weights; how often codes were used is counted, and no average."""
        network = networks[0].bind(networks[0].theta.copy())
        network.quantiser.uses.value[...] = self.quantiser.uses.value
        return network

    def measure(self) -> dict[str, float]:
        """Return how many codes were used in the last whole epoch, and their perplexity (Eq. VQ-USE)."""
        usage = self.quantiser.usage()
        return {} if usage is None else {"codes_used": usage[0], "perplexity": usage[1]}

    def identity(self) -> dict[str, Any]:
        """Return the shape of the network, and the data with a checksum."""
        shape = {"network": asdict(self.network.config)}
        return {**shape, **self.about(), "checksum of the data": self._checksum}

    @cached_property
    def _checksum(self) -> int:
        """That of the data, computed once, since each checkpoint holds it."""
        return checksum(self.data)

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many images there are."""
        return {"data": self.data.name, "images": len(self.data)}

    def _check_restarts(self):
        below, mean = self.config.restart_below, self.config.batch * self.positions / self.quantiser.codes
        if below is not None and below >= mean:
            raise InputError(
                f"restart_below is {below}, but a batch of {self.config.batch} pictures, each with {self.positions} "
                f"vectors, has {mean:.3g} for each of the {self.quantiser.codes:,} codes, so that most would always "
                "begin anew: give a smaller restart_below, fewer codes, or a larger batch."
            )
