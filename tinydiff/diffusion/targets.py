"""What a network predicts, such as eps, x_0 or v, and how x_0_hat and eps_hat follow from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tinydiff.base import Array, Choices, check_shape, checked, xp_of
from tinydiff.diffusion.alpha_bar import Time, to_multiply
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.prediction import Prediction
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.functional import mse

SIGMA_DATA = 0.5  # the standard deviation of the data, as EDM takes it for images in [-1, 1]
Predict: TypeAlias = Callable[..., tuple[Array, Array]]  # predict(x_t, t, context) -> (x_0_hat, eps_hat)


@dataclass(frozen=True)
class Target:
    """One of the things that a network can be trained to predict.

    Parameters
    ----------
    of : callable
        ``of(diffusion, x_0, eps, t)`` returns what the network should have predicted from x_t.
    x_0_and_eps : callable
        ``x_0_and_eps(diffusion, x_t, t, output)`` returns (x_0_hat, eps_hat), computed from the network's output.
    gain : callable
        ``gain(diffusion, t)`` returns by how much x_0_hat is wrong for each unit that the output is wrong.
    summary : str
        What it is, in one line.
    """

    of: Callable[[GaussianDiffusion, Array, Array, Time], Array]
    x_0_and_eps: Callable[[GaussianDiffusion, Array, Time, Array], tuple[Array, Array]]
    gain: Callable[[GaussianDiffusion, Time], float | Array]
    summary: str


def edm_target(diffusion: GaussianDiffusion, x_0: Array, eps: Array, t: Time) -> Array:
    """Return EDM's F, what a network learns if its output is weighed by how much x_t already says (Eq. EDM-F1).

    EDM's denoiser is c_skip y + c_out F, with y = x_0 + sigma eps. Near the data it passes y on, in the noise it trusts
    the network, and F has variance 1 everywhere, if the data have the standard deviation `SIGMA_DATA`. With 1, F is -v.
    """
    check_match(x_0=x_0, eps=eps)
    a, b, length = _edm_scales(diffusion, t, x_0)
    return (b / SIGMA_DATA * x_0 - SIGMA_DATA * a * eps) / length


def x_0_and_eps_from_edm(diffusion: GaussianDiffusion, x_t: Array, t: Time, f: Array) -> tuple[Array, Array]:
    """Return (x_0_hat, eps_hat) of EDM's F, the turn of `edm_target` undone (Eq. EDM-F2)."""
    check_match(x_t=x_t, f=f)
    a, b, length = _edm_scales(diffusion, t, x_t)
    signal, noise = SIGMA_DATA * a / length, b / length  # their squares add up to 1
    return SIGMA_DATA * (signal / length * x_t + noise * f), noise / length * x_t - signal * f


def _edm_scales(diffusion, t, x):
    """Return a, b and the standard deviation of x_t, if the data's is `SIGMA_DATA`, to be multiplied with x."""
    a, b = diffusion.scales(t)
    length = ((SIGMA_DATA * a) ** 2 + b**2) ** 0.5
    return tuple(to_multiply(scale, x) for scale in (a, b, length))


def _noise_of_edm(diffusion, t):
    """Return b in units of the standard deviation of x_t, if the data's is `SIGMA_DATA`."""
    a, b = diffusion.scales(t)
    return b / ((SIGMA_DATA * a) ** 2 + b**2) ** 0.5


def _ratio(diffusion, t):
    """Return sigma = b / a."""
    a, b = diffusion.scales(t)
    return b / a


def _from_score(diffusion, x_t, t, score):
    eps = diffusion.eps_from_score(score, t)
    return diffusion.x_0_from_eps(x_t, t, eps), eps


