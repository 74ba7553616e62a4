"""Schedulers of diffusers: what a scheduler_config.json says, as steps that our samplers take.

A scheduler is a few numbers for each of its steps, how much noise there is and what time the network is told, and a
rule that goes from one to the next. The numbers are a `Timetable`; the rules are our samplers, which walk it as a
forward process of their own, whose steps are just these. So one file says what the classes there say in thousands of
lines.

Steps are called t there and t + 1 here, where 0 is a picture without noise.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinydiff.base import InputError, check_count, checked, shown
from tinydiff.diffusion import SCHEDULES, GaussianDiffusion, spaced_steps, zero_terminal_snr
from tinydiff.diffusion.schedules.registry import alpha_bar_from_beta
from tinydiff.models.diffusers.said import Said

KINDS = {"epsilon": "eps", "sample": "x_0", "v_prediction": "v"}
NAMES = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}  # of schedules
SPACINGS = {name: name for name in ("leading", "linspace", "trailing")}
VARIANCES = {"fixed_small": "beta_tilde", "fixed_large": "beta", "learned_range": "learned"}
RHO = 7.0  # of Karras' noise levels
LEAST_SIGNAL = 2.0**-24  # at T, where a scheduler wants a little
# DPM-Solver++(3M) takes steps of other orders at the end where there are fewer than so many.
FEW = 15


@dataclass(frozen=True)
class Timetable:
    """The steps of a scheduler.

    Parameters
    ----------
    sampler : str
        Whose rule leads from one step to the next: one of `SAMPLERS`, or one of `published`.
    times : array, shape (N,)
        What time the network is told at each step, counted from 1; falling.
    alpha_bar : array, shape (N,)
        How much signal there is.
    final : float
        alpha_bar where the last step ends: 1, or that of the first step of the training (`set_alpha_to_one` is False).
    clips : bool
        Whether a guess of the picture is clipped to [-1, 1]; that of the noise stays as it was.
    start : float
        What the noise that the chain begins with is multiplied by.
    options : dict
        Of the sampler.
    led_to : array, shape (N,), or None
        alpha_bar to which each step is thought to lead, where the rule as published mistakes it; None: to the next.
    told_last : float
        What the network is told where the chain ends, if a rule asks it there.
    """

    sampler: str
    times: np.ndarray
    alpha_bar: np.ndarray
    final: float = 1.0
    clips: bool = False
    start: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    led_to: np.ndarray | None = None
    told_last: float = 0.0

    @cached_property
    def diffusion(self) -> GaussianDiffusion:
        """The process whose steps are those of the table: the last one is step 1, or 2 where `final` is not 1."""
        first = [1.0] if self.final == 1 else [1.0, self.final]
        return GaussianDiffusion(np.concatenate([first, self.alpha_bar[::-1]]))

    @property
    def end(self) -> int:
        """The step at which the chain ends."""
        return self.diffusion.T - len(self.times)

    @property
    def steps(self) -> list[int]:
        """The steps of `diffusion` at which the network is asked."""
        return list(range(self.diffusion.T, self.end, -1))

    @cached_property
    def told(self) -> np.ndarray:
        """What the network is told at each step of `diffusion`, from 0."""
        return np.concatenate([np.zeros(self.end), [self.told_last], self.times[::-1]])


def process_of(said: Said) -> np.ndarray:
    """Return alpha_bar of a scheduler's forward process, from 1 at step 0 to T.

    Computed in float64; diffusers has it in float32, so that the last digits of float32 differ.
    """
    T = said.whole("num_train_timesteps")
    check_count("num_train_timesteps", T)
    if said["trained_betas"] is None:
        alpha_bar = SCHEDULES[schedule_of(said)](T, *(beta_range_of(said) or ()))
    else:
        alpha_bar = alpha_bar_from_beta(_trained_betas(said, T))
    if said.fields.get("rescale_betas_zero_snr"):
        alpha_bar = zero_terminal_snr(alpha_bar)
        if "final_sigmas_type" in said.fields:  # of a scheduler that counts in sigma, which would be infinite
            alpha_bar[-1] = LEAST_SIGNAL
    return alpha_bar


def schedule_of(said: Said) -> str:
    """Return the schedule, as tinydiff calls it."""
    return said.one_of("beta_schedule", NAMES)


def beta_range_of(said: Said) -> tuple[float, float] | None:
    """Return the first and the last beta, or None for a schedule that is not made of them."""
    if schedule_of(said) == "cosine":
        return None
    first, last = said.number("beta_start"), said.number("beta_end")
    if not 0 < first <= last < 1:
        raise InputError(
            f"{said.source} says beta_start is {first} and beta_end {last}, but numbers between 0 and 1 were expected, "
            "the second not smaller."
        )
    return first, last


def _trained_betas(said: Said, T: int) -> np.ndarray:
    """Return the variance of each step's noise, where a list says it."""
    given = said["trained_betas"]
    if not isinstance(given, list) or len(given) != T or any(type(b) not in (int, float) for b in given):
        raise said.refuse("trained_betas", f"lists of {T} numbers, as many as num_train_timesteps")
    betas = np.array(given, np.float64)
    if not ((betas > 0) & (betas < 1)).all():
        raise said.refuse("trained_betas", "numbers between 0 and 1")
    return betas


