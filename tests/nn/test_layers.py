"""A layer runs its pair bare: what the pair then takes for granted, the layer sees to."""

import inspect
import traceback

import numpy as np
import pytest

import tinydiff.functional.conv
from tinydiff import nn
from tinydiff.base import InputError, Noise
from tinydiff.functional.values import check_image_size
from tinydiff.nn import AvgPool, BlockConfig, Conv2d, Dropout, Gradients, GroupNorm, LayerNorm, Linear, ResBlock, Tape

LAYERS = {
    "Linear": (lambda rng: Linear(3, 4, rng), (2, 5, 3)),
    "Conv2d": (lambda rng: Conv2d(3, 4, 3, rng), (2, 5, 5, 3)),
    "GroupNorm": (lambda rng: GroupNorm(8), (2, 5, 5, 8)),
    "GroupNormSiLU": (lambda rng: nn.GroupNormSiLU(8), (2, 5, 5, 8)),
    "LayerNorm": (lambda rng: LayerNorm(8), (2, 5, 8)),
    "SelfAttention": (lambda rng: nn.SelfAttention(8, 2, rng), (2, 3, 3, 8)),
}


def layer_and_input(kind):
    make, shape = LAYERS[kind]
    rng = np.random.default_rng(0)
    return make(rng), rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("kind", LAYERS)
def test_an_input_that_is_not_like_the_weights_is_refused(kind):
    layer, x = layer_and_input(kind)
    with pytest.raises(InputError, match=r"x is float64, weight is float32.*astype"):
        layer.forward(x.astype(float))
    with pytest.raises(InputError, match=r"C is 9 in x|c_in is 4 in x"):
        layer.forward(np.concatenate([x, x[..., :1]], axis=-1))
    with pytest.raises(InputError, match="may have size 0"):
        layer.forward(x[:0])


@pytest.mark.parametrize("kind", LAYERS)
def test_an_upstream_gradient_that_is_not_like_the_weights_is_refused(kind):
    layer, x = layer_and_input(kind)
    tape, grads = Tape(), Gradients(layer.parameters())
    y = layer.forward(x, tape)
    with pytest.raises(InputError, match=r"dy is float64, weight is float32"):
        layer.backward(y.astype(float), tape, grads)


@pytest.mark.parametrize(
    "layer",
    [nn.SiLU(), nn.GELU(), nn.QuickGELU(), nn.LeakyReLU(), nn.UnitLength(), nn.Upsample(), AvgPool(), Dropout(0.5)],
)
def test_what_is_no_array_of_floats_is_refused_by_layers_without_weights(layer):
    with pytest.raises(InputError, match="x is of type list"):
        layer.forward([[1.0]], Tape(Noise(0)))
    with pytest.raises(InputError, match="x has dtype int64"):
        layer.forward(np.ones((1, 2, 2, 1), np.int64), Tape(Noise(0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(3, 4, 2), "kernel is 2, but an odd number"),
        (lambda: Conv2d(3, 4, stride=3), "stride is 3, but 1 or 2"),
        (lambda: Conv2d(3, 4, stride=1.0), r"stride is 1\.0"),
        (lambda: Conv2d(3, 4, padding=3), r"padding is \(\(3, 3\), \(3, 3\)\)"),
        (lambda: Conv2d(3, 4, padding=(1, 1)), r"padding\[0\] is 1, but a tuple of 2"),
        (lambda: GroupNorm(8, 3), "channels = 8 cannot be divided into groups = 3"),
        (lambda: GroupNorm(8, eps=-1.0), r"eps is -1\.0"),
        (lambda: LayerNorm(8, eps="a"), "eps is 'a'"),
        (lambda: nn.Upsample(1.5), r"factor is 1\.5, but a whole number"),
        (lambda: AvgPool(0), "factor is 0, but an integer from 1"),
        (lambda: nn.LeakyReLU(2), "slope is 2"),
        (lambda: Dropout(1.0), r"dropout is 1\.0"),
    ],
)
def test_constructors_refuse_values_that_their_pair_would(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("channels", [(3, 4), (16, 16), (16, 2)])  # im2col, Winograd, shift
def test_an_image_smaller_than_the_kernel_is_refused_by_every_algorithm(channels):
    layer = Conv2d(*channels, 3, np.random.default_rng(0), padding=0)
    with pytest.raises(InputError, match=r"with padding .* it is smaller than the 3 x 3 kernel"):
        layer.forward(np.ones((1, 2, 6, channels[0]), np.float32))


@pytest.mark.parametrize(
    ("mask", "message"),
    [(np.zeros((5, 5)), "mask has dtype float64"), (np.ones((4, 5), bool), r"mask has shape \(4, 5\)")],
)
def test_a_mask_is_checked_by_the_layer_that_takes_it(mask, message):
    x = np.ones((2, 5, 8), np.float32)
    with pytest.raises(InputError, match=message):
        nn.Attention(8, 2, np.random.default_rng(0)).forward(x, x, mask=mask)


@pytest.mark.parametrize(
    ("indices", "message"), [(np.array([5]), "indices holds 5"), (np.array([1.0]), "indices has dtype float64")]
)
def test_an_embedding_refuses_what_is_no_row(indices, message):
    with pytest.raises(InputError, match=message):
        nn.Embedding(5, 4).forward(indices)


def test_from_a_block_to_the_formula_are_three_frames(monkeypatch):
    frames = []

    def note(x, w, padding):
        frames.extend(frame.name for frame in traceback.extract_stack())
        check_image_size(x, w, padding)

    monkeypatch.setattr(tinydiff.functional.conv, "check_image_size", note)
    block = ResBlock(3, 3, BlockConfig(4), np.random.default_rng(0))
    block.forward(np.ones((1, 4, 4, 3), np.float32), np.ones((1, 4), np.float32))
    start = frames.index("test_from_a_block_to_the_formula_are_three_frames")
    assert frames[start + 1 : start + 5] == ["forward", "forward", "conv2d", "note"]


@pytest.mark.parametrize("kind", [name for name in nn.__all__ if inspect.isclass(getattr(nn, name))])
def test_constructors_take_few_arguments(kind):
    cls = getattr(nn, kind)
    assert len(inspect.signature(cls).parameters) <= 8
