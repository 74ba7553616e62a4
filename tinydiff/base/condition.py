"""Conditions: what pictures should show, as one array or several in a `Condition`, with a row for each picture.

Samplers and shards pass a context on without knowing what it means; the functions here are all that they need.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tinydiff.base.arrays import Array, check_numbers


class Condition(NamedTuple):
    """Conditions of several kinds, each an array with one row for each picture, or None.

    Parameters
    ----------
    labels : integer array, shape (N,)
        Classes.
    tokens : array, shape (N, tokens, context_channels)
        Vectors that cross-attention reads; for a model that reads text also token numbers, integers (N, tokens).
    pooled : array, shape (N, pooled_channels)
        A text or an image as one vector, added to the embedding of the time.
    image : array, shape (N, H, W, image_channels)
        Concatenated to x_t.
    image_time : array, shape (N,)
        The step of the forward process up to which that image was noised, 0 .. T.
    step_size : array, shape (N,)
        How far a shortcut goes back at once, t - s; 0 is a step so small that the network predicts the velocity.
    """

    labels: Array = None
    tokens: Array = None
    pooled: Array = None
    image: Array = None
    image_time: Array = None
    step_size: Array = None


def as_condition(context: Any) -> Condition:
    """Return a context as a `Condition`: an array of integers (N,) is labels, any other array tokens."""
    if isinstance(context, Condition):
        return context
    if context is None:
        return Condition()
    check_numbers("context", context)
    return Condition(labels=context) if context.ndim == 1 else Condition(tokens=context)


def arrays_of(context: Any) -> list[Array]:
    """Return the arrays of a context: none, one, or those of a tuple."""
    members = context if isinstance(context, tuple) else (context,)
    return [a for a in members if a is not None]


def map_arrays(f: Callable[..., Any], *contexts: Any) -> Any:
    """Return a context of ``f(*arrays)``, for arrays at the same position in each of the contexts; None stays None."""
    first = contexts[0]
    if first is None:
        return None
    if isinstance(first, tuple):
        return type(first)(*(map_arrays(f, *members) for members in zip(*contexts, strict=True)))
    return f(*contexts)
