"""Captioned pictures for trainings that encode them once, as latents of an autoencoder or as embeddings of a CLIP."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES, ProgressBar, ScheduleName, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.command import TrainCommand, on_device
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, is_made, prepare_data
from tinydiff.apps.cli.train.denoiser import given_options
from tinydiff.base import CheckpointError, Device, InputError, counted, read_table, xp_of
from tinydiff.data import DATASETS, LatentData, encode_once
from tinydiff.models import ClipModel, LatentAutoencoder
from tinydiff.networks import UNetConfig
from tinydiff.train import DenoiseConfig
from tinydiff.train.checkpoint import checkpoints
from tinydiff.train.resume import check_same_run
from tinydiff.workers import default_threads, processes_pay

Data = Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")]


@dataclass(frozen=True)
class CaptionedCommand(TrainCommand):
    """The options of trainings that learn from captioned pictures, of the shape that another model was trained on."""

    data: Data = "avatars"
    images: int = 100_000
    """How many pictures are drawn to train, of data that are drawn, such as scenes."""
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    network: Any = None
    """The network, or which one; each training says what there is."""
    schedule: ScheduleName = "cosine"
    """Of the forward process."""
    T: int = 1000
    """Steps of the forward process."""
    train: DenoiseConfig = field(default_factory=DenoiseConfig)
    """How to train."""

    def pictures(self, shape: tuple[int, int, int], of: str, in_memory: bool = False) -> tuple[Any, Any]:
        """Return training and held-out pictures with captions, of this height, width and number of channels.

        Parameters
        ----------
        shape : (int, int, int)
        of : str
            What has been trained on pictures of this shape, for errors: ``"autoencoder"``.
        in_memory : bool
            Whether pictures that are drawn are all drawn now, and kept, or when they are asked for.

        Raises
        ------
        InputError
            If the data have no captions, or cannot be drawn in this shape.
        """
        self._refuse_another_number()
        height, width, channels = shape
        drawn = DATASETS[self.data].drawn if self.data in DATASETS else None
        if drawn is None or in_memory:
            config = UNetConfig((height, width), in_channels=channels, channel_mult=(1,))
            images = self.images if is_made(self.data) or "images" in given_options(self) else None  # else as there are
            table = self.network if isinstance(self.network, str) else "network"
            options = DataOptions(self.data, table, None, True, images, self.fit, self.background)
            training, held_out, _ = prepare_data(options, config)
        elif height != width or channels != 3:
            raise InputError(
                f"data is {self.data!r}, which are square and in colour, but the {of} was trained on pictures of "
                f"{height} x {width} x {channels}."
            )
        else:
            refuse_given(self, "fit background", "scenes are drawn in the size that is wanted: leave it out")
            training = drawn("train", self.images, height)
            held_out = drawn("test", self.train.validation_images, height)
            say(training.describe(), held_out.describe())
        if training.captions is None:
            raise InputError(f"data is {self.data!r}, which has no captions, but words are learned here.")
        return training, held_out

    def _refuse_another_number(self) -> None:
        """Refuse another number of drawn pictures than the run in the folder has, before theirs are encoded or read."""
        kept = self.out / "run.json"
        if is_made(self.data) and checkpoints(self.out) and kept.is_file():
            before = read_table(kept, CheckpointError)
            check_same_run(self.out, before, {"images": self.images} if "images" in before else {})

    def ready(self, model: Any, device: Device) -> Any:
        """Return a model as it is trained: on the device, computed as these options say."""
        return replace(
            model,
            network=on_device(model.network, device),
            micro_batch=self.train.micro_batch or model.micro_batch,
            threads=self.threads,
            processes=self.processes,
        )

    def encoded(self, model: LatentAutoencoder | ClipModel, *splits: Any) -> list[LatentData]:
        """Return what a model makes of the pictures of each split: latents, or embeddings, as latents of 1 x 1.

        They are kept in the folder that the option says, or in one of the run, and not computed again.
        """
        of_clip = isinstance(model, ClipModel)
        doing, option, of = ("Embedding", "embeddings", "CLIP") if of_clip else ("Encoding", "latents", "autoencoder")
        folder = getattr(self, option) or self.out / option
        theta = model.network.theta
        xp = xp_of(theta)
        forks = xp is np and processes_pay(theta, self.processes)
        at_once = (self.threads or default_threads()) if forks else 1
        worker = replace(model, threads=1 if at_once > 1 else self.threads)

        def encode(pictures):
            pictures = xp.asarray(pictures)
            return worker.embed(pictures)[:, None, None] if isinstance(worker, ClipModel) else worker.encode(pictures)

        found = []
        for data in splits:
            with ProgressBar(f"{doing} {counted(len(data), 'picture')}", "part") as bar:
                kept_in = folder / str(data.split)
                found.append(encode_once(data, encode, model.checksum(), kept_in, bar, of, at_once))
        return found
