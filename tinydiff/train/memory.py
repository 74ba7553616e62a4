"""Whether a training fits into memory, before anything large is made."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinydiff.base import InputError, Noise, check_memory, counted, in_gib, xp_of
from tinydiff.networks import UNet
from tinydiff.nn import Conv2d, Module, Tape
from tinydiff.train.objective import Phase
from tinydiff.workers import default_threads


def check_training_fits(phases: Sequence[Phase], threads: int | None = None) -> None:
    """Raise `InputError` if the vectors of a training, and what its passes remember, are more than the memory here.

    The vectors are the weights, their average, Adam's two moments, and a gradient for each lane. What a forward
    remembers for its backward is measured on one sample, for as many samples as are in work at the same time. What a
    layer needs beside it is not counted, so that a training that passes may still be too large.

    Parameters
    ----------
    phases : sequence of Phase
    threads : int or None
        How many shards are computed at the same time; None takes one for each core.
    """
    for phase in phases:
        network, settings = phase.network, phase.settings
        if xp_of(network.theta) is not np:
            continue  # a GPU refuses by itself what it cannot hold
        lanes = 1 if phase.join is not None or phase.in_order else min(settings.lanes, settings.shards)
        vectors = (3 + (settings.ema is not None) + lanes) * network.theta.nbytes
        check_memory(
            vectors,
            f"lanes is {settings.lanes}, and the network has {counted(network.theta.size, 'weight')}",
            "take fewer lanes, or a smaller network",
        )
        at_once = min(default_threads() if threads is None else threads, lanes)
        whole_batch = settings.micro_batch is None or phase.join is not None
        samples = settings.batch if phase.join is not None else min(settings.shard_size * at_once, settings.batch)
        one = remembered_of_one_sample(network)
        asked = f"batch is {settings.batch}" if whole_batch else f"micro_batch is {settings.micro_batch}"
        check_memory(
            vectors + samples * one,
            f"{asked}, and each of {counted(samples, 'sample')} at a time is remembered in {in_gib(one)}",
            "take fewer samples at a time (a smaller micro_batch or batch), smaller pictures, or fewer threads",
        )


def remembered_of_one_sample(network: Module) -> int:
    """Return the bytes that a forward of one sample remembers for the backward; 0 for a network that cannot say.

    Raises
    ------
    InputError
        If not even that fits.
    """
    try:
        inputs = network.one_input()
    except InputError:
        return 0
    pixels = math.prod(inputs[0].shape[:3]) if inputs[0].ndim == 4 else 0
    check_memory(
        pixels * _bytes_of_a_pixel(network),
        f"The size of a picture is {' x '.join(map(str, inputs[0].shape[1:3]))}",
        "choose smaller ones",
    )
    tape = Tape(Noise(0))
    with np.errstate(all="ignore"):
        network.forward(*inputs, tape=tape)
    return tape.nbytes


def _bytes_of_a_pixel(network: Any) -> int:
    """Return what the first convolution takes for each pixel: its result, and the nine neighbours that it reads."""
    first = next((module for _, module in network.named_modules() if isinstance(module, Conv2d)), None)
    patch = next((module.config.patch for _, module in network.named_modules() if isinstance(module, UNet)), 1)
    return 0 if first is None else 4 * 10 * first.weight.value.shape[-1] // patch**2
