"""The command ``tinydiff edit``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from tinydiff import plot
from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName, refuse_given
from tinydiff.base import Array, InputError, check_count, check_shape, select_device, to_numpy, writable_folder, xp_of
from tinydiff.models import DiffusionModel, Request, fill_in, fills_in, image_to_image, inpaint, load
from tinydiff.models.pictures import read_image, read_mask, to_pictures
from tinydiff.models.predictor import check_fits


@dataclass(frozen=True)
class Edit:
    """Edit a picture (PNG): draw it anew from a prompt, or a part of it."""

    called: ClassVar = {"images": "image"}

    image: Path
    """The picture, in colour (RGB) or grey (L)."""
    mask: Path | None = None
    """A picture of the same size, black (0) where the first stays as it is, white (255) where it is drawn anew."""
    strength: float | None = None
    """How much noise is added, from 0 (nothing changes) to 1 (nothing stays); without it, 0.6. Not with a mask."""
    model: str = "avatars"
    """A model that ships with tinydiff, or a folder."""
    n: int = 8
    """How many variants."""
    seed: int = 0
    """The same seed gives the same pictures."""
    label: int | None = None
    """Which class, for a model that knows classes; without it, none: only the picture says what is drawn."""
    prompt: str | None = None
    """What the pictures should show, in words."""
    negative: str = ""
    """What they should not show; not where guidance is 1."""
    guidance: float | None = None
    """How strongly the class or the prompt is followed; without it, 2, or 1 for a model that knows neither."""
    steps: int = 50
    """Of the whole chain."""
    sampler: SamplerName | None = None
    """Which sampler; without it, ddim. With a mask only for a model that was trained to fill in: others draw a part by
    DDPM."""
    resample: int | None = None
    """With a mask, for a model that was not trained to fill in: how often each step is taken, so that what is drawn
    fits what is kept; without it, 5."""
    out: Path = Path("samples")
    """Folder for the pictures."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Edit, save, and say where."""
        device = select_device(self.device)
        check_count("n", self.n)
        model = load(self.model, device, kind=DiffusionModel)
        original = to_pictures(model, read_image(self.image)[None])
        request = replace(self._request(model), n=self.n, size=original.shape[1:3])
        check_fits(model, request)
        xp = xp_of(model.network.theta)
        images = xp.asarray(np.repeat(original, self.n, axis=0))
        mask = None if self.mask is None else xp.asarray(self._read_mask(self.mask, original))
        self._refuse_what_is_not_used(fills=fills_in(model))
        writable_folder(self.out)
        with ProgressBar() as bar:
            edited = self._edited(model, images, mask, request, bar)
        pictures = np.concatenate([original, to_numpy(edited)])
        labels = ["before", *("after",) * self.n]
        grid = plot.image_grid(pictures, len(pictures), labels=labels, title=" ".join((self.prompt or "").split()))
        print(f"Edited {self.image} in {self.n} ways: {plot.save_image(grid, self.out / 'edited.png')}")

    def _request(self, model: DiffusionModel) -> Request:
        """Return what is asked, in the words of the library."""
        guidance = self.guidance
        if guidance is None:
            guidance = 1.0 if model.null_context() is None else 2.0
        if guidance == 1:
            idle = "it changes nothing where guidance is 1: give another --guidance, or leave it out"
            refuse_given(self, "negative", idle)
        return Request(seed=self.seed, labels=self.label, prompt=self.prompt, negative=self.negative, guidance=guidance)

    def _read_mask(self, path: Path, original: Array) -> Array:
        """Return the mask, of the picture's size, with something to draw."""
        mask = read_mask(path)
        check_shape("mask", mask, (1, *original.shape[1:3], 1))
        if mask.all():
            raise InputError("mask is black everywhere, so that nothing would be drawn: paint a part of it white.")
        return mask

    def _refuse_what_is_not_used(self, fills: bool) -> None:
        """Refuse options of another way to edit than the one that is taken."""
        if self.mask is None:
            idle = "steps are repeated only where a part is drawn: give a --mask, or leave it out"
            refuse_given(self, "resample", idle)
            return
        refuse_given(self, "strength", "with a mask, the part to draw starts from noise: leave it out")
        if fills:
            refuse_given(self, "resample", "this model was trained to fill in, and repeats no step: leave it out")
        else:
            idle = "a model that was not trained to fill in draws a part by DDPM: leave it out"
            refuse_given(self, "sampler", idle)

    def _edited(self, model: DiffusionModel, images: Array, mask: Array, request: Request, bar: ProgressBar) -> Array:
        """Return the pictures, drawn anew as a whole or in part."""
        sampler = "ddim" if self.sampler is None else self.sampler
        if mask is None:
            strength = 0.6 if self.strength is None else self.strength
            return image_to_image(model, images, request, strength, sampler, self.steps, bar)
        if fills_in(model):
            return fill_in(model, images, mask, request, sampler, self.steps, bar)
        resample = 5 if self.resample is None else self.resample
        return inpaint(model, images, mask, request, self.steps, resample, bar)
