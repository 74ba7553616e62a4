"""The variational autoencoder of vectors: gradients of the whole, the samples it draws, points as pictures."""

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.networks import VAE, VAEConfig
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
CONFIG = VAEConfig((3, 2), 1, 2, (5, 4))


def test_gradients_of_all_outputs_match_finite_differences():
    """In theta and in x, along random directions, of a random sum of all that the forward returns."""
    model = VAE(CONFIG, np.random.default_rng(1), np.float64)
    x, eps = rng.standard_normal((4, 3, 2, 1)), rng.standard_normal((4, 2))
    d_out = [rng.standard_normal(shape) for shape in ((4, 3, 2, 1), (4, 2), (4, 2))]

    def loss(theta, x):
        return sum(float((a * d).sum()) for a, d in zip(model.bind(theta).forward(x, eps), d_out, strict=True))

    tape, grads = Tape(), Gradients(model.parameters())
    model.forward(x, eps, tape)
    d_x = model.backward(*d_out, tape, grads)
    assert len(tape) == 0
    h, v, u = 1e-6, rng.standard_normal(model.theta.shape), rng.standard_normal(x.shape)
    theta = model.theta
    by_theta = (loss(theta + h * v, x) - loss(theta - h * v, x)) / (2 * h)
    by_x = (loss(theta, x + h * u) - loss(theta, x - h * u)) / (2 * h)
    assert grads.flat @ v == pytest.approx(by_theta, rel=1e-6)
    assert (d_x * u).sum() == pytest.approx(by_x, rel=1e-6)


def test_what_it_draws_has_the_decoders_mean_and_deviation():
    """20,000 samples at one z: mean and deviation are within 5 of their standard errors (false alarm: 3e-6)."""
    model = VAE(VAEConfig(1, 2, 2, (4,)), np.random.default_rng(1), np.float64)
    model.log_sigma.value[:] = np.log(0.3)
    n = 20_000
    z = np.tile([[0.5, -1.0]], (n, 1))
    x = model.draw(z, Noise(0).normal((n, 1, 1, 2), "x", dtype=np.float64)).reshape(n, 2)
    np.testing.assert_allclose(x.mean(axis=0), model.draw(z[:1]).reshape(2), atol=5 * 0.3 / n**0.5)
    np.testing.assert_allclose(x.std(axis=0), 0.3, atol=5 * 0.3 / (2 * n) ** 0.5)


def test_bad_inputs_are_one_clear_sentence():
    model = VAE(CONFIG)
    with pytest.raises(InputError, match=r"x has shape \(1, 2, 3, 1\)"):
        model.encode(np.zeros((1, 2, 3, 1), "f4"))
    with pytest.raises(InputError, match=r"z has shape \(1, 3\)"):
        model.decode(np.zeros((1, 3), "f4"))
    with pytest.raises(InputError, match=r"eps has shape \(1, 1\)"):
        model.forward(np.zeros((1, 3, 2, 1), "f4"), np.zeros((1, 1), "f4"))
    with pytest.raises(InputError, match="latent is 0"):
        VAEConfig(latent=0)
