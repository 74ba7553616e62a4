"""Networks: parameters and wiring around the pairs of `tinydiff.functional`."""

from tinydiff.nn.attention import SelfAttention
from tinydiff.nn.blocks import ResBlock
from tinydiff.nn.classifier import Classifier, ClassifierConfig
from tinydiff.nn.core import Checkpoint, Gradients, Module, Parameter, Tape
from tinydiff.nn.layers import (
    GELU,
    AvgPool,
    Conv2d,
    Dropout,
    Embedding,
    GroupNorm,
    GroupNormSiLU,
    Layer,
    LayerNorm,
    Linear,
    Sequential,
    SiLU,
    Upsample,
)
from tinydiff.nn.unet import UNet, UNetConfig, UNetGradients

__all__ = [
    "GELU",
    "AvgPool",
    "Checkpoint",
    "Classifier",
    "ClassifierConfig",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Gradients",
    "GroupNorm",
    "GroupNormSiLU",
    "Layer",
    "LayerNorm",
    "Linear",
    "Module",
    "Parameter",
    "ResBlock",
    "SelfAttention",
    "Sequential",
    "SiLU",
    "Tape",
    "UNet",
    "UNetConfig",
    "UNetGradients",
    "Upsample",
]
