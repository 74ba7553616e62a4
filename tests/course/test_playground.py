"""Noise flows to the points that somebody draws, and what is no set of points is refused."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.course import flow_of_points
from tinydiff.course.playground import MOST_DRAWN
from tinydiff.diffusion import SAMPLERS

MINE = np.array([[-1.0, 0.5], [0.8, 0.8], [0.0, -0.9]])


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "heun", "dpmpp_2m"])
def test_noise_ends_on_the_points_as_many_on_each(sampler):
    frames = list(flow_of_points(MINE, 600, sampler, 40, seed=3))
    ends = frames[-1][1]
    distances = np.linalg.norm(ends[:, None] - MINE, axis=2)
    assert np.quantile(distances.min(axis=1), 0.99) < 0.05
    shares = np.bincount(distances.argmin(axis=1), minlength=3) / 600
    assert (abs(shares - 1 / 3) < 0.12).all()  # six standard errors of 0.019: by chance less than once in 10^8
    assert frames[-1][0] == 0
    assert len(frames) == 40


def test_a_single_step_leads_to_the_mean_of_all():
    ((_, x, _),) = flow_of_points(MINE, 50, "ddim", 1)
    np.testing.assert_allclose(x, np.broadcast_to(MINE.mean(axis=0), (50, 2)), atol=0.05)


def test_the_seed_decides_and_options_arrive():
    def end(**options):
        *_, (_, x, _) = flow_of_points(MINE.tolist(), 20, steps=5, **options)
        return x

    np.testing.assert_array_equal(end(seed=1), end(seed=1))
    assert (end(seed=1) != end(seed=2)).any()
    assert (end(seed=1) != end(seed=1, eta=1.0)).any()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"points": []}, r"points has shape \(0,\)"),
        ({"points": np.zeros((0, 2))}, "There are 0 points"),
        ({"points": np.zeros((MOST_DRAWN + 1, 2))}, "There are 501 points, but 1 to 500"),
        ({"points": [[0, 1], [2]]}, "no point"),
        ({"points": "0 0"}, "no point"),
        ({"points": [[0.0, float("nan")]]}, "from -3 to 3"),
        ({"points": [[0.0, 3.5]]}, "from -3 to 3"),
        ({"points": np.zeros((3, 3))}, "points has shape"),
        ({"n": 0}, "n is 0"),
        ({"n": 2001}, "n is 2001"),
        ({"steps": 251}, "steps is 251"),
        ({"seed": -1}, "seed is -1"),
        ({"sampler": "eulr"}, f"one of {next(iter(map(repr, SAMPLERS)))}"),
    ],
)
def test_what_cannot_flow_is_refused_by_the_call(given, told):
    with pytest.raises(InputError, match=told):
        flow_of_points(**{"points": MINE, **given})
