"""DDPM: the learned Markov chain, noise at every step."""

from collections.abc import Iterable
from typing import Any

from tinydiff.base import Array, InputError, check_choice, checked, xp_of
from tinydiff.diffusion.learned_variance import learned_log_variance
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
    variance: str | None = None,
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
    variance : str or None
        ``"beta"``, exact for data ~ N(0, I); ``"beta_tilde"``, exact for a single point; ``"learned"``, what the
        network says (Eq. IDDPM-15). None: learned, where the prediction carries one (see `predictor`), else beta.
    noise : Noise
        Where the noise of each step comes from: sample i gets the same in a batch of any size.
    context : array, shape (N, ...), `Condition` of such arrays, or None
        Passed on to predict.
    end : float
        Where to stop. At 0 the last step adds no noise.

    Raises
    ------
    InputError
        If an argument is out of range, arrays differ in shape, dtype or device, or a learned variance is asked of a
        prediction that carries none.

    References
    ----------
    Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    """
    if variance is not None:
        check_choice("variance", variance, ("beta", "beta_tilde", "learned"))
    check_noise(noise, "ddpm")
    steps = diffusion.T if steps is None else steps
    x_t = start(x_T, context)
    for k, (t, s) in enumerate(step_pairs(diffusion, steps, end)):
        prediction = predict(x_t, per_sample(t, x_t), context)
        x_0_hat, _ = checked_prediction(x_t, prediction)
        sigma = _sigma(diffusion, prediction, variance, t, s)
        x_t = diffusion.posterior_mean(x_0_hat, x_t, t, s)
        if s > 0:
            x_t = x_t + sigma * step_noise(noise, k, x_t)
        yield s, x_t, x_0_hat


def _sigma(diffusion, prediction, variance, t, s):
    """Return the standard deviation of the step from t to s, one number or an array like x_t."""
    share = getattr(prediction, "share", None)
    if variance == "beta_tilde":
        return diffusion.posterior_variance(t, s) ** 0.5
    if variance == "beta" or (variance is None and share is None):
        return diffusion.reverse_beta(t, s) ** 0.5
    if share is None:
        raise InputError(
            "variance is 'learned', but predict says none: take a model with a learned variance, or 'beta' or "
            "'beta_tilde'."
        )
    return xp_of(share).exp(learned_log_variance(diffusion, share, t, s) / 2)
