"""The accumulator for the gradients of parameters."""

from collections.abc import Iterable

import numpy as np

from tinydiff.base import Array, InputError, check_alike, check_shape, xp_of
from tinydiff.nn.parameter import Parameter


class Gradients:
    """dL/dtheta as one flat vector over the given parameters, with a view for each of them.

    Other parameters get no gradient, and layers do not compute it. So give it only an adapter's parameters to train an
    adapter. A parameter is known by itself and not by its name, so they may belong to several models, or to none that
    is packed.

    Parameters
    ----------
    parameters : iterable of Parameter
        Usually ``model.parameters()``.
    flat : array or None
        A vector of zeros to add into; None makes one.

    Raises
    ------
    InputError
        If there are no parameters, one is given twice, or flat is not a vector of their size.
    """

    def __init__(self, parameters: Iterable[Parameter], flat: Array | None = None):
        parameters = list(parameters) if isinstance(parameters, Iterable) else [parameters]
        if not all(isinstance(p, Parameter) for p in parameters):
            raise InputError("Gradients was given what is no parameter: pass model.parameters().")
        if not parameters:
            raise InputError("Gradients needs at least one parameter.")
        if len({id(p) for p in parameters}) < len(parameters):
            names = ", ".join(dict.fromkeys(_called(p) for p in parameters if sum(p is q for q in parameters) > 1))
            raise InputError(f"Gradients was given {names} more than once, but each parameter has one gradient.")
        size = sum(p.size for p in parameters)
        first = parameters[0].value
        if flat is None:
            flat = xp_of(first).zeros(size, np.promote_types(first.dtype, np.float32))
        check_shape("flat", flat, (size,))
        check_alike(flat=flat)
        self.flat = flat
        self.parameters = parameters
        self._views: dict[int, Array] = {}  # by the parameter's identity, which lasts as long as the list above
        offset = 0
        for p in parameters:
            self._views[id(p)] = flat[offset : offset + p.size].reshape(p.value.shape)
            offset += p.size

    def wants(self, parameter: Parameter) -> bool:
        """Whether this parameter is one of the given ones, whose gradient is wanted."""
        return id(parameter) in self._views

    def add(self, parameter: Parameter, d: Array) -> None:
        """Add to a parameter's gradient: where a value was used twice, its gradients add."""
        if self.wants(parameter):
            view = self._views[id(parameter)]
            check_alike(d=d)
            if d.shape != view.shape:  # its name is put together for the sentence alone
                check_shape(f"the gradient of {_called(parameter)}", d, view.shape)
            view += d

    def __getitem__(self, which: str | Parameter) -> Array:
        """Return the gradient of a parameter, or of the one with this name, see `named`."""
        if isinstance(which, Parameter) and self.wants(which):
            return self._views[id(which)]
        named = self.named()
        if isinstance(which, Parameter) or which not in named:
            called = _called(which) if isinstance(which, Parameter) else repr(which)
            raise InputError(f"There is no gradient for {called}; there are: {', '.join(named)}.")
        return named[which]

    def named(self) -> dict[str, Array]:
        """Return name -> gradient, each a view of `flat`.

        A parameter that no packed model has named is called "unnamed 0", by its place in the list; where two models
        have the same name, the second is called "name (2)".
        """
        views: dict[str, Array] = {}
        for i, p in enumerate(self.parameters):
            first = p.name or f"unnamed {i}"
            name, count = first, 1
            while name in views:
                count += 1
                name = f"{first} ({count})"
            views[name] = self._views[id(p)]
        return views

    def zero(self) -> None:
        """Set all gradients to zero."""
        self.flat[...] = 0


def _called(parameter):
    return parameter.name or "an unnamed parameter"
