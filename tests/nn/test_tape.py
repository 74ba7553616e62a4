"""The tape: what a forward remembers, and in which order a backward takes it."""

import numpy as np
import pytest
from small_net import small_net

from tinydiff.base import InputError
from tinydiff.nn import Gradients, Linear, Sequential, SiLU, Tape


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
