"""What a folder holds: its pictures, the classes that its subfolders stand for, and what is passed over."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinydiff.base import DataError, checked, printable
from tinydiff.data.pictures import SUFFIXES, channels_of

SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # folders that seldom are classes
MOST_NAMES = 5  # in a sentence


@dataclass(frozen=True)
class Listing:
    """The files of a folder, found before any of them is read.

    Parameters
    ----------
    folder : Path
    files : tuple of str
        The pictures, as paths within the folder with ``/`` between their parts, sorted.
    class_names : tuple of str
        The subfolders with pictures, sorted as people sort: 2 before 10. Empty where there are none.
    others : tuple of str
        Files that are no pictures by the ending of their names.
    notes : tuple of str
        Sentences about what is odd, or passed over.
    on_classes : tuple of str
        Sentences about the subfolders, for those who take them as classes.
    """

    folder: Path
    files: tuple[str, ...]
    class_names: tuple[str, ...]
    others: tuple[str, ...]
    notes: tuple[str, ...]
    on_classes: tuple[str, ...] = ()

    @property
    def outside(self) -> tuple[str, ...]:
        """The pictures in no subfolder; beside class folders, nobody knows their class."""
        return tuple(file for file in self.files if "/" not in file)

    @property
    def labels(self) -> list[int]:
        """The class of each picture; 0 outside the class folders."""
        number = {name: i for i, name in enumerate(self.class_names)}
        return [number.get(file.partition("/")[0], 0) if "/" in file else 0 for file in self.files]

    @property
    def channels(self) -> int:
        """3 if any of the pictures has colours, and 1 if none has."""
        return max(channels_of(self.folder / file) for file in self.files)

    def passed_over(self, used: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a sentence that counts the files that are neither pictures nor used, by the endings of their names."""
        kinds = Counter(Path(file).suffix.lower() for file in self.others if file not in used)
        if not kinds:
            return ()
        counted = [f"{n:,} {printable(kind) if kind else 'without an ending'}" for kind, n in sorted(kinds.items())]
        return (f"Passed over, by the endings of their names: {', '.join(counted)}.",)


@checked()
def list_folder(path: str | Path) -> Listing:
    """Return what a folder and its subfolders hold. Links to folders are followed, each folder once.

    Raises
    ------
    DataError
        If it is no folder, holds no pictures, or cannot be read.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Give the folder that holds the images.")
    files, found = _walk(folder)
    pictures = sorted((file for file in files if Path(file).suffix.lower() in SUFFIXES), key=Path)
    others = tuple(file for file in files if Path(file).suffix.lower() not in SUFFIXES)
    names = sorted({file.partition("/")[0] for file in pictures if "/" in file}, key=as_people_sort)
    listing = Listing(folder, tuple(pictures), tuple(names), others, ())
    notes = tuple(_on_what_is_left_out(listing, found))
    if not pictures:
        looked_for = f"files ending in {', '.join(SUFFIXES)} were looked for"
        raise DataError(" ".join([f"{folder} holds no images; {looked_for}.", *listing.passed_over(), *notes[:1]]))
    return replace(listing, notes=notes, on_classes=tuple(_on_classes(listing)))


def as_people_sort(name: str) -> Any:
    """Return a key that sorts 2 before 10, and b between a and C."""
    parts = re.split(r"(\d+)", unicodedata.normalize("NFC", name).casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name


def named(names: Sequence[str]) -> str:
    """Return names as a text, the first ones if they are many."""
    first = ", ".join(printable(name) for name in names[:MOST_NAMES])
    return first if len(names) <= MOST_NAMES else f"{first}, ... ({len(names)} in all)"


def _walk(folder):
    """Return all files in a folder, and what else was found: folders, names that are hidden, and what is no file."""
    files, read = [], set()
    found: dict[str, list[str]] = {"folders": [], "hidden": [], "read before": [], "special": [], "broken": []}
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop(0)
        try:
            stat = place.stat()
            entries = sorted(os.scandir(place), key=lambda entry: (entry.is_symlink(), entry.name))  # links come last
        except OSError as error:
            raise DataError(f"{place} cannot be read ({error.strerror}). Make it readable, or remove it.") from error
        if (stat.st_dev, stat.st_ino) in read:  # a link may lead back to where it lies
            found["read before"].append(prefix.rstrip("/"))
            continue
        read.add((stat.st_dev, stat.st_ino))
        if prefix:
            found["folders"].append(prefix.rstrip("/"))
        for entry in entries:
            name = prefix + entry.name
            if entry.name.startswith("."):
                found["hidden"].append(name)
            elif entry.is_dir():
                waiting.append((Path(entry.path), f"{name}/"))
            elif entry.is_file():
                files.append(name)
            else:
                found["broken" if entry.is_symlink() else "special"].append(name)
    return files, found


def _on_classes(listing):
    """Yield sentences on several subfolders that are classes: with folders in them, or names to stumble over."""
    names = listing.class_names
    if len(names) < 2:
        return
    deep = sorted({file.rpartition("/")[0] for file in listing.files if file.count("/") > 1})
    if deep:
        yield f"Pictures in folders within a class folder belong to that class: {named(deep)}."
    if {name.lower() for name in names} <= SPLITS:
        yield (
            f"The subfolders are called {' and '.join(names)}, and count as classes: give one of them instead, if "
            "that is not meant."
        )
    folded = Counter(unicodedata.normalize("NFC", name).casefold() for name in names)
    if doubled := [name for name in names if folded[unicodedata.normalize("NFC", name).casefold()] > 1]:
        yield f"Classes that differ in nothing but capitals, or in how a letter is stored: {named(doubled)}."


def _on_what_is_left_out(listing, found):
    """Yield sentences on folders and names of which nothing is read."""
    if empty := [name for name in found["folders"] if "/" not in name and name not in listing.class_names]:
        yield f"Folders without pictures, which are no classes: {named(empty)}."
    if n := len(found["hidden"]):
        yield f"Passed over: {n} hidden {'file or folder' if n == 1 else 'files or folders'}."
    if n := len(found["broken"]):
        yield f"Passed over: {n} {'link' if n == 1 else 'links'} to nothing: {named(found['broken'])}."
    if found["read before"]:
        yield f"Passed over: links to folders that are read already: {named(found['read before'])}."
    if found["special"]:
        yield f"Passed over: what is no file, such as a pipe: {named(found['special'])}."
