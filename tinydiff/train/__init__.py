"""Training: optimizers on flat vectors, checkpoints, and the loop."""

from tinydiff.train.objectives.contrast import ClipTrainConfig, train_clip
from tinydiff.train.objectives.new_word import InversionConfig, learn_word
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate, update_ema
from tinydiff.train.run import TrainConfig, Trainer, read_log

__all__ = [
    "AdamW",
    "ClipTrainConfig",
    "InversionConfig",
    "TrainConfig",
    "Trainer",
    "clip_by_global_norm",
    "ema_decay",
    "learn_word",
    "learning_rate",
    "read_log",
    "train_clip",
    "update_ema",
]
