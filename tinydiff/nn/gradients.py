"""The accumulator for the gradients of parameters."""

from collections.abc import Iterable

import numpy as np

from tinydiff.base import Array, InputError, check_shape, xp_of
from tinydiff.nn.parameter import Parameter


class Gradients:
    """dL/dtheta as one flat vector over the given parameters, with a view for each of them.

    Other parameters get no gradient, and layers do not compute it. So give it only an adapter's parameters to train an
    adapter.

    Parameters
    ----------
    parameters : iterable of Parameter
        Usually ``model.parameters()``.
    flat : array or None
        A vector of zeros to add into; None makes one.
    """

    def __init__(self, parameters: Iterable[Parameter], flat: Array | None = None):
        parameters = list(parameters)
        if not parameters:
            raise InputError("Gradients needs at least one parameter.")
        size = sum(p.size for p in parameters)
        first = parameters[0].value
        if flat is None:
            flat = xp_of(first).zeros(size, np.promote_types(first.dtype, np.float32))
        check_shape("flat", flat, (size,))
        self.flat = flat
        self._views: dict[str, Array] = {}
        offset = 0
        for i, p in enumerate(parameters):
            self._views[p.name or f"unnamed {i}"] = flat[offset : offset + p.size].reshape(p.value.shape)
            offset += p.size

    def wants(self, parameter: Parameter) -> bool:
        """Whether this parameter is one of the given ones, whose gradient is wanted."""
        return parameter.name in self._views

    def add(self, parameter: Parameter, d: Array) -> None:
        """Add to a parameter's gradient: where a value was used twice, its gradients add."""
        if self.wants(parameter):
            view = self._views[parameter.name]
            check_shape(f"the gradient of {parameter.name}", d, view.shape)
            view += d

    def __getitem__(self, name: str) -> Array:
        """Return the gradient of the parameter with this name."""
        if name not in self._views:
            raise InputError(f"There is no gradient for {name!r}; there are: {', '.join(self._views)}.")
        return self._views[name]

    def named(self) -> dict[str, Array]:
        """Return name -> gradient, each a view of `flat`."""
        return dict(self._views)

    def zero(self) -> None:
        """Set all gradients to zero."""
        self.flat[...] = 0
