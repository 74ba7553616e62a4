"""The table of names: what diffusers and transformers call the weights that tinydiff has.

A name is a place in a network, a part of what stands there, and a leaf. So ``down.0.blocks.1`` + ``norm_1`` + ``gamma``
is ``down_blocks.0.resnets.1`` + ``norm1`` + ``weight`` there, and each of the three is looked up in a table below. A
star stands for a number, which stays as it is.

Two things differ besides names. PyTorch has the axes of a matrix as (out, in) and of a kernel as (out, in, height,
width), where they are (in, out) and (height, width, in, out) here. And queries, keys and values are matrices of their
own there, which stand beside each other in one here: several names for one of ours.
"""

import re
from typing import Any

import numpy as np

from tinydiff.base import Array
from tinydiff.networks import Autoencoder, TextEncoder, UNet
from tinydiff.nn import Module, Parameter, ResBlock, SelfAttention, SpatialTransformer, TransformerBlock

OF_AUTOENCODER = {
    "encoder.stem": "encoder.conv_in",
    "encoder.down.*.blocks.*": "encoder.down_blocks.*.resnets.*",
    "encoder.down.*.resample": "encoder.down_blocks.*.downsamplers.0.conv",
    "encoder.mid.blocks.0.attention": "encoder.mid_block.attentions.0",
    "encoder.mid.blocks.*": "encoder.mid_block.resnets.*",
    "encoder.head.layers.0": "encoder.conv_norm_out",
    "encoder.head.layers.1": "encoder.conv_out",
    "quant": "quant_conv",
    "post_quant": "post_quant_conv",
    "decoder.stem": "decoder.conv_in",
    "decoder.mid.blocks.0.attention": "decoder.mid_block.attentions.0",
    "decoder.mid.blocks.*": "decoder.mid_block.resnets.*",
    "decoder.up.*.blocks.*": "decoder.up_blocks.*.resnets.*",
    "decoder.up.*.resample.layers.1": "decoder.up_blocks.*.upsamplers.0.conv",
    "decoder.head.layers.0": "decoder.conv_norm_out",
    "decoder.head.layers.1": "decoder.conv_out",
}
OF_UNET = {
    "embed.mlp.layers.0": "time_embedding.linear_1",
    "embed.mlp.layers.2": "time_embedding.linear_2",
    "embed.label": "class_embedding",
    "stem": "conv_in",
    "down.*.blocks.*.attention": "down_blocks.*.attentions.*",
    "down.*.blocks.*": "down_blocks.*.resnets.*",
    "down.*.resample": "down_blocks.*.downsamplers.0.conv",
    "mid_1.attention": "mid_block.attentions.0",
    "mid_1": "mid_block.resnets.0",
    "mid_2": "mid_block.resnets.1",
    "up.*.blocks.*.attention": "up_blocks.*.attentions.*",
    "up.*.blocks.*": "up_blocks.*.resnets.*",
    "up.*.resample.layers.1": "up_blocks.*.upsamplers.0.conv",
    "head.layers.0": "conv_norm_out",
    "head.layers.2": "conv_out",
}
OF_TEXT_ENCODER = {
    "token": "embeddings.token_embedding",
    "place": "embeddings.position_embedding",
    "blocks.*": "encoder.layers.*",
    "norm": "final_layer_norm",
}
PLACES: dict[type[Module], dict[str, str]] = {
    Autoencoder: OF_AUTOENCODER,
    UNet: OF_UNET,
    TextEncoder: OF_TEXT_ENCODER,
}
PARTS: dict[type[Module], dict[str, str]] = {  # of what stands at a place; anything else is one layer
    ResBlock: {
        "norm_1": "norm1",
        "conv_1": "conv1",
        "project": "time_emb_proj",
        "norm_2": "norm2",
        "conv_2": "conv2",
        "shortcut": "conv_shortcut",
    },
    SelfAttention: {
        "norm": "group_norm",
        "qkv": "to_q to_k to_v",
        "proj": "to_out.0",
    },
    SpatialTransformer: {
        "norm": "norm",
        "proj_in": "proj_in",
        "block.norm_1": "transformer_blocks.0.norm1",
        "block.self_attention.query": "transformer_blocks.0.attn1.to_q",
        "block.self_attention.key_value": "transformer_blocks.0.attn1.to_k transformer_blocks.0.attn1.to_v",
        "block.self_attention.proj": "transformer_blocks.0.attn1.to_out.0",
        "block.norm_2": "transformer_blocks.0.norm2",
        "block.cross_attention.query": "transformer_blocks.0.attn2.to_q",
        "block.cross_attention.key_value": "transformer_blocks.0.attn2.to_k transformer_blocks.0.attn2.to_v",
        "block.cross_attention.proj": "transformer_blocks.0.attn2.to_out.0",
        "block.norm_3": "transformer_blocks.0.norm3",
        "block.feed_forward.layers.0": "transformer_blocks.0.ff.net.0.proj",
        "block.feed_forward.layers.2": "transformer_blocks.0.ff.net.2",
        "proj_out": "proj_out",
    },
    TransformerBlock: {  # of a text encoder
        "norm_1": "layer_norm1",
        "self_attention.query": "self_attn.q_proj",
        "self_attention.key_value": "self_attn.k_proj self_attn.v_proj",
        "self_attention.proj": "self_attn.out_proj",
        "norm_3": "layer_norm2",
        "feed_forward.layers.0": "mlp.fc1",
        "feed_forward.layers.2": "mlp.fc2",
    },
}
LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias", "table": "weight"}
# Linear layers here, convolutions with kernels of 1 x 1 there. Those of an attention are so unless the config says
# `use_linear_projection`.
POINTWISE = re.compile(r"(conv_shortcut|quant_conv|proj_in|proj_out)\.weight$")
OF_ATTENTION = re.compile(r"(proj_in|proj_out)\.weight$")
AXES: dict[int, Any] = {2: (1, 0), 4: (2, 3, 1, 0)}  # of matrices and kernels, from theirs to ours
BACK: dict[int, Any] = {2: (1, 0), 4: (3, 2, 0, 1)}


