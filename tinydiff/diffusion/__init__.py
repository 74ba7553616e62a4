"""Diffusion that knows no network: schedules, the Gaussian process and its likelihood, samplers, exact denoisers.

A model is any callable here; nothing in this package imports `tinydiff.nn`.
"""

from tinydiff.diffusion.gaussian import GaussianDiffusion, predictor, simple_loss
from tinydiff.diffusion.guidance import autoguidance, bounded, classifier_free_guidance, classifier_guidance
from tinydiff.diffusion.likelihood import eps_weight, normal_kl, prior_term, step_term
from tinydiff.diffusion.oracle import FiniteData, Gaussian, GaussianMixture
from tinydiff.diffusion.samplers import ddim, ddpm, dpmpp_2m, edm_steps, heun, last, log_snr_steps, spaced_steps
from tinydiff.diffusion.schedule import cosine_schedule, linear_schedule

__all__ = [
    "FiniteData",
    "Gaussian",
    "GaussianDiffusion",
    "GaussianMixture",
    "autoguidance",
    "bounded",
    "classifier_free_guidance",
    "classifier_guidance",
    "cosine_schedule",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "edm_steps",
    "eps_weight",
    "heun",
    "last",
    "linear_schedule",
    "log_snr_steps",
    "normal_kl",
    "predictor",
    "prior_term",
    "simple_loss",
    "spaced_steps",
    "step_term",
]
