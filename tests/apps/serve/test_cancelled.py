"""Drawings that nobody waits for stop, one is drawn at a time, and memory stays as it is."""

import functools
import json
import os
import re
import time
import urllib.request
from pathlib import Path

import pytest
from demo_page import ASKED
from demo_server import ask, asking, post

from tinydiff.apps.serve.drawing import MOST_STEPS

N = int(os.environ.get("TINYDIFF_CANCELLED", "30"))  # drawings that are given up
MOST_THREADS = 4  # that may be there more than after the first drawings
MOST_GROWTH = 48  # MiB, after the first drawings; one lost chain in ten would be as much
LONG = ASKED | {"steps": MOST_STEPS, "sampler": "heun"}


def of_process(pid):
    """Return the number of threads of a process, its children, and its memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads, kilobytes = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("Threads", "VmRSS"))
    return threads, len(children), kilobytes / 1024


@functools.cache
def number_of(address):
    """Return the number that Gradio gives to drawing."""
    with urllib.request.urlopen(f"{address}/config") as answer:
        functions = json.loads(answer.read())["dependencies"]
    return next(function["id"] for function in functions if function["api_name"] == "draw")


def leave_early(address, way):
    """Begin a long drawing, see its first steps, and give it up: by going away, or by the route of cancelling."""
    if way == "leaves":
        with asking(address, *LONG.values()) as stream:
            for line in stream:
                if line.startswith(b"data: ") and b"step" in line:
                    return
    else:
        session = os.urandom(8).hex()
        body = {"data": [*LONG.values()], "session_hash": session}
        event = json.loads(post(address, "/call/draw", json.dumps(body).encode())[1])["event_id"]
        body = json.dumps({"session_hash": session, "fn_index": number_of(address), "event_id": event}).encode()
        for _ in range(3):  # also while it has no first step yet
            assert post(address, "/cancel", body)[0] == 200
            time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads what Linux says of a process")
def test_cancelled_drawings_leave_nothing_behind(address):
    for _ in range(4):
        leave_early(address, "leaves")
        ask(address, *ASKED.values())
    before = of_process(address.pid)
    for n in range(N):
        leave_early(address, ("leaves", "leaves", "cancels")[n % 3])
    begun = time.monotonic()
    assert ask(address, *ASKED.values())[0] == "complete"
    took = time.monotonic() - begun
    after = of_process(address.pid)
    print(f"{N} cancelled drawings: threads, children, MiB {before} -> {after}; the next took {took:.1f} s")
    assert after[0] <= before[0] + MOST_THREADS
    assert after[1] == before[1]
    assert after[2] <= before[2] + MOST_GROWTH


@pytest.mark.slow
def test_a_reader_who_leaves_frees_the_page_for_the_next(address):
    """A whole drawing of this length takes many times as long as the short one that comes after it."""
    for _ in range(3):
        leave_early(address, "leaves")
    event, (chain, _) = ask(address, *ASKED.values())
    assert event == "complete"
    assert "step 4 of 4" in chain
