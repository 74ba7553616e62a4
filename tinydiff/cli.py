"""The command line: ``tinydiff demo | train | sample | evaluate | info``.

Each command is a frozen dataclass; its fields are the options. Errors are one sentence on stderr; the exit status
is 2 for a bad argument, 1 for everything else that fails, and 130 after Ctrl-C.
"""

import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import scipy
import tyro

import tinydiff
from tinydiff import plot
from tinydiff.backend import select_device, to_numpy
from tinydiff.data import load
from tinydiff.errors import DeviceError, InputError, TinydiffError
from tinydiff.evaluate import classifier_frechet, held_out_loss, judge
from tinydiff.metrics import nearest_neighbours
from tinydiff.model import SHIPPED, load_classifier, load_model

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Sample:
    """Draw images: a grid (PNG) and the reverse chain (GIF)."""

    model: str = "mnist"
    """A model that ships with tinydiff, or a folder with config.json and model.safetensors."""
    n: int = 64
    """How many images."""
    seed: int = 0
    """The same seed gives the same pictures, whatever n is."""
    label: int | None = None
    """Which class; without it, all classes in turn."""
    steps: int = 50
    """Calls of the network per image."""
    sampler: Literal["ddim", "ddpm", "heun", "dpmpp_2m"] = "ddim"
    """Which sampler."""
    out: Path = Path("samples")
    """Folder for the pictures."""
    device: Device = "auto"
    """Where to compute."""

    def run(self) -> None:
        """Draw, save and say where."""
        device = select_device(self.device)
        model = load_model(self.model, device)
        start = time.perf_counter()
        frames = [(model.config.T, *[self._noise(model)] * 2)]
        for t, x_t, x_0_hat in model.chain(self.n, self.seed, self.label, self.steps, self.sampler):
            frames.append((t, to_numpy(x_t), to_numpy(x_0_hat)))
        seconds = time.perf_counter() - start
        title = f"{self.n} samples of {self.model}, {self.sampler}, {self.steps} steps, seed {self.seed}"
        grid = plot.save_image(plot.image_grid(frames[-1][1], title=title), self.out / "grid.png")
        gif = plot.chain_gif(frames[1:], self.out / "chain.gif")
        print(f"Drew {self.n} images in {seconds:.1f} s on {device.name}: {grid} and {gif}")


@dataclass(frozen=True)
class Evaluate:
    """Measure a model: its loss by timestep, and what an independent classifier says of its samples."""

    model: str = "mnist"
    """A model that ships with tinydiff, or a folder."""
    data: str | None = None
    """Data set of the real images; without it, the one that the model was trained on."""
    n: int = 1000
    """How many samples, drawn with seed 0 and not selected."""
    steps: int = 50
    """Calls of the network per image."""
    sampler: Literal["ddim", "ddpm", "heun", "dpmpp_2m"] = "ddim"
    """Which sampler."""
    out: Path | None = None
    """Folder for pictures: samples, nearest training images, loss by timestep."""
    device: Device = "auto"
    """Where to compute."""
