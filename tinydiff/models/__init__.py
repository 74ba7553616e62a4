"""Trained models: saving and loading them, drawing samples, editing pictures."""

import tinydiff.models.quantised_autoencoder  # noqa: F401  # which registers a class of models
from tinydiff.models.attributes import Verdicts, attribute_agreement, attribute_features, read_attributes
from tinydiff.models.autoencoder import LatentAutoencoder, measure_latents
from tinydiff.models.cascade import Cascade
from tinydiff.models.classifier import class_gradient
from tinydiff.models.clip import ClipModel, best_of, clip_gradient, clip_guided_chain, clip_scores
from tinydiff.models.compare import LayerDifference, compare_networks
from tinydiff.models.config import ModelConfig, default_micro_batch
from tinydiff.models.diffusers import (
    PublicCheckpoint,
    inspect_checkpoint,
    read_checkpoint,
    read_scheduler,
    scheduled_chain,
    timetable,
    write_checkpoint,
)
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.editing import draw_from, fill_in, fills_in, image_to_image, inpaint, interpolate, invert
from tinydiff.models.enlarger import Enlarger
from tinydiff.models.latent import LatentDiffusion
from tinydiff.models.new_words import notes_on_words
from tinydiff.models.one_pass import OnePassModel, draw_at_once, refuse_chain
from tinydiff.models.parts import Progress
from tinydiff.models.preview import LinearPreview, fit_preview
from tinydiff.models.prior import Prior
from tinydiff.models.request import GUIDANCE_FOR_PROMPTS, SAMPLER, STEPS, Guidance, Request, guidance_for, usual_steps
from tinydiff.models.sample import PictureModel, base_of, load_picture_model, sample
from tinydiff.models.store import SHIPPED, class_of, find_folder, load, read_about, register, save, shipped_models
from tinydiff.models.unclip import UnClip, between_pictures, text_difference, towards_text, variations
from tinydiff.models.word_maps import word_maps

__all__ = [
    "GUIDANCE_FOR_PROMPTS",
    "SAMPLER",
    "SHIPPED",
    "STEPS",
    "Cascade",
    "ClipModel",
    "DiffusionModel",
    "Enlarger",
    "Guidance",
    "LatentAutoencoder",
    "LatentDiffusion",
    "LayerDifference",
    "LinearPreview",
    "ModelConfig",
    "OnePassModel",
    "PictureModel",
    "Prior",
    "Progress",
    "PublicCheckpoint",
    "Request",
    "UnClip",
    "Verdicts",
    "attribute_agreement",
    "attribute_features",
    "base_of",
    "best_of",
    "between_pictures",
    "class_gradient",
    "class_of",
    "clip_gradient",
    "clip_guided_chain",
    "clip_scores",
    "compare_networks",
    "default_micro_batch",
    "draw_at_once",
    "draw_from",
    "fill_in",
    "fills_in",
    "find_folder",
    "fit_preview",
    "guidance_for",
    "image_to_image",
    "inpaint",
    "inspect_checkpoint",
    "interpolate",
    "invert",
    "load",
    "load_picture_model",
    "measure_latents",
    "notes_on_words",
    "read_about",
    "read_attributes",
    "read_checkpoint",
    "read_scheduler",
    "refuse_chain",
    "register",
    "sample",
    "save",
    "scheduled_chain",
    "shipped_models",
    "text_difference",
    "timetable",
    "towards_text",
    "usual_steps",
    "variations",
    "word_maps",
    "write_checkpoint",
]
