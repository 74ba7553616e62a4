"""The command ``tinydiff edit``."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from tyro.conf import OmitArgPrefixes

from tinydiff.apps.cli.drawings import describe, save_edited
from tinydiff.apps.cli.options import (
    DeviceName,
    ProgressBar,
    SamplerName,
    labels_of,
    refuse_given,
)
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.variations import vary
from tinydiff.base import Array, InputError, Size, check_count, counted, folder_to_fill, select_device, to_numpy, xp_of
from tinydiff.functional import upsample_nearest
from tinydiff.models import (
    GUIDANCE_FOR_PROMPTS,
    DiffusionModel,
    Enlarger,
    Request,
    UnClip,
    fill_in,
    fills_in,
    image_to_image,
    inpaint,
    load,
    notes_on_words,
)
from tinydiff.models.editing import STRENGTH
from tinydiff.models.pictures import mask_for, picture_for
from tinydiff.models.predictor import check_fits
from tinydiff.plot.pictures import about_picture

RESAMPLE = 5  # unless another is asked for


@dataclass(frozen=True)
class EditFinely:
    """Options of `tinydiff edit` for those who know what they do."""

    feather: float = 0.0
    """Blur the mask by so many pixels, for a soft edge."""
    sampler: SamplerName | None = None
    """Which sampler; without it, ddim. With a mask only for a model that was trained to fill in: others draw a part by
    DDPM."""
    resample: int | None = None
    """With a mask, for a model that was not trained to fill in: how often each step is taken, so that what is drawn
    fits what is kept; without it, 5."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What happens to a picture of another shape: its middle is kept, bars are added, or it is distorted."""
    background: str = "white"
    """What transparent parts are put onto, and the colour of bars: a name, or #rrggbb."""
    image_noise: float | None = None
    """For a model that enlarges: 0 to 1, how far the picture is noised before it is enlarged; more lets the model draw
    more by itself. Without it, as the model says."""
    device: DeviceName = "auto"
    """Where to compute."""


