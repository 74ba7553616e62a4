"""Training an autoencoder with codes: its gradient, its averages over the whole batch, and runs that go on exactly."""

import dataclasses
import warnings

import numpy as np
import pytest
from arrays import no_synchronisation, to_xp
from squares import only, squares, state

from tinydiff.base import InputError, Noise
from tinydiff.functional import average_codebook, codebook_sums, nearest_code, restart_codes
from tinydiff.models import load
from tinydiff.networks import QuantisedAutoencoder, QuantisedAutoencoderConfig
from tinydiff.nn import Gradients
from tinydiff.train import Quantise, QuantiseConfig, Run, read_log

VQ = QuantisedAutoencoderConfig(8, 1, 8, (1, 2), latent_channels=3, codes=16)
FSQ = dataclasses.replace(VQ, quantiser="fsq", levels=(5, 4, 3))
CONFIG = QuantiseConfig(
    steps=6,
    batch=10,
    micro_batch=3,
    lanes=3,
    warmup=2,
    save_every=2,
    validate_every=3,
    validation_images=8,
    log_every=1,
)
LEARNED = dataclasses.replace(CONFIG, codebook_decay=None, restart_below=None)
KINDS = {"averaged": (VQ, CONFIG), "learned": (VQ, LEARNED), "fsq": (FSQ, CONFIG)}
every = pytest.mark.parametrize("kind", KINDS)


def objective(kind="averaged", config=None, dtype=np.float32, data=None):
    shape, usual = KINDS[kind]
    network = QuantisedAutoencoder(shape, np.random.default_rng(1), dtype)
    if shape is VQ:
        network.quantiser.codebook.value *= 8  # apart as far as what the encoder says
    data = squares() if data is None else data
    return Quantise(network, data, usual if config is None else config, squares(9, 1))


def run(kind="averaged", folder=None, config=None, **options):
    trainer = Run(objective(kind, config), folder, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The codebook has collapsed")
        trainer.run(progress=False)
    return trainer


class InFloat64:
    """The squares in float64."""

    name, data = "squares", squares()

    def __len__(self):
        return len(self.data)

    def batch(self, indices, xp=np):
        x, labels = self.data.batch(indices, xp)
        return x.astype(np.float64), labels


@every
def test_the_gradient_is_that_of_the_loss_with_its_constants_frozen(kind):
    """What stop_gradient holds still, and by how much rounding moved each number, stays as it was at the point."""
    made = objective(kind, dtype=np.float64, data=InFloat64())
    network, quantiser = made.network, made.network.quantiser
    rng = np.random.default_rng(0)
    network.theta[: network.quantiser.uses.offset] += 0.01 * rng.standard_normal(network.quantiser.uses.offset)
    x_0, _ = made.data.batch(made.indices(4))
    z_0 = network.encode(x_0)
    z_q, indices = quantiser.forward(z_0)

    def smooth(z):
        """Return what is rounded."""
        if kind != "fsq":
            return z
        half = np.array([4, 3, 2]) * 0.999 / 2
        offset = np.array([0, 0.5, 0])
        return (half * np.tanh(z + np.arctanh(offset / half)) - offset) / np.array([2, 2, 1])

    moved, code = z_q - smooth(z_0), z_q.copy()

    def loss():
        z = network.encode(x_0)
        total = abs(network.decode(smooth(z) + moved) - x_0).mean()
        if kind != "fsq":
            total += 0.25 * ((z - code) ** 2).mean()
        if kind == "learned":
            total += ((quantiser.codebook.value[indices] - z_0) ** 2).mean()
        return float(total)

    grads = Gradients(network.parameters())
    found = sum(float(made.add_gradient(4, shard, grads)) for shard in range(4))
    assert found == pytest.approx(loss(), rel=1e-10)
    v, h, ends = rng.standard_normal(network.theta.shape), 1e-6, []
    learned = ("quantiser.codebook",) if kind == "learned" else ()
    for name, p in network.named_parameters().items():
        if name.startswith("quantiser") and name not in learned:
            v[p.offset : p.offset + p.size] = 0  # statistics lie there, no gradients
    for sign in (1, -1):
        network.theta[:] += sign * h * v
        ends.append(loss())
        network.theta[:] -= sign * h * v
    assert grads.flat @ v == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5)


@pytest.mark.equation("VQ-EMA")
def test_the_codebook_is_averaged_over_whole_batches_and_restarted_by_vectors_of_them():
    """Step by step against a loop that sees the whole batch at once."""
    trainer = Run(objective(config=dataclasses.replace(CONFIG, restart_below=3.0)), threads=1)
    made, quantiser = trainer.objective, trainer.objective.network.quantiser
    names = ("codebook", "sizes", "sums")
    for step in range(6):
        before = [getattr(quantiser, name).value.copy() for name in names]
        z = made.network.encode(made.data.batch(made.indices(step))[0]).reshape(-1, 3)
        chosen = Noise(0, step=step).integers(0, 159, 16, "restart")
        of_batch = codebook_sums(z, nearest_code(z, before[0]), 16)
        averaged = average_codebook(*before, *of_batch, 0.99)
        expected = restart_codes(*averaged, z[chosen], 3.0)
        trainer.train_step()
        for name, value in zip(names, expected, strict=True):
            np.testing.assert_allclose(getattr(quantiser, name).value, value, rtol=1e-4, atol=1e-5)
    assert (quantiser.sizes.value >= 3).all()
    assert quantiser.sizes.value.max() > 3


@pytest.mark.slow
@every
def test_any_number_of_threads_and_processes_gives_the_same_bits(kind):
    one = state(run(kind, threads=1))
    for threads, processes in ((3, False), (2, True), (3, True)):
        np.testing.assert_array_equal(state(run(kind, threads=threads, processes=processes)), one)


