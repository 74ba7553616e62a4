"""Options that several commands share."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]
SamplerName = Literal["ddim", "ddpm", "heun", "dpmpp_2m"]  # those of model.SAMPLERS, spelled out for type checkers