@dataclass(frozen=True)
class Edit:
    """Edit a picture: draw it anew from a prompt, or a part of it; or enlarge it, with a model that does.

    An unCLIP draws variations of it (--variations PICTURE): what shows the same in another way.

    The picture may be any PNG, JPEG, GIF, BMP, WebP or TIFF. It is brought to the size of the model and to its colours,
    as training does; what was done to it is said.
    """

    called: ClassVar = {"images": "image"}

    image: Path | None = None
    """The picture; one that tinydiff drew lies in the folder pictures beside the grid."""
    variations: Path | None = None
    """Instead of --image: a picture of which an unCLIP draws variations."""
    between: Path | None = None
    """With --variations: another picture, to which those that are drawn lead. The usual guidance is 1 then, at which
    they begin and end at the two."""
    towards: str | None = None
    """With --variations: a text, towards which those that are drawn lead."""
    away_from: str | None = None
    """With --towards: what the picture shows, so that only the difference of the two texts is followed."""
    mask: Path | None = None
    """A picture of the same shape, black where the first stays as it is, white where it is drawn anew; where it is
    grey, both are blended."""
    strength: float | None = None
    """How much noise is added, from 0 (nothing changes) to 1 (nothing stays); without it, 0.8. Not with a mask, nor
    where the picture is enlarged."""
    model: str | None = None
    """A model that ships with tinydiff, or a folder; without it, avatars. For variations, an unCLIP."""
    n: int = 8
    """How many variants."""
    seed: int = 0
    """The same seed gives the same pictures."""
    label: str | None = None
    """Which class, by name or by number, for a model that knows classes; without it, none: only the picture says what
    is drawn."""
    prompt: str | None = None
    """What the pictures should show, in words."""
    negative: str = ""
    """What they should not show; not where guidance is 1."""
    guidance: float | None = None
    """How strongly the class or the prompt is followed; without it, 2, or 1 where there is neither."""
    steps: int = 50
    """Of the whole chain."""
    size: Size | None = None
    """Height x width of what is drawn, to which the picture is brought before, such as 32x48, or 32 for both; without
    it, those that the model was trained on."""
    out: Path = Path("samples")
    """Folder for the pictures. If it holds an earlier drawing, they go into a new folder in it: 2, 3, ..."""

    advanced: OmitArgPrefixes[EditFinely] = field(default_factory=EditFinely)
    """For those who know what they do."""

    def run(self) -> None:
        """Edit, save, and say where."""
        if self.variations is not None:
            refuse_given(self, "image", "--variations says of which picture they are: leave it out")
            vary(self)
        elif self.image is None:
            raise InputError("image is missing: give the picture, as --image PICTURE (or as --variations PICTURE).")
        else:
            refuse_given(self, "between towards away_from", "it goes with --variations: leave it out")
            self._edit(self.image, "avatars" if self.model is None else self.model)

    def _edit(self, path: Path, name: str) -> None:
        """Edit the picture of a file with the model of this name or folder."""
        device = select_device(self.advanced.device)
        check_count("n", self.n)
        model: Any = load(name, device, kind=(DiffusionModel, UnClip))
        if isinstance(model, UnClip):
            raise InputError(f"model is {name}, an unCLIP, which draws variations: give the picture as --variations.")
        if not isinstance(model, Enlarger):
            model.check_draws()
        self.refuse_sheets("image", path)
        picture, own_size, notes = picture_for(model, path, self.size, self.advanced.fit, self.advanced.background)
        said = {path: notes}
        factor = model.factor if isinstance(model, Enlarger) else 1
        request = replace(self._request(model), n=self.n, size=tuple(factor * side for side in picture.shape[1:3]))
        check_fits(model, request)
        xp = xp_of(model.network.theta)
        images = xp.asarray(np.repeat(picture, self.n, axis=0))
        self._refuse_what_is_not_used(model)
        mask = None
        if self.mask is not None:
            kept, said[self.mask] = mask_for(
                self.mask, own_size, picture.shape[1:3], self.advanced.fit, self.advanced.feather
            )
            if kept.min() == 1:
                raise InputError("mask is black everywhere, so that nothing would be drawn: paint a part of it white.")
            mask = xp.asarray(kept)
        for file, phrases in said.items():
            if phrases:
                say(f"{file}: {'; '.join(phrases)}.")
        for note in notes_on_words(model, (self.prompt or "", self.negative), Path(name).name):
            say(note)
        with folder_to_fill(self.out), ProgressBar() as bar:
            edited = to_numpy(self._edited(model, images, mask, request, bar))
        say(f"Edited {path} in {counted(self.n, 'way')}: {self._save(model, name, request, picture, edited)}")

    def _save(self, model: DiffusionModel, name: str, request: Request, picture: np.ndarray, edited: np.ndarray) -> str:
        """Save the variants, each by itself and all beside the picture; return where they are."""
        sampler, more = self.advanced.sampler or "ddim", dict[str, Any](image=str(self.image))
        if isinstance(model, Enlarger):
            given = self.advanced.image_noise
            more["image_noise"] = model.image_noise if given is None else given
        elif self.mask is None:
            more["strength"] = STRENGTH if self.strength is None else self.strength
        else:
            more["mask"] = str(self.mask)
        about = describe(request, name, sampler, self.steps, **more)
        own = {} if self.label is None else {"label": self.label}
        factor = edited.shape[1] // picture.shape[1]  # above 1 where it was enlarged
        before, _ = upsample_nearest(picture, factor)
        labels = ["before", *("after",) * self.n]
        return save_edited(self.out, edited, (before, before[:0]), labels, about, self.prompt or "", own)

    def refuse_sheets(self, option: str, path: Path) -> None:
        """Refuse a sheet of several pictures, which tinydiff drew: it is no picture that a model could have drawn."""
        about = about_picture(path) or {}
        if "pictures" in about:
            n = about["pictures"]  # as the file says; it may be damaged
            many = counted(n, "picture") if type(n) is int and 0 < n < 10**9 else "several pictures"
            raise InputError(
                f"{option} is {path}, a sheet that shows {many}: give one of them, such as "
                f"{path.parent / 'pictures' / '000.png'}."
            )

    def _request(self, model: DiffusionModel) -> Request:
        """Return what is asked, in the words of the library."""
        followed = bool(self.prompt or self.negative or self.label is not None)
        guidance = (GUIDANCE_FOR_PROMPTS if followed else 1.0) if self.guidance is None else self.guidance
        if guidance == 1:
            idle = "it changes nothing where guidance is 1: give another --guidance, or leave it out"
            refuse_given(self, "negative", idle)
        label = None if self.label is None else labels_of(model, [self.label])[0]
        return Request(seed=self.seed, labels=label, prompt=self.prompt, negative=self.negative, guidance=guidance)

    def _refuse_what_is_not_used(self, model: DiffusionModel) -> None:
        """Refuse options of another way to edit than the one that is taken."""
        if isinstance(model, Enlarger):
            for options, names in ((self, ("mask", "strength")), (self.advanced, ("resample", "feather"))):
                for name in names:
                    refuse_given(options, name, "this model enlarges the picture as a whole: leave it out")
            return
        refuse_given(self.advanced, "image_noise", "this model does not enlarge pictures: leave it out")
        if self.mask is None:
            idle = "steps are repeated only where a part is drawn: give a --mask, or leave it out"
            refuse_given(self.advanced, "resample", idle)
            refuse_given(self.advanced, "feather", "there is no mask to blur: give a --mask, or leave it out")
            return
        refuse_given(self, "strength", "with a mask, the part to draw starts from noise: leave it out")
        if fills_in(model):
            refuse_given(
                self.advanced, "resample", "this model was trained to fill in, and repeats no step: leave it out"
            )
        else:
            idle = "a model that was not trained to fill in draws a part by DDPM: leave it out"
            refuse_given(self.advanced, "sampler", idle)

    def _edited(self, model: DiffusionModel, images: Array, mask: Array, request: Request, bar: ProgressBar) -> Array:
        """Return the pictures, drawn anew as a whole or in part."""
        sampler = "ddim" if self.advanced.sampler is None else self.advanced.sampler
        if isinstance(model, Enlarger):
            return model.enlarge(images, request, sampler, self.steps, bar, self.advanced.image_noise)
        if mask is None:
            strength = STRENGTH if self.strength is None else self.strength
            return image_to_image(model, images, request, strength, sampler, self.steps, bar)
        if fills_in(model):
            return fill_in(model, images, mask, request, sampler, self.steps, bar)
        resample = RESAMPLE if self.advanced.resample is None else self.advanced.resample
        return inpaint(model, images, mask, request, self.steps, resample, bar)
