"""What a network predicts, eps, x_0 or v, and how x_0_hat and eps_hat follow from it."""

from collections.abc import Callable
from typing import Any

from tinydiff.base import check_choice, check_shape, xp_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.functional import mse

Predict = Callable[..., tuple[Any, Any]]


def predictor(
    network: Callable[..., Any], diffusion: GaussianDiffusion, kind: str = "eps", clip: bool = True
) -> Callable[..., tuple[Any, Any]]:
    """Return ``predict(x_t, t, context=None) -> (x_0_hat, eps_hat)``, which samplers take, from a network.

    Clipping bounds x_0_hat and re-derives eps_hat from it, so that x_t = a x_0_hat + b eps_hat always holds.
    Algorithm 2 of DDPM does not clip; the paper's code does.

    Parameters
    ----------
    network : callable
        ``network(x_t, t, context)`` returns an array like x_t.
    diffusion : GaussianDiffusion
    kind : str
        What the network predicts: ``"eps"``, ``"x_0"`` or ``"v"``. Where alpha_bar is 0, ``"eps"`` raises
        `InputError`.
    clip : bool
        Whether to clip x_0_hat to [-1, 1], the range of images. Latents are not bounded: do not clip them.

    Raises
    ------
    InputError
        If kind is unknown; when called, if the network's output differs from x_t in shape, dtype or device.
    """
    check_choice("kind", kind, ("eps", "x_0", "v"))

    def predict(x_t, t, context=None):
        output = network(x_t, t, context)
        xp = xp_of(x_t=x_t, network_output=output)
        check_shape("network output", output, x_t.shape)
        if kind == "eps":
            x_0_hat, eps_hat = diffusion.x_0_from_eps(x_t, t, output), output
        elif kind == "x_0":
            x_0_hat, eps_hat = output, diffusion.eps_from_x_0(x_t, t, output)
        else:
            x_0_hat, eps_hat = diffusion.x_0_from_v(x_t, t, output), diffusion.eps_from_v(x_t, t, output)
        if clip:
            x_0_hat = xp.clip(x_0_hat, -1, 1)
            eps_hat = diffusion.eps_from_x_0(x_t, t, x_0_hat)
        return x_0_hat, eps_hat

    return predict


def simple_loss(
    network: Callable[..., Any], diffusion: GaussianDiffusion, x_0: Any, t: Any, eps: Any, context: Any = None
) -> Any:
    """Return L_simple, the mean squared error of a network that predicts eps (Eq. DDPM-14), a 0-d array."""
    x_t = diffusion.q_sample(x_0, t, eps)
    loss, _ = mse(network(x_t, t, context), eps)
    return loss
