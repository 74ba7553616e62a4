"""Autoguidance: away from the prediction of a worse network."""

from tinydiff.base import check_number, checked
from tinydiff.diffusion.guidance.interval import check_interval, scale_at
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.targets import Predict


@checked()
def autoguidance(
    predict: Predict, weak_predict: Predict, scale: float, interval: tuple[float, float] | None = None
) -> Predict:
    """Return weak + s (strong - weak): away from the prediction of a worse model of the same data (Eq. AUTO-1).

    Parameters
    ----------
    predict, weak_predict : callable
        Not clipped. The weak one is smaller, or was trained for less time; both get the condition.
    scale, interval
        As for `classifier_free_guidance`.

    Source: Karras et al. 2024 (arXiv 2406.02507), Eq. 3.
    """
    check_number("scale", scale, -1e6, 1e6)
    check_interval(interval)

    def guided(x_t, t, context=None):
        strong = predict(x_t, t, context)
        if scale == 1:
            return strong
        s = scale_at(t, scale, interval, x_t)
        x_0_hat, eps_hat = (b + s * (a - b) for a, b in zip(strong, weak_predict(x_t, t, context), strict=True))
        return with_share_of(strong, x_0_hat, eps_hat)

    return guided
