"""Gradients: they add up, by parameter, for all of a network or a part."""

import numpy as np
import pytest
from small_net import small_net

from tinydiff.base import InputError
from tinydiff.nn import Gradients, Linear, Sequential, Tape


def test_a_tied_parameter_stands_once_and_its_gradients_add():
    rng = np.random.default_rng(0)
    first, second = Linear(4, 4, rng, bias=False, dtype=np.float64), Linear(4, 4, rng, bias=False, dtype=np.float64)
    second.weight = first.weight
    net = Sequential(first, second)
    net.pack()
    assert net.theta.size == 16
    x, dy = rng.standard_normal((2, 5, 4))
    tape, grads = Tape(), Gradients(net.parameters())
    net.forward(x, tape)
    net.backward(dy, tape, grads)
    w = first.weight.value
    by_hand = (x @ w).T @ dy + x.T @ (dy @ w.T)  # y = (x w) w
    np.testing.assert_allclose(grads["layers.0.weight"], by_hand, rtol=1e-12)


def test_gradients_add_and_can_be_a_subset():
    net = small_net()
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((4, 3)), rng.standard_normal((4, 2))
    everything, some = Gradients(net.parameters()), Gradients(net.layers[2].named_parameters().values())
    for grads in (everything, some):
        for _ in range(2):
            tape = Tape()
            net.forward(x, tape)
            net.backward(dy, tape, grads)
    np.testing.assert_array_equal(everything["layers.2.weight"], some["layers.2.weight"])
    assert some.flat.size == 8 * 2 + 2
    np.testing.assert_allclose(some["layers.2.bias"], 2 * dy.sum(axis=0))
    everything.zero()
    assert not everything.flat.any()
    with pytest.raises(InputError, match=r"no gradient for 'layers\.0\.weight'"):
        _ = some["layers.0.weight"]


def test_a_gradient_of_a_wrong_shape_names_the_parameter():
    net = small_net()
    with pytest.raises(InputError, match=r"gradient of layers\.0\.bias has shape \(3,\)"):
        Gradients(net.parameters()).add(net.layers[0].bias, np.zeros(3))
