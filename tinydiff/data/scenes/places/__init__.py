"""The places of scenes, one in each file; a new file in this folder is found by itself."""

from tinydiff.base import import_modules
from tinydiff.data.scenes.places.registry import PAINTED, Anchors, Place, place

import_modules(__name__)

__all__ = ["PAINTED", "Anchors", "Place", "place"]
