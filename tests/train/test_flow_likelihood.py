"""Maximum likelihood of a flow: its gradient, its loss written out, a density that is learned, and runs that go on."""

import dataclasses

import numpy as np
import pytest
import scipy.stats
from loss_slopes import slopes
from points_and_digits import Points

from tinydiff.base import InputError
from tinydiff.data import load_data
from tinydiff.networks import RealNVP, RealNVPConfig
from tinydiff.nn import Gradients
from tinydiff.train import Run
from tinydiff.train.objectives.flow_likelihood import FlowLikelihood, FlowLikelihoodConfig

CONFIG = FlowLikelihoodConfig(steps=6, batch=10, micro_batch=4, warmup=2, save_every=3, validate_every=3)
SHAPE = RealNVPConfig(1, 2, 4, (8,))


def make(dtype=np.float32, config=CONFIG, strength=0.2):
    flow = RealNVP(SHAPE, np.random.default_rng(0), dtype)
    flow.theta[:] += strength * np.random.default_rng(1).standard_normal(flow.theta.shape)
    return FlowLikelihood(flow, Points(), config, Points(40, 1))


@pytest.mark.equation("NVP-5")
def test_the_loss_and_its_gradient_are_those_of_the_log_density_written_out():
    objective = make(np.float64)
    run = Run(objective, threads=1, processes=False)
    learner = run.learners[""]
    by_gradient, by_difference = slopes(learner)
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-6)
    x, _ = objective.data.batch(objective.indices(0))
    z, log_det = objective.network.forward(x.astype(np.float64))
    expected = -(scipy.stats.norm.logpdf(z).sum(axis=1) + log_det).mean() / 2
    grads = Gradients(objective.network.parameters())
    found = sum(float(objective.add_gradient(0, shard, grads)) for shard in range(3))
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_gradient_of_dequantised_digits_matches_finite_differences():
    flow = RealNVP(RealNVPConfig(8, 1, 2, (6,)), np.random.default_rng(0), np.float64)
    flow.theta[:] += 0.05 * np.random.default_rng(1).standard_normal(flow.theta.shape)
    objective = FlowLikelihood(flow, load_data("digits"), dataclasses.replace(CONFIG, levels=17))
    by_gradient, by_difference = slopes(Run(objective, threads=1, processes=False).learners[""])
    np.testing.assert_allclose(by_gradient, by_difference, rtol=1e-5)


def test_it_learns_two_heaps_nearly_as_well_as_the_distribution_that_made_them():
    """In nats for each coordinate, on points that it has not seen; the truth is the mixture's own density."""
    config = FlowLikelihoodConfig(steps=500, batch=64, lr=5e-3, ema=0.98)
    flow = RealNVP(RealNVPConfig(1, 2, 6, (24,)), np.random.default_rng(0))
    run = Run(FlowLikelihood(flow, Points(2000), config, Points(500, 1)), threads=1, processes=False)
    before = run.validate()["validation_loss"]
    run.run(progress=False)
    x = Points(500, 1).points.reshape(-1, 2)
    centres = np.array([[-0.7, 0.2], [0.7, -0.2]])
    density = np.mean([scipy.stats.norm.pdf((x - c) / 0.15).prod(axis=1) / 0.15**2 for c in centres], axis=0)
    truth = -np.log(density).mean() / 2
    found = run.validate()["validation_loss"]
    assert truth - 0.02 < found < truth + 0.2 < before - 0.5


def test_bits_are_told_where_there_are_levels():
    flow = RealNVP(RealNVPConfig(8, 1, 2, (6,)))
    config = dataclasses.replace(CONFIG, levels=17, validation_images=30)
    found = Run(FlowLikelihood(flow, load_data("digits"), config, load_data("digits", "test"))).validate()
    assert found["bits"] == pytest.approx((found["validation_loss"] + np.log(17 / 2)) / np.log(2))
    assert set(Run(make()).validate()) == {"validation_loss"}


def test_a_run_goes_on_bit_for_bit(tmp_path):
    whole = Run(make(), tmp_path, threads=1, processes=False)
    whole.run(progress=False)
    (tmp_path / "step-00000006.safetensors").unlink()
    again = Run(make(), tmp_path, threads=2, processes=True)
    assert again.step == 3
    again.run(progress=False)
    np.testing.assert_array_equal(again.trained().theta, whole.trained().theta)
    other = FlowLikelihood(RealNVP(SHAPE), Points(65), CONFIG)
    with pytest.raises(InputError, match=r"The number of images is 65, but the run in .* has 64"):
        Run(other, tmp_path)


def test_bad_inputs_are_one_clear_sentence():
    with pytest.raises(InputError, match=r"data has images of shape \(8, 8, 1\), but the network's are \(1, 1, 2\)"):
        FlowLikelihood(RealNVP(SHAPE), load_data("digits"), CONFIG)
    with pytest.raises(InputError, match="levels is 1"):
        FlowLikelihoodConfig(levels=1)
