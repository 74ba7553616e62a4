"""Good calls of `tinydiff.nn`: the constructors of layers, what flows through them, and what holds their gradients.

A tape and a gradient that are passed on from layer to layer are not looked at in every layer, for the sake of speed.
"""

import functools

import numpy as np

from honest_calls import returning
from tinydiff import functional as F
from tinydiff import nn
from tinydiff.base import Noise

rng = np.random.default_rng(0)
IMAGES, TOKENS = rng.normal(size=(2, 4, 4, 8)).astype("f4"), rng.normal(size=(2, 3, 8)).astype("f4")
EMB = rng.normal(size=(2, 4)).astype("f4")


def fresh():
    return np.random.default_rng(0)


CONSTRUCTORS = {
    "Linear": lambda: {"c_in": 3, "c_out": 4, "rng": fresh(), "bias": True, "pair": (F.linear, F.linear_backward)},
    "Conv2d": lambda: {"c_in": 3, "c_out": 4, "kernel": 3, "rng": fresh(), "stride": 1, "padding": 1},
    "GroupNorm": lambda: {"channels": 8, "groups": 2, "eps": 1e-5},
    "GroupNormSiLU": lambda: {"channels": 8, "groups": 2, "eps": 1e-5},
    "LayerNorm": lambda: {"channels": 8, "eps": 1e-5},
    "Upsample": lambda: {"factor": 2},
    "AvgPool": lambda: {"factor": 2},
    "Dropout": lambda: {"rate": 0.25},
    "Embedding": lambda: {"rows": 3, "channels": 4, "rng": fresh()},
    "GEGLU": lambda: {"pair": (F.geglu, F.geglu_backward)},
    "GELU": lambda: {"pair": (F.gelu, F.gelu_backward)},
    "QuickGELU": lambda: {"pair": (F.quick_gelu, F.quick_gelu_backward)},
    "LeakyReLU": lambda: {"slope": 0.25},
    "SiLU": lambda: {"pair": (F.silu, F.silu_backward)},
    "UnitLength": lambda: {"pair": (F.unit_length, F.unit_length_backward)},
    "Attention": lambda: {"channels": 8, "heads": 2, "rng": fresh(), "context_channels": 8, "bias": True},
    "SelfAttention": lambda: {"channels": 8, "heads": 2, "rng": fresh(), "groups": 2, "eps": 1e-5},
    "TransformerBlock": lambda: {
        "channels": 8,
        "heads": 2,
        "rng": fresh(),
        "context_channels": 8,
        "activation": "gelu",
        "bias": True,
    },
    "SpatialTransformer": lambda: {
        "channels": 8,
        "heads": 2,
        "context_channels": 8,
        "rng": fresh(),
        "groups": 2,
        "eps": 1e-5,
    },
    "BlockConfig": lambda: {
        "c_emb": 4,
        "groups": 2,
        "dropout": 0.0,
        "scale_shift": False,
        "context_channels": 8,
        "norm_eps": 1e-5,
        "transformer_eps": 1e-5,
    },
    "ResBlock": lambda: {"c_in": 8, "c_out": 8, "config": nn.BlockConfig(4), "rng": fresh(), "heads": 2},
    "VectorQuantiser": lambda: {"codes": 5, "channels": 8, "rng": fresh()},
    "ScalarQuantiser": lambda: {"levels": (8, 5)},
    "Checkpoint": lambda: {"inner": nn.SiLU()},
    "Tape": lambda: {"noise": Noise(0), "keep": True},
    "Parameter": lambda: {"value": np.ones((2, 3), "f4"), "decay": True},
    "Gradients": lambda: {"parameters": linear().parameters(), "flat": np.zeros(72, "f4")},
}
FORWARDS = {  # layer -> what flows through it
    "Conv2d": (lambda: nn.Conv2d(8, 4, 3, fresh()), {"x": IMAGES}),
    "Linear": (lambda: nn.Linear(8, 4, fresh()), {"x": IMAGES}),
    "GroupNorm": (lambda: nn.GroupNorm(8), {"x": IMAGES}),
    "GroupNormSiLU": (lambda: nn.GroupNormSiLU(8), {"x": IMAGES}),
    "LayerNorm": (lambda: nn.LayerNorm(8), {"x": TOKENS}),
    "LeakyReLU": (nn.LeakyReLU, {"x": IMAGES}),
    "SiLU": (nn.SiLU, {"x": IMAGES}),
    "GELU": (nn.GELU, {"x": IMAGES}),
    "QuickGELU": (nn.QuickGELU, {"x": IMAGES}),
    "GEGLU": (nn.GEGLU, {"x": IMAGES}),
    "UnitLength": (nn.UnitLength, {"x": IMAGES}),
    "Upsample": (nn.Upsample, {"x": IMAGES}),
    "AvgPool": (nn.AvgPool, {"x": IMAGES}),
    "Dropout": (lambda: nn.Dropout(0.5), {"x": IMAGES}),
    "Embedding": (lambda: nn.Embedding(3, 4, fresh()), {"indices": np.array([0, 2])}),
    "Sequential": (lambda: nn.Sequential(nn.SiLU(), nn.SiLU()), {"x": IMAGES}),
    "SelfAttention": (lambda: nn.SelfAttention(8, 2, fresh()), {"x": IMAGES}),
    "Attention": (lambda: nn.Attention(8, 2, fresh()), {"x": TOKENS, "context": TOKENS, "mask": np.tri(3, dtype=bool)}),
    "TransformerBlock": (lambda: nn.TransformerBlock(8, 2, fresh(), 8), {"x": TOKENS, "context": TOKENS}),
    "SpatialTransformer": (lambda: nn.SpatialTransformer(8, 2, 8, fresh()), {"x": IMAGES, "context": TOKENS}),
    "ResBlock": (lambda: nn.ResBlock(8, 8, nn.BlockConfig(4), fresh()), {"x": IMAGES, "emb": EMB}),
}


