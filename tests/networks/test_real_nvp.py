"""RealNVP: inverse, log determinant against a numerical Jacobian, a density of integral 1, and gradients."""

import numpy as np
import pytest
import scipy.stats
from arrays import to_xp

from tinydiff.base import InputError, to_numpy
from tinydiff.networks import RealNVP, RealNVPConfig
from tinydiff.networks.real_nvp import Coupling
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
POINTS = RealNVPConfig(1, 2, 4, (8, 8))
PICTURES = RealNVPConfig((2, 3), 1, 4, (8,))
SHAPES = {"points": POINTS, "pictures": PICTURES}
every = pytest.mark.parametrize("what", SHAPES)


def flow_of(config, strength=0.5):
    """Return a flow in float64 that is far from the identity."""
    flow = RealNVP(config, np.random.default_rng(1), np.float64)
    flow.theta[:] += strength * np.random.default_rng(2).standard_normal(flow.theta.shape)
    return flow


def jacobian(f, x, h=1e-6):
    """Return the Jacobian of a function of a row at x, by central differences."""
    return np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=1)


@every
def test_the_inverse_undoes_the_forward_and_their_log_determinants_cancel(what):
    flow = flow_of(SHAPES[what])
    x = rng.standard_normal((50, *flow.config.shape))
    z, log_det = flow.forward(x)
    back, log_det_of_inverse = flow.inverse(z)
    np.testing.assert_allclose(back, x, atol=1e-10)
    np.testing.assert_allclose(log_det_of_inverse, -log_det, atol=1e-10)
    assert abs(z - x.reshape(z.shape)).max() > 1  # not the identity, which would pass without a word
    assert np.ptp(log_det) > 1


@pytest.mark.equation("NVP-2")
@every
def test_the_log_determinant_is_that_of_the_numerical_jacobian(what):
    flow = flow_of(SHAPES[what], 0.3)
    shape = flow.config.shape
    for x in rng.standard_normal((5, *shape)):
        J = jacobian(lambda row: flow.forward(row.reshape(1, *shape)).y[0], x.reshape(-1))
        assert flow.forward(x[None]).log_det[0] == pytest.approx(np.linalg.slogdet(J)[1], abs=1e-6)
        z = flow.forward(x[None]).y[0]
        J = jacobian(lambda row: flow.inverse(row[None]).y.reshape(-1), z)
        assert flow.inverse(z[None]).log_det[0] == pytest.approx(np.linalg.slogdet(J)[1], abs=1e-6)


@pytest.mark.equation("NVP-1")
def test_a_coupling_is_the_formula_written_out():
    coupling = Coupling(np.array([True, False, True]), (4,), 1.5, np.random.default_rng(0), np.float64)
    coupling.pack()
    coupling.theta[:] = rng.standard_normal(coupling.theta.shape)
    x = rng.standard_normal((6, 3))
    first, _, second = coupling.body.layers
    h = x[:, [0, 2]] @ first.weight.value + first.bias.value
    raw = (h / (1 + np.exp(-h))) @ second.weight.value + second.bias.value
    s, t = 1.5 * np.tanh(raw[:, 0] / 1.5), raw[:, 1]
    y, log_det = coupling.forward(x)
    np.testing.assert_allclose(y, np.stack([x[:, 0], x[:, 1] * np.exp(s) + t, x[:, 2]], axis=1), rtol=1e-12)
    np.testing.assert_allclose(log_det, s, rtol=1e-12)


@pytest.mark.equation("NVP-4")
def test_the_density_integrates_to_one():
    """By Riemann sums on a grid of the plane; a wrong sign of the log determinant gives something else."""
    flow = flow_of(POINTS, 0.3)
    side = np.linspace(-14, 14, 701)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 1, 1, 2)
    total = np.exp(flow.log_density(grid)).sum() * (side[1] - side[0]) ** 2
    assert total == pytest.approx(1, abs=1e-3)
    z, log_det = flow.forward(grid)
    wrong = np.exp(scipy.stats.norm.logpdf(z).sum(axis=1) - log_det).sum() * (side[1] - side[0]) ** 2
    assert abs(wrong - 1) > 0.1


