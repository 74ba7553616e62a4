"""Gradient checkpointing: a module that runs its forward twice, to keep less in memory."""

from collections import namedtuple
from typing import Any

from tinydiff.base import Array, checks_arguments
from tinydiff.nn.gradients import Gradients
from tinydiff.nn.module import Module
from tinydiff.nn.tape import Tape

CheckpointCache = namedtuple("CheckpointCache", "inputs")


@checks_arguments("__init__")
class Checkpoint(Module):
    """A module that remembers only its inputs, and runs its forward again in the backward.

    It trades time for memory (Chen et al. 2016, arXiv 1604.06174). Dropout draws the same mask in both runs, because
    noise is a pure function of its seed, purpose, step, sample and layer.

    Parameters
    ----------
    inner : Module
        Any module whose forward takes ``tape`` as a keyword.
    """

    def __init__(self, inner: Module):
        self.inner = inner

    def forward(self, *inputs: Array, tape: Tape | None = None) -> Any:
        """Run the inner forward, and remember only the inputs."""
        if tape is None:
            return self.inner.forward(*inputs)
        y = self.inner.forward(*inputs, tape=Tape(tape.noise, keep=False))
        tape.push(self, CheckpointCache(inputs))
        return y

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Any:
        """Run the inner forward again, now remembering, and then its backward."""
        (inputs,) = tape.pop(self)
        replay = Tape(tape.noise)
        self.inner.forward(*inputs, tape=replay)
        return self.inner.backward(dy, replay, grads)
