"""Samplers on a trained model: how far their pictures are from those of the same ODE, walked in fine steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, check_count, checked, to_numpy
from tinydiff.diffusion import SAMPLERS, last, log_snr_steps
from tinydiff.evaluate.court.orders import Curve
from tinydiff.evaluate.court.stated import Stated
from tinydiff.models import DiffusionModel, Request

NUMBERS = (5, 10, 20, 40)
FINE, HALF = 96, 48  # steps of the reference, and of one whose difference from it says how fine it is
REFERENCE = Stated("dpmpp_singlestep", {"order": 3}, 3, 3)


@dataclass(frozen=True)
class OnModel:
    """Errors on a model, against calls.

    Parameters
    ----------
    curves : dict from a label to Curve
        Root mean square over all values of the pictures.
    fineness : float
        What the reference itself may be off, from half of its steps.
    """

    curves: dict[str, Curve]
    fineness: float


@checked()
def errors_on_model(
    model: DiffusionModel,
    entries: Sequence[Stated],
    n: int = 32,
    numbers: Sequence[int] = NUMBERS,
    progress: Callable[[int, int], None] | None = None,
) -> OnModel:
    """Return how far samplers of the ODE end from a fine solution of it, on a model and from the same starts.

    All walk from T, or from where there is signal, to t = 1, in steps that are equal in lambda: the step to t = 0 is
    the same for all of them.

    Parameters
    ----------
    model : DiffusionModel
    entries : sequence of Stated
        Samplers with options, of those that draw no noise.
    n : int
        How many starts, from seed 0.
    numbers : sequence of int
        Of steps.
    progress : callable or None
        ``progress(step, steps)`` is called after each chain.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    check_count("n", n, most=4096)
    if not entries:
        raise InputError("entries is empty, but at least one sampler was expected.")
    for number in numbers:
        check_count("numbers", number, most=1000)
    request = Request(n=n)
    predict, diffusion = model.predictor(request), model.diffusion
    x_T, _ = model.start(request)
    alpha_bar = diffusion.alpha_bar
    first = diffusion.T if alpha_bar[-1] > 0 else diffusion.T - 1
    done, of_all = 0, len(entries) * len(numbers) + 2

    def ends(entry: Stated, N: int) -> tuple[np.ndarray, int]:
        nonlocal done
        calls = 0

        def counting(x_t: Array, t: Array, context: Any = None) -> tuple[Array, Array]:
            nonlocal calls
            calls += 1
            return predict(x_t, t, context)

        *steps, end = log_snr_steps(diffusion, N + 1, first)
        x = last(SAMPLERS[entry.name](counting, diffusion, x_T, steps, end=end, **entry.options))
        done += 1
        if progress is not None:
            progress(done, of_all)
        return to_numpy(x).astype(np.float64), calls

    fine, _ = ends(REFERENCE, FINE)
    coarser, _ = ends(REFERENCE, HALF)
    curves = {}
    for entry in entries:
        found = [ends(entry, N) for N in numbers]
        errors = tuple(_rms(x - fine) for x, _ in found)
        curves[entry.label] = Curve(tuple(numbers), tuple(calls for _, calls in found), errors, 0.0)
    return OnModel(curves, _rms(coarser - fine))


def _rms(difference: np.ndarray) -> float:
    return float(np.sqrt((difference**2).mean()))
