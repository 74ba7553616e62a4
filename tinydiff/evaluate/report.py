"""What reports on models without text have in common: the loss by timestep, and the pictures."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinydiff import plot
from tinydiff.base import Array, Noise, counted, to_numpy, xp_of
from tinydiff.data import Dataset
from tinydiff.diffusion.targets import in_halves
from tinydiff.evaluate.by_timestep import LossByTimestep, loss_by_timestep
from tinydiff.evaluate.neighbours import nearest_neighbours
from tinydiff.models import DiffusionModel

SHOWN, NEIGHBOURS = 10, 3  # how many samples are shown beside how many of the nearest training images


def mean_loss(model: DiffusionModel, images: Array, context: Array | None, seed: int, bins: int) -> LossByTimestep:
    """Return the loss in bins of t, each image, with its condition, at one random t (Eq. DDPM-14)."""
    model.check_draws()
    x_0, noise = model.encode(images), Noise(seed, xp=xp_of(images))
    t = noise.integers(1, model.config.T, len(x_0), "t")
    eps = noise.normal(x_0.shape, "eps")
    output = model.network_output(model.diffusion.q_sample(x_0, t, eps), t, context)
    output, _ = in_halves(output, x_0.shape[-1])
    losses = ((output - model.target(x_0, eps, t)) ** 2).mean(axis=(1, 2, 3))
    return loss_by_timestep(to_numpy(t), to_numpy(losses), model.config.T, bins)


@contextlib.contextmanager
def carried_by_errors(lines: list[str]) -> Iterator[None]:
    """Let an error that ends the block, such as of a full disk, carry the lines of a report, as a note.

    They took long, and should not be lost with the pictures: Python shows notes below a traceback, and the command
    prints them before it refuses.
    """
    try:
        yield
    except BaseException as error:
        error.add_note("\n".join(lines))
        raise


def save_pictures(out: Path, samples: np.ndarray, training: Dataset, loss: LossByTimestep, how: str) -> str:
    """Save samples, the nearest training images of the first, and the loss; return a line that names the files.

    `how` says how the samples were drawn, for a title.
    """
    title = f"The first {min(len(samples), 100)} of {counted(len(samples), 'sample')}, {how}"
    plot.save_image(plot.image_grid(samples[:100], columns=10, title=title), out / "samples.png")
    plot.save_image(plot.loss_by_timestep_curve(*loss[:3]), out / "loss_by_timestep.png")
    images, _ = training.batch(np.arange(len(training)))
    indices, distances = nearest_neighbours(samples[:SHOWN], images, k=min(NEIGHBOURS, len(training)))
    title = f"The nearest of {counted(len(training), 'training image')} of {training.name}, and their distances"
    pictures = plot.neighbour_rows(samples[:SHOWN], images[indices], distances, title=title)
    plot.save_image(pictures, out / "nearest.png")
    return f"Pictures: {out}/samples.png, {out}/nearest.png, {out}/loss_by_timestep.png"
