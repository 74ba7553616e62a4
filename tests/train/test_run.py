"""The training loop: Algorithm 1 in shards, taking up again bit for bit, and what happens when things go wrong."""

import dataclasses
import itertools
import json
import os
import signal

import numpy as np
import pytest
import safetensors.numpy
from arrays import no_synchronisation
from squares import CONFIG, UNET, make, only, run, squares, state

from tinydiff.base import CheckpointError, InputError, TrainingError
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel, ModelConfig, Request, load, save
from tinydiff.networks import UNet
from tinydiff.nn import Gradients
from tinydiff.train import Denoise, Run, learning_rate, read_log
from tinydiff.train import run as loop
from tinydiff.train.checkpoint import RunState, load_checkpoint, save_checkpoint


def test_any_number_of_threads_gives_the_same_bits():
    states = [state(run(threads=threads)) for threads in (1, 2, 3)]
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(states[0], states[2])


def test_without_a_micro_batch_the_run_takes_the_models_and_its_files_say_which(tmp_path):
    trainer = run(config=dataclasses.replace(CONFIG, micro_batch=None, steps=1), folder=tmp_path)
    assert trainer.config.micro_batch == trainer.objective.model.micro_batch == 4
    assert json.loads((tmp_path / "config.json").read_text())["about"]["train"]["micro_batch"] == 4


@pytest.mark.equation("DDPM-ALG1")
def test_a_micro_batch_adds_the_gradient_of_its_share_of_the_loss():
    """The slope of the loss along a random direction, with the same t, eps, labels and dropout, is the gradient's."""
    objective, data = make().objective, squares()
    network = objective.network.bind(objective.network.theta.astype(np.float64))
    objective.network = network
    images = data.batch

    def in_float64(indices, xp=np, flip=None):
        x, labels = images(indices, xp, flip)
        return x.astype(np.float64), labels

    objective.data = type("Data", (), {"batch": staticmethod(in_float64), "__len__": lambda self: len(data)})()
    rng = np.random.default_rng(0)
    network.theta[:] += 0.05 * rng.standard_normal(network.theta.shape)
    gradient = np.zeros_like(network.theta)

    def loss(flat):
        grads = Gradients(network.parameters(), flat)
        return sum(float(objective.add_gradient(0, shard, grads)) for shard in range(4))

    loss(gradient)
    v, h = rng.standard_normal(gradient.shape), 1e-5
    ends = []
    for sign in (1, -1):
        network.theta[:] += sign * h * v
        ends.append(loss(np.zeros_like(gradient)))
        network.theta[:] -= sign * h * v
    assert gradient @ v == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


def test_micro_batches_and_lanes_change_rounding_only():
    one = run(config=dataclasses.replace(CONFIG, micro_batch=10, lanes=1, steps=1))
    many = run(config=dataclasses.replace(CONFIG, micro_batch=3, lanes=3, steps=1))
    np.testing.assert_allclose(only(one).optimizer.m, only(many).optimizer.m, rtol=1e-3, atol=1e-6)


@pytest.mark.pitfall(20)
def test_pitfall_20_k_steps_save_kill_load_m_steps_equal_k_plus_m_steps(tmp_path):
    whole = run(tmp_path / "whole", validation=squares(9, 1))
    first = make(tmp_path / "cut", validation=squares(9, 1))
    records = []
    for _ in range(4):
        records.append(first.train_step())
    first.save()
    first.train_step()  # taken after the checkpoint, lost with the process
    second = make(tmp_path / "cut", validation=squares(9, 1))
    assert second.step == 4
    second.run(progress=False)
    np.testing.assert_array_equal(state(whole), state(second))


def test_the_order_of_the_data_is_a_new_permutation_every_epoch():
    objective = make().objective
    seen = np.concatenate([objective.indices(step) for step in range(8)])
    first, second = seen[:40], seen[40:]
    assert sorted(first) == sorted(second) == list(range(40))
    assert list(first) != list(second)


@pytest.mark.slow
def test_the_loss_falls():
    losses = []
    run(config=dataclasses.replace(CONFIG, steps=120, lr=5e-3), hooks=[lambda r: losses.append(r["loss"])])
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < 0.5 * losses[0]


