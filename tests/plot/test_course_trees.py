"""The tree of questions shows every text, each once, and none over another."""

import pytest

from tinydiff.base import InputError
from tinydiff.plot import decision_tree


def test_every_text_is_shown_once_and_branches_stand_at_the_middle_of_their_leaves():
    branches = {"black": ["first", "second " * 20], "noise": ["third"]}
    figure = decision_tree("What do you see?", branches)
    (axes,) = figure.axes
    texts = {text.get_text().replace("\n", " "): text.get_position() for text in axes.texts}
    leaves = [leaf.strip() for found in branches.values() for leaf in found]
    assert set(texts) == {"What do you see?", *branches, *leaves}
    heights = [texts[leaf][1] for leaf in leaves]
    assert heights == sorted(heights)
    assert texts["noise"][1] == texts["third"][1]
    assert texts["first"][1] < texts["black"][1] < texts[("second " * 20).strip()][1]
    assert texts["What do you see?"][0] < texts["black"][0] < texts["first"][0]


@pytest.mark.parametrize(
    ("branches", "message"),
    [({}, "branches holds 0"), ({str(i): ["a"] for i in range(11)}, "branches holds 11"), ({"a": []}, "under 'a'")],
)
def test_a_tree_without_leaves_or_with_too_many_branches_is_refused(branches, message):
    with pytest.raises(InputError, match=message):
        decision_tree("?", branches)
