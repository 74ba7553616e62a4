"""The list of networks: each registers itself where it is defined, with the dataclass that says its shape."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tinydiff.base import Choices, InputError, checked, shown
from tinydiff.nn import Module, weights_that_fit

Architecture = TypeVar("Architecture", bound=type[Module])


@dataclass(frozen=True)
class Network:
    """An architecture and what is known about it.

    Parameters
    ----------
    name : str
    config : type
        The dataclass that says its shape.
    architecture : type
        The module itself: ``architecture(config, rng, dtype)``.
    summary : str
        What it is, in one line.
    """

    name: str
    config: type
    architecture: type[Module]
    summary: str


NETWORKS: Choices[Network] = Choices("network")


def network(name: str, config: type) -> Callable[[Architecture], Architecture]:
    """Return a decorator that puts a module class into `NETWORKS`, and does not change it.

    Parameters
    ----------
    name : str
    config : type
        The dataclass that says its shape; no other network has the same.

    Raises
    ------
    InputError
        If another module has a network of this name or shape.
    """

    def register(architecture):
        for known in NETWORKS.values():
            elsewhere = known.architecture.__module__
            if elsewhere != architecture.__module__ and (known.name == name or known.config is config):
                raise InputError(
                    f"There are two networks named {name!r}, or with a {config.__name__}, in {elsewhere} and "
                    f"{architecture.__module__}: give each a name and a dataclass of its own."
                )
        summary, _, _ = (inspect.getdoc(architecture) or "").partition("\n")
        NETWORKS[name] = Network(name, config, architecture, summary)
        return architecture

    return register


@checked()
def build(config: Any, rng: np.random.Generator | None = None, dtype: Any = np.float32) -> Any:
    """Return a new network of a shape.

    Parameters
    ----------
    config : dataclass
        The shape, such as a `UNetConfig`.
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype

    Raises
    ------
    InputError
        If no network has such a shape.
    """
    for known in NETWORKS.values():
        if type(config) is known.config:
            with weights_that_fit():
                return known.architecture(config, rng, dtype)  # type: ignore[call-arg]  # a Module says nothing of it
    shapes = ", ".join(known.config.__name__ for known in NETWORKS.values())
    raise InputError(f"config is {shown(config)}, but the shape of a network, one of {shapes}, was expected.")
