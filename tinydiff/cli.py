"""The command line: ``tinydiff demo | train | sample | edit | evaluate | serve | info``.

Each command is a frozen dataclass; its fields are the options. Errors are one sentence on stderr; the exit status
is 2 for a bad argument, 1 for everything else that fails, and 130 after Ctrl-C.
"""

import dataclasses
import inspect
import json
import os
import platform
import shlex
import sys
import time
import tomllib
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import scipy
import tyro

import tinydiff
from tinydiff import plot
from tinydiff.backend import select_device, to_device, to_numpy, xp_of
from tinydiff.clip import load_clip
from tinydiff.data import NAMES, Dataset, load, load_avatars, load_folder
from tinydiff.demo import run_demo
from tinydiff.edit import fill_in, fills_in, image_to_image, inpaint, read_image, read_mask, to_pictures
from tinydiff.errors import DataError, DeviceError, InputError, TinydiffError, check_count, check_shape
from tinydiff.evaluate import evaluate
from tinydiff.evaluate_clip import retrieval
from tinydiff.evaluate_text import evaluate_text
from tinydiff.files import atomic_write, writable_folder
from tinydiff.model import (
    SHIPPED,
    DiffusionModel,
    Guidance,
    ModelConfig,
    class_gradient,
    default_micro_batch,
    find_folder,
    load_model,
    load_noisy_classifier,
    read_settings,
)
from tinydiff.nn import TextConfig, UNetConfig
from tinydiff.parallel import default_threads
from tinydiff.serve import serve
from tinydiff.text import Tokenizer
from tinydiff.train import TrainConfig, Trainer, read_log

IN_FILM = 16
RECIPES = Path(__file__).parent / "recipes"
DeviceName = Literal["auto", "cpu", "cuda"]
SamplerName = Literal["ddim", "ddpm", "heun", "dpmpp_2m"]  # those of model.SAMPLERS, spelled out for type checkers


@dataclass(frozen=True)
class Demo:
    """Draw digits with the shipped weights, then train a model from scratch and draw with it."""

    out: Path = Path("demo")
    """Folder for the pictures."""
    steps: int = 1600
    """Optimizer steps of the training."""
    seed: int = 0
    """Of the weights, the training and the samples."""

    def run(self) -> None:
        """Run the demo."""
        run_demo(writable_folder(self.out), self.steps, self.seed)


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
    """What they should not show; it counts where guidance is not 1. Not with a classifier."""
    guidance: float = 1.0
    """How strongly the class or the prompt is followed: 0 not at all, 1 as learned, above 1 exaggerated."""
    classifier: str | None = None
    """A classifier of noisy pictures, such as mnist-noisy-classifier, or its folder: the model is told nothing, and the
    pictures are pulled to the label by its gradient, as strongly as guidance says."""
    interval: tuple[float, float] | None = None
    """Guide between these times alone, and at strength 1 elsewhere; the first step is at T, usually 1000, the last near
    0."""
    rescale: float = 0.0
    """0 to 1: how far guided pictures are brought back to the contrast of those without guidance. Not with a
    classifier."""
    threshold: Literal["static", "dynamic"] = "static"
    """How a predicted picture is kept within black and white."""
    steps: int = 50
    """Calls of the network for each image."""
    sampler: SamplerName = "ddim"
    """Which sampler."""
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
        name = self.model or ("mnist" if self.prompt is None else "avatars")
        model = load_model(name, device)
        n = (64 if self.prompt is None else 16) if self.n is None else self.n
        if self.micro_batch is not None or n == 1:
            model = replace(model, micro_batch=1 if self.micro_batch is None else self.micro_batch)
        guidance = Guidance(self.guidance, self.interval, self.rescale, self.threshold)
        pull = None if self.classifier is None else class_gradient(load_noisy_classifier(self.classifier, device))
        chain = model.chain(
            n,
            self.seed,
            self.label,
            self.steps,
            self.sampler,
            prompt=self.prompt,
            negative=self.negative,
            guidance=guidance,
            classifier=pull,
        )
        writable_folder(self.out)
        start = time.perf_counter()
        frames = []
        for t, x_t, x_0_hat in chain:
            frames.append((t, to_numpy(x_t[:IN_FILM]), to_numpy(x_0_hat[:IN_FILM])))
        images = to_numpy(x_t)
        seconds = time.perf_counter() - start
        title = f"{n} samples of {Path(name).name}, {self.sampler}, {self.steps} steps, seed {self.seed}"
        if self.prompt:
            title = f"{' '.join(self.prompt.split())}: {title}, guidance {self.guidance:g}"
        grid = plot.save_image(plot.image_grid(images, title=title), self.out / "grid.png")
        gif = plot.chain_gif(frames, self.out / "chain.gif", samples=IN_FILM)
        print(f"Drew {n} images in {seconds:.1f} s on {device.name}: {grid} and {gif}")


