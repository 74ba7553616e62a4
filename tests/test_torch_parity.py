"""The same numbers as PyTorch's autograd in float64, from fixtures: PyTorch itself is not needed.

`tools/make_torch_fixtures.py` made the files; it says which PyTorch function each case is compared with.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from parity import BATCH, BETAS, DECAY, LR, STEPS, draw_batch, draw_weights, projections

from tinydiff import functional as F
from tinydiff.diffusion import GaussianDiffusion, linear_schedule
from tinydiff.networks import (
    AttributeClassifier,
    AttributeClassifierConfig,
    Classifier,
    ClassifierConfig,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
    UNet,
    UNetConfig,
)
from tinydiff.nn import Gradients, Tape
from tinydiff.train import AdamW, clip_by_global_norm, update_ema

TOLERANCE = 1e-10


def load(file: str) -> dict[str, dict]:
    """Return case -> name -> array."""
    cases = defaultdict(dict)
    with np.load(Path(__file__).parent / "fixtures" / f"torch_{file}.npz") as stored:
        for key in stored.files:
            case, name = key.split("/")
            cases[case][name] = stored[key]
    return dict(cases)


PAIRS, MODELS, ADAMW, ATTRIBUTES = load("pairs"), load("models"), load("optimizer")["adamw"], load("attributes")
READER = ATTRIBUTES.pop("network")  # of attributes
ADVERSARIAL = load("adversarial")
DISCRIMINATOR = ADVERSARIAL.pop("network")
PAIRS |= ATTRIBUTES | ADVERSARIAL | load("quantisers") | load("blocks")

# case -> (forward, backward, options); the forward's other arguments are in the file, under their names
CASES = {
    "linear": (F.linear, F.linear_backward, {}),
    "linear without bias": (F.linear, F.linear_backward, {}),
    "conv2d": (F.conv2d, F.conv2d_backward, {"padding": 1, "algorithm": "im2col"}),
    "conv2d without bias": (F.conv2d, F.conv2d_backward, {"padding": 1}),
    "conv2d by shifts": (F.conv2d, F.conv2d_backward, {"padding": 1, "algorithm": "shift"}),
    "conv2d by Winograd": (F.conv2d, F.conv2d_backward, {"padding": 1, "algorithm": "winograd"}),
    "conv2d with stride 2": (F.conv2d, F.conv2d_backward, {"padding": 1, "stride": 2}),
    "conv2d 5x3, asymmetric": (F.conv2d, F.conv2d_backward, {"padding": ((0, 3), (2, 1)), "stride": 2}),
    "group_norm": (F.group_norm, F.group_norm_backward, {"groups": 3, "eps": 1e-3}),
    "layer_norm": (F.layer_norm, F.layer_norm_backward, {"eps": 1e-3}),
    "batch_norm": (F.batch_norm, F.batch_norm_backward, {"eps": 1e-3}),
    "silu": (F.silu, F.silu_backward, {}),
    "gelu": (F.gelu, F.gelu_backward, {}),
    "geglu": (F.geglu, F.geglu_backward, {}),
    "quick_gelu": (F.quick_gelu, F.quick_gelu_backward, {}),
    "softmax": (F.softmax, F.softmax_backward, {}),
    "attention": (F.attention, F.attention_backward, {}),
    "attention with a mask": (F.attention, F.attention_backward, {}),
    "upsample_nearest": (F.upsample_nearest, F.upsample_nearest_backward, {}),
    "avg_pool": (F.avg_pool, F.avg_pool_backward, {}),
    "space_to_depth": (F.space_to_depth, F.space_to_depth_backward, {}),
    "depth_to_space": (F.depth_to_space, F.depth_to_space_backward, {}),
    "upsample_bilinear": (F.upsample_bilinear, F.upsample_bilinear_backward, {"factor": 3}),
    "modulate": (F.modulate, F.modulate_backward, {}),
    "gate": (F.gate, F.gate_backward, {}),
    "dropout": (F.dropout, F.dropout_backward, {"rate": 0.3}),
    "embedding": (F.embedding, F.embedding_backward, {}),
    "mse": (F.mse, F.mse_backward, {}),
    "cross_entropy": (F.cross_entropy, F.cross_entropy_backward, {}),
    "clamp": (F.clamp, F.clamp_backward, {"least": -0.5, "most": 0.8}),
    "mae": (F.mae, F.mae_backward, {}),
    "edge_loss": (F.edge_loss, F.edge_loss_backward, {}),
    "reparameterise": (F.reparameterise, F.reparameterise_backward, {}),
    "kl_to_standard_normal": (F.kl_to_standard_normal, F.kl_to_standard_normal_backward, {}),
    "vector_quantise": (F.vector_quantise, F.vector_quantise_backward, {}),
    "codebook_loss": (F.codebook_loss, F.codebook_loss_backward, {}),
    "commitment_loss": (F.commitment_loss, F.commitment_loss_backward, {}),
    "finite_scalar_quantise": (F.finite_scalar_quantise, F.finite_scalar_quantise_backward, {"levels": (8, 5, 4)}),
    "unit_length": (F.unit_length, F.unit_length_backward, {}),
    "scaled_similarity": (F.scaled_similarity, F.scaled_similarity_backward, {}),
    "contrastive_loss": (F.contrastive_loss, F.contrastive_loss_backward, {}),
    "masked_cross_entropy": (F.masked_cross_entropy, F.masked_cross_entropy_backward, {}),
    "perceptual_distance": (
        lambda a_0, a_1, b_0, b_1: F.perceptual_distance([a_0, a_1], [b_0, b_1]),
        F.perceptual_distance_backward,
        {},
    ),
    "attention_in_pieces": (F.attention_in_pieces, F.attention_in_pieces_backward, {}),
    "group_norm_silu": (F.group_norm_silu, F.group_norm_silu_backward, {"groups": 3, "eps": 1e-3}),
    "leaky_relu": (F.leaky_relu, F.leaky_relu_backward, {"slope": 0.3}),
    "hinge_discriminator": (F.hinge_discriminator, F.hinge_discriminator_backward, {}),
    "hinge_generator": (F.hinge_generator, F.hinge_generator_backward, {}),
}
TIMESTEP_CASES = {"timestep_embedding": "stable-diffusion", "timestep_embedding, DDPM": "ddpm"}


def agree(ours, theirs) -> bool:
    """Whether the largest difference is within the tolerance, relative to the largest number."""
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.shape == theirs.shape
    return abs(ours - theirs).max() <= TOLERANCE * max(1.0, abs(theirs).max())


def test_every_stored_case_and_every_pair_is_compared():
    assert set(PAIRS) == set(CASES) | set(TIMESTEP_CASES)
    backwards = {getattr(F, name) for name in F.__all__ if name.endswith("_backward")}
    assert backwards == {f_backward for _, f_backward, _ in CASES.values()}


@pytest.mark.parametrize("case", CASES)
def test_pair(case):
    f, f_backward, options = CASES[case]
    stored = PAIRS[case]
    inputs = {name: a for name, a in stored.items() if name not in ("y", "dy") and not name.startswith("d_")}
    y, cache = f(**inputs, **options)
    assert agree(np.asarray(y), stored["y"])
    gradients = [
        d for found in f_backward(stored["dy"], cache) for d in (found if isinstance(found, list) else [found])
    ]
    expected = [stored.get(f"d_{name}") for name in inputs]
    for ours, theirs in zip(gradients, expected, strict=False):  # what has no gradient stands last, or is None
        assert theirs is None or agree(ours, theirs)
    assert sum(theirs is not None for theirs in expected) == sum(ours is not None for ours in gradients)


@pytest.mark.parametrize("case", TIMESTEP_CASES)
def test_timestep_embedding(case):
    stored = PAIRS[case]
    assert agree(F.timestep_embedding(stored["t"], 8, variant=TIMESTEP_CASES[case], dtype=np.float64), stored["y"])


def make_unet(stored) -> UNet:
    unet = UNet(UNetConfig(**json.loads(str(stored["config"]))), dtype=np.float64)
    draw_weights(unet)
    return unet


def batch_shape(config) -> tuple:
    return (BATCH, *config.shape)


@pytest.mark.parametrize("case", ["unet", "unet with everything"])
def test_unet_output_and_gradients(case):
    stored = MODELS[case]
    unet = make_unet(stored)
    x_t, t, d_eps_hat, labels = draw_batch(batch_shape(unet.config), unet.config.num_classes)
    tape, grads = Tape(), Gradients(unet.parameters())
    assert agree(unet.forward(x_t, t, labels, tape), stored["y"])
    assert agree(unet.backward(d_eps_hat, tape, grads).d_x_t, stored["d_x"])
    assert agree(projections(grads.named()), stored["d_theta"])


@pytest.mark.parametrize("case", ["unet", "unet with everything"])
def test_first_ten_losses(case):
    stored = MODELS[case]
    unet = make_unet(stored)
    diffusion = GaussianDiffusion(linear_schedule())
    optimizer = AdamW(unet.theta, unet.decay_mask(), betas=BETAS, weight_decay=DECAY)
    losses = []
    for step in range(1, STEPS + 1):
        x_0, t, eps, labels = draw_batch(batch_shape(unet.config), unet.config.num_classes, step)
        tape, grads = Tape(), Gradients(unet.parameters())
        eps_hat = unet.forward(diffusion.q_sample(x_0, t, eps), t, labels, tape)
        loss, cache = F.mse(eps_hat, eps)
        d_eps_hat, _ = F.mse_backward(1.0, cache)
        unet.backward(d_eps_hat, tape, grads)
        optimizer.step(grads.flat, LR)
        losses.append(loss)
    assert agree(np.array(losses), stored["losses"])
    assert losses[-1] < losses[0]


def test_classifier():
    stored = MODELS["classifier"]
    config = ClassifierConfig(**json.loads(str(stored["config"])))
    classifier = Classifier(config, dtype=np.float64)
    draw_weights(classifier)
    x, _, _, labels = draw_batch(batch_shape(config), config.num_classes - 1)
    tape, grads = Tape(), Gradients(classifier.parameters())
    logits = classifier.forward(x, tape)
    assert agree(logits, stored["y"])
    _, cache = F.cross_entropy(logits, labels)
    (d_logits,) = F.cross_entropy_backward(1.0, cache)
    assert agree(classifier.backward(d_logits, tape, grads), stored["d_x"])
    assert agree(projections(grads.named()), stored["d_theta"])


def test_a_reader_of_attributes_with_both_of_its_losses():
    """Cross-entropies of what is asked, and the distance of its feature maps to those of other pictures."""
    config = AttributeClassifierConfig(**json.loads(str(READER["config"])))
    network = AttributeClassifier(config, dtype=np.float64)
    draw_weights(network)
    (x, *_), (other, *_) = (draw_batch(batch_shape(config), None, step) for step in (0, 1))
    tape, grads = Tape(), Gradients(network.parameters())
    logits = network.forward(x, tape)
    assert agree(logits, READER["y"])
    loss, d_logits = 0.0, []
    for of_attribute, labels in zip(network.split(logits).values(), ([1, -1, 0], [-1, 2, -1]), strict=True):
        part, cache = F.masked_cross_entropy(of_attribute, np.array(labels))
        d_logits += F.masked_cross_entropy_backward(1.0, cache)
        loss = loss + part
    d_x = network.backward(np.concatenate(d_logits, axis=1), tape, grads)
    part, cache = F.perceptual_distance(network.maps(x, tape), network.maps(other))
    d_maps, _ = F.perceptual_distance_backward(1.0, cache)
    d_x = d_x + network.maps_backward(d_maps, tape, grads)
    assert agree(np.asarray(loss + part), READER["loss"])
    assert agree(d_x, READER["d_x"])
    assert agree(projections(grads.named()), READER["d_theta"])


def test_a_discriminator_with_its_loss():
    """On real pictures and on fakes, whose gradients in the weights add up."""
    model = PatchDiscriminator(PatchDiscriminatorConfig(**json.loads(str(DISCRIMINATOR["config"]))), dtype=np.float64)
    draw_weights(model)
    tape, grads = Tape(), Gradients(model.parameters())
    of_real, of_fake = (model.forward(DISCRIMINATOR[name], tape) for name in ("real", "fake"))
    assert agree(of_real, DISCRIMINATOR["y"])
    loss, cache = F.hinge_discriminator(of_real, of_fake)
    d_of_real, d_of_fake = F.hinge_discriminator_backward(1.0, cache)
    assert agree(np.asarray(loss), DISCRIMINATOR["loss"])
    assert agree(model.backward(d_of_fake, tape, grads), DISCRIMINATOR["d_fake"])
    assert agree(model.backward(d_of_real, tape, grads), DISCRIMINATOR["d_real"])
    assert agree(projections(grads.named()), DISCRIMINATOR["d_theta"])


@pytest.mark.equation("ADAMW-1")
def test_adamw_with_a_decay_mask():
    theta = ADAMW["start"].copy()
    optimizer = AdamW(theta, np.array([1.0, 1, 1, 0, 0, 0]), betas=BETAS, weight_decay=DECAY)
    for g, lr, expected in zip(ADAMW["gradients"], ADAMW["rates"], ADAMW["theta"], strict=True):
        optimizer.step(g, lr)
        assert agree(theta, expected)


@pytest.mark.equation("EMA-1")
def test_ema():
    ema = ADAMW["start"].copy()
    for theta, expected in zip(ADAMW["theta"], ADAMW["ema"], strict=True):
        update_ema(ema, theta, 0.9)
        assert agree(ema, expected)


@pytest.mark.equation("CLIP-1")
def test_clipping_by_global_norm():
    g = ADAMW["gradients"][0].copy()
    assert agree(np.asarray(clip_by_global_norm(g, 0.5)), ADAMW["norm"])
    np.testing.assert_allclose(g, ADAMW["clipped"], rtol=2e-6 / ADAMW["norm"])  # PyTorch divides by norm + 1e-6
