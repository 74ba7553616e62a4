"""The list of networks: what holds for every network on it, and how a new one comes onto it."""

from dataclasses import dataclass

import numpy as np
import pytest

from tinydiff.base import InputError
from tinydiff.networks import NETWORKS, Classifier, ClassifierConfig, UNetConfig, build, network, registry
from tinydiff.nn import Linear, Sequential

every_name = pytest.mark.parametrize("name", list(NETWORKS))


@every_name
def test_every_network_is_built_from_its_shape(name):
    known = NETWORKS[name]
    one = build(known.config(), np.random.default_rng(3), np.float64)
    assert type(one) is known.architecture
    assert one.config == known.config()
    assert one.theta.dtype == np.float64
    np.testing.assert_array_equal(one.theta, known.architecture(known.config(), np.random.default_rng(3), float).theta)


@every_name
def test_every_network_says_what_it_is_and_takes_the_input_that_it_names(name):
    known = NETWORKS[name]
    assert known.summary
    one = build(known.config())
    output = one.forward(*one.one_input())
    for array in output if isinstance(output, tuple) else (output,):
        assert np.isfinite(np.asarray(array)).all()


def test_what_is_the_shape_of_no_network_is_refused():
    with pytest.raises(InputError, match=r"config is 3, but the shape of a network, one of .*UNetConfig, .*was"):
        build(3)
    with pytest.raises(InputError, match=r"network is 'vit', but one of .*'classifier'"):
        NETWORKS["vit"]


@pytest.fixture
def of_its_own(monkeypatch):
    """A list for this test alone."""
    monkeypatch.setattr(registry, "NETWORKS", type(NETWORKS)("network", NETWORKS))


@pytest.mark.usefixtures("of_its_own")
def test_a_new_network_registers_itself():
    @dataclass(frozen=True)
    class LineConfig:
        width: int = 3

    @network("line", LineConfig)
    class Line(Sequential):
        """One linear layer."""

        def __init__(self, config, rng=None, dtype=np.float32):
            super().__init__(Linear(config.width, 1, rng or np.random.default_rng(0), dtype=dtype))
            self.pack()

    assert isinstance(build(LineConfig(4)), Line)
    assert registry.NETWORKS["line"].summary == "One linear layer."
    with pytest.raises(InputError, match="There are two networks named 'unet'"):
        network("unet", LineConfig)(Line)
    with pytest.raises(InputError, match=r"or with a UNetConfig, in tinydiff.networks.unet and"):
        network("another", UNetConfig)(Line)
    assert network("classifier", ClassifierConfig)(Classifier) is Classifier  # again, as when a module is read again
