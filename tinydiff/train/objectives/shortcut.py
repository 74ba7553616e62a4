"""Shortcut: a network is told how far a step goes, and learns that two steps lead where one twice as long does."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    as_condition,
    check_count,
    check_number,
    checks_arguments,
    map_arrays,
)
from tinydiff.data import Dataset, LatentData
from tinydiff.diffusion.steps import two_steps_as_one
from tinydiff.diffusion.targets import TARGETS, predictor
from tinydiff.diffusion.times import spaced_steps
from tinydiff.models import DiffusionModel
from tinydiff.nn import Gradients, Tape
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig

BLIND_AT_T = ("eps", "score")  # where nearly all is noise, these say next to nothing of the picture


@checks_arguments("__init__")
@dataclass(frozen=True)
class ShortcutConfig(DenoiseConfig):
    """How a shortcut model is trained: as a diffusion model (`DenoiseConfig`), and two settings more.

    Parameters
    ----------
    finest : int
        How many steps the finest chain has, a power of 2; no step longer than T / finest is learned from the data. A
        chain of half as many steps learns from this one, and so on, down to one step.
    bootstrap : float
        Share of each batch that learns from two shorter steps; the rest learns from the data.
    """

    finest: int = 128
    bootstrap: float = 0.25

    def __post_init__(self):
        super().__post_init__()
        check_count("finest", self.finest, least=2, most=2**20)
        if self.finest & (self.finest - 1):
            raise InputError(f"finest is {self.finest}, but steps are halved down to one: a power of 2 was expected.")
        check_number("bootstrap", self.bootstrap, 0, 1)


@checks_arguments("__init__")
class Shortcut(Denoise):
    """The network learns the velocity, told a step of length 0, and where longer steps lead (Frans et al. 2024).

    Its network has ``step_size=True``. Of one batch, a part is that of `Denoise`. For the rest a step of length 2d is
    cut in two, and the network itself, without gradient, takes both; what would have led there at once is the target
    (Eq. SHORTCUT-2). So the limit of the training is the finest chain of `ddim`, in any number of steps; on the
    straight path that is Euler's method for the flow.

    Parameters
    ----------
    model : DiffusionModel
        Trained in place.
    data : Dataset or LatentData
        Training images; for a `LatentDiffusion`, their latents.
    config : ShortcutConfig
    validation : Dataset, LatentData or None
        Held-out images.

    Raises
    ------
    InputError
        If the network is not told a step's length, or predicts what says nothing at T.
    """

    config: ShortcutConfig
    told_step_size = True
    of_data_alone = False

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData,
        config: ShortcutConfig,
        validation: Dataset | LatentData | None = None,
    ):
        super().__init__(model, data, config, validation)
        if not model.config.denoiser.step_size:
            raise InputError("The network is not told how far a step goes: make it with step_size=True.")
        refuse_blind(model)
        if config.finest > model.diffusion.T:
            raise InputError(f"finest is {config.finest}, but the process has {model.diffusion.T} steps: take fewer.")
        halvings = range(config.finest.bit_length())
        self.times = [np.array([*spaced_steps(model.diffusion.T, 2**k), 0]) for k in halvings]  # of 1, 2, 4, ... steps

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. SHORTCUT-2)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        n = len(indices)

        x_0, eps = self.pairs(indices, noise)
        rows, t_2d, middle, s = self.long_steps(noise, n)  # the other samples learn from the data
        (t, _), told = self.steps(noise, n), self.small_steps(noise, n)
        t[rows], told[rows] = t_2d, t_2d - s
        context = self._with_image(self.model.told(self.context(indices, noise)), x_0, noise)
        context = as_condition(context)._replace(step_size=told)
        x_t = self.diffusion.q_sample(x_0, t, eps)
        target = self.model.target(x_0, eps, t)
        if len(rows):
            of_rows = map_arrays(lambda a: a[rows], context)
            target[rows] = self.two_steps(x_t[rows], t_2d, middle, s, of_rows)

        tape = Tape(noise)
        output = self.network.forward(x_t, t, context, tape)
        share = n / config.batch
        loss, d_output = self.loss(output, target, t, share)
        self.network.backward(d_output, tape, grads)
        return share * loss

    def long_steps(self, noise: Noise, n: int) -> tuple[np.ndarray, Array, Array, Array]:
        """Return which of n samples take a long step, and for each (t, middle, s): where it begins, is cut, and ends.

        They are spread evenly over the batch. Every length is as likely, and of a length every step of its chain.
        """
        share, place = self.config.bootstrap, noise.first + np.arange(n)
        rows = np.flatnonzero(np.floor((place + 1) * share) > np.floor(place * share))
        host = noise.at(xp=np)
        k = host.integers(0, len(self.times) - 2, n, "length of a step")[rows]  # of a chain of 2^k steps
        which = np.floor(2**k * host.uniform((n,), "which step", dtype=np.float64)[rows]).astype(np.int64)
        of_chain = [(*self.times[i][j : j + 2], self.times[i + 1][2 * j + 1]) for i, j in zip(k, which, strict=True)]
        t, s, middle = noise.xp.asarray(np.array(of_chain, np.int64).reshape(-1, 3).T)
        return rows, t, middle, s

    def small_steps(self, noise: Noise, n: int) -> Array:
        """Return the length that is told where the data teach: any from 0 to a step of the finest chain."""
        return noise.integers(0, -(-self.diffusion.T // self.config.finest), n, "small step")

    def two_steps(self, x_t: Array, t: Array, middle: Array, s: Array, context: Any) -> Array:
        """Return what the network should say, for one step to lead where its own two do (Eq. SHORTCUT-2)."""
        kind = self.model.config.kind
        own = predictor(self.network.forward, self.diffusion, kind, clip=False)

        def predict(x, begin, end):
            return own(x, begin, context._replace(step_size=begin - end))

        return TARGETS[kind].of(self.diffusion, *two_steps_as_one(self.diffusion, predict, x_t, t, middle, s), t)


def refuse_blind(model: DiffusionModel) -> None:
    """Raise `InputError` if the network predicts what says nothing of the picture at T, where a long step begins."""
    if model.config.kind in BLIND_AT_T:
        raise InputError(
            f"kind is {model.config.kind!r}, which says next to nothing of the picture at T, where one long step "
            "begins: take 'v', 'x_0' or 'flow-v'."
        )
