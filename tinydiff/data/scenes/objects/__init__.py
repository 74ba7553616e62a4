"""The objects of scenes, one in each file; a new file in this folder is found by itself."""

from tinydiff.base import import_modules
from tinydiff.data.scenes.objects.registry import OBJECTS, Drawing, drawing

import_modules(__name__)

__all__ = ["OBJECTS", "Drawing", "drawing"]
