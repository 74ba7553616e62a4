"""unCLIP: from a text to the embedding of a picture, from that to a picture; and pictures made anew of embeddings."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    Condition,
    InputError,
    check_count,
    check_finite,
    check_number,
    check_shape,
    checked,
    checks_arguments,
    shown,
    xp_of,
)
from tinydiff.diffusion.editing import slerp
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.editing import draw_from, invert
from tinydiff.models.enlarger import Enlarger
from tinydiff.models.parts import Chain, OfParts, PartsSettings, Progress
from tinydiff.models.predictor import check_fits
from tinydiff.models.prior import Prior
from tinydiff.models.request import Guidance, Request
from tinydiff.models.store import register

AS_NEAR_AS = 1e-6  # the length of a difference of unit vectors below which it has no direction


@checks_arguments()
@dataclass(frozen=True)
class UnClip(OfParts):
    """A prior guesses the embedding of a picture from a text, a decoder draws it (Ramesh et al. 2022, DALL-E 2).

    Both know the same CLIP, whose embeddings these are: so pictures can also be drawn anew of other pictures, see
    `variations`, and of what lies between them.

    Parameters
    ----------
    prior : Prior
    decoder : DiffusionModel
        Told embeddings (`ModelConfig.embedding`) and texts; it may be a `LatentDiffusion`.

    Raises
    ------
    InputError
        If the two do not know embeddings of the same CLIP.

    Source: arXiv 2204.06125.
    """

    prior: Prior
    decoder: DiffusionModel

    def __post_init__(self):
        if not isinstance(self.prior, Prior):
            raise InputError(f"prior is of type {type(self.prior).__name__}, but a Prior was expected.")
        expected = "but one that is told embeddings, and draws their pictures, was expected"
        if not isinstance(self.decoder, DiffusionModel):
            raise InputError(f"decoder is of type {type(self.decoder).__name__}, {expected}.")
        if isinstance(self.decoder, Prior):
            raise InputError(f"decoder is a prior, which draws embeddings, {expected}.")
        if isinstance(self.decoder, Enlarger):
            raise InputError(f"decoder enlarges pictures, {expected}.")
        if self.decoder.config.embedding is None:
            raise InputError(f"decoder draws of words alone, {expected}.")
        _, found = self.prior.latents_of()
        known = self.decoder.config.embedding_of
        if known != found:
            raise InputError(
                f"The prior draws embeddings of the CLIP {found}, but the decoder was trained with those of the CLIP "
                f"{known}: train one of them again, with the other's CLIP."
            )
        height, width, channels = self.prior.clip.network.config.shape
        own = self.decoder.picture_shape
        if own[2] != channels or own[0] % height or own[1] % width or own[0] * width != own[1] * height:
            raise InputError(
                f"The decoder draws pictures of {own[0]} x {own[1]} x {own[2]}, but the CLIP reads {height} x {width} "
                f"x {channels}: a whole number of times as large was expected, so that pictures can be embedded."
            )

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its pictures."""
        return self.decoder.picture_shape

    @property
    def parts(self) -> tuple[DiffusionModel, ...]:
        """The prior and the decoder."""
        return self.prior, self.decoder

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of."""
        return self.decoder.multiple

    def with_micro_batch(self, micro_batch: int) -> "UnClip":
        """Return the same model, whose parts compute so many samples together."""
        return UnClip(self.prior.with_micro_batch(micro_batch), self.decoder.with_micro_batch(micro_batch))

    def decode(self, x: Array) -> Array:
        """Return the pictures of a state of its chain."""
        return self.decoder.decode(x)

    def embed(self, pictures: Array) -> Array:
        """Return the embeddings (N, embedding) of pictures of its own size, or of that which its CLIP reads."""
        return self.prior.clip.embed(pictures)

    def chain(
        self,
        request: Request | None = None,
        sampler: str = "ddim",
        steps: int | None = 50,
        progress: Progress | None = None,
        **options: Any,
    ) -> Chain:
        """Guess embeddings by the prior, and walk the decoder's chain; arguments are those of `DiffusionModel.chain`.

        A request that holds embeddings is not asked of the prior. What the decoder cannot draw is refused before.
        """
        request = Request() if request is None else request
        if request.embedding is None:
            self._check(request)
            check_fits(self.decoder, request)  # before there are embeddings for all
            xp, size = xp_of(self.decoder.network.theta), self.decoder.config.embedding
            blank = replace(request, n=request.count, embedding=xp.zeros((request.count, size), np.float32))
            self.decoder.chain(blank, sampler, steps, **options)
            request = self.with_embeddings(request)
        return self.decoder.chain(request, sampler, steps, progress, **options)

    def with_embeddings(self, request: Request) -> Request:
        """Return a request with the embeddings that the prior guesses of its prompts, unless it has some.

        The prior follows the prompt as strongly as the decoder does (`Guidance.scale`).
        """
        if request.embedding is not None:
            return request
        self._check(request)
        guidance = Guidance(request.guidance.scale)
        return replace(
            request,
            n=request.count,
            embedding=self.prior.embeddings(replace(request, size=None, guidance=guidance)),
        )

    def _check(self, request):
        """Refuse what a prior cannot be asked."""
        if isinstance(request.prompt, Condition):
            raise InputError(
                "prompt holds encoded prompts, but prior and decoder read texts in their own ways: give texts."
            )
        if request.prompt is None:
            raise InputError("prompt is missing: unCLIP draws what a text says, or anew what a picture shows.")
        if request.image is not None or request.classifier is not None:
            raise InputError("request holds an image or a classifier, which unCLIP does not take: leave it out.")


@checked()
def variations(
    model: UnClip,
    pictures: Array,
    request: Request | None = None,
    sampler: str = "ddim",
    steps: int = 50,
    progress: Progress | None = None,
    **options: Any,
) -> Array:
    """Return pictures that show what others show, in another way: drawn of their embeddings (section 3.1 of the paper).

    What an embedding says is kept; what it leaves out, each seed draws differently.

    Parameters
    ----------
    model : UnClip
    pictures : array, shape (N, H, W, C), in [-1, 1]
        Of the size of the model; one for each sample.
    request : Request or None
        A seed, guidance, and perhaps a prompt, which the decoder then reads besides.
    sampler, steps, progress, options
        As for `DiffusionModel.draw`.
    """
    request = _told_nothing(request).for_images(pictures)
    return model.decoder.draw(replace(request, embedding=model.embed(pictures)), sampler, steps, progress, **options)


@checked()
def between_pictures(
    model: UnClip, pictures: Array, n: int = 7, request: Request | None = None, steps: int = 50
) -> Array:
    """Return n pictures on the way from one picture to another (section 3.2 of the paper).

    Embedding and noise go along arcs (Eq. SLERP-1). The noise at both ends is that from which DDIM draws the two
    pictures, nearly (`invert`): with guidance 1 they are drawn again there, and exaggerated with more.

    Parameters
    ----------
    model : UnClip
    pictures : array, shape (2, H, W, C), in [-1, 1]
    n : int
        2 or more.
    request : Request or None
        Guidance, a negative prompt; no prompt. Its seed has no effect: the noise is that of the pictures.
    steps : int
    """
    check_count("n", n, least=2)
    check_shape("pictures", pictures, (2, None, None, None))
    ends = model.embed(pictures)
    noises = invert(model.decoder, pictures, Request(embedding=ends), steps)
    shares = [float(share) for share in np.linspace(0, 1, n)]
    xp = xp_of(ends)
    z, x_T = (xp.concatenate([slerp(a[:1], a[1:], share) for share in shares]) for a in (ends, noises))
    return draw_from(model.decoder, x_T, _alone(request, z), steps)


@checked()
def towards_text(
    model: UnClip,
    picture: Array,
    prompt: str,
    of_picture: str = "",
    n: int = 7,
    share: float = 0.5,
    request: Request | None = None,
    steps: int = 50,
) -> Array:
    """Return n pictures on the way from a picture to what a text says (text diffs, section 3.3 of the paper).

    Parameters
    ----------
    model : UnClip
    picture : array, shape (1, H, W, C), in [-1, 1]
    prompt : str
        What it should become.
    of_picture : str
        What the picture shows, so that only the difference of the two texts is followed; "" for nothing.
    n : int
        2 or more.
    share : float
        0 .. 1: how far along the arc to that difference (Eq. UNCLIP-DIFF) the last one is; in the paper 0.25 .. 0.5.
    request, steps
        As for `between_pictures`.
    """
    check_count("n", n, least=2)
    check_number("share", share, 0, 1)
    check_shape("picture", picture, (1, None, None, None))
    if prompt.strip() == of_picture.strip():
        raise InputError(
            f"prompt is {shown(prompt)}, and of_picture says the same, so that there is no direction from one to the "
            "other: give another text."
        )
    z = model.embed(picture)
    target = text_difference(model.prior.clip.text_vectors([prompt]), model.prior.clip.text_vectors([of_picture]))
    x_T = invert(model.decoder, picture, Request(embedding=z), steps)
    xp = xp_of(z)
    on_the_way = xp.concatenate([slerp(z, target, share * float(part)) for part in np.linspace(0, 1, n)])
    return draw_from(model.decoder, xp.concatenate([x_T] * n), _alone(request, on_the_way), steps)


@checked()
def text_difference(text: Array, of_picture: Array) -> Array:
    """Return the unit vector that points from the embedding of one text to that of another (Eq. UNCLIP-DIFF).

    Parameters
    ----------
    text, of_picture : arrays, shape (N, embedding)
        Unit vectors: of what a picture should become, and of what it shows.

    Raises
    ------
    InputError
        If both say the same, so that there is no direction between them.
    """
    check_shape("of_picture", of_picture, tuple(text.shape))
    check_finite("text", text)
    check_finite("of_picture", of_picture)
    difference = text - of_picture
    length = xp_of(text).sqrt((difference**2).sum(axis=-1, keepdims=True))
    if bool((length < AS_NEAR_AS).any()):
        raise InputError("The two texts say the same to the CLIP, so that there is no direction between them.")
    return difference / length


def _alone(request, embedding):
    """Return a request for pictures of embeddings, without a prompt."""
    request = _told_nothing(request)
    if request.prompt is not None:
        raise InputError(
            f"The request holds the prompt {request.prompt!r}, but embeddings say what is drawn: leave it out."
        )
    if request.n not in (None, len(embedding)):
        raise InputError(f"The request asks for {request.n} pictures, but n says {len(embedding)}: leave it out.")
    return replace(request, n=len(embedding), embedding=embedding)


def _told_nothing(request):
    """Return a request, or an empty one; one that holds embeddings is refused, for pictures say them."""
    request = Request() if request is None else request
    if request.embedding is not None:
        raise InputError("The request holds embeddings, but they are those of the pictures: leave them out.")
    return request


@register("unclip", "an unCLIP", UnClip)
@dataclass(frozen=True)
class UnClipSettings(PartsSettings):  # type: ignore[type-var]  # it has no network of its own
    """What config.json says of an unCLIP: nothing; its prior and its decoder lie in folders of their own."""

    @staticmethod
    def parts(model: UnClip) -> dict[str, Any]:
        """Return the prior and the decoder, by the names of their folders."""
        return {"prior": model.prior, "decoder": model.decoder}

    def build(self, prior: Prior, decoder: DiffusionModel) -> UnClip:
        """Return the model."""
        return UnClip(prior, decoder)
