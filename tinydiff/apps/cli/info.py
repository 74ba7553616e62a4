"""The command ``tinydiff info``."""

import json
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from tyro.conf import Positional

import tinydiff
from tinydiff import plot
from tinydiff.apps.cli.screen import say
from tinydiff.base import DataError, DeviceError, InputError, check_choice, counted, select_device
from tinydiff.data import DATASETS, load_data
from tinydiff.models import shipped_models
from tinydiff.plot import about_picture
from tinydiff.workers import default_threads

SHOWN, SIDE = 32, 128  # pictures of a data set that are shown, and their size where they are drawn at any


@dataclass(frozen=True)
class Info:
    """Print versions, the device, the models that ship and the data sets; or what a picture was drawn from."""

    picture: Positional[Path | None] = None
    """A picture that tinydiff drew, such as samples/pictures/000.png or samples/grid.png."""
    show: str | None = None
    """A data set, by name: the first of its pictures, with what they show, are saved as NAME.png."""

    def run(self) -> None:
        """Print all of it, or what the picture's file says, or show a data set."""
        if self.show is not None:
            if self.picture is not None:
                raise InputError(f"show is {self.show!r}, but a picture was named, too: leave one of them out.")
            say(_show(self.show))
            return
        if self.picture is not None:
            about = about_picture(self.picture)
            if about is None:
                raise DataError(
                    f"{self.picture} does not say what it was drawn from; the PNGs and GIFs of tinydiff do."
                )
            for name, value in about.items():
                plain = isinstance(value, str) and value.isprintable()
                say(f"{name}: {value if plain else json.dumps(value)}")  # a value with a line break stays on its line
            return
        say(f"tinydiff {tinydiff.__version__}, Python {platform.python_version()}, {platform.platform()}")
        say(f"NumPy {np.__version__}, SciPy {scipy.__version__}, {counted(default_threads(), 'core')}")
        try:
            say(f"GPU: {select_device('cuda').name}")
        except DeviceError as error:
            say(f"GPU: none. {error}")
        for name, folder in shipped_models().items():
            say(f"Model {name}: {folder}")
        for name, known in DATASETS.items():
            if not known.downloads:  # put together or drawn when it is asked for, which may take seconds
                say(f"Data {name}: {known.summary.removeprefix('Return ')}")
                continue
            try:
                say(f"Data {load_data(name, 'train', network=False).describe()}")
            except DataError as error:
                say(f"Data {str(error).partition('. ')[0]}")


def _show(name):
    """Save the first pictures of a data set with their captions or classes; return a line that says where."""
    check_choice("show", name, tuple(DATASETS))
    drawn = DATASETS[name].drawn
    data = load_data(name, "train") if drawn is None else drawn("train", SHOWN, SIDE)
    images, labels = data.batch(np.arange(min(SHOWN, len(data))))
    if data.captions is not None:
        texts = data.captions[: len(images)]
    else:
        texts = [data.class_names[label] if data.class_names else str(label) for label in labels]
    sheet = plot.captioned_images(images, texts, columns=8)
    return f"{data.describe()}. The first {len(images)}: {plot.save_image(sheet, Path(f'{name}.png'))}"
