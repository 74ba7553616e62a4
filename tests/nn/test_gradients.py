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


def test_the_layers_of_no_packed_model_get_their_gradients():
    rng = np.random.default_rng(0)
    first, second = Linear(3, 4, rng, dtype=np.float64), Linear(4, 2, rng, dtype=np.float64)
    x, dy = rng.standard_normal((5, 3)), rng.standard_normal((5, 2))
    tape, grads = Tape(), Gradients([*first.parameters(), *second.parameters()])
    h = first.forward(x, tape)
    second.forward(h, tape)
    first.backward(second.backward(dy, tape, grads), tape, grads)
    np.testing.assert_allclose(grads[second.weight], h.T @ dy, rtol=1e-12)
    np.testing.assert_allclose(grads[first.weight], x.T @ (dy @ second.weight.value.T), rtol=1e-12)
    np.testing.assert_allclose(grads["unnamed 3"], dy.sum(axis=0), rtol=1e-12)
    assert list(grads.named()) == ["unnamed 0", "unnamed 1", "unnamed 2", "unnamed 3"]


def test_two_packed_models_in_one_do_not_meet_by_name():
    rng = np.random.default_rng(0)
    one, two = Linear(3, 3, rng, dtype=np.float64), Linear(3, 3, rng, dtype=np.float64)
    for model in (one, two):
        model.pack()
    x, dy = rng.standard_normal((2, 5, 3))
    tape, grads = Tape(), Gradients([*one.parameters(), *two.parameters()])
    two.forward(x, tape)
    two.backward(dy, tape, grads)
    assert not grads[one.weight].any()
    np.testing.assert_allclose(grads[two.weight], x.T @ dy, rtol=1e-12)
    assert list(grads.named()) == ["weight", "bias", "weight (2)", "bias (2)"]
    np.testing.assert_array_equal(grads["weight (2)"], grads[two.weight])
    only_one = Gradients(one.parameters())
    assert only_one.wants(one.weight)
    assert not only_one.wants(two.weight), "another model's parameter of the same name"
    with pytest.raises(InputError, match=r"no gradient for weight; there are: weight, bias"):
        _ = only_one[two.weight]


def test_a_model_that_is_packed_after_its_gradients_were_made_keeps_them():
    layer = Linear(3, 2, np.random.default_rng(0), dtype=np.float64)
    grads, tape = Gradients(layer.parameters()), Tape()
    layer.pack()
    layer.forward(np.ones((1, 3)), tape)
    layer.backward(np.ones((1, 2)), tape, grads)
    np.testing.assert_array_equal(grads["weight"], 1)


def test_a_parameter_twice_is_refused():
    layer = Linear(3, 2, np.random.default_rng(0))
    layer.pack()
    with pytest.raises(InputError, match=r"given weight more than once"):
        Gradients([layer.weight, layer.bias, layer.weight])
