"""Precision and recall are what their definition says."""

import numpy as np
import pytest
from arrays import to_xp

from tinydiff.base import InputError
from tinydiff.evaluate import precision_and_recall


def by_definition(real, drawn, k):
    """Precision and recall with loops."""

    def share(points, centres):
        inside = 0
        for point in points:
            for i, centre in enumerate(centres):
                others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(centres) if j != i)
                if np.linalg.norm(point - centre) <= others[k - 1]:
                    inside += 1
                    break
        return inside / len(points)

    return share(drawn, real), share(real, drawn)


@pytest.mark.equation("PR-1")
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_what_their_definition_says(xp, k):
    rng = np.random.default_rng(0)
    real, drawn = rng.normal(size=(30, 2)), 0.5 + 0.7 * rng.normal(size=(25, 2))
    found = precision_and_recall(to_xp(xp, real), to_xp(xp, drawn), k)
    assert found == by_definition(real, drawn, k)
    assert 0 < found[1] < found[0] < 1


@pytest.mark.equation("PR-1")
def test_a_dropped_mode_costs_recall_a_strange_one_precision():
    rng = np.random.default_rng(0)
    left, right = rng.normal(-20, 1, (100, 3)), rng.normal(20, 1, (100, 3))
    both, strange = np.concatenate([left, right]), rng.normal(60, 1, (100, 3))
    assert precision_and_recall(both, left) == (1.0, 0.5)  # what is there is copied
    assert precision_and_recall(both, np.concatenate([both, strange])) == (2 / 3, 1.0)
    assert precision_and_recall(both, strange) == (0.0, 0.0)
    assert precision_and_recall(both, both) == (1.0, 1.0)


def test_precision_and_recall_of_too_few_images():
    with pytest.raises(InputError, match="real has 3 images, but more than k = 3"):
        precision_and_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(InputError, match="drawn has shape"):
        precision_and_recall(np.zeros((9, 2)), np.zeros((9, 3)))
