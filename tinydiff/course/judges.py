"""Judges of exercises that have many right answers: what is measured is how good an answer is."""

from collections.abc import Callable, Sequence

import numpy as np

from tinydiff.base import InputError, checked


@checked()
def falls_with_order(steps: Sequence[int], exact: Sequence[np.ndarray], order: float) -> Callable[[list], str]:
    """Return a judge of samplers: the error of what they end at should fall as steps to the power of -order.

    Parameters
    ----------
    steps : sequence of int
        How many steps the sampler takes in each case, growing.
    exact : sequence of arrays
        Where the exact path ends in each case.
    order : float
        The order that is asked for; half of one less is refused.

    Returns
    -------
    judge : callable
        From the outputs of all cases to the rest of a sentence, empty if the order is reached.
    """
    if len(steps) < 2 or len(steps) != len(exact):
        raise InputError(
            f"There are {len(steps)} numbers of steps and {len(exact)} exact ends, but as many of both, two or more, "
            "were expected."
        )
    counts = np.array(steps, dtype=np.float64)

    def judge(outputs: list) -> str:
        errors = np.array([float(abs(one[0] - end).max()) for one, end in zip(outputs, exact, strict=True)])
        if errors.max() < 1e-10:
            return ""
        reached = f"{errors[0]:.2g} after {steps[0]} steps and {errors[-1]:.2g} after {steps[-1]}"
        slope = -np.polyfit(np.log(counts), np.log(np.maximum(errors, 1e-300)), 1)[0]
        if slope < 0.5:
            return f"the error is {reached}: it hardly falls, so it is no question of order; is the formula right?"
        if slope < order - 0.5:
            return f"the error falls as steps to the power {-slope:.2f} ({reached}); order {order:g} was asked for."
        return ""

    return judge
