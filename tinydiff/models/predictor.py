"""From a network to a prediction that follows a request: shards, guidance and bounds, composed in one place."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinydiff.base import Array, Condition, InputError, as_condition, check_memory, height_and_width, map_arrays, xp_of
from tinydiff.diffusion import (
    GaussianDiffusion,
    Predict,
    bounded,
    classifier_free_guidance,
    classifier_guidance,
    predictor,
)
from tinydiff.models.request import Request
from tinydiff.workers import Workers, default_threads

if TYPE_CHECKING:
    from tinydiff.models.diffusion import DiffusionModel

# Arrays of a picture's size that a step of a chain holds for each row, and of a layer's that a shard holds (measured).
IN_A_CHAIN, IN_A_LAYER = 8, 2


def guided_predictor(model: "DiffusionModel", request: Request, workers: Workers) -> Predict:
    """Return ``predict(x_t, t) -> (x_0_hat, eps_hat)`` for a request.

    From the inside out: the network in shards, its output as x_0_hat and eps_hat, guidance, bounds, and the condition.
    """
    guidance, diffusion = request.guidance, model.diffusion
    if guidance.interval is not None and guidance.interval[0] >= diffusion.T:
        raise InputError(
            f"interval is {guidance.interval}, but a chain starts at T = {diffusion.T}, and would never be in it."
        )
    predict, condition = unbounded_predictor(model, request, partial(workers.map, model.network.forward), diffusion)
    if model.is_bounded:
        predict = bounded(predict, diffusion, guidance.threshold)
    elif guidance.threshold != "static":
        what = "latents" if model.config.mlp is None else "points"
        raise InputError(
            f"threshold is {guidance.threshold!r}, but this model draws {what}, which have no bounds: leave it out."
        )
    return with_condition(predict, condition, request.classifier is None and guidance.scale == 1)


def unbounded_predictor(
    model: "DiffusionModel", request: Request, network: Callable[..., Array], diffusion: GaussianDiffusion
) -> tuple[Predict, Any]:
    """Return a prediction with guidance, but without bounds, and the condition that it is to be told.

    Parameters
    ----------
    model : DiffusionModel
    request : Request
    network : callable
        ``network(x_t, t, context)``, the model's in shards.
    diffusion : GaussianDiffusion
        The process that is walked.
    """
    guidance = request.guidance
    check_fits(model, request)
    condition, nothing = conditions(model, request)
    predict = predictor(network, diffusion, model.config.kind, False, model.config.learns_variance)
    if request.classifier is not None:
        unconditional = with_condition(predict, nothing)
        predict = classifier_guidance(unconditional, diffusion, request.classifier, guidance.scale, guidance.interval)
    elif guidance.scale != 1:
        predict = classifier_free_guidance(
            predict, diffusion, nothing, guidance.scale, guidance.interval, guidance.rescale
        )
    return predict, condition


def conditions(model: "DiffusionModel", request: Request) -> tuple[Any, Any]:
    """Return (condition, nothing): what each sample should show, and the null condition; texts are encoded.

    With a classifier, the condition is for the classifier, and the network gets `nothing`, a row for each sample.
    """
    condition, nothing = model.condition(request), model.read(model.null_context(request.negative))
    if request.classifier is None and not isinstance(request.prompt, Condition):  # which was read before
        condition = model.read(condition, request.first)
    if request.guidance.scale != 1 and nothing is None and request.classifier is None:
        raise InputError(
            f"guidance is {request.guidance.scale}, but this model was trained without a condition that it could "
            "follow: leave it out."
        )
    if request.image is not None:
        if request.image_time is not None and float(request.image_time.max()) > model.config.T:
            raise InputError(
                f"image_time goes up to {float(request.image_time.max()):g}, but the forward process ends at T = "
                f"{model.config.T}."
            )
        beside = {"image": request.image, "image_time": request.image_time}
        nothing = as_condition(nothing)._replace(**beside)
        if request.classifier is None:
            condition = as_condition(condition)._replace(**beside)
    if request.classifier is not None:
        xp, n = xp_of(model.network.theta), request.count
        nothing = map_arrays(lambda row: xp.broadcast_to(row, (n, *row.shape[1:])), nothing)
    return condition, nothing


def check_fits(model: "DiffusionModel", request: Request) -> None:
    """Raise `InputError` if a chain's pictures, and one layer of the shards at work, are more than the memory here.

    A system that grants memory before there is any would otherwise end the process without a word. That it fits is not
    promised: what a network needs besides depends on its layers.
    """
    if xp_of(model.network.theta) is not np:
        return  # a GPU refuses by itself what it cannot hold
    denoiser, (height, width) = model.config.denoiser, model.x_size(request.size)
    of_picture = model.picture_shape if request.size is None else height_and_width("size", request.size)
    shards = -(-request.rows // model.micro_batch)
    at_once = min(default_threads() if model.threads is None else model.threads, shards)
    in_chain = IN_A_CHAIN * request.rows * height * width * denoiser.in_channels
    places = height * width // denoiser.patch**2 if denoiser.tokens is None else denoiser.tokens
    in_layer = IN_A_LAYER * at_once * model.micro_batch * places * denoiser.channels
    asked = f"n is {request.count} and size {of_picture[0]} x {of_picture[1]}"
    advice = "ask for fewer pictures at a time, or smaller ones"
    if denoiser.tokens is not None:  # of a prior, which also holds what has been read of all texts
        in_chain += request.rows * denoiser.tokens * denoiser.text_channels
        asked, advice = f"n is {request.count}, each with a prompt", "ask for fewer at a time"
    check_memory(4 * (in_chain + in_layer), asked, advice)


def with_condition(predict: Predict, condition: Any, alone: bool = True) -> Callable[..., tuple[Array, Array]]:
    """Return a prediction whose condition is fixed, so that its caller need not pass one, but may tell a step's length.

    `alone` says whether the network is asked with the condition alone; where guidance compares it with another, a
    sampler that tells the length of its steps is refused: a shortcut has learned where one velocity leads.
    """

    def predict_with_condition(x_t, t, context=None):
        step_size = context.step_size if isinstance(context, Condition) else None
        if step_size is None:
            return predict(x_t, t, condition)
        if not alone:
            raise InputError(
                "The sampler tells the network how far a step goes, and that is learned without guidance: leave the "
                "guidance out, or take another sampler."
            )
        return predict(x_t, t, as_condition(condition)._replace(step_size=step_size))

    return predict_with_condition
