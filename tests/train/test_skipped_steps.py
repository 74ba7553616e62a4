"""A step that overflows is skipped, said and counted; no weight moves, and too many in a row end the run."""

import dataclasses
import json
import re

import numpy as np
import pytest
from arrays import no_synchronisation
from squares import CONFIG, UNET, only, squares, state

from tinydiff.base import InputError, TrainingError
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import UNet
from tinydiff.train import Denoise, Run, read_log

LARGE = np.float32(3e38)  # near the largest number of float32


class Overflows(Denoise):
    """A denoiser whose gradient overflows in some steps, as one of half precision may in any."""

    at = frozenset()

    def add_gradient(self, step, shard, grads):
        loss = super().add_gradient(step, shard, grads)
        if step + 1 in self.at:
            with np.errstate(over="ignore", invalid="ignore"):
                for gradient in grads.named().values():
                    gradient *= LARGE
                    gradient *= LARGE
        return loss


def make(at, folder=None, xp=None, **changes):
    model = DiffusionModel(UNet(UNET, np.random.default_rng(0)), ModelConfig(UNET, T=100), micro_batch=4)
    if xp is not None:
        model = dataclasses.replace(model, network=model.network.bind(xp.asarray(model.network.theta)))
    config = dataclasses.replace(CONFIG, steps=8, log_every=1, **changes)
    objective = Overflows(model, squares(), config)
    objective.at = frozenset(at)
    return Run(objective, folder, threads=1, processes=False)


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy's own warnings of what is done on purpose
        yield


@pytest.mark.pitfall(25)
def test_pitfall_25_a_step_that_overflows_is_skipped_and_moves_no_weight():
    """Weights, both moments, the average and the count of the optimizer's steps stay as they were, bit for bit."""
    run = make(at={3})
    for _ in range(2):
        run.train_step()
    before = state(run).copy()
    record = run.train_step()
    assert not np.isfinite(record["gradient_norm"])
    np.testing.assert_array_equal(state(run), before)
    assert only(run).optimizer.steps == 2
    run.train_step()
    assert np.isfinite(state(run)).all()
    assert (only(run).network.theta != before[: len(only(run).network.theta)]).any()
    assert only(run).optimizer.steps == 3


@pytest.mark.pitfall(25)
def test_pitfall_25_skipped_steps_are_counted_in_the_log_and_said(tmp_path, capsys):
    run = make({3, 4, 7}, tmp_path)
    run.run(progress=True)
    log = read_log(tmp_path)
    assert [(r["step"], r["skipped_steps"]) for r in log if "skipped_steps" in r] == [(3, 1), (4, 2), (7, 3)]
    assert [r["step"] for r in log if "gradient_norm" in r] == [1, 2, 5, 6, 8]  # of the others it is no number
    assert re.findall(r"Step (\d): 1 step skipped, since a loss", capsys.readouterr().err) == ["3", "4", "7"]
    assert (tmp_path / "config.json").exists()


@pytest.mark.pitfall(25)
def test_pitfall_25_too_many_in_a_row_end_the_run_with_a_sentence(tmp_path):
    run = make({3, 5, 6, 7}, tmp_path, most_skipped=2)
    sentence = (
        r"stopped at step 7: the gradient of .* is not finite, and 2 steps before it had to be skipped, too\. Noth"
    )
    with pytest.raises(TrainingError, match=sentence):
        run.run(progress=False)
    assert np.isfinite(state(run)).all()
    make({3, 5, 6, 7}, most_skipped=3).run(progress=False)  # one more may be skipped, and the run ends well


@pytest.mark.parametrize("most_skipped", [0, 3])
def test_a_first_step_that_is_not_finite_ends_the_run_at_once(most_skipped):
    """Nothing has ever worked: that is no overflow by chance."""
    with pytest.raises(TrainingError, match=r"stopped at step 1: the gradient of [^,]* is not finite\. Nothing"):
        make({1}, most_skipped=most_skipped).run(progress=False)


def test_with_none_to_skip_the_first_that_is_not_finite_ends_the_run():
    with pytest.raises(TrainingError, match="stopped at step 4"):
        make({4}, most_skipped=0).run(progress=False)
    with pytest.raises(InputError, match="most_skipped is -1"):
        make({4}, most_skipped=-1)


@pytest.mark.pitfall(25)
@pytest.mark.parametrize("cut", [4, 6])
def test_pitfall_25_a_run_that_skipped_goes_on_bit_for_bit_and_counts_on(tmp_path, cut):
    """The checkpoint is written within a row of two skipped steps, or after it."""
    bad = {3, 4, 5, 7}
    whole = make(bad)
    whole.run(progress=False)
    first = make(bad, tmp_path)
    for _ in range(cut):
        first.train_step()
    path = first.save()
    assert b"in_a_row" in path.read_bytes()
    second = make(bad, tmp_path)
    second.run(progress=False)
    np.testing.assert_array_equal(state(whole), state(second))
    assert int(second.skipped) == int(whole.skipped) == 4
    # one that may skip no more than two in a row counts those before the checkpoint
    if cut == 4:
        for path in tmp_path.glob("*"):
            path.unlink()
        make_until(bad, tmp_path, cut)
        with pytest.raises(TrainingError, match="stopped at step 5"):
            make(bad, tmp_path, most_skipped=2).run(progress=False)


def make_until(bad, folder, cut):
    run = make(bad, folder, most_skipped=2)
    for _ in range(cut):
        run.train_step()
    run.save()


def test_a_run_that_skipped_nothing_writes_what_it_always_wrote(tmp_path):
    run = make(set(), tmp_path)
    run.run(progress=False)
    (path,) = tmp_path.glob("step-*")
    assert b"skipped" not in path.read_bytes()
    assert not any("skipped_steps" in record for record in read_log(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["about"]["train"]["most_skipped"] == 3


@pytest.mark.slow
@pytest.mark.pitfall(25)
def test_pitfall_25_on_a_gpu_a_step_is_skipped_without_a_wait_and_too_many_freeze_the_run(strict_cupy, tmp_path):
    """The flag is read every 20 steps only; until then, a run of which too many were skipped must not move again."""
    run = make({3, 5, 6, 7}, tmp_path, strict_cupy, most_skipped=2)
    with no_synchronisation(strict_cupy):
        for _ in range(7):
            run.train_step()
    frozen = only(run).network.theta.copy()
    with no_synchronisation(strict_cupy):
        run.train_step()  # it would be finite
    assert bool((only(run).network.theta == frozen).all())
    with pytest.raises(TrainingError, match="stopped at step 8"):
        run.save()
    again = make({3, 5, 6}, tmp_path, strict_cupy)
    again.run(progress=False)
    assert int(again.skipped) == 3
    assert [r["skipped_steps"] for r in read_log(tmp_path) if "skipped_steps" in r] == [3]  # said at the end
