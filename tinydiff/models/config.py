"""The configuration of a diffusion model: everything that is needed to build it."""

import inspect
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count, checked, checks_arguments, counted, printable, shown
from tinydiff.diffusion import PATHS, SCHEDULES, TARGETS, GaussianDiffusion, GaussianPath, zero_terminal_snr
from tinydiff.diffusion.schedules import LARGEST_T
from tinydiff.networks import DiTConfig, MLPConfig, PriorConfig, TextConfig, TextToImage, UNetConfig, build
from tinydiff.networks.levels import LARGEST_WIDTH
from tinydiff.nn import weights_that_fit

CACHE_BYTES = 2 * 2**20
LARGEST_MICRO_BATCH = 2**16
POINTS_TOGETHER = 512  # of an MLP: a point is a few numbers


@checks_arguments()
@dataclass(frozen=True)
class ModelConfig:
    """Everything that is needed to build a diffusion model.

    Parameters
    ----------
    unet : UNetConfig or None
        The shape of the denoiser, if it is a UNet; without `dit` None takes ``UNetConfig()``.
    schedule : str
        One of `SCHEDULES`, such as ``"cosine"`` or ``"linear"``.
    T : int
        Number of steps of the forward process.
    kind : str
        What the network predicts, one of `TARGETS`: ``"eps"``, ``"x_0"``, ``"v"`` or ``"flow-v"``.
    text : TextConfig or None
        The text encoder, a part of the network; None for a model without text.
    class_names : tuple of str or None
        What class 0, 1, ... is called, one name for each of the denoiser's `num_classes`.
    dit : DiTConfig or None
        The shape of the denoiser, if it is a DiT.
    prior : PriorConfig or None
        The shape of the denoiser, if embeddings are drawn and not pictures, see `Prior`.
    embedding : int or None
        How many numbers the embedding of a picture has that the network is told besides a text, see `UnClip`.
    embedding_of : str or None
        The checksum of the CLIP that these embeddings are of.
    path : str
        One of `PATHS`, in what units x_t is: ``"vp"``, DDPM's, ``"straight"``, flow matching's, or ``"sub-vp"``.
    mlp : MLPConfig or None
        The shape of the denoiser, if points in a plane are drawn.
    beta_range : (float, float) or None
        The first and the last beta of a schedule that has them, such as ``"linear"``; None: those that are usual there.
    zero_snr : bool
        Whether the schedule is changed so that no signal is left at T, see `zero_terminal_snr`.
    """

    unet: UNetConfig | None = None
    schedule: str = "cosine"
    T: int = 1000
    kind: str = "v"
    text: TextConfig | None = None
    class_names: tuple[str, ...] | None = None
    dit: DiTConfig | None = None
    prior: PriorConfig | None = None
    embedding: int | None = None
    embedding_of: str | None = None
    path: str = "vp"
    mlp: MLPConfig | None = None
    beta_range: tuple[float, float] | None = None
    zero_snr: bool = False

    def __post_init__(self):
        given = [name for name in ("unet", "dit", "prior", "mlp") if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} were given, but a model has one denoiser: leave all but one out.")
        if not given:
            object.__setattr__(self, "unet", UNetConfig())
        if self.embedding is not None:
            check_count("embedding", self.embedding, most=LARGEST_WIDTH)
            if self.text is None or self.prior is not None:
                raise InputError(f"embedding is {self.embedding}, but it is told to a network that reads text.")
        elif self.embedding_of is not None:
            raise InputError(f"embedding_of is {self.embedding_of!r}, but no embedding is told: leave it out.")
        if self.prior is not None and self.text is not None:
            raise InputError("text was given, but what a prior is told of a text, a CLIP reads: leave it out.")
        self._check_process()
        if getattr(self.denoiser, "time_offset", 0) > 1:
            raise InputError(
                f"time_offset is {self.denoiser.time_offset}, but at most 1 was expected: the first step is t = 1."
            )
        channels, out_channels, classes = (
            getattr(self.denoiser, name) for name in ("in_channels", "out_channels", "num_classes")
        )
        if out_channels not in (None, channels, 2 * channels):
            raise InputError(
                f"out_channels is {out_channels}, but {self.kind} has as many channels as the image: {channels}, or "
                f"{2 * channels} with a learned variance, were expected."
            )
        if self.class_names is not None and len(self.class_names) != classes:
            raise InputError(
                f"class_names holds {counted(len(self.class_names), 'name')}, but the network knows "
                f"{counted(classes or 0, 'class', 'classes')}: "
                "give a name for each."
            )

    def _check_process(self):
        """Refuse a forward process that is none, or that no network of this kind can undo."""
        SCHEDULES[self.schedule], TARGETS[self.kind], PATHS[self.path]  # an unknown name is refused
        check_count("T", self.T, most=LARGEST_T)
        if self.beta_range is not None:
            object.__setattr__(self, "beta_range", tuple(self.beta_range))  # lists come out of JSON
            if "beta_1" not in inspect.signature(SCHEDULES[self.schedule]).parameters:
                raise InputError(
                    f"beta_range is {self.beta_range}, but the schedule {self.schedule!r} is not made of a first and a "
                    "last beta: leave it out."
                )
        if self.path == "ve":
            raise InputError(
                "path is 've', on which x_t grows as large as its noise, but a network wants numbers around 1: take "
                "'vp', which is the same process in units of its variance."
            )
        if self.kind in ("eps", "score") and self.diffusion().alpha_bar[-1] == 0:
            raise InputError(
                f"kind is {self.kind!r}, but the schedule {self.schedule!r} leaves no signal at T, where the noise "
                "says nothing of the picture: take 'v', 'x_0' or 'flow-v'."
            )

    @property
    def learns_variance(self) -> bool:
        """Whether the network has twice as many channels, of which the second half say the variance (Eq. IDDPM-15)."""
        return self.denoiser.out_channels == 2 * self.denoiser.in_channels

    @property
    def denoiser(self) -> Any:
        """The shape of the part that predicts the noise: `unet`, `dit`, `prior`, or `mlp`."""
        return next(shape for shape in (self.unet, self.dit, self.prior, self.mlp) if shape is not None)

    def with_denoiser(self, shape: UNetConfig | DiTConfig | MLPConfig) -> "ModelConfig":
        """Return this configuration with a denoiser of another shape, of the same architecture."""
        if isinstance(shape, MLPConfig):
            return replace(self, mlp=shape)
        return replace(self, dit=shape) if isinstance(shape, DiTConfig) else replace(self, unet=shape)

    def label_of(self, name: str) -> int:
        """Return the label of a class by its name, or by its number written as text.

        Where a class is called by another number than its own, such as 1 for the first, number 0, a number is a name.
        """
        names = self.class_names or ()
        if name in names:
            return names.index(name)
        named_so = [i for i, known in enumerate(names) if known.isdecimal() and known != str(i)]
        if name.isdecimal() and name.isascii() and len(name) <= 18 and not named_so:  # longer ones fit into no array
            return int(name)
        if self.text is not None:
            raise InputError(f"labels is {shown(name)}, but this model draws from text: give a prompt.")
        if self.denoiser.num_classes is None:
            raise InputError(f"labels is {shown(name)}, but this model knows no classes: leave the labels out.")
        numbers = f"0 to {self.denoiser.num_classes - 1}"
        if not names:
            raise InputError(f"labels is {shown(name)}, but this model knows its classes by number only: {numbers}.")
        known = ", ".join(map(printable, names))
        or_number = "" if named_so else f", or give its number, {numbers}"
        raise InputError(
            f"labels is {shown(name)}, but this model knows these classes: {known}. Name one of them{or_number}."
        )

    def network(self, rng: np.random.Generator | None = None) -> Any:
        """Return a new network of this shape; `rng` draws its weights."""
        with weights_that_fit():
            if self.text is None:
                return build(self.denoiser, rng)
            return TextToImage(self.denoiser, self.text, rng, embedding=self.embedding)

    def diffusion(self) -> GaussianDiffusion:
        """Return the forward process."""
        alpha_bar = SCHEDULES[self.schedule](self.T, *(() if self.beta_range is None else self.beta_range))
        alpha_bar = zero_terminal_snr(alpha_bar) if self.zero_snr else alpha_bar
        return GaussianDiffusion(alpha_bar) if self.path == "vp" else GaussianPath(alpha_bar, self.path)

    def target(self, diffusion: GaussianDiffusion, x_0: Array, eps: Array, t: Array) -> Array:
        """Return what a network of this kind should predict."""
        return TARGETS[self.kind].of(diffusion, x_0, eps, t)


@checked()
def default_micro_batch(denoiser: UNetConfig | DiTConfig | PriorConfig | MLPConfig) -> int:
    """Return how many images are computed together unless something else is asked for: 16, or 8 if they are large.

    The arrays between two layers should fit into a processor's cache: 16 if an array of 16 images at full resolution
    has at most 2 MiB. Fewer than 8 would read the weights too often; more than 16 gain little. Points are so few
    numbers that 512 are computed together.
    """
    if isinstance(denoiser, MLPConfig):
        return POINTS_TOGETHER
    bytes_of_an_image = 4 * denoiser.channels * math.prod(denoiser.size) // denoiser.patch**2
    return 16 if 16 * bytes_of_an_image <= CACHE_BYTES else 8
