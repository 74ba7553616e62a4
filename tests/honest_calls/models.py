"""Good calls of `tinydiff.models`: tiny models, what is asked of them, drawing and editing."""

import functools

import enlargers
import numpy as np
from latents import SCENES, latent_diffusion
from latents import autoencoder as scene_autoencoder

from honest_calls import families, unclip
from tinydiff import models as M
from tinydiff.base import Condition, Noise
from tinydiff.data import Dataset
from tinydiff.models.compare import in_float64
from tinydiff.models.diffusers import Said
from tinydiff.models.diffusers.defaults import SCHEDULERS
from tinydiff.networks import (
    CLIP,
    AttributeClassifier,
    AttributeClassifierConfig,
    Autoencoder,
    AutoencoderConfig,
    CLIPConfig,
    DiTConfig,
    NoisyClassifier,
    NoisyClassifierConfig,
    TextConfig,
    UNetConfig,
)
from tinydiff.text import Tokenizer

UNET = UNetConfig(4, 1, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1, num_classes=3)
TOKENIZER = Tokenizer(words=["a", "red", "hat"])
TEXT = TextConfig(vocabulary=len(TOKENIZER), length=8, channels=4, layers=1, heads=1, causal=True)
X, T = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1)).astype("f4"), np.array([3, 7])
MASK, LABELS = np.ones((2, 4, 4, 1), "f4"), np.array([1, 0])
DATA = Dataset((X * 100 + 100).astype(np.uint8), LABELS, "mine", "all", "here")
REQUEST = M.Request(n=2, labels=[1, 0])
OF_SCENES, _ = SCENES.batch([0, 1])
SMALL = OF_SCENES[:, ::2, ::2].copy()
SAID = M.Request(prompt=list(SCENES.captions[:2]))
OPTIONS = {"sampler": "ddim", "steps": 2, "progress": None}
enlarger, cascade = functools.cache(enlargers.enlarger), functools.cache(enlargers.cascade)


@functools.cache
def MODEL(**more):
    unet = UNetConfig(**{**vars(UNET), **more})
    config = M.ModelConfig(unet, T=20, class_names=("x", "y", "z"))
    return M.DiffusionModel(config.network(np.random.default_rng(0)), config, 2, 1, False)


@functools.cache
def WORDS():
    unet = UNetConfig(4, 1, channels=4, channel_mult=(1,), blocks_per_level=1, heads=1, context_channels=4)
    config = M.ModelConfig(unet, T=20, text=TEXT)
    return M.DiffusionModel(config.network(np.random.default_rng(0)), config, 2, 1, False, TOKENIZER)


@functools.cache
def READER():
    return M.ClipModel(CLIP(CLIPConfig(4, 1, (4,), 4, TEXT)), TOKENIZER, "cosine", 20, 2, 1)


@functools.cache
def JUDGE():
    return NoisyClassifier(NoisyClassifierConfig(4, 1, 3, (4,)))


def attributes():
    return AttributeClassifier(AttributeClassifierConfig(4, 1, (4,), 1, 1, 4))


def verdicts():
    return M.read_attributes(attributes(), X)


@functools.cache
def LATENTS():
    network = Autoencoder(AutoencoderConfig(4, 1, 4, (1, 2), 1, 2), np.random.default_rng(0))
    return M.LatentAutoencoder(network, (0.5, 0.0), (1.0, 2.0), 2, 1)


def edit(f, **own):
    return lambda: (f, {"model": MODEL(), "images": X, "request": REQUEST, **own})


def gradient(make, *inputs):
    """Return a function that makes a gradient of its arguments, and asks it once."""
    return lambda **arguments: make(**arguments)(X, T, *inputs)


