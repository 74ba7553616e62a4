"""The shapes of networks, from what a config.json of diffusers or transformers says, and back."""

from typing import Any

from tinydiff.base import InputError
from tinydiff.models.diffusers.said import Said
from tinydiff.networks import AutoencoderConfig, TextConfig, UNetConfig

# (flip_sin_to_cos, freq_shift) -> our name of the embedding of the time
TIMES = {(True, 0): "stable-diffusion", (False, 1): "ddpm"}
ACTIVATIONS = {"quick_gelu": "quick-gelu", "gelu": "gelu"}
SILU = ("silu", "swish")
TRANSFORMER_EPS = 1e-6  # in the code there, not in its config


def unet_shape(said: Said) -> UNetConfig:
    """Return the shape of a `UNet2DModel` or a `UNet2DConditionModel`."""
    reads_text = said.class_name == "UNet2DConditionModel"
    said.expect(center_input_sample=False, time_embedding_type="positional", class_embed_type=None)
    said.expect(mid_block_scale_factor=1)
    if said["act_fn"] not in SILU:
        raise said.refuse("act_fn", "'silu'")
    channels, mult = _widths(said)
    if said["time_embedding_dim"] not in (None, 4 * channels):
        raise said.refuse("time_embedding_dim", f"{4 * channels}, four times the first of block_out_channels")
    time = (said["flip_sin_to_cos"], said["freq_shift"])
    if time not in list(TIMES):  # a list would not be found in a dictionary
        raise InputError(
            f"{said.source} says flip_sin_to_cos is {time[0]} and freq_shift {time[1]}, but tinydiff knows "
            f"{' and '.join(f'{flip} with {shift}' for flip, shift in TIMES)}."
        )
    attends = _attention_levels(said, "CrossAttn" if reads_text else "Attn")
    read = _of_text(said) if reads_text else _of_pixels(said, [channels * times for times in mult])
    in_channels, out_channels = said.whole("in_channels"), said.whole("out_channels")
    image_channels = 0
    if out_channels not in (in_channels, 2 * in_channels):  # one that is shown a picture beside x_t
        if out_channels > in_channels:
            raise said.refuse("out_channels", f"{in_channels}, {2 * in_channels}, or fewer than in_channels")
        in_channels, image_channels = out_channels, in_channels - out_channels
    multiple = 2 ** (len(mult) - 1)
    classes = said["num_class_embeds"]
    return UNetConfig(
        image_size=_size(said, multiple),
        in_channels=in_channels,
        out_channels=None if out_channels == in_channels else out_channels,
        channels=channels,
        channel_mult=mult,
        blocks_per_level=said.whole("layers_per_block"),
        attention_levels=attends,
        groups=said.whole("norm_num_groups"),
        dropout=said.number("dropout"),
        num_classes=None if classes is None else said.whole("num_class_embeds") - 1,
        image_channels=image_channels,
        scale_shift=said.one_of("resnet_time_scale_shift", {"default": False, "scale_shift": True}),
        time_embedding=TIMES[time],
        time_offset=1,
        norm_eps=said.number("norm_eps"),
        asymmetric_pad=said.one_of("downsample_padding", {0: True, 1: False}),
        **read,
    )