def test_a_new_flow_is_the_identity_and_its_density_the_standard_normal_one():
    flow, x = RealNVP(PICTURES, dtype=np.float64), rng.standard_normal((7, 2, 3, 1))
    np.testing.assert_array_equal(flow.forward(x).y, x.reshape(7, 6))
    np.testing.assert_allclose(flow.log_density(x), scipy.stats.norm.logpdf(x.reshape(7, 6)).sum(axis=1), rtol=1e-12)


@pytest.mark.equation("NVP-3")
@every
@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_match_finite_differences_in_both_directions(what, direction):
    """In theta and in the input, of a random sum of what comes out and of the log determinants."""
    flow = flow_of(SHAPES[what])
    shape = {"forward": flow.config.shape, "inverse": (flow.latent,)}[direction]
    x = rng.standard_normal((4, *shape))
    d_y, d_log_det = rng.standard_normal(getattr(flow, direction)(x).y.shape), rng.standard_normal(4)

    def loss(theta, x):
        y, log_det = getattr(flow.bind(theta), direction)(x)
        return float((y * d_y).sum() + (log_det * d_log_det).sum())

    tape, grads = Tape(), Gradients(flow.parameters())
    getattr(flow, direction)(x, tape)
    backward = {"forward": flow.backward, "inverse": flow.inverse_backward}[direction]
    d_x = backward(d_y, d_log_det, tape, grads)
    assert len(tape) == 0
    h, theta = 1e-6, flow.theta
    for seed in range(3):
        v, u = (np.random.default_rng([seed, 1]).standard_normal(a.shape) for a in (theta, x))
        by_theta = (loss(theta + h * v, x) - loss(theta - h * v, x)) / (2 * h)
        by_x = (loss(theta, x + h * u) - loss(theta, x - h * u)) / (2 * h)
        assert grads.flat @ v == pytest.approx(by_theta, rel=1e-5)
        assert (d_x * u).sum() == pytest.approx(by_x, rel=1e-5)


def test_every_number_is_moved_and_each_of_two_couplings_moves_the_others():
    for config in (POINTS, PICTURES, RealNVPConfig(8)):
        flow = RealNVP(config)
        for one, two in zip(flow.couplings, flow.couplings[1:], strict=False):
            assert sorted([*one.moved, *two.moved]) == list(range(flow.latent))
    squares = np.zeros(64, int)
    squares[RealNVP(RealNVPConfig(8)).couplings[0].kept] = 1
    assert squares.reshape(8, 8)[:2, :3].tolist() == [[1, 0, 1], [0, 1, 0]]


def test_it_runs_under_both_array_modules(xp):
    flow, x = RealNVP(POINTS, np.random.default_rng(1)), rng.standard_normal((4, 1, 1, 2)).astype("f4")
    flow.theta[:] += 0.1
    there, tape = flow.bind(to_xp(xp, flow.theta)), Tape()
    z, log_det = there.forward(to_xp(xp, x), tape)
    there.backward(z, log_det, tape, Gradients(there.parameters()))
    found = there.draw(z)
    np.testing.assert_allclose(to_numpy(found), x, atol=1e-5)


def test_bad_inputs_are_one_clear_sentence():
    flow = RealNVP(POINTS)
    with pytest.raises(InputError, match=r"x has shape \(1, 2\), but \(any, 1, 1, 2\)"):
        flow.forward(np.zeros((1, 2), "f4"))
    with pytest.raises(InputError, match=r"z has shape \(1, 3\), but \(any, 2\)"):
        flow.inverse(np.zeros((1, 3), "f4"))
    with pytest.raises(InputError, match="keeps has 2 numbers that stay of 2"):
        Coupling(np.array([True, True]), (4,), 1.0, np.random.default_rng(0))
    for change, words in [
        ({"couplings": 1}, "couplings is 1"),
        ({"scale": 0.0}, "scale is 0"),
        ({"image_size": 1}, "A picture of one number"),
    ]:
        with pytest.raises(InputError, match=words):
            RealNVPConfig(**change)
