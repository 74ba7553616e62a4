"""Does a model draw the scenes that it is told? Scenes are drawn from captions, and a trained judge reads each."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinydiff import plot
from tinydiff.base import (
    InputError,
    check_count,
    check_memory,
    check_shape,
    checked,
    counted,
    shown,
    there_are,
    to_numpy,
)
from tinydiff.data import to_floats, to_images
from tinydiff.data.scenes import Scene, answers, compose, describe, render
from tinydiff.data.scenes.attributes import ATTRIBUTES, NOT_ASKED
from tinydiff.evaluate.feature_metrics import FEWEST, metric_lines
from tinydiff.evaluate.frechet import frechet_distance_of
from tinydiff.evaluate.random_features import random_features
from tinydiff.evaluate.report import carried_by_errors
from tinydiff.evaluate.shares import Share, wilson_share
from tinydiff.models import (
    GUIDANCE_FOR_PROMPTS,
    PictureModel,
    Progress,
    Request,
    Verdicts,
    attribute_features,
    read_attributes,
)
from tinydiff.networks import AttributeClassifier

SPLITS = {"seen": "test", "held-out": "held-out", "swapped": "swapped"}  # column of the report -> split
SIDES = ("left object", "left colour", "right object", "right colour")
ARTICLE = {  # the prompts of the article, and what a picture must show to be right; training shows neither
    "a small cabin on top of a snowy mountain": {"object": "cabin", "place": "mountain"},
    "a robot on a road": {"object": "robot", "place": "road"},
}
OF_EACH = 16  # pictures of each of these
AT_ONCE = 64  # prompts that are drawn together
SHOWN, CAPTIONED, COLUMNS = 64, 16, 8  # pictures in a sheet, with their captions, and in a row
CAPTION_SIDE = 128  # pixels of a picture above its caption, at least: words need the width


@dataclass(frozen=True)
class SceneObedience:
    """How often scenes show what their captions say.

    Parameters
    ----------
    attributes : dict
        Attribute -> of the pictures whose caption names it, the share that shows it.
    binding : Share or None
        Of the captions with two objects, the share drawn with both, each in its own colour, on either side.
    mean : float
        Mean over the attributes.
    """

    attributes: dict[str, Share]
    binding: Share | None
    mean: float


@checked()
def scene_obedience(verdicts: Verdicts, scenes: Sequence[Scene], named: Sequence[frozenset[str]]) -> SceneObedience:
    """Return how often pictures show what captions say of the scenes that they were written for.

    Parameters
    ----------
    verdicts : Verdicts
        What the judge read of each picture.
    scenes : sequence of Scene
    named : sequence of frozenset of str
        Which fields of its scene each caption names.

    Raises
    ------
    InputError
        If a judge of something else made the verdicts, if they are not as many as scenes and captions, or if no caption
        names anything.
    """
    right = answers(scenes)
    _check_verdicts(verdicts, len(scenes))
    _check_named(named, len(scenes))
    asked = (right != NOT_ASKED) & _named(named, right)
    found = {}
    for i, attribute in enumerate(ATTRIBUTES):
        if attribute not in SIDES and asked[:, i].any():
            hits = (verdicts.indices[:, i] == right[:, i])[asked[:, i]]
            found[attribute] = wilson_share(int(hits.sum()), len(hits))
    if not found:
        raise InputError("No caption names anything, so there is nothing to judge by.")
    mean = float(np.mean([share.value for share in found.values()]))
    return SceneObedience(found, _binding(verdicts, scenes, named), mean)


def _check_verdicts(verdicts, n):
    """Raise `InputError` unless the verdicts are about n scenes."""
    _check_attributes("verdicts", verdicts.attributes)
    check_shape("verdicts.indices", verdicts.indices, (n, len(ATTRIBUTES)))
    words = np.array([len(words) for words in ATTRIBUTES.values()])
    if verdicts.indices.dtype.kind not in "iu" or not ((verdicts.indices >= 0) & (verdicts.indices < words)).all():
        raise InputError("verdicts.indices holds something else than numbers of words, which count from 0.")


def _check_attributes(name, attributes):
    """Raise `InputError` unless a judge reads what is asked about scenes, in this order."""
    if [*attributes.items()] != [*ATTRIBUTES.items()]:
        raise InputError(
            f"{name} has the attributes {', '.join(attributes)}, with their words, but those of scenes were expected: "
            f"{', '.join(ATTRIBUTES)} (a judge from the recipe scenes-judge)."
        )


def _check_named(named, n):
    """Raise `InputError` unless there is a set of names for each of n scenes."""
    if len(named) != n:
        raise InputError(f"named holds {len(named)}, but {there_are(n, 'scene')}.")
    for i, fields in enumerate(named):
        if not isinstance(fields, Set):
            raise InputError(f"named[{i}] is {shown(fields)}, but a set of names of fields was expected.")


def _named(named, right):
    """Return which attributes captions name: booleans (captions, attributes)."""
    return np.array([[attribute in fields for attribute in ATTRIBUTES] for fields in named], bool).reshape(right.shape)


def _binding(verdicts, scenes, named):
    """Return the share of captions with two objects whose pictures show both, each in its own colour."""
    columns = [list(ATTRIBUTES).index(name) for name in SIDES]
    hits = []
    for read, scene, fields in zip(verdicts.indices[:, columns], scenes, named, strict=True):
        if not scene.other:
            continue
        words = [ATTRIBUTES[name][i] for name, i in zip(SIDES, read, strict=True)]
        seen = [tuple(words[:2]), tuple(words[2:])]
        wanted = [(scene.object, scene.colour), (scene.other, scene.other_colour)]
        if scene.position == "right":
            wanted.reverse()  # from left to right
        hits.append(seen == wanted if "position" in fields else sorted(seen) == sorted(wanted))
    return wilson_share(sum(hits), len(hits)) if hits else None


@checked()
def evaluate_scenes(
    model: PictureModel,
    judge: AttributeClassifier,
    n: int = 1000,
    steps: int = 20,
    sampler: str = "dpmpp_2m",
    guidance: float = GUIDANCE_FOR_PROMPTS,
    out: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a report in words and figures; real scenes stand beside the drawn ones.

    Two Fréchet distances (Eq. FD-1) to other real scenes say what words do not, whether pictures look like scenes: one
    on the judge's features, and one on `random_features`, which see blur better. Pictures that are smaller than the
    judge reads are enlarged for it, bicubically, and the real ones as they are.

    Parameters
    ----------
    model : DiffusionModel, Cascade or UnClip
        One that draws scenes from text.
    judge : AttributeClassifier
        See the recipe ``scenes-judge``.
    n : int
        Captions of each split, the first ones, none left out.
    steps, sampler
        See `DiffusionModel.chain`.
    guidance : float
    out : Path or None
        Folder for pictures.
    progress : callable or None
        ``progress(part, parts)`` is called after every `AT_ONCE` pictures.
    """
    check_count("n", n)
    size, width, channels = model.picture_shape
    if not model.reads_text or channels != 3 or size != width:
        raise InputError("This report is for models that draw square scenes from text, in three colours.")
    _check_attributes("judge", judge.config.attributes)
    of_a_set = n * 3 * size**2  # bytes; there are five sets, and one at a time becomes float32
    check_memory((5 + 4) * of_a_set, f"n is {n:,}", "judge fewer pictures")
    draw = _drawer(model, steps, sampler, guidance)
    work, done = len(SPLITS) * -(-n // AT_ONCE) + len(ARTICLE), 0

    def drawn_from(prompts):
        nonlocal done
        parts = []
        for start in range(0, len(prompts), AT_ONCE):
            parts.append(draw(prompts[start : start + AT_ONCE], start))
            done += 1
            if progress is not None:
                progress(done, work)
        return np.concatenate(parts)

    asked = {column: captioned_scenes(split, n) for column, split in SPLITS.items()}
    scenes, _, named = asked["seen"]
    real = np.stack([render(scene, size) for scene in scenes])
    of_real = scene_obedience(read_scenes(judge, real), scenes, named)  # first: a judge of another size is refused
    columns, pictures = {}, {}
    for column, (scenes, texts, named) in asked.items():
        pictures[column] = drawn_from(texts)
        columns[column] = scene_obedience(read_scenes(judge, pictures[column]), scenes, named)
    columns["real"] = of_real
    how = f"{sampler}, {counted(steps, 'step')}"
    lines = [
        f"Captions: {n} of each split, none left out. {how}, guidance {guidance:g}, seed 0.",
        'Splits: "seen" has combinations as in training, "held-out" each one that training never showed, "swapped" two',
        "objects whose colours are exchanged. Real: the scenes that the seen captions were written for.",
        "",
        *_table(columns),
        "",
    ]
    of_article = {}
    for prompt, wanted in ARTICLE.items():
        images = drawn_from([prompt] * OF_EACH)
        hits = how_many_show(judge, images, wanted)
        of_article[prompt] = images
        lines.append(f'"{prompt}", held out: right in {hits} of {OF_EACH} pictures, by the judge')
    if n >= 2:
        lines += ["", *_distances(judge, pictures["seen"], real)]
    if out is not None:
        with carried_by_errors(lines):
            lines += ["", _save_sheets(out, pictures, of_article, real, asked["seen"][1])]
    return "\n".join(lines)


def how_many_show(judge, images, wanted):
    """Return in how many pictures the judge reads these words, a dict such as those of `ARTICLE`."""
    read = read_scenes(judge, images).words
    return sum(all(read[name][i] == word for name, word in wanted.items()) for i in range(len(images)))


def captioned_scenes(split, n):
    """Return the first n scenes of a split, their captions, and what these name."""
    scenes = [compose(i, split=split) for i in range(n)]
    captions = [describe(scene) for scene in scenes]
    return scenes, [caption.text for caption in captions], [caption.named for caption in captions]


def _drawer(model: PictureModel, steps: int, sampler: str, guidance: float) -> Callable[[Any, int], np.ndarray]:
    """Return a function that draws one picture for each prompt, as bytes; the second argument counts from the first."""

    def draw(prompts, first):
        request = Request(prompt=list(prompts), guidance=guidance, first=first)
        return to_images(to_numpy(model.draw(request, sampler, steps)))

    return draw


def read_scenes(judge: AttributeClassifier, images: np.ndarray) -> Verdicts:
    """Return what the judge reads of pictures of any size that `_at_least` knows."""
    return read_attributes(judge, _at_least(judge, images))


def _at_least(judge, images):
    """Return pictures of the judge's own size, or of multiples of it, as they are, and smaller ones enlarged."""
    height, width, _ = judge.config.shape
    if images.shape[1] < height and height * images.shape[2] == width * images.shape[1]:
        larger = [Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC) for image in images]
        images = np.stack([np.asarray(image) for image in larger])
    return images


