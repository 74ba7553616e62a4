"""Does a model draw what it is told? Portraits are drawn from captions, and an exact judge looks at each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinydiff import plot
from tinydiff.backend import to_numpy
from tinydiff.data import to_floats, to_images
from tinydiff.data.avatars import (
    HELD_OUT,
    LAYERS,
    SAID,
    SKIN,
    Caption,
    Portraits,
    combinations,
    compose,
    describe,
    draw,
    paint,
)
from tinydiff.data.judge import agreement, judge, skin, words_of
from tinydiff.data.pairs import shown
from tinydiff.errors import InputError, check_count
from tinydiff.functional import avg_pool
from tinydiff.metrics import Share, frechet_distance_of, precision_and_recall, wilson_share
from tinydiff.model import DiffusionModel, Guidance
from tinydiff.noise import Noise

SPLITS = {"seen": "test", "held-out": "held-out", "swapped": "swapped"}  # column of the report -> split
BOTH, COMBINATION = "both colours", "both of the combination"
ALIKE = "a person with long red hair"  # drawn many times, to see how varied one prompt's portraits are
LOOKED_AT = 20  # portraits in the picture of a report


@dataclass(frozen=True)
class Obedience:
    """How often portraits show what their captions say.

    Parameters
    ----------
    attributes : dict
        Attribute -> share of the portraits that show it, of those whose caption names it.
    both_colours : Share or None
        Share with the right colours of hair and of clothing, where the caption names both.
    combination : Share or None
        Share with both halves of a combination of `HELD_OUT` right, where the caption names both.
    mean : float
        Mean over the attributes.
    ambiguous : float
        Share of the judge's answers that another answer fits as well.
    skin : array
        Share of each skin tone, which no caption names.
    """

    attributes: dict[str, Share]
    both_colours: Share | None
    combination: Share | None
    mean: float
    ambiguous: float
    skin: np.ndarray


def captioned(n: int, split: str) -> tuple[Portraits, tuple[Caption, ...]]:
    """Return the first n portraits of a split with their captions."""
    portraits = compose(n, split=split)
    return portraits, describe(portraits, split=split)


def obedience(images: np.ndarray, portraits: Portraits, captions: tuple[Caption, ...]) -> Obedience:
    """Judge images (N, 16, 16, 3), bytes, that should show what is said of the portraits."""
    verdict = judge(images)
    found = agreement(verdict, portraits, captions)
    if not found:
        raise InputError("No caption names anything, so there is nothing to judge by.")
    shares = {name: wilson_share(int(right.sum()), int(asked.sum())) for name, (asked, right) in found.items()}
    return Obedience(
        shares,
        _both_colours(found),
        _combination(found, portraits),
        float(np.mean([share.value for share in shares.values()])),
        float(verdict.ambiguous.mean()),
        np.bincount(skin(verdict.portraits), minlength=len(SKIN)) / len(images),
    )


def _both_colours(found):
    """Return the share with the right colours of hair and of clothing, of those whose caption names both."""
    return _share_of_both(found, [("hair colour", "clothing colour", True)])


def _combination(found, portraits):
    """Return the share with both halves of a held-out combination right, of those whose caption names both."""
    pairs = []
    for has_it, halves in zip(combinations(portraits).T, HELD_OUT, strict=True):
        one, other = (layer if word in paint(layer).part_words else f"{layer} colour" for layer, word in halves)
        pairs.append((one, other, has_it))
    return _share_of_both(found, pairs)


def _share_of_both(found, pairs):
    """Return the share of portraits with both attributes of a pair right, of those whose caption names both.

    Each pair says which portraits count for it; where no caption names a pair, there is None.
    """
    asked = right = 0
    for one, other, counted in pairs:
        if one in found and other in found:
            (asked_one, right_one), (asked_other, right_other) = found[one], found[other]
            asked += int((asked_one & asked_other & counted).sum())
            right += int((right_one & right_other & counted).sum())
    return wilson_share(right, asked) if asked else None


def draw_prompts(
    model: DiffusionModel,
    prompts: Sequence[str],
    steps: int = 50,
    sampler: str = "ddim",
    guidance: Guidance | float = 1.0,
) -> np.ndarray:
    """Return a portrait for each prompt, from seed 0, as bytes (N, 16, 16, 3)."""
    *_, (_, x_0, _) = model.chain(len(prompts), steps=steps, sampler=sampler, prompt=prompts, guidance=guidance)
    return to_images(to_numpy(x_0))


def coarse(images: np.ndarray) -> np.ndarray:
    """Return the means of 4 x 4 pixels of images (N, 16, 16, 3), bytes: 48 features each, for distances of sets."""
    means, _ = avg_pool(to_floats(images), 4)
    return means.reshape(len(images), -1)


def effective(shares: np.ndarray) -> float:
    """Return how many equally frequent values would be as varied: the exponential of the entropy."""
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def evaluate_text(
    model: DiffusionModel,
    n: int = 1000,
    steps: int = 50,
    sampler: str = "ddim",
    guidance: Guidance | None = None,
    scales: Sequence[float] = (0, 1, 2, 3, 5, 8),
    out: Path | None = None,
) -> str:
    """Return a report in words and figures; real portraits stand beside the drawn ones in every table.

    Parameters
    ----------
    model : DiffusionModel
        One that draws portraits from text.
    n : int
        Captions of each split, the first ones, none left out.
    steps, sampler
        See `DiffusionModel.chain`.
    guidance : Guidance or None
        For the table of attributes; None takes the scale 3.
    scales : sequence of float
        Guidance scales for the second table, each with n / 4 captions and n / 4 portraits of one prompt; none leaves
        it out.
    out : Path or None
        Folder for pictures.
    """
    check_count("n", n, least=8)
    unet = model.config.unet
    if model.config.text is None or (unet.image_size, unet.in_channels) != (16, 3):
        raise InputError("This report is for models that draw avatars from text: 16 x 16 pixels, three colours.")
    guidance = Guidance(3.0) if guidance is None else guidance
    sets = {column: captioned(n, split) for column, split in SPLITS.items()}
    images = {
        column: draw_prompts(model, [caption.text for caption in captions], steps, sampler, guidance)
        for column, (_, captions) in sets.items()
    }
    columns = {column: obedience(images[column], *sets[column]) for column in SPLITS}
    columns["real"] = obedience(draw(sets["seen"][0]), *sets["seen"])
    lines = [
        f"Captions: {n} of each split, none left out. {sampler}, {steps} steps, guidance {guidance.scale:g}, seed 0.",
        'Splits: "seen" has combinations as in training, "held-out" each one that training never showed, "swapped" the',
        "colours of hair and clothing both ways round. Real: the portraits that the seen captions were written for.",
        "Judge: the nearest portrait of all that can be put together, slot by slot.",
        "",
        *attribute_table(columns),
    ]
    if scales:
        lines += ["", *_sweep(model, steps, sampler, guidance, scales, max(8, n // 4), out)]
    if out is not None:
        portraits, captions = sets["seen"]
        _save_rows(out, draw(portraits), images["seen"], captions)
        lines += ["", f"Pictures: {out}/rows.png" + (f", {out}/trade.png, {out}/skin.png" if scales else "")]
    return "\n".join(lines)


def attribute_table(columns: dict[str, Obedience]) -> list[str]:
    """Return lines: the share of each attribute that is drawn as asked, one column for each set of portraits."""
    names = dict.fromkeys(name for column in columns.values() for name in column.attributes)
    rows = {name: [column.attributes.get(name) for column in columns.values()] for name in names}
    lines = [f"{'drawn as asked':<24}" + "".join(f"{name:>12}" for name in columns)]
    lines += [f"{name:<24}" + "".join(_cell(share) for share in shares) for name, shares in rows.items()]
    means = [column.mean for column in columns.values()]
    lines += [f"{'mean of attributes':<24}" + "".join(f"{mean:>12.1%}" for mean in means)]
    lines += [f"{BOTH:<24}" + "".join(_cell(column.both_colours) for column in columns.values())]
    lines += [f"{COMBINATION:<24}" + "".join(_cell(column.combination) for column in columns.values())]
    ambiguous = [column.ambiguous for column in columns.values()]
    return [*lines, f"{'(ambiguous to the judge)':<24}" + "".join(f"{share:>12.2%}" for share in ambiguous)]


def _cell(share):
    return f"{'-':>12}" if share is None else f"{share.value:>12.1%}"


def _sweep(model, steps, sampler, guidance, scales, n, out):
    """Return lines: what guidance gives and what it costs; and save the pictures of it."""
    portraits, captions = captioned(n, "test")
    texts = [caption.text for caption in captions]
    real, others = (coarse(draw(found)) for found in alike(n))
    rows = {}
    for scale in scales:
        guided = replace(guidance, scale=scale)
        obeyed = obedience(draw_prompts(model, texts, steps, sampler, guided), portraits, captions)
        drawn = coarse(draw_prompts(model, [ALIKE] * n, steps, sampler, guided))
        rows[f"{scale:g}"] = (obeyed, *_distances(real, drawn))
    rows["real"] = (obedience(draw(portraits), portraits, captions), *_distances(real, others))
    lines = [
        f"Guidance: {n} captions at each scale, for attributes and skin tones; and the prompt",
        f'"{ALIKE}" {n} times, for distances from as many real portraits of which it is said.',
        f"{'scale':<10}{'attributes':>12}{'Fréchet':>12}{'precision':>12}{'recall':>12}{'skin tones':>12}",
    ]
    for name, (obeyed, frechet, precision, recall) in rows.items():
        tones = f"{effective(obeyed.skin):>12.2f}"
        lines.append(f"{name:<10}{obeyed.mean:>12.1%}{frechet:>12.3f}{precision:>12.1%}{recall:>12.1%}{tones}")
    lines += [
        "Fréchet distance, precision and recall (3 neighbours) are on means of 4 x 4 pixels. Skin tones: how many",
        f"equally frequent ones would be as varied; there are {len(SKIN)}, all as frequent, and no caption names one.",
    ]
    if out is not None:
        obediences, frechets, precisions, recalls = zip(*(rows[f"{scale:g}"] for scale in scales), strict=True)
        title = f"What guidance gives and takes: {n} portraits each, {sampler}, {steps} steps"
        right = [obeyed.mean for obeyed in obediences]
        figure = plot.guidance_trade(scales, precisions, recalls, frechets, right, title)
        plot.save_image(figure, out / "trade.png")
        skins = {name: row[0].skin for name, row in rows.items()}
        title = "Skin tones, which nobody asked for, at each guidance scale"
        figure = plot.tone_shares(skins, [f"#{tone}" for tone in SKIN], "share of the portraits", title)
        plot.save_image(figure, out / "skin.png")
    return lines


def alike(n: int) -> tuple[Portraits, Portraits]:
    """Return two sets of n portraits of the split test, drawn from those for which the caption `ALIKE` is written.

    A caption leaves out each further part that can be seen one time in four, or 1 - `SAID`: a portrait that shows long,
    red hair and k parts besides is kept with this probability to the power of k. So most show little else.
    """
    drawn, kept = 200 * n, 0  # 1 in 31 shows long, red hair, and about 1 in 4 of these is kept
    while kept < 2 * n:
        portraits = compose(drawn, split="test")
        part, colour = words_of(portraits, "hair")
        portraits = _some(portraits, (part == "long") & (colour == "red"))
        words = shown(portraits)
        besides = words.any(axis=2).sum(axis=1) - 1
        u = Noise(0).uniform((len(words),), "whether no more is said")
        keep = words[:, LAYERS.index("hair")].all(axis=1) & (u < (1 - SAID) ** (besides - besides.min()))
        kept, drawn = int(keep.sum()), 2 * drawn
    portraits = _some(portraits, keep)
    return _some(portraits, slice(n)), _some(portraits, slice(n, 2 * n))


def _some(portraits, which):
    return Portraits(*(values[which] for values in portraits))


def _distances(real, features):
    return (frechet_distance_of(real, features), *precision_and_recall(real, features))


def _save_rows(out, real, drawn, captions):
    """Save real portraits beside those drawn from the same captions."""
    rows = {caption.text: np.stack(pair) for caption, *pair in zip(captions[:LOOKED_AT], real, drawn, strict=False)}
    title = "Captions, real portraits, drawn portraits"
    plot.save_image(plot.image_rows(rows, 4, title, ("real", "drawn")), out / "rows.png")
