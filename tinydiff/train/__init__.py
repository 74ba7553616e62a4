"""Training: one loop for all objectives, the optimizer on flat vectors, checkpoints, the log."""

from tinydiff.train.config import TrainConfig, ValidatedConfig
from tinydiff.train.log import read_log
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.objectives import (
    AttributeData,
    Classify,
    ClassifyAttributes,
    ClassifyAttributesConfig,
    ClassifyConfig,
    Contrast,
    ContrastConfig,
    Decode,
    DecodeConfig,
    Denoise,
    DenoiseConfig,
    NewWord,
    NewWordConfig,
    Quantise,
    QuantiseConfig,
    Reconstruct,
    ReconstructConfig,
    learn_word,
    random_steps,
)
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate, update_ema
from tinydiff.train.run import Run

__all__ = [
    "AdamW",
    "AttributeData",
    "Classify",
    "ClassifyAttributes",
    "ClassifyAttributesConfig",
    "ClassifyConfig",
    "Contrast",
    "ContrastConfig",
    "Decode",
    "DecodeConfig",
    "Denoise",
    "DenoiseConfig",
    "NewWord",
    "NewWordConfig",
    "Objective",
    "Phase",
    "Quantise",
    "QuantiseConfig",
    "Reconstruct",
    "ReconstructConfig",
    "Run",
    "TrainConfig",
    "ValidatedConfig",
    "clip_by_global_norm",
    "ema_decay",
    "learn_word",
    "learning_rate",
    "random_steps",
    "read_log",
    "update_ema",
]