def _distances(judge, drawn, real):
    """Return lines: how far drawn pictures, and real ones, are from as many other real scenes of the same split."""
    n, size = len(real), real.shape[1]
    others = np.stack([render(compose(i, split=SPLITS["seen"]), size) for i in range(n, 2 * n)])
    sets = (drawn, real, others)
    features = {
        "the judge": [attribute_features(judge, _at_least(judge, images)) for images in sets],
        "random convolutions, which see blur": [random_features(to_floats(images)) for images in sets],
    }
    if n >= FEWEST:
        lines = []
        for extractor, (of_drawn, of_real, of_others) in features.items():
            columns = {"drawn": of_drawn, "real": of_real}
            lines += [*metric_lines(of_others, columns, extractor, f"scenes, {SPLITS['seen']}"), ""]
        return lines[:-1]

    def line(name, of_drawn, of_real, of_others):
        distances = (frechet_distance_of(features, of_others) for features in (of_drawn, of_real))
        return f"{name:<46}" + "".join(f"{distance:>10.3g}" for distance in distances)

    return [
        f"{f'Fréchet distance to {n} other real scenes':<46}{'drawn':>10}{'real':>10}",
        line("on the judge's features", *features["the judge"]),
        line("on random features, which see blur", *features["random convolutions, which see blur"]),
    ]


