"""Networks: parameters and wiring around the pairs of `tinydiff.functional`."""

from tinydiff.nn.attention import Attention, SelfAttention
from tinydiff.nn.blocks import ResBlock
from tinydiff.nn.classifier import Classifier, ClassifierConfig, NoisyClassifier, NoisyClassifierConfig
from tinydiff.nn.clip import CLIP, CLIPConfig
from tinydiff.nn.core import Checkpoint, Gradients, Module, Parameter, Tape
from tinydiff.nn.layers import (
    GEGLU,
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
    UnitLength,
    Upsample,
)
from tinydiff.nn.text import TextConfig, TextEncoder
from tinydiff.nn.text_to_image import TextToImage
from tinydiff.nn.transformer import SpatialTransformer, TransformerBlock
from tinydiff.nn.unet import UNet, UNetConfig, UNetGradients

__all__ = [
    "CLIP",
    "GEGLU",
    "GELU",
    "Attention",
    "AvgPool",
    "CLIPConfig",
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
    "NoisyClassifier",
    "NoisyClassifierConfig",
    "Parameter",
    "ResBlock",
    "SelfAttention",
    "Sequential",
    "SiLU",
    "SpatialTransformer",
    "Tape",
    "TextConfig",
    "TextEncoder",
    "TextToImage",
    "TransformerBlock",
    "UNet",
    "UNetConfig",
    "UNetGradients",
    "UnitLength",
    "Upsample",
]
