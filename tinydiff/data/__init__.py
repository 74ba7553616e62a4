"""Data: three small sets that ship with tinydiff, full MNIST and Fashion-MNIST, and one's own images."""

from tinydiff.data.avatars.sets import load_avatars
from tinydiff.data.dataset import Dataset, to_floats, to_images
from tinydiff.data.folder import load_folder
from tinydiff.data.sets import NAMES, load_data

__all__ = ["NAMES", "Dataset", "load_avatars", "load_data", "load_folder", "to_floats", "to_images"]
