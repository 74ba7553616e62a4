"""A trained CLIP at work: it finds the caption of a picture, ranks pictures by a prompt, and guides a diffusion model.

The pictures may be noisy, x_t at a time t, of the forward process that it was trained with.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    check_alike,
    check_choice,
    check_count,
    check_images,
    check_shape,
    checked,
    checks_arguments,
    there_are,
    to_table,
    xp_of,
)
from tinydiff.diffusion import GaussianDiffusion
from tinydiff.diffusion.schedules import LARGEST_T, SCHEDULES
from tinydiff.functional import avg_pool
from tinydiff.models.config import LARGEST_MICRO_BATCH
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.request import Request
from tinydiff.models.store import register
from tinydiff.models.weights import checksum_of, without_later
from tinydiff.networks import CLIP, CLIPConfig
from tinydiff.nn import Tape
from tinydiff.text import Tokenizer
from tinydiff.workers import map_shards

LATER = {"activation": "geglu", "attention_bias": False}  # see `without_later`


@checks_arguments()
@dataclass(frozen=True)
class ClipModel:
    """A CLIP with its tokenizer and the forward process whose pictures it reads.

    Parameters
    ----------
    network : CLIP
    tokenizer : Tokenizer
    schedule : str
        ``"cosine"`` or ``"linear"``.
    T : int
        Number of steps of the forward process.
    micro_batch : int
        How many pictures or texts are computed together.
    threads : int or None
        How many shards are computed at the same time; None takes one for each core.
    """

    network: CLIP
    tokenizer: Tokenizer
    schedule: str = "cosine"
    T: int = 1000
    micro_batch: int = 16
    threads: int | None = None

    def __post_init__(self):
        check_choice("schedule", self.schedule, tuple(SCHEDULES))
        check_count("T", self.T, most=LARGEST_T)
        check_count("micro_batch", self.micro_batch, most=LARGEST_MICRO_BATCH)
        vocabulary = self.network.config.text.vocabulary
        if len(self.tokenizer) != vocabulary:
            raise InputError(f"The text encoder knows {vocabulary} tokens, but the tokenizer {len(self.tokenizer)}.")

    @cached_property
    def diffusion(self) -> GaussianDiffusion:
        """The forward process."""
        return GaussianDiffusion(SCHEDULES[self.schedule](self.T))

    def tokens(self, prompts: Sequence[str]) -> Array:
        """Return prompts as token numbers, integers (N, length), on the model's device."""
        if isinstance(prompts, str) or not prompts:
            raise InputError(f"prompts is {prompts!r}, but a list of one or more texts was expected.")
        return xp_of(self.network.theta).asarray(self.tokenizer.rows(prompts, self.network.config.text.length))

    def text_vectors(self, prompts: Sequence[str]) -> Array:
        """Return a unit vector for each prompt, shape (N, embedding)."""
        return map_shards(self.network.encode_text, (self.tokens(prompts),), self.micro_batch, self.threads)

    def embed(self, pictures: Array) -> Array:
        """Return a unit vector for each clean picture, shape (N, embedding), as `image_vectors` does.

        Pictures may be several times as large as those that it reads: it then sees the averages of their blocks.
        """
        check_images("pictures", pictures)
        height, width, channels = self.network.config.shape
        check_shape("pictures", pictures, (None, None, None, channels))
        factor = pictures.shape[1] // height
        if not factor or pictures.shape[1:3] != (factor * height, factor * width):
            raise InputError(
                f"pictures are {pictures.shape[1]} x {pictures.shape[2]}, but the CLIP reads {height} x {width}: "
                "pictures of that size, or a whole number of times as large, were expected."
            )
        return self.image_vectors(avg_pool(pictures, factor)[0])

    def checksum(self) -> str:
        """Return 16 hexadecimal digits that tell this CLIP's embeddings of pictures from others', by which to name it.

        They come from what decides an embedding: the shape, and the weights, rounded to half precision, as files may
        hold them (`save`).
        """
        shape = to_table(self.network.config)
        shape["text"] = without_later(shape["text"], LATER)
        return checksum_of(shape, [self.network.theta], "<f2")

    def image_vectors(self, x_t: Array, t: Array | float = 0) -> Array:
        """Return a unit vector for each picture (N, H, W, C) in [-1, 1], shape (N, embedding).

        t is 0 for clean pictures; for noisy ones it is their time, a number or an array (N,), at most T.
        """
        check_alike(x_t=x_t)
        xp = xp_of(x_t)
        times: Array = xp.full(len(x_t), t) if getattr(t, "ndim", 0) == 0 else t
        check_shape("t", times, (len(x_t),))
        if xp is np and not ((times >= 0) & (times <= self.T)).all():  # a GPU would have to wait for this to be known
            raise InputError(f"t runs from {times.min()} to {times.max()}, but times from 0 to {self.T} were expected.")
        return map_shards(self.network.encode_image, (x_t, times), self.micro_batch, self.threads)


