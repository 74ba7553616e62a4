"""The command ``tinydiff evaluate``."""

import contextlib
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from tinydiff.apps.cli.drawings import kept_folder
from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.data import CAPTIONS_CUT, DataOptions, NoCaptions, prepare_data
from tinydiff.apps.cli.train.denoiser import table_of
from tinydiff.base import InputError, check_choice, check_count, check_number, counted, read_table
from tinydiff.data import DATASETS, Dataset, load_data
from tinydiff.data.listing import named
from tinydiff.evaluate import (
    check_likelihood,
    evaluate,
    evaluate_autoencoder,
    evaluate_likelihood,
    evaluate_pictures,
    evaluate_scenes,
    evaluate_text,
    prior_retrieval,
    retrieval,
)
from tinydiff.evaluate.likelihood import STEPS
from tinydiff.models import (
    GUIDANCE_FOR_PROMPTS,
    SAMPLER,
    SHIPPED,
    ClipModel,
    DiffusionModel,
    Guidance,
    LatentAutoencoder,
    ModelConfig,
    PictureModel,
    Prior,
    Request,
    base_of,
    find_folder,
    load,
    read_about,
    usual_steps,
)
from tinydiff.networks import AttributeClassifier

WRITTEN = (
    *("samples.png", "loss_by_timestep.png", "nearest.png", "rows.png", "trade.png", "skin.png"),
    *(
        "reconstructions.png",
        "pairs.png",
        "captions.png",
        "seen.png",
        "held-out.png",
        "swapped.png",
        "article-1.png",
        "article-2.png",
    ),
)
PAIRED = ("avatars", "scenes")  # the data of CLIPs, of priors, and of models of several parts
JUDGE_OF_SCENES = "scenes-judge"  # a shipped model
FIXED = frozenset({"unet.in_channels", "dit.in_channels"})  # of the model, not of the data; classes have names
Held = contextlib.ExitStack  # the lock on the folder of pictures, until it is closed
SCALES = (0, 1, 2, 3, 5, 8)  # of guidance, which are compared unless others are asked for


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: its loss, and how its samples compare with real images.

    Samples of shipped data sets are judged by a classifier, portraits by how far they show what captions say. Any other
    model, such as one of your own pictures, is measured by loss, nearest training images, and a Fréchet distance that
    needs no classifier of these pictures.
    """

    model: str = "mnist"
    """A model that ships with tinydiff, or a folder. Of a CLIP it is measured how well it finds which caption belongs
    to which of n portraits."""
    data: str | None = None
    """The real images, by the name of a data set or as a folder; without it, those on which the model was trained (of
    MNIST the part that ships)."""
    classifier: str | None = None
    """The judge; without it, the shipped one for these data and the size of the images, or none where there is none.
    Not for a model that reads text."""
    n: int | None = None
    """How many samples, drawn from seed 0 and not selected, or test pictures; without it, 1,000, or of fewer pictures
    half as many."""
    steps: int | None = None
    """Steps of the sampler; without it, 50. Not for a CLIP, which draws nothing."""
    sampler: SamplerName | None = None
    """Which sampler; without it, ddim."""
    guidance: float | None = None
    """Of a model that reads text: how strongly it follows the captions; without it, 2."""
    scales: tuple[float, ...] | None = None
    """Of a model that reads text: the guidance scales to compare, each with n / 4 captions and with one prompt, n / 4
    times; without it, 0 1 2 3 5 8."""
    out: Path | None = None
    """Folder for pictures: samples, nearest training images, loss by timestep; or what guidance gives and takes. If it
    holds those of another report, they go into a new folder in it: 2, 3, ..."""
    likelihood: bool = False
    """Print bits for each number of n test pictures instead, with 95 % intervals: by the evidence lower bound, and by
    the probability-flow ODE, in 24 steps unless others are asked for. Only of a diffusion model of pixels."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Print the report."""
        if self.n is not None:
            check_count("n", self.n)
        model = load(self.model, self.device, kind=(*get_args(PictureModel), ClipModel, LatentAutoencoder))
        if self.likelihood:
            self._likelihood(model)
            return
        if isinstance(model, Prior):
            self._of_prior(model)
            return
        if isinstance(model, DiffusionModel):
            model.check_draws()
        if isinstance(model, LatentAutoencoder):
            with contextlib.ExitStack() as held:
                say(*self._of_autoencoder(model, held).split("\n"))
            return
        if isinstance(model, ClipModel):
            of_drawing = "classifier steps sampler guidance scales out"
            refuse_given(self, of_drawing, f"{self.model} is a CLIP, which draws nothing: leave it out")
            say(*str(retrieval(model, self._count(), self._paired())).split("\n"))
            return
        options = self._data(base_of(model))
        if not isinstance(model, DiffusionModel) and options.data not in PAIRED:
            raise InputError(
                f"data is {options.data!r}, but a model of several parts, such as {self.model}, is measured on "
                f"{' and '.join(PAIRED)} only."
            )
        if _by_text(model):
            refuse_given(self, "classifier", "a model that reads text is judged without one: leave it out")
        else:
            refuse_given(self, "guidance scales", f"{self.model} does not read text: leave it out")
        judge = None if _by_text(model) else self._judge(base_of(model), options)
        with contextlib.ExitStack() as held:
            try:
                report = self._report(model, options, judge, held)
            except BaseException as error:  # the pictures could not be saved: what was measured is not lost with them
                say(*(line for note in getattr(error, "__notes__", ()) for line in note.split("\n")))
                raise
        say(*report.split("\n"))

    def _likelihood(self, model: Any) -> None:
        """Print how many bits a model needs for test pictures."""
        check_likelihood(model)
        why = "a guided prediction is the slope of no density that is known, so it has no likelihood: leave it out"
        refuse_given(self, "guidance scales", why)
        refuse_given(self, "classifier sampler out", "a likelihood draws nothing: leave it out")
        options = self._data(model)
        if options.is_folder:
            _, test = self._real(model, options)
        else:
            small = self.data is None and options.data == "mnist"  # which would have to be downloaded
            test = load_data("mnist-small" if small else options.data, "test").resize(model.picture_shape[:2])
        steps = STEPS if self.steps is None else self.steps
        with ProgressBar("Measuring", "batch") as bar:
            report = evaluate_likelihood(model, test, self._count(), steps=steps, progress=bar)
        say(*report.split("\n"))

    def _of_prior(self, model: Prior) -> None:
        """Print how well a prior's embeddings find what they belong to."""
        of_drawing = "classifier steps sampler scales out"
        refuse_given(self, of_drawing, f"{self.model} is a prior, which draws embeddings: leave it out")
        n = 300 if self.n is None else self.n
        guidance = GUIDANCE_FOR_PROMPTS if self.guidance is None else self.guidance
        say(*str(prior_retrieval(model, n, self._paired(), guidance)).split("\n"))

    def _paired(self) -> str:
        """Return which pairs a CLIP or a prior is measured on: those that are asked for, or of its training."""
        known = read_about(self.model).get("data") if self.data is None else self.data
        if known is None:
            raise InputError(f"data is missing, and the folder says nothing of it: give {' or '.join(PAIRED)}.")
        check_choice("data", known, PAIRED)
        return known

    def _report(self, model: PictureModel, options: DataOptions, judge: str | None, held: Held) -> str:
        """Return the report; the folder of its pictures is held until the end of `held`."""
        if _by_text(model) and options.data == "avatars":
            return self._of_portraits(model, held)
        if _by_text(model) and options.data == "scenes":
            return self._of_scenes(model, held)
        assert isinstance(model, DiffusionModel)  # those of several parts are measured on these two only
        if judge is not None:
            return self._of_classes(model, options, judge, held)
        return self._of_pictures(model, options, held)

    def _data(self, model: DiffusionModel) -> DataOptions:
        """Return which real images to compare with: those that are asked for, or those of the training."""
        captions = model.config.text is not None
        if self.data is not None:
            if not _is_here(self.data):
                raise InputError(f"data is {self.data!r}, but {', '.join(DATASETS)}, or a folder, was expected.")
            return DataOptions(self.data, table_of(model.config.denoiser), FIXED, captions, advice=False)
        folder = find_folder(self.model)
        asked = _options_of_training(folder)
        data = str(asked.get("data", read_about(self.model).get("data")))
        if not _is_here(data):
            raise InputError(
                f"data is missing, and {folder} learned from {data}, which is not found from here: give a folder, or "
                f"one of {', '.join(DATASETS)}."
            )
        fitted = {name: asked[name] for name in ("images", "fit", "background") if name in asked}
        return DataOptions(data, table_of(model.config.denoiser), FIXED, captions, **fitted, advice=False)

    def _judge(self, model: DiffusionModel, options: DataOptions) -> str | None:
        """Return the classifier that is asked for, or the shipped one that fits the data, or None."""
        if self.classifier is not None:
            return self.classifier
        height, width, channels = model.picture_shape
        sides = f"{height}" if height == width else f"{height} x {width}"
        shipped = f"{options.data.removesuffix('-small')}-classifier-{sides}"
        fits = not options.is_folder and channels == 1 and (SHIPPED / shipped).is_dir()
        return shipped if fits else None

    def _of_portraits(self, model: PictureModel, held: Held) -> str:
        """Return the report on a model that draws portraits from text, by the judge of portraits."""
        guidance = Guidance(GUIDANCE_FOR_PROMPTS if self.guidance is None else self.guidance)
        scales = SCALES if self.scales is None else self.scales
        for scale in scales:
            check_number("scales", scale, -100, 100)
        with ProgressBar() as bar:
            return evaluate_text(model, self._count(), *self._how(), guidance, scales, self._folder(held), bar)

    def _of_scenes(self, model: PictureModel, held: Held) -> str:
        """Return the report on a model that draws scenes from text, by the judge of scenes."""
        if self.scales is not None:
            raise InputError(f"scales is {self.scales}, but scenes are drawn with one guidance: leave it out.")
        guidance = GUIDANCE_FOR_PROMPTS if self.guidance is None else self.guidance
        sampler = SAMPLER if self.sampler is None else self.sampler
        steps = usual_steps(sampler) if self.steps is None else self.steps
        judge = load(JUDGE_OF_SCENES, kind=AttributeClassifier)
        with ProgressBar("Drawing", "part") as bar:
            return evaluate_scenes(model, judge, self._count(), steps, sampler, guidance, self._folder(held), bar)

    def _of_autoencoder(self, model: LatentAutoencoder, held: Held) -> str:
        """Return the report on an autoencoder, beside PCA of blocks."""
        of_drawing = "classifier steps sampler guidance scales"
        refuse_given(self, of_drawing, f"{self.model} is an autoencoder, which draws nothing: leave it out")
        data = str(read_about(self.model).get("data")) if self.data is None else self.data
        if not _is_here(data):
            raise InputError(f"data is {data!r}, but {', '.join(DATASETS)}, or a folder, was expected.")
        given = frozenset({"network.in_channels"})
        options = DataOptions(data, "network", given, advice=False, only_pictures=True)
        training, test, _ = prepare_data(options, model.config)
        judge = load(JUDGE_OF_SCENES, kind=AttributeClassifier) if data == "scenes" else None
        if judge is not None and model.config.size[0] % judge.config.shape[0]:
            judge = None  # it reads pictures of its size, or of a multiple
        return evaluate_autoencoder(model, training, test, judge, self._count(), out=self._folder(held))

    def _of_classes(self, model: DiffusionModel, options: DataOptions, judge: str, held: Held) -> str:
        """Return the report on a model that reads no text, by a classifier."""
        data: str | tuple[Dataset, Dataset] = "mnist-small" if options.data == "mnist" else options.data
        if options.is_folder:
            data = self._real(model, options)
            say(data[0].describe(), data[1].describe())
        with ProgressBar() as bar:
            return evaluate(model, data, judge, self._count(), *self._how(), self._folder(held), bar)

    def _of_pictures(self, model: DiffusionModel, options: DataOptions, held: Held) -> str:
        """Return the report on a model of any pictures."""
        refuse_given(self, "scales", "scales are compared on portraits only: leave it out")
        training, held_out = self._real(model, options)
        n = min((len(training) + len(held_out)) // 2, self._count()) if self.n is None else self.n
        asked = GUIDANCE_FOR_PROMPTS if self.guidance is None else self.guidance
        request = Request(n=n, guidance=1.0 if model.config.text is None else asked)
        steps, sampler = self._how()
        with ProgressBar() as bar, warnings.catch_warnings():
            warnings.filterwarnings("ignore", CAPTIONS_CUT)  # as they were in training, which said so
            return evaluate_pictures(model, training, held_out, request, sampler, steps, self._folder(held), bar)

    def _real(self, model: DiffusionModel, options: DataOptions) -> tuple[Dataset, Dataset]:
        """Return the training and the held-out pictures, and print what was changed in them."""
        try:
            height, width, channels = model.picture_shape
            pictures = replace(model.config.denoiser, image_size=(height, width), in_channels=channels)
            training, held_out, _ = prepare_data(options, pictures)
        except NoCaptions as error:
            raise InputError(
                f"{self.model} reads text, but {options.data} has no captions: write them into captions.csv, or "
                "give other --data."
            ) from error
        there, wanted = training.images.shape[-1], model.picture_shape[2]
        if there != wanted:
            raise InputError(
                f"data is {options.data!r}, whose pictures have {counted(there, 'channel')}, but "
                f"those of {self.model} have {wanted}: give other pictures."
            )
        if model.config.text is not None:
            return training, held_out
        labels, note = labels_by_name(training, model.config)
        if note:
            say(note)
        return replace(training, labels=labels[training.labels]), replace(held_out, labels=labels[held_out.labels])

    def _count(self) -> int:
        """Return how many samples."""
        return 1000 if self.n is None else self.n

    def _how(self) -> tuple[int, str]:
        """Return steps and sampler."""
        return 50 if self.steps is None else self.steps, self.sampler or "ddim"

    def _folder(self, held: Held) -> Path | None:
        """Return a folder for pictures that nobody else writes into, made if it is missing, before the work begins."""
        if self.out is None:
            return None
        folder = held.enter_context(kept_folder(self.out, WRITTEN))
        if folder != self.out:
            say(f"{self.out} holds the pictures of another report, which stay: those of this one are in {folder}.")
        return folder


def labels_by_name(data: Dataset, config: ModelConfig) -> tuple[np.ndarray, str]:
    """Return the model's label for each class of the data, and a sentence on those that it does not know.

    Classes are the same where they are called the same; where either has no names, where they are as many. Others are
    drawn and judged as no class, the label `num_classes`.
    """
    found, classes, known = data.class_names, config.denoiser.num_classes, config.class_names
    count = max(len(found or ()), int(data.labels.max(initial=0)) + 1)
    if classes is None:
        return np.zeros(count, np.int64), ""  # nothing reads them
    if found is None:
        return np.full(count, classes), f"These pictures have no classes: the model is asked for none of its {classes}."
    if known is None and count == classes:
        return np.arange(count), ""
    labels = np.array([known.index(name) if known is not None and name in known else classes for name in found])
    unknown = [name for name, label in zip(found, labels, strict=True) if label == classes]
    if not unknown:
        return labels, ""
    return labels, f"Classes that the model does not know: {named(unknown)}. For these it is asked for no class."


def _by_text(model: PictureModel) -> bool:
    """Return whether a model is measured by what captions ask for: one that reads text, or is of several parts."""
    return model.reads_text or not isinstance(model, DiffusionModel)


def _is_here(data: str) -> bool:
    return data in DATASETS or os.path.isdir(data)


def _options_of_training(folder: Path) -> dict[str, Any]:
    """Return the options that a trained model's run was started with; of the model with the best loss, one deeper."""
    if folder.parent == SHIPPED:
        return {}
    runs = [place / "run.json" for place in (folder, folder.parent)]
    return next((read_table(run) for run in runs if run.is_file()), {})
