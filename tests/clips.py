"""A small CLIP and the portraits that it reads, for several tests."""

import functools

import numpy as np
from pairs import random

from tinydiff.data import Dataset
from tinydiff.data.avatars import compose, describe, render
from tinydiff.models import ClipModel
from tinydiff.networks import CLIP, CLIPConfig, TextConfig
from tinydiff.text import Tokenizer
from tinydiff.train import Contrast, ContrastConfig, Run

TEXT = TextConfig(vocabulary=20, length=6, channels=8, layers=1, heads=2, causal=True)
TINY = CLIPConfig(image_size=8, channels=(8, 8), embedding=6, text=TEXT)
TOKENS = np.array([[18, 1, 2, 19, 19, 19], [18, 5, 1, 3, 7, 19], [18, 19, 19, 19, 19, 19]])  # 18 starts, 19 ends


def network(dtype=np.float64):
    rng = np.random.default_rng(0)
    clip = CLIP(TINY, rng, dtype)
    clip.theta[:] += 0.1 * rng.standard_normal(clip.theta.shape)
    return clip


def inputs(dtype=np.float64):
    return random(3, 8, 8, 3).astype(dtype), np.array([0, 30, 700]), TOKENS


PORTRAITS = compose(64)
CAPTIONS = describe(PORTRAITS)
TEXTS = tuple(caption.text for caption in CAPTIONS)
TOKENIZER = Tokenizer.train(TEXTS, 100)
SMALL = CLIPConfig(channels=(8, 16), embedding=16, text=TextConfig(len(TOKENIZER), 40, 16, 1, 2, causal=True))


def make():
    return ClipModel(CLIP(SMALL, np.random.default_rng(0)), TOKENIZER, T=50, micro_batch=8)


@functools.cache
def learned():
    """Return a CLIP that has learned 64 pairs by heart; it is trained once, and nobody changes it."""
    clip = make()
    data = Dataset(render(PORTRAITS), np.zeros(64, int), "portraits", "train", "made in the test", TEXTS)
    run = Run(
        Contrast(clip, data, ContrastConfig(steps=60, batch=32, micro_batch=16, lr=5e-3, warmup=5, ema=0.9, clean=0.8))
    )
    run.run(progress=False)
    return run.trained()
