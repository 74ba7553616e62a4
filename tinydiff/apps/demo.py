"""The demo: draw with the shipped weights, then train from scratch, watch it learn, and judge what it draws."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff import plot
from tinydiff.base import counted, writable_folder
from tinydiff.data import load_data
from tinydiff.evaluate import balanced, classifier_frechet, classifier_scores, nearest_neighbours
from tinydiff.models import DiffusionModel, ModelConfig, Request, load
from tinydiff.networks import Classifier, UNet, UNetConfig
from tinydiff.train import Denoise, DenoiseConfig, Run

UNET = UNetConfig(image_size=16, channels=24, channel_mult=(1, 2), blocks_per_level=1, num_classes=10)
SAMPLES = 256
WRITTEN = ("shipped.png", "shipped.gif", "progress.png", "loss.png", "samples.png", "nearest.png")


def run_demo(out: Path, steps: int = 1600, seed: int = 0) -> None:
    """Run the demo and leave its pictures in a folder."""
    config = DenoiseConfig(steps=steps, seed=seed, validate_every=max(1, steps // 8))
    writable_folder(out)
    start = time.perf_counter()
    draw_with_shipped_weights(out, seed)
    print(f"  ({time.perf_counter() - start:.0f} s)\n")
    train_and_judge(out, config)
    print(f"\nAll of it took {time.perf_counter() - start:.0f} s. The pictures are in {out}/.")


def draw_with_shipped_weights(out: Path, seed: int) -> None:
    """Draw a grid and the reverse chain with the model that ships with tinydiff."""
    print("1. Digits from the shipped weights, 28 x 28")
    model = load("mnist", kind=DiffusionModel)
    frames = list(model.chain(Request(n=40, seed=seed), steps=40))
    test = load_data("mnist-small", "test")
    real, _ = test.batch(balanced(test.labels)[:40])
    title = f"Above: 40 samples, none left out (DDIM, 40 steps, seed {seed}). Below: 40 real images"
    both = plot.image_grid(np.concatenate([np.clip(frames[-1][1], -1, 1), real]), columns=10, title=title)
    grid = plot.save_image(both, out / "shipped.png")
    gif = plot.chain_gif(frames, out / "shipped.gif", samples=10, max_frames=25)
    print(f"  {grid}: samples and real images\n  {gif}: noise becoming digits")


def train_and_judge(out: Path, config: DenoiseConfig) -> None:
    """Train at 16 x 16 from random weights, redraw the same eight starts on the way, and judge 256 samples."""
    training, test = (load_data("mnist-small", split).resize(UNET.image_size) for split in ("train", "test"))
    print(f"2. Training from scratch, {UNET.image_size} x {UNET.image_size}\n  {training.describe()}")
    steps, seed = config.steps, config.seed
    log: list[dict[str, Any]] = []
    network = UNet(UNET, np.random.default_rng(seed))
    model = DiffusionModel(network, ModelConfig(UNET), config.micro_batch)
    run = Run(Denoise(model, training, config, test), hooks=[log.append])
    moments = {max(1, round(steps * share)) for share in (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)}
    progress: list[tuple[int, Any]] = []

    def redraw(run):
        if run.step in moments:
            *_, (_, x, _) = run.trained().chain(Request(n=8, seed=seed), steps=20)
            progress.append((run.step, x))

    run.run(on_step=redraw)
    title = f"The same eight starts as it learns, seed {seed}; above: the digit asked for"
    plot.save_image(plot.training_progress(progress, title=title, column_labels=range(8)), out / "progress.png")
    plot.save_image(plot.loss_curve(log), out / "loss.png")
    print(f"  {out}/progress.png: the same eight starts as it learns\n  {out}/loss.png: the loss")

    print(f"3. {SAMPLES} samples of the model just trained, none left out")
    *_, (_, samples, _) = run.trained().chain(Request(n=SAMPLES, seed=seed), steps=50)
    samples = np.clip(samples, -1, 1)
    title = f"{SAMPLES} samples after {counted(steps, 'training step')} (DDIM, 50 sampling steps, seed {seed})"
    plot.save_image(plot.image_grid(samples, columns=20, title=title), out / "samples.png")
    images, _ = training.batch(np.arange(len(training)))
    indices, distances = nearest_neighbours(samples[:10], images, k=5)
    title = f"The nearest of {len(images):,} training images, and their distances"
    pictures = plot.neighbour_rows(samples[:10], images[indices], distances, title=title)
    plot.save_image(pictures, out / "nearest.png")

    classifier = load(f"mnist-classifier-{UNET.image_size}", kind=Classifier)
    real, labels = test.batch(np.arange(len(test)))
    of_samples, of_real = (
        classifier_scores(classifier, samples, np.arange(SAMPLES) % 10),
        classifier_scores(classifier, real, labels),
    )
    ratio = of_samples.confident.value / of_real.confident.value
    drawn = classifier_frechet(classifier, samples, real[:SAMPLES])
    between_real = classifier_frechet(classifier, images[balanced(training.labels)[:SAMPLES]], real[:SAMPLES])
    print(f"  {out}/samples.png, {out}/nearest.png: each with its nearest training images")
    print(
        f"  An independent classifier calls {of_samples.confident.value:.1%} with p > 0.9, of real images "
        f"{of_real.confident.value:.1%} (ratio {ratio:.2f}),\n"
        f"  {of_samples.agreement:.1%} by the label that was asked for; the rarest class has "
        f"{min(of_samples.classes.value):.1%}.\n"
        f"  Fréchet distance on its features to {SAMPLES} test images: {drawn:.2f}, of real training images "
        f"{between_real:.2f}."
    )
