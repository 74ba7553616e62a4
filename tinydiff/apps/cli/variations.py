"""``tinydiff edit --variations``: pictures drawn anew of their embeddings, and on the way to others, by an unCLIP."""

from pathlib import Path
from typing import Any

import numpy as np

from tinydiff import plot
from tinydiff.apps.cli.drawings import EDITED, describe, elsewhere, own_folder, save_pictures
from tinydiff.apps.cli.options import ProgressBar, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.base import Array, check_count, counted, select_device, to_numpy, writable_folder, xp_of
from tinydiff.models import (
    GUIDANCE_FOR_PROMPTS,
    Request,
    UnClip,
    between_pictures,
    load,
    notes_on_words,
    towards_text,
    variations,
)
from tinydiff.models.pictures import picture_for
from tinydiff.models.predictor import check_fits
from tinydiff.plot.pictures import as_png_text

MODEL = "scenes-unclip"
NOT_USED = (
    ("mask strength label size", "", "an unCLIP draws the whole picture anew of what its embedding says: leave it out"),
    ("resample feather image_noise", "advanced", "an unCLIP draws the whole picture anew: leave it out"),
)


def vary(command: Any) -> None:
    """Draw variations of a picture, or pictures on the way to another or to a text; save, and say where.

    Parameters
    ----------
    command : Edit
        Its `variations` is the picture; `between` or `towards` may say where the way leads.
    """
    name = MODEL if command.model is None else command.model
    for names, table, why in NOT_USED:
        refuse_given(getattr(command, table) if table else command, names, why)
    if command.between is not None or command.towards is not None:
        why = "both ends of the way say what is drawn, and DDIM draws it: leave it out"
        refuse_given(command, "prompt", why)
        refuse_given(command.advanced, "sampler", why)
    if command.between is not None:
        refuse_given(command, "towards", "--between leads to a picture: give one of the two")
    if command.towards is None:
        refuse_given(command, "away_from", "it says what the picture shows where a text is the aim: give --towards")
    device = select_device(command.advanced.device)
    check_count("n", command.n, least=1 if command.between is None and command.towards is None else 2)
    model = load(name, device, kind=UnClip)
    guidance = GUIDANCE_FOR_PROMPTS if command.guidance is None else command.guidance
    request = Request(seed=command.seed, prompt=command.prompt, negative=command.negative, guidance=guidance)
    paths = [path for path in (command.variations, command.between) if path is not None]
    given = np.concatenate([_read(command, model, path) for path in paths])
    for note in notes_on_words(model.decoder, (command.prompt or "", command.negative), Path(name).name):
        say(note)
    writable_folder(command.out)
    with ProgressBar() as bar:
        drawn = to_numpy(_drawn(command, model, given, request, bar))
    about = describe(request, name, command.advanced.sampler or "ddim", command.steps, **_more(command, paths))
    folder = own_folder(command.out)
    pictures = save_pictures(folder, drawn, about, [{}] * len(drawn))
    both = np.concatenate([given[:1], drawn, given[1:]])
    labels = ["before", *("",) * len(drawn), *("the other",) * (len(given) - 1)]
    grid = plot.image_grid(both, len(both), labels=labels, title=" ".join((command.towards or "").split()))
    sheet = plot.save_image(grid, folder / EDITED, as_png_text({**about, "pictures": len(both)}))
    where = f"{sheet}, and each by itself in {pictures}. {elsewhere(command.out, folder)}".rstrip()
    say(f"Drew {counted(len(drawn), 'picture')} of {command.variations}: {where}")


def _read(command: Any, model: UnClip, path: Path) -> np.ndarray:
    """Return a picture as the model takes it; say what was done to it."""
    command.refuse_sheets(path)
    picture, _, notes = picture_for(model.decoder, path, None, command.advanced.fit, command.advanced.background)
    if notes:
        say(f"{path}: {'; '.join(notes)}.")
    return picture


def _drawn(command: Any, model: UnClip, given: np.ndarray, request: Request, bar: ProgressBar) -> Array:
    """Return what is drawn of the pictures."""
    pictures = xp_of(model.decoder.network.theta).asarray(given)
    check_fits(model.decoder, Request(n=command.n))
    if command.between is not None:
        return between_pictures(model, pictures, command.n, request, command.steps)
    if command.towards is not None:
        away_from = command.away_from or ""
        return towards_text(
            model, pictures, command.towards, away_from, command.n, request=request, steps=command.steps
        )
    sampler = command.advanced.sampler or "ddim"
    return variations(model, pictures.repeat(command.n, axis=0), request, sampler, command.steps, bar)


def _more(command: Any, paths: list[Path]) -> dict[str, Any]:
    """Return what else decides the pictures, to be written into their files."""
    more = {"variations": str(paths[0]), "between": str(paths[1]) if len(paths) > 1 else None}
    return {**more, "towards": command.towards, "away from": command.away_from}
