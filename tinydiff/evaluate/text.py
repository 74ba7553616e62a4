"""Does a model draw what it is told? Portraits are drawn from captions, and an exact judge examines each."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tinydiff import plot
from tinydiff.base import InputError, Noise, check_count, checked, counted
from tinydiff.data.avatars import Portraits, compose, render
from tinydiff.data.avatars.captions import SAID
from tinydiff.data.avatars.judge import words_of
from tinydiff.data.avatars.pairs import words_shown
from tinydiff.data.avatars.slots import LAYERS, SKIN
from tinydiff.evaluate.frechet import frechet_distance_of
from tinydiff.evaluate.invention import invention, invention_lines
from tinydiff.evaluate.obedience import (
    BOTH,
    COMBINATION,
    Obedience,
    captioned_portraits,
    coarse_features,
    draw_prompts,
    effective_number,
    obedience,
)
from tinydiff.evaluate.precision_recall import precision_and_recall
from tinydiff.evaluate.report import carried_by_errors
from tinydiff.models import GUIDANCE_FOR_PROMPTS, Guidance, PictureModel, Progress

SPLITS = {"seen": "test", "held-out": "held-out", "swapped": "swapped"}  # column of the report -> split
ONE_PROMPT = "a person with long red hair"  # drawn many times, to see how varied one prompt's portraits are
TRAINED_ON = 100_000  # the first training portraits, as many as the shipped models learned from
LOOKED_AT = 20  # how many portraits the picture of a report shows


@checked()
def evaluate_text(
    model: PictureModel,
    n: int = 1000,
    steps: int = 50,
    sampler: str = "ddim",
    guidance: Guidance | None = None,
    scales: Sequence[float] = (0, 1, 2, 3, 5, 8),
    out: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a report in words and figures; real portraits stand beside the drawn ones in every table.

    Parameters
    ----------
    model : DiffusionModel, Cascade or UnClip
        One that draws portraits from text.
    n : int
        Captions of each split, the first ones, none left out.
    steps, sampler
        See `DiffusionModel.chain`.
    guidance : Guidance or None
        For the table of attributes; None takes the scale `GUIDANCE_FOR_PROMPTS`.
    scales : sequence of float
        Guidance scales for the second table, each with n / 4 captions and n / 4 portraits of one prompt; an empty
        sequence leaves the table out.
    out : Path or None
        Folder for pictures.
    progress : callable or None
        As for `DiffusionModel.chain`.
    """
    check_count("n", n, least=8)
    if not model.reads_text or model.picture_shape != (16, 16, 3):
        raise InputError("This report is for models that draw avatars from text: 16 x 16 pixels, three colours.")
    guidance = Guidance(GUIDANCE_FOR_PROMPTS) if guidance is None else guidance
    sets = {column: captioned_portraits(n, split) for column, split in SPLITS.items()}
    drawn_from = partial(draw_prompts, model, steps=steps, sampler=sampler, progress=progress)
    images = {
        column: drawn_from([caption.text for caption in captions], guidance=guidance)
        for column, (_, captions) in sets.items()
    }
    columns = {column: obedience(images[column], *sets[column]) for column in SPLITS}
    columns["real"] = obedience(render(sets["seen"][0]), *sets["seen"])
    how = f"{sampler}, {counted(steps, 'step')}"
    lines = [
        f"Captions: {n} of each split, none left out. {how}, guidance {guidance.scale:g}, seed 0.",
        'Splits: "seen" has combinations as in training, "held-out" each one that training never showed, "swapped" the',
        "colours of hair and clothing both ways round. Real: the portraits that the seen captions were written for.",
        "Judge: the nearest portrait of all that can be put together, slot by slot.",
        "",
        *attribute_table(columns),
        "",
        *invention_lines(invention(images["seen"], TRAINED_ON), f"of {n} portraits drawn from seen captions"),
    ]
    swept = {}
    if scales:
        each = max(8, n // 4)
        with carried_by_errors(lines):
            swept = _sweep(drawn_from, guidance, scales, each)
        lines += ["", *_table_of_scales(swept, each)]
    if out is not None:
        portraits, captions = sets["seen"]
        with carried_by_errors(lines):
            _save_rows(out, render(portraits), images["seen"], captions)
            if scales:
                _save_sweep(out, swept, f"{each} portraits each, {how}")
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


def _sweep(drawn_from, guidance, scales, n):
    """Return what guidance gives and what it costs: scale -> obedience, Fréchet distance, precision and recall.

    The last one is of real portraits. `drawn_from` is `draw_prompts` with everything but the prompts and the guidance.
    """
    portraits, captions = captioned_portraits(n, "test")
    texts = [caption.text for caption in captions]
    real, others = (coarse_features(render(found)) for found in portraits_of_one_prompt(n))
    rows = {}
    for scale in scales:
        guided = replace(guidance, scale=scale) if scale != 1 else Guidance(threshold=guidance.threshold)
        obeyed = obedience(drawn_from(texts, guidance=guided), portraits, captions)
        drawn = coarse_features(drawn_from([ONE_PROMPT] * n, guidance=guided))
        rows[f"{scale:g}"] = (obeyed, *_distances(real, drawn))
    rows["real"] = (obedience(render(portraits), portraits, captions), *_distances(real, others))
    return rows


def _table_of_scales(rows, n):
    """Return lines: what guidance gives and what it costs."""
    lines = [
        f"Guidance: {n} captions at each scale, for attributes and skin tones; and the prompt",
        f'"{ONE_PROMPT}" {n} times, for distances from as many real portraits of which it is said.',
        f"{'scale':<10}{'attributes':>12}{'Fréchet':>12}{'precision':>12}{'recall':>12}{'skin tones':>12}",
    ]
    for name, (obeyed, frechet, precision, recall) in rows.items():
        tones = f"{effective_number(obeyed.skin):>12.2f}"
        lines.append(f"{name:<10}{obeyed.mean:>12.1%}{frechet:>12.3f}{precision:>12.1%}{recall:>12.1%}{tones}")
    lines += [
        "Fréchet distance, precision and recall (3 neighbours) are on means of 4 x 4 pixels. Skin tones: how many",
        f"equally frequent ones would be as varied; there are {len(SKIN)}, all as frequent, and no caption names one.",
    ]
    return lines


def _save_sweep(out, rows, how):
    """Save charts of what guidance gives and what it costs; `how` says in a title of what."""
    guided = {float(scale): row for scale, row in rows.items() if scale != "real"}
    obediences, frechets, precisions, recalls = zip(*guided.values(), strict=True)
    right = [obeyed.mean for obeyed in obediences]
    title = f"What guidance gives and takes: {how}"
    figure = plot.guidance_trade(list(guided), precisions, recalls, frechets, right, title)
    plot.save_image(figure, out / "trade.png")
    skins = {name: row[0].skin for name, row in rows.items()}
    title = "Skin tones, which nobody asked for, at each guidance scale"
    figure = plot.tone_shares(skins, [f"#{tone}" for tone in SKIN], "share of the portraits", title)
    plot.save_image(figure, out / "skin.png")


def portraits_of_one_prompt(n: int) -> tuple[Portraits, Portraits]:
    """Return two sets of n portraits of the split test, distributed like those whose caption is `ONE_PROMPT`.

    A caption leaves out each visible part with probability 1 - `SAID`, one time in four. So a portrait that shows long,
    red hair and k more parts is kept with this probability to the power of k, and most portraits show little else.
    """
    drawn, kept = 200 * n, 0  # 1 in 31 shows long, red hair, and about 1 in 4 of these is kept
    while kept < 2 * n:
        portraits = compose(drawn, split="test")
        part, colour = words_of(portraits, "hair")
        portraits = _select(portraits, (part == "long") & (colour == "red"))
        words = words_shown(portraits)
        besides = words.any(axis=2).sum(axis=1) - 1
        u = Noise(0).uniform((len(words),), "whether no more is said")
        keep = words[:, LAYERS.index("hair")].all(axis=1) & (u < (1 - SAID) ** (besides - besides.min()))
        kept, drawn = int(keep.sum()), 2 * drawn
    portraits = _select(portraits, keep)
    return _select(portraits, slice(n)), _select(portraits, slice(n, 2 * n))


def _select(portraits, which):
    return Portraits(*(values[which] for values in portraits))


def _distances(real, features):
    return (frechet_distance_of(real, features), *precision_and_recall(real, features))


def _save_rows(out, real, drawn, captions):
    """Save real portraits beside those drawn from the same captions."""
    rows = {caption.text: np.stack(pair) for caption, *pair in zip(captions[:LOOKED_AT], real, drawn, strict=False)}
    title = "Captions, real portraits, drawn portraits"
    plot.save_image(plot.image_rows(rows, 4, title, ("real", "drawn")), out / "rows.png")
