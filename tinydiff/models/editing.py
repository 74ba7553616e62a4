"""Editing pictures with a trained model: change them, fill in a part, find their noise, go from one to another.

Pictures are arrays (N, H, W, C) in [-1, 1] on the model's device, masks arrays of 0 (to draw) .. 1 (to keep):
in between the two are blended, see `repaint` and `keep_known`.

A `Request` says what the pictures should show, as for `DiffusionModel.chain`, with one difference: for a model that
knows classes, no labels mean "no class". (A chain takes all classes in turn; an edit would then turn a picture into one
of another class.) There are as many samples as pictures.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_count,
    check_images,
    check_shape,
    check_sides,
    checked,
    map_arrays,
    to_numpy,
    xp_of,
)
from tinydiff.diffusion import SAMPLERS, last
from tinydiff.diffusion.editing import check_mask, ddim_inversion, erased, keep_known, repaint, slerp, times_below
from tinydiff.diffusion.editing.masks import joined
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.parts import Progress
from tinydiff.models.request import Request

STRENGTH = 0.8  # at 0.6 hair hardly ever took the colour that was asked for, at 0.8 in 28 of 32 portraits


@checked()
def image_to_image(
    model: DiffusionModel,
    images: Array,
    request: Request | None = None,
    strength: float = STRENGTH,
    sampler: str = "ddim",
    steps: int = 50,
    progress: Progress | None = None,
) -> Array:
    """Return pictures made anew from others: noised up to a time, and denoised as requested (Eq. SDEDIT-1).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    request : Request or None
        What they should show; None: no class, or the empty prompt.
    strength : float
        0 .. 1, the time up to which noise is added, as a share of T: 0 changes nothing, 1 draws from pure noise.
    sampler : str
    steps : int
        Steps of the whole chain; only those below that time are taken.
    progress : callable or None
        As for `DiffusionModel.chain`.

    Raises
    ------
    InputError
        If the pictures do not fit the model, an argument is out of range, or no step of the chain is below `strength`.

    Source: Meng et al. 2022 (SDEdit, arXiv 2108.01073), Algorithm 1.
    """
    check_pictures(model, images)
    check_count("steps", steps)
    diffusion = model.diffusion
    all_times = SAMPLERS[sampler].times(diffusion, steps)
    times = times_below(diffusion, all_times, strength)
    if strength > 0 and not times:
        raise InputError(
            f"strength is {strength}, but the last of {steps} steps is at t = {all_times[-1]:.4g}, above strength * T "
            f"= {strength * diffusion.T:.4g}, so that nothing would be drawn: take more steps or a larger strength."
        )

    def walk(predict, eps, noise):
        x_0 = model.encode(images)
        x_t = eps if strength == 1 else diffusion.q_sample(x_0, xp_of(x_0).full(len(x_0), times[0]), eps)
        return SAMPLERS[sampler](predict, diffusion, x_t, times, noise=noise)

    request = asked_of(model, images, request)
    if not times:
        model.predictor(request)  # refuses a bad request even where nothing is drawn
        return images
    return model.decode(last(model.walk(request, walk, len(times), progress)))


@checked()
def inpaint(
    model: DiffusionModel,
    images: Array,
    mask: Array,
    request: Request | None = None,
    steps: int = 50,
    resample: int = 5,
    progress: Progress | None = None,
) -> Array:
    """Return pictures whose unknown part is drawn anew, by a model that was never trained for it (Eq. REPAINT-8).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    mask : array, shape (N or 1, H, W, C or 1)
        1 where the picture stays as it is.
    request : Request or None
        What they should show; None: no class, or the empty prompt.
    steps, resample : int
        See `tinydiff.diffusion.editing.repaint`; the network is called ``steps * resample`` times.
    progress : callable or None
        As for `DiffusionModel.chain`.
    """
    check_pictures(model, images)
    check_mask(mask, images.shape)

    def walk(predict, x_T, noise):
        known = model.encode(images)
        return repaint(predict, model.diffusion, x_T, steps, known, mask_of_x(mask, images, known), resample, noise)

    x_0 = last(model.walk(asked_of(model, images, request), walk, steps, progress))
    return _with_the_known(model, images, mask, x_0)


@checked()
def fill_in(
    model: DiffusionModel,
    images: Array,
    mask: Array,
    request: Request | None = None,
    sampler: str = "ddim",
    steps: int = 50,
    progress: Progress | None = None,
) -> Array:
    """Return pictures whose unknown part is drawn anew, by a model that was trained for it (Eq. GLIDE-FILL).

    It sees the known part at every step, so no step is repeated; its guess of that part is replaced by the part itself
    (Eq. KNOWN-1).

    Parameters
    ----------
    model : DiffusionModel
        Whose `image_channels` are one more than its `in_channels`.
    images : array, shape (N, H, W, C)
    mask : array, shape (N or 1, H, W, 1)
        1 where the picture stays as it is.
    request : Request or None
        What they should show; None: no class, or the empty prompt.
    sampler : str
    steps : int
    progress : callable or None
        As for `DiffusionModel.chain`.
    """
    check_pictures(model, images)
    check_mask(mask, images.shape)
    if not fills_in(model):
        raise InputError("This model was not trained to fill in a part of a picture; inpaint works with any model.")
    if request is not None and request.image is not None:
        raise InputError("The request holds an image, but the model is shown `images` with `mask`: leave it out.")
    times = SAMPLERS[sampler].times(model.diffusion, steps)
    known = model.encode(images)
    known_part = mask_of_x(mask, images, known)

    def walk(predict, x_T, noise):
        predict = keep_known(predict, model.diffusion, known, known_part)
        return SAMPLERS[sampler](predict, model.diffusion, x_T, times, noise=noise)

    request = replace(asked_of(model, images, request), image=erased(known, known_part))
    return _with_the_known(model, images, mask, last(model.walk(request, walk, len(times), progress)))


@checked()
def fills_in(model: DiffusionModel) -> bool:
    """Whether a model was trained to fill in a part of a picture."""
    return model.config.denoiser.image_channels == 1 + model.config.denoiser.in_channels


@checked()
def invert(model: DiffusionModel, images: Array, request: Request | None = None, steps: int = 50) -> Array:
    """Return the noise x_T from which DDIM draws these pictures, nearly (Eq. DDIM-INV).

    Parameters
    ----------
    model : DiffusionModel
    images : array, shape (N, H, W, C)
    request : Request or None
        What the pictures show; None: no class, or the empty prompt.
    steps : int
        More steps come closer.
    """
    check_pictures(model, images)

    def walk(predict, _, noise):
        for t, x_t in ddim_inversion(predict, model.diffusion, model.encode(images), steps):
            yield t, x_t, x_t

    return last(model.walk(asked_of(model, images, request), walk, steps))


@checked()
def draw_from(model: DiffusionModel, x_T: Array, request: Request | None = None, steps: int = 50) -> Array:
    """Return what DDIM draws from given noise, such as that of `invert`; `request` is as for `inpaint`."""
    check_noise("x_T", x_T, model)

    def walk(predict, _, noise):
        return SAMPLERS["ddim"](predict, model.diffusion, x_T, steps)

    height, width = (side * model.x_factor for side in x_T.shape[1:3])
    like = xp_of(x_T).broadcast_to(x_T[..., :1, :1, :1], (len(x_T), height, width, 1))  # pictures of this size
    return model.decode(last(model.walk(asked_of(model, like, request), walk, steps)))


@checked()
def interpolate(
    model: DiffusionModel,
    noises: Sequence[Array],
    prompts: tuple[str, str],
    n: int = 7,
    request: Request | None = None,
    steps: int = 50,
) -> Array:
    """Return n pictures on the way from one noise and prompt to another.

    The noise goes along an arc (Eq. SLERP-1). The encoded prompts go along a straight line, token by token:
    there is no text halfway between two texts, but there are vectors halfway between theirs.

    Parameters
    ----------
    model : DiffusionModel
        One that reads text.
    noises : two arrays, shape (1, H, W, C)
        The same noise twice changes only the words.
    prompts : two str
    n : int
        2 or more; the first is of the first noise and prompt, the last of the second.
    request : Request or None
        How strongly prompts are followed, and what pictures should not show.
    steps : int
    """
    check_count("n", n, least=2)
    if request is not None and request.prompt is not None:
        raise InputError(
            f"The request holds the prompt {request.prompt!r}, but `prompts` say what is drawn: leave it out."
        )
    if len(noises) != 2:
        raise InputError(f"noises holds {len(noises)} arrays, but two were expected.")
    for name, x in zip(("the first noise", "the second noise"), noises, strict=True):
        check_noise(name, x, model, 1)
    xp, shares = xp_of(*noises), np.linspace(0, 1, n)
    x_T = xp.concatenate([slerp(noises[0], noises[1], share) for share in shares])
    ends = model.read(model.tokens(prompts))
    weights = xp.asarray(shares, dtype=x_T.dtype)

    def between(rows):
        w = weights.reshape(-1, *[1] * (rows.ndim - 1))
        return (1 - w) * rows[:1] + w * rows[1:]

    request = replace(Request() if request is None else request, prompt=map_arrays(between, ends))
    return draw_from(model, x_T, request, steps)


def asked_of(model: DiffusionModel, images: Array, request: Request | None) -> Request:
    """Return a request for as many samples as pictures, with "no class" where no labels are given."""
    return of_no_class(model, (Request() if request is None else request).for_images(images))


def of_no_class(model: DiffusionModel, request: Request) -> Request:
    """Return a request for "no class" where a model knows classes and none is asked for: a picture says what it is."""
    classes = model.config.denoiser.num_classes
    knows_classes = model.config.text is None and classes is not None
    if knows_classes and request.labels is None and request.prompt is None:
        if request.classifier is not None:
            raise InputError("labels is None, but a classifier pulls pictures to a class: say to which.")
        return replace(request, labels=classes)
    return request


def check_pictures(model: DiffusionModel, images: Array) -> None:
    """Raise `InputError` unless these are pictures of a size and with channels that fit the model, in [-1, 1]."""
    check_shape("images", images, (None, None, None, model.picture_shape[2]))
    check_sides("images", images.shape[1:3], model.multiple)
    check_images("images", to_numpy(images))


def check_noise(name: str, x_T: Array, model: DiffusionModel, n: int | None = None) -> None:
    """Raise `InputError` unless a chain of the model may start from this noise; n is of how many pictures, or None."""
    check_shape(name, x_T, (n, None, None, model.config.denoiser.in_channels))
    check_sides(name, x_T.shape[1:3], model.config.denoiser.multiple)


def mask_of_x(mask: Array, images: Array, x: Array) -> Array:
    """Return the mask of x, given that of the pictures: a latent is known as far as all its pixels are.

    Where x are the pictures themselves, that is their mask.
    """
    if x is images:
        return mask
    (_, height, width, _), (_, rows, columns, _) = images.shape, x.shape
    n, channels = len(mask), mask.shape[3]
    of_pixels = xp_of(mask).broadcast_to(mask, (n, height, width, channels))
    blocks = of_pixels.reshape(n, rows, height // rows, columns, width // columns, channels)
    return blocks.min(axis=(2, 4, 5))[..., None]


def _with_the_known(model, images, mask, x_0):
    """Return the pictures of x_0; what a decoder has painted over the known part is the known part again."""
    drawn = model.decode(x_0)
    return drawn if drawn is x_0 else joined(mask, images, drawn)
