"""The command ``tinydiff train``: what every training shares, and a file for the options of each objective.

Each is decorated with `trains`, which puts it into the list `OBJECTIVES`: a new file in this folder is found without
another being touched.
"""

from tinydiff.apps.cli.train.arguments import parse_train
from tinydiff.apps.cli.train.classify import TrainClassifier
from tinydiff.apps.cli.train.command import OBJECTIVES, TrainCommand
from tinydiff.apps.cli.train.contrast import TrainClip
from tinydiff.apps.cli.train.denoise import Train
from tinydiff.apps.cli.train.quantise import TrainQuantised
from tinydiff.apps.cli.train.reconstruct import TrainAutoencoder
from tinydiff.base import import_modules

import_modules(__name__)

__all__ = [
    "OBJECTIVES",
    "Train",
    "TrainAutoencoder",
    "TrainClassifier",
    "TrainClip",
    "TrainCommand",
    "TrainQuantised",
    "parse_train",
]
