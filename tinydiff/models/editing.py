"""Editing pictures with a trained model: change them, fill in a part, find the noise behind them, walk between two.

Pictures are arrays (N, H, W, C) in [-1, 1] on the model's device, masks arrays of 0 (to draw) and 1 (to keep).

What a picture is asked to show is given as for `DiffusionModel.chain`, with one difference: for a model that knows
classes, no labels are "no class". (A chain takes all classes in turn, to show what there is; a picture that is edited
would become a picture of another class.)
"""

from typing import Any

import numpy as np

from tinydiff.base import InputError, check_choice, check_count, check_images, check_shape, map_arrays, to_numpy, xp_of
from tinydiff.diffusion import edm_steps, last, spaced_steps
from tinydiff.diffusion.editing import check_mask, ddim_inversion, erased, keep_known, repaint, slerp, times_below
from tinydiff.models.diffusion import SAMPLERS, DiffusionModel, named_sampler


def image_to_image(
    model: DiffusionModel,
    images: Any,
    strength: float,
    steps: int = 50,
    sampler: str = "ddim",
    **asked: Any,
) -> Any:
    """Return pictures made anew from others: noised up to a time, and denoised with other words (Eq. SDEDIT-1).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    strength : float
        0 .. 1, the time up to which noise is added, as a share of T: 0 changes nothing, 1 draws from noise alone.
    steps : int
        Of the whole chain, of which the share below that time is taken.
    sampler : str
    **asked
        ``seed``, ``labels`` (without them: no class), ``prompt``, ``negative``, ``guidance``, ``classifier`` as for
        `DiffusionModel.chain`.

    Raises
    ------
    InputError
        If the pictures are of another size, an argument is out of range, or no step of the chain is below `strength`.

    Source: Meng et al. 2022 (SDEdit, arXiv 2108.01073), Algorithm 1.
    """
    check_pictures(model, images)
    check_choice("sampler", sampler, SAMPLERS)
    check_count("steps", steps)
    diffusion = model.diffusion
    times = edm_steps(diffusion, steps) if sampler == "heun" else spaced_steps(diffusion.T, steps)
    lowest, times = times[-1], times_below(diffusion, times, strength)
    if strength > 0 and not times:
        raise InputError(
            f"strength is {strength}, but the last of {steps} steps is at t = {lowest:.4g}, above strength * T = "
            f"{strength * diffusion.T:.4g}, so that nothing would be drawn: take more steps or a larger strength."
        )

    def walk(predict, eps, noise, context):
        x_t = eps if strength == 1 else diffusion.q_sample(images, xp_of(images).full(len(images), times[0]), eps)
        return named_sampler(sampler, diffusion, times)(predict, x_t, noise, context)

    chain = _chain(model, len(images), walk, asked)  # checks what is asked, even if nothing is drawn
    return last(chain) if times else images


def inpaint(model: DiffusionModel, images: Any, mask: Any, steps: int = 50, resample: int = 5, **asked: Any) -> Any:
    """Return pictures whose unknown part is drawn anew, by a model that was never trained for it (Eq. REPAINT-8).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    mask : array, shape (N or 1, H, W, C or 1)
        1 where the picture stays as it is.
    steps, resample : int
        See `tinydiff.diffusion.editing.repaint`; the network is called ``steps * resample`` times.
    **asked
        ``seed``, ``labels`` (without them: no class), ``prompt``, ``negative``, ``guidance``, ``classifier`` as for
        `DiffusionModel.chain`.
    """
    check_pictures(model, images)
    check_mask(mask, images.shape)

    def walk(predict, x_T, noise, context):
        return repaint(predict, model.diffusion, x_T, images, mask, noise, steps, resample, context)

    return last(_chain(model, len(images), walk, asked))


