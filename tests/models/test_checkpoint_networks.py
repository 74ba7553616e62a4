"""Networks of public checkpoints: the numbers of diffusers and transformers in float64, from a file.

`tools/make_checkpoint_fixtures.py` made the file; neither library is needed.
"""

import numpy as np
import pytest
from checkpoints import cases, config_of, weights_of, write_part
from parity import projections

from tinydiff.base import Condition
from tinydiff.models.diffusers import find_tensors, read_network
from tinydiff.models.diffusers.names import is_table, names_of, write_layout
from tinydiff.networks import Autoencoder, TextEncoder
from tinydiff.nn import Gradients, Tape

FORWARD, BACKWARD = 1e-10, 1e-8
CASES = list(cases())


def here(a):
    """PyTorch's channels come second."""
    return np.ascontiguousarray(np.moveaxis(a, 1, -1))


def off(ours, theirs) -> float:
    """Return the largest difference, of the largest number if that is above 1."""
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.shape == theirs.shape
    return float(abs(ours - theirs).max() / max(1.0, abs(theirs).max()))


def as_theirs(network, gradients, linear):
    """Return gradients by the names and in the layout that they have there."""
    found = {}
    for ours, names in names_of(network).items():
        found |= write_layout(gradients[ours], names, is_table(ours), linear)
    return found


def differences(network, stored, linear):
    """Return by how much outputs, and by how much gradients, are other than those of the file."""
    tape, grads = Tape(), Gradients(network.parameters())
    outputs, gradients = [], []
    if isinstance(network, TextEncoder):
        y = network.forward(stored["tokens"], tape)
        ends = (stored["tokens"] == network.config.vocabulary - 1).argmax(axis=1)
        outputs += [off(y, stored["y"]), off(y[[0, 1], ends], stored["pooled"])]
        d_y = stored["d_y"].copy()
        d_y[[0, 1], ends] += stored["d_pooled"]
        network.backward(d_y, tape, grads)
    elif isinstance(network, Autoencoder):
        mean, log_variance = network.encode(here(stored["x"]), tape)
        outputs += [off(mean, here(stored["mean"])), off(log_variance, here(stored["log_variance"]))]
        d_x = network.encode_backward(here(stored["d_mean"]), here(stored["d_log_variance"]), tape, grads)
        gradients.append(off(d_x, here(stored["d_x"])))
        outputs.append(off(network.decode(here(stored["z"]), tape), here(stored["y"])))
        gradients.append(off(network.decode_backward(here(stored["d_y"]), tape, grads), here(stored["d_z"])))
    else:
        x, channels = here(stored["x"]), network.config.in_channels
        image = x[..., channels:] if network.config.image_channels else None
        condition = Condition(stored.get("labels"), stored.get("context"), None, image)
        t = stored["t"] + 1  # diffusers counts from 0
        outputs.append(off(network.forward(x[..., :channels].copy(), t, condition, tape), here(stored["y"])))
        d_x, d_context, _ = network.backward(here(stored["d_y"]), tape, grads)
        if image is not None:
            d_x = np.concatenate([d_x, d_context.image], axis=-1)
        gradients.append(off(d_x, here(stored["d_x"])))
        if "context" in stored:
            gradients.append(off(d_context.tokens, stored["d_context"]))
    theirs = as_theirs(network, grads.named(), linear)
    names = list(weights_of_case(stored))
    gradients.append(off(projections({name: theirs[name] for name in names}), stored["d_weights"]))
    return outputs, gradients


def weights_of_case(stored):
    return next(weights_of(case) for case, found in cases().items() if found is stored)


@pytest.mark.parametrize("said", ["said", "given"])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_all_gradients_are_those_of_diffusers_and_transformers(case, said, tmp_path):
    config = config_of(case, said)
    network = read_network(write_part(tmp_path, case, config), dtype=np.float64)
    outputs, gradients = differences(network, cases()[case], config.get("use_linear_projection", False))
    assert max(outputs) <= FORWARD, outputs
    assert max(gradients) <= BACKWARD, gradients


@pytest.mark.parametrize("case", CASES)
def test_no_weight_is_left_out_or_invented(case, tmp_path):
    network = read_network(write_part(tmp_path, case), dtype=np.float64)
    weights = weights_of(case)
    assert sum(w.size for w in weights.values()) == network.theta.size == find_tensors(tmp_path).size
    linear = config_of(case).get("use_linear_projection", False)
    named = {name: p.value for name, p in network.named_parameters().items()}
    theirs = as_theirs(network, named, linear)
    assert set(theirs) == set(weights)
    for name, w in weights.items():
        np.testing.assert_array_equal(theirs[name], w)
        assert theirs[name].flags.c_contiguous
