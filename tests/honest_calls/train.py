"""Good calls of `tinydiff.train`: the optimizer on flat vectors, and the settings of runs."""

import functools

import numpy as np
import unclips
from coloured_squares import SHAPE, ColouredSquares
from unclips import decoder, prior

from honest_calls import families, returning
from honest_calls.models import DATA, LATENTS, MODEL, WORDS
from tinydiff import train as T
from tinydiff.base import Noise
from tinydiff.data import Dataset, LatentData
from tinydiff.diffusion import GaussianDiffusion, cosine_schedule
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.networks import (
    AttributeClassifier,
    AttributeClassifierConfig,
    Classifier,
    ClassifierConfig,
    NoiseSchedule,
    PatchDiscriminator,
    PatchDiscriminatorConfig,
    QuantisedAutoencoder,
    QuantisedAutoencoderConfig,
    UNetConfig,
)

CONFIG = {
    "steps": 3,
    "batch": 2,
    "micro_batch": 1,
    "lanes": 2,
    "lr": 0.5,
    "warmup": 1,
    "final_lr": 0.5,
    "betas": (0.5, 0.75),
    "weight_decay": 0.5,
    "clip": 1.0,
    "ema": 0.5,
    "ema_warmup": True,
    "seed": 1,
    "log_every": 1,
    "save_every": 2,
    "keep": 2,
    "check_every": 2,
    "most_skipped": 2,
}
VALIDATED = {**CONFIG, "validate_every": 2, "validation_images": 2}
DENOISE = T.DenoiseConfig(steps=1, batch=2, micro_batch=2, lanes=1)
DECODE = T.DecodeConfig(steps=1, batch=2, micro_batch=2, lanes=1)
CLASSIFY = T.ClassifyConfig(steps=1, batch=2, micro_batch=2, lanes=1)
RECONSTRUCT = T.ReconstructConfig(steps=1, batch=2, micro_batch=2, lanes=1, perceptual=0.5, adversarial=0.5)
QUANTISE = T.QuantiseConfig(steps=1, batch=2, micro_batch=2, lanes=1)
CODES = QuantisedAutoencoderConfig(4, 1, 4, (1, 2), latent_channels=2, codes=5)
SHORTCUT = T.ShortcutConfig(steps=1, batch=2, micro_batch=2, lanes=1, finest=4)
DISTIL = T.DistilConfig(steps=1, batch=2, micro_batch=2, lanes=1, teacher_steps=4)
CONSISTENCY = T.ConsistencyConfig(steps=1, batch=2, micro_batch=2, lanes=1)
WORD = T.NewWordConfig(steps=1, batch=2, micro_batch=2)


def few(schedule="straight", path="straight", kind="flow-v", step_size=False):
    """Return a model for one of the trainings of few steps."""
    unet = UNetConfig(DATA.shape[:2], DATA.shape[2], channels=8, channel_mult=(1,), heads=2, step_size=step_size)
    config = ModelConfig(unet, schedule=schedule, path=path, kind=kind, T=20)
    return DiffusionModel(config.network(), config, micro_batch=2, threads=1, processes=False)


def pairs():
    """Return the arguments of two couplings."""
    drawn, noise = np.random.default_rng(0).normal(size=(2, 2, *DATA.shape)).astype("f4")
    return {
        "latents": drawn,
        "labels": np.zeros(2, int),
        "captions": None,
        "name": "pairs",
        "autoencoder": "none",
        "source": "here",
        "of": "flow",
        "x_T": noise,
    }


def told():
    pictures = (100 * unclips.pictures() + 100).astype(np.uint8)
    return Dataset(pictures, np.zeros(2, int), "mine", "all", "here", unclips.CAPTIONS[:2])


def embeddings():
    z = unclips.clip().embed(unclips.pictures())[:, None, None].astype(np.float16)
    return LatentData(z, np.zeros(2, int), unclips.CAPTIONS[:2], "mine", unclips.clip().checksum())


def vector(value=0.5):
    return np.full(4, value, "f4")


def step():
    theta = vector()
    optimizer = T.AdamW(theta)
    f = returning(lambda: (theta, optimizer.m, optimizer.v, optimizer.steps), optimizer.step)
    return f, {"g": vector(2.0), "lr": 0.25, "ok": True, "ema": vector(1.0), "decay": 0.5}


def averaged():
    return returning("ema", T.update_ema), {"ema": vector(1.0), "theta": vector(), "decay": 0.5}


@functools.wraps(T.clip_by_global_norm)
def clipped(g, largest):
    return T.clip_by_global_norm(g, largest), np.asarray(g)


