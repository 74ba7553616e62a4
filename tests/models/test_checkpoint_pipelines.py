"""Whole pipelines of public checkpoints: what diffusers draws, step for step, from a file; it is not needed.

`tools/make_pipeline_fixtures.py` made the file.
"""

import dataclasses

import numpy as np
import pytest
from checkpoints import PROMPTS, SEED, pipelines, scheduler_of, write_pipeline

from tinydiff.models import Request
from tinydiff.models.diffusers import read_checkpoint, read_scheduler, scheduled_chain, timetable
from tinydiff.models.diffusers.schedulers import kind_of

# What computes with sigmas rounds them to float32 there, DPM-Solver each step, and Karras' times besides.
ROUNDED = {"dpm": 3e-6, "eul": 1e-5, "heu": 3e-6}
CHAINS = [name for name in pipelines() if "/" in name]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: write_pipeline(folder / name, name) for name in ("latents", "pixels")}


@pytest.fixture(scope="module")
def checkpoints(folders):
    return {name: read_checkpoint(folder, dtype=np.float64) for name, folder in folders.items()}


def with_kind(model, said):
    """Return the same weights, taken for a network that predicts what the scheduler says."""
    config = dataclasses.replace(
        model.config, kind=kind_of(said), zero_snr=bool(said.fields.get("rescale_betas_zero_snr"))
    )
    return dataclasses.replace(model, config=config)


def compared(checkpoint, chain, tmp_path):
    """Return what the scheduler says, by how much each step is off, and by how much the pictures are."""
    path, steps = scheduler_of(tmp_path, chain)
    said, stored = read_scheduler(path), pipelines()[chain]
    request = Request(n=2, seed=SEED)
    if checkpoint.model.reads_text:
        request = Request(n=2, seed=SEED, prompt=PROMPTS[0], negative=PROMPTS[1], guidance=3.0)
    model, theirs = with_kind(checkpoint.model, said), stored["x"]
    x = np.stack([x_t for _, x_t, _ in scheduled_chain(model, timetable(said, steps), request)])
    assert x.dtype == np.float64
    if len(x) == len(theirs) - 1:  # a step that leads nowhere is left out
        np.testing.assert_allclose(theirs[-1], theirs[-2], rtol=1e-13)
        theirs = theirs[:-1]
    assert x.shape == theirs.shape
    off = abs(x - theirs).max(axis=(1, 2, 3, 4)) / abs(theirs).max()
    pictures = abs(model.decode(x[-1]) - stored["pictures"]).max() if "pictures" in stored else 0.0
    return said, off, pictures


@pytest.mark.parametrize("chain", CHAINS)
def test_every_step_of_every_scheduler_is_that_of_diffusers(chain, checkpoints, tmp_path):
    pipeline, _, name = chain.partition("/")
    _, off, pictures = compared(checkpoints[pipeline], chain, tmp_path)
    tolerance = ROUNDED.get(name[:3], 1e-10)
    assert (off <= tolerance).all(), off
    assert pictures < max(10 * tolerance, 1e-6)