def fill_in(model: DiffusionModel, images: Any, mask: Any, steps: int = 50, sampler: str = "ddim", **asked: Any) -> Any:
    """Return pictures whose unknown part is drawn anew, by a model that was trained for it (Eq. GLIDE-FILL).

    At every step it sees what is known, so that nothing needs to be repeated; and it is not asked about it
    (Eq. KNOWN-1).

    Parameters
    ----------
    model : DiffusionModel
        Whose `image_channels` are one more than its `in_channels`.
    images : array, shape (N, H, W, C)
    mask : array, shape (N or 1, H, W, 1)
        1 where the picture stays as it is.
    steps : int
    sampler : str
    **asked
        ``seed``, ``labels`` (without them: no class), ``prompt``, ``negative``, ``guidance``, ``classifier`` as for
        `DiffusionModel.chain`.
    """
    check_pictures(model, images)
    if not fills_in(model):
        raise InputError("This model was not trained to fill in a part of a picture; inpaint works with any model.")
    image, walk = erased(images, mask), named_sampler(sampler, model.diffusion, steps)

    def keeping(predict, x_T, noise, context):
        return walk(keep_known(predict, model.diffusion, images, mask), x_T, noise, context)

    return last(_chain(model, len(images), keeping, asked | {"image": image}))


def fills_in(model: DiffusionModel) -> bool:
    """Whether a model was trained to fill in a part of a picture."""
    return model.config.unet.image_channels == 1 + model.config.unet.in_channels


def invert(model: DiffusionModel, images: Any, steps: int = 50, **asked: Any) -> Any:
    """Return the noise x_T from which DDIM draws these pictures, nearly (Eq. DDIM-INV).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    steps : int
        The more, the nearer.
    **asked
        ``labels`` or ``prompt``: what the pictures show; without them, no class, or the empty prompt.
    """
    check_pictures(model, images)

    def walk(predict, _, noise, context):
        for t, x_t in ddim_inversion(predict, model.diffusion, images, steps, context):
            yield t, x_t, x_t

    return last(_chain(model, len(images), walk, asked))


def draw_from(model: DiffusionModel, x_T: Any, steps: int = 50, **asked: Any) -> Any:
    """Return what DDIM draws from given noise, such as that of `invert`; `asked` is as for `inpaint`."""
    check_shape("x_T", x_T, (None, *_shape(model)))
    ddim = named_sampler("ddim", model.diffusion, steps)

    def walk(predict, _, noise, context):
        return ddim(predict, x_T, noise, context)

    return last(_chain(model, len(x_T), walk, asked))


def interpolate(
    model: DiffusionModel, x_T: Any, x_T_2: Any, prompt: str, prompt_2: str, n: int = 7, steps: int = 50, **asked: Any
) -> Any:
    """Return n pictures on the way from one noise and prompt to another.

    The noise goes along an arc (Eq. SLERP-1). What was read of the prompts goes along a straight line, token by token:
    a text has no halfway, but what the network looks at has.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text.
    x_T, x_T_2 : arrays, shape (1, H, W, C)
        The same one twice changes the words alone.
    prompt, prompt_2 : str
    n : int
        2 or more; the first is of the first noise and prompt, the last of the second.
    steps : int
    **asked
        ``guidance`` and ``negative`` as for `DiffusionModel.chain`.
    """
    check_count("n", n, least=2)
    for name, x in (("x_T", x_T), ("x_T_2", x_T_2)):
        check_shape(name, x, (1, *_shape(model)))
    xp, shares = xp_of(x_T), np.linspace(0, 1, n)
    noises = xp.concatenate([slerp(x_T, x_T_2, share) for share in shares])
    ends = model.read(model.tokens([prompt, prompt_2]))
    weights = xp.asarray(shares, dtype=x_T.dtype)

    def between(rows):
        w = weights.reshape(-1, *[1] * (rows.ndim - 1))
        return (1 - w) * rows[:1] + w * rows[1:]

    return draw_from(model, noises, steps, prompt=map_arrays(between, ends), **asked)


def check_pictures(model: DiffusionModel, images: Any) -> None:
    """Raise `InputError` unless these are pictures of the model's size, in [-1, 1]."""
    check_shape("images", images, (None, *_shape(model)))
    check_images("images", to_numpy(images))


def _chain(model, n, walk, asked):
    """Return a chain that asks for no class where no labels are given."""
    classes = model.config.unet.num_classes
    of_class = model.config.text is None and classes is not None and asked.get("prompt") is None
    if of_class and asked.get("labels") is None:
        asked = asked | {"labels": classes}
    return model.chain(n, sampler=walk, **asked)


def _shape(model):
    return model.config.unet.shape
