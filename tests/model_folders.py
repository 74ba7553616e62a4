"""Small models of every kind, their folders, and what is the same of a model and of one that was loaded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tinydiff.base import CheckpointError
from tinydiff.models import ClipModel, DiffusionModel, ModelConfig, load
from tinydiff.networks import (
    CLIP,
    Classifier,
    ClassifierConfig,
    CLIPConfig,
    NoisyClassifier,
    NoisyClassifierConfig,
    TextConfig,
    TextToImage,
    UNet,
    UNetConfig,
)
from tinydiff.text import Tokenizer

UNET = UNetConfig(image_size=8, channels=8, channel_mult=(1, 2), blocks_per_level=1, heads=2, num_classes=3)
TOKENIZER = Tokenizer.train(["a red hat", "a green hat"], 4)
TEXT = TextConfig(len(TOKENIZER), length=6, channels=8, layers=1, heads=2)


def make(kind="v", seed=0):
    network = UNet(UNET, np.random.default_rng(seed))
    network.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(network.theta.shape).astype(np.float32)
    return DiffusionModel(network, ModelConfig(UNET, T=50, kind=kind), micro_batch=4)


def make_from_text():
    unet = replace(UNET, num_classes=None, context_channels=8)
    return DiffusionModel(TextToImage(unet, TEXT), ModelConfig(unet, T=50, text=TEXT), 4, tokenizer=TOKENIZER)


def make_clip():
    config = CLIPConfig(8, 3, (4, 8), 6, replace(TEXT, causal=True))
    return ClipModel(CLIP(config), TOKENIZER, "linear", 40, 2)


def make_classifier():
    return Classifier(ClassifierConfig(8, 1, 3, (4,), 6))


def make_noisy_classifier():
    return NoisyClassifier(NoisyClassifierConfig(8, 1, 3, (4, 8)))


MAKERS = [make, make_from_text, make_clip, make_classifier, make_noisy_classifier]


def theta_of(model):
    return getattr(model, "network", model).theta


def options_of(model):
    """Return what a model was built from, but for its parts."""
    config = model.network.config if isinstance(model, ClipModel) else model.config
    return [config, *(getattr(model, name, None) for name in ("micro_batch", "schedule", "T"))]


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def rewrite(folder, change):
    (folder / "config.json").write_text(json.dumps(config_of(folder) | change))


def refused(folder, *words, kind=None, error=CheckpointError):
    """Loading the folder is refused with one sentence, which holds these words."""
    with pytest.raises(error) as caught:
        load(folder, kind=kind)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence
