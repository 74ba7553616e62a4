"""What stands between an encoder and a decoder and lets only codes through: a codebook, or a few levels (FSQ).

A quantiser's statistics, such as how often each code was used, are kept as parameters. So they are part of the flat
vector theta: saved with a run, and shared by its processes. The optimizer moves no parameter whose gradient is always
0, and theirs is.
"""

import math
from typing import Any

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Array, InputError, check_alike, checks_arguments, xp_of
from tinydiff.functional.values import MOST_CODES, check_labels, check_scalar_levels
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.module import Module
from tinydiff.nn.parameter import Parameter, check_allowance, check_counts
from tinydiff.nn.tape import Tape


class Quantiser(Module):
    """What quantisers share: how many codes there are, and how often each was used."""

    codes: int  # K, how many there are
    channels: int  # the numbers of a code
    uses: Parameter  # (2, K): how often each was used in this epoch so far, and in the last whole one

    def look_up(self, indices: Array) -> Array:
        """Return the codes with these indices, (..., channels)."""
        raise NotImplementedError

    def count(self, indices: Array, grads: Gradients) -> None:
        """Add how often each code was used to the place of its gradient, so that it is summed over the batch with it.

        It is no gradient: `end_of_batch` takes it out again, before the optimizer's step.
        """
        xp, uses = xp_of(indices), self.uses.value
        counts = xp.zeros_like(uses)
        xp.add.at(counts[0], indices, 1)
        grads.add(self.uses, counts)

    def end_of_batch(self, grads: Gradients, ends_epoch: bool, ok: Array) -> None:
        """Take the counts of a batch out of the sum over its shards, and add them to those of the epoch.

        Parameters
        ----------
        grads : Gradients
        ends_epoch : bool
            Whether the batch is the last of an epoch, whose counts are then kept until the next has ended.
        ok : boolean array without axes
            Where it is false, nothing changes.
        """
        xp, uses, of_batch = xp_of(self.uses.value), self.uses.value, grads[self.uses]
        epoch = uses[0] + of_batch[0]
        after = xp.stack([xp.zeros_like(epoch), epoch] if ends_epoch else [epoch, uses[1]])
        uses[...] = xp.where(ok, after, uses)
        of_batch[...] = 0

    def usage(self) -> tuple[int, float] | None:
        """Return (codes used, perplexity) over the last whole epoch (Eq. VQ-USE); None before one has ended."""
        used, perplexity = F.codebook_usage(self.uses.value[1])
        return (used, perplexity) if used else None


