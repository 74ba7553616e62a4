"""The autoencoder with codes: pictures as whole numbers and back, any size, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from arrays import to_host, to_xp

from tinydiff.base import InputError
from tinydiff.models import load, save
from tinydiff.networks import QuantisedAutoencoder, QuantisedAutoencoderConfig
from tinydiff.nn import Gradients, ScalarQuantiser, Tape, VectorQuantiser

VQ = QuantisedAutoencoderConfig(8, 1, 8, (1, 2), latent_channels=3, codes=16, quant_conv=True)
FSQ = dataclasses.replace(VQ, quantiser="fsq", levels=(5, 4, 3))
X = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype("f4")
every = pytest.mark.parametrize("config", [VQ, FSQ], ids=["vq", "fsq"])


def make(config, dtype=np.float32):
    network = QuantisedAutoencoder(config, np.random.default_rng(1), dtype)
    if config.quantiser == "vq":
        network.quantiser.codebook.value *= 16  # apart as far as what the encoder says
    return network


@every
def test_a_picture_is_whole_numbers_and_these_a_picture(config):
    network = make(config)
    indices = network.to_indices(X)
    assert (indices.shape, indices.dtype.kind) == ((3, 4, 4), "i")
    assert len(np.unique(indices)) > 3
    assert 0 <= indices.min() <= indices.max() < network.quantiser.codes
    np.testing.assert_array_equal(network.from_indices(indices), network.forward(X))
    assert network.forward(X).shape == X.shape
    assert type(network.quantiser) is {"vq": VectorQuantiser, "fsq": ScalarQuantiser}[config.quantiser]


@every
def test_the_backward_is_the_sum_of_its_parts(config):
    network, tape = make(config), Tape()
    d_x_hat = network.forward(X, tape)
    grads = Gradients(network.parameters())
    dx = network.backward(d_x_hat, tape, grads)
    assert dx.shape == X.shape
    moved = {name for name, g in grads.named().items() if g.any()}
    assert {"encoder.stem.weight", "quant.weight", "post_quant.weight", "decoder.stem.weight"} <= moved
    assert not any(name.startswith("quantiser") for name in moved)  # no loss of reconstruction moves codes
    assert not len(tape)


@every
def test_any_size_that_the_levels_can_halve(config):
    network = make(config)
    x = np.zeros((1, 6, 10, 1), "f4")
    assert network.to_indices(x).shape == (1, 3, 5)
    assert network.forward(x).shape == x.shape
    with pytest.raises(InputError, match=r"x is 6 x 9, but .* 6 x 8 or 6 x 10 would do"):
        network.forward(x[:, :, :9])
    with pytest.raises(InputError, match="x has shape"):
        network.forward(np.zeros((1, 6, 10, 3), "f4"))


@every
def test_it_comes_back_from_its_folder(config, tmp_path):
    network = make(config)
    save(tmp_path, network)
    again = load(tmp_path)
    assert again.config == config
    np.testing.assert_array_equal(again.to_indices(X), network.to_indices(X))


@every
def test_it_runs_under_both_array_modules(xp, config):
    network = make(config)
    there = network.bind(to_xp(xp, network.theta))
    np.testing.assert_allclose(to_host(there.forward(to_xp(xp, X))), network.forward(X), rtol=1e-3, atol=1e-4)


def test_shapes_that_do_not_fit_are_refused():
    for options, words in [
        ({"quantiser": "kmeans"}, "quantiser is 'kmeans', but one of 'vq', 'fsq'"),
        ({"quantiser": "fsq", "levels": (8, 5, 5, 5)}, "levels is 8, 5, 5, 5, of 4 channels, but latent_channels is 3"),
        ({"levels": (8, 2, 5)}, r"levels\[1\] is 2, but a whole number from 3"),
        ({"codes": 0}, "codes is 0"),
        ({"image_size": 9}, "image_size is 9 x 9"),
    ]:
        with pytest.raises(InputError, match=words):
            dataclasses.replace(VQ, **options)
    with pytest.raises(InputError, match="indices holds 16, but integers from 0 to 15"):
        make(VQ).from_indices(np.full((1, 2, 2), 16))
