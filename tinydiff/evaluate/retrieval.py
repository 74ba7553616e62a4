"""How well a CLIP finds the caption of a picture and the picture of a caption, beside chance and a ceiling."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinydiff.base import InputError, Noise, check_choice, check_count, check_rank, checked, counted, to_numpy, xp_of
from tinydiff.data import to_floats
from tinydiff.data.avatars import compose, describe, render
from tinydiff.data.avatars.pairs import match_probabilities, words_said, words_shown
from tinydiff.data.avatars.slots import SIZE
from tinydiff.data.scenes import DrawnScenes
from tinydiff.evaluate.shares import Share, wilson_share
from tinydiff.models import GUIDANCE_FOR_PROMPTS, ClipModel, Prior, Request

TIMES = (0.1, 0.25, 0.5, 0.75)  # of the noisy pictures in a report, as shares of T


class Pairs(NamedTuple):
    """Pictures of a test split, their captions, and how often a perfect reader is right, where that is known."""

    x_0: np.ndarray
    captions: list[str]
    ceilings: tuple[float, float] | None


@dataclass(frozen=True)
class Retrieval:
    """How often the first answer is right, among n pairs of the test split.

    Parameters
    ----------
    n : int
    captions : Share
        Pictures whose own caption has the highest score of all.
    pictures : Share
        Captions whose own picture has the highest score of all.
    ceilings : (float, float) or None
        Both figures of a perfect reader, who knows exactly what each portrait shows and how captions are written, and
        answers each question separately, as a CLIP does. They are below 1 because captions leave things out, and some
        captions say the same. Of scenes they are not known.
    noisy : dict
        Time t -> (captions, pictures): both Shares for pictures with the noise of t.
    """

    n: int
    captions: Share
    pictures: Share
    ceilings: tuple[float, float] | None
    noisy: dict[int, tuple[Share, Share]]

    def __str__(self) -> str:
        row = "{:<34} {:>22} {:>22}".format
        lines = [
            f"Retrieval at 1 among {counted(self.n, 'pair')} of the split test, none of them trained on",
            row("", "caption of a picture", "picture of a caption"),
            row("measured", _in_percent(self.captions), _in_percent(self.pictures)),
            row("chance", f"{1 / self.n:.2%}", f"{1 / self.n:.2%}"),
        ]
        if self.ceilings is not None:
            lines.append(row("ceiling, by what captions say", *(f"{ceiling:.1%}" for ceiling in self.ceilings)))
        lines += [row(f"measured with noise, t = {t}", *map(_in_percent, shares)) for t, shares in self.noisy.items()]
        return "\n".join(lines)


@dataclass(frozen=True)
class PriorRetrieval:
    """How often an embedding finds what it belongs to, among n pairs of the test split: the prior's, and the true one.

    Parameters
    ----------
    n : int
    of_prior, of_pictures : Share
        Embeddings that the prior guesses of captions, and those of the pictures themselves, to which of all captions
        their own is the nearest.
    pictures : Share
        Embeddings that the prior guesses, to which of all pictures that of their caption is the nearest.
    cosine, cosine_of_others : float
        Mean cosine between the embedding that the prior guesses and that of the caption's picture, or of another
        picture. It is no measure of a prior: one that guessed the mean of what is possible would have a larger one.
    """

    n: int
    of_prior: Share
    of_pictures: Share
    pictures: Share
    cosine: float
    cosine_of_others: float

    def __str__(self) -> str:
        row = "{:<58} {:>22}".format
        return "\n".join(
            [
                f"Retrieval at 1 among {counted(self.n, 'pair')} of the split test, none of them trained on",
                row("its caption, by the embedding of a picture", _in_percent(self.of_pictures)),
                row("its caption, by the embedding that the prior guesses of it", _in_percent(self.of_prior)),
                row("its picture, by the embedding that the prior guesses", _in_percent(self.pictures)),
                row("chance", f"{1 / self.n:.2%}"),
                f"Mean cosine of what the prior guesses with the embedding of its picture {self.cosine:.3f}, with that "
                f"of another picture {self.cosine_of_others:.3f}",
            ]
        )


@checked()
def retrieval(clip: ClipModel, n: int = 1000, data: str = "avatars") -> Retrieval:
    """Measure a CLIP on the first n pairs of the test split of portraits or of scenes."""
    check_count("n", n, least=2)
    pairs = _test_pairs(clip, n, data)
    xp = xp_of(clip.network.theta)
    x_0, text = xp.asarray(pairs.x_0), clip.text_vectors(pairs.captions)
    eps = Noise(0, xp=xp).normal(x_0.shape, "eps")

    def found(x_t, t):
        captions, pictures = first_answers(to_numpy(clip.image_vectors(x_t, t) @ text.T))
        return wilson_share(captions, n), wilson_share(pictures, n)

    times = [round(share * clip.T) for share in TIMES]
    noisy = {t: found(clip.diffusion.q_sample(x_0, t, eps), t) for t in times}
    of_captions, of_pictures = found(x_0, 0)
    return Retrieval(n, of_captions, of_pictures, pairs.ceilings, noisy)


@checked()
def prior_retrieval(
    prior: Prior, n: int = 300, data: str = "scenes", guidance: float = GUIDANCE_FOR_PROMPTS
) -> PriorRetrieval:
    """Measure a prior of unCLIP on the first n pairs of the test split of portraits or of scenes.

    Parameters
    ----------
    prior : Prior
    n : int
    data : str
        ``"avatars"`` or ``"scenes"``.
    guidance : float
        How strongly it follows the captions.
    """
    check_count("n", n, least=2)
    clip = prior.clip
    pairs = _test_pairs(clip, n, data)
    z = to_numpy(clip.embed(xp_of(clip.network.theta).asarray(pairs.x_0)))
    guessed = to_numpy(prior.embeddings(Request(prompt=pairs.captions, guidance=guidance)))
    text = to_numpy(clip.text_vectors(pairs.captions))
    of_prior, of_true, found = (
        wilson_share(first_answers(scores)[0], n) for scores in (guessed @ text.T, z @ text.T, guessed @ z.T)
    )
    cosines = guessed @ z.T
    others = float((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
    return PriorRetrieval(n, of_prior, of_true, found, float(np.diag(cosines).mean()), others)


def _test_pairs(clip: ClipModel, n: int, data: str) -> Pairs:
    """Return the first n pairs of a test split, as the CLIP reads them."""
    check_choice("data", data, ("avatars", "scenes"))
    height, width, channels = shape = clip.network.config.shape
    if data == "scenes":
        if height != width or channels != 3:
            raise InputError(
                f"This CLIP reads pictures of {height} x {width} x {channels}, but scenes are square and in colour."
            )
        scenes = DrawnScenes("test", n, height)
        return Pairs(scenes.batch(np.arange(n))[0], list(scenes.captions), None)
    if shape != (SIZE, SIZE, 3):
        raise InputError(
            f"This CLIP reads pictures of {height} x {width} x {channels}, but it is measured on portraits of "
            f"{SIZE} x {SIZE} x 3."
        )
    portraits = compose(n, split="test")
    captions = describe(portraits, split="test")
    by_reader = first_answers(match_probabilities(words_said(portraits, captions), words_shown(portraits)).T)
    of_captions, of_portraits = (hits / n for hits in by_reader)
    return Pairs(to_floats(render(portraits)), [caption.text for caption in captions], (of_captions, of_portraits))


def first_answers(scores: np.ndarray) -> tuple[float, float]:
    """Return how many rows have their highest score on the diagonal, and how many columns; a tie is shared.

    Parameters
    ----------
    scores : array, shape (N, N)
        Of each picture (rows) with each text (columns).
    """
    check_rank("scores", scores, 2)
    if scores.shape[0] != scores.shape[1]:
        raise InputError(f"scores has shape {scores.shape}, but one column for each row was expected.")
    hits = []
    for axis in (1, 0):
        is_best = scores == scores.max(axis=axis, keepdims=True)
        hits.append(float((np.diag(is_best) / is_best.sum(axis=axis)).sum()))
    return hits[0], hits[1]


def _in_percent(share):
    return f"{share.value:.1%} ({share.low:.1%} .. {share.high:.1%})"
