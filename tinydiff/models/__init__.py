"""Trained models as a whole: saved and loaded, drawn with, edited with."""

from tinydiff.models.classifier import class_gradient
from tinydiff.models.clip import ClipModel
from tinydiff.models.diffusion import (
    SAMPLERS,
    SCHEDULES,
    DiffusionModel,
    ModelConfig,
    default_micro_batch,
    named_sampler,
    sample,
)
from tinydiff.models.editing import draw_from, fill_in, fills_in, image_to_image, inpaint, interpolate, invert
from tinydiff.models.request import Guidance
from tinydiff.models.store import SHIPPED, find_folder, load, read_about, register, save
from tinydiff.models.word_maps import word_maps

# what the training tools are called with until they take `load` and `save`
load_clip = load
save_clip = save_model = save

__all__ = [
    "SAMPLERS",
    "SCHEDULES",
    "SHIPPED",
    "ClipModel",
    "DiffusionModel",
    "Guidance",
    "ModelConfig",
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
    "load",
    "named_sampler",
    "read_about",
    "register",
    "sample",
    "save",
    "word_maps",
]
