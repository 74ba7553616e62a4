"""The recipe "Add a network", followed with a multilayer perceptron."""

import pytest
from recipe import Recipe

NETWORK = '''
"""A multilayer perceptron: for points, and for whatever else is a row of numbers."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinydiff.base import Array, check_count, check_shape, xp_of
from tinydiff.networks.registry import network
from tinydiff.nn import Gradients, Linear, Module, Sequential, SiLU, Tape


@dataclass(frozen=True)
class PerceptronConfig:
    """The shape of a multilayer perceptron.

    Parameters
    ----------
    widths : tuple of int
        Numbers of each layer, from those that come in to those that go out.
    """

    widths: tuple[int, ...] = (2, 32, 2)

    def __post_init__(self):
        check_count("widths", len(self.widths), least=2)
        for width in self.widths:
            check_count("widths", width)


@network("<name>", PerceptronConfig)
class Perceptron(Module):
    """Rows (N, first width) to rows (N, last width), with a SiLU between two layers.

    Parameters
    ----------
    config : PerceptronConfig
    rng : numpy Generator or None
        Draws the initial weights; None takes ``np.random.default_rng(0)``.
    dtype : dtype
    """

    def __init__(self, config: PerceptronConfig, rng: np.random.Generator | None = None, dtype: Any = np.float32):
        rng = np.random.default_rng(0) if rng is None else rng
        self.config = config
        layers: list[Module] = []
        for n_in, n_out in pairwise(config.widths):
            layers += [Linear(n_in, n_out, rng, dtype=dtype), SiLU()]
        self.body = Sequential(*layers[:-1])
        self.pack()

    def one_input(self) -> tuple[Array, ...]:
        """Return one row."""
        return (xp_of(self.theta).zeros((1, self.config.widths[0]), self.theta.dtype),)

    def forward(self, x: Array, tape: Tape | None = None) -> Array:
        """Return rows (N, last width)."""
        check_shape("x", x, (None, self.config.widths[0]))
        return self.body.forward(x, tape)

    def backward(self, dy: Array, tape: Tape, grads: Gradients | None = None) -> Array:
        """Return dx, and add the weights' gradients to `grads`."""
        return self.body.backward(dy, tape, grads)
'''
TEST = '''
"""The multilayer perceptron."""

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.gradcheck import check_module
from tinydiff.networks import NETWORKS, build
from tinydiff.nn import Gradients, Tape

PerceptronConfig = NETWORKS["<name>"].config


def test_its_gradients():
    rng = np.random.default_rng(0)
    net = build(PerceptronConfig((3, 5, 2)), rng, np.float64)
    report = check_module(net, (rng.normal(size=(4, 3)),), Tape, Gradients)
    assert report, str(report)


def test_without_a_hidden_layer_it_is_a_matrix():
    line, x = build(PerceptronConfig((3, 2)), dtype=np.float64), np.random.default_rng(1).normal(size=(4, 3))
    np.testing.assert_allclose(line.forward(2 * x) - line.forward(x), line.forward(x) - line.forward(0 * x))


def test_what_makes_no_network_is_refused():
    with pytest.raises(InputError, match="widths is 0"):
        PerceptronConfig((2, 0))
'''


@pytest.mark.slow
def test_a_network(tmp_path):
    recipe = Recipe(tmp_path, "Add a network", name="perceptron")
    recipe.write("tinydiff/networks/<name>.py", NETWORK)
    recipe.write("tests/networks/test_<name>.py", TEST)
    assert "passed" in recipe.tests("tests/networks/test_<name>.py", "tests/networks/test_list.py")
    recipe.check()
