"""The prior of unCLIP at work: from a prompt to an embedding that a picture of it could have."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    Condition,
    InputError,
    check_alike,
    check_count,
    check_finite,
    check_shape,
    checks_arguments,
    shown,
    to_table,
    xp_of,
)
from tinydiff.models.clip import ClipModel
from tinydiff.models.config import ModelConfig
from tinydiff.models.diffusion import DiffusionModel, DiffusionSettings
from tinydiff.models.request import Request, other_seed
from tinydiff.models.standardise import keep_mean_and_std, mean_and_std
from tinydiff.models.store import register
from tinydiff.models.weights import checksum_of, without_later
from tinydiff.networks import PriorTransformer
from tinydiff.workers import Workers

CANDIDATES = 2  # embeddings drawn for each prompt, of which the nearest to the text is kept
STEPS = 25
LARGEST_CANDIDATES = 64

LATER = {"beta_range": None, "zero_snr": False}  # see `without_later`


@checks_arguments()
@dataclass(frozen=True)
class Prior(DiffusionModel):
    """A diffusion model whose x are standardised embeddings of pictures (Ramesh et al. 2022, arXiv 2204.06125).

    It is asked as any other, by a prompt; what it draws, `draw`, are embeddings (n, embedding): unit vectors, as the
    CLIP gives them. The CLIP stands still, and reads the prompts.

    Parameters
    ----------
    clip : ClipModel
        Whose embeddings the network was trained on.
    mean, std : numbers for each number of an embedding, or None
        What embeddings are standardised by, measured over the training set: a unit vector of 128 numbers has numbers
        near 0.09, and noise of size 1 would leave nothing of them. None is 0 and 1.
    network, config, micro_batch, threads, processes
        As for `DiffusionModel`.

    Raises
    ------
    InputError
        If the network and the CLIP do not fit together.
    """

    clip: Any = None
    mean: Any = None
    std: Any = None

    def __post_init__(self):
        super().__post_init__()
        shape = self.config.prior
        if shape is None or not isinstance(self.network, PriorTransformer):
            raise InputError("The network draws pictures, but a prior, which draws embeddings, was expected.")
        if self.clip is None:
            raise InputError("clip is missing, but a prior needs one to read prompts.")
        if not isinstance(self.clip, ClipModel):
            raise InputError(f"clip is of type {type(self.clip).__name__}, but a ClipModel was expected.")
        text, embedding = self.clip.network.config.text, self.clip.network.config.embedding
        known, found = (shape.embedding, shape.text_channels, shape.length), (embedding, text.channels, text.length)
        if known != found:
            raise InputError(
                "The prior has embedding, text_channels and length "
                f"{', '.join(map(str, known))}, but the CLIP's are {', '.join(map(str, found))}."
            )
        keep_mean_and_std(self, embedding, "embeddings")
        object.__setattr__(self, "tokenizer", self.clip.tokenizer)

    @property
    def is_bounded(self) -> bool:
        """Standardised embeddings are not bounded."""
        return False

    def check_draws(self) -> None:
        """Raise `InputError`: it draws embeddings."""
        raise InputError(
            "This model is the prior of an unCLIP, and draws embeddings, not pictures: ask the whole unCLIP, or train "
            "a decoder for it (tinydiff train --objective decode --prior FOLDER)."
        )

    def encode(self, embeddings: Array) -> Array:
        """Return the x of unit vectors (N, embedding): standardised, shape (N, 1, 1, embedding)."""
        check_alike(embeddings=embeddings)
        check_shape("embeddings", embeddings, (None, len(self.mean)))
        mean, std = mean_and_std(self, embeddings)
        return ((embeddings - mean) / std)[:, None, None]

    def standardised(self, data: Any) -> Any:
        """Return embeddings, as `LatentData`, as the x that the network learns: `encode`, in half precision."""
        latents = getattr(data, "latents", None)
        if not isinstance(latents, np.ndarray):
            raise InputError(f"data is {shown(data)}, but embeddings, as LatentData, were expected.")
        check_shape("data", latents, (None, 1, 1, len(self.mean)))
        vectors = latents[:, 0, 0].astype(np.float32)
        return replace(data, latents=self.encode(vectors).astype(np.float16))

    def decode(self, x: Array) -> Array:
        """Return the unit vectors (N, embedding) of x (N, 1, 1, embedding)."""
        check_alike(x=x)
        check_finite("x", x)
        check_shape("x", x, (None, 1, 1, len(self.mean)))
        mean, std = mean_and_std(self, x)
        vectors = x[:, 0, 0] * std + mean
        return vectors / xp_of(x).sqrt((vectors**2).sum(axis=-1, keepdims=True))

    def tokens(self, prompts: Any) -> Array:
        """Return prompts as the CLIP's token numbers, integers (N, length)."""
        return self.clip.tokens(prompts)

    def condition(self, request: Request) -> Any:
        """Return the prompt of each sample as token numbers."""
        if request.labels is not None:
            raise InputError(f"labels is {request.labels}, but a prior guesses from text: give a prompt.")
        for name in ("embedding", "image", "classifier", "size"):
            if getattr(request, name) is not None:
                raise InputError(f"{name} was given, but a prior guesses embeddings of text alone: leave it out.")
        if isinstance(request.prompt, Condition):
            return request.prompt
        return self.tokens(request.prompts)

    def null_context(self, negative: str = "") -> Array:
        """Return the empty prompt, or the negative one, as token numbers."""
        return self.tokens([negative])

    def read(self, context: Any, first: int = 0) -> Condition:
        """Return what the CLIP's text encoder says of token numbers: vectors of tokens, and the text's embedding."""
        return Workers(self.micro_batch, self.threads, first=first).map(self.clip.network.read_text, context)

    def told(self, context: Any) -> Condition:
        """Return what the network is told in training: what the CLIP, which stands still, reads in the texts."""
        return self.clip.network.read_text(context)

    def latents_of(self) -> tuple[str, str]:
        """Return what its x come from: a CLIP, by its checksum."""
        return "CLIP", self.clip.checksum()

    def checksum(self) -> str:
        """Return 16 hexadecimal digits that tell this prior from others: of its shape, its CLIP and its weights.

        These are rounded to half precision, as files may hold them (`save`).
        """
        said = [without_later(to_table(self.config), LATER), self.clip.checksum(), self.mean, self.std]
        return checksum_of(said, [self.network.theta], "<f2")

    def embeddings(
        self, request: Request, sampler: str = "dpmpp_2m", steps: int | None = None, candidates: int = CANDIDATES
    ) -> Array:
        """Return an embedding for each sample of a request, shape (n, embedding).

        For each, several are drawn, and the one that is nearest to the text's own embedding is kept (section 2.2 of the
        paper, where two are drawn). Their seeds are others than the request's, from which the decoder draws. Steps are
        25 unless it is said, or T where that is less.
        """
        steps = min(STEPS, self.config.T) if steps is None else steps
        check_count("candidates", candidates, most=LARGEST_CANDIDATES)
        request = replace(request, n=request.count)
        seeds = [other_seed(request.seed, i + 1) for i in range(candidates)]
        drawn = [self.draw(replace(request, seed=seed), sampler, steps) for seed in seeds]
        if candidates == 1:
            return drawn[0]
        condition = self.condition(request)
        text = (condition if isinstance(condition, Condition) else self.read(condition, request.first)).pooled
        xp = xp_of(text)
        together = xp.stack(drawn)
        best = (together * text).sum(axis=-1).argmax(axis=0)
        return together[best, xp.arange(len(best))]


@register("prior", "a prior, which draws embeddings", Prior)
@dataclass(frozen=True)
class PriorSettings(DiffusionSettings):
    """What config.json says of a prior; its CLIP lies in a folder of its own."""

    config: ModelConfig
    micro_batch: int = 16
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def of(cls, model: DiffusionModel) -> "PriorSettings":
        """Return the settings of a model."""
        assert isinstance(model, Prior)
        return cls(model.config, model.micro_batch, model.mean, model.std)

    @staticmethod
    def parts(model: DiffusionModel) -> dict[str, Any]:
        """Return the network and the CLIP."""
        assert isinstance(model, Prior)
        return {"network": model.network, "clip": model.clip}

    def build(self, network: PriorTransformer, clip: ClipModel) -> Prior:  # type: ignore[override]  # another network
        """Return the model."""
        return Prior(network, self.config, self.micro_batch, clip=clip, mean=self.mean, std=self.std)
