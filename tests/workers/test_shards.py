"""Shards: neither their number nor that of the threads changes the bits."""

import itertools

import numpy as np
import pytest
from arrays import to_host, to_xp
from blas import blas_threads

from tinydiff.base import Condition, InputError
from tinydiff.workers import map_shards

W = np.random.default_rng(0).standard_normal((37, 19)).astype(np.float32)
X = np.random.default_rng(1).standard_normal((11, 37)).astype(np.float32)


def test_shards_give_what_the_whole_gives(xp):
    x, w = to_xp(xp, X), to_xp(xp, W)
    y = map_shards(lambda x, _: x @ w, (x, None), 4)
    np.testing.assert_allclose(to_host(y), X @ W, rtol=1e-5, atol=1e-5)


def test_none_is_handed_on_and_all_arrays_are_cut_together():
    def f(x, nothing, k):
        assert nothing is None
        return x[:, 0] + k

    y = map_shards(f, (X, None, np.arange(11)), 4)
    np.testing.assert_array_equal(y, X[:, 0] + np.arange(11))


@pytest.mark.parametrize("micro_batch", [1, 3, 4, 16])
def test_a_samples_bits_do_not_depend_on_its_batch(micro_batch):
    whole = map_shards(lambda x: np.tanh(x @ W), (X,), micro_batch)
    for first, last in itertools.combinations(range(12), 2):
        part = map_shards(lambda x: np.tanh(x @ W), (X[first:last],), micro_batch, first=first)
        np.testing.assert_array_equal(part, whole[first:last])


def test_the_number_of_threads_does_not_change_the_bits():
    one, two, many = (map_shards(lambda x: np.tanh(x @ W), (X,), 2, threads) for threads in (1, 2, 9))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, many)


def test_every_shard_has_the_same_size():
    sizes = []
    map_shards(lambda x: sizes.append(len(x)) or x, (X,), 4, threads=1, first=3)
    assert sizes == [4, 4, 4, 4]
    with pytest.raises(InputError, match="nothing to compute"):
        map_shards(lambda x: x, (X[:0],), 4)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_shard_is_raised_here(threads):
    def fail(*_):
        raise InputError("mine")

    before = blas_threads()
    with pytest.raises(InputError, match="mine"):
        map_shards(fail, (X,), 4, threads)
    assert blas_threads() == before


def test_a_context_of_several_arrays_is_cut_with_the_samples():
    x = np.arange(10.0)
    condition = Condition(labels=np.arange(10), pooled=np.arange(10.0)[:, None])

    def f(x, context, nothing):
        assert nothing is None
        assert context.tokens is None
        return x + context.labels + context.pooled[:, 0]

    np.testing.assert_array_equal(map_shards(f, (x, condition, None), micro_batch=4, threads=2, first=3), 3 * x)


def test_arrays_of_different_lengths_are_refused_and_no_row_is_dropped():
    with pytest.raises(InputError, match="The arrays have 11, 10 rows, but as many in each were expected"):
        map_shards(lambda x, y: x, (X, X[:10]), 4)
