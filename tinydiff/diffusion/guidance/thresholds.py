"""Thresholds: how a predicted picture is kept within [-1, 1], from black to white."""

from tinydiff.base import check_choice, check_number, checked, xp_of
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict


@checked()
def bounded(predict: Predict, diffusion: GaussianDiffusion, how: str = "static", percentile: float = 0.995) -> Predict:
    """Return a prediction whose x_0_hat lies in [-1, 1], and whose eps_hat is derived from it.

    Parameters
    ----------
    predict : callable
    diffusion : GaussianDiffusion
    how : str
        ``"static"`` clips. ``"dynamic"`` clips at the given percentile of each image's absolute values, where that is
        above 1, and divides by it, so that guided pictures do not become pure black and white (Eq. DYN-1).
    percentile : float
        0 .. 1.

    Source: Saharia et al. 2022 (Imagen, arXiv 2205.11487), section 2.3.
    """
    check_choice("how", how, ("static", "dynamic"))
    check_number("percentile", percentile, 0, 1)

    def bounded_predict(x_t, t, context=None):
        prediction = predict(x_t, t, context)
        x_0_hat, _ = prediction
        xp = xp_of(x_0_hat)
        if how == "static":
            x_0_hat = xp.clip(x_0_hat, -1, 1)
        else:
            largest = xp.quantile(abs(x_0_hat).reshape(len(x_0_hat), -1), percentile, axis=1)
            largest = xp.maximum(largest, 1).reshape(-1, *[1] * (x_0_hat.ndim - 1)).astype(x_0_hat.dtype)
            x_0_hat = xp.clip(x_0_hat, -largest, largest) / largest
        return with_share_of(prediction, x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat))

    return bounded_predict
