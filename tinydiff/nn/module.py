"""A module: a tree of parameters, packed into one flat vector, theta.

A module holds weights and nothing else. What its forward must remember goes onto a `Tape` that the caller passes;
the gradients of the weights that its backward computes are added to a `Gradients`. So threads can share a model, a
layer can be used twice in one pass, and what was remembered can be inspected. There is no automatic differentiation:
each module's backward is written by hand.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, check_alike, check_shape, xp_of
from tinydiff.nn.parameter import Parameter, are_left_out
from tinydiff.nn.tape import Tape, remembered


class Module:
    """A tree of parameters: attributes that are parameters, modules, or lists of modules."""

    path = ""  # dotted name within the packed model, for messages and for `Tape`

    # forward(inputs, tape=None) -> output, and backward(d_output, tape, grads=None) -> gradients of the inputs
    forward: Callable[..., Any]
    backward: Callable[..., Any]

    def children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield (name, module) for each direct child, in the order of definition."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """Yield (dotted path, module) for this module and all below it, parents first."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self) -> dict[str, Parameter]:
        """Return name -> parameter, in the order of theta; a shared (tied) parameter comes once, by its first name."""
        found: dict[int, tuple[str, Parameter]] = {}
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    found.setdefault(id(value), (f"{path}.{name}" if path else name, value))
        return dict(found.values())

    def parameters(self) -> list[Parameter]:
        """Return the parameters in the order of theta."""
        return list(self.named_parameters().values())

    @property
    def theta(self) -> Array:
        """All parameters as one flat vector; writing to it changes the model."""
        if "_theta" not in vars(self):
            self.pack()
        return self._theta

    def pack(self) -> None:
        """Move all parameters into one flat vector, theta; each parameter is then a view of it.

        A model packs itself in its constructor. Packing a larger model moves the parameters to the larger vector.
        """
        named = self.named_parameters()
        if not named:
            raise InputError(f"{type(self).__name__} has no parameters, so it has no theta.")
        modules = {id(module) for _, module in self.named_modules()}
        if any(p.owner is not None and id(p.owner) not in modules for p in named.values()):
            raise InputError(
                f"This {type(self).__name__} is part of a larger packed model; use the larger one's theta."
            )
        for path, module in self.named_modules():
            module.path = path or type(self).__name__
            vars(module).pop("_theta", None)
        first = next(iter(named.values())).value
        if are_left_out():  # they are 0, and take no memory yet
            self._theta = np.zeros(sum(p.size for p in named.values()), first.dtype)
        else:
            self._theta = xp_of(first).concatenate([p.value.reshape(-1) for p in named.values()])
        offset = 0
        for name, parameter in named.items():
            parameter.name, parameter.offset, parameter.owner = name, offset, self
            parameter.value = self._theta[offset : offset + parameter.size].reshape(parameter.value.shape)
            offset += parameter.size

    def summary(self, *inputs: Array) -> str:
        """Return a table of the layers as text, measured by one forward of `inputs`, or of `one_input` without any.

        For each call: the layer's path, its kind, its output's shape, its parameters, the multiplications and
        additions of its matrix products (as the plain algorithm counts them), and the bytes kept for the backward.

        Examples
        --------
        >>> print(unet.summary())          # doctest: +SKIP
        """
        tape = Tape(Noise(0, xp=xp_of(self.theta)))
        self.forward(*(inputs or self.one_input()), tape=tape)
        row = "{:<44} {:<14} {:<18} {:>10} {:>16} {:>12}".format
        lines = [row("layer", "kind", "output", "parameters", "FLOPs", "saved bytes")]
        flops = 0
        for entry in tape.entries:
            owner = entry.owner
            own = sum(p.size for p in vars(owner).values() if isinstance(p, Parameter))
            n = owner.flops(entry.cache)
            flops += n
            saved = sum(a.nbytes for _, a in remembered(entry))
            shape = "x".join(map(str, entry.shape))
            lines.append(row(owner.path, type(owner).__name__, shape, f"{own:,}", f"{n:,}", f"{saved:,}"))
        lines.append(row("total", "", "", f"{self.theta.size:,}", f"{flops:,}", f"{tape.nbytes:,}"))
        return "\n".join(lines)

    def one_input(self) -> tuple[Array, ...]:
        """Return the inputs of a forward for one sample, for models that know their shapes; layers do not."""
        raise InputError(f"A {type(self).__name__} does not know the shape of its input: call summary(*inputs).")

    def flops(self, cache: Any) -> int:
        """Return the multiplications and additions in the matrix products of one forward with this cache."""
        return 0

    def bind(self, vector: Array) -> Any:
        """Return the same model on another flat vector, such as an EMA or a copy on the GPU.

        This model stays as it is, so that other threads may use it meanwhile; the new one shares no weights with it.

        Parameters
        ----------
        vector : array, shape of theta, float32 or float64, any device
        """
        check_shape("vector", vector, self.theta.shape)
        check_alike(vector=vector)
        twin = copy.deepcopy(self, _memo_without_values(self))
        twin._view(vector)
        return twin

    def move_to(self, vector: Array) -> None:
        """Move the parameters into a vector like theta that the caller made, for example in shared memory."""
        check_shape("vector", vector, self.theta.shape)
        check_alike(vector=vector, theta=self.theta)
        if not getattr(vector.flags, "writeable", True):  # CuPy's always are
            raise InputError("vector is read-only, but the parameters move into it: give a copy.")
        vector[...] = self.theta
        self._view(vector)

    def _view(self, vector):
        self._theta = vector
        for parameter in self.parameters():
            shape, start = parameter.value.shape, parameter.offset
            parameter.value = vector[start : start + parameter.size].reshape(shape)

    def decay_mask(self) -> Array:
        """Return a vector like theta: 1 where weight decay acts, 0 where not."""
        xp = xp_of(self.theta)
        mask = xp.zeros(self.theta.shape, self.theta.dtype)
        for p in self.parameters():
            mask[p.offset : p.offset + p.size] = float(p.decay)
        return mask


def _memo_without_values(module):
    """Return a memo with which `copy.deepcopy` copies no arrays: `bind` replaces them at once by views."""
    arrays = [p.value for p in module.parameters()] + [module.theta]
    return {id(a): a for a in arrays}
