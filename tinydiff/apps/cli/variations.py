"""``tinydiff edit --variations``: pictures drawn anew of their embeddings, and on the way to others, by an unCLIP."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.apps.cli.drawings import describe, save_edited
from tinydiff.apps.cli.options import ProgressBar, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.base import Array, InputError, check_count, counted, folder_to_fill, select_device, to_numpy, xp_of
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
    if command.model is None:
        raise InputError("model is missing: give an unCLIP, which draws variations, as --model FOLDER.")
    name, is_way = command.model, command.between is not None or command.towards is not None
    if command.towards is not None and not command.towards.strip():
        raise InputError(f"towards is {command.towards!r}, but a text was expected: it says where the pictures lead.")
    if command.towards is not None and command.towards.strip() == (command.away_from or "").strip():
        raise InputError(f"away_from is {command.away_from!r}, which --towards says too: give another text.")
    for names, table, why in NOT_USED:
        refuse_given(getattr(command, table) if table else command, names, why)
    if is_way:
        why = "both ends of the way say what is drawn, and DDIM draws it from their noise: leave it out"
        refuse_given(command, "prompt seed", why)
        refuse_given(command.advanced, "sampler", why)
    if command.between is not None:
        refuse_given(command, "towards", "--between leads to a picture: give one of the two")
    if command.towards is None:
        refuse_given(command, "away_from", "it says what the picture shows where a text is the aim: give --towards")
    device = select_device(command.advanced.device)
    check_count("n", command.n, least=2 if is_way else 1)
    model = load(name, device, kind=UnClip)
    guidance = command.guidance
    if guidance is None:  # at 1 a way begins and ends at the pictures themselves
        guidance = 1.0 if is_way and not command.negative else GUIDANCE_FOR_PROMPTS
    request = Request(seed=command.seed, prompt=command.prompt, negative=command.negative, guidance=guidance)
    files = {"variations": command.variations, "between": command.between}
    paths = {option: path for option, path in files.items() if path is not None}
    given = np.concatenate([_read(command, model, option, path) for option, path in paths.items()])
    check_fits(model.decoder, replace(request, n=command.n))
    for note in notes_on_words(model, (command.prompt or command.towards or "", command.negative), Path(name).name):
        say(note)
    with folder_to_fill(command.out), ProgressBar() as bar:
        drawn = to_numpy(_drawn(command, model, given, request, bar))
    more = {option: str(path) for option, path in paths.items()} | {"n": command.n if is_way else None}
    more |= {"towards": command.towards, "away from": command.away_from}
    about = describe(request, name, command.advanced.sampler or "ddim", command.steps, **more)
    labels = ["before", *("",) * len(drawn), *("the other",) * (len(given) - 1)]
    title = command.towards or command.prompt or ""
    where = save_edited(command.out, drawn, (given[:1], given[1:]), labels, about, title)
    say(f"Drew {counted(len(drawn), 'picture')} of {command.variations}: {where}")


def _read(command: Any, model: UnClip, option: str, path: Path) -> np.ndarray:
    """Return a picture as the model takes it; say what was done to it."""
    command.refuse_sheets(option, path)
    picture, _, notes = picture_for(model.decoder, path, None, command.advanced.fit, command.advanced.background)
    if notes:
        say(f"{path}: {'; '.join(notes)}.")
    return picture


def _drawn(command: Any, model: UnClip, given: np.ndarray, request: Request, bar: ProgressBar) -> Array:
    """Return what is drawn of the pictures."""
    pictures = xp_of(model.decoder.network.theta).asarray(given)
    if command.between is not None:
        return between_pictures(model, pictures, command.n, request, command.steps)
    if command.towards is not None:
        away_from = command.away_from or ""
        return towards_text(
            model, pictures, command.towards, away_from, command.n, request=request, steps=command.steps
        )
    sampler = command.advanced.sampler or "ddim"
    return variations(model, pictures.repeat(command.n, axis=0), request, sampler, command.steps, bar)
