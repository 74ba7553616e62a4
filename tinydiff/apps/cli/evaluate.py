"""The command ``tinydiff evaluate``."""

from dataclasses import dataclass
from pathlib import Path

from tinydiff.apps.cli.options import DeviceName, ProgressBar, SamplerName
from tinydiff.base import InputError, writable_folder
from tinydiff.data import DATASETS
from tinydiff.evaluate import evaluate, evaluate_text, retrieval
from tinydiff.models import SHIPPED, ClipModel, DiffusionModel, Guidance, load, read_about


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
    steps: int = 50
    """Calls of the network for each image."""
    sampler: SamplerName = "ddim"
    """Which sampler."""
    guidance: float = 3.0
    """Of a model that reads text: how strongly it follows the captions."""
    scales: tuple[float, ...] = (0, 1, 2, 3, 5, 8)
    """Of a model that reads text: the guidance scales to compare, each with n / 4 captions and with one prompt, n / 4
    times."""
    out: Path | None = None
    """Folder for pictures: samples, nearest training images, loss by timestep; or what guidance gives and takes."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Print the report."""
        if self.out is not None:
            writable_folder(self.out)
        model = load(self.model, self.device, kind=(DiffusionModel, ClipModel))
        if isinstance(model, ClipModel):
            print(retrieval(model, self.n))
            return
        if model.config.text is not None:
            guidance = Guidance(self.guidance)
            print(
                evaluate_text(model, self.n, self.steps, self.sampler, guidance, self.scales, self.out, ProgressBar())
            )
            return
        height, width = model.config.unet.size
        sides = f"{height} x {width}"
        trained_on = read_about(self.model).get("data")
        data = self.data or (trained_on if trained_on in tuple(DATASETS) and trained_on != "mnist" else "mnist-small")
        what = data.removesuffix("-small")
        judge = self.classifier or f"{what}-classifier-{height if height == width else sides}"
        if self.classifier is None and not (SHIPPED / judge).is_dir():
            raise InputError(f"No classifier of {what} ships for images of {sides}: give one by --classifier.")
        print(evaluate(model, data, judge, self.n, self.steps, self.sampler, self.out, ProgressBar()))
