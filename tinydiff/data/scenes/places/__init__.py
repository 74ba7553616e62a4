"""The places of scenes, one in each file; a new file in this folder is found by itself."""

from tinydiff.base import import_modules
from tinydiff.data.scenes.places.registry import PAINTED as PAINTED
from tinydiff.data.scenes.places.registry import Anchors as Anchors

import_modules(__name__)
