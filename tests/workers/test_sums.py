"""A sum over shards: the same bits for any number of threads and of processes."""

from contextlib import closing

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.workers import LaneSum

PARTS = np.random.default_rng(2).standard_normal((13, 50)).astype(np.float32)
ZERO = np.zeros(50, np.float32)


def add_part(shard, total, scale=1):
    total += scale * PARTS[shard]
    return shard


@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 20])
def test_any_number_of_threads_and_processes_gives_the_same_bits(lanes):
    sums = []
    for processes, threads in [(False, 1), (False, 2), (False, 5), (True, 2), (True, 3)]:
        lane_sum = LaneSum(add_part, 13, ZERO, lanes, threads, processes)
        for scale in (3, 1):  # the second sum begins at zero again
            assert lane_sum(scale) == list(range(13))
        sums.append(lane_sum.totals[0].copy())
        lane_sum.close()
    np.testing.assert_allclose(sums[0], PARTS.sum(axis=0), rtol=1e-4, atol=1e-5)
    for total in sums[1:]:
        np.testing.assert_array_equal(total, sums[0])


def test_lanes_are_added_as_a_tree():
    """In float32, 2^24 + 1 is 2^24: the sum tells in which order it was taken."""
    parts = np.array([2.0**24, 1, 1, 1], np.float32)

    def add(shard, total):
        total += parts[shard]

    for lanes, expected in [(1, 2.0**24), (2, 2.0**24 + 2), (4, 2.0**24 + 2)]:
        lane_sum = LaneSum(add, 4, np.zeros(1, np.float32), lanes, 1)
        lane_sum()
        assert lane_sum.totals[0][0] == expected


@pytest.mark.parametrize(("processes", "threads"), [(False, 1), (False, 3), (True, 2)])
def test_an_error_in_a_lane_is_raised_here_and_the_next_sum_is_right(processes, threads):
    def work(shard, total, bad):
        if shard == bad:
            raise InputError("mine")
        return add_part(shard, total)

    with closing(LaneSum(work, 13, ZERO, 3, threads, processes)) as lane_sum:
        for bad in (0, 1, 12):
            with pytest.raises(InputError, match="mine"):
                lane_sum(bad)
        lane_sum(99)
        np.testing.assert_allclose(lane_sum.totals[0], PARTS.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_threads_below_one_are_refused():
    with pytest.raises(InputError, match="threads is 0"):
        LaneSum(add_part, 13, ZERO, 3, 0)()
