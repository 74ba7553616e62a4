"""Shards, lanes and threads: the time changes, the bits do not."""

import itertools
import os
import platform
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from arrays import to_host, to_xp
from threadpoolctl import threadpool_info, threadpool_limits

from tinydiff.base import Condition, InputError
from tinydiff.workers import map_shards, one_blas_thread, run_parallel

W = np.random.default_rng(0).standard_normal((37, 19)).astype(np.float32)
X = np.random.default_rng(1).standard_normal((11, 37)).astype(np.float32)


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


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


def test_blas_has_one_thread_inside_and_what_it_had_afterwards():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        inside = run_parallel([blas_threads, lambda: run_parallel([blas_threads])[0]], 2)
        assert inside == [[1] * len(before)] * 2
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError):
            run_parallel([lambda: 1 / 0, blas_threads], 2)
        assert blas_threads() == before


def test_tasks_run_side_by_side_and_come_back_in_order():
    barrier = threading.Barrier(2, timeout=20)

    def meet(k):
        barrier.wait()
        return k

    assert run_parallel([lambda: meet(0), lambda: meet(1)], 2) == [0, 1]
    with pytest.raises(InputError, match="threads is 0"):
        run_parallel([lambda: 1], 0)


def test_no_tasks_are_no_error():
    assert run_parallel([], 2) == []


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_is_raised_here_and_what_was_not_started_is_not(threads):
    done = []

    def fail():
        raise KeyError("mine")

    def slow(k):
        time.sleep(0.01)
        done.append(k)

    with pytest.raises(KeyError, match="mine"):
        run_parallel([fail, *(lambda k=k: slow(k) for k in range(50))], threads)
    ended = len(done)
    assert ended < 50
    time.sleep(0.05)
    assert len(done) == ended, "tasks still run after the error was raised"


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_in_a_shard_is_raised_here(threads):
    def fail(*_):
        raise InputError("mine")

    before = blas_threads()
    with pytest.raises(InputError, match="mine"):
        map_shards(fail, (X,), 4, threads)
    assert blas_threads() == before


def test_any_thread_can_limit_blas_even_after_another_did():
    seen = []
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        run_parallel([blas_threads])
        thread = threading.Thread(target=lambda: seen.extend(run_parallel([blas_threads, blas_threads], 2)))
        thread.start()
        thread.join(timeout=20)
        assert seen == [[1] * len(before)] * 2
        assert blas_threads() == before


def test_blas_is_restored_by_the_last_of_several_users():
    """Two threads enter and leave in the order a, b, a, b: the limit holds until b has left."""
    steps = threading.Barrier(2, timeout=20)
    seen = []

    def a():
        with one_blas_thread():
            steps.wait()  # a is in
            steps.wait()  # b is in
        seen.append(blas_threads())
        steps.wait()  # a is out

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        thread = threading.Thread(target=a)
        thread.start()
        steps.wait()
        with one_blas_thread():
            steps.wait()
            steps.wait()
            seen.append(blas_threads())
        thread.join(timeout=20)
        assert seen == [[1] * len(before)] * 2
        assert blas_threads() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is asked")
@pytest.mark.parametrize(("variable", "kept"), [("", True), ("0", False)])
def test_freed_memory_is_kept_unless_the_variable_forbids_it(variable, kept):
    """After 200 MB are freed, the process still holds them, or no longer does."""
    code = (
        "import re, numpy as np; from tinydiff.workers import keep_freed_memory as keep\n"
        "done = keep(); x = np.ones(25_000_000); del x\n"
        "print(done, int(re.search(r'VmRSS:\\s+(\\d+)', open('/proc/self/status').read())[1]) > 200_000)"
    )
    environment = {**os.environ, "TINYDIFF_MALLOPT": variable}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(kept), str(kept)]


def test_a_context_of_several_arrays_is_cut_with_the_samples():
    x = np.arange(10.0)
    condition = Condition(labels=np.arange(10), pooled=np.arange(10.0)[:, None])

    def f(x, context, nothing):
        assert nothing is None
        assert context.tokens is None
        return x + context.labels + context.pooled[:, 0]

    np.testing.assert_array_equal(map_shards(f, (x, condition, None), micro_batch=4, threads=2, first=3), 3 * x)
