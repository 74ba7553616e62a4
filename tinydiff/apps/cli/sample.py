"""The command ``tinydiff sample``."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tinydiff import plot
from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName, refuse_given
from tinydiff.base import Device, InputError, Size, height_and_width, select_device, to_numpy, writable_folder
from tinydiff.models import DiffusionModel, Guidance, Request, class_gradient, load
from tinydiff.networks import NoisyClassifier

IN_FILM = 16


@dataclass(frozen=True)
class Sample:
    """Draw images: a grid (PNG) and the reverse chain (GIF)."""

    model: str | None = None
    """A model that ships with tinydiff, or a folder with config.json and model.safetensors; without it, mnist, or
    avatars where a prompt is given."""
    n: int | None = None
    """How many images; without it, 64, or 16 where a prompt is given."""
    seed: int = 0
    """The same seed gives the same pictures, whatever n is."""
    label: int | None = None
    """Which class, of the classifier if there is one; without it, all classes of the model in turn."""
    prompt: str | None = None
    """What the pictures should show, in words."""
    negative: str = ""
    """What they should not show; not where guidance is 1, nor with a classifier."""
    guidance: float = 1.0
    """How strongly the class or the prompt is followed: 0 not at all, 1 as learned, above 1 exaggerated."""
    classifier: str | None = None
    """A classifier of noisy pictures, such as mnist-noisy-classifier, or its folder: the model is told nothing, and the
    pictures are pulled to the label by its gradient, as strongly as guidance says."""
    interval: tuple[float, float] | None = None
    """Guide only between these times, and at strength 1 elsewhere; the first step is at T, usually 1000, the last near
    0."""
    rescale: float = 0.0
    """0 to 1: how far guided pictures are brought back to the contrast of those without guidance. Not with a
    classifier."""
    threshold: Literal["static", "dynamic"] = "static"
    """How a predicted picture is kept within black and white."""
    steps: int = 50
    """Steps of the sampler; each calls the network once, for heun about twice."""
    sampler: SamplerName = "ddim"
    """Which sampler."""
    size: Size | None = None
    """Height x width of the images, such as 32x48, or 32 for both; without it, those that the model was trained on."""
    micro_batch: int | None = None
    """How many images are computed together, on which their last bits depend; without it, 1 for one image, which is
    soonest, and for more what the model says."""
    out: Path = Path("samples")
    """Folder for the pictures."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Draw, save, and say where."""
        device = select_device(self.device)
        name = ("mnist" if self.prompt is None else "avatars") if self.model is None else self.model
        model = load(name, device, kind=DiffusionModel)
        request = self._request(model, device)
        if self.micro_batch is not None or request.count == 1:
            model = replace(model, micro_batch=1 if self.micro_batch is None else self.micro_batch)
        start, frames = time.perf_counter(), []
        with ProgressBar() as bar:
            chain = model.chain(request, self.sampler, self.steps, bar)
            writable_folder(self.out)
            for t, x_t, x_0_hat in chain:
                frames.append((t, to_numpy(x_t[:IN_FILM]), to_numpy(x_0_hat[:IN_FILM])))
        images = to_numpy(x_t)
        seconds = time.perf_counter() - start
        grid = plot.save_image(plot.image_grid(images, title=self._title(name, len(images))), self.out / "grid.png")
        gif = plot.chain_gif(frames, self.out / "chain.gif", samples=IN_FILM)
        print(f"Drew {len(images)} images in {seconds:.1f} s on {device.name}: {grid} and {gif}")

    def _request(self, model: DiffusionModel, device: Device) -> Request:
        """Return what is asked, in the words of the library."""
        return Request(
            n=(64 if self.prompt is None else 16) if self.n is None else self.n,
            seed=self.seed,
            labels=self.label,
            prompt=self.prompt,
            negative=self.negative,
            guidance=Guidance(self.guidance, self.interval, self.rescale, self.threshold),
            classifier=None if self.classifier is None else self._guide(self.classifier, model, device),
            size=self.size,
        )

    def _guide(self, name: str, model: DiffusionModel, device: Device) -> Callable[[Any, Any, Any], Any]:
        """Return the gradient of the classifier; refuse one that does not know these pictures or these classes."""
        refuse_given(
            self, "prompt", "the classifier pulls pictures to a class and reads no text: leave one of them out"
        )
        network, unet = load(name, device, kind=NoisyClassifier), model.config.unet
        size = unet.size if self.size is None else height_and_width("size", self.size)
        shape, known, classes = (*size, unet.in_channels), network.config.shape, network.config.num_classes
        if shape != known:
            raise InputError(
                f"classifier is {name}, which knows pictures of {' x '.join(map(str, known))}, but those to draw have "
                f"{' x '.join(map(str, shape))}."
            )
        if self.label is None and unet.num_classes != classes:
            raise InputError(
                f"label is missing, but the classifier pulls to one of its {classes} classes, and the model has "
                f"{unet.num_classes or 'none'}: give one from 0 to {classes - 1}."
            )
        if self.label is not None and self.label not in range(classes):
            raise InputError(f"label is {self.label}, but the classifier knows the classes 0 to {classes - 1}.")
        return class_gradient(network)

    def _title(self, name: str, n: int) -> str:
        title = f"{n} samples of {Path(name).name}, {self.sampler}, {self.steps} steps, seed {self.seed}"
        if self.prompt:
            title = f"{' '.join(self.prompt.split())}: {title}, guidance {self.guidance:g}"
        return title
