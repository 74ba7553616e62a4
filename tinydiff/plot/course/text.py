"""Pictures about words: texts as tokens, attention from pixels to words, and what guidance costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from tinydiff.base import Array, InputError, check_divisible, check_shape, checked, to_numpy
from tinydiff.plot.images import image_rows
from tinydiff.plot.sheets import to_pixels
from tinydiff.plot.style import BLUE, GREEN, INK, ORANGE, PAGE, SKY, VERMILION, Chart, dress, set_title

LETTER, LINE = 0.105, 0.36  # width of a letter and height of a line, in inches
FADED = 0.35  # how light black becomes where a picture is only the background of a map
FULL = 0.85  # how much of the background the largest weight covers


@checked()
def token_rows(rows: Mapping[str, Sequence[str]], title: str | None = None) -> Figure:
    """Return texts cut into tokens: one line each, a box round every token, in two colours in turn.

    Parameters
    ----------
    rows : mapping from a name to the texts of the tokens
        A text that ends with a space ends a word: a gap follows its box.
    title : str, optional
    """
    if not rows or not all(token.strip() for tokens in rows.values() for token in tokens):
        raise InputError("rows must hold at least one text, and no token may be empty.")
    left = 1 + max(map(len, rows))
    widest = max(sum(map(len, tokens)) for tokens in rows.values())
    top = -0.2 if title is None else -1.0
    bottom = len(rows) + 0.2
    figure = Chart(figsize=(LETTER * (left + widest + 1), LINE * (bottom - top)), dpi=130, facecolor=PAGE)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-left, widest + 1)
    axes.set_ylim(bottom, top)
    if title is not None:
        axes.text(0.5 - left, -0.5, title, color=INK, fontsize=12, va="center")
    style: dict[str, Any] = {"color": INK, "fontsize": 10, "va": "center"}
    for y, (name, tokens) in enumerate(rows.items()):
        axes.text(-0.5, y + 0.5, name, ha="right", **style)
        x = 0
        for i, token in enumerate(tokens):
            letters = token.strip()
            color = (SKY, ORANGE)[i % 2]
            axes.add_patch(Rectangle((x, y + 0.12), len(letters), 0.76, color=color, alpha=0.45, linewidth=0))
            axes.text(x + len(letters) / 2, y + 0.5, letters, ha="center", family="monospace", **style)
            x += len(token)
    return figure


@checked()
def token_maps(
    maps: Mapping[str, Array],
    rows: Sequence[str],
    columns: Sequence[str],
    y_label: str,
    x_label: str,
    title: str | None = None,
) -> Figure:
    """Return up to four tables of numbers from 0 up, with a token for each row and each column, in one scale.

    Parameters
    ----------
    maps : mapping from a name to an array, shape (rows, columns)
        Such as attention weights: each row's token looks at the columns' tokens.
    rows, columns : sequences of texts
    y_label, x_label : str
        What rows and columns are.
    title : str, optional
    """
    if not 1 <= len(maps) <= 4:
        raise InputError(f"maps holds {len(maps)} maps, but 1 to 4 were expected.")
    arrays = [to_numpy(values) for values in maps.values()]
    for name, values in zip(maps, arrays, strict=True):
        check_shape(name, values, (len(rows), len(columns)))
    largest = max(values.max() for values in arrays)
    size = (1.2 + (0.6 + 0.24 * len(columns)) * len(maps), 1.6 + 0.24 * len(rows))
    figure = Chart(figsize=size, dpi=130, layout="constrained", facecolor=PAGE)
    panels = figure.subplots(1, len(maps), squeeze=False, sharey=True)[0]
    for axes, name, values in zip(panels, maps, arrays, strict=True):
        drawn = axes.imshow(values, cmap="cividis", vmin=0, vmax=largest, interpolation="nearest")
        axes.set_xticks(range(len(columns)), columns, rotation=90)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(labelsize=9, colors=INK, length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(name, fontsize=11, color=INK, loc="left")
        axes.set_xlabel(x_label, fontsize=10, color=INK)
    panels[0].set_ylabel(y_label, fontsize=10, color=INK)
    figure.colorbar(drawn, ax=panels, shrink=0.8).outline.set_visible(False)
    if title is not None:
        figure.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    return figure


@checked()
def attention_maps(
    rows: Mapping[str, tuple[Array, Array]], words: Sequence[str], scale: int | None = None, title: str | None = None
) -> Image.Image:
    """Return pictures, and beside each, for every word, where the picture looks at it: blue over a pale, grey copy.

    All maps share one scale, up to the largest weight of all.

    Parameters
    ----------
    rows : mapping from a name, such as a time or a head, to (image, maps)
        An image (H, W, C) or (H, W), and an array (words, h, w) of weights from 0 up, as coarse as the attention: each
        number is spread over H / h times W / w pixels.
    words : sequence of texts
    scale, title
        As for `image_grid`.
    """
    if not rows:
        raise InputError("rows is empty, but at least one picture with its maps was expected.")
    largest = max(to_numpy(maps).max() for _, maps in rows.values()) or 1.0
    drawn = {}
    for name, (image, maps) in rows.items():
        (pixels,), maps = to_pixels("image", image[None]), to_numpy(maps)
        check_shape("maps", maps, (len(words), None, None))
        for side, small in zip(pixels.shape[:2], maps.shape[1:], strict=True):
            check_divisible("a side of the image", side, "the map's", small)
        down, across = pixels.shape[0] // maps.shape[1], pixels.shape[1] // maps.shape[2]
        share = (FULL * maps / largest).repeat(down, axis=1).repeat(across, axis=2)[..., None]
        grey = 255 * FADED + (1 - FADED) * pixels.mean(axis=-1, keepdims=True)
        tinted = (1 - share) * grey + share * 255 * np.array(to_rgb(BLUE))
        drawn[name] = np.concatenate([pixels[None], np.rint(tinted).astype(np.uint8)])
    return image_rows(drawn, scale, title, ["picture", *words])


@checked()
def guidance_trade(
    scales: Sequence[float],
    precision: Sequence[float],
    recall: Sequence[float],
    frechet: Sequence[float],
    right: Sequence[float],
    title: str | None = None,
) -> Figure:
    """Return what guidance gives and what it takes: precision over recall, and other figures over the scale.

    Parameters
    ----------
    scales : sequence of M numbers
        Of guidance.
    precision, recall, frechet : sequences of M numbers
        As `tinydiff.evaluate` gives them.
    right : sequence of M numbers
        Share of attributes that are drawn as they were asked for.
    title : str, optional
    """
    arrays = {"precision": precision, "recall": recall, "frechet": frechet, "right": right}
    for name, values in arrays.items():
        check_shape(name, np.asarray(values), (len(scales),))
        if not np.isfinite(values).all():
            raise InputError(f"{name} holds NaN or infinity, but finite numbers were expected.")
    figure = Chart(figsize=(11, 4.2), dpi=130, layout="constrained", facecolor=PAGE)
    trade, cost = figure.subplots(1, 2)
    dress(trade, "recall: share of real pictures that are drawn", "precision: share that looks real")
    trade.plot(recall, precision, color=BLUE, marker="o", markersize=5)
    for i, (s, x, y) in enumerate(zip(scales, recall, precision, strict=True)):
        above_or_below = (5, 4) if i % 2 else (5, -13)  # so that the labels of two close points do not overlap
        trade.annotate(f"{s:g}", (x, y), above_or_below, textcoords="offset points", fontsize=10, color=INK)
    trade.margins(0.08, 0.12)
    set_title(trade, "one point for each guidance scale")
    dress(cost, "guidance scale", "Fréchet distance to real pictures")
    dots: dict[str, Any] = {"marker": "o", "markersize": 5}
    cost.plot(scales, frechet, color=VERMILION, linestyle="--", label="Fréchet distance (left)", **dots)
    cost.set_ylim(0, 1.1 * max(*frechet, 1e-6))
    share = cost.twinx()
    share.plot(scales, right, color=GREEN, linestyle="-.", label="attributes right (right)", **dots)
    share.set_ylabel("share of attributes drawn as asked", fontsize=11, color=INK)
    share.tick_params(labelsize=10, colors=INK)
    share.spines["top"].set_visible(False)
    cost.legend(handles=[*cost.lines, *share.lines], frameon=False, loc="center right")
    if title is not None:
        figure.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    return figure


@checked()
def tone_shares(
    shares: Mapping[str, Sequence[float]], colours: Sequence[str], y_label: str, title: str | None = None
) -> Figure:
    """Return how often each colour was drawn, as one bar for each set of pictures, in the colours themselves.

    Parameters
    ----------
    shares : mapping from a name, such as a guidance scale, to a sequence of numbers
        Shares of the pictures, which add to 1.
    colours : sequence of texts
        As Matplotlib names them: "#ffdbac".
    y_label : str
    title : str, optional
    """
    if not shares:
        raise InputError("shares is empty, but at least one bar was expected.")
    figure = Chart(figsize=(7, 4.2), dpi=130, layout="constrained", facecolor=PAGE)
    axes = figure.add_subplot()
    dress(axes, "", y_label)
    axes.grid(visible=False)
    bottom = np.zeros(len(shares))
    rows = [np.asarray(values) for values in shares.values()]
    for values in rows:
        check_shape("shares", values, (len(colours),))
    for height, colour in zip(np.stack(rows, axis=1), colours, strict=True):
        axes.bar(range(len(rows)), height, bottom=bottom, color=colour, edgecolor=PAGE, linewidth=0.5)
        bottom += height
    axes.set_xticks(range(len(rows)), list(shares))
    axes.set_ylim(0, 1)
    set_title(axes, title)
    return figure
