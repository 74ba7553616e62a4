"""Train the small classifier that judges samples, on real images only, and write its folder with a card.

    python tools/train_classifier.py --size 28 --out tinydiff/weights/mnist-classifier-28
    python tools/train_classifier.py --noisy --epochs 30 --out tinydiff/weights/mnist-noisy-classifier

Images are shifted by up to one pixel either way. With --noisy they have the noise of a random time of the cosine
schedule: a classifier that can guide. The accuracy in the card is that on the test images.
"""

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tinydiff.base import Noise, atomic_write
from tinydiff.data import load
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.evaluate import judge
from tinydiff.functional import cross_entropy, cross_entropy_backward
from tinydiff.models.store import save_weights
from tinydiff.networks import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW, learning_rate, update_ema
from tinydiff.workers import LaneSum, map_shards

BATCH, MICRO_BATCH, LR, WARMUP, EMA = 128, 32, 2e-3, 50, 0.98
DIFFUSION, TIMES = GaussianDiffusion(cosine_schedule(1000)), (1, 250, 500, 750, 900)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--noisy", action="store_true", help="train the classifier that guides, not the judge")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    training, test = (load(options.data, split).resize(options.size) for split in ("train", "test"))
    start = time.perf_counter()
    model: Classifier | NoisyClassifier
    if options.noisy:
        model = NoisyClassifier(NoisyClassifierConfig(options.size), np.random.default_rng(0))
    else:
        model = Classifier(ClassifierConfig(options.size, channels=(16, 32, 32)), np.random.default_rng(0))
    ema = train(model, training, options.epochs, options.noisy)
    model.theta[:] = ema
    minutes = (time.perf_counter() - start) / 60

    save_weights(options.out / "model.safetensors", model)
    kind = "noisy_classifier" if options.noisy else "classifier"
    text = json.dumps({kind: dataclasses.asdict(model.config)}, indent=2) + "\n"
    atomic_write(options.out / "config.json", lambda file: file.write(text.encode()))
    images, labels = test.batch(np.arange(len(test)))
    about = {
        "size": options.size,
        "parameters": model.theta.size,
        "images": len(training),
        "tests": len(test),
        "data": options.data,
        "credit": CREDITS.get(options.data, ""),
        "epochs": options.epochs,
        "minutes": minutes,
        "machine": f"{platform.machine()}, NumPy {np.__version__}",
        "out": options.out,
    }
    if options.noisy:
        lines = [f"| accuracy at t = {t} | {accuracy_at(model, images, labels, t):.1%} |" for t in TIMES]
        card = NOISY_CARD.format(accuracies="\n".join(lines), **about)
    else:
        verdict = judge(model, images, labels)
        card = CARD.format(accuracy=verdict.agreement, confident=verdict.confident.value, **about)
    atomic_write(options.out / "CARD.md", lambda file: file.write(card.encode()))
    print(card)


def accuracy_at(model, images, labels, t):
    """Return the share of images that are called by their label with the noise of time t."""
    x_t = DIFFUSION.q_sample(images, t, Noise(0).normal(images.shape, "eps"))
    logits = map_shards(model.forward, (x_t, np.full(len(x_t), t)), 100)
    return float((logits.argmax(axis=1) == labels).mean())


def train(model, data, epochs, noisy):
    """Return the average of the weights after training."""
    optimizer, ema = AdamW(model.theta), model.theta.copy()
    per_epoch = len(data) // BATCH
    steps = epochs * per_epoch

    def add_gradient(shard, total):
        part = slice(shard * MICRO_BATCH, (shard + 1) * MICRO_BATCH)
        tape = Tape()
        loss, cache = cross_entropy(model.forward(*(values[part] for values in inputs), tape), labels[part])
        (d_logits,) = cross_entropy_backward(MICRO_BATCH / BATCH, cache)
        model.backward(d_logits, tape, Gradients(model.parameters(), total))
        return loss

    gradient = LaneSum(add_gradient, BATCH // MICRO_BATCH, model.theta, processes=False)
    for step in tqdm(range(steps)):
        noise = Noise(0, step=step)
        if step % per_epoch == 0:
            order = noise.permutation(len(data), "data order")
        images, labels = data.batch(order[(step % per_epoch) * BATCH :][:BATCH])
        images = np.roll(images, noise.integers(-1, 1, 2, "shift"), axis=(1, 2))
        inputs = (images,)
        if noisy:
            t = noise.integers(1, DIFFUSION.T, BATCH, "t")
            inputs = (DIFFUSION.q_sample(images, t, noise.normal(images.shape, "eps")), t)
        gradient()
        optimizer.step(gradient.totals[0], learning_rate(step + 1, steps, LR, WARMUP))
        update_ema(ema, model.theta, EMA)
    return ema


MNIST = "MNIST: Yann LeCun, Corinna Cortes, Christopher Burges; CC BY-SA 3.0."
CREDITS = {"mnist": MNIST, "mnist-small": MNIST, "fashion-mnist": "Fashion-MNIST: Zalando SE; MIT licence."}

CARD = """# Classifier of {data}, {size} x {size}

The judge of samples: a small convolutional network ({parameters:,} parameters), trained with tinydiff on real images.

| | |
|---|---|
| data | {data}, {images:,} training images at {size} x {size}, shifted by up to a pixel |
| training | {epochs} epochs, batch 128, AdamW, {minutes:.1f} minutes on 2 cores ({machine}) |
| accuracy on the {tests:,} test images | {accuracy:.2%} |
| test images called with p > 0.9 | {confident:.2%} |
| command | `python tools/train_classifier.py --data {data} --size {size} --epochs {epochs} --out {out}` |

The Fréchet distance of tinydiff is taken on its last hidden layer (64 features). It compares with figures of this very
classifier only. {credit}
"""

NOISY_CARD = """# Classifier of noisy images of {data}, {size} x {size}

The guide of `classifier_guidance`: the way down of a small UNet, which is told the time, and a linear layer;
{parameters:,} parameters. It reads x_t at any t of the cosine schedule with T = 1000.

| | |
|---|---|
| data | {data}, {images:,} training images at {size} x {size}, shifted by up to a pixel, each at a random time |
| training | {epochs} epochs, batch 128, AdamW, {minutes:.1f} minutes on 2 cores ({machine}) |
{accuracies}
| command | `python tools/train_classifier.py --noisy --data {data} --epochs {epochs} --out {out}` |

Accuracies are on {tests:,} test images; chance is 10 %. It guides, and does not judge: samples that it has guided are
judged by `{data}-classifier-{size}`, which it has never met. {credit}
"""

if __name__ == "__main__":
    main()