TARGETS: Choices[Target] = Choices(  # what a network can be trained to predict, by name
    "kind",
    {
        "eps": Target(
            of=lambda diffusion, x_0, eps, t: eps,
            x_0_and_eps=lambda diffusion, x_t, t, eps: (diffusion.x_0_from_eps(x_t, t, eps), eps),
            gain=lambda diffusion, t: _ratio(diffusion, t),
            summary="the noise in x_t; it says nothing about x_0 where alpha_bar is 0",
        ),
        "x_0": Target(
            of=lambda diffusion, x_0, eps, t: x_0,
            x_0_and_eps=lambda diffusion, x_t, t, x_0: (x_0, diffusion.eps_from_x_0(x_t, t, x_0)),
            gain=lambda diffusion, t: 1.0,
            summary="the clean data",
        ),
        "v": Target(
            of=lambda diffusion, x_0, eps, t: diffusion.v_from(x_0, eps, t),
            x_0_and_eps=lambda diffusion, x_t, t, v: (diffusion.x_0_from_v(x_t, t, v), diffusion.eps_from_v(x_t, t, v)),
            gain=lambda diffusion, t: diffusion.scales(t)[1] / diffusion.scale_at(t),
            summary="the velocity a eps - b x_0, which is eps where x_t is clean, and -x_0 where it is pure noise",
        ),
        "flow-v": Target(
            of=lambda diffusion, x_0, eps, t: diffusion.flow_from(x_0, eps, t),
            x_0_and_eps=lambda diffusion, x_t, t, flow: (
                diffusion.x_0_from_flow(x_t, t, flow),
                diffusion.eps_from_flow(x_t, t, flow),
            ),
            gain=lambda diffusion, t: diffusion.scales(t)[1] / sum(diffusion.scales(t)),
            summary="the velocity eps - x_0 of the straight path, the same at all t; flow matching's, and not v",
        ),
        "score": Target(
            of=lambda diffusion, x_0, eps, t: diffusion.score_from_eps(eps, t),
            x_0_and_eps=lambda diffusion, x_t, t, score: _from_score(diffusion, x_t, t, score),
            gain=lambda diffusion, t: _ratio(diffusion, t) * diffusion.scales(t)[1],
            summary="the score -eps / b, the slope of log q(x_t), which is large where there is little noise",
        ),
        "edm": Target(
            of=edm_target,
            x_0_and_eps=x_0_and_eps_from_edm,
            gain=lambda diffusion, t: SIGMA_DATA * _noise_of_edm(diffusion, t),
            summary="EDM's F, of variance 1 at every t if the data's standard deviation is 0.5",
        ),
    },
)


@checked()
def predictor(
    network: Callable[..., Array],
    diffusion: GaussianDiffusion,
    kind: str = "eps",
    clip: bool = True,
    learned_variance: bool = False,
) -> Predict:
    """Return ``predict(x_t, t, context=None) -> (x_0_hat, eps_hat)``, which samplers take, from a network.

    Clipping bounds x_0_hat and re-derives eps_hat from it, so that x_t = a x_0_hat + b eps_hat always holds.
    Algorithm 2 of DDPM does not clip; the paper's code does.

    Parameters
    ----------
    network : callable
        ``network(x_t, t, context)`` returns an array like x_t; with a learned variance, one of twice as many channels.
    diffusion : GaussianDiffusion
    kind : str
        What the network predicts, one of `TARGETS`. Where alpha_bar is 0, ``"eps"`` raises `InputError`.
    clip : bool
        Whether to clip x_0_hat to [-1, 1], the range of images. Latents are not bounded: do not clip them.
    learned_variance : bool
        Whether the second half of the channels says the variance of a step (Eq. IDDPM-15). The prediction then carries
        it as its `share`, for `ddpm`.

    Raises
    ------
    InputError
        If kind is unknown; when called, if the network's output differs from x_t in shape, dtype or device.
    """
    target = TARGETS[kind]

    def predict(x_t, t, context=None):
        output, share = network(x_t, t, context), None
        if learned_variance:
            output, share = in_halves(output, x_t.shape[-1])
        check_match(x_t=x_t, network_output=output)
        x_0_hat, eps_hat = target.x_0_and_eps(diffusion, x_t, t, output)
        if clip:
            x_0_hat = xp_of(x_t).clip(x_0_hat, -1, 1)
            eps_hat = diffusion.eps_from_x_0(x_t, t, x_0_hat)
        return (x_0_hat, eps_hat) if share is None else Prediction(x_0_hat, eps_hat, share)

    return predict


def in_halves(output: Array, channels: int) -> tuple[Array, Array | None]:
    """Return what a network predicts, and what it says of the variance: None, where it has no channels for that."""
    if output.shape[-1] == channels:
        return output, None
    check_shape("network_output", output, (*(None for _ in output.shape[:-1]), 2 * channels))
    return output[..., :channels], output[..., channels:]


@checked()
def simple_loss(
    network: Callable[..., Array],
    diffusion: GaussianDiffusion,
    x_0: Array,
    t: Time,
    eps: Array,
    context: Any = None,
) -> Array:
    """Return L_simple, the mean squared error of a network that predicts eps (Eq. DDPM-14), a 0-d array."""
    x_t = diffusion.q_sample(x_0, t, eps)
    loss, _ = mse(network(x_t, t, context), eps)
    return loss
