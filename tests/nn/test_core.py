"""Parameters, modules, the tape, gradients and checkpoints."""

import numpy as np
import pytest

from tinydiff.base import InputError, Noise
from tinydiff.nn import Checkpoint, Conv2d, Dropout, Gradients, GroupNorm, Linear, Module, Sequential, SiLU, Tape


def small_net(seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    net = Sequential(Linear(3, 8, rng, dtype=dtype), SiLU(), Linear(8, 2, rng, dtype=dtype))
    net.pack()
    return net


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


def test_a_layer_can_be_used_twice_in_one_pass():
    rng = np.random.default_rng(0)
    layer = Linear(4, 4, rng, dtype=np.float64)
    layer.pack()
    x, dy = rng.standard_normal((2, 5, 4))
    tape, grads = Tape(), Gradients(layer.parameters())
    layer.forward(layer.forward(x, tape), tape)
    layer.backward(layer.backward(dy, tape, grads), tape, grads)
    twin = Sequential(layer, layer)
    twin_tape, twin_grads = Tape(), Gradients(layer.parameters())
    twin.forward(x, twin_tape)
    twin.backward(dy, twin_tape, twin_grads)
    np.testing.assert_array_equal(grads.flat, twin_grads.flat)
    assert len(tape) == 0


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


def test_a_backward_out_of_order_names_both_modules():
    net = small_net()
    tape = Tape()
    net.forward(np.ones((1, 3)), tape)
    with pytest.raises(InputError, match=r"layers\.0 \(Linear\) called, layers\.2 \(Linear\) expected"):
        net.layers[0].backward(np.ones((1, 8)), tape)


def test_a_backward_without_a_forward_says_so():
    with pytest.raises(InputError, match="The tape is empty"):
        SiLU().backward(np.ones(3), Tape())


def test_a_tape_shows_what_it_remembers():
    net = small_net()
    tape = Tape()
    x = np.ones((5, 3))
    net.forward(x, tape)
    text = str(tape)
    assert "layers.1 (SiLU)" in text
    assert "sigmoid 5x8" in text
    assert tape["layers.0"].x is x
    with pytest.raises(InputError, match=r"nothing of 'layers\.9'; it holds: layers\.0"):
        _ = tape["layers.9"]


def test_the_bytes_of_a_tape_count_shared_arrays_once_and_weights_never():
    net = small_net()
    tape = Tape()
    net.forward(np.ones((5, 3)), tape)
    x, y, sigmoid = 5 * 3, 5 * 8, 5 * 8  # SiLU's y is the last layer's x
    assert tape.nbytes == 8 * (x + y + sigmoid)


def test_without_a_tape_nothing_is_kept_and_the_result_is_the_same():
    net = small_net()
    x = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_array_equal(net.forward(x), net.forward(x, Tape()))


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


class TwoInputs(Module):
    """y = dropout(silu(x w)) + e, to see a checkpoint with two inputs and noise."""

    def __init__(self, rng):
        self.linear, self.silu, self.dropout = Linear(6, 6, rng, dtype=np.float64), SiLU(), Dropout(0.4)

    def forward(self, x, e, tape=None):
        return self.dropout.forward(self.silu.forward(self.linear.forward(x, tape), tape), tape) + e

    def backward(self, dy, tape, grads=None):
        return self.linear.backward(
            self.silu.backward(self.dropout.backward(dy, tape, grads), tape, grads), tape, grads
        ), dy


def test_a_checkpoint_keeps_less_and_gives_the_same_bits_with_dropout():
    rng = np.random.default_rng(0)
    block = TwoInputs(rng)
    kept = Checkpoint(block)
    kept.pack()
    x, e, dy = rng.standard_normal((3, 7, 6))
    results = []
    for module in (block, kept):
        tape, grads = Tape(Noise(5)), Gradients(kept.parameters())
        y = module.forward(x, e, tape=tape)
        entries = len(tape)
        dx, de = module.backward(dy, tape, grads)
        results.append((y, dx, de, grads.flat.copy()))
        assert len(tape) == 0
    assert entries == 1
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (results[0][0] - e == 0).any()  # something was dropped
    np.testing.assert_array_equal(kept.forward(x, e), block.forward(x, e))


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
