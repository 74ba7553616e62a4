"""Decode: the training of unCLIP's decoder, which draws pictures of their embeddings, and of captions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Condition, InputError, Noise, check_number, check_shape, checks_arguments, xp_of
from tinydiff.data import Dataset, LatentData
from tinydiff.models import DiffusionModel, Prior, UnClip
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig


@checks_arguments("__init__")
@dataclass(frozen=True)
class DecodeConfig(DenoiseConfig):
    """How a decoder of embeddings is trained: as a diffusion model (`DenoiseConfig`), and one setting more.

    Parameters
    ----------
    condition_dropout : float
        Share of pictures that are shown without their caption: half, as in the paper, so that a picture can be drawn of
        an embedding alone.
    embedding_dropout : float
        Share of pictures that are shown without their embedding.
    """

    condition_dropout: float = 0.5
    embedding_dropout: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        check_number("embedding_dropout", self.embedding_dropout, 0, 1)


@checks_arguments("__init__")
class Decode(Denoise):
    """The network learns to undo the noise, told the embedding of the picture (Ramesh et al. 2022, section 2.1).

    Parameters
    ----------
    model : DiffusionModel
        Trained in place; its configuration says the size of an embedding, and of which CLIP.
    data : Dataset or LatentData
        Training images, with captions; for a `LatentDiffusion`, their latents.
    config : DecodeConfig
    embeddings : LatentData
        The embeddings of these images: unit vectors, as latents of 1 x 1.
    validation, validation_embeddings : as `data` and `embeddings`, or None
        Held-out images.
    prior : Prior or None
        One of the same CLIP: the trained model is then an `UnClip`.
    """

    config: DecodeConfig
    told_embeddings = True

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData,
        config: DecodeConfig,
        embeddings: LatentData,
        validation: Dataset | LatentData | None = None,
        validation_embeddings: LatentData | None = None,
        prior: Prior | None = None,
    ):
        self.prior = prior
        if config.flip:
            raise InputError("flip is True, but embeddings are those of pictures that are not mirrored: leave it out.")
        if validation is None and validation_embeddings is not None:
            raise InputError("validation_embeddings was given, but no validation, whose embeddings they are.")
        self.embeddings, self.validation_embeddings = embeddings, validation_embeddings
        super().__init__(model, data, config, validation)
        if model.config.embedding is None:
            raise InputError("The model draws of words alone, but one that is told an embedding was expected.")
        for name, of, pictures in (
            ("embeddings", embeddings, data),
            ("validation_embeddings", validation_embeddings, validation),
        ):
            if pictures is not None:
                self._check_embeddings(name, of, pictures)
        self.trained(model.network)  # a prior of another CLIP is refused now

    def context(self, indices: np.ndarray, noise: Noise) -> Condition:
        """Return captions and embeddings; of a random share the empty caption, of another one no embedding."""
        xp, n = noise.xp, len(indices)
        tokens = xp.asarray(self.conditions[indices])
        hidden = noise.uniform((n,), "label dropout") < self.config.condition_dropout
        tokens = xp.where(hidden[:, None], self.model.tokens([""]), tokens)
        shown = noise.uniform((n,), "embedding dropout") >= self.config.embedding_dropout
        return Condition(tokens=tokens, pooled=shown[:, None] * _vectors(self.embeddings, indices, xp))

    def held_out_context(self, n: int) -> Condition:
        """Return captions and embeddings of the first n held-out images; none is hidden."""
        assert self.validation_embeddings is not None
        xp = xp_of(self.network.theta)
        vectors = _vectors(self.validation_embeddings, np.arange(n), xp)
        return Condition(tokens=super().held_out_context(n), pooled=vectors)

    def trained(self, *networks: Any) -> Any:
        """Return the decoder with the average of its weights, with a prior as an `UnClip`."""
        decoder = super().trained(*networks)
        return decoder if self.prior is None else UnClip(self.prior, decoder)

    def identity(self) -> dict[str, Any]:
        """Return the model's shape, the data with checksums, and the checksums of the embeddings and of the prior."""
        of_prior = {} if self.prior is None else {"weights of the prior": self.prior.checksum()}
        return {**super().identity(), "embeddings": self.embeddings.identity(), **of_prior}

    def _check_embeddings(self, name, embeddings, pictures):
        """Raise unless these are the embeddings of these pictures, by the CLIP that the model says."""
        config = self.model.config
        if embeddings is None:
            raise InputError(f"{name} is missing, but the network is told the embedding of each picture.")
        check_shape(name, embeddings.latents, (len(pictures), 1, 1, config.embedding))
        lengths = np.sqrt((embeddings.latents.astype(np.float32) ** 2).sum(axis=-1))
        if abs(lengths - 1).max() > 0.05:  # half precision rounds
            raise InputError(f"{name} are not unit vectors: one has length {lengths.max():.3g}.")
        if embeddings.autoencoder != config.embedding_of:
            raise InputError(
                f"{name} are of the CLIP {embeddings.autoencoder}, but the model draws of those of the CLIP "
                f"{config.embedding_of}: embed the pictures with that one."
            )


def _vectors(embeddings: LatentData, indices: np.ndarray, xp: Any) -> Array:
    """Return embeddings as vectors (n, embedding)."""
    return embeddings.batch(indices, xp)[0][:, 0, 0]