@dataclass(frozen=True)
class Train:
    """Train a model. Ctrl-C finishes the step and saves; the same command goes on from there.

    `tinydiff train avatars` takes the options of a recipe that ships with tinydiff, here of one that learns to draw
    portraits from captions.
    """

    config: Path | None = None
    """A TOML file with any of these options; what is also given on the command line wins."""
    data: str = "mnist-small"
    """digits, mnist-small, avatars, mnist, fashion-mnist, or a folder of images (./mnist for one that is called so)."""
    images: int | None = None
    """How many portraits to put together; without it, 20,000. For avatars only."""
    out: Path = Path("runs/mine")
    """Folder for checkpoints, the log and the trained model."""
    start_from: str | None = None
    """Fine-tune: start from this shipped model or model folder instead of random weights."""
    unet: UNetConfig = field(default_factory=lambda: UNetConfig(28, channels=16, channel_mult=(1, 3, 4)))
    """The shape of the network; its image_size decides how images are resized."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Of the forward process."""
    captions: bool = False
    """Learn to draw from captions; the UNet's context then has as many channels as the text."""
    text: TextConfig = field(default_factory=TextConfig)
    """The shape of the text encoder, for captions; its vocabulary is the largest that is wanted."""
    T: int = 1000
    """Steps of the forward process."""
    kind: Literal["eps", "x_0", "v"] = "v"
    """What the network predicts."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How to train."""
    threads: int | None = None
    """How many work at the same time; without it, one for each core. It changes the time, not the result."""
    processes: bool | None = None
    """Whether they are processes, where those can be made (Linux), or threads; without it, by the network's size."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Train, or go on with a run that was stopped."""
        device = select_device(self.device)
        given = None if self.start_from is None else load_model(self.start_from)
        if given is not None:
            self._check_agrees_with(given.config)
        training, held_out = self._data(self.unet if given is None else given.config.unet)
        print(training.describe(), held_out.describe(), sep="\n")
        model = self._new_model(training) if given is None else given
        if device.kind != "cpu":
            model = replace(model, network=model.network.bind(to_device(model.network.theta, device)))
        writable_folder(self.out)
        micro_batch = self.train.micro_batch or default_micro_batch(model.config.unet)
        model = replace(model, micro_batch=micro_batch, threads=self.threads, processes=self.processes)
        config = model.config
        trainer = Trainer(
            model, training, self.train, self.out, held_out, threads=self.threads, processes=self.processes
        )
        known = dataclasses.replace(self, train=trainer.config)  # with the micro-batch that was taken
        text = json.dumps(dataclasses.asdict(known) | dataclasses.asdict(config), indent=2, default=str) + "\n"
        atomic_write(self.out / "run.json", lambda file: file.write(text.encode()))
        if trainer.step:
            print(f"Going on from step {trainer.step} in {self.out}.")
        try:
            trainer.run()
        except KeyboardInterrupt:
            again = shlex.join(["tinydiff", *sys.argv[1:]])
            print(f"\nStopped after step {trainer.step}; saved up to step {trainer.saved}. To go on: {again}")
            raise
        log = read_log(self.out)
        curve = plot.save_image(plot.loss_curve(log), self.out / "loss.png") if log else "without a log"
        where = shlex.quote(str(Path.cwd() / self.out))  # whole: `mnist` alone would name the shipped model
        print(f"Trained {trainer.step} steps: {curve}. To draw: tinydiff sample --model {where}")

    def _check_agrees_with(self, own: ModelConfig) -> None:
        """Raise where what belongs to the model to start from was given and is another than its own."""
        unet, text = replace(self.unet, context_channels=own.unet.context_channels), self.text
        if own.text is not None:
            text = replace(text, vocabulary=own.text.vocabulary)  # that found in captions; given is the largest
        agrees = {name: getattr(self, name) == getattr(own, name) for name in ("schedule", "T", "kind")}
        agrees |= {
            "unet": unet == own.unet,
            "text": text == own.text,
            "captions": self.captions == (own.text is not None),
        }
        for name, same in agrees.items():
            if not same and getattr(self, name) != getattr(Train(), name):
                raise InputError(f"{name} was given with start_from, but is that of the model to start from.")

    def _new_model(self, training: Dataset) -> DiffusionModel:
        """Return a model with random weights, and a tokenizer that has read the captions if it is to read any."""
        unet, text, tokenizer = self.unet, None, None
        if self.captions:
            if training.captions is None:
                raise InputError(f"captions was given, but {self.data} has none: leave it out, or take avatars.")
            merges = self.text.vocabulary - len(Tokenizer())
            if merges < 0:
                raise InputError(f"vocabulary is {self.text.vocabulary}, but {len(Tokenizer())} or more were expected.")
            tokenizer = Tokenizer.train(training.captions, merges)
            text = replace(self.text, vocabulary=len(tokenizer))
            unet = replace(unet, context_channels=text.channels)
        config = ModelConfig(unet, self.schedule, self.T, self.kind, text)
        network = config.network(np.random.default_rng(self.train.seed))
        return DiffusionModel(network, config, self.train.micro_batch, tokenizer=tokenizer)

    def _data(self, unet: UNetConfig) -> tuple[Dataset, Dataset]:
        size, channels = unet.image_size, unet.in_channels
        if self.data == "avatars":
            return load_avatars("train", self.images).resize(size), load_avatars("test").resize(size)
        if self.images is not None:
            raise InputError(f"images is {self.images}, but only avatars are put together: leave it out.")
        if self.data not in NAMES and os.path.isdir(self.data):  # false, too, for what is no path at all
            images = load_folder(self.data, size, channels)
            if len(images) < 2:
                raise InputError(f"{self.data} holds one image, but at least 2 are needed: one in twenty is held out.")
            held_out = np.arange(len(images)) % 20 == 0  # every twentieth, so that each subfolder has its share
            return images.take(~held_out), replace(images.take(held_out), split="held out")
        training, test = load(self.data, "train"), load(self.data, "test")
        return training.resize(size), test.resize(size)


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
        device, settings = select_device(self.device), read_settings(find_folder(self.model))
        if "clip" in settings:
            print(retrieval(load_clip(self.model, device), self.n))
            return
        model = load_model(self.model, device)
        if model.config.text is not None:
            guidance = Guidance(self.guidance)
            print(evaluate_text(model, self.n, self.steps, self.sampler, guidance, self.scales, self.out))
            return
        size = model.config.unet.image_size
        trained_on = settings.get("data")
        data = self.data or (trained_on if trained_on in NAMES and trained_on != "mnist" else "mnist-small")
        what = data.removesuffix("-small")
        judge = self.classifier or f"{what}-classifier-{size}"
        if self.classifier is None and not (SHIPPED / judge).is_dir():
            raise InputError(f"No classifier of {what} ships for images of {size} x {size}: give one by --classifier.")
        print(evaluate(model, data, judge, self.n, self.steps, self.sampler, self.out))


