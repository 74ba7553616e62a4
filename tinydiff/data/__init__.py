"""Data: small sets that ship with tinydiff, full MNIST and Fashion-MNIST, and one's own images.

Each set is decorated with `dataset` where it is defined, which puts it into the list `DATASETS`: a new file in this
folder is found without another being touched.
"""

from tinydiff.base import import_modules
from tinydiff.data.avatars.sets import load_avatars
from tinydiff.data.dataset import Dataset, to_floats, to_images
from tinydiff.data.folder import load_folder
from tinydiff.data.latents import LatentData, encode_once
from tinydiff.data.listing import Listing, list_folder
from tinydiff.data.pictures import fit_picture, read_picture
from tinydiff.data.points import POINTS, PointData, PointSet, load_points, point_density, points
from tinydiff.data.psnr import peak_signal_to_noise
from tinydiff.data.sets import DATASETS, KnownDataset, dataset, load_data

import_modules(__name__)

__all__ = [
    "DATASETS",
    "POINTS",
    "Dataset",
    "KnownDataset",
    "LatentData",
    "Listing",
    "PointData",
    "PointSet",
    "dataset",
    "encode_once",
    "fit_picture",
    "list_folder",
    "load_avatars",
    "load_data",
    "load_folder",
    "load_points",
    "peak_signal_to_noise",
    "point_density",
    "points",
    "read_picture",
    "to_floats",
    "to_images",
]
