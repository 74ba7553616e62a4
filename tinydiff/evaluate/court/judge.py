"""The court: any sampler is measured against what is exact, and its likely mistake is named."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinydiff.base import InputError, check_number, checked, counted, shown
from tinydiff.diffusion import Sampler
from tinydiff.diffusion.times import spaced_steps
from tinydiff.evaluate.court.grids import grid_times
from tinydiff.evaluate.court.moments import LAST, Counted, Moments, moments
from tinydiff.evaluate.court.orders import (
    EVEN,
    NUMBERS,
    ODD,
    ROUNDING,
    Curve,
    error_curve,
    is_near,
    shares_followed,
    times_on,
)
from tinydiff.evaluate.court.rod import FIRST, empty_rod, the_gaussian, the_rod
from tinydiff.evaluate.court.stated import stated_for
from tinydiff.evaluate.court.verdict import Finding, Verdict, in_digits
from tinydiff.evaluate.court.walk import Defendant, Fault

ENOUGH = 0.3  # of an order: what is measured may be so much lower than what is stated
LOST = 0.5  # of an order: so much more, after another start or on another grid, is a thing of its own
STAYS, LARGE = 0.01, 0.1  # errors of the variance that do not fall: such are told, and such are a mistake
NUMBERS_OF_VARIANCE = (20, 40, 80, 160)
GRADED_NUMBERS = (80, 160)
MOST_STEPS = 50  # for every number of steps up to it a sampler should give a finite sample
SOME_NUMBERS = (1, 2, 3, 4, 7, 20, 50)  # of them, where no signal is left at T
BOUND = 1e4  # so large is no sample of a density whose points lie near 1


@checked()
def court(
    sampler: str | Callable[..., Any],
    options: Mapping[str, Any] | None = None,
    stated: float | Sequence[float] | None = None,
    name: str | None = None,
    numbers: Sequence[int] = NUMBERS,
    rounding: float = ROUNDING,
    to_zero: bool = True,
) -> Verdict:
    """Judge a sampler, of the list or anybody's: its order, its moments, and whether it always ends in a sample.

    It is called as all samplers are, ``sampler(predict, diffusion, x_T, steps, ..., end=)``, and yields
    (t, x_t, x_0_hat) after each step. If it takes `noise` and draws some, its moments on a Gaussian are judged, which
    are exact (see `moments`); if it draws none, its path on a mixture, from an exact start to an exact end, on steps
    that are equal in lambda, that alternate in length, and that begin tiny. Nothing it does is an error here: all ends
    in a `Verdict`, which names the mistake that it looks like. One that never ends is stopped.

    Parameters
    ----------
    sampler : str or callable
        A name of `SAMPLERS`, one of them, or any function.
    options : mapping or None
        Options of the sampler's own.
    stated : float, sequence of two or None
        The order that it should have, or those on equal and on alternating steps. None: what the sampler of the list
        states, and of other functions nothing.
    name : str or None
        What to call it; None takes the function's name.
    numbers : sequence of int
        Of steps, two or more, growing.
    rounding : float
        Errors below it do not count: of samplers that compute in float32, about 1e-5.
    to_zero : bool
        Whether chains of 1 to 50 steps down to t = 0 are tried too.

    Returns
    -------
    verdict : Verdict
        ``print(verdict)`` says it in words.

    Raises
    ------
    InputError
        If it cannot be called so: it takes other arguments, or options that it refuses.

    Examples
    --------
    >>> verdict = court("dpmpp_3m_as_published")
    >>> verdict.mistakes
    ('bend',)
    """
    defendant = Defendant(sampler, options or {}, name)
    _check_numbers(numbers, rounding)
    known = None if stated is None else _two(stated)
    try:
        defendant.try_first(*_two_steps())
        _check_ends(defendant)
        if defendant.drew_noise:
            known = known[:1] if known else _stated_of(defendant)
            verdict = _of_noise(defendant, known)
        else:
            verdict = _of_path(defendant, known or _stated_of(defendant), numbers, rounding)
        return _down_to_zero(defendant, verdict) if to_zero else verdict
    except Fault as fault:
        return Verdict(
            defendant.name, defendant.options, defendant.drew_noise, known, problems=(Finding(fault.kind, str(fault)),)
        )


def _two_steps():
    """Return what a chain of two steps is called with, to where little noise is left; some draw none before."""
    rod = the_rod()
    *steps, end = grid_times(rod.diffusion, 2, (1,), FIRST, LAST)
    return rod.density.predict, rod.diffusion, rod.start, steps, end


def _check_ends(defendant: Defendant) -> None:
    """Raise `Fault` unless a chain visits all of its steps."""
    rod = the_rod()
    *steps, end = times_on(rod, "equal", 7)
    states, _ = defendant.states(rod.density.predict, rod.diffusion, rod.start, steps, end)
    if len(states) < len(steps):
        took = f"it takes {counted(len(states), 'step')} of {len(steps)}"
        raise Fault("stops_early", f"{took}: the last one leads from the last of the steps to `end`.")


def _of_path(
    defendant: Defendant, stated: tuple[float, ...] | None, numbers: Sequence[int], rounding: float
) -> Verdict:
    """Return the verdict on a sampler that draws no noise."""
    graded = GRADED_NUMBERS if tuple(numbers) == NUMBERS else numbers[-2:]
    curves = {
        "equal": error_curve(defendant, "equal", numbers, rounding),
        "alternating": error_curve(defendant, "alternating", numbers, rounding),
        "graded": error_curve(defendant, "graded", graded, rounding),
    }
    equal, alternating, after = (curve.order for curve in curves.values())
    problems, remarks = [], []
    if not curves["equal"].errors[-1] > rounding:
        remarks.append(Finding("", f"the error is no larger than rounding after {counted(numbers[-1], 'step')}."))
    elif _is_deaf(curves["equal"]):
        remarks.append(Finding("", "its error does not depend on the steps: it takes as many as it likes between two."))
    elif equal < LOST:
        problems += _not_consistent(defendant, curves["equal"])
    else:
        problems += _missing_bend(defendant)
        wanted = stated or (math.nan, math.nan)
        problems += _lost_order(wanted, equal, alternating, after, remarks)
    calls = curves["equal"].calls[-1] / numbers[-1]
    return Verdict(
        defendant.name, defendant.options, False, stated, curves, calls, tuple(problems), tuple(remarks), None
    )


def _lost_order(wanted, equal, alternating, after, remarks):
    """Return what is wrong with the orders that were measured; what is no more than stated is a remark."""
    found: list[Finding] = []
    is_short = equal < wanted[0] - ENOUGH
    if after > equal + LOST:
        sentence = (
            f"order {in_digits(after)} is lost to {in_digits(equal)} in the first steps: a multistep formula of order "
            "p needs a start whose error, made once, is of order p."
        )
        known = not (is_short or math.isnan(wanted[0]))
        (remarks if known else found).append(Finding("" if known else "start", sentence))
    elif is_short:
        found.append(Finding("order", f"its order is {in_digits(equal)}, but {wanted[0]:g} is stated."))
    if alternating < equal - LOST:
        sentence = (
            f"order {in_digits(equal)} on equal steps is {in_digits(alternating)} where steps alternate 2 : 1: are "
            "its weights fixed ones, for steps of one length?"
        )
        known = not math.isnan(wanted[-1]) and alternating >= wanted[-1] - ENOUGH
        (remarks if known else found).append(Finding("" if known else "uneven", sentence))
    return found


def _missing_bend(defendant: Defendant) -> list[Finding]:
    """Return whether a parabola is followed in its value and slope, but in a fixed part of its bend only."""
    for of, what in (("x_0", "x_0_hat"), ("eps", "eps_hat")):
        odd, even = (shares_followed(defendant, of, lengths) for lengths in (ODD, EVEN))
        followed = is_near(odd[:2], 1.0) and is_near(even[:2], 1.0)
        if followed and is_near(odd[2], even[2]) and not (is_near(odd[2], 1.0) or is_near(odd[2], 0.0)):
            share = f"{100 * odd[2]:.0f} % of the second derivative of {what}"
            half = " The second difference lacks a factor of 2." if is_near(odd[2], 0.5) else ""
            return [Finding("bend", f"{share} arrives in a step, so that order 3 becomes 2.{half}")]
    return []


def _not_consistent(defendant: Defendant, curve: Curve) -> list[Finding]:
    """Return what is wrong with a sampler whose error stays, as far as the variance of a Gaussian tells."""
    stays = f"the error is {curve.errors[0]:.2g} after {curve.calls[0]} calls and {curve.errors[-1]:.2g} after "
    stays += f"{curve.calls[-1]}: it hardly falls, so it is no question of order."
    found = [Finding("not_consistent", stays)]
    try:
        error = moments(defendant, NUMBERS_OF_VARIANCE[-1]).error
    except Fault:
        return found
    if abs(error) > LARGE:
        kind = "variance_too_small" if error < 0 else "variance_too_large"
        size = f"{100 * (1 + error):.3g} % of the variance that they should have"
        found.append(Finding(kind, f"samples have {size}, without noise: is it the drift of an SDE, or a sign?"))
    return found


def _is_deaf(curve: Curve) -> bool:
    """Whether the number of steps changes little: such a sampler chooses its own steps."""
    few, many = curve.calls[0] / curve.numbers[0], curve.calls[-1] / curve.numbers[-1]
    return few > 2 * many and curve.errors[0] < 20 * curve.errors[-1] < 1


def _of_noise(defendant: Defendant, stated: tuple[float, ...] | None) -> Verdict:
    """Return the verdict on a sampler that draws noise."""
    of_each = [moments(defendant, N) for N in NUMBERS_OF_VARIANCE]
    errors, calls = tuple(abs(one.error) for one in of_each), tuple(one.calls for one in of_each)
    curve, best = Curve(NUMBERS_OF_VARIANCE, calls, errors), of_each[-1]
    problems, remarks = [], []
    if abs(best.mean - best.wanted_mean) > STAYS * abs(best.wanted_mean):
        problems.append(Finding("mean", f"the mean is {best.mean:.3g}, but {best.wanted_mean:.3g} is right."))
    stays = abs(best.error) > STAYS and errors[-1] > errors[-2] / 1.6
    if stays and abs(best.error) > LARGE:
        problems += _wrong_variance(best)
    elif stays:
        more = f"{100 * best.error:+.1f} % of the variance"
        remarks.append(Finding("", f"{more} stays however many steps there are: a step of another kind is too long."))
    elif stated and stated[0] > 0 and curve.order < stated[0] - ENOUGH:
        wrong = f"the error of the variance falls with order {in_digits(curve.order)}, but {stated[0]:g} is stated."
        problems.append(Finding("order", wrong))
    return Verdict(
        *(defendant.name, defendant.options, True, stated, {"variance": curve}, calls[-1] / NUMBERS_OF_VARIANCE[-1]),
        *(tuple(problems), tuple(remarks), best.share_of_noise),
    )


def _wrong_variance(found: Moments) -> list[Finding]:
    """Return the mistake that a wrong variance looks like."""
    share, whole = found.share_of_noise, f"samples have {100 * (1 + found.error):.3g} % of the variance that is right"
    if is_near(share, 0.0, 0.02):
        return [Finding("no_noise", f"{whole}: fresh noise is drawn, but does not arrive.")]
    if is_near(share, 0.5, 0.03):
        half = "half of the variance of the fresh noise arrives: is a step's noise that of half a step?"
        return [Finding("half_noise", f"{whole}: {half}")]
    too = "small" if found.error < 0 else "large"
    times = f"of the fresh noise {100 * share:.3g} % of the right variance arrives"
    hint = {
        0.25: ": the standard deviation is halved",
        2.0: ": twice too much, as if both halves of the SDE drew some",
        4.0: ": the standard deviation is doubled",
    }
    known = next((words for value, words in hint.items() if is_near(share, value, 0.06 * value)), "")
    return [Finding(f"variance_too_{too}", f"{whole}; {times}{known}.")]


def _down_to_zero(defendant: Defendant, verdict: Verdict) -> Verdict:
    """Return the verdict, with what chains of few steps down to t = 0 show."""
    remarks: list[Finding] = []
    problems = _small_numbers(defendant, remarks)
    return replace(verdict, problems=(*verdict.problems, *problems), remarks=(*verdict.remarks, *remarks))


def _small_numbers(defendant: Defendant, remarks: list[Finding]) -> list[Finding]:
    """Return whether it fails for some numbers of steps down to t = 0; from where there is no signal, a remark."""
    x, every = the_rod().start[:2], range(1, MOST_STEPS + 1)
    tries = (the_gaussian(), x[:, :1], every, None), (empty_rod(), x, SOME_NUMBERS, remarks)
    for density, x, numbers, noted in tries:
        diffusion, failed, how = density.diffusion, [], ""
        for N in numbers:
            try:
                last, _ = defendant.end_of(density.predict, diffusion, x, spaced_steps(diffusion.T, N), 0, Counted())
                if np.abs(last).max() > BOUND:
                    raise Fault("not_finite", f"x grows to {np.abs(last).max():.2g}.")
            except (Fault, InputError) as fault:
                failed.append(N)
                how = how or str(fault)
        if failed:
            which = "all" if len(failed) == len(numbers) else ", ".join(map(str, failed[:6]))
            more = " ..." if 6 < len(failed) < len(numbers) else ""
            start = "from T, where no signal is left," if noted is not None else "down to t = 0,"
            sentence = f"{start} it fails with {which}{more} of 1 to {MOST_STEPS} steps: {how}"
            if noted is None:
                return [Finding("small_numbers", sentence)]
            noted.append(Finding("", sentence))
    return []


def _stated_of(defendant: Defendant) -> tuple[float, ...] | None:
    """Return what a sampler of the list states with its options."""
    if not isinstance(defendant.sampler, Sampler):
        return None
    return stated_for(defendant.sampler.name, defendant.options, defendant.drew_noise)


def _two(stated: Any) -> tuple[float, ...]:
    """Return the orders that are stated on equal and on alternating steps."""
    orders = tuple(stated) if isinstance(stated, Sequence) else (stated, stated)
    if len(orders) != 2:
        raise InputError(f"stated is {shown(stated)}, but an order, or one for each of two grids, was expected.")
    for order in orders:
        check_number("stated", order, 0, 20)
    return orders


def _check_numbers(numbers: Sequence[int], rounding: float) -> None:
    check_number("rounding", rounding, 0, 1)
    if len(numbers) < 2 or sorted(set(numbers)) != list(numbers) or not 1 <= numbers[0] or numbers[-1] > 10_000:
        raise InputError(f"numbers is {shown(numbers)}, but two or more numbers of steps, growing, were expected.")
