"""DPM-Solver++(3M) for the reverse SDE."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, NoiseSource, check_noise, checked_prediction, start, step_noise
from tinydiff.diffusion.samplers.exponential import Known, along_polynomial, half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def dpmpp_3m_sde(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    eta: float = 1.0,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample the reverse SDE along the parabola through the last three predictions of x_0 (Eq. EXPAB-1).

    With eta = 0 it is the right `dpmpp_3m`, but for its first step, which is of order 1 and leaves the chain of order
    2: here noise counts more.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    eta : float
        Strength of the noise, 0 or more: 0 is the ODE, 1 the reverse of the forward SDE.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Crowson, k-diffusion, 2023, ``sample_dpmpp_3m_sde``, which has the second difference of `dpmpp_3m_as_published`.
    """
    check_number("eta", eta, 0)
    check_noise(noise, "eta", eta)
    x_t = start(x_T, context)
    known: Known = []  # (lambda, x_0_hat) of the last steps, the latest first
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        known = [(half_log_snr(diffusion, t), x_0_hat), *known[:2]]
        x_t, missing = along_polynomial(diffusion, x_t, t, s, known, eta)
        if missing > 0:
            x_t = x_t + missing * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat
