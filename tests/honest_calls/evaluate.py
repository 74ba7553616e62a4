"""Good calls of `tinydiff.evaluate`."""

import functools
import warnings
from unittest import mock

import numpy as np
from latents import autoencoder, latent_diffusion
from unclips import prior

from honest_calls.data import CAPTIONS, PORTRAITS, RENDERED
from honest_calls.models import MODEL
from tinydiff import evaluate as E
from tinydiff.data import Dataset
from tinydiff.data.scenes import ATTRIBUTES, DrawnScenes, answers, describe
from tinydiff.diffusion import GaussianDiffusion, linear_schedule
from tinydiff.evaluate import court as C
from tinydiff.evaluate import text
from tinydiff.evaluate.court.verdict import Verdict
from tinydiff.models import ClipModel, DiffusionModel, Guidance, ModelConfig, Request, Verdicts
from tinydiff.networks import (
    CLIP,
    AttributeClassifier,
    AttributeClassifierConfig,
    Classifier,
    ClassifierConfig,
    CLIPConfig,
    TextConfig,
    UNetConfig,
)
from tinydiff.text import Tokenizer

rng = np.random.default_rng(0)
PROCESS = GaussianDiffusion(linear_schedule(1000))
X, LABELS = rng.uniform(-1, 1, (4, 4, 4, 1)).astype("f4"), np.array([1, 0, 1, 0])
FEATURES, OTHERS = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
MANY = np.random.default_rng(1).normal(size=(20, 2))
CLASSIFIER = Classifier(ClassifierConfig(4, 1, 3, (4,), 4))
PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]])
COVARIANCE = np.eye(3) / 2
FOUR = Dataset((X * 100 + 100).astype(np.uint8), LABELS, "mine", "all", "here")
TEXT = TextConfig(514, 4, 4, 1, 1, causal=True)
DRAWN = DrawnScenes("test", 3, 16)
SCENES = DRAWN.scenes(range(3))
NAMED = [describe(scene).named for scene in SCENES]
READ = Verdicts(ATTRIBUTES, np.maximum(answers(SCENES), 0), np.ones((3, len(ATTRIBUTES))))


@functools.cache
def painter():
    """Return a model that draws portraits from words, and has learned nothing."""
    unet = UNetConfig(16, 3, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1, context_channels=4)
    config = ModelConfig(unet, T=20, text=TEXT)
    words = Tokenizer(words=["hair"])
    return DiffusionModel(Network(config), config, 8, 1, False, words)


def Network(config):
    return config.network(np.random.default_rng(0))


@functools.cache
def digits():
    config = ModelConfig(UNetConfig(28, 1, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1), T=20)
    return DiffusionModel(Network(config), config, 8, 1, False)


@functools.cache
def reader():
    return ClipModel(CLIP(CLIPConfig(16, 3, (4, 4), 4, TEXT)), Tokenizer(), "cosine", 20, 2, 1)


@functools.cache
def scene_judge():
    return AttributeClassifier(AttributeClassifierConfig(16, 3, (4,), 1, 1, 4, attributes=ATTRIBUTES))


def quiet(f):
    """Return a function that does not warn of the words that do not fit into so short a text.

    It looks for new portraits among 100 training portraits, and not among 100,000, which takes seconds.
    """

    @functools.wraps(f)
    def called(*args, **arguments):
        with warnings.catch_warnings(), mock.patch.object(text, "TRAINED_ON", 100):
            warnings.simplefilter("ignore")
            return f(*args, **arguments)

    return called


CALLS = {
    "court": lambda: (
        C.court,
        {"sampler": "ddim", "stated": 1.0, "name": "mine", "numbers": (4, 8), "rounding": 1e-9, "to_zero": False},
    ),
    "arena_report": lambda: (C.arena_report, {"verdicts": [Verdict("mine")]}),
    "grid_times": lambda: (
        C.grid_times,
        {"diffusion": PROCESS, "N": 3, "lengths": (2, 1), "first": -0.5, "last": 0.5},
    ),
    "graded_times": lambda: (C.graded_times, {"diffusion": PROCESS, "N": 3, "first": -0.5, "last": 0.5}),
    "tolerance_curve": lambda: (C.tolerance_curve, {"tolerances": (0.1, 0.05)}),
    "balanced": lambda: (E.balanced, {"labels": LABELS, "seed": 1}),
    "class_shares": lambda: (E.class_shares, {"probabilities": PROBABILITIES, "n_classes": 2}),
    "confident_share": lambda: (E.confident_share, {"probabilities": PROBABILITIES, "threshold": 0.5}),
    "wilson_share": lambda: (E.wilson_share, {"count": np.array([1.0, 2.0]), "n": 4}),
    "wilson_share (one)": lambda: (E.wilson_share, {"count": 3, "n": 4}),
    "classifier_scores": lambda: (
        E.classifier_scores,
        {"classifier": CLASSIFIER, "images": X, "labels": LABELS},
    ),
    "classifier_frechet": lambda: (
        E.classifier_frechet,
        {"classifier": CLASSIFIER, "images_1": X, "images_2": -X},
    ),
    "held_out_loss": lambda: (
        E.held_out_loss,
        {"model": MODEL(), "images": X, "labels": LABELS, "seed": 1, "bins": 2},
    ),
    "loss_by_timestep": lambda: (
        E.loss_by_timestep,
        {"t": np.array([1, 3, 9]), "losses": np.array([1.0, 2.0, 3.0]), "T": 9, "bins": 3},
    ),
    "frechet_distance": lambda: (
        E.frechet_distance,
        {"mu_1": np.zeros(3), "cov_1": COVARIANCE, "mu_2": np.ones(3), "cov_2": np.eye(3)},
    ),
    "frechet_distance_of": lambda: (E.frechet_distance_of, {"features_1": FEATURES, "features_2": OTHERS}),
    "frechet_infinity": lambda: (E.frechet_infinity, {"features_1": FEATURES, "features_2": OTHERS}),
    "kernel_distance": lambda: (E.kernel_distance, {"features_1": FEATURES, "features_2": OTHERS}),
    "density_and_coverage": lambda: (E.density_and_coverage, {"real": FEATURES, "drawn": OTHERS, "k": 2}),
    "feature_metrics": lambda: (
        E.feature_metrics,
        {"real": MANY, "drawn": MANY[::-1] + 1, "extractor": "the numbers themselves", "split": "numbers, test"},
    ),
    "nearest_neighbours": lambda: (E.nearest_neighbours, {"samples": X, "images": -X, "k": 2}),
    "precision_and_recall": lambda: (E.precision_and_recall, {"real": FEATURES, "drawn": OTHERS, "k": 2}),
    "random_features": lambda: (E.random_features, {"images": X}),
    "random_features_frechet": lambda: (E.random_features_frechet, {"images_1": X, "images_2": -X}),
    "real_halves": lambda: (E.real_halves, {"training": FOUR, "held_out": FOUR, "seed": 1}),
    "invention": lambda: (E.invention, {"images": RENDERED[:1], "training": 4, "near": 16.0, "seed": 1}),
    "among_training": lambda: (E.among_training, {"pictures": RENDERED, "training": 4, "seed": 1}),
    "mean_bits": lambda: (E.mean_bits, {"bits": np.array([1.0, 2.0])}),
    "check_likelihood": lambda: (E.check_likelihood, {"model": MODEL()}),
    "network_velocity": lambda: (E.network_velocity, {"model": MODEL()}),
    "decoder_floor": lambda: (E.decoder_floor, {"images": FOUR.images, "sigma": 0.01}),
    "picture_bits": lambda: (
        E.picture_bits,
        {"model": MODEL(), "images": FOUR.images, "strata": 2, "steps": 1, "seed": 1, "progress": None} | {"first": 1},
    ),
    "evaluate_likelihood": lambda: (
        E.evaluate_likelihood,
        {"model": MODEL(), "data": FOUR, "n": 2, "strata": 2, "steps": 2, "seed": 1, "progress": None},
    ),
    "obedience": lambda: (
        E.obedience,
        {"images": RENDERED, "portraits": PORTRAITS, "captions": CAPTIONS},
    ),
    "retrieval": lambda: (quiet(E.retrieval), {"clip": reader(), "n": 4, "data": "avatars"}),
    "prior_retrieval": lambda: (E.prior_retrieval, {"prior": prior(), "n": 4, "data": "scenes", "guidance": 1.0}),
    "evaluate": lambda: (
        E.evaluate,
        {
            "model": digits(),
            "data": "mnist-small",
            "judge_name": "mnist-classifier-28",
            "n": 2,
            "steps": 1,
            "sampler": "ddim",
            "out": None,
            "progress": None,
        },
    ),
    "fit_block_pca": lambda: (E.fit_block_pca, {"batches": [X[:2], X[2:]], "factor": 2, "numbers": 2}),
    "BlockPCA.reconstruct": lambda: (E.fit_block_pca([X], 2, 2).reconstruct, {"images": X}),
    "scene_obedience": lambda: (E.scene_obedience, {"verdicts": READ, "scenes": SCENES, "named": NAMED}),
    "evaluate_autoencoder": lambda: (
        E.evaluate_autoencoder,
        {
            "model": autoencoder(),
            "training": DrawnScenes("train", 3, 16),
            "test": DRAWN,
            "judge": scene_judge(),
            "n": 3,
            "fitted_on": 3,
            "out": None,
        },
    ),
    "evaluate_scenes": lambda: (
        E.evaluate_scenes,
        {
            "model": latent_diffusion(),
            "judge": scene_judge(),
            "n": 2,
            "steps": 1,
            "sampler": "ddim",
            "guidance": 2.0,
            "out": None,
            "progress": None,
        },
    ),
    "evaluate_pictures": lambda: (
        E.evaluate_pictures,
        {
            "model": MODEL(),
            "training": FOUR,
            "held_out": FOUR,
            "request": Request(n=2),
            "sampler": "ddim",
            "steps": 1,
            "out": None,
            "progress": None,
        },
    ),
    "evaluate_text": lambda: (
        quiet(E.evaluate_text),
        {
            "model": painter(),
            "n": 8,
            "steps": 1,
            "sampler": "ddim",
            "guidance": Guidance(2.0),
            "scales": (),
            "out": None,
            "progress": None,
        },
    ),
}
SLOW = {
    "court": 32,
    "tolerance_curve": 4,
    "evaluate": 16,
    "evaluate_autoencoder": 4,
    "evaluate_pictures": 8,
    "evaluate_scenes": 32,
    "evaluate_text": 32,
    "obedience": 16,
    "prior_retrieval": 8,
    "retrieval": 8,
}
# Of a library that is not installed; and one that walks a model, whose refusals are in its own test.
WITHOUT = {"errors_on_model", "judge_schedulers", "scheduler_sampler"}
RECORDS = {
    "BlockPCA",
    "ClassifierScores",
    "Estimate",
    "FeatureMetrics",
    "Invention",
    "Curve",
    "Impulses",
    "LossByTimestep",
    "Obedience",
    "PictureBits",
    "OnModel",
    "PriorRetrieval",
    "Retrieval",
    "SceneObedience",
    "Share",
    "Stated",
    "StatedNoise",
}
