"""SA-Solver: Adams methods for SDEs whose noise can be chosen."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, check_number, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, NoiseSource, check_noise, checked_prediction, start, step_noise
from tinydiff.diffusion.samplers.exponential import Known, along_polynomial, half_log_snr
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def sa_solver(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    tau: float = 1.0,
    predictor: int = 2,
    corrector: int = 3,
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by SA-Solver: an Adams predictor and corrector with noise of strength tau (Eq. SA-14, Eq. SA-17).

    All SDEs with these coefficients have the same marginals: tau = 0 is the probability-flow ODE, tau = 1 the reverse
    of the forward SDE. x_0_hat is a polynomial in lambda through the last predictions; the corrector takes the new
    one in as well, with the same noise. With tau = 0 the order is the corrector's, or the predictor's without one, as
    far as the first steps let it: 2 if the first is not corrected, and 3 if it is.

    Parameters
    ----------
    predict, diffusion, x_T, steps, context, end
        As for `ddpm`.
    tau : float
        Strength of the noise, 0 or more.
    predictor, corrector : int
        Through how many predictions their polynomials run, the corrector's new one included; corrector 0: none.
    noise : Noise
        Where fresh noise comes from: sample i gets the same in a batch of any size.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Xue, Yi, Luo, Zhang, Sun, Li, Ma, "SA-Solver: stochastic Adams solver for fast sampling of diffusion models",
    NeurIPS 2023, Eq. 14 to 18.
    """
    check_number("tau", tau, 0)
    check_choice("predictor", predictor, (1, 2, 3))
    check_choice("corrector", corrector, (0, 2, 3, 4))
    check_noise(noise, "tau", tau)
    x_t, before = start(x_T, context), None
    known: Known = []  # (lambda, x_0_hat) of the last steps, the latest first
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        here = (half_log_snr(diffusion, t), x_0_hat)
        if before is not None and corrector > 0:
            x_before, t_before, fresh = before
            x_t, _ = along_polynomial(diffusion, x_before, t_before, t, [*known[: corrector - 1], here], tau**2)
            x_t = x_t + fresh
        known = [here, *known[:2]]
        x_s, missing = along_polynomial(diffusion, x_t, t, s, known[:predictor], tau**2)
        fresh = missing * step_noise(noise, k, x_t) if missing > 0 else 0 * x_t
        before, x_t = (x_t, t, fresh), x_s + fresh
        yield s, x_t, x_0_hat