@dataclass(frozen=True)
class Edit:
    """Edit a picture (PNG) of the model's size: draw it anew from a prompt, or a part of it."""

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
        model = load_model(self.model, device)
        original = to_pictures(model, read_image(self.image)[None])
        guidance = self.guidance
        if guidance is None:
            guidance = 1.0 if model.null_context() is None else 2.0
        asked: dict[str, Any] = {
            "seed": self.seed,
            "labels": self.label,
            "prompt": self.prompt,
            "negative": self.negative,
            "guidance": guidance,
        }
        images = xp_of(model.network.theta).asarray(np.repeat(original, self.n, axis=0))
        if self.mask is None:
            edited = image_to_image(model, images, self.strength, self.steps, self.sampler, **asked)
        else:
            known = read_mask(self.mask)
            check_shape("mask", known, (1, *original.shape[1:3], 1))
            mask = xp_of(model.network.theta).asarray(known)
            if fills_in(model):
                edited = fill_in(model, images, mask, self.steps, self.sampler, **asked)
            else:
                edited = inpaint(model, images, mask, self.steps, self.resample, **asked)
        writable_folder(self.out)
        pictures = np.concatenate([original, to_numpy(edited)])
        labels = ["before", *("after",) * self.n]
        grid = plot.image_grid(pictures, len(pictures), labels=labels, title=" ".join((self.prompt or "").split()))
        print(f"Edited {self.image} in {self.n} ways: {plot.save_image(grid, self.out / 'edited.png')}")


