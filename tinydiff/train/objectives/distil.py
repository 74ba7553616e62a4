"""Distil: a student that takes one step where its teacher takes two (progressive distillation)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count, checks_arguments
from tinydiff.data import Dataset, LatentData
from tinydiff.diffusion.steps import two_steps_as_one
from tinydiff.diffusion.targets import TARGETS, predictor
from tinydiff.diffusion.times import spaced_steps
from tinydiff.models import DiffusionModel
from tinydiff.models.weights import checksum_of
from tinydiff.nn import Gradients, Tape
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig
from tinydiff.train.objectives.shortcut import refuse_blind


@checks_arguments("__init__")
@dataclass(frozen=True)
class DistilConfig(DenoiseConfig):
    """How a student is distilled: as a diffusion model is trained (`DenoiseConfig`), and one setting more.

    Parameters
    ----------
    teacher_steps : int
        How many steps the teacher takes from noise to data, an even number; the student takes half as many.
    """

    teacher_steps: int = 8

    def __post_init__(self):
        super().__post_init__()
        check_count("teacher_steps", self.teacher_steps, least=2)
        if self.teacher_steps % 2:
            raise InputError(f"teacher_steps is {self.teacher_steps}, but the student takes half: give an even number.")
        for name, own in (("times", "uniform"), ("time_shift", 1.0)):
            if getattr(self, name) != own:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, but a student learns the times of its steps, all alike: leave "
                    "it out."
                )


@checks_arguments("__init__")
class Distil(Denoise):
    """The student learns to be, after one step of `ddim`, where its teacher is after two (Salimans and Ho 2022).

    The limit is the teacher's own chain, in half of the steps, and no better. Then the student may teach the next, of
    half the steps again.

    Parameters
    ----------
    model : DiffusionModel
        The student, trained in place; it mostly starts with the teacher's weights.
    data : Dataset or LatentData
        Training images; for a `LatentDiffusion`, their latents.
    config : DistilConfig
    teacher : DiffusionModel
        Of the student's configuration; it is not changed.
    validation : Dataset, LatentData or None
        Held-out images.

    Raises
    ------
    InputError
        If teacher and student differ in more than weights, predict what says nothing at T, or have too few steps.
    """

    config: DistilConfig
    of_data_alone = False

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData,
        config: DistilConfig,
        teacher: DiffusionModel,
        validation: Dataset | LatentData | None = None,
    ):
        super().__init__(model, data, config, validation)
        refuse_other_teacher(model, teacher)
        refuse_blind(model)
        if config.teacher_steps > model.diffusion.T:
            raise InputError(f"teacher_steps is {config.teacher_steps}, but T is {model.diffusion.T}: take fewer.")
        self.teacher = teacher.network.bind(teacher.network.theta.copy())  # the student may be the teacher's network
        self.times = np.array([*spaced_steps(model.diffusion.T, config.teacher_steps), 0])

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. PD-2)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        n = len(indices)
        x_0, eps = self.pairs(indices, noise)
        context = self._with_image(self.model.told(self.context(indices, noise)), x_0, noise)
        first = 2 * noise.integers(0, config.teacher_steps // 2 - 1, n, "which step")
        t, middle, s = (noise.xp.asarray(self.times)[first + k] for k in range(3))
        x_t = self.diffusion.q_sample(x_0, t, eps)
        target = self.two_steps(x_t, t, middle, s, context)

        tape = Tape(noise)
        output = self.network.forward(x_t, t, context, tape)
        share = n / config.batch
        loss, d_output = self.loss(output, target, t, share)
        self.network.backward(d_output, tape, grads)
        return share * loss

    def two_steps(self, x_t: Array, t: Array, middle: Array, s: Array, context: Any) -> Array:
        """Return what the student should say, for one step to lead where two of its teacher do (Eq. PD-2)."""
        kind = self.model.config.kind
        teacher = predictor(self.teacher.forward, self.diffusion, kind, clip=False)

        def predict(x, begin, end):
            return teacher(x, begin, context)

        return TARGETS[kind].of(self.diffusion, *two_steps_as_one(self.diffusion, predict, x_t, t, middle, s), t)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the loss against the data on held-out images, which rises as answers leave the mean for one end."""
        return {f"{name}_of_data": value for name, value in super().validate(*networks).items()}

    def identity(self) -> dict[str, Any]:
        """Return the model's shape, the data with checksums, and the checksum of the teacher."""
        return {**super().identity(), "weights of the teacher": checksum_of("", [self.teacher.theta])}


def refuse_other_teacher(model: DiffusionModel, teacher: DiffusionModel) -> None:
    """Raise `InputError` if a teacher has another configuration than its student, so that steps would not compare."""
    if teacher.config != model.config:
        raise InputError(
            "The teacher's configuration is not the student's, but their steps must be the same: give both one."
        )
