"""The numbers of diffusers' AutoencoderKL in float64, outputs and all gradients, from a file: diffusers is not needed.

`tools/make_diffusers_fixtures.py` made the file.
"""

from pathlib import Path

import numpy as np
import pytest
from parity import projections

from tinydiff.networks import Autoencoder, AutoencoderConfig
from tinydiff.nn import Gradients, Tape

TOLERANCE = 1e-10
CONFIG = AutoencoderConfig(
    image_size=(8, 12),
    channels=8,
    channel_mult=(1, 2),
    latent_channels=2,
    groups=4,
    mid_attention=True,
    asymmetric_pad=True,
    norm_eps=1e-6,
    quant_conv=True,
)
# diffusers' name of a part -> ours, replaced in this order. The levels of its decoder, too, begin with the smallest.
RENAMED = {
    "conv_in": "stem",
    "down_blocks": "down",
    "up_blocks": "up",
    "mid_block.resnets": "mid.blocks",
    "mid_block.attentions.0": "mid.blocks.0.attention",
    "resnets": "blocks",
    "downsamplers.0.conv": "resample",
    "upsamplers.0.conv": "resample.layers.1",
    "conv_norm_out": "head.layers.0",
    "conv_out": "head.layers.1",
    "norm1": "norm_1",
    "norm2": "norm_2",
    "conv1": "conv_1",
    "conv2": "conv_2",
    "conv_shortcut": "shortcut",
    "group_norm": "norm",
    "to_q": "qkv",
    "to_k": "qkv",
    "to_v": "qkv",
    "to_out.0": "proj",
    "post_quant_conv": "post_quant",
    "quant_conv": "quant",
}


def as_diffusers_has_it(named: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return a view of one of our arrays, found by diffusers' name, in PyTorch's layout (out, in, height, width)."""
    ours = name
    for theirs, here in RENAMED.items():
        ours = ours.replace(theirs, here)
    if ours not in named:  # a norm: what PyTorch calls weight and bias is gamma and beta here
        ours = ours.replace("weight", "gamma").replace("bias", "beta")
    array = named[ours]
    for i, part in enumerate(("to_q", "to_k", "to_v")):  # one matrix here
        if part in name:
            array = np.split(array, 3, axis=-1)[i]
    return array.transpose({1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}[array.ndim])


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).parent.parent / "fixtures" / "diffusers_autoencoder.npz") as file:
        return dict(file)


def agree(ours, theirs) -> bool:
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.shape == theirs.shape
    return abs(ours - theirs).max() <= TOLERANCE * max(1.0, abs(theirs).max())


def test_outputs_and_gradients_are_those_of_diffusers(stored):
    names = [key.removeprefix("weight/") for key in stored if key.startswith("weight/")]
    model = Autoencoder(CONFIG, dtype=np.float64)
    model.theta[:] = np.nan  # so that a weight that diffusers does not have would show
    named = {name: p.value for name, p in model.named_parameters().items()}
    for name in names:
        there = as_diffusers_has_it(named, name)
        there[...] = stored[f"weight/{name}"].reshape(there.shape)  # a 1 x 1 convolution is a matrix here
    tape, grads = Tape(), Gradients(model.parameters())
    outputs = dict(zip(("x_hat", "mean", "log_variance"), model.forward(stored["x"], stored["eps"], tape), strict=True))
    for name, output in outputs.items():
        assert agree(np.ascontiguousarray(output), stored[name]), name
    d_x = model.backward(*(stored[f"d_{name}"] for name in outputs), tape, grads)
    assert agree(d_x, stored["d_x"])
    gradients = grads.named()
    assert agree(projections({name: as_diffusers_has_it(gradients, name) for name in names}), stored["d_theta"])
    assert sum(stored[f"weight/{name}"].size for name in names) == model.theta.size


@pytest.mark.parametrize("change", [{"norm_eps": 1e-5}, {"asymmetric_pad": False}])
def test_the_file_would_notice_another_norm_or_pad(stored, change):
    model = Autoencoder(AutoencoderConfig(**{**vars(CONFIG), **change}), dtype=np.float64)
    named = {name: p.value for name, p in model.named_parameters().items()}
    for key, weight in stored.items():
        if key.startswith("weight/"):
            there = as_diffusers_has_it(named, key.removeprefix("weight/"))
            there[...] = weight.reshape(there.shape)
    assert not agree(model.forward(stored["x"], stored["eps"])[0], stored["x_hat"])
