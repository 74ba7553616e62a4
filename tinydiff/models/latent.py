"""Latent diffusion: a diffusion model that draws latents, and the autoencoder that turns them into pictures."""

from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, InputError, checks_arguments
from tinydiff.models.autoencoder import LatentAutoencoder
from tinydiff.models.config import ModelConfig
from tinydiff.models.diffusion import DiffusionModel, DiffusionSettings
from tinydiff.models.store import register
from tinydiff.networks import DiT, TextToImage, UNet
from tinydiff.text import Tokenizer


@checks_arguments()
@dataclass(frozen=True)
class LatentDiffusion(DiffusionModel):
    """A diffusion model whose x are standardised latents (Rombach et al. 2022, arXiv 2112.10752).

    It is asked, drawn with and edited as any other: a request names sizes of pictures, a chain walks through latents,
    and `draw` and the edits return pictures. Latents have no bounds, so that no guess is clipped.

    Parameters
    ----------
    autoencoder : LatentAutoencoder
        Whose latents the network was trained on.
    network, config, micro_batch, threads, processes, tokenizer
        As for `DiffusionModel`; sizes and channels in `config` are those of the latents.

    Raises
    ------
    InputError
        If the network and the autoencoder do not fit together.
    """

    autoencoder: LatentAutoencoder | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.autoencoder is None:
            raise InputError("autoencoder is missing, but latents need one to become pictures.")
        given: Any = self.autoencoder
        if not isinstance(given, LatentAutoencoder):
            raise InputError(f"autoencoder is of type {type(given).__name__}, but a LatentAutoencoder was expected.")
        channels, known = self.config.denoiser.in_channels, self.autoencoder.config.latent_channels
        if channels != known:
            raise InputError(f"The network draws latents of {channels} channels, but the autoencoder's have {known}.")

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pictures that it was trained on."""
        height, width = self.config.denoiser.size
        return height * self.x_factor, width * self.x_factor, self._decoder.config.in_channels

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of: by the autoencoder, and then by the network."""
        return self.config.denoiser.multiple * self.x_factor

    @property
    def x_factor(self) -> int:
        """How many times higher and wider pictures are than their latents."""
        return self._decoder.factor

    @property
    def is_bounded(self) -> bool:
        """Latents are not bounded."""
        return False

    def encode(self, pictures: Array) -> Array:
        """Return the latents of pictures (N, H, W, C) in [-1, 1]."""
        return self._decoder.encode(pictures)

    def decode(self, x: Array) -> Array:
        """Return the pictures of latents, in [-1, 1]."""
        return self._decoder.decode(x)

    def latents_of(self) -> tuple[str, str]:
        """Return what its x come from: an autoencoder, by its checksum."""
        return "autoencoder", self._decoder.checksum()

    @property
    def _decoder(self) -> LatentAutoencoder:
        assert self.autoencoder is not None
        return self.autoencoder


@register("latent-diffusion", "a latent diffusion model", LatentDiffusion)
@dataclass(frozen=True)
class LatentDiffusionSettings(DiffusionSettings):
    """What config.json says of a latent diffusion model; its autoencoder lies in a folder of its own."""

    config: ModelConfig
    micro_batch: int = 8

    @staticmethod
    def parts(model: DiffusionModel) -> dict[str, Any]:
        """Return the network, the tokenizer of a model that reads text, and the autoencoder."""
        assert isinstance(model, LatentDiffusion)
        return {**DiffusionSettings.parts(model), "autoencoder": model.autoencoder}

    def build(  # type: ignore[override]  # a model of latents has one part more
        self, network: UNet | DiT | TextToImage, autoencoder: LatentAutoencoder, tokenizer: Tokenizer | None = None
    ) -> LatentDiffusion:
        """Return the model."""
        return LatentDiffusion(network, self.config, self.micro_batch, tokenizer=tokenizer, autoencoder=autoencoder)
