"""The command ``tinydiff train``: what every training shares, and a file for the options of each objective."""

from tinydiff.apps.cli.train.arguments import parse_train
from tinydiff.apps.cli.train.classify import TrainClassifier
from tinydiff.apps.cli.train.command import OBJECTIVES, TrainCommand
from tinydiff.apps.cli.train.contrast import TrainClip
from tinydiff.apps.cli.train.denoise import Train

__all__ = ["OBJECTIVES", "Train", "TrainClassifier", "TrainClip", "TrainCommand", "parse_train"]
