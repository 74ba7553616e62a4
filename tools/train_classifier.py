"""Train the small classifier that judges samples, on real images only, and write its folder with a card.

    python tools/train_classifier.py --size 28 --out tinydiff/weights/mnist-classifier-28

Images are shifted by up to one pixel either way. The accuracy in the card is that on MNIST's 10,000 test images.
"""

import argparse
import dataclasses
import json
import platform
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tinydiff.data import load
from tinydiff.evaluate import judge
from tinydiff.files import atomic_write
from tinydiff.functional import cross_entropy, cross_entropy_backward
from tinydiff.model import save_weights
from tinydiff.nn import Classifier, ClassifierConfig, Gradients, Tape
from tinydiff.noise import Noise
from tinydiff.parallel import sum_in_lanes
from tinydiff.train import AdamW, learning_rate, update_ema

BATCH, MICRO_BATCH, LR, WARMUP, EMA = 128, 32, 2e-3, 50, 0.98


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    training, test = (load("mnist", split).resize(options.size) for split in ("train", "test"))
    config = ClassifierConfig(image_size=options.size, channels=(16, 32, 32))
    start = time.perf_counter()
    model = Classifier(config, np.random.default_rng(0))
    ema = train(model, training, options.epochs)
    model.theta[:] = ema
    images, labels = test.batch(np.arange(len(test)))
    verdict = judge(model, images, labels)
    minutes = (time.perf_counter() - start) / 60

    save_weights(options.out / "model.safetensors", model)
    text = json.dumps({"classifier": dataclasses.asdict(config)}, indent=2) + "\n"
    atomic_write(options.out / "config.json", lambda file: file.write(text.encode()))
    card = CARD.format(
        size=options.size,
        parameters=model.theta.size,
        accuracy=verdict.agreement,
        confident=verdict.confident.value,
        epochs=options.epochs,
        minutes=minutes,
        machine=f"{platform.machine()}, NumPy {np.__version__}",
        out=options.out,
    )
    atomic_write(options.out / "CARD.md", lambda file: file.write(card.encode()))
    print(card)


def train(model, data, epochs):
    """Return the average of the weights after training."""
    optimizer, ema = AdamW(model.theta), model.theta.copy()
    lanes = [np.zeros_like(model.theta) for _ in range(BATCH // MICRO_BATCH)]
    per_epoch = len(data) // BATCH
    steps = epochs * per_epoch
    for step in tqdm(range(steps)):
        noise = Noise(0, step=step)
        if step % per_epoch == 0:
            order = noise.permutation(len(data), "data order")
        indices = order[(step % per_epoch) * BATCH :][:BATCH]
        images, labels = data.batch(indices)
        images = np.roll(images, noise.integers(-1, 1, 2, "shift"), axis=(1, 2))

        def add_gradient(shard, flat, images=images, labels=labels):
            part = slice(shard * MICRO_BATCH, (shard + 1) * MICRO_BATCH)
            tape = Tape()
            loss, cache = cross_entropy(model.forward(images[part], tape), labels[part])
            (d_logits,) = cross_entropy_backward(MICRO_BATCH / BATCH, cache)
            model.backward(d_logits, tape, Gradients(model.parameters(), flat))
            return loss

        for lane in lanes:
            lane[:] = 0
        sum_in_lanes(add_gradient, BATCH // MICRO_BATCH, lanes)
        optimizer.step(lanes[0], learning_rate(step + 1, steps, LR, WARMUP))
        update_ema(ema, model.theta, EMA)
    return ema


CARD = """# MNIST classifier, {size} x {size}

The judge of samples: a small convolutional network ({parameters:,} parameters), trained with tinydiff on real images.

| | |
|---|---|
| data | MNIST, 60,000 training images at {size} x {size}, shifted by up to a pixel |
| training | {epochs} epochs, batch 128, AdamW, {minutes:.1f} minutes on 2 cores ({machine}) |
| accuracy on the 10,000 test images | {accuracy:.2%} |
| test images called with p > 0.9 | {confident:.2%} |
| command | `python tools/train_classifier.py --size {size} --epochs {epochs} --out {out}` |

The Fréchet distance of tinydiff is taken on its last hidden layer (64 features). It compares with figures of this very
classifier only. MNIST: Yann LeCun, Corinna Cortes, Christopher Burges; CC BY-SA 3.0.
"""

if __name__ == "__main__":
    main()
