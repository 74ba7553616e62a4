"""Worker processes made by fork: they answer, they fail in words, and none is left behind."""

import errno
import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from tinydiff.base import InputError, TinydiffError, derived
from tinydiff.workers import Crew, can_fork, processes_pay, shared_zeros

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are forked on Linux only")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(pid, seconds=20):
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_running(pid)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_results_come_back_in_order(members):
    with Crew(lambda x, y: 10 * x + y, members) as crew:
        for n in (0, 1, 2, 3, 7):
            assert crew([(x, 1) for x in range(n)]) == [10 * x + 1 for x in range(n)]


def test_a_crew_of_one_forks_nothing(monkeypatch):
    monkeypatch.setattr(os, "fork", None)  # as where there is none
    with Crew(os.getpid, 1) as crew:
        assert crew([(), ()]) == [os.getpid()] * 2


def test_the_members_are_processes_and_this_is_one_of_them():
    with Crew(os.getpid, 3) as crew:
        pids = crew([()] * 6)
        assert len(set(pids)) == 3
        assert pids[0] == pids[3] == os.getpid()
        assert crew([()] * 6) == pids  # they stay
    assert all(ends(pid) for pid in pids[1:3])


def test_they_see_what_is_written_to_shared_memory_later():
    vector = shared_zeros((2, 3), np.float32)
    assert vector.dtype == np.float32
    assert not vector.any()
    with Crew(lambda row: vector[row].sum(), 2) as crew:
        assert crew([(0,), (1,)]) == [0, 0]
        vector[:] = [[1, 2, 3], [4, 5, 6]]
        assert crew([(0,), (1,)]) == [6, 15]


def test_what_they_write_to_shared_memory_is_seen_here():
    vector = shared_zeros(4, np.float64)

    def write(k):
        vector[k] = k

    with Crew(write, 2) as crew:
        crew([(k,) for k in range(4)])
    np.testing.assert_array_equal(vector, [0, 1, 2, 3])


def test_blas_has_one_thread_in_every_member():
    np.ones((200, 200)) @ np.ones((200, 200))

    def threads():
        return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]

    before = threads()
    with Crew(threads, 2) as crew:
        assert all(set(found) <= {1} for found in crew([(), ()]))
    assert threads() == before


def test_weights_stand_still_within_a_call_and_not_between_two():
    calls = shared_zeros(2, np.int64)
    w = shared_zeros(1, np.float64)

    def make(w):
        calls[0 if os.getpid() == parent else 1] += 1
        return 2 * w

    parent = os.getpid()
    with Crew(lambda: derived(make, w)[0], 2) as crew:
        assert crew([()] * 6) == [0] * 6
        w[0] = 1
        assert crew([()] * 6) == [2] * 6
    np.testing.assert_array_equal(calls, [2, 2])


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_an_error_in_any_member_is_raised_here_and_the_crew_goes_on(bad):
    def f(k):
        if k == bad:
            raise InputError(f"mine {k}")
        return k

    with Crew(f, 2) as crew:
        with pytest.raises(InputError, match=f"mine {bad}"):
            crew([(0,), (1,), (2,)])
        assert crew([(5,), (6,)]) == [5, 6]


def test_a_killed_process_is_reported_and_the_next_call_makes_another():
    def f(kill):
        if kill and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()

    parent = os.getpid()
    with Crew(f, 2) as crew:
        with pytest.raises(TinydiffError, match=r"A worker process ended .* smaller micro_batch"):
            crew([(True,), (True,)])
        assert len(set(crew([(False,), (False,)]))) == 2


def test_a_process_killed_between_two_calls_is_reported_too():
    with Crew(os.getpid, 2) as crew:
        other = crew([(), ()])[1]
        os.kill(other, signal.SIGKILL)
        assert ends(other)
        with pytest.raises(TinydiffError, match="A worker process ended"):
            crew([(), ()])


