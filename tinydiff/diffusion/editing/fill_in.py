"""Filling in with a network that was trained for it (inpainting): its extra input, and how known pixels are kept."""

from tinydiff.base import Array, check_shape, checked, xp_of
from tinydiff.diffusion.checks import check_match
from tinydiff.diffusion.editing.masks import check_mask, joined
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.targets import Predict


@checked()
def erased(x_0: Array, mask: Array) -> Array:
    """Return an inpainting network's extra input: the mask, and the picture with unknown pixels 0 (Eq. GLIDE-FILL).

    The mask is needed because a known grey pixel is 0 too.

    Parameters
    ----------
    x_0 : array, shape (N, H, W, C)
    mask : array of 0 .. 1, shape (N or 1, H, W, 1)
        1 where the picture is known; what is known in part only, at a soft edge, is not shown.

    Returns
    -------
    array, shape (N, H, W, 1 + C)

    Source: Nichol et al. 2021 (GLIDE, arXiv 2112.10741), section 4.3.
    """
    xp = xp_of(x_0, mask)
    check_shape("mask", mask, (None, *x_0.shape[1:-1], 1))
    check_mask(mask, x_0.shape)
    mask = xp.broadcast_to((mask == 1).astype(x_0.dtype), (*x_0.shape[:-1], 1))
    return xp.concatenate([mask, mask * x_0], axis=-1)


@checked()
def keep_known(predict: Predict, diffusion: GaussianDiffusion, known: Array, mask: Array) -> Predict:
    """Return a prediction whose x_0_hat is `known` where the mask is 1, with the eps_hat that follows (Eq. KNOWN-1).

    At its last step every sampler returns x_0_hat, so the known pixels are kept to the bit. At a soft edge, where the
    mask m is between, x_0_hat becomes m known + (1 - m) x_0_hat at every step. Each guess follows the one before, so
    more than the share m of a pixel is kept in the end: in 50 steps of DDIM, 0.9 of it where m is 0.5, and 0.35 where m
    is 0.1, if nothing beside the pixel says what it should be.

    Parameters
    ----------
    predict : callable
    diffusion : GaussianDiffusion
    known : array, shape (N, ...)
        Pictures; their values where the mask is 0 are not used.
    mask : array of 0 .. 1, broadcastable to `known`
        1 where the picture is known.
    """
    check_mask(mask, known.shape)

    def keeping(x_t, t, context=None):
        check_match(x_t=x_t, known=known)
        prediction = predict(x_t, t, context)
        x_0_hat, _ = prediction
        x_0_hat = joined(mask, known, x_0_hat)
        return with_share_of(prediction, x_0_hat, diffusion.eps_from_x_0(x_t, t, x_0_hat))

    return keeping
