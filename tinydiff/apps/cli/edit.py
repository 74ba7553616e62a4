"""The command ``tinydiff edit``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydiff import plot
from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName
from tinydiff.base import check_count, check_shape, select_device, to_numpy, writable_folder, xp_of
from tinydiff.models import DiffusionModel, Request, fill_in, fills_in, image_to_image, inpaint, load
from tinydiff.models.pictures import read_image, read_mask, to_pictures


@dataclass(frozen=True)
class Edit:
    """Edit a picture (PNG): draw it anew from a prompt, or a part of it."""

    image: Path
    """The picture, in colour (RGB) or grey (L)."""
    mask: Path | None = None
    """A picture of the same size, black (0) where the first stays as it is, white (255) where it is drawn anew."""
    strength: float = 0.6
    """Without a mask: how much noise is added, from 0 (nothing changes) to 1 (nothing stays)."""
    model: str = "avatars"
    """A model that ships with tinydiff, or a folder."""
    n: int = 8
    """How many variants."""
    seed: int = 0
    """The same seed gives the same pictures."""
    label: int | None = None
    """Which class, for a model that knows classes; without it, none: the picture alone says what is drawn."""
    prompt: str | None = None
    """What the pictures should show, in words."""
    negative: str = ""
    """What they should not show."""
    guidance: float | None = None
    """How strongly the class or the prompt is followed; without it, 2, or 1 for a model that knows neither."""
    steps: int = 50
    """Of the whole chain."""
    sampler: SamplerName = "ddim"
    """Which sampler; with a mask, for a model that was trained to fill in, as others draw a part by DDPM alone."""
    resample: int = 5
    """With a mask, for a model that was not trained to fill in: how often each step is taken, so that what is drawn
    fits what is kept."""
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
        guidance = self.guidance
        if guidance is None:
            guidance = 1.0 if model.null_context() is None else 2.0
        request = Request(
            seed=self.seed, labels=self.label, prompt=self.prompt, negative=self.negative, guidance=guidance
        )
        images = xp_of(model.network.theta).asarray(np.repeat(original, self.n, axis=0))
        bar = ProgressBar()
        if self.mask is None:
            edited = image_to_image(model, images, request, self.strength, self.sampler, self.steps, bar)
        else:
            known = read_mask(self.mask)
            check_shape("mask", known, (1, *original.shape[1:3], 1))
            mask = xp_of(model.network.theta).asarray(known)
            if fills_in(model):
                edited = fill_in(model, images, mask, request, self.sampler, self.steps, bar)
            else:
                edited = inpaint(model, images, mask, request, self.steps, self.resample, bar)
        writable_folder(self.out)
        pictures = np.concatenate([original, to_numpy(edited)])
        labels = ["before", *("after",) * self.n]
        grid = plot.image_grid(pictures, len(pictures), labels=labels, title=" ".join((self.prompt or "").split()))
        print(f"Edited {self.image} in {self.n} ways: {plot.save_image(grid, self.out / 'edited.png')}")
