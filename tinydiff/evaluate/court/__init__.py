"""The court of samplers: error against calls on what is exact, the order, the moments, and the mistake behind them."""

from tinydiff.evaluate.court.grids import GRIDS, graded_times, grid_times
from tinydiff.evaluate.court.judge import court
from tinydiff.evaluate.court.moments import Impulses
from tinydiff.evaluate.court.orders import Curve
from tinydiff.evaluate.court.stated import NOISY, ODE
from tinydiff.evaluate.court.verdict import MISTAKES, Finding, Verdict

__all__ = [
    "GRIDS",
    "MISTAKES",
    "NOISY",
    "ODE",
    "Curve",
    "Finding",
    "Impulses",
    "Verdict",
    "court",
    "graded_times",
    "grid_times",
]
