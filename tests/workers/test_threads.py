"""Threads: tasks run side by side, with one thread of BLAS in each, and freed memory is kept."""

import os
import platform
import subprocess
import sys
import threading
import time

import pytest
from blas import blas_threads
from threadpoolctl import threadpool_limits

from tinydiff.base import InputError
from tinydiff.workers import one_blas_thread, run_parallel


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
