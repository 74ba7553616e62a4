"""Noise schedules, a family in each file: tables of alpha_bar, the share of the signal in x_t after t steps.

A table has T + 1 float64 entries: ``alpha_bar[0] = 1`` is clean data and ``alpha_bar[T]`` is nearly, or exactly, 0. A
function that is decorated with `schedule` is on the list `SCHEDULES`, under its name without ``_schedule``; a new file
in this folder is found by itself.
"""

from tinydiff.base import import_modules
from tinydiff.diffusion.schedules.betas import linear_schedule, scaled_linear_schedule, sigmoid_beta_schedule
from tinydiff.diffusion.schedules.changed import shifted, zero_terminal_snr
from tinydiff.diffusion.schedules.continuous import straight_schedule, sub_vp_sde_schedule, vp_sde_schedule
from tinydiff.diffusion.schedules.curves import cosine_schedule, laplace_schedule, sigmoid_schedule
from tinydiff.diffusion.schedules.registry import LARGEST_T, SCHEDULES, schedule
from tinydiff.diffusion.schedules.sigmas import exponential_schedule, karras_schedule

import_modules(__name__)

__all__ = [
    "LARGEST_T",
    "SCHEDULES",
    "cosine_schedule",
    "exponential_schedule",
    "karras_schedule",
    "laplace_schedule",
    "linear_schedule",
    "scaled_linear_schedule",
    "schedule",
    "shifted",
    "sigmoid_beta_schedule",
    "sigmoid_schedule",
    "straight_schedule",
    "sub_vp_sde_schedule",
    "vp_sde_schedule",
    "zero_terminal_snr",
]
