"""The court of samplers: error against calls on what is exact, the order, the moments, and the mistake behind them."""

from tinydiff.evaluate.court.grids import GRIDS, graded_times, grid_times
from tinydiff.evaluate.court.judge import court
from tinydiff.evaluate.court.moments import Impulses
from tinydiff.evaluate.court.on_model import OnModel, errors_on_model
from tinydiff.evaluate.court.orders import Curve, tolerance_curve
from tinydiff.evaluate.court.report import arena_report
from tinydiff.evaluate.court.schedulers import judge_schedulers, scheduler_sampler
from tinydiff.evaluate.court.stated import NOISY, ODE, Stated, StatedNoise
from tinydiff.evaluate.court.verdict import MISTAKES

__all__ = [
    "GRIDS",
    "MISTAKES",
    "NOISY",
    "ODE",
    "Curve",
    "Impulses",
    "OnModel",
    "Stated",
    "StatedNoise",
    "arena_report",
    "court",
    "errors_on_model",
    "graded_times",
    "grid_times",
    "judge_schedulers",
    "scheduler_sampler",
    "tolerance_curve",
]
