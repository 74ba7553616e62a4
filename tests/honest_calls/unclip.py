"""Good calls of unCLIP: its two parts, pictures of embeddings, and the ways between them."""

import numpy as np
import unclips as U

from tinydiff import models as M
from tinydiff.base import Condition
from tinydiff.data import LatentData
from tinydiff.networks import PriorTransformer

PICTURES = U.pictures()
EMBEDDINGS = np.eye(U.EMBEDDING, dtype="f4")[:2]
SAID = M.Request(prompt=list(U.CAPTIONS[:2]))
TOLD = M.Request(prompt=list(U.CAPTIONS[:2]), embedding=EMBEDDINGS)
AS_DATA = LatentData(EMBEDDINGS[:, None, None].astype(np.float16), np.zeros(2, int), None, "mine", "none", of="CLIP")
OPTIONS = {"sampler": "ddim", "steps": 2, "progress": None}
X = np.random.default_rng(0).normal(size=(2, 1, 1, U.EMBEDDING)).astype("f4")
TEXTS = np.random.default_rng(1).normal(size=(2, U.LENGTH, 8)).astype("f4")

MODELS = {
    "Prior": lambda: (
        M.Prior,
        {"network": U.prior().network, "config": U.prior().config, "micro_batch": 2, "threads": 1, "processes": False}
        | {"clip": U.clip(), "mean": (0.5,) * U.EMBEDDING, "std": (2.0,) * U.EMBEDDING},
    ),
    "Prior.encode": lambda: (U.prior().encode, {"embeddings": EMBEDDINGS}),
    "Prior.decode": lambda: (U.prior().decode, {"x": X}),
    "Prior.standardised": lambda: (U.prior().standardised, {"data": AS_DATA}),
    "Prior.draw": lambda: (U.prior().draw, {"request": SAID, **OPTIONS}),
    "Prior.tokens": lambda: (U.prior().tokens, {"prompts": ["a", "b"]}),
    "Prior.read": lambda: (U.prior().read, {"context": U.prior().tokens(["a", "b"]), "first": 1}),
    "Prior.told": lambda: (U.prior().told, {"context": U.prior().tokens(["a", "b"])}),
    "Prior.condition": lambda: (U.prior().condition, {"request": SAID}),
    "Prior.null_context": lambda: (U.prior().null_context, {"negative": "a hat"}),
    "Prior.embeddings": lambda: (
        U.prior().embeddings,
        {"request": SAID, "sampler": "ddim", "steps": 2, "candidates": 2},
    ),
    "UnClip": lambda: (M.UnClip, {"prior": U.prior(), "decoder": U.decoder()}),
    "UnClip.embed": lambda: (U.unclip().embed, {"pictures": PICTURES}),
    "UnClip.draw": lambda: (U.unclip().draw, {"request": SAID, **OPTIONS}),
    "UnClip.chain": lambda: (U.unclip().chain, {"request": TOLD, **OPTIONS}),
    "UnClip.decode": lambda: (U.unclip().decode, {"x": PICTURES}),
    "UnClip.with_embeddings": lambda: (U.unclip().with_embeddings, {"request": SAID}),
    "UnClip.with_micro_batch": lambda: (U.unclip().with_micro_batch, {"micro_batch": 2}),
    "variations": lambda: (
        M.variations,
        {"model": U.unclip(), "pictures": PICTURES, "request": M.Request(seed=1), **OPTIONS},
    ),
    "between_pictures": lambda: (
        M.between_pictures,
        {"model": U.unclip(), "pictures": PICTURES, "n": 2, "request": M.Request(guidance=2), "steps": 2},
    ),
    "towards_text": lambda: (
        M.towards_text,
        {"model": U.unclip(), "picture": PICTURES[:1], "prompt": "a red car", "of_picture": "a car", "n": 2}
        | {"share": 0.25, "request": M.Request(guidance=2), "steps": 2},
    ),
    "text_difference": lambda: (M.text_difference, {"text": EMBEDDINGS, "of_picture": EMBEDDINGS[::-1].copy()}),
    "ClipModel.tokens": lambda: (U.clip().tokens, {"prompts": ["a", "b"]}),
    "ClipModel.embed": lambda: (U.clip().embed, {"pictures": PICTURES}),
    "base_of": lambda: (M.base_of, {"model": U.unclip()}),
}
PRIOR = (
    lambda: PriorTransformer(U.PRIOR),
    {"x_t": X, "t": np.array([3, 7]), "context": Condition(tokens=TEXTS, pooled=EMBEDDINGS)},
)
WITHOUT = {  # what takes no arguments
    *(f"{name}.check_draws" for name in ("DiffusionModel", "Enlarger", "Prior")),
    *(f"{name}.latents_of" for name in ("DiffusionModel", "LatentDiffusion", "Prior")),
    "DiffusionModel.told",  # it returns what it is given
}