@functools.wraps(T.Run)
def one_step(objective, folder, hooks, threads, processes):
    return T.Run(objective, folder, hooks, threads, processes).objective.config


def denoise():
    return T.Denoise(MODEL(), DATA, DENOISE)


def word_arguments():
    return {
        "model": WORDS(),
        "images": np.zeros((1, 4, 4, 1), "f4"),
        "prompts": ["a *"],
        "word": "*",
        "like": "a",
        "config": WORD,
    }


CALLS = {
    "AdamW": lambda: (
        T.AdamW,
        {"theta": vector(), "decay_mask": vector(), "betas": (0.5, 0.75), "eps": 1e-8, "weight_decay": 0.5},
    ),
    "AdamW.step": step,
    "clip_by_global_norm": lambda: (clipped, {"g": vector(), "largest": 0.5}),
    "learning_rate": lambda: (
        T.learning_rate,
        {"step": 2, "steps": 4, "peak": 0.5, "warmup": 1, "final": 0.25},
    ),
    "ema_decay": lambda: (T.ema_decay, {"step": 2, "decay": 0.5}),
    "update_ema": averaged,
    "TrainConfig": lambda: (T.TrainConfig, CONFIG),
    "ValidatedConfig": lambda: (T.ValidatedConfig, VALIDATED),
    "DenoiseConfig": lambda: (T.DenoiseConfig, {"steps": 3, "condition_dropout": 0.5, "flip": True, "time_shift": 2.0}),
    "DecodeConfig": lambda: (T.DecodeConfig, {"steps": 3, "condition_dropout": 0.25, "embedding_dropout": 0.5}),
    "Decode": lambda: (
        T.Decode,
        {"model": decoder(), "data": told(), "config": DECODE, "embeddings": embeddings(), "validation": told()}
        | {"validation_embeddings": embeddings(), "prior": prior()},
    ),
    "random_steps": lambda: (
        T.random_steps,
        {"noise": Noise(0), "n": 3, "T": 10, "time_shift": 2.0, "times": "stratified", "batch": 6},
    ),
    "LearnScheduleConfig": lambda: (T.LearnScheduleConfig, {"steps": 3, "ends": True}),
    "LearnSchedule": lambda: (
        T.LearnSchedule,
        {"schedule": NoiseSchedule(), "denoise": lambda x_t, gamma: x_t, "x_0": np.ones((3, 2))}
        | {"config": T.LearnScheduleConfig(steps=3), "validation": np.ones((3, 2))},
    ),
    "ClassifyConfig": lambda: (T.ClassifyConfig, {"steps": 3, "shift": 1}),
    "ContrastConfig": lambda: (T.ContrastConfig, {"steps": 3, "clean": 0.5}),
    "QuantiseConfig": lambda: (
        T.QuantiseConfig,
        {"steps": 3, "commitment": 0.5, "codebook_decay": 0.5, "restart_below": 0.5},
    ),
    "NewWordConfig": lambda: (T.NewWordConfig, {"steps": 3, "seed": 1}),
    "ReconstructConfig": lambda: (
        T.ReconstructConfig,
        {
            "steps": 3,
            "kl": 0.5,
            "edge": 0.25,
            "perceptual": 0.5,
            "adversarial": 0.5,
            "adversarial_from": 1,
            "latent_images": 5,
        },
    ),
    "Reconstruct": lambda: (
        T.Reconstruct,
        {
            "model": LATENTS(),
            "data": DATA,
            "config": RECONSTRUCT,
            "validation": DATA,
            "features": AttributeClassifier(AttributeClassifierConfig(4, 1, (4,), 1, 1, 4)),
            "discriminator": PatchDiscriminator(PatchDiscriminatorConfig(1, 4, 1)),
        },
    ),
    "ShortcutConfig": lambda: (T.ShortcutConfig, {"steps": 3, "finest": 8, "bootstrap": 0.5}),
    "Shortcut": lambda: (
        T.Shortcut,
        {"model": few(step_size=True), "data": DATA, "config": SHORTCUT, "validation": DATA},
    ),
    "DistilConfig": lambda: (T.DistilConfig, {"steps": 3, "teacher_steps": 4}),
    "Distil": lambda: (
        T.Distil,
        {"model": few(), "data": DATA, "config": DISTIL, "teacher": few(), "validation": DATA},
    ),
    "Couplings": lambda: (T.Couplings, pairs()),
    "Couplings.take": lambda: (T.Couplings(**pairs()).take, {"indices": np.array([0])}),
    "couplings": lambda: (T.couplings, {"model": few(), "n": 2, "steps": 2, "seed": 1}),
    "Rectify": lambda: (T.Rectify, {"model": few(), "data": T.Couplings(**pairs()), "config": DENOISE}),
    "ConsistencyConfig": lambda: (T.ConsistencyConfig, {"steps": 3, "stages": 2, "huber": 0.5}),
    "Consistency": lambda: (
        T.Consistency,
        {"model": few("cosine", "vp", "edm"), "data": DATA, "config": CONSISTENCY, "validation": DATA},
    ),
    "earlier_time": lambda: (
        T.earlier_time,
        {"diffusion": GaussianDiffusion(cosine_schedule(20)), "t": np.array([3, 7]), "stage": 2},
    ),
    "Denoise": lambda: (T.Denoise, {"model": MODEL(), "data": DATA, "config": DENOISE, "validation": DATA}),
    "Classify": lambda: (
        T.Classify,
        {
            "network": Classifier(ClassifierConfig(4, 1, 3, (4,), 4)),
            "data": DATA,
            "config": CLASSIFY,
            "validation": DATA,
        },
    ),
    "Quantise": lambda: (
        T.Quantise,
        {"network": QuantisedAutoencoder(CODES), "data": DATA, "config": QUANTISE, "validation": DATA},
    ),
    "ClassifyAttributesConfig": lambda: (
        T.ClassifyAttributesConfig,
        {"steps": 3, "shift": 1, "noise": 0.5, "blur": 0.5, "brightness": 0.5},
    ),
    "ClassifyAttributes": lambda: (
        T.ClassifyAttributes,
        {
            "network": AttributeClassifier(SHAPE),
            "data": ColouredSquares(4),
            "config": T.ClassifyAttributesConfig(steps=1, batch=2, micro_batch=2, lanes=1),
            "validation": ColouredSquares(4),
        },
    ),
    "NewWord": lambda: (T.NewWord, word_arguments()),
    "learn_word": lambda: (T.learn_word, {**word_arguments(), "log": print}),
    "Phase": lambda: (
        T.Phase,
        {"network": MODEL().network, "add_gradient": print, "settings": DENOISE, "name": "", "in_order": False},
    ),
    "Objective": lambda: (T.Objective, {"network": MODEL().network, "config": DENOISE}),
    "Objective.noise": lambda: (denoise().noise, {"step": 1, "shard": 0}),
    "Objective.turns": lambda: (denoise().turns, {"step": 1}),
    "Run": lambda: (
        one_step,
        {"objective": denoise(), "folder": None, "hooks": (), "threads": 1, "processes": False},
    ),
    "read_log": lambda: (T.read_log, {"folder": "no such folder"}),
    "TrainConfig.part": lambda: (T.TrainConfig(**CONFIG).part, {"shard": 0}),
}
SLOW = {"learn_word": 4}
RECORDS = {"AttributeData", "Contrast"}
# What a run calls with what it made itself; what takes no arguments; files have tests of their own.
CALLS |= families.OF_TRAIN
WITHOUT = {
    *("Objective.add_gradient", "Objective.validate", "Objective.measure", "Objective.identity", "Objective.about"),
    *("Objective.trained", "Run.train_step", "Run.run", "Run.trained", "Run.validate", "Run.save"),
    *("Run.stop_if_not_finite", "Objective.remedy", "ClassifyAttributes.attributes", "Quantise.before_step"),
    *(
        f"Reconstruct.{method}"
        for method in ("add_gradient_against_discriminator", "add_gradient_of_discriminator")
        + ("at_half_size", "deceit", "reconstruction", "remedy", "turns", "weigh")
    ),
    *(f"{name}.{method}" for name in ("Denoise", "Decode") for method in ("eps", "loss", "bound", "steps", "pairs")),
    *("Consistency.stage", "Consistency.of_earlier", "Consistency.consistency_loss", "Distil.two_steps"),
    *("Shortcut.long_steps", "Shortcut.small_steps", "Shortcut.two_steps", "Rectify.pairs"),
    "Couplings.noise_of",
    *(
        f"{name}.{method}"
        for name in (
            "Denoise",
            "Decode",
            "Shortcut",
            "Distil",
            "Rectify",
            "Consistency",
            "Couplings",
            "Classify",
            "ClassifyAttributes",
            "Contrast",
            "LearnSchedule",
            "NewWord",
            "Reconstruct",
            "Quantise",
        )
        for method in (
            "add_gradient",
            "indices",
            "validate",
            "identity",
            "about",
            "trained",
            "measure",
            "context",
            "held_out_context",
        )
    ),
}
WITHOUT |= families.OF_TRAIN_WITHOUT
