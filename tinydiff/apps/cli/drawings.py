"""What `sample` and `edit` leave: pictures that say what they were drawn from, arrays, sheets; nothing is replaced."""

import contextlib
import os
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinydiff
from tinydiff import plot
from tinydiff.base import DataError, FolderInUse, FolderLock, InputError, atomic_write, writable_folder
from tinydiff.models import Request
from tinydiff.plot.pictures import as_png_text

PICTURES, ARRAYS, GRID, FILM, EDITED = "pictures", "arrays.npz", "grid.png", "chain.gif", "edited.png"
LEFT = (PICTURES, ARRAYS, GRID, FILM, EDITED)  # by one of these a folder is known to hold a drawing


def unused_folder(out: Path, names: Iterable[str], busy: Container[Path] = ()) -> Path:
    """Return a folder that holds none of these names: `out` itself, or else a new one in it, named 2, 3, ...

    Those that are `busy` are passed over.
    """
    writable_folder(out)
    folder, number, names = out, 1, tuple(names)
    lexists = os.path.lexists  # true, too, for a link that leads nowhere
    while folder in busy or (lexists(folder) and not folder.is_dir()) or any(lexists(folder / name) for name in names):
        number += 1
        folder = out / str(number)
    return folder


@contextlib.contextmanager
def kept_folder(out: Path, names: Iterable[str]) -> Iterator[Path]:
    """Yield a folder that holds none of these names, see `unused_folder`, and into which no other command writes them.

    It is locked until the end of the ``with`` statement; one that another command has locked is passed over as if it
    held the names. So of several at the same moment each has a folder of its own.
    """
    names, busy = tuple(names), set[Path]()
    while True:
        folder = unused_folder(out, names, busy)
        try:
            lock = FolderLock(folder, doing="writing into").__enter__()
        except FolderInUse:
            busy.add(folder)
            continue
        with contextlib.ExitStack() as stack:
            stack.push(lock)
            if any(os.path.lexists(folder / name) for name in names):  # written before it was locked
                continue
            yield folder
            return


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[None]:
    """Refuse a folder in which there is something; if the block fails, take away what it has written.

    Raises
    ------
    InputError
        If there is something at `out` that is no empty folder.
    """
    was_there = out.exists()
    if was_there and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(f"out is {out}, where there is something already: give a new folder.")
    try:
        yield
    except BaseException:
        if not was_there or any(out.iterdir()):  # an empty folder of the user's stays
            shutil.rmtree(out, ignore_errors=True)
        raise


def own_folder(out: Path) -> Path:
    """Return a folder that holds no other drawing, see `unused_folder`, with an empty folder for pictures in it.

    It is taken by making the folder of pictures in it, so that of two runs at the same moment only one takes it.
    """
    while True:
        folder = unused_folder(out, LEFT)
        try:
            (folder / PICTURES).mkdir(parents=True)
        except FileExistsError:  # taken a moment ago
            continue
        except OSError as refusal:
            why = refusal.strerror or refusal
            raise DataError(f"{folder} cannot be written: {why}. Choose another --out.") from refusal
        return folder


def describe(request: Request, model: str, sampler: str, steps: int, **more: Any) -> dict[str, Any]:
    """Return what pictures are drawn from, to be written into their files: all that decides them."""
    guidance = request.guidance
    about: dict[str, Any] = {
        "tinydiff": tinydiff.__version__,
        "model": model,
        "prompt": request.prompt,
        "negative": request.negative or None,
        "seed": request.seed,
        "guidance": guidance.scale,
        "interval": guidance.interval,
        "rescale": guidance.rescale or None,
        "threshold": guidance.threshold,
        "sampler": sampler,
        "steps": steps,
        **more,
    }
    return {name: value for name, value in about.items() if value is not None}


def save_pictures(folder: Path, images: np.ndarray, about: dict[str, Any], of_each: Sequence[dict[str, Any]]) -> Path:
    """Save each picture, named by its index, with what it was drawn from and what it has of its own.

    A folder in which nothing could be written is given back.
    """
    pictures = folder / PICTURES
    digits = max(3, len(str(len(images) - 1)))
    try:
        for index, (image, own) in enumerate(zip(images, of_each, strict=True)):
            size = f"{image.shape[0]}x{image.shape[1]}"
            path = pictures / f"{index:0{digits}}.png"
            plot.save_picture(image, path, {**about, "index": index, "size": size, **own})
    except BaseException:
        with contextlib.suppress(OSError):  # there are some: they stay
            pictures.rmdir()
            if folder.name.isdecimal():
                folder.rmdir()
        raise
    return pictures


def save_edited(
    out: Path,
    drawn: np.ndarray,
    around: tuple[np.ndarray, np.ndarray],
    labels: Sequence[str],
    about: dict[str, Any],
    title: str = "",
    own: dict[str, Any] | None = None,
) -> str:
    """Save pictures that were made of others, each by itself and all between those; return where they are.

    Parameters
    ----------
    out : Path
    drawn : array, shape (n, H, W, C)
    around : two arrays like it
        What stands before them on the sheet, and after them.
    labels : sequence of str
        One below each picture of the sheet.
    about, title, own
        What all are drawn from, what stands above the sheet, and what each file says besides.
    """
    folder = own_folder(out)
    pictures = save_pictures(folder, drawn, about, [own or {}] * len(drawn))
    shown = np.concatenate([around[0], drawn, around[1]])
    grid = plot.image_grid(shown, len(shown), labels=labels, title=" ".join(title.split()))
    sheet = plot.save_image(grid, folder / EDITED, as_png_text({**about, "pictures": len(shown)}))
    return f"{sheet}, and each by itself in {pictures}. {elsewhere(out, folder)}".rstrip()


def save_arrays(folder: Path, images: np.ndarray, about: dict[str, Any], of_each: Sequence[dict[str, Any]]) -> Path:
    """Save pictures as they were drawn, float32 in [-1, 1], and what they were drawn from, for ``numpy.load``."""
    entries: dict[str, Any] = {name: np.asarray(value) for name, value in about.items()}
    for name in of_each[0]:
        entries[name] = np.asarray([of_one[name] for of_one in of_each])
    entries |= {"images": images, "index": np.arange(len(images))}
    return atomic_write(folder / ARRAYS, lambda file: np.savez(file, **entries))


def elsewhere(out: Path, folder: Path) -> str:
    """Return a sentence where a drawing went elsewhere than asked, because another one is there; else an empty text."""
    return "" if folder == out else f"{out} holds an earlier drawing, which stays as it is: this one is in {folder}."