def kind_of(said: Said) -> str:
    """Return what the network predicts, as tinydiff calls it."""
    return said.one_of("prediction_type", KINDS)


@checked()
def timetable(said: Said, steps: int) -> Timetable:
    """Return the steps of a scheduler, of which so many are asked for.

    Raises
    ------
    InputError
        If its config says what tinydiff does not have, by the field's name, or there are more steps than the training
        had.
    """
    T = said.whole("num_train_timesteps")
    if not (type(steps) is int and 1 <= steps <= T):
        raise InputError(f"steps is {shown(steps)}, but a whole number from 1 to {T} was expected.")
    kind_of(said)
    alpha_bar = process_of(said)
    return RULES[said.class_name](said, alpha_bar, steps)


def _ddpm(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(thresholding=False, clip_sample_range=1.0)
    times = _whole_times(said, N)
    options = {"variance": said.one_of("variance_type", VARIANCES)}
    return Timetable("ddpm", times, alpha_bar[times], clips=bool(said["clip_sample"]), options=options)


def _ddim(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(thresholding=False, clip_sample_range=1.0)
    times, T = _whole_times(said, N), len(alpha_bar) - 1
    final = 1.0 if said["set_alpha_to_one"] else float(alpha_bar[1])
    before = times - T // N  # where it thinks that a step leads
    led_to = np.where(before > 0, alpha_bar[np.maximum(before, 0)], final)
    table = _ended(Timetable("ddim", times, alpha_bar[times], final, bool(said["clip_sample"])))
    if np.array_equal(led_to[:-1], alpha_bar[times[1:]]) and before[-1] <= 0:
        return table
    return Timetable("ddim", times, alpha_bar[times], clips=table.clips, led_to=led_to)


def _pndm(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(skip_prk_steps=True)
    times, T = _whole_times(said, N), len(alpha_bar) - 1
    if (np.diff(times) != -(T // N)).any() or times[-1] > T // N:
        raise InputError(
            f"{said.source} says timestep_spacing is {said['timestep_spacing']!r}, but PNDM takes all steps for "
            f"{T // N} long, which {N} steps of this spacing are not: take 'leading', or a number that divides {T}."
        )
    final = 1.0 if said["set_alpha_to_one"] else float(alpha_bar[1])
    options = {"kind": kind_of(said), "twice": N > 1}
    return _ended(Timetable("plms_of_outputs", times, alpha_bar[times], final, options=options))


def _dpm_solver(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(
        thresholding=False,
        algorithm_type="dpmsolver++",
        use_lu_lambdas=False,
        use_flow_sigmas=False,
        final_sigmas_type="zero",
        variance_type=None,
        use_dynamic_shifting=False,
        use_exponential_sigmas=False,
        use_beta_sigmas=False,
    )
    if said["lambda_min_clipped"] not in (-float("inf"), "-Infinity"):
        raise said.refuse("lambda_min_clipped", "-Infinity")
    order = said["solver_order"]
    if order not in (1, 2, 3):
        raise said.refuse("solver_order", "1, 2 and 3")
    if order > 1:
        said.expect(solver_type="midpoint")
    T = len(alpha_bar) - 1
    if said["use_karras_sigmas"]:
        sigmas = _karras(_sigmas(alpha_bar[T]), _sigmas(alpha_bar[1]), N)
        times = _times_of(sigmas, alpha_bar)
        times = times if said["beta_schedule"] == "squaredcos_cap_v2" else times.round()
        shares = 1 / (1 + sigmas**2)
    else:
        times = _whole_times(said, N) if said["timestep_spacing"] == "trailing" else _whole_times(said, N + 1)[:-1]
        shares = alpha_bar[times]
    names = {1: "ddim", 2: "dpmpp_2m", 3: "dpmpp_3m_as_published"}
    few = order == 3 and N < FEW and said["lower_order_final"]
    return Timetable("dpmpp_3m_of_few" if few else names[order], times, shares)


def _euler(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(sigma_min=None, sigma_max=None, timestep_type="discrete", final_sigmas_type="zero")
    said.expect(interpolation_type="linear")
    return _by_sigma(said, "euler", alpha_bar, N)


def _heun(said: Said, alpha_bar: np.ndarray, N: int) -> Timetable:
    said.expect(clip_sample=False)
    return _by_sigma(said, "heun", alpha_bar, N)


def _by_sigma(said: Said, sampler: str, alpha_bar: np.ndarray, N: int) -> Timetable:
    """Return the steps of a scheduler that counts in sigma = b / a, which is a straight line between two times."""
    said.expect(use_exponential_sigmas=False, use_beta_sigmas=False)
    T = len(alpha_bar) - 1
    if said["timestep_spacing"] == "linspace":  # not rounded
        times = 1 + np.linspace(0, T - 1, N, dtype=np.float32)[::-1].astype(float)
    else:
        times = _whole_times(said, N).astype(float)
    sigmas = np.interp(times, np.arange(1, T + 1), _sigmas(alpha_bar[1:]))
    if said["use_karras_sigmas"]:
        sigmas = _karras(sigmas[0], sigmas[-1], N)
        times = _times_of(sigmas, alpha_bar)
    most = sigmas[0]
    start = 1.0 if said["timestep_spacing"] == "leading" else float(most / (1 + most**2) ** 0.5)
    return Timetable(sampler, times, 1 / (1 + sigmas**2), start=start)


RULES = {
    "DDPMScheduler": _ddpm,
    "DDIMScheduler": _ddim,
    "PNDMScheduler": _pndm,
    "DPMSolverMultistepScheduler": _dpm_solver,
    "EulerDiscreteScheduler": _euler,
    "HeunDiscreteScheduler": _heun,
}


def _whole_times(said: Said, N: int) -> np.ndarray:
    """Return N steps, counted from 1; refuse an offset that leads beyond the last one, where diffusers fails."""
    T, spacing = said.whole("num_train_timesteps"), said.one_of("timestep_spacing", SPACINGS)
    offset = said.whole("steps_offset") if spacing == "leading" else 0
    try:
        return np.array(spaced_steps(T, N, spacing, offset))
    except InputError as error:
        raise InputError(
            f"{said.source} says steps_offset is {said['steps_offset']}, with which {N} steps lead beyond the {T} of "
            "the training: take fewer steps."
        ) from error


def _ended(table: Timetable) -> Timetable:
    """Return a timetable without a last step that leads to where it begins: it changes nothing."""
    if table.final < 1 and table.alpha_bar[-1] == table.final and len(table.times) > 1:
        last = float(table.times[-1])
        return replace(table, times=table.times[:-1], alpha_bar=table.alpha_bar[:-1], told_last=last)
    return table


def _sigmas(alpha_bar: Any) -> Any:
    return ((1 - alpha_bar) / alpha_bar) ** 0.5


def _karras(largest: float, least: float, N: int) -> np.ndarray:
    """Return noise levels whose root falls in equal steps (Eq. EDM-5)."""
    return np.linspace(largest ** (1 / RHO), least ** (1 / RHO), N) ** RHO


def _times_of(sigmas: np.ndarray, alpha_bar: np.ndarray) -> np.ndarray:
    """Return the times of noise levels, of which the logarithm is a straight line between two steps."""
    return np.interp(np.log(sigmas), np.log(_sigmas(alpha_bar[1:])), np.arange(1, len(alpha_bar)))
