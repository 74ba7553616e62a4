"""Good calls of `tinydiff.workers`."""

import functools

import numpy as np

from tinydiff import workers as W

X = np.arange(5.0)


def double(x):
    return 2 * x


def work(shard, total):
    total += shard
    return shard


@functools.wraps(W.LaneSum)
def summed(**arguments):
    lanes = W.LaneSum(**arguments)
    losses = lanes()
    lanes.close()
    return losses, lanes.totals[0]


@functools.wraps(W.Workers)
def made(**arguments):
    return W.Workers(**arguments).map(double, X)


def crewed(f, members, fixed_weights):
    with W.Crew(f, members, fixed_weights) as crew:
        return crew([(1.0,), (2.0,)])


CALLS = {
    "Workers": lambda: (
        made,
        {"micro_batch": 2, "threads": 1, "processes": False, "n": 5, "first": 1},
    ),
    "Workers.map": lambda: (lambda f, x: W.Workers(2, 1).map(f, x), {"f": double, "x": X}),
    "map_shards": lambda: (
        W.map_shards,
        {"f": double, "arrays": (X,), "micro_batch": 2, "threads": 1, "first": 1},
    ),
    "run_parallel": lambda: (W.run_parallel, {"tasks": [lambda: 1, lambda: 2], "threads": 1}),
    "LaneSum": lambda: (
        summed,
        {"work": work, "n_shards": 3, "like": np.zeros(2, "f4"), "lanes": 2, "threads": 1, "processes": False},
    ),
    "Crew": lambda: (crewed, {"f": double, "members": 1, "fixed_weights": False}),
    "processes_pay": lambda: (W.processes_pay, {"theta": X, "asked": False}),
    "shared_zeros": lambda: (W.shared_zeros, {"shape": (2, 3), "dtype": np.float32}),
}
# `pieces` belongs to loops over arrays, whose sizes are given.
# What takes no arguments, or a network or sum that another call has made.
WITHOUT = {
    *("can_fork", "default_threads", "keep_freed_memory", "one_blas_thread", "share_weights", "Crew.close"),
    *("LaneSum.close", "LaneSum.share", "Workers.while_weights_stand_still", "pieces"),
}
