"""What trainings of models that draw in one pass have in common: their data, and the shape that these decide partly."""

from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

from tinydiff.apps.cli.options import DATASET_NAMES
from tinydiff.apps.cli.train.command import TrainCommand
from tinydiff.apps.cli.train.data import FOLDER_HELP, DataOptions, Fit, prepare_data
from tinydiff.base import to_table
from tinydiff.data import Dataset


@dataclass(frozen=True)
class OnePassCommand(TrainCommand):
    """The options of a training of small pictures, without labels."""

    data: Annotated[str, arg(help=f"{DATASET_NAMES}, {FOLDER_HELP}.")] = "digits"
    fit: Fit = "crop"
    """What is done to a folder's pictures of another shape: keep the middle, add bars, or distort."""
    background: str = "white"
    """What transparent parts of a folder's pictures are put onto, and the colour of bars: a name, or #rrggbb."""
    network: Any = None
    """The shape of the network; its image_size decides how images are resized."""

    def pictures(self) -> tuple[Dataset, Dataset, Any]:
        """Return training and held-out pictures, and the shape of a network that fits them."""
        options = DataOptions(
            self.data, "network", self.given, fit=self.fit, background=self.background, only_pictures=True
        )
        return prepare_data(options, self.network)

    def settings(self, objective: Any) -> dict[str, Any]:
        """Return all options as they were resolved, with the shape of the network, which the data decide partly."""
        return {**super().settings(objective), "network": to_table(objective.network.config)}
