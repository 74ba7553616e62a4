"""RePaint: fill in a part of a picture with a model that was never trained for it."""

from collections.abc import Iterable
from functools import partial
from itertools import count

from tinydiff.base import Array, InputError, Noise, check_number, checked, xp_of
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.editing.masks import check_mask, joined
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers.chain import Chain, checked_prediction
from tinydiff.diffusion.targets import Predict
from tinydiff.diffusion.times import per_sample, step_pairs

MOST_TIMES = 10_000  # that a step is taken


@checked()
def repaint(
    predict: Predict,
    diffusion: GaussianDiffusion,
    x_T: Array,
    steps: int | Iterable[float],
    known: Array,
    mask: Array,
    resample: int = 10,
    noise: Noise | None = None,
) -> Chain:
    """Draw the unknown part of pictures with a model that was never trained for it (Eq. REPAINT-8).

    At every step from t to s the unknown part is drawn by DDPM (with the variance beta-tilde, which leaves less noise
    where steps are few), and the known part is the picture with the noise of s, the time at which both are joined. (The
    paper's Eq. 8a gives it the noise of t, one step too much.) Each was made without the other, so they do not fit
    together yet: x is noised again, from s up to t, and the step is repeated, so that the model can make them fit.

    At a soft edge, where the mask m is between 0 and 1, the guess x_0_hat becomes m known + (1 - m) x_0_hat, and DDPM
    goes on from that. (To add two noised pictures instead would leave too little noise.) As in `keep_known`, more than
    the share m of a pixel is kept in the end.

    Parameters
    ----------
    predict : callable
        ``predict(x_t, t) -> (x_0_hat, eps_hat)``. With a context, pass ``partial(predict, context=context)``.
    diffusion, x_T, steps, noise
        As for `ddpm`.
    known : array, like x_T
        Pictures in [-1, 1]; their values where the mask is 0 are not used.
    mask : array of 0 .. 1, broadcastable to x_T
        1 where the picture is known.
    resample : int
        How often each step is taken; 1 never repeats.

    Source: Lugmayr et al. 2022 (RePaint, arXiv 2201.09865), Algorithm 1.
    """
    check_number("resample", resample, 1, MOST_TIMES)
    check_match(x_T=x_T, known=known)
    check_mask(mask, x_T.shape)
    if noise is None:
        raise InputError("noise is None, but repaint draws noise at every step: pass noise=Noise(seed).")
    xp, is_known, x, draws = xp_of(mask, x_T), mask == 1, x_T, count()
    part = xp.where(is_known, 0, mask)  # of the picture that counts where DDPM draws: 0 but at a soft edge
    is_soft = bool(part.any())
    for t, s in step_pairs(diffusion, steps):
        for repeat in range(resample if s > 0 else 1):
            normal = partial(noise.at(step=next(draws)).normal, x.shape, dtype=x.dtype)  # never the same noise twice
            if repeat:
                x = diffusion.q_step(x, t, normal("noised again"), s)
            x_0_hat, _ = checked_prediction(x, predict(x, per_sample(t, x)))
            guess = joined(part, known, x_0_hat) if is_soft else x_0_hat
            unknown_s, known_s = diffusion.posterior_mean(guess, x, t, s), known
            if s > 0:
                unknown_s = unknown_s + diffusion.posterior_variance(t, s) ** 0.5 * normal("sampler")
                known_s = diffusion.q_sample(known, s, normal("known"))
            x = xp.where(is_known, known_s, unknown_s)
        yield s, x, x_0_hat
