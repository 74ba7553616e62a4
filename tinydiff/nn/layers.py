"""Layers: a functional pair and its parameters, nothing else."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Array, InputError, bare, check_alike, check_divisible, checks_arguments
from tinydiff.functional.patches import Padding
from tinydiff.functional.values import check_factor, check_norm, check_padding, check_stride
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.module import Module
from tinydiff.nn.parameter import Parameter, alike, are_left_out, check_allowance, check_counts
from tinydiff.nn.tape import Tape

Pair = tuple[Callable, Callable]


class Layer(Module):
    """A pair and its parameters: the base class of every layer with one input.

    A subclass sets `pair` and lists, in `arguments`, the parameters that its forward takes after x. Its constructor
    checks the values of `options`; forward and backward check that the array has the weights' dtype and device. So the
    pair can run without its own checks (`bare`).
    """

    pair: Pair

    def arguments(self) -> list[Parameter | None]:
        """Return the parameters in the order of the pair's arguments after x."""
        return []

    def values(self) -> list[Array | None]:
        """Return the arrays of these parameters."""
        return [None if p is None else p.value for p in self.arguments()]

    def options(self) -> dict[str, Any]:
        """Return the pair's further arguments."""
        return {}

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Compute the output, and remember what the backward needs if there is a tape."""
        f, values = bare(self.pair[0]), self.values()
        check_flow("x", x, values[0] if values else None)
        options = {"keep": tape is not None} if _takes(f, "keep") else {}
        y, cache = f(x, *values, **self.options(), **options)
        if tape is not None:
            tape.push(self, cache, y.shape)
        return y

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the parameters' gradients to `grads` if it is given."""
        f_backward, values = bare(self.pair[1]), self.values()
        check_flow("dy", dy, values[0] if values else None)
        wanted = grads is not None and any(p is not None and grads.wants(p) for p in self.arguments())
        options = {"need_dw": wanted} if _takes(f_backward, "need_dw") else {}
        dx, *d_parameters = f_backward(dy, tape.pop(self), **options)
        if grads is not None and wanted:
            for parameter, d in zip(self.arguments(), d_parameters, strict=True):
                if parameter is not None:
                    grads.add(parameter, d)
        return dx


def check_flow(name: str, x: Array, weight: Array | None) -> None:
    """Raise `InputError` unless what flows through a layer is an array like its weights, with at least one number."""
    if type(x) is np.ndarray and weight is not None and x.dtype is weight.dtype and x.ndim and x.size:
        return  # the usual case, in every layer and every step
    check_alike(**{name: x, "weight": weight})
    if not x.shape or 0 in x.shape:
        raise InputError(f"{name} has shape {tuple(x.shape)}, but no axis may have size 0, and there must be one.")


@functools.cache
def _takes(f, argument):
    """Whether a function has an argument: `keep` and `need_dw` save work, but a student's pair may lack them."""
    return argument in inspect.signature(f).parameters


def initial(rng: np.random.Generator | None, shape: tuple, fan_in: int, dtype: Any) -> Array:
    """Return uniform numbers of variance 1 / fan_in, which keep the scale of a signal; zeros without `rng`."""
    check_allowance(shape)
    if rng is None or are_left_out():
        return np.zeros(shape, dtype)
    bound = (3 / fan_in) ** 0.5
    return rng.uniform(-bound, bound, shape).astype(dtype)


