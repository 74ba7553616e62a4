"""Samples from a trained model, in one line."""

from pathlib import Path
from typing import Any, get_args

import numpy as np

from tinydiff.base import checked, to_numpy
from tinydiff.diffusion import SAMPLERS
from tinydiff.models.cascade import Cascade
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.one_pass import draw_at_once, is_one_pass, refuse_chain
from tinydiff.models.request import SAMPLER, Request, guidance_for, usual_steps
from tinydiff.models.store import class_of, load
from tinydiff.models.unclip import UnClip

PictureModel = DiffusionModel | Cascade | UnClip  # whatever draws pictures of a request


@checked()
def base_of(model: PictureModel) -> DiffusionModel:
    """Return the part that draws the first pictures: of a cascade its base, of an unCLIP the decoder."""
    if isinstance(model, UnClip):
        return model.decoder
    return model.base if isinstance(model, Cascade) else model


@checked()
def load_picture_model(name: str | Path, device: Any = None) -> PictureModel:
    """Return a model that draws pictures; one that enlarges some, or draws embeddings, is refused."""
    model = load(name, device, kind=get_args(PictureModel))
    if isinstance(model, DiffusionModel):
        model.check_draws()
    return model


@checked()
def sample(
    name: str | Path = "mnist",
    n: int | None = None,
    steps: int | None = None,
    sampler: str = SAMPLER,
    device: str = "auto",
    **asked: Any,
) -> np.ndarray:
    """Draw images with a trained model.

    Parameters
    ----------
    name : str or Path
        A model that ships with tinydiff, such as ``"mnist"``, or a folder.
    n : int or None
        How many; None: as many as there are labels or prompts, or 16.
    steps : int or None
        Of the sampler; None takes as many as `usual_steps` says. A model that draws in one pass has none.
    sampler : str
        One of `SAMPLERS`; for a model with a chain.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    **asked
        ``seed``, ``labels``, ``prompt``, ``negative``, ``guidance`` and so on: the fields of `Request`. Without
        ``guidance``, prompts are followed as strongly as `guidance_for` says. Besides, the sampler's own options, such
        as ``order`` of ``"dpm_solver"``.

    Returns
    -------
    array, shape (n, H, W, channels), in [-1, 1]

    Examples
    --------
    >>> import tinydiff
    >>> tinydiff.sample("mnist", n=2, steps=2).shape  # doctest: +SKIP
    (2, 28, 28, 1)
    """
    if asked.get("classifier") is None:
        asked.setdefault("guidance", guidance_for(asked.get("prompt"), asked.get("negative", "")))
    options = {option: asked.pop(option) for option in SAMPLERS[sampler].parameters if option in asked}
    request = Request.of(n=n, **asked)
    if is_one_pass(class_of(name)):
        model = load(name, device)
        refuse_chain(model, sampler, steps, **options)
        return to_numpy(draw_at_once(model, request))
    model = load_picture_model(name, device)
    return to_numpy(model.draw(request, sampler, usual_steps(sampler) if steps is None else steps, **options))
