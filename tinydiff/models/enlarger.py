"""Super-resolution: a diffusion model that draws large pictures of small ones, and perhaps of words."""

import math
from dataclasses import dataclass, replace
from typing import Any

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_alike,
    check_count,
    check_finite,
    check_images,
    check_number,
    check_shape,
    check_sides,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.functional import avg_pool, upsample_bilinear
from tinydiff.models.config import ModelConfig
from tinydiff.models.diffusion import DiffusionModel, DiffusionSettings
from tinydiff.models.editing import of_no_class
from tinydiff.models.parts import Progress
from tinydiff.models.request import Request
from tinydiff.models.store import register
from tinydiff.text import Tokenizer

LARGEST_FACTOR = 64


@checks_arguments()
@dataclass(frozen=True)
class Enlarger(DiffusionModel):
    """A diffusion model whose network sees a small picture, enlarged, beside x_t (Ho et al. 2021, arXiv 2106.15282).

    It is trained with small pictures that are noised, each up to another step of the forward process, which the network
    is told (noise-conditioning augmentation, section 4 there). So it does not rely on details of small pictures that
    another model draws, which are never quite like those of real ones.

    Parameters
    ----------
    factor : int
        How many times higher and wider its pictures are than the small ones.
    image_noise : float
        0 .. 1: how far along the forward process small pictures are noised, where it is not said. 0 for a network that
        was trained without that noise.
    network, config, micro_batch, threads, processes, tokenizer
        As for `DiffusionModel`; the network takes an image with as many channels as its pictures have.

    Raises
    ------
    InputError
        If the network takes no such image, or its size cannot be divided by the factor.
    """

    factor: int = 2
    image_noise: float = 0.1

    def __post_init__(self):
        super().__post_init__()
        check_count("factor", self.factor, least=2, most=LARGEST_FACTOR)
        check_number("image_noise", self.image_noise, 0, 1)
        denoiser = self.config.denoiser
        if denoiser.image_channels != denoiser.in_channels:
            raise InputError(
                f"image_channels is {denoiser.image_channels}, but {denoiser.in_channels} were expected: a small "
                "picture has as many as a large one."
            )
        if self.image_noise and not denoiser.image_time:
            raise InputError(
                f"image_noise is {self.image_noise}, but the network was made without image_time and cannot be told of "
                "noise in small pictures: give 0."
            )
        check_sides("image_size", denoiser.size, self.factor)

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of: for the network, and to have small ones."""
        return math.lcm(self.config.denoiser.multiple, self.factor)

    def check_noise(self, image_noise: float) -> None:
        """Raise `InputError` unless small pictures can be noised so far."""
        check_number("image_noise", image_noise, 0, 1)
        if image_noise and not self.config.denoiser.image_time:
            raise InputError(
                f"image_noise is {image_noise}, but a network that enlarges here was trained without that noise: leave "
                "it out."
            )

    def shrink(self, pictures: Array) -> Array:
        """Return the small pictures of large ones (N, H, W, C): averages of blocks."""
        return avg_pool(pictures, self.factor)[0]

    def beside(self, small: Array, image_time: Array, eps: Array) -> Array:
        """Return what the network sees of small pictures: noised up to their times, and enlarged (Eq. NCA-1).

        Parameters
        ----------
        small : array, shape (N, h, w, C)
        image_time : array, shape (N,)
            Steps of the forward process, 0 .. T; 0 for no noise.
        eps : array, shape of small
            Standard normal.
        """
        check_alike(small=small, eps=eps)
        check_shape("small", small, (None, None, None, None))
        check_shape("eps", eps, small.shape)
        check_shape("image_time", image_time, (len(small),))
        alpha_bar: Any = self.diffusion.alpha_bar_at(image_time)
        signal, noise = ((share**0.5).astype(small.dtype)[:, None, None, None] for share in (alpha_bar, 1 - alpha_bar))
        return upsample_bilinear(signal * small + noise * eps, self.factor)[0]

    def enlarge(
        self,
        small: Array,
        request: Request | None = None,
        sampler: str = "ddim",
        steps: int | None = 50,
        progress: Progress | None = None,
        image_noise: float | None = None,
        **options: Any,
    ) -> Array:
        """Return large pictures (N, H, W, C) of small ones; see `request_for`, and `draw` for the others."""
        return self.draw(self.request_for(small, request, image_noise), sampler, steps, progress, **options)

    def request_for(
        self, small: Array, request: Request | None = None, image_noise: float | None = None, is_noised: bool = False
    ) -> Request:
        """Return a request for large pictures of small ones.

        Parameters
        ----------
        small : array, shape (N, h, w, C)
            In [-1, 1].
        request : Request or None
            What else is asked for: a prompt, guidance, a seed.
        image_noise : float or None
            0 .. 1, how far along the forward process they are noised; None takes that of the model. A network learns
            from the noise up to how much of it it may trust; more lets it draw more by itself.
        is_noised : bool
            Whether `small` has that much noise already: the state of another model's chain, stopped early.
        """
        request = Request() if request is None else request
        level = self.image_noise if image_noise is None else image_noise
        self.check_noise(level)
        denoiser = self.config.denoiser
        check_shape("small", small, (None, None, None, denoiser.in_channels))
        n, height, width, _ = small.shape
        if request.image is not None:
            raise InputError("request holds an image, but it is to be made of the small pictures: leave it out.")
        if request.n not in (None, n):
            raise InputError(f"n is {request.n}, but there are {n} small pictures: leave it out.")
        size = (height * self.factor, width * self.factor)
        if request.size not in (None, size):
            raise InputError(f"size is {request.size}, but small pictures of {height} x {width} become {size}.")
        if not is_noised:
            check_images("small", to_numpy(small))
        else:
            check_finite("small", small)
        xp, weights = xp_of(self.network.theta), self.network.theta
        small = xp.asarray(small, dtype=weights.dtype)
        times = xp.full(n, level * self.diffusion.T)
        noise = Noise(request.seed, first=request.first, xp=xp)
        if is_noised:
            image, _ = upsample_bilinear(small, self.factor)
        else:
            image = self.beside(small, times, noise.normal(small.shape, "small picture", dtype=small.dtype))
        image_time = times if denoiser.image_time else None
        return of_no_class(self, replace(request, n=n, size=size, image=image, image_time=image_time))

    def condition(self, request: Request) -> Any:
        """Return the condition of each sample; a request without a small picture is refused."""
        if request.image is None:
            self.check_draws()
        return super().condition(request)

    def check_draws(self) -> None:
        """Raise `InputError`: it draws only from small pictures."""
        raise InputError(
            "This model enlarges pictures and draws none by itself: give it a small one, to Enlarger.enlarge or as "
            "tinydiff edit --image PICTURE."
        )


@register("enlarger", "a model that enlarges pictures", Enlarger)
@dataclass(frozen=True)
class EnlargerSettings(DiffusionSettings):
    """What config.json says of a model that enlarges pictures."""

    config: ModelConfig
    micro_batch: int = 8
    factor: int = 2
    image_noise: float = 0.1

    @classmethod
    def of(cls, model: DiffusionModel) -> "EnlargerSettings":
        """Return the settings of a model."""
        assert isinstance(model, Enlarger)
        return cls(model.config, model.micro_batch, model.factor, model.image_noise)

    def build(self, network: Any, tokenizer: Tokenizer | None = None) -> Enlarger:
        """Return the model."""
        return Enlarger(
            network,
            self.config,
            self.micro_batch,
            tokenizer=tokenizer,
            factor=self.factor,
            image_noise=self.image_noise,
        )
