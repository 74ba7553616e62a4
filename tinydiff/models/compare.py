"""Two networks side by side, layer by layer: where their numbers part.

The same input goes through both, in float64, and the output of every layer is kept. So a difference of an option that
changes pictures a little, such as what a norm adds to a variance, is found where it begins, before it has spread.
"""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, Choices, InputError, check_count, checked, to_numpy
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.latent import LatentDiffusion
from tinydiff.networks import Autoencoder, TextEncoder, TextToImage, UNet
from tinydiff.nn import Module, weights_left_out

SAME = 1e-10  # of the largest number: what rounding in float64 may differ by
SIDE = 2  # places at the lowest level of the input


@dataclass(frozen=True)
class LayerDifference:
    """How the outputs of one layer differ.

    Parameters
    ----------
    path, kind : str
        Where the layer stands in the network, and its class.
    largest : float
        The largest number of the first network's output, without its sign.
    difference : float
        The largest difference; infinite where shapes differ, or one has no such layer.
    """

    path: str
    kind: str
    largest: float
    difference: float

    @property
    def parts(self) -> bool:
        """Whether the numbers part here."""
        return not self.difference <= SAME * max(1.0, self.largest)


def _other_activation(config: Any) -> Any:
    others = {"quick-gelu": "gelu", "gelu": "quick-gelu"}
    if config.activation not in others:
        raise InputError(f"activation is {config.activation!r}, which has no twin of the same weights.")
    return dataclasses.replace(config, activation=others[config.activation])


