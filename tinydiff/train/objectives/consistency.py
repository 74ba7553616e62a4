"""Consistency: a denoiser is tuned to say the same all along one path, so that it jumps from noise to data at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count, check_number, checked, checks_arguments, xp_of
from tinydiff.data import Dataset, LatentData
from tinydiff.diffusion.alpha_bar import to_multiply
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import TARGETS
from tinydiff.models import DiffusionModel
from tinydiff.nn import Gradients, Tape
from tinydiff.train.objectives.denoise import Denoise, DenoiseConfig

PASSED_ON = ("edm", "v", "flow-v")  # what makes x_0_hat = x_t where there is no noise, whatever the network says
WIDTH, RATIO = 8.0, 2.0  # k and q of ECT


@checks_arguments("__init__")
@dataclass(frozen=True)
class ConsistencyConfig(DenoiseConfig):
    """How a model is tuned to be consistent: as a diffusion model is trained (`DenoiseConfig`), and two settings more.

    Parameters
    ----------
    stages : int
        The last stage. In stage k the two times that should agree are about 2^-k of their noise apart; stage 0 is
        that of the training before. The stages have equal numbers of steps.
    huber : float
        Errors, per number of a picture, far below this count squared, those above by their size.
    """

    stages: int = 8
    huber: float = 5.4e-4

    def __post_init__(self):
        super().__post_init__()
        check_count("stages", self.stages, most=30)
        check_number("huber", self.huber, 1e-9, 1e3)
        if self.weighting != "own":
            raise InputError(f"weighting is {self.weighting!r}, but errors are weighed by ECT's own: leave it out.")


@checks_arguments("__init__")
class Consistency(Denoise):
    """A trained denoiser learns to say of x_t what it says of x_r, less noisy by a little (ECT; Geng et al. 2024).

    x_r has the same x_0 and the same noise, and its x_0_hat is taken without gradient. Where there is no noise x_0_hat
    is x itself, so the answer spreads from there. As the two times come together, x_0_hat becomes the end of the ODE;
    while they are apart, it stays too near to the posterior mean.

    Parameters
    ----------
    model : DiffusionModel
        Trained before, of the kind ``"edm"``, ``"v"`` or ``"flow-v"``; tuned in place.
    data : Dataset or LatentData
        Training images; for a `LatentDiffusion`, their latents.
    config : ConsistencyConfig
    validation : Dataset, LatentData or None
        Held-out images.

    Raises
    ------
    InputError
        If the kind does not pass x_t on where there is no noise.
    """

    config: ConsistencyConfig
    of_data_alone = False

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData,
        config: ConsistencyConfig,
        validation: Dataset | LatentData | None = None,
    ):
        super().__init__(model, data, config, validation)
        if model.config.kind not in PASSED_ON:
            raise InputError(
                f"kind is {model.config.kind!r}, but one that gives x_t back where there is no noise was expected: "
                f"{', '.join(PASSED_ON)}."
            )
        if model.diffusion.alpha_bar[-1] == 0:
            raise InputError(
                f"The schedule {model.config.schedule!r} leaves no signal at T, where sigma would be infinite: take "
                "one that leaves some, such as 'cosine'."
            )

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. ECT-1)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        n = len(indices)
        x_0, eps = self.pairs(indices, noise)
        context = self._with_image(self.model.told(self.context(indices, noise)), x_0, noise)
        t, _ = self.steps(noise, n)
        r = earlier_time(self.diffusion, t, self.stage(step))
        target = self.of_earlier(x_0, eps, r, context, Tape(noise))  # with the dropout of the other forward

        tape = Tape(noise)
        x_t = self.diffusion.q_sample(x_0, t, eps)
        output = self.network.forward(x_t, t, context, tape)
        share = n / config.batch
        loss, d_output = self.consistency_loss(output, x_t, t, r, target, share)
        self.network.backward(d_output, tape, grads)
        return share * loss

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the loss against the data on held-out images, which rises as answers leave the mean for one end."""
        return {f"{name}_of_data": value for name, value in super().validate(*networks).items()}

    def stage(self, step: int) -> int:
        """Return the stage of step 0, 1, ...: from 1 to the last."""
        return 1 + step * self.config.stages // self.config.steps

    def of_earlier(self, x_0: Array, eps: Array, r: Array, context: Any, tape: Tape | None = None) -> Array:
        """Return the x_0_hat of x_r, without gradient; x_0 itself where r is 0 (Eq. ECT-1)."""
        xp, clean = xp_of(x_0), r == 0
        at = xp.where(clean, 1.0, r)
        x_r = self.diffusion.q_sample(x_0, at, eps)
        output = self.network.forward(x_r, at, context, tape)
        x_0_hat, _ = TARGETS[self.model.config.kind].x_0_and_eps(self.diffusion, x_r, at, output)
        return xp.where(to_multiply(clean, x_0) > 0, x_0, x_0_hat)

    def consistency_loss(
        self, output: Array, x_t: Array, t: Array, r: Array, target: Array, share: float
    ) -> tuple[Array, Array]:
        """Return the loss of a micro-batch, and the gradient of its share in the output (Eq. ECT-1).

        The error of a picture is the root of the mean square of x_0_hat - target, in pseudo-Huber's form, over the
        distance of the two times in sigma.
        """
        kind, xp = TARGETS[self.model.config.kind], xp_of(x_t)
        x_0_hat, _ = kind.x_0_and_eps(self.diffusion, x_t, t, output)
        at_0, at_1 = (kind.x_0_and_eps(self.diffusion, x_t, t, xp.full_like(output, one))[0] for one in (0, 1))
        error, axes = x_0_hat - target, tuple(range(1, output.ndim))
        apart = sigma_at(self.diffusion, t) - sigma_at(self.diffusion, r)
        weight = (1 / apart / len(output)).astype(output.dtype)
        size = xp.sqrt((error**2).mean(axis=axes) + self.config.huber**2)
        loss = (weight * (size - self.config.huber)).sum()
        d_error = to_multiply(weight / size, output) * error * (len(output) / output.size)
        return loss, share * d_error * (at_1 - at_0)  # x_0_hat is linear in the output