def test_a_crew_that_nobody_holds_ends():
    crew = Crew(os.getpid, 2)
    pid = crew([(), ()])[1]
    del crew
    gc.collect()
    assert ends(pid)


WHEN = {  # what the two others do when their parent is killed, while it sleeps: task of member 0, 1, 2
    "idle": "lambda k: None",
    "in a task": "lambda k: time.sleep(1000) if k == 0 else list(iter(int, 1))",
    "in an answer that nobody reads": "lambda k: time.sleep(1000) if k == 0 else bytes(10**7)",
}


@pytest.mark.parametrize(
    ("how", "when", "kernel_helps"),
    [
        (signal.SIGKILL, "in a task", True),
        (signal.SIGTERM, "in a task", True),
        (signal.SIGHUP, "in an answer that nobody reads", True),
        (signal.SIGINT, "idle", True),
        (signal.SIGKILL, "in an answer that nobody reads", False),
        (signal.SIGTERM, "idle", False),
    ],
)
def test_no_process_outlives_its_parent(how, when, kernel_helps, tmp_path):
    """Neither at rest, nor in the midst of a task, nor with another crew beside it that has copies of its pipes."""
    code = f"""
        import os, sys, time
        from tinydiff.workers import Crew, orphans
        if not {kernel_helps}:
            orphans.PR_SET_PDEATHSIG = 0
            orphans.prepare_to_end_with_parent = lambda: None
        first, second = Crew({WHEN[when]}, 3), Crew(lambda: os.getpid(), 2)
        first._fork()
        second._fork()
        pids = [process.pid for crew in (first, second) for process, _ in crew.others]
        print(*pids, flush=True)
        first([(0,), (1,), (2,)])
        time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with (
        open(tmp_path / "said", "w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True) as parent,
    ):
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(set(pids)) == 3
        time.sleep(0.1)  # so that most are where they should be
        parent.send_signal(how)
        parent.wait()
        assert all(ends(pid, seconds=60) for pid in pids)
        said.seek(0)
        assert how == signal.SIGINT or not said.read()  # of the others; Python itself shows a KeyboardInterrupt


def test_the_end_of_the_thread_that_forked_is_not_the_end_of_the_parent():
    with Crew(os.getpid, 2) as crew, ThreadPoolExecutor(1) as pool:
        pids = pool.submit(crew, [(), ()]).result()
        pool.shutdown()
        time.sleep(0.05)  # in which the kernel's signal arrives
        assert crew([(), ()]) == pids


def test_signals_for_the_parent_do_not_end_the_others():
    """Such as Ctrl-C or SIGTERM to the whole group, upon which a training finishes its step and saves."""
    with Crew(os.getpid, 2) as crew:
        pids = crew([(), ()])
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pids[1], number)
            assert crew([(), ()]) == pids


def test_an_interrupted_call_ends_the_others_at_once():
    def f(k):
        if os.getpid() == parent:
            raise KeyboardInterrupt
        time.sleep(1000)

    parent = os.getpid()
    crew = Crew(f, 3)
    crew._fork()
    pids = [process.pid for process, _ in crew.others]
    with pytest.raises(KeyboardInterrupt):
        crew([(0,), (1,), (2,)])
    assert not any(is_running(pid) for pid in pids)


def test_where_no_process_can_be_made_it_says_so_and_leaves_none(monkeypatch):
    fork, made = os.fork, []

    def refuse_the_second():
        if made:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        made.append(fork())
        return made[0]

    monkeypatch.setattr(os, "fork", refuse_the_second)
    with pytest.raises(TinydiffError, match=r"cannot be made .* threads=1"):
        Crew(os.getpid, 3)([()])
    assert ends(made[0])


def test_processes_are_taken_for_small_networks_and_as_asked():
    small, large = np.zeros(2**10, np.float32), np.broadcast_to(np.float32(0), (16 * 2**20,))
    assert processes_pay(small) == can_fork()
    assert not processes_pay(large)
    assert processes_pay(large, asked=True) == can_fork()
    assert not processes_pay(small, asked=False)
