"""The objects of scenes, one in each file; a new file in this folder is found by itself."""

from tinydiff.base import import_modules
from tinydiff.data.scenes.objects.registry import OBJECTS as OBJECTS

import_modules(__name__)
