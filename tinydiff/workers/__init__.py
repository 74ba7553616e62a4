"""Parallel work: shards and pieces of a batch, threads, processes, sums of gradients."""

from tinydiff.workers.pieces import pieces
from tinydiff.workers.processes import Crew, can_fork, processes_pay, share_weights, shared_zeros
from tinydiff.workers.shards import Workers, map_shards
from tinydiff.workers.sums import LaneSum
from tinydiff.workers.threads import MOST_THREADS, default_threads, keep_freed_memory, one_blas_thread, run_parallel

__all__ = [
    "MOST_THREADS",
    "Crew",
    "LaneSum",
    "Workers",
    "can_fork",
    "default_threads",
    "keep_freed_memory",
    "map_shards",
    "one_blas_thread",
    "pieces",
    "processes_pay",
    "run_parallel",
    "share_weights",
    "shared_zeros",
]
