"""A model that is a network and nothing else: what config.json says of it."""

from dataclasses import dataclass
from typing import Any

from tinydiff.networks import build
from tinydiff.nn import Module


@dataclass(frozen=True)
class NetworkSettings:
    """The shape of the network, which is all that the model has; a subclass says of which type it is."""

    config: Any

    @classmethod
    def of(cls, model: Any) -> "NetworkSettings":
        """Return the settings of a model."""
        return cls(model.config)

    @staticmethod
    def parts(model: Module) -> dict[str, Any]:
        """Return the network."""
        return {"network": model}

    def network(self) -> Module:
        """Return a new network."""
        return build(self.config)

    @staticmethod
    def build(network: Module) -> Module:
        """Return the model, which is its network."""
        return network