@checked()
def clip_scores(clip: ClipModel, images: Array, prompts: Sequence[str]) -> Array:
    """Return how well each picture fits each prompt: cosines from -1 to 1, shape (pictures, prompts).

    Parameters
    ----------
    clip : ClipModel
    images : array, shape (N, H, W, C), in [-1, 1]
    prompts : sequence of str

    Raises
    ------
    InputError
        If a picture holds a number outside [-1, 1].
    """
    check_images("images", images)
    return clip.image_vectors(images) @ clip.text_vectors(prompts).T


@checked()
def best_of(clip: ClipModel, images: Array, prompt: str, n: int = 1) -> Array:
    """Return the indices of the n pictures that fit a prompt best, the best one first."""
    check_count("n", n)
    if n > len(images):
        raise InputError(f"n is {n}, but {there_are(len(images), 'picture')}.")
    return (-clip_scores(clip, images, [prompt])[:, 0]).argsort()[:n]


@checked()
def clip_gradient(clip: ClipModel) -> Callable[[Array, Array, Array], Array]:
    """Return ``f(x_t, t, context)``, the gradient in x_t of the logit of picture and text (Eq. GLIDE-CLIP).

    It replaces a classifier's gradient in `classifier_guidance`: up to a term that does not depend on the picture, the
    logit is the logarithm of how much more likely picture and text are together than independently. The context is one
    vector for each picture, from `ClipModel.text_vectors`.

    Source: Nichol et al. 2021 (GLIDE, arXiv 2112.10741), section 2.4.
    """
    network = clip.network

    def of_shard(x_t, t, vectors):
        tape = Tape()
        network.encode_image(x_t, t, tape)
        scale = xp_of(vectors).exp(network.log_scale.value)
        return network.encode_image_backward(scale * vectors, tape)  # the logit is scale <image, text>

    def gradient(x_t, t, context):
        if context is None:
            raise InputError("context is None, but vectors of texts, from text_vectors(prompts), were expected.")
        check_shape("context", context, (len(x_t), network.config.embedding))
        return map_shards(of_shard, (x_t, t, context), clip.micro_batch, clip.threads)

    return gradient


@checked()
def clip_guided_chain(
    model: DiffusionModel,
    clip: ClipModel,
    prompts: Sequence[str],
    scale: float = 1.0,
    seed: int = 0,
    steps: int = 50,
    sampler: str = "ddim",
) -> Iterator[tuple[float, Array, Array]]:
    """Draw a sample for each prompt, and yield (t, x_t, x_0_hat) after every step.

    The diffusion model itself is given the empty prompt: what the picture shows comes only from CLIP.

    Parameters
    ----------
    model : DiffusionModel
        One with the same forward process and size of pictures as the CLIP.
    clip : ClipModel
    prompts : sequence of str
    scale : float
        How far CLIP's gradient pushes; 0 draws without it.
    seed, steps, sampler
        As for `DiffusionModel.chain`, which draws the same pictures where the scale is 0.
    """
    for name, own, others in (
        ("schedule", model.config.schedule, clip.schedule),
        ("T", model.config.T, clip.T),
        ("shape of pictures", model.picture_shape, clip.network.config.shape),
    ):
        if own != others:
            raise InputError(f"{name} of the diffusion model is {own}, but the CLIP was trained with {others}.")
    vectors, gradient = clip.text_vectors(prompts), clip_gradient(clip)

    def towards_prompts(x_t, t, _):
        return gradient(x_t, t, vectors)

    if not model.is_bounded:
        raise InputError("This model draws latents, but CLIP reads noisy pictures: take one that draws pictures.")
    request = Request(n=len(prompts), seed=seed, guidance=scale, classifier=towards_prompts)
    return model.chain(request, sampler, steps)


@register("clip", "a CLIP", ClipModel)
@dataclass(frozen=True)
class ClipSettings:
    """What config.json says of a CLIP."""

    config: CLIPConfig
    schedule: str
    T: int
    micro_batch: int

    @classmethod
    def of(cls, clip: ClipModel) -> "ClipSettings":
        """Return the settings of a model."""
        return cls(clip.network.config, clip.schedule, clip.T, clip.micro_batch)

    @staticmethod
    def parts(clip: ClipModel) -> dict[str, Any]:
        """Return the network and the tokenizer."""
        return {"network": clip.network, "tokenizer": clip.tokenizer}

    def network(self) -> CLIP:
        """Return a new network."""
        return CLIP(self.config)

    def build(self, network: CLIP, tokenizer: Tokenizer) -> ClipModel:
        """Return the model."""
        return ClipModel(network, tokenizer, self.schedule, self.T, self.micro_batch)