QUANTISERS = {
    "VectorQuantiser": (lambda: nn.VectorQuantiser(5, 8, fresh()), TOKENS),
    "ScalarQuantiser": (lambda: nn.ScalarQuantiser((8, 5)), TOKENS[..., :2]),
}


def linear():
    layer = nn.Linear(8, 8, fresh())
    layer.pack()
    return layer


def forward(name):
    """Return a layer's forward, on a tape, so that what the backward needs is made too."""
    make, inputs = FORWARDS[name]
    tape = nn.Tape(Noise(0))
    f = make().forward
    return functools.wraps(f)(lambda **given: f(**given, tape=tape)), dict(inputs)


def backward(name):
    """Return a layer's backward, with the dy that is the output itself."""
    make, inputs = FORWARDS[name]
    layer, tape = make(), nn.Tape(Noise(0))
    dy = layer.forward(**inputs, tape=tape)
    grads = nn.Gradients(layer.parameters()) if layer.parameters() else None
    return (lambda dy: (layer.backward(dy, tape, grads), grads and grads.flat)), {"dy": dy}


def quantised(name):
    """Return a quantiser's backward, with the gradient that is the output itself."""
    make, z = QUANTISERS[name]
    layer, tape = make(), nn.Tape()
    d_z_q, _ = layer.forward(z, tape)
    return (lambda d_z_q: layer.backward(d_z_q, tape)), {"d_z_q": d_z_q}


def gradients():
    return nn.Gradients(linear().parameters())


def add():
    layer = linear()
    grads = nn.Gradients(layer.parameters())
    return returning(lambda: grads.flat, grads.add), {"parameter": layer.weight, "d": np.ones((8, 8), "f4")}


def moved():
    layer = linear()
    return returning(lambda: layer.theta, layer.move_to), {"vector": np.ones(72, "f4")}


CALLS = {name: lambda name=name: (getattr(nn, name), CONSTRUCTORS[name]()) for name in CONSTRUCTORS}
CALLS |= {f"{name}.forward": lambda name=name: forward(name) for name in FORWARDS}
CALLS |= {f"{name}.backward": lambda name=name: backward(name) for name in FORWARDS if name != "Embedding"}
CALLS |= {
    f"{name}.forward": lambda make=make, z=z: (make().forward, {"z": z}) for name, (make, z) in QUANTISERS.items()
}
CALLS |= {f"{name}.backward": lambda name=name: quantised(name) for name in QUANTISERS}
CALLS |= {
    f"{name}.look_up": lambda make=make: (make().look_up, {"indices": np.array([[0, 2], [4, 1]])})
    for name, (make, _) in QUANTISERS.items()
}
CALLS |= {
    "Gradients.add": add,
    "Gradients.wants": lambda: (gradients().wants, {"parameter": linear().weight}),
    "Module.bind": lambda: (linear().bind, {"vector": np.ones(72, "f4")}),
    "Module.move_to": moved,
    "weights_at_most": lambda: (
        lambda most: entered(nn.weights_at_most(most, "too many")),
        {"most": 10},
    ),
}
# What takes no arguments; the inside of layers, which a subclass defines; a checkpoint's passes are its module's; and
# what a quantiser keeps of a batch, which a run hands it.
WITHOUT = {
    *("Module.children", "Module.named_parameters", "Module.parameters", "Module.pack", "Module.summary"),
    *(
        "Module.one_input",
        "Module.named_modules",
        "Module.flops",
        "Module.decay_mask",
        "Gradients.named",
        "Gradients.zero",
    ),
    *("Layer", "Layer.arguments", "Layer.values", "Layer.options", "Layer.forward", "Layer.backward"),
    *("Checkpoint.forward", "Checkpoint.backward", "Tape.push", "Tape.pop", "Embedding.backward", "Module"),
    *("Sequential", "weights_left_out", "weights_that_fit"),
    *("Quantiser", "Quantiser.look_up", "Quantiser.count", "Quantiser.end_of_batch", "Quantiser.usage"),
    *("VectorQuantiser.remember", "VectorQuantiser.average"),
    *(f"{kind}.{method}" for kind in vars(nn) for method in ("arguments", "options", "flops")),
}


def entered(context):
    with context:
        return "inside"
