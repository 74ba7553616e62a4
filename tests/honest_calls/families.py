"""Good calls of what draws in one pass and of what trains it, for the rooms that have parts of it."""

import numpy as np

from tinydiff import models as M
from tinydiff import networks as N
from tinydiff import train as T
from tinydiff.base import Noise
from tinydiff.course.shipped import shipped_results
from tinydiff.data import Dataset
from tinydiff.nn import Gradients, Tape

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (2, 4, 4, 1)).astype("f4")
DATA = Dataset((X * 100 + 100).astype(np.uint8), np.array([1, 0]), "mine", "all", "here")
GENERATOR, JUDGE = N.GeneratorConfig(4, 1, 3, (4,)), N.VectorDiscriminatorConfig(4, 1, (4,))
VAE, FLOW = N.VAEConfig(4, 1, 3, (4,)), N.RealNVPConfig(4, 1, 2, (4,))
Z, ROWS = rng.normal(size=(2, 3)).astype("f4"), rng.normal(size=(2, 16)).astype("f4")
PICTURES = rng.normal(size=(2, 4, 4, 1)).astype("f4")
FEW = {"steps": 1, "batch": 2, "micro_batch": 2, "lanes": 1}


def seeded():
    return np.random.default_rng(0)


def flow():
    network = N.RealNVP(FLOW)
    network.theta[:] += 0.1
    return network


def back(make, forward, inputs, backward, *called):
    """Return a call of a backward, given what the forward returns as gradients."""
    model, tape = make(), Tape()
    d = getattr(model, forward)(**inputs, tape=tape)
    grads = Gradients(model.parameters())
    d = tuple(d) if isinstance(d, tuple) else (d,)
    return (lambda **given: (getattr(model, backward)(*given.values(), tape, grads), grads.flat)), dict(
        zip(called, d, strict=True)
    )


OF_NETWORKS = {
    "GeneratorConfig": lambda: (N.GeneratorConfig, {"image_size": 4, "in_channels": 1, "latent": 3, "channels": (4,)}),
    "VectorDiscriminatorConfig": lambda: (
        N.VectorDiscriminatorConfig,
        {"image_size": 4, "in_channels": 1, "channels": (4,)},
    ),
    "VAEConfig": lambda: (N.VAEConfig, {"image_size": 4, "in_channels": 1, "latent": 3, "channels": (4,)}),
    "RealNVPConfig": lambda: (
        N.RealNVPConfig,
        {"image_size": 4, "in_channels": 1, "couplings": 2, "channels": (4,), "scale": 0.5},
    ),
    "Generator": lambda: (N.Generator, {"config": GENERATOR, "rng": seeded()}),
    "VectorDiscriminator": lambda: (N.VectorDiscriminator, {"config": JUDGE, "rng": seeded()}),
    "VAE": lambda: (N.VAE, {"config": VAE, "rng": seeded()}),
    "RealNVP": lambda: (N.RealNVP, {"config": FLOW, "rng": seeded()}),
    "Generator.forward": lambda: (N.Generator(GENERATOR).forward, {"z": Z}),
    "Generator.backward": lambda: back(lambda: N.Generator(GENERATOR), "forward", {"z": Z}, "backward", "d_x"),
    "Generator.draw": lambda: (N.Generator(GENERATOR).draw, {"z": Z}),
    "VectorDiscriminator.forward": lambda: (N.VectorDiscriminator(JUDGE).forward, {"x": PICTURES}),
    "VectorDiscriminator.backward": lambda: back(
        lambda: N.VectorDiscriminator(JUDGE), "forward", {"x": PICTURES}, "backward", "d_logits"
    ),
    "VAE.forward": lambda: (N.VAE(VAE).forward, {"x": PICTURES, "eps": Z}),
    "VAE.backward": lambda: back(
        lambda: N.VAE(VAE), "forward", {"x": PICTURES, "eps": Z}, "backward", "d_x_hat", "d_mean", "d_log_variance"
    ),
    "VAE.encode": lambda: (N.VAE(VAE).encode, {"x": PICTURES}),
    "VAE.encode_backward": lambda: back(
        lambda: N.VAE(VAE), "encode", {"x": PICTURES}, "encode_backward", "d_mean", "d_log_variance"
    ),
    "VAE.decode": lambda: (N.VAE(VAE).decode, {"z": Z}),
    "VAE.decode_backward": lambda: back(lambda: N.VAE(VAE), "decode", {"z": Z}, "decode_backward", "d_x_hat"),
    "VAE.draw": lambda: (N.VAE(VAE).draw, {"z": Z, "eps": PICTURES}),
    "RealNVP.forward": lambda: (flow().forward, {"x": PICTURES}),
    "RealNVP.backward": lambda: back(flow, "forward", {"x": PICTURES}, "backward", "d_z", "d_log_det"),
    "RealNVP.inverse": lambda: (flow().inverse, {"z": ROWS}),
    "RealNVP.inverse_backward": lambda: back(flow, "inverse", {"z": ROWS}, "inverse_backward", "d_x", "d_log_det"),
    "RealNVP.log_density": lambda: (flow().log_density, {"x": PICTURES}),
    "RealNVP.draw": lambda: (flow().draw, {"z": ROWS}),
}
OF_NETWORKS_WITHOUT = {f"{name}.one_input" for name in ("Generator", "VectorDiscriminator", "VAE", "RealNVP")}


