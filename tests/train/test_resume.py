"""Runs that are prolonged, two runs in one folder, folders that vanish, and equal runs that leave equal bytes."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import safetensors.numpy
from squares import CONFIG, UNET, make, only, run, squares, state

from tinydiff.base import CheckpointError, FolderLock, InputError
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNet
from tinydiff.train import Denoise, Run, learning_rate, read_log
from tinydiff.train.checkpoint import checkpoints


def with_steps(steps):
    return dataclasses.replace(CONFIG, steps=steps, log_every=1)


def test_a_run_is_prolonged_says_what_that_does_to_the_learning_rate_and_resumes_bit_for_bit(tmp_path):
    for name in ("whole", "cut"):
        run(tmp_path / name, with_steps(4))
    trainer = make(tmp_path / "whole", with_steps(9))
    last, following = learning_rate(4, 4, CONFIG.lr, 2, 0.01), learning_rate(5, 9, CONFIG.lr, 2, 0.01)
    assert trainer.notes == [
        f"It goes on to step 9 instead of 4. The learning rate goes from {last:.2g} to {following:.2g} here, and then "
        "down along the cosine of 9 steps."
    ]
    trainer.run(progress=False)
    assert [record["lr"] for record in read_log(tmp_path / "whole") if "lr" in record][4] == following
    first = make(tmp_path / "cut", with_steps(9))
    for _ in range(3):
        first.train_step()
    first.save()
    second = make(tmp_path / "cut", with_steps(9))
    assert second.notes == []
    second.run(progress=False)
    np.testing.assert_array_equal(state(trainer), state(second))
    about = json.loads((tmp_path / "cut" / "config.json").read_text())["about"]
    assert about["prolonged"] == [{"at": 4, "from": 4, "to": 9}]
    assert about["train"]["steps"] == 9


def test_a_run_may_be_shortened_to_what_it_has_taken_and_no_further(tmp_path):
    run(tmp_path, with_steps(4))
    trainer = make(tmp_path, with_steps(8))
    trainer.train_step()
    trainer.save()
    with pytest.raises(InputError, match=r"^steps is 4, but the run in .* has taken 5 steps already: give 5 or more"):
        make(tmp_path, with_steps(4))
    assert make(tmp_path, with_steps(5)).notes == ["It goes on to step 5 instead of 8."]
    assert "along the cosine of 6 steps" in make(tmp_path, with_steps(6)).notes[0]


@pytest.mark.slow
def test_the_same_run_twice_leaves_the_same_bytes(tmp_path):
    """In two processes, since what decides an order by hash has another seed in each."""
    code = "import sys; from squares import CONFIG, run; run(sys.argv[1], CONFIG)"
    names = {}
    for name in ("a", "b", "c"):
        path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name)], check=True, env=os.environ | {"PYTHONPATH": path}
        )
        found = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file() and p.name != "log.jsonl")
        names[name] = {str(p.relative_to(tmp_path / name)): p.read_bytes() for p in found}
    assert {"config.json", "model.safetensors", "step-00000006.safetensors"} <= set(names["a"])
    assert names["a"] == names["b"] == names["c"]


def rewrite(path, metadata_of):
    """Write a checkpoint anew, with other metadata."""
    with safetensors.safe_open(path, "np") as file:
        found = json.loads(file.metadata()["run"])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path.write_bytes(safetensors.numpy.save(arrays, metadata=metadata_of(found)))


def test_checkpoints_of_before_with_two_entries_in_their_metadata_are_resumed(tmp_path):
    trainer = run(tmp_path)
    rewrite(*checkpoints(tmp_path), lambda found: {"step": str(found["step"]), "about": json.dumps(found["about"])})
    np.testing.assert_array_equal(state(make(tmp_path)), state(trainer))


def test_a_run_of_before_an_option_goes_on_with_what_the_option_does_when_left_out(tmp_path):
    trainer = run(tmp_path)

    def without_newer_options(found):
        of_run = found["about"]["run"]
        del of_run["times"], of_run["gamma"], of_run["unet"]["step_size"], of_run["unet"]["time_offset"]
        return {"run": json.dumps(found)}

    rewrite(*checkpoints(tmp_path), without_newer_options)
    np.testing.assert_array_equal(state(make(tmp_path)), state(trainer))
    with pytest.raises(InputError, match=r"^times is stratified, but the run in .* has uniform: a run goes on"):
        make(tmp_path, dataclasses.replace(CONFIG, times="stratified"))
    early = ModelConfig(dataclasses.replace(UNET, time_offset=1), T=100)
    with pytest.raises(InputError, match=r"^unet\.time_offset is 1, but the run in .* has 0: a run goes on"):
        Run(Denoise(DiffusionModel(UNet(early.unet), early), squares(), CONFIG), tmp_path)


@pytest.mark.parametrize("what", ["removed", "a file", "another folder"])
@pytest.mark.parametrize("when", ["between steps", "before the run"])
def test_a_folder_that_vanishes_under_a_run_is_an_error_and_is_not_made_again(tmp_path, what, when):
    folder = tmp_path / "run"

    def vanish(trainer):
        if trainer.step == 3:
            shutil.rmtree(folder)
            if what == "a file":
                folder.write_text("mine")
            if what == "another folder":
                folder.mkdir()

    config = dataclasses.replace(CONFIG, save_every=2)
    trainer = make(folder, config)
    if when == "between steps":
        with pytest.raises(CheckpointError, match=r"was removed, renamed or replaced .* Start again"):
            trainer.run(progress=False, on_step=vanish)
    else:
        for _ in range(3):
            trainer.train_step()
        trainer.save()
        vanish(trainer)
        with pytest.raises((CheckpointError, InputError), match=r"was removed after|is a file|is gone"):
            trainer.run(progress=False)
    assert not folder.is_dir() or not list(folder.iterdir())


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_a_folder_that_becomes_read_only_is_one_sentence(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(CheckpointError, match="is not writable"):
        make(folder).run(progress=False, on_step=lambda trainer: folder.chmod(0o500))


def test_two_runs_in_one_folder_are_refused_in_one_process_too(tmp_path):
    """One after the other they may; in another thread, or one inside the other, they may not."""
    refused = []

    def other():
        try:
            run(tmp_path, with_steps(4))
        except InputError as error:
            refused.append(str(error))

    def start_another(trainer):
        if trainer.step == 2:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            other()

    make(tmp_path, with_steps(4)).run(progress=False, on_step=start_another)
    assert len(refused) == 2
    assert all("is in use: another process or thread is training in it" in sentence for sentence in refused)
    assert make(tmp_path, with_steps(4)).step == 4
    with FolderLock(tmp_path):
        pass


def test_a_finished_step_is_saved_although_the_terminal_is_gone(tmp_path, monkeypatch):
    def gone(self, n=1):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tqdm.tqdm.update", gone)
    trainer = make(tmp_path)
    trainer.run(progress=True)
    assert only(trainer) is not None
    assert checkpoints(tmp_path)
