"""What a config.json of diffusers or transformers says of the shapes of our networks: `shapes` the other way round."""

from typing import Any

from tinydiff.base import InputError
from tinydiff.models.diffusers.shapes import ACTIVATIONS, TIMES
from tinydiff.networks import AutoencoderConfig, TextConfig, UNetConfig

VERSION = "0.42.0"  # of diffusers, whose fields these are
# Options of a UNet that have no counterpart there, with the value that means nothing.
NOT_THERE: dict[str, Any] = {
    "pooled_channels": None,
    "image_channels": 0,
    "image_time": False,
    "step_size": False,
    "patch": 1,
}
REVERSED = {name: pair for pair, name in TIMES.items()}
ACTIVATIONS_BACK = {ours: theirs for theirs, ours in ACTIVATIONS.items()}


def said_of_unet(config: UNetConfig) -> dict[str, Any]:
    """Return the config.json of a UNet: a `UNet2DConditionModel` if it reads text, else a `UNet2DModel`.

    Raises
    ------
    InputError
        If it has what there is not there, by the option's name.
    """
    for name, nothing in NOT_THERE.items():
        if getattr(config, name) != nothing:
            raise _not_there(name, getattr(config, name), nothing)
    widths = [config.channels * times for times in config.channel_mult]
    reads_text = config.context_channels is not None
    if reads_text and config.num_classes is not None:
        raise _not_there("num_classes", config.num_classes, None)
    kind = "CrossAttn" if reads_text else "Attn"
    attends = [level in config.attention_levels for level in range(len(widths))]
    flip, shift = REVERSED[config.time_embedding]
    groups = _groups(config.groups, widths)
    said: dict[str, Any] = {
        "_class_name": "UNet2DConditionModel" if reads_text else "UNet2DModel",
        "_diffusers_version": VERSION,
        "sample_size": _sample_size(config),
        "in_channels": config.in_channels,
        "out_channels": config.in_channels if config.out_channels is None else config.out_channels,
        "block_out_channels": widths,
        "down_block_types": [f"{kind if one else ''}DownBlock2D" for one in attends],
        "up_block_types": [f"{kind if one else ''}UpBlock2D" for one in attends[::-1]],
        "layers_per_block": config.blocks_per_level,
        "norm_num_groups": groups,
        "norm_eps": config.norm_eps,
        "dropout": config.dropout,
        "act_fn": "silu",
        "flip_sin_to_cos": flip,
        "freq_shift": shift,
        "downsample_padding": 0 if config.asymmetric_pad else 1,
        "resnet_time_scale_shift": "scale_shift" if config.scale_shift else "default",
    }
    if reads_text:
        heads = config.heads_of_levels
        return said | {
            "cross_attention_dim": config.context_channels,
            "attention_head_dim": heads[0] if len(set(heads)) == 1 else list(heads),
            "use_linear_projection": False,
        }
    sizes = {width // heads for width, heads, one in zip(widths, config.heads_of_levels, attends, strict=True) if one}
    sizes |= {widths[-1] // config.heads_of_levels[-1]}  # of the middle
    if len(sizes) > 1:
        raise InputError(
            f"heads is {config.heads}, so that heads have {' and '.join(map(str, sorted(sizes)))} channels, but "
            "without text all must be of one size there: choose heads so."
        )
    said |= {"attention_head_dim": sizes.pop(), "attn_norm_num_groups": groups}
    return said if config.num_classes is None else said | {"num_class_embeds": config.num_classes + 1}


def said_of_autoencoder(config: AutoencoderConfig) -> dict[str, Any]:
    """Return the config.json of an `AutoencoderKL`, with a layer on either side of the latents, and a factor of 1."""
    if not config.asymmetric_pad:
        raise _not_there("asymmetric_pad", False, True)
    if config.norm_eps != 1e-6:
        raise _not_there("norm_eps", config.norm_eps, 1e-6)
    widths = [config.channels * times for times in config.channel_mult]
    return {
        "_class_name": "AutoencoderKL",
        "_diffusers_version": VERSION,
        "sample_size": _sample_size(config),
        "in_channels": config.in_channels,
        "out_channels": config.in_channels,
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "layers_per_block": config.blocks_per_level,
        "latent_channels": config.latent_channels,
        "norm_num_groups": _groups(config.groups, widths),
        "act_fn": "silu",
        "mid_block_add_attention": config.mid_attention,
        "use_quant_conv": True,
        "use_post_quant_conv": True,
        "scaling_factor": 1.0,
    }


def said_of_text(config: TextConfig) -> dict[str, Any]:
    """Return the config.json of a `CLIPTextModel`."""
    if config.activation not in ACTIVATIONS_BACK:
        raise _not_there("text.activation", config.activation, "gelu' or 'quick-gelu")
    for name in ("causal", "positions", "attention_bias"):
        if not getattr(config, name):
            raise _not_there(f"text.{name}", False, True)
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.length,
        "hidden_size": config.channels,
        "intermediate_size": 4 * config.channels,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "hidden_act": ACTIVATIONS_BACK[config.activation],
        "layer_norm_eps": 1e-5,
        "bos_token_id": config.vocabulary - 2,
        "eos_token_id": config.vocabulary - 1,
        "pad_token_id": config.vocabulary - 1,
    }


def _sample_size(config: UNetConfig | AutoencoderConfig) -> int | list[int]:
    """Return one number for a square, and two for another shape."""
    height, width = config.size
    return height if height == width else [height, width]


def _groups(groups: int | None, widths: list[int]) -> int:
    """Return the groups of all norms, which is one number there."""
    if groups is None:
        raise InputError(
            "groups is None, so that norms have as many groups as fits their channels, but all have the same number "
            "there: train with --unet.groups (--network.groups), such as 8."
        )
    assert all(width % groups == 0 for width in widths)
    return groups


def _not_there(name: str, value: Any, known: Any) -> InputError:
    return InputError(f"{name} is {value!r}, but diffusers has only {known!r}: such a model cannot be exported.")
