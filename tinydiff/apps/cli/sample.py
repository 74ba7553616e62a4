"""The command ``tinydiff sample``."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tyro.conf import OmitArgPrefixes

from tinydiff import plot
from tinydiff.apps.cli.checkpoint import SCHEDULERS, sample_checkpoint
from tinydiff.apps.cli.drawings import (
    FILM,
    GRID,
    describe,
    elsewhere,
    own_folder,
    save_arrays,
    save_pictures,
)
from tinydiff.apps.cli.film import Film
from tinydiff.apps.cli.one_pass import sample_at_once
from tinydiff.apps.cli.options import (
    DeviceName,
    ProgressBar,
    SamplerName,
    SamplerOptions,
    given_options,
    labels_of,
    refuse_given,
)
from tinydiff.apps.cli.plane import PlaneFilm, save_points
from tinydiff.apps.cli.screen import say
from tinydiff.base import (
    Device,
    InputError,
    Size,
    counted,
    height_and_width,
    select_device,
    to_numpy,
    writable_folder,
)
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import (
    SAMPLER,
    Cascade,
    DiffusionModel,
    Guidance,
    Request,
    UnClip,
    base_of,
    class_gradient,
    class_of,
    guidance_for,
    load,
    load_picture_model,
    notes_on_words,
    usual_steps,
)
from tinydiff.models.one_pass import is_one_pass
from tinydiff.models.predictor import check_fits
from tinydiff.networks import NoisyClassifier
from tinydiff.plot.pictures import as_png_text

if TYPE_CHECKING:
    SchedulerName = str
else:
    SchedulerName = Literal[tuple(SCHEDULERS)]
POINTS_DRAWN = 2_000  # of a model of points, unless another number is asked for


@dataclass(frozen=True)
class SampleFinely:
    """Options of `tinydiff sample` for those who know what they do."""

    interval: tuple[float, float] | None = None
    """Guide only between these times, and at strength 1 elsewhere; the first step is at T, usually 1000, the last near
    0."""
    rescale: float = 0.0
    """0 to 1: how far guided pictures are brought back to the contrast of those without guidance. Not with a
    classifier."""
    threshold: Literal["static", "dynamic"] = "static"
    """How a predicted picture is kept within black and white."""
    micro_batch: int | None = None
    """How many images are computed together, on which their last bits depend; without it, 1 for one image, which is
    soonest, and for more what the model says."""
    device: DeviceName = "auto"
    """Where to compute."""


@dataclass(frozen=True)
class Sample:
    """Draw images: each as PNG, all of them in a grid (PNG), and the reverse chain as a film (GIF).

    What each picture was drawn from is written into its file: see `tinydiff info FILE`.
    """

    model: str | None = None
    """A model that ships with tinydiff, or a folder with config.json and model.safetensors; without it, mnist, or
    avatars where a prompt is given. A folder that diffusers wrote is one, too."""
    checkpoint: Path | None = None
    """Instead of --model: a folder that diffusers wrote, drawn with as its scheduler does, step for step."""
    scheduler: SchedulerName | None = None
    """With --checkpoint: another scheduler of diffusers, with what the folder's says."""
    n: int | None = None
    """How many images; without it, 64, or 16 where a prompt is given, or 2,000 points."""
    seed: int = 0
    """The same seed gives the same pictures, whatever n is."""
    label: tuple[str, ...] = ()
    """Which class, by name or by number, such as dog or 7, of the classifier if there is one; several are drawn in
    turn. Without it, all classes of the model in turn."""
    prompt: str | None = None
    """What the pictures should show, in words."""
    negative: str = ""
    """What they should not show; not where guidance is 1, nor with a classifier."""
    guidance: float | None = None
    """How strongly the class or the prompt is followed: 0 not at all, 1 as learned, above 1 exaggerated; without it, 2
    for a prompt, 1 for a class."""
    classifier: str | None = None
    """A classifier of noisy pictures, such as mnist-noisy-classifier, or its folder: the model is told nothing, and the
    pictures are pulled to the label by its gradient, as strongly as guidance says."""
    steps: int | None = None
    """Steps of the sampler; without it, 20 of dpmpp_2m, 50 of others. Each calls the network once, with some
    samplers several times: how often is said at the end."""
    sampler: SamplerName = SAMPLER
    """Which sampler."""
    size: Size | None = None
    """Height x width of the images, such as 32x48, or 32 for both; without it, those that the model was trained on."""
    out: Path = Path("samples")
    """Folder for the pictures. If it holds an earlier drawing, they go into a new folder in it: 2, 3, ..."""
    npz: bool = False
    """Save the pictures also as they were drawn, float32, with labels, prompt and seed, for numpy.load."""
    gif: bool = True
    """Save the reverse chain of the first pictures as a film."""

    advanced: OmitArgPrefixes[SampleFinely] = field(default_factory=SampleFinely)
    """For those who know what they do."""

    of_sampler: OmitArgPrefixes[SamplerOptions] = field(default_factory=SamplerOptions)
    """Options of the sampler."""

    @property
    def steps_taken(self) -> int:
        """How many steps the sampler takes."""
        return usual_steps(self.sampler) if self.steps is None else self.steps

    def run(self) -> None:
        """Draw, save, and say where."""
        device = select_device(self.advanced.device)
        name = ("mnist" if self.prompt is None else "avatars") if self.model is None else self.model
        if self.checkpoint is not None:
            return sample_checkpoint(self, self.checkpoint, device)
        refuse_given(self, "scheduler", "it goes with --checkpoint; --sampler says how a model is drawn with")
        if is_one_pass(class_of(name)):
            return sample_at_once(self, name, device)
        model = load_picture_model(name, device)
        if isinstance(model, Cascade):
            refuse_given(self, "classifier", "it reads pictures of one size, and a cascade draws several: leave it out")
        elif isinstance(model, UnClip):
            refuse_given(self, "classifier", "an unCLIP draws what its prior guesses of a text: leave it out")
        request = self.request_for(base_of(model), device)
        for note in notes_on_words(model, (self.prompt or "", self.negative), Path(name).name):
            say(note)
        if base_of(model).config.learns_variance and "variance" not in SAMPLERS[self.sampler].options:
            say(f"The model has learned the variance of a step, of which {self.sampler} makes no use; ddpm does.")
        if self.advanced.micro_batch is not None or request.count == 1:
            micro_batch = 1 if self.advanced.micro_batch is None else self.advanced.micro_batch
            model = model.with_micro_batch(micro_batch)
        start = time.perf_counter()
        base, stages, options = base_of(model), model.chains, given_options(self.of_sampler)
        if base.config.mlp is not None:
            refuse_given(self, "size", "the model draws points, which have no size: leave it out")
        calls = SAMPLERS[self.sampler].calls(base.diffusion, self.steps_taken, **options)  # refuses a wrong value
        steps = len(SAMPLERS[self.sampler].times(base.diffusion, self.steps_taken)) * stages
        of_points = base.config.mlp is not None
        film: Any = PlaneFilm(steps)
        if not of_points:
            film = Film(steps, model.decode, height_and_width("size", self.size or model.picture_shape[:2]))
        with ProgressBar() as bar:
            chain = model.chain(request, self.sampler, self.steps_taken, bar, **options)
            writable_folder(self.out)
            for t, x_t, x_0_hat in chain:
                if self.gif:
                    film.add(t, x_t, x_0_hat)
        images = to_numpy(model.decode(x_t))
        what = counted(len(images), "point" if of_points else "image")
        took = f"{what} in {time.perf_counter() - start:.1f} s on {device.name}"
        how = f"{counted(self.steps_taken, 'step')} of {self.sampler}"
        if stages > 1:
            how += f" in each of {stages} stages"
        if calls is None:
            how += f" and, between them, as many of its own as the {what} needed"
        elif calls * stages != self.steps_taken:
            how += f", {counted(calls * stages, 'call')} of the network"
        if of_points:
            about = describe(request, name, self.sampler, self.steps_taken, **options)
            about["micro_batch"] = base.micro_batch
            saved = save_points(self.out, images[:, 0, 0], base.diffusion, film if self.gif else None, self.npz, about)
            say("The model draws points in a plane, so they are shown in one picture, and not each by itself.")
        else:
            saved = self.save(base, request, name, images, film, (self.sampler, self.steps_taken))
        say(f"Drew {took} ({how}): {saved}")

    def save(
        self,
        model: DiffusionModel,
        request: Request,
        name: str,
        images: np.ndarray,
        film: Film | None,
        drawn_by: tuple[str, int],
    ) -> str:
        """Save all that is left of a drawing, by a sampler in so many steps; return where it is."""
        options = given_options(self.of_sampler)
        about = describe(request, name, *drawn_by, classifier=self.classifier, **options)
        about["micro_batch"] = model.micro_batch
        classes = self._classes(model, request, len(images))
        folder = own_folder(self.out)
        pictures = save_pictures(folder, images, about, classes)
        called = [of_one["class"] for of_one in classes if "class" in of_one]
        below = called if len(set(called)) > 1 else None
        grid = plot.image_grid(images, labels=below, title=self._title(name, request, called, drawn_by))
        saved = [plot.save_image(grid, folder / GRID, as_png_text({**about, "pictures": len(images)}))]
        if self.gif and film is not None:
            saved.append(film.save(folder / FILM, about))
        if self.npz:
            saved.append(save_arrays(folder, images, about, classes))
        sheets = ", ".join(map(str, saved))
        return f"{sheets}, and each by itself in {pictures}. {elsewhere(self.out, folder)}".rstrip()

    def _classes(self, model: DiffusionModel, request: Request, n: int) -> list[dict[str, Any]]:
        """Return the label of each picture, and the name of its class, as far as there are any."""
        labels = None if model.config.text is not None else model.condition(request)
        if labels is None:
            return [{} for _ in range(n)]
        numbers, names = to_numpy(labels).tolist(), model.config.class_names
        if names is None:
            return [{"label": number} for number in numbers]
        return [{"label": number, "class": (*names, "no class")[number]} for number in numbers]

    def request_for(
        self, model: DiffusionModel, device: Device, n: int | None = None, guidance: float | None = None
    ) -> Request:
        """Return what is asked, in the words of the library; n and guidance are those that are usual."""
        n = (64 if self.prompt is None else 16) if n is None else n
        n = n if self.n is None else self.n
        if self.n is None and model.config.mlp is not None:
            n = POINTS_DRAWN
        labels = labels_of(model, self.label)
        classifier = None if self.classifier is None else self._guide(self.classifier, model, labels, device)
        if len(labels) > 1:
            check_fits(model, Request(n=n, size=self.size))  # before there is a label for each
            labels = [labels[i % len(labels)] for i in range(n)]
        guidance = guidance_for(self.prompt, self.negative) if guidance is None else guidance
        guidance = guidance if self.guidance is None else self.guidance
        return Request(
            n=n,
            seed=self.seed,
            labels=labels[0] if len(labels) == 1 else labels or None,
            prompt=self.prompt,
            negative=self.negative,
            guidance=Guidance(guidance, self.advanced.interval, self.advanced.rescale, self.advanced.threshold),
            classifier=classifier,
            size=self.size,
        )

    def _guide(self, name: str, model: DiffusionModel, labels: list[int], device: Device) -> Callable[..., Any]:
        """Return the gradient of the classifier; refuse one that does not know these pictures or these classes."""
        refuse_given(
            self, "prompt", "the classifier pulls pictures to a class and reads no text: leave one of them out"
        )
        network, denoiser = load(name, device, kind=NoisyClassifier), model.config.denoiser
        if not model.is_bounded:
            what = "latents" if model.config.mlp is None else "points"
            raise InputError(f"classifier is {name}, which reads noisy pictures, but the model draws {what}.")
        size = denoiser.size if self.size is None else height_and_width("size", self.size)
        shape, known, classes = (*size, denoiser.in_channels), network.config.shape, network.config.num_classes
        if shape != known:
            raise InputError(
                f"classifier is {name}, which knows pictures of {' x '.join(map(str, known))}, but those to draw have "
                f"{' x '.join(map(str, shape))}."
            )
        if not labels and denoiser.num_classes != classes:
            raise InputError(
                f"label is missing, but the classifier pulls to one of its {counted(classes, 'class', 'classes')}, and "
                f"the model has {denoiser.num_classes or 'none'}: give one from 0 to {classes - 1}."
            )
        for label in labels:
            if label not in range(classes):
                raise InputError(f"label is {label}, but the classifier knows the classes 0 to {classes - 1}.")
        return class_gradient(network)

    def _title(self, name: str, request: Request, called: list[str], drawn_by: tuple[str, int]) -> str:
        """Return the title of the grid: what was asked, of whom, and how."""
        what = [f"{counted(request.count, 'sample')} of {Path(name).name}"]
        if self.label and len(set(self.label)) == 1:
            what.append(called[0] if called else f"class {self.label[0]}")
        what += [drawn_by[0], counted(drawn_by[1], "step"), f"seed {self.seed}"]
        if self.prompt:
            what.append(f"guidance {request.guidance.scale:g}")
        return (f"{' '.join(self.prompt.split())}: " if self.prompt else "") + ", ".join(what)
