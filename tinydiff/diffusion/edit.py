"""Editing pictures with a model that was trained to draw them: walk a part of the chain, upwards or down again.

As everywhere in this package, a model is any ``predict(x_t, t, context) -> (x_0_hat, eps_hat)``.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from tinydiff.backend import xp_of
from tinydiff.diffusion.gaussian import GaussianDiffusion
from tinydiff.diffusion.samplers import Chain, spaced_steps, step_pairs
from tinydiff.errors import InputError, check_count, check_number, check_shape
from tinydiff.noise import Noise

Predict = Callable[..., tuple[Any, Any]]


def times_below(diffusion: GaussianDiffusion, times: Iterable[float] | int, strength: float) -> list[float]:
    """Return the times of a chain that begins part of the way: those up to strength * T.

    Parameters
    ----------
    diffusion : GaussianDiffusion
    times : int or iterable of float
        The whole chain's, as for samplers.
    strength : float
        0 .. 1. At 1 they are all; at 0 there are none, and the picture stays as it is.
    """
    check_number("strength", strength, 0, 1)
    times = spaced_steps(diffusion.T, times) if isinstance(times, (int, np.integer)) else list(times)
    return [t for t in times if t <= strength * diffusion.T + 1e-9]  # 0.57 * 100 is a little below 57


def ddim_inversion(
    predict: Predict, diffusion: GaussianDiffusion, x_0: Any, steps: int | Iterable[float], context: Any = None
) -> Iterator[tuple[float, Any]]:
    """Walk DDIM's steps upwards, from a picture to the noise that draws it, and yield (t, x_t) (Eq. DDIM-INV).

    A step from s to t takes the prediction at s for that at t, so that walking up and down again comes back only
    nearly: to within O(1 / N) for N steps. The first step predicts at the smallest time, since there is nothing to
    predict in a picture without noise.

    Parameters
    ----------
    predict, diffusion
        As for `ddim`.
    x_0 : array, shape (N, ...)
    steps : int or iterable of float
        The times of the way down, falling, as for `ddim`.
    context
        What is shown, as well as it is known. With guidance the errors are much larger: invert without.

    Source: Song, Meng, Ermon 2021 (arXiv 2010.02502), section 4.3 and appendix F.
    """
    x = x_0
    for t, s in reversed(step_pairs(diffusion, steps)):
        x_0_hat, eps_hat = predict(x, xp_of(x).full(len(x), s if s > 0 else t), context)
        x = diffusion.q_sample(x_0_hat, xp_of(x).full(len(x), t), eps_hat)
        yield t, x


def repaint(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Any,
    known: Any,
    mask: Any,
    noise: Noise,
    steps: int | Iterable[float],
    resample: int = 10,
    context: Any = None,
) -> Chain:
    """Draw the unknown part of pictures with a model that was never trained for it (Eq. REPAINT-8).

    At every step from t to s the unknown part is drawn by DDPM (with the variance beta-tilde, which leaves less noise
    where steps are few), and the known part is the picture with the noise of s, the time at which both are joined. (The
    paper's Eq. 8a gives it the noise of t, one step too much.) Each was made without the other, so they do not fit
    together yet: the step is noised again, from s up to t, and repeated, so that the model can mend it.

    Parameters
    ----------
    predict, diffusion, x_T, noise, steps, context
        As for `ddpm`.
    known : array, like x_T
        Pictures in [-1, 1]; what they hold where the mask is 0 does not count.
    mask : array of 0 and 1, which goes with x_T
        1 where the picture is known.
    resample : int
        How often each step is taken; 1 never repeats.

    Source: Lugmayr et al. 2022 (RePaint, arXiv 2201.09865), Algorithm 1.
    """
    check_count("resample", resample)
    check_shape("known", known, x_T.shape)
    check_mask(mask, x_T.shape)
    mask = mask.astype(bool)
    xp, x, draws = xp_of(mask, x_T=x_T, known=known), x_T, count()
    for t, s in step_pairs(diffusion, steps):
        for repeat in range(resample if s > 0 else 1):
            draw = partial(noise.at(step=next(draws)).normal, x.shape, dtype=x.dtype)  # never the same noise twice
            if repeat:
                x = diffusion.q_step(x, t, draw("noised again"), s)
            x_0_hat, _ = predict(x, xp.full(len(x), t), context)
            unknown_s, known_s = diffusion.posterior_mean(x_0_hat, x, t, s), known
            if s > 0:
                unknown_s = unknown_s + diffusion.posterior_variance(t, s) ** 0.5 * draw("sampler")
                known_s = diffusion.q_sample(known, s, draw("known"))
            x = xp.where(mask, known_s, unknown_s)
        yield s, x, x_0_hat


def erased(x_0: Any, mask: Any) -> Any:
    """Return what a network that fills in sees beside x_t: the mask, and what is known of the picture (Eq. GLIDE-FILL).

    The mask comes along, because a grey pixel and one that is to be drawn would look the same.

    Parameters
    ----------
    x_0 : array, shape (N, H, W, C)
    mask : array of 0 and 1, shape (N or 1, H, W, 1)
        1 where the picture is known.

    Returns
    -------
    array, shape (N, H, W, 1 + C)

    Source: Nichol et al. 2021 (GLIDE, arXiv 2112.10741), section 4.3.
    """
    xp = xp_of(x_0, mask)
    check_shape("mask", mask, (None, *x_0.shape[1:-1], 1))
    check_mask(mask, x_0.shape)
    mask = xp.broadcast_to(mask.astype(x_0.dtype), (*x_0.shape[:-1], 1))
    return xp.concatenate([mask, mask * x_0], axis=-1)


def keep_known(predict: Predict, diffusion: GaussianDiffusion, known: Any, mask: Any) -> Predict:
    """Return a prediction whose x_0_hat is what is known, where it is known, and whose eps_hat follows (Eq. KNOWN-1).

    At its last step every sampler returns x_0_hat, so what is known is kept to the bit.

    Parameters
    ----------
    predict : callable
    diffusion : GaussianDiffusion
    known : array, shape (N, ...)
        Pictures; what they hold where the mask is 0 does not count.
    mask : array of 0 and 1, which goes with `known`
        1 where the picture is known.
    """
    check_mask(mask, known.shape)
    mask = mask.astype(bool)

    def keeping(x_t, t, context=None):
        x_0_hat, _ = predict(x_t, t, context)
        x_0_hat = xp_of(x_t=x_t, known=known).where(mask, known, x_0_hat)
        return x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat)

    return keeping


def check_mask(mask: Any, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless a mask of 0 and 1 goes with arrays of this shape: each axis is as long, or 1."""
    fits = mask.ndim == len(shape) and all(m in (1, n) for m, n in zip(mask.shape, shape, strict=True))
    if not fits:
        raise InputError(
            f"mask has shape {tuple(mask.shape)}, but {tuple(shape)} was expected, or 1 in place of some of these."
        )
    xp = xp_of(mask)
    if not bool(((mask == 0) | (mask == 1)).all()):
        other = mask[(mask != 0) & (mask != 1)]
        raise InputError(
            f"mask holds {float(xp.ravel(other)[0]):g}, but only 0 (to draw) and 1 (to keep) were expected."
        )


def slerp(a: Any, b: Any, share: float) -> Any:
    """Return what lies between two arrays of noise, sample by sample, along an arc (Eq. SLERP-1).

    Noise of many numbers lies near a sphere; a straight line between two points of it leads through its inside, where
    there is no noise like that.

    Parameters
    ----------
    a, b : arrays, shape (N, ...)
    share : float
        0 returns a, 1 returns b.

    Source: Shoemake 1985; for DDIM, Song, Meng, Ermon 2021, appendix D.5.
    """
    check_number("share", share, 0, 1)
    check_shape("b", b, a.shape)
    xp, axes = xp_of(a=a, b=b), tuple(range(1, a.ndim))
    lengths = [xp.sqrt((x * x).sum(axis=axes, keepdims=True)) for x in (a, b)]
    cosine = (a * b).sum(axis=axes, keepdims=True) / (lengths[0] * lengths[1])
    angle = xp.arccos(xp.clip(cosine, -1, 1))
    is_small = angle < 1e-4  # then the arc is a straight line
    sine = xp.where(is_small, 1, xp.sin(angle))
    w_a = xp.where(is_small, 1 - share, xp.sin((1 - share) * angle) / sine)
    w_b = xp.where(is_small, share, xp.sin(share * angle) / sine)
    return (w_a * a + w_b * b).astype(a.dtype)