CALLS = {
    "read_attributes": lambda: (M.read_attributes, {"classifier": attributes(), "images": X, "micro_batch": 2}),
    "attribute_features": lambda: (M.attribute_features, {"classifier": attributes(), "images": X, "micro_batch": 2}),
    "attribute_agreement": lambda: (
        M.attribute_agreement,
        {"verdicts": verdicts(), "attributes": np.array([[1, 2], [0, -1]])},
    ),
    "usual_steps": lambda: (M.usual_steps, {"sampler": "ddim"}),
    "Guidance": lambda: (
        M.Guidance,
        {"scale": 2.0, "interval": (1.0, 9.0), "rescale": 0.5, "threshold": "dynamic"},
    ),
    "Request": lambda: (
        M.Request,
        {"n": 2, "seed": 3, "labels": [1, 0], "negative": "", "guidance": 2.0, "size": 4, "first": 1}
        | {"image": X, "image_time": np.array([0.0, 5.0])},
    ),
    "Request (prompts)": lambda: (M.Request, {"prompt": ["a", "b"], "negative": "c", "guidance": 2.0, "size": (4, 8)}),
    "Request (classifier)": lambda: (
        M.Request,
        {"n": 2, "labels": [1, 0], "guidance": M.Guidance(2.0), "classifier": print},
    ),
    "Request (encoded)": lambda: (M.Request, {"prompt": Condition(tokens=X), "n": 2}),
    "Request.of": lambda: (M.Request.of, {"seed": 3, "labels": [1, 0]}),
    "Request.for_images": lambda: (REQUEST.for_images, {"images": X}),
    "ModelConfig": lambda: (
        M.ModelConfig,
        {"unet": UNET, "schedule": "linear", "T": 9, "kind": "eps", "text": None, "class_names": ("x", "y", "z")},
    ),
    "ModelConfig (DiT)": lambda: (M.ModelConfig, {"T": 9, "dit": DiTConfig(4, 1, channels=8, layers=1, heads=2)}),
    "ModelConfig.with_denoiser": lambda: (MODEL().config.with_denoiser, {"shape": UNET}),
    "ModelConfig.label_of": lambda: (MODEL().config.label_of, {"name": "y"}),
    "ModelConfig.network": lambda: (MODEL().config.network, {"rng": np.random.default_rng(0)}),
    "ModelConfig.target": lambda: (
        MODEL().config.target,
        {"diffusion": MODEL().diffusion, "x_0": X, "eps": X, "t": T},
    ),
    "DiffusionModel": lambda: (
        M.DiffusionModel,
        {
            "network": WORDS().network,
            "config": WORDS().config,
            "micro_batch": 2,
            "threads": 1,
            "processes": False,
            "tokenizer": TOKENIZER,
        },
    ),
    "DiffusionModel.predictor": lambda: (MODEL().predictor, {"request": REQUEST}),
    "DiffusionModel.start": lambda: (MODEL().start, {"request": REQUEST}),
    "DiffusionModel.chain": lambda: (MODEL().chain, {"request": REQUEST, **OPTIONS}),
    "DiffusionModel.walk": lambda: (
        MODEL().walk,
        {"request": REQUEST, "walk": walk, "steps": 1, "progress": progress},
    ),
    "DiffusionModel.draw": lambda: (MODEL().draw, {"request": REQUEST, **OPTIONS}),
    "DiffusionModel.encode": lambda: (MODEL().encode, {"pictures": X}),
    "DiffusionModel.decode": lambda: (MODEL().decode, {"x": X}),
    "DiffusionModel.x_size": lambda: (MODEL().x_size, {"size": (4, 8)}),
    "LatentDiffusion": lambda: (
        M.LatentDiffusion,
        {
            "network": latent_diffusion().network,
            "config": latent_diffusion().config,
            "micro_batch": 2,
            "threads": 1,
            "processes": False,
            "tokenizer": latent_diffusion().tokenizer,
            "autoencoder": scene_autoencoder(),
        },
    ),
    "LatentDiffusion.encode": lambda: (latent_diffusion().encode, {"pictures": OF_SCENES}),
    "LatentDiffusion.decode": lambda: (latent_diffusion().decode, {"x": np.ones((1, 8, 8, 2), "f4")}),
    "LatentDiffusion.x_size": lambda: (latent_diffusion().x_size, {"size": (8, 16)}),
    "LatentDiffusion.draw": lambda: (latent_diffusion().draw, {"request": SAID, **OPTIONS}),
    "Enlarger": lambda: (
        M.Enlarger,
        {"network": enlarger().network, "config": enlarger().config, "micro_batch": 2, "threads": 1, "processes": False}
        | {"tokenizer": enlarger().tokenizer, "factor": 2, "image_noise": 0.25},
    ),
    "Enlarger.shrink": lambda: (enlarger().shrink, {"pictures": OF_SCENES}),
    "Enlarger.beside": lambda: (
        enlarger().beside,
        {"small": SMALL, "image_time": np.array([0.0, 5.0]), "eps": SMALL / 2},
    ),
    "Enlarger.request_for": lambda: (
        enlarger().request_for,
        {"small": SMALL, "request": SAID, "image_noise": 0.5, "is_noised": True},
    ),
    "Enlarger.enlarge": lambda: (
        enlarger().enlarge,
        {"small": SMALL, "request": SAID, **OPTIONS, "image_noise": 0.5},
    ),
    "Enlarger.condition": lambda: (enlarger().condition, {"request": enlarger().request_for(SMALL, SAID)}),
    "Cascade": lambda: (M.Cascade, {"base": cascade().base, "stages": cascade().stages}),
    "Cascade.draw": lambda: (cascade().draw, {"request": SAID, **OPTIONS}),
    "Cascade.chain": lambda: (
        cascade().chain,
        {"request": SAID, **OPTIONS, "image_noise": 0.5, "truncated": True},
    ),
    "Cascade.decode": lambda: (cascade().decode, {"x": OF_SCENES}),
    "Cascade.steps_of": lambda: (cascade().steps_of, {"sampler": "ddim", "steps": 2}),
    "Cascade.with_micro_batch": lambda: (cascade().with_micro_batch, {"micro_batch": 2}),
    "Enlarger.check_noise": lambda: (enlarger().check_noise, {"image_noise": 0.5}),
    "Enlarger.x_size": lambda: (enlarger().x_size, {"size": (8, 16)}),
    "DiffusionModel.with_micro_batch": lambda: (MODEL().with_micro_batch, {"micro_batch": 3}),
    "load_picture_model": lambda: (M.load_picture_model, {"name": "mnist", "device": "cpu"}),
    "DiffusionModel.network_output": lambda: (MODEL().network_output, {"x_t": X, "t": T, "context": LABELS}),
    "DiffusionModel.predict": lambda: (MODEL().predict, {"x_t": X, "t": T, "context": LABELS}),
    "DiffusionModel.target": lambda: (MODEL().target, {"x_0": X, "eps": X, "t": T}),
    "DiffusionModel.condition": lambda: (MODEL().condition, {"request": REQUEST}),
    "DiffusionModel.null_context": lambda: (WORDS().null_context, {"negative": "a hat"}),
    "DiffusionModel.tokens": lambda: (WORDS().tokens, {"prompts": ["a hat", "red"]}),
    "DiffusionModel.read": lambda: (WORDS().read, {"context": WORDS().tokens(["a", "b"]), "first": 1}),
    "ClipModel": lambda: (
        M.ClipModel,
        {
            "network": READER().network,
            "tokenizer": TOKENIZER,
            "schedule": "linear",
            "T": 9,
            "micro_batch": 2,
            "threads": 1,
        },
    ),
    "ClipModel.text_vectors": lambda: (READER().text_vectors, {"prompts": ["a", "b"]}),
    "ClipModel.image_vectors": lambda: (READER().image_vectors, {"x_t": X, "t": T}),
    "LatentAutoencoder": lambda: (
        M.LatentAutoencoder,
        {"network": LATENTS().network, "mean": (0.5, 0.0), "std": (1.0, 2.0), "micro_batch": 2, "threads": 1},
    ),
    "LatentAutoencoder.encode": lambda: (LATENTS().encode, {"images": X, "noise": Noise(0)}),
    "LatentAutoencoder.decode": lambda: (LATENTS().decode, {"latents": np.zeros((2, 2, 2, 2), "f4")}),
    "measure_latents": lambda: (M.measure_latents, {"model": LATENTS(), "batches": [X, X[:1]]}),
    "fit_preview": lambda: (M.fit_preview, {"model": LATENTS(), "batches": [X, X[:1]]}),
    "LinearPreview.pictures": lambda: (
        M.fit_preview(LATENTS(), [X]).pictures,
        {"latents": np.ones((2, 2, 2, 2), "f4")},
    ),
    "best_of": lambda: (M.best_of, {"clip": READER(), "images": X, "prompt": "a", "n": 2}),
    "clip_scores": lambda: (M.clip_scores, {"clip": READER(), "images": X, "prompts": ["a", "b"]}),
    "clip_gradient": lambda: (gradient(M.clip_gradient, np.eye(4, dtype="f4")[:2]), {"clip": READER()}),
    "class_gradient": lambda: (gradient(M.class_gradient, LABELS), {"classifier": JUDGE(), "micro_batch": 2}),
    "clip_guided_chain": lambda: (
        M.clip_guided_chain,
        {
            "model": WORDS(),
            "clip": READER(),
            "prompts": ["a"],
            "scale": 2.0,
            "seed": 1,
            "steps": 2,
            "sampler": "ddim",
        },
    ),
    "default_micro_batch": lambda: (M.default_micro_batch, {"denoiser": UNET}),
    "fills_in": lambda: (M.fills_in, {"model": MODEL()}),
    "guidance_for": lambda: (M.guidance_for, {"prompt": ["a"], "negative": ""}),
    "notes_on_words": lambda: (M.notes_on_words, {"model": WORDS(), "texts": ["a blue hat"], "name": "mine"}),
    "word_maps": lambda: (M.word_maps, {"model": WORDS(), "prompt": "a hat", "x_t": X[:1], "t": 7.0}),
    "image_to_image": edit(M.image_to_image, strength=0.5, **OPTIONS),
    "inpaint": edit(M.inpaint, mask=MASK, steps=2, resample=2, progress=None),
    "inpaint (latents)": lambda: (
        M.inpaint,
        {
            "model": latent_diffusion(),
            "images": OF_SCENES,
            "mask": np.arange(512).reshape(2, 16, 16, 1) % 64 / 63,
            "request": SAID,
            "steps": 1,
            "resample": 1,
        },
    ),
    "fill_in": edit(M.fill_in, model=MODEL(image_channels=2), mask=MASK, **OPTIONS),
    "invert": edit(M.invert, steps=2),
    "draw_from": lambda: (M.draw_from, {"model": MODEL(), "x_T": X, "request": REQUEST, "steps": 2}),
    "interpolate": lambda: (
        M.interpolate,
        {
            "model": WORDS(),
            "noises": (X[:1], X[1:]),
            "prompts": ("a", "b"),
            "n": 2,
            "request": M.Request(guidance=2.0),
            "steps": 2,
        },
    ),
    "sample": lambda: (
        functools.partial(M.sample, steps=1),
        {"name": "mnist", "n": 1, "sampler": "ddim", "device": "cpu"},
    ),
    "load": lambda: (M.load, {"name": "mnist-classifier-16", "device": "cpu", "kind": None}),
    "shipped_models": lambda: (M.shipped_models, {}),
    "find_folder": lambda: (M.find_folder, {"name": "mnist"}),
    "read_about": lambda: (M.read_about, {"name": "mnist"}),
}
CALLS |= unclip.MODELS
SCHEDULER = Said("here", "DDIMScheduler", SCHEDULERS["DDIMScheduler"], {})
CALLS |= {
    "compare_networks": lambda: (
        M.compare_networks,
        {"one": in_float64(MODEL().network), "other": in_float64(MODEL().network), "seed": 0},
    ),
    "timetable": lambda: (M.timetable, {"said": SCHEDULER, "steps": 2}),
    "scheduled_chain": lambda: (
        M.scheduled_chain,
        {"model": MODEL(), "table": M.timetable(SCHEDULER, 2), "request": REQUEST, "progress": progress},
    ),
}
SLOW = {"sample": 4, "load": 4, "load_picture_model": 4}
RECORDS = {"LinearPreview", "Verdicts"}
CALLS |= families.OF_MODELS
WITHOUT = {
    "ModelConfig.diffusion",
    "register",
    "save",
    "LatentAutoencoder.checksum",
    "ClipModel.checksum",
    "Prior.checksum",
}  # files have tests of their own
WITHOUT |= unclip.WITHOUT
WITHOUT |= {  # folders of other libraries have tests of their own
    *("inspect_checkpoint", "read_checkpoint", "read_scheduler", "read_network", "read_said", "read_tokenizer"),
    *("find_tensors", "describe_parts", "describe_tensors", "write_checkpoint"),
}
RECORDS |= {"LayerDifference", "Part", "PublicCheckpoint", "Said", "Timetable"}


def walk(predict, x_T, noise):
    yield 1.0, x_T, x_T


def progress(step, steps):
    pass
