"""The command ``tinydiff info``."""

import platform
from dataclasses import dataclass

import numpy as np
import scipy

import tinydiff
from tinydiff.base import DataError, DeviceError, select_device
from tinydiff.data import DATASETS, load_data
from tinydiff.models import SHIPPED
from tinydiff.workers import default_threads


@dataclass(frozen=True)
class Info:
    """Print versions, the device, the models that ship and the data sets that are found."""

    def run(self) -> None:
        """Print all of it."""
        print(f"tinydiff {tinydiff.__version__}, Python {platform.python_version()}, {platform.platform()}")
        print(f"NumPy {np.__version__}, SciPy {scipy.__version__}, {default_threads()} cores")
        try:
            print(f"GPU: {select_device('cuda').name}")
        except DeviceError as error:
            print(f"GPU: none. {error}")
        for card in sorted(SHIPPED.glob("*/config.json")):
            print(f"Model {card.parent.name}: {card.parent}")
        for name in DATASETS:
            try:
                print(f"Data {load_data(name, 'train', network=False).describe()}")
            except DataError as error:
                print(f"Data {str(error).partition('. ')[0]}")