def _table(columns):
    """Return lines: the share of each attribute that is drawn as asked, one column for each set of pictures."""
    lines = [f"{'drawn as asked':<24}" + "".join(f"{name:>12}" for name in columns)]
    for attribute in ATTRIBUTES:
        shares = [column.attributes.get(attribute) for column in columns.values()]
        if any(share is not None for share in shares):
            lines.append(f"{attribute:<24}" + "".join(map(_cell, shares)))
    lines.append(f"{'mean of attributes':<24}" + "".join(f"{column.mean:>12.1%}" for column in columns.values()))
    lines.append(f"{'two objects, two colours':<24}" + "".join(_cell(column.binding) for column in columns.values()))
    return lines


def _cell(share):
    return f"{'-':>12}" if share is None else f"{share.value:>12.1%}"


def _save_sheets(out, pictures, of_article, real, captions):
    """Save the first pictures of each set, and those of the captions seen below real ones, and above their captions."""
    seen, scale = pictures["seen"], -(-CAPTION_SIDE // real.shape[1])
    pairs: dict[str, np.ndarray] = {}
    for row in range(max(1, min(SHOWN, len(real)) // COLUMNS)):  # whole rows, for a table's are equally long
        part = slice(COLUMNS * row, COLUMNS * (row + 1))
        pairs |= {f"real {row + 1}": to_floats(real[part]), f"drawn {row + 1}": to_floats(seen[part])}
    sheets = {
        "pairs": plot.image_rows(pairs),
        "captions": plot.captioned_images(to_floats(seen[:CAPTIONED]), captions[:CAPTIONED], COLUMNS, scale),
    }
    for name, images in {**pictures, **{f"article-{i}": x for i, x in enumerate(of_article.values(), 1)}}.items():
        sheets[name] = plot.image_grid(to_floats(images[:SHOWN]), COLUMNS, title=f"The first pictures: {name}")
    return f"Pictures: {', '.join(str(plot.save_image(sheet, out / f'{name}.png')) for name, sheet in sheets.items())}"
