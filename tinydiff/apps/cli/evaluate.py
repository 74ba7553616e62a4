"""The command ``tinydiff evaluate``."""

from dataclasses import dataclass
from pathlib import Path

from tinydiff.apps.cli.drawings import unused_folder
from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName, refuse_given
from tinydiff.base import InputError, check_choice, check_count, check_number, writable_folder
from tinydiff.data import DATASETS
from tinydiff.evaluate import evaluate, evaluate_text, retrieval
from tinydiff.models import GUIDANCE_FOR_PROMPTS, SHIPPED, ClipModel, DiffusionModel, Guidance, load, read_about

WRITTEN = ("samples.png", "loss_by_timestep.png", "nearest.png", "rows.png", "trade.png", "skin.png")
SCALES = (0, 1, 2, 3, 5, 8)  # of guidance, which are compared unless others are asked for


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: its loss, and what a classifier says of its samples; or whether it draws what captions say."""

    model: str = "mnist"
    """A model that ships with tinydiff, or a folder; one that reads text is judged by the avatars, and a CLIP by how
    well it finds which caption belongs to which of n portraits."""
    data: str | None = None
    """Data set of the real images; without it, that on which the model was trained, of MNIST the part that ships (not
    for a model that reads text)."""
    classifier: str | None = None
    """The judge; without it, the shipped one for these data and the size of the images (not for a model that reads
    text)."""
    n: int = 1000
    """How many samples, drawn from seed 0 and not selected."""
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
    holds those of an earlier report, they go into a new folder in it: 2, 3, ..."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Print the report."""
        check_count("n", self.n)
        model = load(self.model, self.device, kind=(DiffusionModel, ClipModel))
        if isinstance(model, ClipModel):
            of_drawing = "data classifier steps sampler guidance scales out"
            refuse_given(self, of_drawing, f"{self.model} is a CLIP, which draws nothing: leave it out")
            print(retrieval(model, self.n))
        elif model.config.text is not None:
            print(self._of_text(model))
        else:
            print(self._of_classes(model))

    def _of_text(self, model: DiffusionModel) -> str:
        """Return the report on a model that reads text."""
        refuse_given(self, "data classifier", "a model that reads text is judged by the avatars: leave it out")
        guidance = Guidance(GUIDANCE_FOR_PROMPTS if self.guidance is None else self.guidance)
        scales = SCALES if self.scales is None else self.scales
        for scale in scales:
            check_number("scales", scale, -100, 100)
        with ProgressBar() as bar:
            return evaluate_text(model, self.n, *self._how(), guidance, scales, self._folder(), bar)

    def _of_classes(self, model: DiffusionModel) -> str:
        """Return the report on a model that reads no text, by the classifier that fits."""
        refuse_given(self, "guidance scales", f"{self.model} does not read text: leave it out")
        if self.data is not None:
            check_choice("data", self.data, tuple(DATASETS))
        height, width = model.config.unet.size
        sides = f"{height} x {width}"
        trained_on = str(read_about(self.model).get("data"))
        data = self.data or (trained_on if trained_on in DATASETS and trained_on != "mnist" else "mnist-small")
        what = data.removesuffix("-small")
        shipped = f"{what}-classifier-{height if height == width else sides}"
        judge = shipped if self.classifier is None else self.classifier
        if self.classifier is None and not (SHIPPED / judge).is_dir():
            raise InputError(f"No classifier of {what} ships for images of {sides}: give one by --classifier.")
        with ProgressBar() as bar:
            return evaluate(model, data, judge, self.n, *self._how(), self._folder(), bar)

    def _how(self) -> tuple[int, str]:
        """Return steps and sampler."""
        return 50 if self.steps is None else self.steps, self.sampler or "ddim"

    def _folder(self) -> Path | None:
        """Return a folder for pictures that holds no other report's, made if it is missing, before the work begins."""
        if self.out is None:
            return None
        folder = writable_folder(unused_folder(self.out, WRITTEN))
        if folder != self.out:
            print(f"{self.out} holds the pictures of an earlier report, which stay: those of this one are in {folder}.")
        return folder
