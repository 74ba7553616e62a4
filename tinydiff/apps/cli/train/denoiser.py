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

    The command's `network` is then the kind that it has. It says which options are not used: those of the other kind,
    which may stand in a recipe.

    Raises
    ------
    InputError
        If the model to start from is of another kind than was given.
    """
    given, network = given_options(command), command.network
    if start is not None:
        network = table_of(start.denoiser)
        if "network" in given and command.network != network:
            raise InputError(
                f"network is {command.network!r}, but {command.start_from} has a {CALLED[network]}, and goes on with "
                "it: leave it out."
            )
    object.__setattr__(command, "network", network)  # sentences name its options
    other = "dit" if network == "unet" else "unet"
    if unused := sorted(name for name in given if name.startswith(f"{other}.")):
        say(f"Not used, since the network is a {CALLED[network]}: {', '.join(unused)}.")
    return getattr(command, network) if start is None else start.denoiser


def given_options(command: Any) -> frozenset[str]:
    """Return the dotted names of the options that were given; in Python, of those that are not at their default."""
    if command.given is not None:
        return frozenset(command.given)
    default = flat(to_table(type(command)()))
    return frozenset(name for name, value in flat(to_table(command)).items() if value != default.get(name))


def flat(table: dict[str, Any], inside: str = "") -> dict[str, Any]:
    """Return a table's values, and those of the tables in it, by their dotted names."""
    values: dict[str, Any] = {}
    for name, value in table.items():
        values |= flat(value, f"{inside}{name}.") if isinstance(value, dict) else {inside + name: value}
    return values


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


def sees_small(command: Any, shape: Shape) -> Shape:
    """Return the shape of a network that sees small pictures beside x_t, where it is to enlarge them.

    Raises
    ------
    InputError
        If something was given that contradicts it.
    """
    given, table, image_noise = given_options(command), table_of(shape), command.train.image_noise
    if command.enlarges is None:
        if "train.image_noise" in given:
            raise InputError(
                f"train.image_noise is {image_noise}, but nothing is enlarged: give --enlarges, or leave it out."
            )
        return shape
    fit = replace(shape, image_channels=shape.in_channels, image_time=image_noise > 0)
    for name in ("image_channels", "image_time"):
        typed = {f"{table}.{name}", f"{table}.no_{name}"} & given
        if typed and getattr(shape, name) != getattr(fit, name):
            raise InputError(
                f"{table}.{name} is {getattr(shape, name)}, but a network that enlarges here has {getattr(fit, name)}: "
                "leave it out."
            )
    return fit


def says_variance(command: Any, shape: Shape) -> Shape:
    """Return the shape of a network with twice as many channels, where it is to learn the variance (Eq. IDDPM-15).

    Raises
    ------
    InputError
        If something was given that contradicts it.
    """
    given, table = given_options(command), table_of(shape)
    if "variance" not in given:
        return shape
    channels = shape.in_channels * (2 if command.variance == "learned" else 1)
    if f"{table}.out_channels" in given and shape.out_channels != channels:
        raise InputError(
            f"{table}.out_channels is {shape.out_channels}, but a network whose variance is {command.variance} has "
            f"{channels} here: leave it out."
        )
    return replace(shape, out_channels=channels)


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
    """Return a model's settings as options of a training; what the data say, or another model, is none of them."""
    network = table_of(config.denoiser)
    unused = ("class_names", "prior", "embedding", "embedding_of", "unet" if network == "dit" else "dit")
    return {"network": network} | {name: value for name, value in to_table(config).items() if name not in unused}
