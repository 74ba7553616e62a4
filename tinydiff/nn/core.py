"""Parameters, modules, and the two things that a backward pass needs: a tape and a place for gradients.

A module holds weights and nothing else. What its forward must remember goes onto a `Tape` that the caller passes;
what its backward finds out about the weights goes into `Gradients`. So threads can share a model, a layer can be
used twice in one pass, and what was remembered can be looked at. Nothing here differentiates anything: the order
of a backward is written by hand, in each module.
"""

import copy
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinydiff.backend import xp_of
from tinydiff.errors import InputError, check_shape
from tinydiff.noise import Noise


class Parameter:
    """A trainable array: after packing, a named view into its model's flat vector.

    Parameters
    ----------
    value : array
    decay : bool
        Whether weight decay acts on it (on matrices and kernels, not on biases and norms).
    """

    def __init__(self, value: Any, decay: bool = True):
        self.value = value
        self.decay = decay
        self.name = ""
        self.offset = 0
        self.owner: Module | None = None  # the module whose theta it is a view of

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self.value.size)

    def __repr__(self) -> str:
        return f"Parameter({self.name or 'unnamed'}, shape {tuple(self.value.shape)}, {self.value.dtype})"


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
        """Return name -> parameter, in the order of theta; a tied parameter stands once, under its first name."""
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
    def theta(self) -> Any:
        """All parameters as one flat vector; writing to it changes the model."""
        if "_theta" not in vars(self):
            self.pack()
        return self._theta

    def pack(self) -> None:
        """Move all parameters into one flat vector, theta, of which each then is a view.

        A finished model packs itself. Packing a larger model moves the parameters on to the larger vector.
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
        self._theta = xp_of(first).concatenate([p.value.reshape(-1) for p in named.values()])
        offset = 0
        for name, parameter in named.items():
            parameter.name, parameter.offset, parameter.owner = name, offset, self
            parameter.value = self._theta[offset : offset + parameter.size].reshape(parameter.value.shape)
            offset += parameter.size

    def summary(self, *inputs: Any) -> str:
        """Return a table of the layers as text, measured by one forward of `inputs`; without any, of `one_input`.

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

    def one_input(self) -> tuple[Any, ...]:
        """Return the inputs of a forward for one sample; models that know their shape do, layers do not."""
        raise InputError(f"A {type(self).__name__} does not know the shape of its input: call summary(*inputs).")

    def flops(self, cache: Any) -> int:
        """Return the multiplications and additions in the matrix products of one forward with this cache."""
        return 0

    def bind(self, vector: Any) -> Any:
        """Return the same model on another flat vector, such as an EMA or a copy on the GPU.

        Nothing is swapped under a running thread: this model stays as it is, the new one shares no weights.

        Parameters
        ----------
        vector : array, shape of theta, any floating dtype, any device
        """
        check_shape("vector", vector, self.theta.shape)
        twin = copy.deepcopy(self, _memo_without_values(self))
        twin._view(vector)
        return twin

    def move_to(self, vector: Any) -> None:
        """Move the parameters into a vector like theta that somebody else made, such as shared memory."""
        check_shape("vector", vector, self.theta.shape)
        vector[...] = self.theta
        self._view(vector)

    def _view(self, vector):
        self._theta = vector
        for parameter in self.parameters():
            shape, start = parameter.value.shape, parameter.offset
            parameter.value = vector[start : start + parameter.size].reshape(shape)

    def decay_mask(self) -> Any:
        """Return a vector like theta: 1 where weight decay acts, 0 where not."""
        xp = xp_of(self.theta)
        mask = xp.zeros(self.theta.shape, self.theta.dtype)
        for p in self.parameters():
            mask[p.offset : p.offset + p.size] = float(p.decay)
        return mask


def _memo_without_values(module):
    """Tell `copy.deepcopy` to keep sharing the arrays, which `bind` replaces by views at once."""
    arrays = [p.value for p in module.parameters()] + [module.theta]
    return {id(a): a for a in arrays}


Entry = namedtuple("Entry", "owner cache shape")


