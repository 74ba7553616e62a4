"""DDPM: the learned Markov chain, noise at every step."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, check_choice, checked
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, NoiseSource, check_noise, checked_prediction, start, step_noise
from tinydiff.diffusion.samplers.registry import sampler
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs


@checked()
@sampler()
def ddpm(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float] | None = None,
    variance: str = "beta",
    noise: NoiseSource | None = None,
    context: Any = None,
    end: float = 0,
) -> Chain:
    """Sample by the learned Markov chain, Algorithm 2 of DDPM (Eq. DDPM-ALG2), over any steps.

    The mean is that of q(x_s | x_t, x_0) at x_0_hat, which equals Algorithm 2's eps form; clipping, if any, is in
    `predict`. The variances are those of the step from t to s, not those of t - 1.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``, t an array of shape (N,).
    diffusion : GaussianDiffusion
    x_T : array, shape (N, ...)
        Noise, or x at the first of the steps.
    steps : int, sequence or None
        Number of steps (see `spaced_steps`), or the times at which to predict, strictly decreasing in (0, T]; None
        takes all of T .. 1.
    variance : str
        ``"beta"``, exact for data ~ N(0, I), or ``"beta_tilde"``, exact for a single point.
    noise : Noise
        Where the noise of each step comes from: sample i gets the same in a batch of any size.
    context : array, shape (N, ...), `Condition` of such arrays, or None
        Passed on to predict.
    end : float
        Where to stop. At 0 the last step adds no noise.

    Raises
    ------
    InputError
        If an argument is out of range, or arrays differ in shape, dtype or device.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    """
    check_choice("variance", variance, ("beta", "beta_tilde"))
    check_noise(noise, "ddpm")
    variance_of = diffusion.reverse_beta if variance == "beta" else diffusion.posterior_variance
    steps = diffusion.T if steps is None else steps
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        x_0_hat, _ = checked_prediction(x_t, predict(x_t, per_sample(t, x_t), context))
        x_t = diffusion.posterior_mean(x_0_hat, x_t, t, s)
        if s > 0:
            x_t = x_t + variance_of(t, s) ** 0.5 * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat
