"""Which network learns to predict the noise, a UNet or a DiT, and what becomes of the options of the other one."""

from dataclasses import replace
from typing import Any, Literal

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError, to_table
from tinydiff.models import DiffusionModel, Enlarger, ModelConfig
from tinydiff.networks import DiTConfig, TextConfig, UNetConfig

NetworkName = Literal["unet", "dit"]
CALLED = {"unet": "UNet", "dit": "DiT"}
Shape = UNetConfig | DiTConfig
IMAGE_NOISE = 0.1  # of small pictures when they are enlarged, unless training had less


def shape_of(command: Any, start: ModelConfig | None = None) -> Shape:
    """Return the shape of the network that is asked for, or that of the model to start from.

    It says which options are not used: those of the other kind of network, which may stand in a recipe.

    Raises
    ------
    InputError
        If the model to start from is of another kind than was given.
    """
    given, network = command.given or frozenset(), command.network
    if start is not None:
        network = table_of(start.denoiser)
        if "network" in given and command.network != network:
            raise InputError(
                f"network is {command.network!r}, but {command.start_from} has a {CALLED[network]}, and goes on with "
                "it: leave it out."
            )
    other = "dit" if network == "unet" else "unet"
    if unused := sorted(name for name in given if name.startswith(f"{other}.")):
        say(f"Not used, since the network is a {CALLED[network]}: {', '.join(unused)}.")
    return getattr(command, network) if start is None else start.denoiser


def table_of(shape: Shape) -> str:
    """Return the name of the options of a network of this kind, as one types them."""
    return "dit" if isinstance(shape, DiTConfig) else "unet"


def reads_text(shape: Shape, text: TextConfig) -> Shape:
    """Return the shape of a network that looks at a text's vectors; refuse it if it was to look at others."""
    table = table_of(shape)
    if shape.context_channels not in (None, text.channels):
        raise InputError(
            f"{table}.context_channels is {shape.context_channels}, but the {CALLED[table]} looks at the text, which "
            f"has {text.channels} channels: leave it out."
        )
    if shape.pooled_channels not in (None, text.channels):
        raise InputError(
            f"{table}.pooled_channels is {shape.pooled_channels}, but the vector of a text has {text.channels} "
            "channels: give as many, or leave it out."
        )
    return replace(shape, context_channels=text.channels)


def sees_small(shape: Shape, factor: int | None, image_noise: float) -> Shape:
    """Return the shape of a network that sees small pictures beside x_t, where it is to enlarge them."""
    if factor is None:
        return shape
    return replace(shape, image_channels=shape.in_channels, image_time=image_noise > 0)


def model_of(network: Any, config: ModelConfig, factor: int | None, image_noise: float, **others: Any) -> Any:
    """Return a diffusion model, or one that enlarges pictures by a factor; `others` are those of `DiffusionModel`."""
    if factor is None:
        return DiffusionModel(network, config, **others)
    return Enlarger(network, config, factor=factor, image_noise=min(IMAGE_NOISE, image_noise), **others)


def config_of(shape: Shape, **others: Any) -> ModelConfig:
    """Return the configuration of a model with such a denoiser; `others` are those of `ModelConfig`."""
    of_denoiser: dict[str, Any] = {table_of(shape): shape}
    return ModelConfig(**of_denoiser, **others)


def settings_of(config: ModelConfig) -> dict[str, Any]:
    """Return a model's settings as options of a training; what its classes are called is none, since data say it."""
    network = table_of(config.denoiser)
    unused = ("class_names", "unet" if network == "dit" else "dit")
    return {"network": network} | {name: value for name, value in to_table(config).items() if name not in unused}