class Tape:
    """The memory of one forward pass: last in, first out. It remembers and checks; it never differentiates.

    Running the backward in the reverse order of the forward is right for every network, also with skips and
    shared inputs: when a module's backward runs, all that read its output have run before it.

    Parameters
    ----------
    noise : Noise or None
        Where dropout draws from; its `first` and `step` say for which samples and which step.
    keep : bool
        False makes a tape that gives noise but remembers nothing (`Checkpoint` uses it).

    Examples
    --------
    >>> tape = Tape()
    >>> y = layer.forward(x, tape)          # doctest: +SKIP
    >>> print(tape)                         # doctest: +SKIP
    >>> tape["down.0.blocks.0.conv_1"].inputs    # doctest: +SKIP
    """

    def __init__(self, noise: Noise | None = None, keep: bool = True):
        self.noise = noise
        self.keep = keep
        self.entries: list[Entry] = []

    def push(self, owner: Module, cache: Any, shape: tuple = ()) -> None:
        """Remember what `owner` needs for its backward; `shape` is its output's, for display."""
        if self.keep:
            self.entries.append(Entry(owner, cache, tuple(shape)))

    def pop(self, owner: Module) -> Any:
        """Give back, and forget, what `owner` pushed last; it must be the last of all.

        Raises
        ------
        InputError
            If another module pushed last: the backward is not the reverse of the forward.
        """
        if not self.entries:
            raise InputError(f"The tape is empty: {_title(owner)}.backward was called without a forward on this tape.")
        expected = self.entries[-1].owner
        if expected is not owner:
            raise InputError(f"Backward out of order: {_title(owner)} called, {_title(expected)} expected.")
        return self.entries.pop().cache

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, path: str) -> Any:
        """Return what the module at a dotted path pushed last."""
        for entry in reversed(self.entries):
            if entry.owner.path == path:
                return entry.cache
        known = ", ".join(sorted({entry.owner.path for entry in self.entries})) or "nothing"
        raise InputError(f"The tape holds nothing of {path!r}; it holds: {known}.")

    @property
    def nbytes(self) -> int:
        """Bytes of all remembered arrays, each counted once; weights, which the model holds, are not counted."""
        arrays = {id(a): a for entry in self.entries for _, a in remembered(entry)}
        return sum(a.nbytes for a in arrays.values())

    def __str__(self) -> str:
        lines = [f"{'module':<44} {'remembers':<44} {'bytes':>12}"]
        for entry in self.entries:
            arrays = remembered(entry)
            what = "  ".join(f"{name} {'x'.join(map(str, a.shape))}" for name, a in arrays)
            lines.append(f"{_title(entry.owner):<44} {what:<44} {sum(a.nbytes for _, a in arrays):>12,}")
        return "\n".join([*lines, f"{len(self)} entries, {self.nbytes:,} bytes (an array kept twice counts once)"])


def remembered(entry: Entry) -> list[tuple[str, Any]]:
    """Return (name, array) for what an entry keeps besides the weights; a plain tuple's names are positions."""
    cache = entry.cache
    names = getattr(cache, "_fields", range(len(cache)))
    weights = {id(p.value) for p in vars(entry.owner).values() if isinstance(p, Parameter)}
    pairs = zip(names, cache, strict=True)
    return [(str(name), a) for name, a in pairs if hasattr(a, "nbytes") and id(a) not in weights]


def _title(module):
    return f"{module.path} ({type(module).__name__})" if module.path else type(module).__name__


class Gradients:
    """dL/dtheta as one flat vector over the parameters it was given, with a view for each.

    What was not asked for is not computed: give it the parameters of an adapter, and only those get gradients.

    Parameters
    ----------
    parameters : iterable of Parameter
        Usually ``model.parameters()``.
    flat : array or None
        A vector of zeros to add into; None makes one.
    """

    def __init__(self, parameters: Iterable[Parameter], flat: Any = None):
        parameters = list(parameters)
        if not parameters:
            raise InputError("Gradients needs at least one parameter.")
        size = sum(p.size for p in parameters)
        first = parameters[0].value
        if flat is None:
            flat = xp_of(first).zeros(size, np.promote_types(first.dtype, np.float32))
        check_shape("flat", flat, (size,))
        self.flat = flat
        self._views: dict[str, Any] = {}
        offset = 0
        for i, p in enumerate(parameters):
            self._views[p.name or f"unnamed {i}"] = flat[offset : offset + p.size].reshape(p.value.shape)
            offset += p.size

    def wants(self, parameter: Parameter) -> bool:
        """Whether this parameter's gradient was asked for."""
        return parameter.name in self._views

    def add(self, parameter: Parameter, d: Any) -> None:
        """Add to a parameter's gradient: where two readers used a value, its gradients add."""
        if self.wants(parameter):
            view = self._views[parameter.name]
            check_shape(f"the gradient of {parameter.name}", d, view.shape)
            view += d

    def __getitem__(self, name: str) -> Any:
        """Return the gradient of the parameter with this name."""
        if name not in self._views:
            raise InputError(f"There is no gradient for {name!r}; there are: {', '.join(self._views)}.")
        return self._views[name]

    def named(self) -> dict[str, Any]:
        """Return name -> gradient, each a view of `flat`."""
        return dict(self._views)

    def zero(self) -> None:
        """Set all gradients to zero."""
        self.flat[...] = 0


CheckpointCache = namedtuple("CheckpointCache", "inputs")


class Checkpoint(Module):
    """A module that remembers only its inputs, and runs its forward again when the backward comes.

    It trades time for memory. Dropout draws the same mask in both runs, because noise is a pure function of
    what it is for (Chen et al. 2016, arXiv 1604.06174).

    Parameters
    ----------
    inner : Module
        Any module whose forward takes ``tape`` as a keyword.
    """

    def __init__(self, inner: Module):
        self.inner = inner

    def forward(self, *inputs: Any, tape: Tape | None = None) -> Any:
        """Run the inner forward, and remember the inputs alone."""
        if tape is None:
            return self.inner.forward(*inputs)
        y = self.inner.forward(*inputs, tape=Tape(tape.noise, keep=False))
        tape.push(self, CheckpointCache(inputs))
        return y

    def backward(self, dy: Any, tape: Tape, grads: Gradients | None = None) -> Any:
        """Run the inner forward again, now remembering, and then its backward."""
        (inputs,) = tape.pop(self)
        replay = Tape(tape.noise)
        self.inner.forward(*inputs, tape=replay)
        return self.inner.backward(dy, replay, grads)
