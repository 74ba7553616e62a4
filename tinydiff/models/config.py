"""The configuration of a diffusion model: everything that is needed to build it."""

import math
from dataclasses import dataclass, field

import numpy as np

from tinydiff.base import Array, InputError, check_count, checked, checks_arguments, counted, printable, shown
from tinydiff.diffusion import SCHEDULES, TARGETS, GaussianDiffusion
from tinydiff.diffusion.schedules import LARGEST_T
from tinydiff.networks import TextConfig, TextToImage, UNet, UNetConfig
from tinydiff.nn import weights_that_fit

CACHE_BYTES = 2 * 2**20
LARGEST_MICRO_BATCH = 2**16


@checks_arguments()
@dataclass(frozen=True)
class ModelConfig:
    """Everything that is needed to build a diffusion model.

    Parameters
    ----------
    unet : UNetConfig
    schedule : str
        One of `SCHEDULES`: ``"cosine"`` or ``"linear"``.
    T : int
        Number of steps of the forward process.
    kind : str
        What the network predicts, one of `TARGETS`: ``"eps"``, ``"x_0"`` or ``"v"``.
    text : TextConfig or None
        The text encoder, a part of the network; None for a model without text.
    class_names : tuple of str or None
        What class 0, 1, ... is called, one name for each of `unet.num_classes`.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    schedule: str = "cosine"
    T: int = 1000
    kind: str = "v"
    text: TextConfig | None = None
    class_names: tuple[str, ...] | None = None

    def __post_init__(self):
        SCHEDULES[self.schedule], TARGETS[self.kind]  # an unknown name is refused
        check_count("T", self.T, most=LARGEST_T)
        if self.unet.out_channels not in (None, self.unet.in_channels):
            raise InputError(
                f"out_channels is {self.unet.out_channels}, but {self.kind} has as many channels as the image: "
                f"{self.unet.in_channels} were expected."
            )
        classes = self.unet.num_classes
        if self.class_names is not None and len(self.class_names) != classes:
            raise InputError(
                f"class_names holds {counted(len(self.class_names), 'name')}, but the network knows "
                f"{counted(classes or 0, 'class', 'classes')}: "
                "give a name for each."
            )

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
        if self.unet.num_classes is None:
            raise InputError(f"labels is {shown(name)}, but this model knows no classes: leave the labels out.")
        numbers = f"0 to {self.unet.num_classes - 1}"
        if not names:
            raise InputError(f"labels is {shown(name)}, but this model knows its classes by number only: {numbers}.")
        known = ", ".join(map(printable, names))
        or_number = "" if named_so else f", or give its number, {numbers}"
        raise InputError(
            f"labels is {shown(name)}, but this model knows these classes: {known}. Name one of them{or_number}."
        )

    def network(self, rng: np.random.Generator | None = None) -> UNet | TextToImage:
        """Return a new network of this shape; `rng` draws its weights."""
        with weights_that_fit():
            return UNet(self.unet, rng) if self.text is None else TextToImage(self.unet, self.text, rng)

    def diffusion(self) -> GaussianDiffusion:
        """Return the forward process."""
        return GaussianDiffusion(SCHEDULES[self.schedule](self.T))

    def target(self, diffusion: GaussianDiffusion, x_0: Array, eps: Array, t: Array) -> Array:
        """Return what a network of this kind should predict."""
        return TARGETS[self.kind].of(diffusion, x_0, eps, t)


@checked()
def default_micro_batch(unet: UNetConfig) -> int:
    """Return how many images are computed together unless something else is asked for: 16, or 8 if they are large.

    The arrays between two layers should fit into a processor's cache: 16 if an array of 16 images at full resolution
    has at most 2 MiB. Fewer than 8 would read the weights too often; more than 16 gain little.
    """
    bytes_of_an_image = 4 * unet.channels * math.prod(unet.size)
    return 16 if 16 * bytes_of_an_image <= CACHE_BYTES else 8
