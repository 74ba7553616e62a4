"""Scenes: captioned pictures of any size, drawn by our own code from a few words and a seed.

A scene is an object, or several, in a place, at a time of day, in some weather, drawn in one of three styles. All of it
is known exactly, so that a judge can be trained who reads what a picture shows. Every shape was designed for tinydiff:
no data were collected, and nobody's likeness is drawn.

Read `scene`, `compose` and `captions` for what there is, `canvas` and `light` for how it is painted, and then any file
of `places/` and `objects/`.
"""

from tinydiff.data.scenes.attributes import ATTRIBUTES, answers
from tinydiff.data.scenes.captions import describe
from tinydiff.data.scenes.compose import compose
from tinydiff.data.scenes.painting import render
from tinydiff.data.scenes.scene import Scene
from tinydiff.data.scenes.sets import DrawnScenes, load_scenes

__all__ = ["ATTRIBUTES", "DrawnScenes", "Scene", "answers", "compose", "describe", "load_scenes", "render"]