@checks_arguments("__init__")
class Linear(Layer):
    """``y = x w + b`` on the last axis (Eq. LIN-1).

    Parameters
    ----------
    c_in, c_out : int
    rng : numpy Generator or None
        Draws the weights; None sets them to zero, so that a residual branch starts at zero.
    bias : bool
    dtype : dtype
    pair : (forward, backward)
        Another pair with the arguments of `functional.linear`, for example your own.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        rng: np.random.Generator | None = None,
        bias: bool = True,
        dtype: Any = np.float32,
        pair: Pair = (F.linear, F.linear_backward),
    ):
        check_counts(c_in=c_in, c_out=c_out)
        self.pair = pair
        self.weight = Parameter(initial(rng, (c_in, c_out), c_in, dtype))
        self.bias = Parameter(alike(0, c_out, dtype), decay=False) if bias else None

    def arguments(self):
        return [self.weight, self.bias]

    def flops(self, cache):
        return 2 * cache.x.size * self.weight.value.shape[1]


@checks_arguments("__init__")
class Conv2d(Layer):
    """Convolution of images (N, H, W, C) (Eq. CONV-1).

    Parameters
    ----------
    c_in, c_out : int
    kernel : int
        Odd side of the kernel.
    rng : numpy Generator or None
        Draws the weights; None sets them to zero.
    stride : int
    padding : int, ((top, bottom), (left, right)), or None
        None keeps the size at stride 1: kernel // 2 on every side.
    dtype : dtype
    pair : (forward, backward)
        Another pair with the arguments of `functional.conv2d`, for example your own.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int = 3,
        rng: np.random.Generator | None = None,
        stride: int = 1,
        padding: Padding | None = None,
        dtype: Any = np.float32,
        pair: Pair = (F.conv2d, F.conv2d_backward),
    ):
        check_counts(c_in=c_in, c_out=c_out, kernel=kernel)
        if kernel % 2 == 0:
            raise InputError(f"kernel is {kernel}, but an odd number was expected.")
        self.pair = pair
        self.stride = stride
        self.padding = kernel // 2 if padding is None else padding
        check_stride(stride)
        check_padding(self.padding, (kernel, kernel))
        self.weight = Parameter(initial(rng, (kernel, kernel, c_in, c_out), kernel * kernel * c_in, dtype))
        self.bias = Parameter(alike(0, c_out, dtype), decay=False)

    def arguments(self):
        return [self.weight, self.bias]

    def options(self):
        return {"stride": self.stride, "padding": self.padding}

    def flops(self, cache):
        images, height, width, _ = cache.x_shape
        pixels = images * (height // self.stride) * (width // self.stride)
        return 2 * pixels * self.weight.size


@checks_arguments("__init__")
class GroupNorm(Layer):
    """Group normalisation with a scale and shift for each channel (Eq. GN-1).

    Parameters
    ----------
    channels : int
    groups : int or None
        None takes ``min(32, channels // 4)``.
    eps : float
    dtype : dtype
    pair : (forward, backward)
        Another pair with the arguments of `functional.group_norm`.
    """

    def __init__(
        self,
        channels: int,
        groups: int | None = None,
        eps: float = 1e-5,
        dtype: Any = np.float32,
        pair: Pair = (F.group_norm, F.group_norm_backward),
    ):
        check_counts(channels=channels)
        check_norm(eps)
        self.pair = pair
        self.eps = eps
        self.groups = F.default_groups(channels) if groups is None else groups
        check_divisible("channels", channels, "groups", self.groups)
        self.gamma = Parameter(alike(1, channels, dtype), decay=False)
        self.beta = Parameter(alike(0, channels, dtype), decay=False)

    def arguments(self):
        return [self.gamma, self.beta]

    def options(self):
        return {"groups": self.groups, "eps": self.eps}


@checks_arguments("__init__")
class GroupNormSiLU(GroupNorm):
    """Group normalisation, then SiLU, in one pair (Eq. GN-1 and SILU-1); its parameters are the norm's."""

    def __init__(
        self,
        channels: int,
        groups: int | None = None,
        eps: float = 1e-5,
        dtype: Any = np.float32,
        pair: Pair = (F.group_norm_silu, F.group_norm_silu_backward),
    ):
        super().__init__(channels, groups, eps, dtype, pair)


@checks_arguments("__init__")
class LayerNorm(Layer):
    """Layer normalisation with a scale and shift for each channel (Eq. LN-1)."""

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        dtype: Any = np.float32,
        pair: Pair = (F.layer_norm, F.layer_norm_backward),
    ):
        check_counts(channels=channels)
        check_norm(eps)
        self.pair = pair
        self.eps = eps
        self.gamma = Parameter(alike(1, channels, dtype), decay=False)
        self.beta = Parameter(alike(0, channels, dtype), decay=False)

    def arguments(self):
        return [self.gamma, self.beta]

    def options(self):
        return {"eps": self.eps}


