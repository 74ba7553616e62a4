"""Two networks layer by layer: the layer where their numbers part is found, wherever it is."""

import numpy as np
import pytest
from checkpoints import cases, write_part

from tinydiff.base import InputError
from tinydiff.models import compare_networks
from tinydiff.models.compare import FLIPS, describe_differences, flipped
from tinydiff.models.diffusers import read_network
from tinydiff.nn import Module

CASES = [case for case in cases() if case in ("ddpm", "pixels", "sd 1", "sd 2", "vae", "clip")]
# Of each network, where numbers must part by an option: the first layer that has it.
PARTS = {
    ("ddpm", "eps"): "down.0.blocks.0.norm_1",
    ("sd 1", "eps"): "down.0.blocks.0.norm_1",
    ("sd 1", "transformer-eps"): "down.0.blocks.0.attention.norm",
    ("sd 1", "pad"): "down.0.resample",
    ("ddpm", "pad"): "down.0.resample",
    ("sd 1", "heads"): "down.0.blocks.0.attention.block.self_attention.proj",
    ("sd 2", "heads"): "down.0.blocks.0.attention.block.self_attention.proj",
    ("ddpm", "heads"): "down.1.blocks.0.attention.proj",
    ("vae", "eps"): "encoder.down.0.blocks.0.norm_1",
    ("vae", "pad"): "encoder.down.0.resample",
    ("clip", "gelu"): "blocks.0.feed_forward.layers.1",
    ("clip", "heads"): "blocks.0.self_attention.proj",
}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    return {case: read_network(write_part(folder / case, case), dtype=np.float64) for case in CASES}


def first_of(layers):
    return next((layer.path for layer in layers if layer.parts), None)


@pytest.mark.parametrize("case", CASES)
def test_a_network_does_not_part_from_itself(networks, case):
    layers = compare_networks(networks[case], networks[case])
    assert first_of(layers) is None
    assert all(layer.difference == 0 for layer in layers)
    assert "all the same but for rounding" in describe_differences(case, layers)[0]
    assert "forward" not in vars(networks[case]), "nothing is left of the recording"


@pytest.mark.parametrize(("case", "option"), PARTS)
def test_numbers_part_at_the_first_layer_that_has_the_option(networks, case, option):
    network = networks[case]
    layers = compare_networks(network, flipped(network, option))
    assert first_of(layers) == PARTS[case, option]
    lines = describe_differences(case, layers)
    assert f"numbers part at {PARTS[case, option]} (" in lines[0]
    assert sum(line.endswith("<- here") for line in lines) == 1


@pytest.mark.parametrize("case", CASES)
def test_one_weight_that_is_off_is_found_in_its_layer(networks, case):
    """Of 12 layers, drawn at random: the one whose weight was changed is the first that differs."""
    network, rng = networks[case], np.random.default_rng(4)
    # each layer is used, so that the first number of its weight moves its output; tokens choose which rows they read
    names = [name for name in network.named_parameters() if name.endswith((".weight", ".gamma"))]
    for name in rng.choice(names, 12, replace=False):
        twin = network.bind(network.theta.copy())
        parameter = twin.named_parameters()[name]
        parameter.value[...] += 1e-6 * rng.standard_normal(parameter.value.shape)
        assert first_of(compare_networks(network, twin)) == name.rpartition(".")[0]


def test_a_difference_that_rounding_in_float32_would_hide_is_seen(networks):
    layers = compare_networks(networks["sd 1"], flipped(networks["sd 1"], "transformer-eps"))
    assert 0 < next(layer.difference for layer in layers if layer.parts) < 1e-3


def test_what_cannot_be_compared_is_refused(networks):
    with pytest.raises(InputError, match="The first is a UNet, the other a Autoencoder"):
        compare_networks(networks["sd 1"], networks["vae"])
    with pytest.raises(InputError, match="take different inputs"):
        compare_networks(networks["pixels"], networks["sd 1"])
    with pytest.raises(InputError, match="has no activation"):
        flipped(networks["sd 1"], "gelu")
    with pytest.raises(InputError, match="flip is 'swish'"):
        FLIPS["swish"]
    assert isinstance(networks["sd 1"], Module)
