"""What every denoiser does with its time and its condition: look at them, and embed them as one vector."""

from collections import namedtuple
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import (
    Array,
    Condition,
    InputError,
    arrays_of,
    check_alike,
    check_choice,
    check_count,
    check_numbers,
    check_shape,
    check_sides,
    xp_of,
)
from tinydiff.networks.levels import LARGEST_TIME, LARGEST_WIDTH, MOST_CLASSES, keep_size
from tinydiff.nn import Embedding, Gradients, Linear, Module, Sequential, SiLU, Tape

OF_TIME = ("image_time", "step_size")  # conditions in steps of the forward process
DenoiserGradients = namedtuple("DenoiserGradients", "d_x_t d_context d_emb")


class EmbedTimeAndCondition(Module):
    """Embed the step t, and perhaps a class label and a pooled vector, as one vector that all blocks read."""

    def __init__(self, config: Any, c_emb: int, rng: np.random.Generator, dtype: Any):
        self.config = config
        self.mlp = Sequential(
            Linear(config.channels, c_emb, rng, dtype=dtype), SiLU(), Linear(c_emb, c_emb, rng, dtype=dtype)
        )
        classes, pooled = config.num_classes, config.pooled_channels
        self.label = Embedding(classes + 1, c_emb, rng, dtype=dtype) if classes is not None else None
        self.pooled = Linear(pooled, c_emb, rng, dtype=dtype) if pooled is not None else None
        self.image_mlp: Any = None
        if config.image_time:
            self.image_mlp = Sequential(
                Linear(config.channels, c_emb, rng, dtype=dtype), SiLU(), Linear(c_emb, c_emb, rng, dtype=dtype)
            )
        self.step_mlp: Any = None
        if config.step_size:  # it ends with zeros, so that a network that is told nothing yet starts as it was
            self.step_mlp = Sequential(
                Linear(config.channels, c_emb, rng, dtype=dtype), SiLU(), Linear(c_emb, c_emb, None, dtype=dtype)
            )
        self.silu = SiLU()

    def forward(self, t: Array, condition: Condition, dtype: Any, tape: Tape | None = None) -> Array:
        """Return emb (N, c_emb); without labels, every image has no class."""
        config, xp = self.config, xp_of(t)

        def clock(steps):
            return F.timestep_embedding(steps, config.channels, variant=config.time_embedding, dtype=dtype)

        steps = t - config.time_offset
        emb = self.mlp.forward(clock(steps), tape)
        if self.label is not None:
            labels = condition.labels
            emb = emb + self.label.forward(xp.full(len(t), config.num_classes) if labels is None else labels, tape)
        if self.pooled is not None:
            pooled = condition.pooled
            emb = emb + self.pooled.forward(
                xp.zeros((len(t), config.pooled_channels), dtype) if pooled is None else pooled, tape
            )
        if self.image_mlp is not None:  # the noise of the image beside x_t has a time of its own
            image_time = condition.image_time
            emb = emb + self.image_mlp.forward(clock(xp.zeros(len(t)) if image_time is None else image_time), tape)
        if self.step_mlp is not None:
            step_size = condition.step_size
            emb = emb + self.step_mlp.forward(clock(xp.zeros(len(t)) if step_size is None else step_size), tape)
        return self.silu.forward(emb, tape)

    def backward(self, d_emb: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return d_pooled, or None; times and labels have no gradient."""
        d_emb = self.silu.backward(d_emb, tape, grads)
        if self.step_mlp is not None:
            self.step_mlp.backward(d_emb, tape, grads)
        if self.image_mlp is not None:
            self.image_mlp.backward(d_emb, tape, grads)
        d_pooled = self.pooled.backward(d_emb, tape, grads) if self.pooled is not None else None
        if self.label is not None:
            self.label.backward(d_emb, tape, grads)
        self.mlp.backward(d_emb, tape, grads)
        return d_pooled


def check_denoiser(config: Any) -> None:
    """Raise `InputError` unless what the shapes of all denoisers have is within its bounds: sizes and conditions."""
    keep_size(config)
    for name in ("in_channels", "channels", "patch"):
        check_count(name, getattr(config, name), most=LARGEST_WIDTH)
    for heads in config.heads if isinstance(config.heads, tuple) else (config.heads,):  # of levels, or of all
        check_count("heads", heads, most=LARGEST_WIDTH)
    for name in ("out_channels", "context_channels", "pooled_channels"):
        if getattr(config, name) is not None:
            check_count(name, getattr(config, name), most=LARGEST_WIDTH)
    if config.num_classes is not None:
        check_count("num_classes", config.num_classes, most=MOST_CLASSES)
    check_count("time_offset", config.time_offset, least=0, most=LARGEST_TIME)
    check_count("image_channels", config.image_channels, least=0, most=LARGEST_WIDTH)
    if config.image_time and not config.image_channels:
        raise InputError(
            "image_time is True, but image_channels is 0: there is no image that could be noised. Give image_channels, "
            "or leave image_time out; tinydiff train --enlarges sets both."
        )
    check_choice("time_embedding", config.time_embedding, ("stable-diffusion", "ddpm"))


def with_image(x_t: Array, image: Array | None, channels: int) -> Array:
    """Concatenate x_t with the image of a condition, or with zeros of so many channels if there is none."""
    if not channels:
        return x_t
    xp = xp_of(x_t)
    image = xp.zeros((*x_t.shape[:-1], channels), x_t.dtype) if image is None else image
    return xp.concatenate([x_t, image], axis=-1)


def check_inputs(called: str, config: Any, theta: Array, x_t: Array, t: Array, condition: Condition) -> None:
    """Raise `InputError` unless a denoiser of this shape can take these arrays.

    Parameters
    ----------
    called : str
        What the network is called in a sentence, such as ``"UNet"``.
    config : UNetConfig or DiTConfig
    theta : array
        Weights, whose dtype and device the others must have.
    x_t, t : arrays
    condition : Condition
    """
    check_alike(x_t=x_t, theta=theta)
    check_shape("x_t", x_t, (None, None, None, config.in_channels))
    n = len(x_t)
    xp_of(x_t, t, *arrays_of(condition))
    check_numbers("t", t)
    check_sides("x_t", x_t.shape[1:3], config.multiple)
    check_shape("t", t, (n,))
    shapes: dict[str, tuple[Any, tuple]] = {
        "labels": (config.num_classes, (n,)),
        "tokens": (config.context_channels, (n, None, config.context_channels)),
        "pooled": (config.pooled_channels, (n, config.pooled_channels)),
        "image": (config.image_channels, (*x_t.shape[:-1], config.image_channels)),
        "image_time": (config.image_time, (n,)),
        "step_size": (config.step_size, (n,)),
    }
    for name, (taken, shape) in shapes.items():
        given = getattr(condition, name)
        if given is None:
            continue
        if not taken:
            what = {"labels": "num_classes", "tokens": "context_channels", **{one: one for one in OF_TIME}}.get(
                name, f"{name}_channels"
            )
            raise InputError(f"context holds {name}, but this {called} takes none ({what} is {taken}).")
        check_shape(f"context, {name}", given, shape)
        if name in OF_TIME:
            check_numbers(f"context, {name}", given)
            if xp_of(given) is np and not ((given >= 0) & (given < np.inf)).all():  # NaN is neither
                raise InputError(f"context, {name} holds what is no step: finite numbers from 0 were expected.")
        elif name != "labels":
            check_alike(x_t=x_t, **{f"context_{name}": given})
    if config.context_channels is not None and condition.tokens is None:
        raise InputError(f"This {called} attends to tokens, but the context holds none.")


def one_input(config: Any, weight: Array) -> tuple[Array, ...]:
    """Return x_t, t and, for a model with conditions, a context, all for one image, like its weights."""
    xp, dtype = xp_of(weight), weight.dtype
    x_t = xp.zeros((1, *config.shape), dtype)
    t = xp.ones(1, np.int64)
    if config.context_channels is not None:
        return x_t, t, xp.zeros((1, 1, config.context_channels), dtype)
    return (x_t, t) if config.num_classes is None else (x_t, t, 0 * t)


def sum_of(arrays: Any) -> Array | None:
    """Add the arrays that are not None."""
    given = [a for a in arrays if a is not None]
    return sum(given[1:], start=given[0]) if given else None


def split_channels(x: Array, c: int) -> tuple[Array, Array]:
    """Cut the last axis after c channels; copies, because what follows adds into them."""
    return x[..., :c].copy(), x[..., c:].copy()