@pytest.mark.slow
@every
def test_k_steps_saved_and_m_steps_more_are_k_plus_m_steps(tmp_path, kind):
    """Bit for bit, with the averages of the codebook, its counts, and what the log says of them."""
    whole = run(kind, tmp_path / "whole", threads=2)
    cut = Run(objective(kind), tmp_path / "cut", threads=1)
    for _ in range(3):
        cut.train_step()
    cut.save()
    again = run(kind, tmp_path / "cut", threads=2, processes=True)
    assert again.first == 3
    np.testing.assert_array_equal(state(again), state(whole))
    figures = [
        [(r["codes_used"], r["perplexity"]) for r in read_log(tmp_path / name) if r["step"] > 4 and "codes_used" in r]
        for name in ("whole", "cut")
    ]
    assert figures[0] == figures[1] != []


@every
def test_the_optimizer_leaves_the_statistics_alone(kind):
    trainer = run(kind)
    network, learner = trainer.objective.network, only(trainer)
    for name, p in network.named_parameters().items():
        if name.startswith("quantiser") and (kind, name) != ("learned", "quantiser.codebook"):
            assert not learner.optimizer.m[p.offset : p.offset + p.size].any()
    moments = learner.optimizer.m[network.quantiser.uses.offset - 48 : network.quantiser.uses.offset]
    assert moments.any() or kind != "fsq"


def test_usage_is_logged_of_whole_epochs():
    """Four batches of 10 are an epoch of 40 pictures, with 16 codes each."""
    records = []
    trainer = run(config=dataclasses.replace(CONFIG, steps=8), hooks=[records.append])
    steps = [r for r in records if "loss" in r]
    assert ["codes_used" in r for r in steps] == [False] * 3 + [True] * 5
    assert len({r["perplexity"] for r in steps[3:7]}) == 1
    assert 1 <= steps[-1]["perplexity"] <= steps[-1]["codes_used"] <= 16
    uses = trainer.objective.network.quantiser.uses.value
    assert (uses[0].sum(), uses[1].sum()) == (0, 40 * 16)
    assert {"validation_loss", "psnr", "validation_codes_used"} <= set(trainer.validate())


def test_a_codebook_that_has_collapsed_is_said_once_with_the_remedy():
    made = objective(config=dataclasses.replace(CONFIG, steps=12, restart_below=None, validate_every=100))
    made.network.quantiser.codebook.value[1:] = 1e3  # nothing is near
    with pytest.warns(UserWarning, match="has collapsed") as said:
        Run(made).run(progress=False)
    (sentence,) = (str(one.message) for one in said)
    assert sentence == (
        "The codebook has collapsed: in epoch 1, 1 of 16 codes were used, with a perplexity of 1.0, less than 10% of "
        "them: set restart_below, so that unused codes begin anew, lower the learning rate, or use FSQ."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = objective(config=dataclasses.replace(CONFIG, steps=12, validate_every=100))
        made.network.quantiser.codebook.value[1:] = 1e3
        Run(made).run(progress=False)  # with restarts, they come to where the data are


@pytest.mark.slow
@every
def test_it_learns(kind):
    losses = []
    config = dataclasses.replace(KINDS[kind][1], steps=80, lr=5e-3, validate_every=1000)
    trainer = run(kind, config=config, hooks=[lambda r: losses.append(r.get("loss"))])
    losses = [loss for loss in losses if loss is not None]
    assert np.mean(losses[-5:]) < 0.4 * losses[0]
    assert trainer.objective.measure()["codes_used"] > 3


@every
def test_a_trained_one_is_loaded_from_its_folder(tmp_path, kind):
    trainer = run(kind, tmp_path)
    x, _ = squares().batch(np.arange(3))
    again, trained = load(tmp_path), trainer.trained()
    np.testing.assert_array_equal(again.to_indices(x), trained.to_indices(x))
    assert again.quantiser.usage() == trainer.objective.network.quantiser.usage()
    average = only(trainer).average  # but for what is counted
    uses = trained.quantiser.uses
    np.testing.assert_array_equal(trained.theta[: uses.offset], average[: uses.offset])
    np.testing.assert_array_equal(trained.theta[uses.offset + uses.size :], average[uses.offset + uses.size :])


@every
def test_the_step_runs_under_both_array_modules(xp, kind):
    here, there = objective(kind), objective(kind)
    network = there.network.bind(to_xp(xp, there.network.theta))
    first = Run(here)
    expected = first.train_step()
    trainer = Run(Quantise(network, squares(), KINDS[kind][1], squares(9, 1)))
    with no_synchronisation(xp):
        record = trainer.train_step()
    assert float(record["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-3)
    assert trainer.validate() == pytest.approx(first.validate(), rel=0.05)  # a vector halfway may take another code
    for _ in range(3):
        trainer.train_step()
    assert set(trainer.objective.measure()) == {"codes_used", "perplexity"}  # of the first epoch


def test_what_does_not_fit_is_refused():
    network = objective().network
    for call, words in [
        (lambda: QuantiseConfig(codebook_decay=None), "restart_below is 1.0, but codebook_decay is None"),
        (lambda: QuantiseConfig(codebook_decay=1.0), "codebook_decay is 1"),
        (lambda: QuantiseConfig(commitment=-1.0), "commitment is -1"),
        (
            lambda: Quantise(network, squares(), dataclasses.replace(CONFIG, restart_below=10.0)),
            "restart_below is 10.0, but a batch of 10 pictures, each with 16 vectors, has 10 for each of the 16 codes",
        ),
        (lambda: Quantise(network, squares().resize(4), CONFIG), r"data has images of shape \(4, 4, 1\), but the"),
        (lambda: Quantise(network, squares().take(slice(0, 0)), CONFIG), "data is empty"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