def of_models():
    return N.Generator(GENERATOR)


OF_MODELS = {
    "draw_at_once": lambda: (M.draw_at_once, {"model": of_models(), "request": M.Request(n=2)}),
    "refuse_chain": lambda: (M.refuse_chain, {"model": of_models(), "sampler": M.SAMPLER, "steps": None}),
    "class_of": lambda: (M.class_of, {"name": "mnist"}),
}


def of_config(config, **more):
    every = {
        "steps": 3, "batch": 2, "micro_batch": 1, "lanes": 2, "lr": 0.5, "warmup": 1, "final_lr": 0.5,
        "betas": (0.5, 0.75), "weight_decay": 0.5, "clip": 1.0, "ema": 0.5, "ema_warmup": True, "seed": 1,
        "log_every": 1, "save_every": 2, "keep": 2, "check_every": 2, "validate_every": 2, "validation_images": 2,
    }  # fmt: skip
    return lambda: (config, {**every, **more})


OF_TRAIN = {
    "AdversarialConfig": of_config(T.AdversarialConfig, loss="hinge", r1=0.5),
    "VariationalConfig": of_config(T.VariationalConfig, levels=17, importance_samples=3),
    "FlowLikelihoodConfig": of_config(T.FlowLikelihoodConfig, levels=17),
    "Adversarial": lambda: (
        T.Adversarial,
        {
            "network": N.Generator(GENERATOR),
            "data": DATA,
            "config": T.AdversarialConfig(**FEW),
            "discriminator": N.VectorDiscriminator(JUDGE),
        },
    ),
    "Variational": lambda: (
        T.Variational,
        {"network": N.VAE(VAE), "data": DATA, "config": T.VariationalConfig(**FEW), "validation": DATA},
    ),
    "FlowLikelihood": lambda: (
        T.FlowLikelihood,
        {"network": flow(), "data": DATA, "config": T.FlowLikelihoodConfig(**FEW), "validation": DATA},
    ),
    "importance_bound": lambda: (
        T.importance_bound,
        {"network": N.VAE(VAE), "x": PICTURES, "noise": Noise(0), "samples": 3},
    ),
    "dequantise": lambda: (T.dequantise, {"x": X, "uniform": np.full(X.shape, 0.25, "f4"), "levels": 17}),
    "bits_per_number": lambda: (T.bits_per_number, {"nats": 0.5, "levels": 17}),
}
OF_TRAIN_WITHOUT = {
    f"{name}.{method}"
    for name in ("Adversarial", "Variational", "FlowLikelihood")
    for method in ("add_gradient", "add_gradient_of_discriminator", "add_slope_penalty")
    + ("identity", "measure", "remedy", "trained", "validate")
}
OF_COURSE = {"shipped_results": lambda: (shipped_results, {"name": "families"})}
