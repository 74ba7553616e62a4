"""Training: optimizers on flat vectors, checkpoints, and the loop."""

from tinydiff.train.loop import TrainConfig, Trainer, read_log
from tinydiff.train.optim import AdamW, clip_by_global_norm, ema_decay, learning_rate, update_ema

__all__ = [
    "AdamW",
    "TrainConfig",
    "Trainer",
    "clip_by_global_norm",
    "ema_decay",
    "learning_rate",
    "read_log",
    "update_ema",
]
