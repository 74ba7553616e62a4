"""Contrast: which caption belongs to which picture? The training of a CLIP."""

import zlib
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_count,
    check_number,
    check_shape,
    checks_arguments,
    there_are,
    xp_of,
)
from tinydiff.data import Dataset
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.functional import contrastive_loss, contrastive_loss_backward
from tinydiff.models import ClipModel
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import TrainConfig
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.order import distinct


@checks_arguments("__init__")
@dataclass(frozen=True)
class ContrastConfig(TrainConfig):
    """How a CLIP is trained: the settings of every run (`TrainConfig`), with other defaults, and one more.

    Parameters
    ----------
    clean : float
        Share of pictures without noise; the others have the noise of a random time.
    """

    steps: int = 1600
    batch: int = 256
    micro_batch: int | None = 32
    lanes: int = 1
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.05
    ema: float | None = 0.995
    clean: float = 0.5
    log_every: int = 20
    save_every: int = 200

    def __post_init__(self):
        super().__post_init__()
        check_count("batch", self.batch, least=2)
        check_number("clean", self.clean, 0, 1)
        if self.lanes != 1:
            raise InputError(
                f"lanes is {self.lanes}, but the shards of a CLIP are added one after the other: leave it out."
            )


@checks_arguments("__init__")
class Contrast(Objective):
    """Each batch asks which caption belongs to which picture (Radford et al. 2021, arXiv 2103.00020, figure 3).

    The shards of a batch are encoded in parallel. The loss compares all pairs with all, so the shards are joined for
    it; then each computes its own backward.

    Parameters
    ----------
    clip : ClipModel
        Trained in place.
    data : Dataset
        Images with captions.
    config : ContrastConfig
    contents : integer array, shape (N,), or None
        Equal numbers where captions say the same; None compares their texts.
    """

    config: ContrastConfig

    def __init__(self, clip: ClipModel, data: Dataset, config: ContrastConfig, contents: np.ndarray | None = None):
        super().__init__(clip.network, config)
        self.phases = [
            Phase(clip.network, self.add_gradient, config, join=self.compare, after_step=clip.network.bound_scale)
        ]
        if data.captions is None:
            raise InputError("data has no captions, but a CLIP learns from pairs of picture and caption.")
        if len(data) < config.batch:
            raise InputError(f"{there_are(len(data), 'pair').capitalize()}, but a batch has {config.batch}.")
        self.clip, self.data = clip, data
        self.contents = np.unique(data.captions, return_inverse=True)[1] if contents is None else contents
        check_shape("contents", self.contents, (len(data),))
        self.tokens = clip.tokenizer.rows(data.captions, clip.network.config.text.length)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Generator[Any, Any, None]:
        """Encode a shard of pairs and yield its vectors; receive their gradients, and add those of the weights."""
        network, noise = self.network, self.noise(step, shard)
        indices = self.indices(step)[self.config.part(shard)]
        x_0, _ = self.data.batch(indices, noise.xp)
        x_t, t = partly_noised(self.clip.diffusion, x_0, self.config.clean, noise)
        tokens = noise.xp.asarray(self.tokens[indices])

        tape = Tape()
        image, text = network.encode_image(x_t, t, tape), network.encode_text(tokens, tape)
        d_image, d_text = yield image, text  # here the shards are joined: see `compare`
        network.encode_text_backward(d_text, tape, grads)
        network.encode_image_backward(d_image, tape, grads)

    def compare(self, step: int, vectors: list, grads: Gradients) -> tuple[Array, list]:
        """Return the contrastive loss of all pairs, and its gradients in each shard's vectors (Eq. NCE-1)."""
        xp, tape = xp_of(self.network.theta), Tape()
        image, text = (xp.concatenate(shards) for shards in zip(*vectors, strict=True))
        loss, cache = contrastive_loss(self.network.logits(image, text, tape))
        (d_logits,) = contrastive_loss_backward(1.0, cache)
        d_image, d_text = self.network.logits_backward(d_logits, tape, grads)  # and of the temperature
        parts = [self.config.part(shard) for shard in range(len(vectors))]
        return loss, [(d_image[part], d_text[part]) for part in parts]

    def indices(self, step: int) -> np.ndarray:
        """Return the pairs of a step: where possible no two captions say the same, since either would be right."""
        return distinct(self.contents, self.config.batch, step, self.config.seed)

    def measure(self) -> dict[str, float]:
        """Return the scale of the similarities, the inverse of the temperature."""
        value = self.network.log_scale.value
        return {"scale": float(xp_of(value).exp(value)[0])}

    def identity(self) -> dict[str, Any]:
        """Return the shape of the network, the forward process, and the data with checksums."""
        sums = [zlib.crc32(self.data.images.tobytes()), zlib.crc32("\n".join(self.data.captions or ()).encode())]
        sums.append(zlib.crc32(self.contents.tobytes()))
        shape = {"network": asdict(self.network.config), "schedule": self.clip.schedule, "T": self.clip.T}
        return {**shape, **self.about(), "checksums of the data": sums}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many pairs there are."""
        return {"data": self.data.name, "images": len(self.data)}

    def trained(self, *networks: Any) -> ClipModel:
        """Return the CLIP with the average of its weights."""
        return replace(self.clip, network=networks[0])


def partly_noised(diffusion: GaussianDiffusion, x_0: Array, clean: float, noise: Noise) -> tuple[Array, Array]:
    """Return (x_t, t): pictures with the noise of random times, and a share of them clean, at t = 0."""
    t = noise.integers(1, diffusion.T, len(x_0), "t")
    x_t = diffusion.q_sample(x_0, t, noise.normal(x_0.shape, "eps"))
    is_clean = noise.uniform((len(x_0),), "clean") < clean
    xp = noise.xp
    return xp.where(is_clean[:, None, None, None], x_0, x_t), xp.where(is_clean, 0, t)
