"""A model drawn with as a scheduler of diffusers does, step for step."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tinydiff.base import Array, InputError, checked, xp_of
from tinydiff.diffusion import SAMPLERS, Predict
from tinydiff.diffusion.prediction import with_share_of
from tinydiff.diffusion.samplers.chain import Chain
from tinydiff.models.diffusers.published import ddim_by_stride, dpmpp_3m_of_few, plms_of_outputs
from tinydiff.models.diffusers.schedulers import Timetable
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.parts import Progress
from tinydiff.models.predictor import unbounded_predictor, with_condition
from tinydiff.models.request import Request
from tinydiff.workers import Workers


@checked()
def scheduled_chain(
    model: DiffusionModel, table: Timetable, request: Request | None = None, progress: Progress | None = None
) -> Chain:
    """Draw samples as a scheduler does, and yield (t, x_t, x_0_hat) after every step.

    x_t is on DDPM's path at each step, whatever units the scheduler has; t is what the network is told next, or 0.

    Parameters
    ----------
    model : DiffusionModel
    table : Timetable
        See `timetable`.
    request : Request or None
        As for `DiffusionModel.chain`.
    progress : callable or None

    Raises
    ------
    InputError
        If the model cannot draw what is requested.
    """
    request = Request() if request is None else request
    if request.guidance.threshold != "static":
        raise InputError("threshold is 'dynamic', but a scheduler clips as its config says: leave it out.")

    workers = model._workers(request)
    predict = _predictor(model, table, request, workers)
    x_T, noise = model.start(request)
    chain = _walk(predict, table, table.start * x_T / model.diffusion.scale_at(model.diffusion.T), noise)
    return model._walked(chain, workers, request.rows, len(table.times), progress)


def _walk(predict: Predict, table: Timetable, x_T: Array, noise: Any) -> Chain:
    """Walk the steps of a timetable by its rule."""
    if table.led_to is not None:
        chain = ddim_by_stride(predict, table.diffusion, x_T, table.steps, table.led_to.tolist())
    elif table.sampler == "plms_of_outputs":
        chain = plms_of_outputs(predict, table.diffusion, x_T, table.steps, table.end, **table.options)
    elif table.sampler == "dpmpp_3m_of_few":
        chain = dpmpp_3m_of_few(predict, table.diffusion, x_T, table.steps)
    else:
        chosen = SAMPLERS[table.sampler]
        chain = chosen(predict, table.diffusion, x_T, table.steps, noise, end=table.end, **table.options)
    return ((float(table.told[int(t)]), x_t, x_0_hat) for t, x_t, x_0_hat in chain)


def _predictor(model: DiffusionModel, table: Timetable, request: Request, workers: Workers) -> Predict:
    """Return what the sampler asks: the network told the times of the table, with guidance, clipped as it says."""

    def network(x_t: Array, t: Array, context: Any = None) -> Array:
        xp = xp_of(x_t)
        told = xp.asarray(table.told)[t.astype(xp.int64)]
        return workers.map(model.network.forward, x_t, told, context)

    predict, condition = unbounded_predictor(model, request, network, table.diffusion)
    predict = with_condition(predict, condition)
    return partial(_clipped, predict) if table.clips else predict


def _clipped(predict: Callable[..., Any], x_t: Array, t: Array, context: Any = None) -> Any:
    """Return a prediction whose picture is clipped, and whose noise stays as the network said it (a DDIM's)."""
    prediction = predict(x_t, t, context)
    x_0_hat, eps_hat = prediction
    return with_share_of(prediction, xp_of(x_0_hat).clip(x_0_hat, -1, 1), eps_hat)
