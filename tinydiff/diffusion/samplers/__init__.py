"""Samplers, one a file."""

from tinydiff.diffusion.samplers.chain import Chain, last
from tinydiff.diffusion.samplers.ddim import ddim
from tinydiff.diffusion.samplers.ddpm import ddpm
from tinydiff.diffusion.samplers.dpmpp_2m import dpmpp_2m
from tinydiff.diffusion.samplers.heun import heun

__all__ = ["Chain", "ddim", "ddpm", "dpmpp_2m", "heun", "last"]
