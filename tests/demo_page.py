"""A small model that reads text, and requests for pictures of it, as the demo page makes them."""

import numpy as np

from tinydiff.apps.serve.drawing import MOST_CHARACTERS, MOST_SCALE, MOST_STEPS, draw
from tinydiff.data import load_avatars
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import TextConfig, UNetConfig
from tinydiff.text import Tokenizer

TOKENIZER = Tokenizer.train(load_avatars("train", 24).captions, 200)
LENGTH = 16
PROMPT = "long red hair, round glasses"
ASKED = {"prompt": PROMPT, "negative": "a hat", "scale": 3, "steps": 4, "sampler": "ddim", "seed": 5}


def make(T=1000):
    """A small model away from its initial state, where the last layers are 0 and words do not count."""
    unet = UNetConfig(
        8, 3, channels=8, channel_mult=(1, 2), attention_levels=(0, 1), blocks_per_level=1, heads=2, context_channels=8
    )
    config = ModelConfig(unet, T=T, text=TextConfig(len(TOKENIZER), LENGTH, 8, 1, 2))
    network = config.network(np.random.default_rng(0))
    network.theta[:] += 0.1 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, config, micro_batch=4, tokenizer=TOKENIZER)


def drawn(model, **asked):
    return list(draw(model, **ASKED | asked))


BAD = [
    ("prompt", None, "The prompt is None, but a text"),
    ("prompt", ["a"], r"The prompt is \['a'\], but a text"),
    ("prompt", {"a": list(range(10_000))}, "The prompt is .*but a text"),
    ("prompt", "a" * (MOST_CHARACTERS + 1), "The prompt has 1,001 characters, but at most 1,000"),
    ("negative", 3, "The negative prompt is 3"),
    ("scale", float("nan"), "The guidance scale is nan"),
    ("scale", float("inf"), "The guidance scale is inf"),
    ("scale", -1, "The guidance scale is -1, but a number from 0 to 20"),
    ("scale", MOST_SCALE + 0.1, "The guidance scale is 20.1"),
    ("scale", "3", "The guidance scale is '3'"),
    ("scale", True, "The guidance scale is True"),
    ("steps", 0, "The number of steps is 0, but a whole number from 1 to 250"),
    ("steps", MOST_STEPS + 1, "The number of steps is 251"),
    ("steps", 2.5, "The number of steps is 2.5"),
    ("steps", None, "The number of steps is None"),
    ("sampler", "Euler", "The sampler is 'Euler', but one that the page lists was expected"),
    ("sampler", ["ddim"], r"The sampler is \['ddim'\]"),
    ("sampler", None, "The sampler is None"),
    ("seed", -1, "The seed is -1"),
    ("seed", 2**32, "The seed is 4294967296"),
    ("seed", 10**400, "The seed is 1000"),
    ("seed", "x" * 10_000, "The seed is 'xxx"),
]
