"""Diffusion without any network: schedules, the Gaussian process and its likelihood, samplers, exact denoisers.

A model is any callable here; nothing in this package imports `tinydiff.nn`.
"""

from tinydiff.diffusion.guidance.autoguidance import autoguidance
from tinydiff.diffusion.guidance.classifier import classifier_guidance
from tinydiff.diffusion.guidance.classifier_free import classifier_free_guidance
from tinydiff.diffusion.guidance.thresholds import bounded
from tinydiff.diffusion.likelihood import eps_weight, normal_kl, prior_term, step_term
from tinydiff.diffusion.oracle import FiniteData, Gaussian, GaussianMixture
from tinydiff.diffusion.process import GaussianDiffusion
from tinydiff.diffusion.samplers import (
    SAMPLERS,
    Sampler,
    annealed_langevin,
    ddim,
    ddpm,
    deis,
    dpm_2,
    dpm_solver,
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_3m,
    dpmpp_3m_as_published,
    dpmpp_3m_sde,
    dpmpp_sde,
    dpmpp_singlestep,
    edm,
    er_sde,
    euler,
    euler_ancestral,
    heun,
    last,
    lms,
    plms,
    predictor_corrector,
    restart,
    sa_solver,
    sampler,
    unipc,
)
from tinydiff.diffusion.schedules import SCHEDULES, cosine_schedule, linear_schedule
from tinydiff.diffusion.targets import TARGETS, Predict, Target, predictor, simple_loss
from tinydiff.diffusion.times import edm_steps, equal_steps, log_snr_steps, spaced_steps

__all__ = [
    "SAMPLERS",
    "SCHEDULES",
    "TARGETS",
    "FiniteData",
    "Gaussian",
    "GaussianDiffusion",
    "GaussianMixture",
    "Predict",
    "Sampler",
    "Target",
    "annealed_langevin",
    "autoguidance",
    "bounded",
    "classifier_free_guidance",
    "classifier_guidance",
    "cosine_schedule",
    "ddim",
    "ddpm",
    "deis",
    "dpm_2",
    "dpm_solver",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_3m",
    "dpmpp_3m_as_published",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "dpmpp_singlestep",
    "edm",
    "edm_steps",
    "eps_weight",
    "equal_steps",
    "er_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "last",
    "linear_schedule",
    "lms",
    "log_snr_steps",
    "normal_kl",
    "plms",
    "predictor",
    "predictor_corrector",
    "prior_term",
    "restart",
    "sa_solver",
    "sampler",
    "simple_loss",
    "spaced_steps",
    "step_term",
    "unipc",
]
