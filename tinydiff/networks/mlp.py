"""An MLP for points: from a noisy point and its time, it predicts the noise. It learns two dimensions in seconds."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tinydiff import functional as F
from tinydiff.base import (
    Array,
    Condition,
    InputError,
    arrays_of,
    as_condition,
    check_alike,
    check_count,
    check_numbers,
    check_shape,
    checks_arguments,
    xp_of,
)
from tinydiff.networks.conditions import DenoiserGradients
from tinydiff.networks.levels import LARGEST_WIDTH, MOST_CLASSES, MOST_LAYERS, OfOneVector
from tinydiff.networks.registry import network
from tinydiff.nn import Embedding, Gradients, Linear, Module, Sequential, SiLU, Tape


@checks_arguments("__init__")
@dataclass(frozen=True)
class MLPConfig(OfOneVector):
    """The shape of an MLP. A point is, to samplers, a picture of one pixel, whose channels are its coordinates.

    Parameters
    ----------
    channels : int
        Coordinates of a point.
    width : int
        Numbers between two layers; even, for the sines and cosines of the time.
    depth : int
        Residual blocks, of two layers each.
    num_classes : int or None
        Number of class labels; the label `num_classes` itself then means "no class".
    """

    channels: int = 2
    width: int = 128
    depth: int = 3
    num_classes: int | None = None

    context_channels: ClassVar[None] = None
    pooled_channels: ClassVar[None] = None

    def __post_init__(self):
        check_count("channels", self.channels, most=LARGEST_WIDTH)
        check_count("width", self.width, least=2, most=LARGEST_WIDTH)
        check_count("depth", self.depth, most=MOST_LAYERS)
        if self.width % 2:
            raise InputError(f"width is {self.width}, but an even number was expected, for sines and cosines.")
        if self.num_classes is not None:
            check_count("num_classes", self.num_classes, most=MOST_CLASSES)

    @property
    def in_channels(self) -> int:  # type: ignore[override]  # it is the number of coordinates
        """Channels of what is denoised: the coordinates of a point."""
        return self.channels


class MLPBlock(Module):
    """A residual block: ``h + linear_2(silu(linear_1(silu(h)) + time(emb)))``. It starts as the identity."""

    def __init__(self, width: int, rng: np.random.Generator, dtype: Any = np.float32):
        self.silu_1, self.linear_1 = SiLU(), Linear(width, width, rng, dtype=dtype)
        self.time = Linear(width, width, rng, bias=False, dtype=dtype)
        self.silu_2, self.linear_2 = SiLU(), Linear(width, width, None, dtype=dtype)

    def forward(self, h: Array, emb: Array, tape: Tape | None = None) -> Array:
        """Return an array like h (N, width), from it and the embedding of the time, (N, width)."""
        u = self.linear_1.forward(self.silu_1.forward(h, tape), tape)
        u += self.time.forward(emb, tape)
        return h + self.linear_2.forward(self.silu_2.forward(u, tape), tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> tuple[Array, Array]:
        """Return (dh, d_emb), and add the weights' gradients to `grads`."""
        du = self.silu_2.backward(self.linear_2.backward(dy, tape, grads), tape, grads)
        d_emb = self.time.backward(du, tape, grads)
        dh = self.silu_1.backward(self.linear_1.backward(du, tape, grads), tape, grads)
        return dy + dh, d_emb  # two readers of h, the sum and the first layer: their gradients add


@network("mlp", MLPConfig)
@checks_arguments("__init__")
class MLP(Module):
    """Predicts eps_hat, an array like x_t, of points (N, 1, 1, channels): a few linear layers and their time.

    Parameters
    ----------
    config : MLPConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: MLPConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config, width = config, config.width
        self.clock = Sequential(Linear(width, width, rng, dtype=dtype), SiLU(), Linear(width, width, rng, dtype=dtype))
        classes = config.num_classes
        self.label = Embedding(classes + 1, width, rng, dtype=dtype) if classes is not None else None
        self.silu_emb = SiLU()
        self.stem = Linear(config.channels, width, rng, dtype=dtype)
        self.blocks = [MLPBlock(width, rng, dtype) for _ in range(config.depth)]
        self.silu, self.head = SiLU(), Linear(width, config.channels, None, dtype=dtype)
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return x_t, t and, for a model with classes, a label, for one point."""
        xp = xp_of(self.head.weight.value)
        x_t, t = xp.zeros((1, *self.config.shape), self.head.weight.value.dtype), xp.ones(1, np.int64)
        return (x_t, t) if self.config.num_classes is None else (x_t, t, 0 * t)

    def forward(self, x_t: Array, t: Array, context: Any = None, tape: Tape | None = None) -> Array:
        """Predict the noise in x_t.

        Parameters
        ----------
        x_t : array, shape (N, 1, 1, channels)
            Noisy points.
        t : array, shape (N,)
            Steps, 1 .. T, integer or real.
        context : array, `Condition`, or None
            Labels (N,), in a model that has classes; the label `num_classes` means "no class", and None means no class
            for every point.
        tape : Tape or None
            None remembers nothing for a backward.

        Returns
        -------
        array, shape of x_t
        """
        condition = as_condition(context)
        self._check(x_t, t, condition)
        n, classes = len(x_t), self.config.num_classes
        emb = self.clock.forward(F.timestep_embedding(t, self.config.width, dtype=x_t.dtype), tape)
        if self.label is not None:
            labels = xp_of(x_t).full(n, classes) if condition.labels is None else condition.labels
            emb = emb + self.label.forward(labels, tape)
        emb = self.silu_emb.forward(emb, tape)
        h = self.stem.forward(x_t.reshape(n, self.config.channels), tape)
        for block in self.blocks:
            h = block.forward(h, emb, tape)
        return self.head.forward(self.silu.forward(h, tape), tape).reshape(x_t.shape)

    def backward(self, d_out: Array, tape: Tape, grads: Gradients | None = None) -> DenoiserGradients:
        """Return (d_x_t, d_context, d_emb), and add the weights' gradients to `grads`: the forward in reverse order.

        d_context is a `Condition` without gradients: labels have none.
        """
        check_alike(d_out=d_out, theta=self.head.weight.value)
        check_shape("d_out", d_out, (None, *self.config.shape))
        n, channels = len(d_out), self.config.channels
        dh = self.silu.backward(self.head.backward(d_out.reshape(n, channels), tape, grads), tape, grads)
        d_emb = xp_of(dh).zeros_like(dh)
        for block in reversed(self.blocks):
            dh, d_emb_of_block = block.backward(dh, tape, grads)
            d_emb += d_emb_of_block  # every block read it
        d_x_t = self.stem.backward(dh, tape, grads).reshape(d_out.shape)
        d_emb_before = self.silu_emb.backward(d_emb, tape, grads)
        if self.label is not None:
            self.label.backward(d_emb_before, tape, grads)
        self.clock.backward(d_emb_before, tape, grads)
        return DenoiserGradients(d_x_t, Condition(), d_emb)

    def _check(self, x_t, t, condition):
        check_alike(x_t=x_t, theta=self.head.weight.value)
        check_shape("x_t", x_t, (None, *self.config.shape))
        xp_of(x_t, t, *arrays_of(condition))
        check_numbers("t", t)
        check_shape("t", t, (len(x_t),))
        for name, given in condition._asdict().items():
            if given is not None and (name != "labels" or self.label is None):
                told = "num_classes is None" if name == "labels" else "it learns points and their classes only"
                raise InputError(f"context holds {name}, but this MLP takes none ({told}).")
        if condition.labels is not None:
            check_shape("context, labels", condition.labels, (len(x_t),))