def _of_pixels(said: Said, widths: list[int]) -> dict[str, Any]:
    """Return what only a `UNet2DModel` says; `attention_head_dim` is the size of a head there."""
    said.expect(mid_block_type="UNetMidBlock2D", downsample_type="conv", upsample_type="conv", add_attention=True)
    if said["attn_norm_num_groups"] != said["norm_num_groups"] and (
        said["attn_norm_num_groups"] is not None or said["resnet_time_scale_shift"] != "default"
    ):  # None is as many, but beside "scale_shift" it is an attention without a norm
        raise said.refuse("attn_norm_num_groups", "as many as norm_num_groups")
    size = said["attention_head_dim"]
    if size is None:  # then one head has all channels
        return {"heads": 1}
    said.whole("attention_head_dim")
    heads = [max(width // size, 1) if size > 0 else 0 for width in widths]
    return {"heads": heads[0] if len(set(heads)) == 1 else tuple(heads)}


def _of_text(said: Said) -> dict[str, Any]:
    """Return what only a `UNet2DConditionModel` says; `attention_head_dim` is the number of heads there."""
    said.expect(
        mid_block_type="UNetMidBlock2DCrossAttn",
        only_cross_attention=False,
        transformer_layers_per_block=1,
        reverse_transformer_layers_per_block=None,
        encoder_hid_dim=None,
        encoder_hid_dim_type=None,
        num_attention_heads=None,
        dual_cross_attention=False,
        addition_embed_type=None,
        resnet_skip_time_act=False,
        resnet_out_scale_factor=1.0,
        time_embedding_act_fn=None,
        timestep_post_act=None,
        time_cond_proj_dim=None,
        conv_in_kernel=3,
        conv_out_kernel=3,
        attention_type="default",
        class_embeddings_concat=False,
        mid_block_only_cross_attention=None,
        cross_attention_norm=None,
    )
    heads = said["attention_head_dim"]
    return {
        "heads": said.whole("attention_head_dim") if type(heads) is int else said.wholes("attention_head_dim"),
        "context_channels": said.whole("cross_attention_dim"),
        "transformer_eps": TRANSFORMER_EPS,
    }


def autoencoder_shape(said: Said) -> AutoencoderConfig:
    """Return the shape of an `AutoencoderKL`."""
    channels, mult = _widths(said)
    for name, known in (("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")):
        if said.texts(name) != [known] * len(mult):
            raise said.refuse(name, f"{known} in each of its {len(mult)} levels")
    said.expect(out_channels=said["in_channels"], use_post_quant_conv=said["use_quant_conv"])
    if said["act_fn"] not in SILU:
        raise said.refuse("act_fn", "'silu'")
    return AutoencoderConfig(
        image_size=_size(said, 2 ** (len(mult) - 1)),
        in_channels=said.whole("in_channels"),
        channels=channels,
        channel_mult=mult,
        blocks_per_level=said.whole("layers_per_block"),
        latent_channels=said.whole("latent_channels"),
        groups=said.whole("norm_num_groups"),
        mid_attention=bool(said["mid_block_add_attention"]),
        asymmetric_pad=True,
        norm_eps=1e-6,
        quant_conv=bool(said["use_quant_conv"]),
    )


def text_shape(said: Said) -> TextConfig:
    """Return the shape of a `CLIPTextModel`."""
    channels = said.whole("hidden_size")
    said.expect(intermediate_size=4 * channels, layer_norm_eps=1e-5)
    return TextConfig(
        vocabulary=said.whole("vocab_size"),
        length=said.whole("max_position_embeddings"),
        channels=channels,
        layers=said.whole("num_hidden_layers"),
        heads=said.whole("num_attention_heads"),
        causal=True,
        activation=said.one_of("hidden_act", ACTIVATIONS),
        attention_bias=True,
    )


SHAPES = {
    "UNet2DModel": unet_shape,
    "UNet2DConditionModel": unet_shape,
    "AutoencoderKL": autoencoder_shape,
    "CLIPTextModel": text_shape,
}


def _widths(said: Said) -> tuple[int, tuple[int, ...]]:
    """Return the channels of the first level, and those of each in units of them."""
    first, *others = said.wholes("block_out_channels")
    if first < 1 or any(width % first for width in others):
        raise said.refuse("block_out_channels", f"whole multiples of the first, {first}")
    return first, tuple(width // first for width in (first, *others))


def _attention_levels(said: Said, kind: str) -> tuple[int, ...]:
    """Return the levels with attention; on the way up they must be those of the way down."""
    levels = len(said["block_out_channels"])
    found = {}
    for way, name in (("Down", "down_block_types"), ("Up", "up_block_types")):
        known = {f"{way}Block2D": False, f"{kind}{way}Block2D": True}
        types = said.texts(name)
        if len(types) != levels or any(one not in known for one in types):
            raise said.refuse(name, f"{' and '.join(known)}, one for each of its {levels} levels")
        found[way] = [known[one] for one in types]
    if found["Up"] != found["Down"][::-1]:
        raise said.refuse("up_block_types", "the same levels with attention as in down_block_types")
    return tuple(level for level, attends in enumerate(found["Down"]) if attends)


def _size(said: Said, multiple: int) -> Any:
    """Return the size of the pictures of the training; where nothing says it, eight places at the lowest level."""
    size = said["sample_size"]
    if size is None:
        return 8 * multiple
    return tuple(said.wholes("sample_size")) if isinstance(size, list) else said.whole("sample_size")
