"""The parts of networks: parameters, modules, tape, gradients; layers and blocks around `tinydiff.functional`."""

from tinydiff.nn.activations import GEGLU, GELU, LeakyReLU, QuickGELU, SiLU
from tinydiff.nn.attention import Attention, SelfAttention
from tinydiff.nn.blocks import BlockConfig, ResBlock
from tinydiff.nn.checkpoint import Checkpoint
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.layers import (
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
    UnitLength,
    Upsample,
)
from tinydiff.nn.module import Module
from tinydiff.nn.parameter import Parameter, weights_at_most, weights_left_out, weights_that_fit
from tinydiff.nn.quantise import Quantiser, ScalarQuantiser, VectorQuantiser
from tinydiff.nn.tape import Tape
from tinydiff.nn.transformer import ACTIVATIONS, SpatialTransformer, TransformerBlock

__all__ = [
    "ACTIVATIONS",
    "GEGLU",
    "GELU",
    "Attention",
    "AvgPool",
    "BlockConfig",
    "Checkpoint",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Gradients",
    "GroupNorm",
    "GroupNormSiLU",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "Module",
    "Parameter",
    "Quantiser",
    "QuickGELU",
    "ResBlock",
    "ScalarQuantiser",
    "SelfAttention",
    "Sequential",
    "SiLU",
    "SpatialTransformer",
    "Tape",
    "TransformerBlock",
    "UnitLength",
    "Upsample",
    "VectorQuantiser",
    "weights_at_most",
    "weights_left_out",
    "weights_that_fit",
]
