"""Data: three small sets that ship with tinydiff, full MNIST and Fashion-MNIST, and one's own images."""

from tinydiff.data.avatars.sets import load_avatars
from tinydiff.data.dataset import Dataset, to_floats, to_images
from tinydiff.data.folder import load_folder
from tinydiff.data.sets import NAMES, load

__all__ = ["NAMES", "Dataset", "load", "load_avatars", "load_folder", "to_floats", "to_images"]
