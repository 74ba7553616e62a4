"""What is predicted from x_t: a pair, which may carry what a network says of the variance besides."""

from typing import Any

from tinydiff.base import Array


class Prediction(tuple[Array, Array]):
    """The pair (x_0_hat, eps_hat) of a network that also learned the variance of a step.

    Everything unpacks it like any other pair: a sampler that draws no noise, or a fixed amount, does not look further.

    Parameters
    ----------
    x_0_hat, eps_hat : arrays like x_t
    share : array like x_t
        Where the log variance of a step lies: 1 at log beta, -1 at log beta-tilde (Eq. IDDPM-15).
    """

    share: Array

    def __new__(cls, x_0_hat: Array, eps_hat: Array, share: Array) -> "Prediction":
        """Return the pair, with the share as an attribute."""
        pair = super().__new__(cls, (x_0_hat, eps_hat))
        pair.share = share
        return pair


def with_share_of(prediction: Any, x_0_hat: Array, eps_hat: Array, rows: slice = slice(None)) -> tuple[Array, Array]:
    """Return (x_0_hat, eps_hat), made of a prediction, with that prediction's variance if it says one.

    Guidance and bounds move the mean of a step. Its variance stays that of the prediction with the condition, which has
    these rows of a batch.
    """
    share = getattr(prediction, "share", None)
    return (x_0_hat, eps_hat) if share is None else Prediction(x_0_hat, eps_hat, share[rows])
