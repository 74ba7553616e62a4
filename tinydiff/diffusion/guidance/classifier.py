"""Guidance by the gradient of a classifier."""

from collections.abc import Callable

from tinydiff.base import Array, check_number, checked
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.guidance.interval import check_interval, scale_at
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict


@checked()
def classifier_guidance(
    predict: Predict,
    diffusion: GaussianDiffusion,
    log_probability_gradient: Callable[..., Array],
    scale: float = 1.0,
    interval: tuple[float, float] | None = None,
) -> Predict:
    """Return a prediction pushed along a classifier's gradient: eps_hat - s b grad log p(y | x_t) (Eq. CG-14).

    Because the score itself is changed, it works with every sampler, random or not. (Algorithm 1 of the paper shifts
    the mean of a random step instead, which is the same to first order in the step.)

    Parameters
    ----------
    predict : callable
        The unconditional prediction; its context is None.
    diffusion : GaussianDiffusion
    log_probability_gradient : callable
        ``f(x_t, t, context)`` returns the gradient of log p(context | x_t) in x_t, an array like x_t.
    scale : float
    interval : (float, float) or None
        As for `classifier_free_guidance`: outside it s = 1.

    Source: Dhariwal and Nichol 2021 (arXiv 2105.05233), Eq. 14 and Algorithm 2.
    """
    check_number("scale", scale, -1e6, 1e6)
    check_interval(interval)

    def guided(x_t, t, context=None):
        prediction = predict(x_t, t, None)
        _, eps_hat = prediction
        gradient = log_probability_gradient(x_t, t, context)
        check_match(x_t=x_t, log_probability_gradient=gradient)
        s = scale_at(t, scale, interval, x_t)
        eps_hat = eps_hat + diffusion.eps_from_score(s * gradient, t)  # a score of s grad is noise -b s grad
        return with_share_of(prediction, diffusion.x_0_from_eps(x_t, t, eps_hat), eps_hat)

    return guided