@checks_arguments("__init__", "look_up")
class VectorQuantiser(Quantiser):
    """A codebook: each vector becomes the nearest of its codes (Eq. VQ-1), straight-through (Eq. VQ-ST).

    Parameters
    ----------
    codes, channels : int
        How many codes there are, and how many numbers each has.
    rng : numpy Generator or None
        Draws the codes, uniformly in ±1 / codes; None sets them to zero.
    dtype : dtype
    """

    def __init__(self, codes: int, channels: int, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        check_counts(codes=codes, channels=channels)
        if codes > MOST_CODES:
            raise InputError(f"codes is {codes:,}, but at most {MOST_CODES:,} were expected.")
        check_allowance((codes, channels))
        self.codes, self.channels = codes, channels
        first = rng.uniform(-1 / codes, 1 / codes, (codes, channels)) if rng else np.zeros((codes, channels))
        self.codebook = Parameter(first.astype(dtype), decay=False)
        self.sizes = Parameter(np.zeros(codes, dtype), decay=False)  # the averages of Eq. VQ-EMA
        self.sums = Parameter(np.zeros((codes, channels), dtype), decay=False)
        self.uses = Parameter(np.zeros((2, codes), dtype), decay=False)

    def forward(self, z: Array, tape: Tape | None = None) -> tuple[Array, Array]:
        """Return (z_q, indices): the nearest codes, (..., channels), and their numbers, (...)."""
        z_q, cache = F.vector_quantise(z, self.codebook.value)
        if tape is not None:
            tape.push(self, cache, z_q.shape)
        return z_q, cache.indices

    def backward(self, d_z_q: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz = d_z_q; the codebook learns from losses of its own, or by averages."""
        check_alike(d_z_q=d_z_q, codebook=self.codebook.value)
        dz, _ = F.vector_quantise_backward(d_z_q, tape.pop(self))
        return dz

    def look_up(self, indices: Array) -> Array:
        """Return the codes with these indices, (..., channels)."""
        check_labels("indices", indices, self.codes)
        return self.codebook.value[indices]

    def remember(self, z: Array, indices: Array, grads: Gradients, candidates: Array) -> None:
        """Add what these vectors have to say of the codebook to the places of its gradients (see `count`).

        Where a codebook is averaged, no loss has a gradient in it, so that the places of `codebook`, `sizes` and `sums`
        are free for candidates, counts and sums.

        Parameters
        ----------
        z : array, shape (..., channels)
        indices : integer array, shape (...)
        grads : Gradients
        candidates : array, shape (codes, channels)
            For each code, the vector that it is restarted with, should that be needed; 0 where another shard has it.
        """
        counts, sums = F.codebook_sums(z, indices, self.codes)
        for parameter, value in ((self.codebook, candidates), (self.sizes, counts), (self.sums, sums)):
            grads.add(parameter, value)

    def average(self, grads: Gradients, decay: float, restart_below: float | None, ok: Array) -> None:
        """Take what `remember` has added up out of the gradients, and average (Eq. VQ-EMA), then restart (VQ-RESTART).

        Parameters
        ----------
        grads : Gradients
            Of the whole batch.
        decay : float
        restart_below : float or None
            None restarts no code.
        ok : boolean array without axes
            Where it is false, nothing changes.
        """
        parameters = (self.codebook, self.sizes, self.sums)
        candidates, counts, sums = (grads[p] for p in parameters)
        codebook, sizes, averages = (p.value for p in parameters)
        after = F.average_codebook(codebook, sizes, averages, counts, sums, decay)
        if restart_below is not None:
            after = F.restart_codes(*after, candidates, restart_below)
        for parameter, value in zip(parameters, after, strict=True):
            parameter.value[...] = xp_of(value).where(ok, value, parameter.value)
            grads[parameter][...] = 0


@checks_arguments("__init__", "look_up")
class ScalarQuantiser(Quantiser):
    """FSQ: each channel is bounded and rounded to a few levels (Eq. FSQ-1), straight-through (Eq. FSQ-2).

    It has no weights. Its codes are all combinations of levels.

    Parameters
    ----------
    levels : tuple of int
        How many levels each channel has, from 3 to 256.
    dtype : dtype
    """

    def __init__(self, levels: tuple[int, ...], dtype: Any = np.float32):
        check_scalar_levels(levels)
        self.levels, self.codes, self.channels = tuple(levels), math.prod(levels), len(levels)
        self.uses = Parameter(np.zeros((2, self.codes), dtype), decay=False)

    def forward(self, z: Array, tape: Tape | None = None) -> tuple[Array, Array]:
        """Return (z_q, indices): the rounded channels, (..., channels), and the numbers of the codes, (...)."""
        z_q, cache = F.finite_scalar_quantise(z, self.levels)
        if tape is not None:
            tape.push(self, cache, z_q.shape)
        return z_q, F.finite_scalar_indices.bare(z_q, self.levels)

    def backward(self, d_z_q: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dz, through all but the rounding."""
        (dz,) = F.finite_scalar_quantise_backward(d_z_q, tape.pop(self))
        return dz

    def look_up(self, indices: Array) -> Array:
        """Return the codes with these indices, (..., channels)."""
        return F.finite_scalar_codes(indices, self.levels).astype(self.uses.value.dtype)