@checks_arguments("__init__")
class UnitLength(Layer):
    """A vector brought to length 1 (Eq. UNIT-1)."""

    def __init__(self, pair: Pair = (F.unit_length, F.unit_length_backward)):
        self.pair = pair


@checks_arguments("__init__")
class Upsample(Layer):
    """Repeat every pixel along both sides (Eq. UP-1)."""

    def __init__(self, factor: int = 2, pair: Pair = (F.upsample_nearest, F.upsample_nearest_backward)):
        check_factor(factor)
        self.pair = pair
        self.factor = factor

    def options(self):
        return {"factor": self.factor}


@checks_arguments("__init__")
class AvgPool(Layer):
    """Average blocks of pixels (Eq. POOL-1)."""

    def __init__(self, factor: int = 2, pair: Pair = (F.avg_pool, F.avg_pool_backward)):
        check_factor(factor)
        self.pair = pair
        self.factor = factor

    def options(self):
        return {"factor": self.factor}


@checks_arguments("__init__")
class Dropout(Layer):
    """Drop entries in training, that is where there is a tape with noise (Eq. DROP-1).

    Without a tape, or with rate 0, it returns its input: there is no training mode to switch on or off.
    """

    def __init__(self, rate: float, pair: Pair = (F.dropout, F.dropout_backward)):
        if not 0 <= rate < 1:
            raise InputError(f"dropout is {rate}, but a probability 0 <= dropout < 1 was expected.")
        self.pair = pair
        self.rate = rate

    def forward(self, x, tape=None):
        """Draw the mask from the tape's noise, as a function of this layer's path and the sample."""
        if tape is None or self.rate == 0:
            return x
        if tape.noise is None:
            raise InputError("Dropout needs random numbers: make the tape with Tape(Noise(seed)).")
        check_alike(x=x)
        f, uniform = bare(self.pair[0]), tape.noise.uniform(x.shape, "dropout", layer=self.path, dtype=x.dtype)
        y, cache = f(x, self.rate, uniform)
        tape.push(self, cache, y.shape)
        return y

    def backward(self, dy, tape, grads=None):
        """Return dx."""
        return dy if self.rate == 0 else super().backward(dy, tape, grads)


@checks_arguments("__init__")
class Embedding(Module):
    """A table of learned rows (Eq. EMB-1).

    Parameters
    ----------
    rows, channels : int
    rng : numpy Generator or None
    dtype : dtype
    """

    def __init__(self, rows: int, channels: int, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        check_counts(rows=rows, channels=channels)
        self.table = Parameter(initial(rng, (rows, channels), 1, dtype), decay=False)

    def forward(self, indices: Array, tape: Tape | None = None) -> Array:
        """Return the rows at `indices`."""
        y, cache = F.embedding(indices, self.table.value)
        if tape is not None:
            tape.push(self, cache, y.shape)
        return y

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> None:
        """Add the table's gradient; indices have none."""
        _, d_table = F.embedding_backward(dy, tape.pop(self))
        if grads is not None:
            grads.add(self.table, d_table)


@checks_arguments("__init__")
class Sequential(Module):
    """Layers one after the other; the backward runs them in reverse."""

    def __init__(self, *layers: Module):
        self.layers = list(layers)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Run the layers in order."""
        for layer in self.layers:
            x = layer.forward(x, tape)
        return x

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Run the backwards in reverse order."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy, tape, grads)
        return dy