@dataclass(frozen=True)
class Serve:
    """Serve a page in the browser that draws what one types (needs tinydiff[demo])."""

    model: str = "avatars"
    """A model that draws from text: one that ships with tinydiff, or a folder."""
    host: str = "127.0.0.1"
    """The address to listen on; this one is reached from this machine alone."""
    port: int = 7860
    """The port to listen on."""
    device: DeviceName = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Serve until Ctrl-C."""
        serve(load_model(self.model, select_device(self.device)), Path(self.model).name, self.host, self.port)


@dataclass(frozen=True)
class Info:
    """Print versions, the device, the models that ship and the data sets that are found."""

    def run(self) -> None:
        """Print all of it."""
        print(f"tinydiff {tinydiff.__version__}, Python {platform.python_version()}, {platform.platform()}")
        print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, {default_threads()} cores")
        try:
            print(f"GPU: {select_device('cuda').name}")
        except DeviceError as error:
            print(f"GPU: none. {error}")
        for card in sorted(SHIPPED.glob("*/config.json")):
            print(f"Model {card.parent.name}: {card.parent}")
        for name in NAMES:
            try:
                print(f"Data {load(name, 'train', network=False).describe()}")
            except DataError as error:
                print(f"Data {str(error).partition('. ')[0]}")


Command = (
    Annotated[Demo, tyro.conf.subcommand("demo")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Sample, tyro.conf.subcommand("sample")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Edit, tyro.conf.subcommand("edit")]
    | Annotated[Serve, tyro.conf.subcommand("serve")]
    | Annotated[Info, tyro.conf.subcommand("info")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command = parse(arguments)
        command.run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except TinydiffError as error:
        print(f"tinydiff: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    except BrokenPipeError:  # `tinydiff info | head` is no error, but a run that stopped for it is not done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if isinstance(command, Info) else 1
    except OSError as error:  # what is printed cannot be written; files have errors of their own
        print(f"tinydiff: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def parse(arguments: list[str]) -> Any:
    """Return the command that the arguments describe; `tyro` exits with status 2 where they describe none."""
    recipe = RECIPES / f"{arguments[1]}.toml" if len(arguments) > 1 and arguments[0] == "train" else None
    if recipe is not None and recipe.is_file():
        default = replace(read_toml(Train, recipe), out=Path("runs") / recipe.stem)
        return tyro.cli(Train, default=default, args=arguments[2:], prog=f"tinydiff train {recipe.stem}")
    path = _config_file(arguments)
    if path is not None:
        return tyro.cli(Train, default=read_toml(Train, path), args=arguments[1:], prog="tinydiff train")
    return tyro.cli(Command, args=arguments, prog="tinydiff", description=tinydiff.__doc__)


def read_toml(kind: type, path: Path) -> Any:
    """Return a dataclass of this kind with the fields that a TOML file gives; tables are nested dataclasses."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--config {path} cannot be read as TOML ({error}).") from error
    return _from_table(kind(), table, str(path))


def _from_table(default, table, where):
    """Return `default`, a dataclass, with what the table gives in its place."""
    types = typing.get_type_hints(type(default))
    values = {}
    for name, value in table.items():
        if name not in types:
            raise InputError(f"{where} has an option {name!r}; there are: {', '.join(types)}.")
        nested = dataclasses.is_dataclass(types[name])
        if nested != isinstance(value, dict):
            raise InputError(f"{where}: {name} is {value!r}, but {'a table' if nested else 'a value'} was expected.")
        if nested:
            value = _from_table(getattr(default, name), value, f"{where}, [{name}]")
        elif not _fits(value, types[name]):
            expected = inspect.formatannotation(types[name])
            raise InputError(f"{where}: {name} is {value!r}, but {expected} was expected.")
        elif types[name] is Path:
            value = Path(value)
        values[name] = value
    return dataclasses.replace(default, **values)


def _fits(value, kind):
    """Whether a value that TOML knows fits a field of this type."""
    parts = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return value in parts
    if typing.get_origin(kind) is tuple:
        parts = parts[:1] * len(value) if parts[-1] is ... and isinstance(value, list) else parts
        return isinstance(value, list) and len(value) == len(parts) and all(map(_fits, value, parts))
    if parts:  # a union
        return any(_fits(value, part) for part in parts)
    return type(value) in {float: (int, float), Path: (str,)}.get(kind, (kind,))


def _config_file(arguments):
    if arguments[:1] != ["train"]:
        return None
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if flag == "--config" or flag.startswith("--config="):
            return Path(flag.partition("=")[2] or value)
    return None


if __name__ == "__main__":
    sys.exit(main())
