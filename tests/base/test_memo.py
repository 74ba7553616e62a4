"""What is derived from weights: made once while they stand still, and never stale."""

import threading

import numpy as np
import pytest

from tinydiff.base import derived, weights_stand_still
from tinydiff.functional import conv2d
from tinydiff.workers import LaneSum, map_shards, run_parallel

W = np.ones(3)


class Counted:
    """A transform that counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, w):
        self.calls += 1
        return 2 * w


def test_outside_everything_is_made_anew():
    make = Counted()
    for _ in range(3):
        np.testing.assert_array_equal(derived(make, W), 2 * W)
    assert make.calls == 3


def test_inside_it_is_made_once_for_each_array_and_transform():
    make, other, more = Counted(), Counted(), np.ones(3)
    with weights_stand_still():
        first = derived(make, W)
        with weights_stand_still():  # within another it changes nothing
            assert derived(make, W) is first
        assert derived(make, W) is first
        assert derived(make, more) is not first
        assert derived(other, W) is not first
    assert (make.calls, other.calls) == (2, 1)


def test_what_was_made_is_forgotten_at_the_end_and_weights_may_change():
    make, w = Counted(), np.ones(3)
    with weights_stand_still():
        derived(make, w)
    w[0] = 7
    with weights_stand_still():
        assert derived(make, w)[0] == 14


def test_an_array_that_took_the_place_of_a_freed_one_is_not_taken_for_it():
    with weights_stand_still():
        for k in range(50):
            assert derived(np.negative, np.full(3, float(k)))[0] == -k


def test_it_ends_when_an_error_is_raised():
    make = Counted()
    with pytest.raises(KeyError), weights_stand_still():
        {}[derived(make, W).sum()]
    derived(make, W)
    assert make.calls == 2


def test_another_thread_does_not_share_it_unless_it_is_a_worker():
    make = Counted()
    with weights_stand_still():
        derived(make, W)
        thread = threading.Thread(target=derived, args=(make, W))
        thread.start()
        thread.join(timeout=20)
        assert make.calls == 2
        run_parallel([lambda: derived(make, W)] * 4, 2)
        assert make.calls == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_shards_and_lanes_share_it_and_it_ends_with_them(threads):
    make = Counted()
    x = np.ones((8, 1))
    map_shards(lambda x: x * derived(make, W)[0], (x,), 2, threads)
    assert make.calls == 1
    LaneSum(lambda shard, total: derived(make, W), 6, np.zeros(1), 3, threads, processes=False)()
    assert make.calls == 2


def test_a_convolution_sees_weights_that_changed_between_two_shards_calls():
    x, w = np.ones((4, 8, 8, 16)), np.ones((3, 3, 16, 16))
    before = map_shards(lambda x: conv2d(x, w, None, 1, 1, "winograd")[0], (x,), 2)
    w *= 2
    after = map_shards(lambda x: conv2d(x, w, None, 1, 1, "winograd")[0], (x,), 2)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-12)
