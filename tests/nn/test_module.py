"""Modules and their parameters: views of one vector, names, another vector, the summary."""

import numpy as np
import pytest
from small_net import small_net

from tinydiff.base import InputError
from tinydiff.nn import Conv2d, GroupNorm, Linear, Sequential, SiLU, Tape


def test_every_parameter_is_a_view_of_theta():
    net = small_net()
    assert net.theta.size == 3 * 8 + 8 + 8 * 2 + 2
    net.theta[:] = np.arange(net.theta.size)
    assert net.layers[0].weight.value[0, 0] == 0
    assert net.layers[2].bias.value[-1] == net.theta.size - 1
    net.layers[0].bias.value[:] = -1
    assert (net.theta[24:32] == -1).all()


def test_names_are_paths_in_the_order_of_theta():
    assert list(small_net().named_parameters()) == [
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]


def test_bind_gives_the_same_model_on_another_vector():
    net = small_net()
    x = np.random.default_rng(1).standard_normal((4, 3))
    before = net.forward(x)
    other = net.bind(2 * net.theta)
    assert not np.allclose(other.forward(x), before)
    np.testing.assert_array_equal(net.forward(x), before)
    np.testing.assert_array_equal(net.bind(net.theta.copy()).forward(x), before)
    half = net.bind(net.theta.astype(np.float32))
    assert half.forward(x.astype(np.float32)).dtype == np.float32
    other.theta[:] = 0
    assert not other.forward(x).any()
    with pytest.raises(InputError, match=r"vector has shape \(3,\)"):
        net.bind(np.zeros(3))


def test_the_decay_mask_spares_biases_and_norms():
    net = Sequential(Conv2d(4, 4, rng=np.random.default_rng(0)), GroupNorm(4))
    mask = net.decay_mask()
    assert mask[: 9 * 16].all()
    assert not mask[9 * 16 :].any()


def test_a_part_of_a_packed_model_has_no_theta_of_its_own():
    net = small_net()
    with pytest.raises(InputError, match="part of a larger packed model"):
        net.layers[0].pack()


def test_packing_a_larger_model_moves_the_parameters_on():
    inner = small_net()
    outer = Sequential(inner, Linear(2, 2, np.random.default_rng(0), dtype=np.float64))
    outer.pack()
    outer.theta[:] = 0
    assert not inner.forward(np.ones((1, 3))).any()
    with pytest.raises(InputError, match="part of a larger"):
        _ = inner.theta


def test_a_module_without_parameters_says_so():
    with pytest.raises(InputError, match="SiLU has no parameters"):
        _ = SiLU().theta


def test_the_summary_counts_parameters_flops_and_bytes():
    net = small_net()
    with pytest.raises(InputError, match="does not know the shape of its input"):
        net.summary()
    x = np.ones((5, 3))
    text = net.summary(x)
    tape = Tape()
    net.forward(x, tape)
    total = text.splitlines()[-1].split()
    assert total[0] == "total"
    assert [int(n.replace(",", "")) for n in total[1:]] == [net.theta.size, 2 * 5 * (3 * 8 + 8 * 2), tape.nbytes]