@pytest.mark.parametrize("number", [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n)])
def test_ctrl_c_or_sigterm_finishes_the_step_saves_and_can_be_taken_up(tmp_path, number):
    def interrupt(trainer):
        if trainer.step == 3:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    trainer = make(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(progress=False, on_step=interrupt)
    assert signal.getsignal(number) is before
    assert [p.name for p in tmp_path.glob("step-*")] == [f"step-{trainer.step:08d}.safetensors"]
    again = run(tmp_path)
    np.testing.assert_array_equal(state(again), state(run()))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_under_nohup_the_end_of_the_terminal_is_no_reason_to_stop(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        make(tmp_path).run(progress=False, on_step=lambda trainer: os.kill(os.getpid(), signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert list(tmp_path.glob("step-00000006.*"))


def test_a_run_leaves_a_model_that_can_be_loaded_and_sampled(tmp_path):
    trainer = run(tmp_path, validation=squares(9, 1))
    model = load(tmp_path)
    np.testing.assert_array_equal(model.network.theta, only(trainer).ema)
    assert model.config == trainer.objective.model.config
    *_, (t, x, _) = model.chain(Request(n=2), steps=3)
    assert t == 0
    assert np.isfinite(x).all()
    assert load(tmp_path / "best").config == model.config


def test_a_sample_is_the_same_alone_and_in_a_batch():
    model = run().trained()
    *_, (_, together, _) = model.chain(Request(n=7, seed=3), steps=4, sampler="ddpm")
    *_, (_, alone, _) = model.chain(Request(n=1, seed=3, first=5), steps=4, sampler="ddpm")
    np.testing.assert_array_equal(together[5:6], alone)


def test_the_log_holds_losses_and_validation(tmp_path):
    records = []
    run(tmp_path, validation=squares(9, 1), hooks=[records.append])
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == records
    assert [r["step"] for r in lines if "validation_loss" in r] == [3, 6]
    assert {"step", "loss", "gradient_norm", "lr", "images_per_second"} <= set(lines[-2])


def test_the_last_k_checkpoints_are_kept(tmp_path):
    run(tmp_path, config=dataclasses.replace(CONFIG, save_every=1, keep=2))
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000005.safetensors", "step-00000006.safetensors"]


def test_nan_stops_with_the_step_and_the_name_and_changes_nothing(tmp_path):
    trainer = make(tmp_path)
    trainer.train_step()
    trainer.objective.network.mid_1.conv_1.weight.value[0, 0, 0, 0] = np.nan
    before = state(trainer)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(
            TrainingError, match=r"step 5: the gradient of .* is not finite, and 3 steps before.*Nothing was o"
        ),
    ):
        trainer.run(progress=False)
    np.testing.assert_array_equal(state(trainer), before)
    assert not list(tmp_path.glob("step-*"))


@pytest.mark.pitfall(12)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_condition_dropout_hides_that_share_of_the_labels(monkeypatch, share):
    """Of 400 labels; five standard deviations, a false alarm in 2 million (and the seed is fixed)."""
    trainer = make(config=dataclasses.replace(CONFIG, condition_dropout=share, batch=400, micro_batch=200))
    contexts = []
    network = trainer.objective.network
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda x, t, c, tape: contexts.append(c) or forward(x, t, c, tape))
    trainer.train_step()
    hidden = np.concatenate(contexts) == UNET.num_classes
    assert abs(hidden.mean() - share) <= 5 * (share * (1 - share) / 400) ** 0.5


def test_flips_mirror_half_of_the_images(monkeypatch):
    trainer = make(config=dataclasses.replace(CONFIG, flip=True, batch=64, micro_batch=64))
    flips = []
    batch = Dataset.batch
    monkeypatch.setattr(Dataset, "batch", lambda self, i, xp, flip: flips.append(flip) or batch(self, i, xp, flip))
    trainer.train_step()
    assert 16 < flips[0].sum() < 48  # 64 fair coins: outside for 1 seed in 20,000


def test_another_model_or_other_data_in_the_folder_of_a_run_is_refused(tmp_path):
    run(tmp_path)
    written = (tmp_path / "config.json").read_bytes()
    model = DiffusionModel(UNet(UNET, np.random.default_rng(0)), ModelConfig(UNET, T=100, kind="eps"))
    with pytest.raises(InputError, match=r"^kind is eps, but the run in .* has v"):
        Run(Denoise(model, squares(), CONFIG), tmp_path)
    with pytest.raises(InputError, match=r"^The number of images is 41, but the run in .* has 40"):
        make(tmp_path, data=squares(41))
    with pytest.raises(InputError, match="The data are not those"):
        make(tmp_path, data=squares(seed=1))
    assert (tmp_path / "config.json").read_bytes() == written


def test_a_model_that_no_run_has_made_there_is_not_overwritten(tmp_path):
    """A run whose checkpoints were deleted could not go on, either: its model stays."""
    save(tmp_path, load("mnist-classifier-16"))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r"folder is .*, which holds a model, but no checkpoint"):
        run(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_how_often_one_looks_may_differ_when_a_run_is_taken_up(tmp_path):
    run(tmp_path)
    names = "log_every save_every keep validate_every validation_images check_every most_skipped"
    looks = dict.fromkeys(names.split(), 7)
    assert make(tmp_path, dataclasses.replace(CONFIG, **looks)).step == CONFIG.steps


def test_a_run_that_died_before_its_first_checkpoint_starts_its_log_anew(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 9.0}\n5\n{"st')
    run(tmp_path, dataclasses.replace(CONFIG, log_every=1))
    assert [record["step"] for record in read_log(tmp_path)] == [1, 2, 3, 4, 5, 6]
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n5\n{"a": 1}\n{"st')
    assert read_log(tmp_path) == [{"step": 1}]
    assert read_log(tmp_path / "nowhere") == []


def test_the_best_model_is_kept_and_remembered(tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(Denoise, "validate", lambda self, network: {"validation_loss": next(losses)})
    trainer = run(tmp_path, dataclasses.replace(CONFIG, validate_every=2), validation=squares(8))
    assert json.loads((tmp_path / "best" / "config.json").read_text())["about"]["validation_loss"] == 1.0
    assert trainer.best == 1.0
    assert make(tmp_path, dataclasses.replace(CONFIG, validate_every=2)).best == 1.0


def test_the_validation_loss_is_that_of_the_averaged_weights():
    trainer = run(validation=squares(8))
    of_average = trainer.validate()
    only(trainer).network.theta[:] = 0
    assert trainer.validate() == of_average
    only(trainer).ema[:] = 0
    assert trainer.validate() != of_average
    with pytest.raises(InputError, match="There are no held-out samples"):
        make().validate()


def test_a_validation_loss_that_is_not_finite_stops_the_run(monkeypatch, tmp_path):
    monkeypatch.setattr(Denoise, "validate", lambda self, network: {"validation_loss": float("inf")})
    with pytest.raises(TrainingError, match=r"stopped at step 3: the validation loss is inf.*that of step 0"):
        run(tmp_path, validation=squares(8))
    assert not (tmp_path / "config.json").exists()


def test_every_option_of_the_optimizer_arrives():
    config = dataclasses.replace(CONFIG, betas=(0.5, 0.6), weight_decay=0.3, clip=1e-3, ema=0.0, lr=0.1, final_lr=0.5)
    trainer = make(config=config)
    learner = only(trainer)
    assert (learner.optimizer.betas, learner.optimizer.weight_decay) == ((0.5, 0.6), 0.3)
    np.testing.assert_array_equal(learner.optimizer.decay_mask, learner.network.decay_mask())
    for step in range(1, CONFIG.steps + 1):
        record = trainer.train_step()
        assert record["lr"] == learning_rate(step, config.steps, 0.1, config.warmup, 0.5)
        assert record["gradient_norm"] > 1e-3
        np.testing.assert_allclose(np.linalg.norm(learner.gradient_sum.totals[0]), 1e-3, rtol=1e-4)
    np.testing.assert_allclose(learner.ema, learner.network.theta, atol=1e-6)  # a decay of 0 remembers nothing


def test_the_rate_in_the_log_is_images_by_seconds(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "time", type("Clock", (), {"perf_counter": itertools.count(step=2.0).__next__}))
    run(tmp_path)
    assert read_log(tmp_path)[-1]["images_per_second"] == CONFIG.steps * CONFIG.batch / 2


def test_on_a_gpu_no_file_is_written_after_a_loss_that_is_not_finite(strict_cupy, tmp_path):
    """There the flag is not read at every step, but before anything is kept or reported."""
    model = DiffusionModel(UNet(UNET, np.random.default_rng(0)), ModelConfig(UNET, T=100))
    network = model.network.bind(strict_cupy.asarray(model.network.theta))
    trainer = Run(Denoise(dataclasses.replace(model, network=network), squares(), CONFIG), tmp_path)
    network.theta[0] = np.nan
    with pytest.raises(TrainingError, match="stopped at step 6"):
        trainer.run(progress=False)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_run_that_was_overtaken_in_its_folder_does_not_go_on_from_an_older_step(tmp_path):
    late = make(tmp_path)
    make(tmp_path).run(progress=False)
    with pytest.raises(InputError, match="checkpoint of step 6, but this run read that of step 0"):
        late.run(progress=False)


def test_other_options_in_the_folder_of_a_run_are_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(
        InputError,
        match=r"^lr is 0.1, but the run in .* has 0.002: a run goes on with the same opt",
    ):
        make(tmp_path, config=dataclasses.replace(CONFIG, lr=0.1))


@pytest.mark.parametrize("damage", ["truncated", "empty", "other"])
def test_a_damaged_checkpoint_is_one_clear_sentence(tmp_path, damage):
    run(tmp_path)
    (path,) = tmp_path.glob("step-*")
    data = path.read_bytes()
    path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "other": b"GIF89a" * 100}[damage])
    with pytest.raises(CheckpointError, match="cannot be read as a safetensors file"):
        make(tmp_path)


def test_a_checkpoint_that_does_not_say_of_which_run_it_is_is_refused(tmp_path):
    trainer = run(tmp_path)
    networks, vectors = {"": only(trainer).network}, {"": only(trainer).state()}
    for about in ([], {}, {"run": {}}, {"run": [], "best": 1.0}):
        save_checkpoint(tmp_path, networks, RunState(9, vectors, about), keep=1)
        with pytest.raises(CheckpointError, match="it does not say of which"):
            make(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("said", [
    "[" * 100_000, '{"a":' * 100_000, '{"step": Infinity, "about": {}}', '{"step": NaN, "about": {}}', "[]", "7", "",
    '{"step": ' + "9" * 5000 + ', "about": {}}', '{"about": {}}',
])  # fmt: skip
def test_a_checkpoint_with_strange_metadata_is_refused(tmp_path, said):
    run(tmp_path)
    (path,) = tmp_path.glob("step-*")
    path.write_bytes(safetensors.numpy.save(safetensors.numpy.load(path.read_bytes()), metadata={"run": said}))
    with pytest.raises(CheckpointError, match="is not a checkpoint of a training run"):
        make(tmp_path)


def test_a_checkpoint_of_another_architecture_is_refused_by_the_options_name(tmp_path):
    trainer = run(tmp_path)
    wider = dataclasses.replace(UNET, channels=16)
    model = DiffusionModel(UNet(wider), ModelConfig(wider, T=100))
    with pytest.raises(InputError, match=r"^unet.channels is 16, but the run in .* has 8"):
        Run(Denoise(model, squares(), CONFIG), tmp_path)
    with pytest.raises(CheckpointError, match=r"another architecture: .* has shape"):
        load_checkpoint(tmp_path / f"step-{trainer.step:08d}.safetensors", {"": model.network})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"micro_batch": -1}, "micro_batch is -1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"condition_dropout": 1.5}, "condition_dropout is 1.5"),
        ({"time_shift": 0.0}, "time_shift is 0.0"),
        ({"ema": -0.1}, "ema is -0.1"),
    ],
)
def test_a_bad_configuration_is_one_clear_sentence(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(CONFIG, **changes)


def test_wrong_or_empty_data_is_one_clear_sentence():
    data = squares()
    with pytest.raises(InputError, match=r"data has images of shape \(4, 4, 1\), but the model's are \(8, 8, 1\)"):
        make(data=dataclasses.replace(data, images=data.images[:, :4, :4]))
    with pytest.raises(InputError, match="data is empty"):
        make(data=dataclasses.replace(data, images=data.images[:0], labels=data.labels[:0]))


def test_the_whole_train_step_runs_under_both_array_modules(xp):
    expected = make().train_step()
    model = make().objective.model
    network = model.network.bind(xp.asarray(model.network.theta))
    record = Run(Denoise(dataclasses.replace(model, network=network), squares(), CONFIG)).train_step()
    assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-4)
    assert float(record["gradient_norm"]) == pytest.approx(float(expected["gradient_norm"]), rel=1e-3)


def test_a_train_step_never_makes_the_host_wait(strict_cupy):
    """Between two reads of the flag, every check_every steps, nothing is read back from the device."""
    config = dataclasses.replace(CONFIG, batch=6, micro_batch=3)
    model = make().objective.model
    network = model.network.bind(strict_cupy.asarray(model.network.theta))
    trainer = Run(Denoise(dataclasses.replace(model, network=network), squares(), config))
    with no_synchronisation(strict_cupy):
        trainer.train_step()
        trainer.train_step()
