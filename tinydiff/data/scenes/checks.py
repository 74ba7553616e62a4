"""Checks of a scene: its words are known, and fit together, so that whoever paints it may rely on that."""

from tinydiff.base import InputError, check_choice, shown
from tinydiff.data.scenes.objects import OBJECTS
from tinydiff.data.scenes.places import PAINTED
from tinydiff.data.scenes.scene import COUNTS, PLACES, POSITIONS, SIZES, STYLES, TIMES, WEATHERS, Scene


def check_words(scene: Scene) -> None:
    """Raise `InputError` unless all words of a scene are known, each for the object that it is said of."""
    check_choice("object", scene.object, tuple(OBJECTS))
    check_choice(f"colour of a {scene.object}", scene.colour, OBJECTS[scene.object].colours)
    for name, words in (
        ("size", SIZES), ("count", COUNTS), ("place", PLACES), ("time", TIMES), ("weather", WEATHERS), ("style", STYLES)
    ):  # fmt: skip
        check_choice(name, getattr(scene, name), words)
    if scene.other != "" or scene.other_colour != "":
        check_choice("other", scene.other, tuple(OBJECTS))
        check_choice(f"other_colour of a {scene.other}", scene.other_colour, OBJECTS[scene.other].colours)
        check_choice("count of a scene with another object", scene.count, (1,))
        check_choice("position of a scene with another object", scene.position, ("left", "right"))
    elif scene.count == 1:
        check_choice("position", scene.position, POSITIONS)
    elif scene.position != "":
        raise InputError(
            f"position is {shown(scene.position)}, but '' was expected: {scene.count} objects stand side by side."
        )


def check_scene(scene: Scene) -> None:
    """Raise `InputError` unless the words of a scene are known, and its objects can be where they say.

    It need not be a natural one: a snowman may stand in a desert.
    """
    check_words(scene)
    phrases = PAINTED[scene.place].phrases
    if scene.position == "top" and "top" not in phrases:
        raise InputError(
            f"position is 'top', but the place is {scene.place!r}: 'left', 'middle' or 'right', or the place "
            f"{_places_with('top')} was expected."
        )
    for name in (scene.object, scene.other):
        if name and OBJECTS[name].stands not in phrases:
            stands = OBJECTS[name].stands
            raise InputError(
                f"place is {scene.place!r}, but {_places_with(stands)} was expected: a {name} is on the {stands}."
            )


def _places_with(anchor):
    """Return the places that have water, or a top, in words."""
    return " or ".join(repr(place) for place in PLACES if anchor in PAINTED[place].phrases)