def _other_heads(config: Any) -> Any:
    heads = config.heads if isinstance(config.heads, tuple) else (config.heads,)
    others = tuple(n // 2 if n % 2 == 0 else 2 * n for n in heads)
    return dataclasses.replace(config, heads=others[0] if len(others) == 1 else others)


# An option, by the name that it has on the command line -> the option of a shape that is changed, and how.
FLIPS: Choices[tuple[str, Callable[[Any], Any]]] = Choices(
    "flip",
    {
        "eps": ("norm_eps", lambda c: dataclasses.replace(c, norm_eps=1e-5 if c.norm_eps == 1e-6 else 1e-6)),
        "transformer-eps": (
            "transformer_eps",
            lambda c: dataclasses.replace(c, transformer_eps=1e-5 if c.transformer_eps == 1e-6 else 1e-6),
        ),
        "pad": ("asymmetric_pad", lambda c: dataclasses.replace(c, asymmetric_pad=not c.asymmetric_pad)),
        "gelu": ("activation", _other_activation),
        "heads": ("heads", _other_heads),
    },
)


def networks_of(model: DiffusionModel) -> dict[str, Any]:
    """Return the networks of a model by the names that a public checkpoint has for them, in float64."""
    network: Any = model.network
    found = {"unet": network.denoiser if isinstance(network, TextToImage) else network}
    if isinstance(network, TextToImage):
        found["text_encoder"] = network.text
    if isinstance(model, LatentDiffusion) and model.autoencoder is not None:
        found["vae"] = model.autoencoder.network
    return {name: in_float64(one) for name, one in found.items()}


def in_float64(network: Any) -> Any:
    """Return the same network in float64, alone."""
    with weights_left_out():
        twin = type(network)(network.config, dtype=np.float64)
    twin.theta[...] = np.concatenate([to_numpy(p.value).ravel() for p in network.parameters()])
    return twin


@checked()
def flipped(network: Module, option: str) -> Module:
    """Return a network of the same weights with one option changed, one of `FLIPS`.

    Raises
    ------
    InputError
        If the network has no such option.
    """
    name, change = FLIPS[option]
    config: Any = getattr(network, "config", None)
    if not hasattr(config, name):
        raise InputError(f"flip is {option!r}, but a {type(network).__name__} has no {name}.")
    with weights_left_out():
        twin = type(network)(change(config), dtype=network.theta.dtype)  # type: ignore[call-arg]
    twin.theta[...] = network.theta
    return twin


@checked()
def compare_networks(one: Module, other: Module, seed: int = 0) -> list[LayerDifference]:
    """Return how the outputs of all layers differ, in the order in which the first network has them.

    Parameters
    ----------
    one, other : UNet, Autoencoder or TextEncoder
        Both of the same class, in float64.
    seed : int
        Of the input, random numbers or tokens.

    Raises
    ------
    InputError
        If they are of different classes, or take different inputs.
    """
    check_count("seed", seed, least=0)
    if type(one) is not type(other):
        raise InputError(f"The first is a {type(one).__name__}, the other a {type(other).__name__}: give two alike.")
    inputs = _inputs(one, seed)
    first = _outputs(one, inputs)
    try:
        second = _outputs(other, inputs)
    except InputError as error:
        raise InputError(f"The two take different inputs: the other refuses that of the first ({error})") from error
    kinds = {path: type(module).__name__ for path, module in one.named_modules()}
    found = []
    for path, y in first.items():
        there = second.get(path)
        same_shape = there is not None and there.shape == y.shape
        difference = float(abs(y - there).max()) if same_shape and there is not None else np.inf
        found.append(LayerDifference(path or type(one).__name__, kinds[path], float(abs(y).max()), difference))
    return found


def _inputs(network: Any, seed: int) -> tuple[Any, ...]:
    """Return a random input of two samples, small, for a network."""
    rng, config = np.random.default_rng(seed), network.config
    if isinstance(network, TextEncoder):
        return (rng.integers(0, config.vocabulary, (2, config.length)),)
    multiple = config.multiple if isinstance(network, UNet) else config.factor
    x = rng.standard_normal((2, SIDE * multiple, SIDE * multiple, config.in_channels))
    if isinstance(network, Autoencoder):
        return x, rng.standard_normal((2, SIDE, SIDE, config.latent_channels))
    context = None if config.context_channels is None else rng.standard_normal((2, 5, config.context_channels))
    return x, np.array([3, 700]), context


def _outputs(network: Any, inputs: tuple[Any, ...]) -> dict[str, Array]:
    """Return the output of each module of a forward, by its path, in the order in which they end."""
    kept: dict[str, Array] = {}
    with _recorded(network, kept):
        network.forward(*inputs)
    return kept


@contextmanager
def _recorded(network: Module, kept: dict[str, Array]) -> Iterator[None]:
    """Keep the output of every module inside: the last one, of a module that is used several times."""
    modules = dict(network.named_modules())

    def recording(path: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any, **options: Any) -> Any:
            y = forward(*arguments, **options)
            kept.pop(path, None)
            kept[path] = np.array(y[0] if isinstance(y, tuple) else y)
            return y

        return recorded

    for path, module in modules.items():
        if hasattr(module, "forward"):
            vars(module)["forward"] = recording(path, module.forward)
    try:
        yield
    finally:
        for module in modules.values():
            vars(module).pop("forward", None)


def describe_differences(name: str, layers: list[LayerDifference]) -> list[str]:
    """Return a table of the layers around the first one where numbers part, or a sentence that none do."""
    first = next((i for i, layer in enumerate(layers) if layer.parts), None)
    if first is None:
        return [f"{name}: {len(layers)} layers, all the same but for rounding in float64."]
    width = max(len(layer.path) for layer in layers)
    row = f"  {{:<{width}}}  {{:<18}}{{:>10}}{{:>12}}".format
    where = f"{layers[first].path} ({layers[first].kind}), layer {first + 1} of {len(layers)}"
    lines = [f"{name}: numbers part at {where}."]
    lines.append(row("layer", "kind", "largest", "difference"))
    shown = sorted({*range(max(first - 2, 0), min(first + 3, len(layers))), len(layers) - 1})
    for i in shown:
        layer = layers[i]
        mark = "  <- here" if i == first else ""
        lines.append(row(layer.path, layer.kind, f"{layer.largest:.3g}", f"{layer.difference:.1e}") + mark)
    return lines
