"""How well a CLIP finds the caption of a portrait and the portrait of a caption, beside chance and a ceiling."""

from dataclasses import dataclass

import numpy as np

from tinydiff.base import InputError, Noise, check_count, check_rank, checked, counted, to_numpy, xp_of
from tinydiff.data import to_floats
from tinydiff.data.avatars import compose, describe, render
from tinydiff.data.avatars.pairs import match_probabilities, words_said, words_shown
from tinydiff.data.avatars.slots import SIZE
from tinydiff.evaluate.shares import Share, wilson_share
from tinydiff.models import ClipModel

TIMES = (0.1, 0.25, 0.5, 0.75)  # of the noisy pictures in a report, as shares of T


@dataclass(frozen=True)
class Retrieval:
    """How often the first answer is right, among n pairs of the test split.

    Parameters
    ----------
    n : int
    captions : Share
        Portraits whose own caption has the highest score of all.
    portraits : Share
        Captions whose own portrait has the highest score of all.
    caption_ceiling, portrait_ceiling : float
        The figures of a perfect reader, who knows exactly what each portrait shows and how captions are written, and
        answers each question separately, as a CLIP does. They are below 1 because captions leave things out, and some
        captions say the same.
    noisy : dict
        Time t -> (captions, portraits): both Shares for portraits with the noise of t.
    """

    n: int
    captions: Share
    portraits: Share
    caption_ceiling: float
    portrait_ceiling: float
    noisy: dict[int, tuple[Share, Share]]

    def __str__(self) -> str:
        row = "{:<34} {:>22} {:>22}".format
        lines = [
            f"Retrieval at 1 among {counted(self.n, 'pair')} of the split test, none of them trained on",
            row("", "caption of a portrait", "portrait of a caption"),
            row("measured", _in_percent(self.captions), _in_percent(self.portraits)),
            row("chance", f"{1 / self.n:.2%}", f"{1 / self.n:.2%}"),
            row("ceiling, by what captions say", f"{self.caption_ceiling:.1%}", f"{self.portrait_ceiling:.1%}"),
            *(row(f"measured with noise, t = {t}", *map(_in_percent, shares)) for t, shares in self.noisy.items()),
        ]
        return "\n".join(lines)


@checked()
def retrieval(clip: ClipModel, n: int = 1000) -> Retrieval:
    """Measure a CLIP on the first n pairs of the test split."""
    check_count("n", n, least=2)
    height, width, channels = shape = clip.network.config.shape
    if shape != (SIZE, SIZE, 3):
        raise InputError(
            f"This CLIP reads pictures of {height} x {width} x {channels}, but it is measured on portraits of "
            f"{SIZE} x {SIZE} x 3."
        )
    portraits = compose(n, split="test")
    captions = describe(portraits, split="test")
    by_reader = first_answers(match_probabilities(words_said(portraits, captions), words_shown(portraits)).T)
    caption_ceiling, portrait_ceiling = (hits / n for hits in by_reader)
    xp = xp_of(clip.network.theta)
    x_0 = xp.asarray(to_floats(render(portraits)))
    text = clip.text_vectors([caption.text for caption in captions])
    eps = Noise(0, xp=xp).normal(x_0.shape, "eps")

    def found(x_t, t):
        captions, portraits = first_answers(to_numpy(clip.image_vectors(x_t, t) @ text.T))
        return wilson_share(captions, n), wilson_share(portraits, n)

    times = [round(share * clip.T) for share in TIMES]
    noisy = {t: found(clip.diffusion.q_sample(x_0, t, eps), t) for t in times}
    of_captions, of_portraits = found(x_0, 0)
    return Retrieval(n, of_captions, of_portraits, caption_ceiling, portrait_ceiling, noisy)


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
