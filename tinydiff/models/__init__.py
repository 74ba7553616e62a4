"""Trained models as a whole: saved and loaded, drawn with, edited with."""

from tinydiff.models.classifier import class_gradient, load_classifier, load_noisy_classifier
from tinydiff.models.clip import ClipModel, load_clip, save_clip
from tinydiff.models.config import ModelConfig, default_micro_batch
from tinydiff.models.diffusion import DiffusionModel, Progress
from tinydiff.models.editing import draw_from, fill_in, fills_in, image_to_image, inpaint, interpolate, invert
from tinydiff.models.old_store import load_model, save_model
from tinydiff.models.request import Guidance, Request
from tinydiff.models.sample import sample
from tinydiff.models.store import SHIPPED, find_folder, read_settings
from tinydiff.models.word_maps import word_maps

__all__ = [
    "SHIPPED",
    "ClipModel",
    "DiffusionModel",
    "Guidance",
    "ModelConfig",
    "Progress",
    "Request",
    "class_gradient",
    "default_micro_batch",
    "draw_from",
    "fill_in",
    "fills_in",
    "find_folder",
    "image_to_image",
    "inpaint",
    "interpolate",
    "invert",
    "load_classifier",
    "load_clip",
    "load_model",
    "load_noisy_classifier",
    "read_settings",
    "sample",
    "save_clip",
    "save_model",
    "word_maps",
]