@checked()
def earlier_time(diffusion: GaussianDiffusion, t: Array, stage: int) -> Array:
    """Return the times r that should agree with t in a stage, real numbers from 0 (Eq. ECT-2).

    With s for sigma at t, sigma at r is ``s (1 - 2^-stage (1 + 8 / (1 + e^s)))``, or 0 where that is below 0: in stage
    0 always, then for ever fewer t.

    Parameters
    ----------
    diffusion : GaussianDiffusion
        With some signal at T.
    t : array, shape (N,)
    stage : int
        0, 1, 2, ...

    References
    ----------
    Geng, Pokle, Luo, Lin, Kolter, "Consistency models made easy", ICLR 2025 (arXiv 2406.14548), section 3 and code.
    """
    check_count("stage", stage, least=0, most=1000)
    xp, sigma = xp_of(t), sigma_at(diffusion, t)
    share = 1 - (1 + WIDTH / (1 + xp.exp(xp.minimum(sigma, 700)))) / RATIO**stage
    sigma_r = sigma * xp.maximum(share, 0)
    table = diffusion.alpha_bar[1:]
    log_sigmas = xp.asarray(0.5 * (np.log1p(-table) - np.log(table)))  # at 1, 2, ...; between them linear in t
    first = float(1 - table[0])  # the variance of the noise at 1, below which it is in proportion to t
    below_1 = sigma_r**2 / (1 + sigma_r**2) / first
    above = 1 + xp.interp(xp.log(xp.maximum(sigma_r, 1e-300)), log_sigmas, xp.arange(len(table), dtype=np.float64))
    return xp.where(below_1 < 1, below_1, above)


def sigma_at(diffusion: GaussianDiffusion, t: Array) -> Array:
    """Return sigma = b / a at times (N,), in float64."""
    a, b = diffusion.scales(t)
    return b / a
