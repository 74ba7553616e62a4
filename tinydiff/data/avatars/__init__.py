"""Portraits of 16 x 16 pixels with captions: put together from parts, so that what a picture shows is known exactly.

A portrait is a body and up to eight parts, painted one over the other. Each slot (hair, hat, ...) holds one part or
none, and has one colour. A caption names only parts that can be seen, and never skin, eyes or mouth. No portrait is a
photo or shows a real person: the part and the colour of each slot are drawn at random, independently.

Source: the pixel-art parts by DiceBear, CC0 1.0, collected by `tools/make_avatar_parts.py`.
"""

from tinydiff.data.avatars.captions import Caption, describe
from tinydiff.data.avatars.compose import SPLITS, compose
from tinydiff.data.avatars.entropy import Entropy, descriptions_of, log2_probability, portrait_entropy
from tinydiff.data.avatars.judge import Verdict, agreement, judge
from tinydiff.data.avatars.rendering import render
from tinydiff.data.avatars.sets import load_avatars
from tinydiff.data.avatars.slots import Portraits

__all__ = [
    "SPLITS",
    "Caption",
    "Entropy",
    "Portraits",
    "Verdict",
    "agreement",
    "compose",
    "describe",
    "descriptions_of",
    "judge",
    "load_avatars",
    "log2_probability",
    "portrait_entropy",
    "render",
]