def names_of(module: UNet | Autoencoder | TextEncoder) -> dict[str, tuple[str, ...]]:
    """Return the name of each parameter of a network, with its names there, in the order in which they are joined."""
    found, modules = {}, dict(module.named_modules())
    for ours in module.named_parameters():
        path, _, leaf = ours.rpartition(".")
        place, theirs = _of_place(path, PLACES[type(module)])
        parts = PARTS.get(type(modules[place]), {"": ""})[path[len(place) + 1 :]]
        found[ours] = tuple(".".join(filter(None, (theirs, part, LEAVES[leaf]))) for part in parts.split(" "))
    return found


def is_table(ours: str) -> bool:
    """Whether a parameter is an embedding's, whose rows are looked up: it has the same layout there."""
    return ours.endswith(".table")


def expected_shapes(parameter: Parameter, ours: str, theirs: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Return which shapes each tensor of a parameter may have there: one, or two where a matrix may be a kernel."""
    *others, last = parameter.value.shape
    shape = (*others, last // len(theirs))
    if is_table(ours) or len(shape) == 1:
        return [shape]
    turned = tuple(shape[axis] for axis in BACK[len(shape)])
    if not POINTWISE.search(theirs[0]):
        return [turned]
    kernel = (*turned, 1, 1)
    return [kernel, turned] if OF_ATTENTION.search(theirs[0]) else [kernel]


def read_layout(arrays: list[np.ndarray], parameter: Parameter, table: bool) -> np.ndarray:
    """Return arrays of PyTorch's layout as one of ours; a kernel of 1 x 1 becomes a matrix where ours is one."""
    turned = []
    for array in arrays:
        if array.ndim == 4 and parameter.value.ndim == 2 and array.shape[2:] == (1, 1):
            array = array[:, :, 0, 0]
        turned.append(array if table else array.transpose(AXES.get(array.ndim, range(array.ndim))))
    return turned[0] if len(turned) == 1 else np.concatenate(turned, axis=-1)


def write_layout(array: Array, names: tuple[str, ...], table: bool, linear: bool) -> dict[str, np.ndarray]:
    """Return a parameter's array as theirs, by name.

    Parameters
    ----------
    array : array
    names : tuple of str
    table : bool
        Whether it is an embedding's, which has the same layout there.
    linear : bool
        Whether the projections of attention are linear layers there, and not convolutions.
    """
    written = {}
    for name, part in zip(names, np.split(array, len(names), axis=-1), strict=True):
        turned = part if table else part.transpose(BACK.get(part.ndim, range(part.ndim)))
        if POINTWISE.search(name) and not (linear and OF_ATTENTION.search(name)):
            turned = turned[:, :, None, None]
        written[name] = np.ascontiguousarray(turned)
    return written


def _of_place(path: str, places: dict[str, str]) -> tuple[str, str]:
    """Return the longest beginning of a path that is a place, and what it is called there."""
    for ours, theirs in places.items():  # what is part of another stands before it
        match = re.match(re.escape(ours).replace(r"\*", r"(\d+)") + r"(?=\.|$)", path)
        if match:
            for number in match.groups():
                theirs = theirs.replace("*", number, 1)
            return match[0], theirs
    raise LookupError(f"{path} is in no table of names.")
