"""Models that draw in one pass, by no chain: a generator, a variational autoencoder, a normalising flow."""

from dataclasses import dataclass
from typing import Any, get_args

from tinydiff.base import Array, InputError, Noise, checked, shown, xp_of
from tinydiff.models.network import NetworkSettings
from tinydiff.models.request import SAMPLER, Request
from tinydiff.models.store import register
from tinydiff.networks import VAE, Generator, GeneratorConfig, RealNVP, RealNVPConfig, VAEConfig
from tinydiff.workers import map_shards

OnePassModel = Generator | VAE | RealNVP  # what draws in one pass, by no chain
SHARD = 64  # pictures that are computed together


@register("generator", "a generator", Generator)
@dataclass(frozen=True)
class GeneratorSettings(NetworkSettings):
    """What config.json says of a generator."""

    config: GeneratorConfig


@register("vae", "a variational autoencoder", VAE)
@dataclass(frozen=True)
class VAESettings(NetworkSettings):
    """What config.json says of a variational autoencoder."""

    config: VAEConfig


@register("real-nvp", "a normalising flow", RealNVP)
@dataclass(frozen=True)
class RealNVPSettings(NetworkSettings):
    """What config.json says of a normalising flow."""

    config: RealNVPConfig


@checked()
def draw_at_once(model: OnePassModel, request: Request | None = None) -> Array:
    """Return pictures (n, H, W, C) that a model makes of standard normal numbers, in one pass.

    Sample i of a seed is the same picture, whatever n is. Nothing is clipped: points have no bounds, and what shows
    pictures clips them. Of a variational autoencoder these are the decoder's means, see `VAE.draw`.

    Parameters
    ----------
    model : Generator, VAE or RealNVP
    request : Request or None
        How many, and from which seed; None draws 16.

    Raises
    ------
    InputError
        If something is asked for that these models do not have: a class, a prompt, guidance, a size.
    """
    request = Request() if request is None else request
    _refuse_conditions(model, request)
    noise = Noise(request.seed, first=request.first, xp=xp_of(model.theta))
    z = noise.normal((request.count, model.latent), "z", dtype=model.theta.dtype)
    return map_shards(model.draw, (z,), SHARD)


@checked()
def refuse_chain(model: OnePassModel, sampler: str = SAMPLER, steps: int | None = None, **of_sampler: Any) -> None:
    """Raise `InputError` where steps, a sampler, or options of one, are asked of a model that has no chain."""
    usual = {"steps": None, "sampler": SAMPLER}
    for name, value in {"steps": steps, "sampler": sampler, **of_sampler}.items():
        if value != usual.get(name):
            raise InputError(f"{name} is {shown(value)}, but {noun_of(model)} draws in one pass: leave it out.")


def noun_of(model: Any) -> str:
    """Return what such a model is called in a sentence."""
    nouns = {Generator: "a generator", VAE: "a variational autoencoder", RealNVP: "a normalising flow"}
    return nouns[type(model)]


def is_one_pass(kind: type) -> bool:
    """Return whether models of a class draw in one pass."""
    return kind in get_args(OnePassModel)


def _refuse_conditions(model, request):
    """Raise where something is asked for that has no effect on a model that knows no condition."""
    learned = "has learned pictures alone, and knows no condition"
    given: dict[str, tuple[Any, str]] = {
        "labels": (request.labels, learned),
        "prompt": (request.prompt, learned),
        "negative": (request.negative or None, learned),
        "classifier": (request.classifier, "has no chain that a classifier could guide"),
        "image": (request.image, learned),
        "embedding": (request.embedding, learned),
        "size": (request.size, "draws pictures of one size"),
        "guidance": (None if request.guidance.scale == 1 else request.guidance.scale, learned),
    }
    for name, (value, why) in given.items():
        if value is not None:
            told = "was given" if callable(value) or hasattr(value, "dtype") else f"is {shown(value)}"
            raise InputError(f"{name} {told}, but {noun_of(model)} {why}: leave it out.")
