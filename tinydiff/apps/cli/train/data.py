"""The data of ``tinydiff train``, by name or from a folder: what they decide, and what is said of them."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError, Size, TinydiffError, counted, height_and_width, printable, read_table
from tinydiff.data import DATASETS, Dataset, list_folder, load_avatars, load_data, load_folder
from tinydiff.data.captions import captions_in
from tinydiff.data.folder import ENLARGED, GREY_AS_COLOUR
from tinydiff.data.listing import Listing, named
from tinydiff.data.pictures import COLOUR_DROPPED, OPAQUE
from tinydiff.networks import TextConfig
from tinydiff.text import Tokenizer
from tinydiff.train.checkpoint import checkpoints

Config = TypeVar("Config", bound=Any)
Fit = Literal["crop", "pad", "stretch"]
FOLDER_HELP = (
    "or a folder of your own pictures. Its subfolders, where there are any, are the classes: cat/1.png, dog/2.png. "
    "Captions stand in captions.csv (columns file, caption), in metadata.csv or metadata.jsonl (file_name, text), "
    "or in 1.txt beside 1.png. Channels and classes are those of the pictures unless you give others. One picture in "
    "twenty is held out. Write ./mnist for a folder that is called so"
)
REMEDIES = {  # what to do about a note, where it was chosen by an option
    COLOUR_DROPPED: "leave --{table}.in-channels out to keep it",
    OPAQUE: "--{table}.in-channels 3 does without",
    GREY_AS_COLOUR: "--{table}.in-channels 1 would do",
    "cropped in the middle": "--fit pad keeps the borders",
    ENLARGED: "a smaller --{table}.image-size would do",
    "transparent parts are put onto white": "--background chooses another colour",
}
CAPTIONS_CUT = ".* dropped at (its end|the end of)"  # how the tokenizer's warning of texts that are too long reads
MOST_CLASSES = 20  # in one line
MANY = 5_000  # pictures that are drawn, from which on it is said


class NoCaptions(InputError):
    """Captions are wanted, but there are none; who wants them can say it better."""


@dataclass(frozen=True)
class DataOptions:
    """What the options of ``tinydiff train`` say of the data.

    Parameters
    ----------
    data : str
        A data set's name, or a folder.
    table : str
        The options of the network, as one types them: ``"unet"``, ``"dit"`` or ``"network"``.
    given : collection of str or None
        Dotted names of the options that were given; None: all, so that the data decide nothing.
    captions : bool
        Whether captions are learned, and not classes.
    images : int or None
        How many portraits are put together, or scenes drawn.
    fit, background : str
        See `load_folder`.
    advice : bool
        Whether the lines say what to do: by options of a training, which other commands do not have.
    only_pictures : bool
        Whether neither classes nor captions are learned, so that there is nothing to say of them.
    """

    data: str
    table: str
    given: Collection[str] | None
    captions: bool = False
    images: int | None = None
    fit: str = "crop"
    background: str = "white"
    advice: bool = True
    only_pictures: bool = False

    def left_open(self, name: str) -> bool:
        """Return whether an option of the network was not given, so that the data decide it."""
        return self.given is not None and f"{self.table}.{name}" not in self.given

    @property
    def is_folder(self) -> bool:
        """Whether the data are a folder; the name of a data set goes first."""
        return self.data not in DATASETS and os.path.isdir(self.data)  # false, too, for what is no path at all


def prepare_data(options: DataOptions, config: Config) -> tuple[Dataset, Dataset, Config]:
    """Return training and held-out images, and the network's configuration with the data's channels and classes.

    What the data are, what was changed and left out, and the names of the classes are printed; without advice, only
    what was changed and left out.

    Parameters
    ----------
    options : DataOptions
    config : UNetConfig, DiTConfig, ClassifierConfig or AutoencoderConfig
        What was given of it stays.
    """
    if options.images is not None and not is_made(options.data):
        raise InputError(
            f"images is {options.images}, but only avatars and scenes are made in any number: leave it out."
        )
    if options.is_folder:
        training, held_out, config = _from_folder(options, config)
    else:
        training, held_out, config = _by_name(options, config)
    if options.advice:
        say(training.describe(), held_out.describe())
    if notes := getattr(training, "notes", ()):
        say(*notes)
    if options.only_pictures:
        return training, held_out, config
    if options.advice and training.class_names and config.num_classes is not None and not options.captions:
        _print_classes(training.class_names)
    return training, held_out, config


def learn_words(captions: Sequence[str], text: TextConfig) -> tuple[Tokenizer, TextConfig]:
    """Return a tokenizer that has read captions, and the shape of a text encoder with as many tokens as it has."""
    merges = text.vocabulary - len(Tokenizer())
    if merges < 0:
        raise InputError(f"text.vocabulary is {text.vocabulary}, but {len(Tokenizer())} or more were expected.")
    tokenizer = Tokenizer.train(captions, merges)
    return tokenizer, replace(text, vocabulary=len(tokenizer))


def decided_before(out: Path) -> frozenset[str]:
    """Return what a run in this folder decided when it began, of what folders decide by now.

    Once, a folder's pictures were grey and without classes unless something else was given. Such a run goes on so.
    """
    try:
        began = read_table(out / "run.json").get("unet", {}) if checkpoints(out) else {}
    except TinydiffError:  # the run itself will say what is wrong
        return frozenset()
    once = {"in_channels": 1, "num_classes": None}
    if not isinstance(began, dict):
        return frozenset()
    return frozenset(f"unet.{name}" for name, value in once.items() if name in began and began[name] == value)


def names_of_classes(training: Dataset, num_classes: int | None) -> tuple[str, ...] | None:
    """Return a name for each class of a network: the data's, and numbers for those beyond; None if there is none."""
    if num_classes is None or training.class_names is None or len(training.class_names) > num_classes:
        return None
    beyond = (f"class {i}" for i in range(len(training.class_names), num_classes))
    return (*training.class_names, *beyond)


def _by_name(options, config):
    """Return the splits of a data set that has a name."""
    for name, default in (("fit", "crop"), ("background", "white")):
        if getattr(options, name) != default:
            raise InputError(
                f"{name} is {getattr(options, name)!r}, but only a folder's pictures are fitted: leave it out."
            )
    if not options.data:
        raise InputError("data is not given: give the folder of your pictures, --data FOLDER.")
    if options.data not in DATASETS:
        raise InputError(f"data is {options.data!r}, but {_what_data_may_be(options.data)}")
    training, held_out = _splits(options, config.image_size)
    if options.left_open("in_channels"):
        config = replace(config, in_channels=training.shape[-1])
    if options.only_pictures:
        return training, held_out, config
    notes = []
    classes = training.class_names
    if options.captions and config.num_classes is not None:
        notes.append(_labels_unused(options))
        config = replace(config, num_classes=None)
    if classes is not None and config.num_classes is None and not options.captions:
        how = f"give --{options.table}.num-classes {len(classes)} to learn them"
        remedy = "the model knows no classes" if options.given is None or not options.advice else how
        notes.append(f"The labels of the {counted(len(classes), 'class', 'classes')} are not used: {remedy}.")
    if classes is not None and config.num_classes is not None and config.num_classes > len(classes):
        notes.append(_nothing_learned_of(options, len(classes), config.num_classes))
    if training.captions is not None and not options.captions:
        notes.append(f"The captions are not used: {_to_use_captions(options)}.")
    return replace(training, notes=(*training.notes, *notes)), held_out, config


def _splits(options, size: Size):
    """Return training and test images of a data set, at a size: drawn, put together, or resized."""
    known = DATASETS[options.data]
    if known.drawn is not None:
        height, width = height_and_width("image_size", size)
        if height != width:
            raise InputError(
                f"{options.table}.image_size is {height} x {width}, but pictures of {options.data} are square."
            )
        if options.only_pictures:  # they are drawn by the workers, and never kept
            return known.drawn("train", options.images, height), known.drawn("test", None, height)
        say_drawing(options.data, options.images)
        training, held_out = known.load("train", options.images, size=height), known.load("test", size=height)
    elif options.data == "avatars":
        training, held_out = load_avatars("train", options.images), load_avatars("test")
    else:
        training, held_out = load_data(options.data, "train"), load_data(options.data, "test")
    return training.resize(size), held_out.resize(size)


def say_drawing(data: str, n: int | None) -> None:
    """Say that pictures are being drawn, where it takes a while."""
    if n is not None and n >= MANY:
        say(f"Drawing {n:,} pictures of {data} ...")


def is_made(data):
    """Return whether pictures of a data set are made when they are asked for, as many as one likes."""
    return data == "avatars" or (data in DATASETS and DATASETS[data].drawn is not None)


def _what_data_may_be(path):
    """Return the rest of a sentence on what is neither a data set nor a folder."""
    if os.path.isfile(path):
        return f"that is a file: give the folder that holds the pictures, such as {os.path.dirname(path) or '.'}."
    return f"there is no such folder here, and the data sets are {', '.join(DATASETS)}: give a folder, or one of them."


def _from_folder(options, config):
    """Return every twentieth picture of a folder as held out, and the others to train."""
    listing = list_folder(options.data)
    n = len(listing.files)
    if n < 2:
        raise InputError(f"{options.data} holds one image, but at least 2 are needed: one in twenty is held out.")
    num_classes, notes = (None, []) if options.only_pictures else _classes(options, config, listing)
    if num_classes is None and options.table == "network" and not options.only_pictures:
        raise InputError(
            f"{options.data} has no two subfolders with pictures, but a classifier learns to tell classes apart: give "
            "each class a subfolder."
        )
    given_channels = None if options.left_open("in_channels") else config.in_channels
    if given_channels not in (None, 1, 3, 4):
        raise InputError(
            f"{options.table}.in_channels is {given_channels}, but pictures have 1 channel (grey), 3 (colour) or 4 "
            "(with transparency): leave it out."
        )
    with_classes = num_classes is not None and not options.captions
    how = (given_channels, options.fit, options.background)
    images = load_folder(listing, config.image_size, *how, with_classes, options.captions)
    if options.captions and images.captions is None:
        raise NoCaptions(
            f"captions was given, but {options.data} has none: leave it out, or write them into captions.csv."
        )
    if not options.captions and not options.only_pictures and (unused := captions_in(listing)):
        which = f"in {printable(unused[0])} are" if len(unused) == 1 else _such_as(unused)
        notes.append(f"The captions {which} not used: {_to_use_captions(options)}.")
    notes += [_with_remedy(note, options, n) for note in images.notes]
    if options.advice and options.background != "white" and not any(options.background in note for note in notes):
        notes.append(
            f"--background {options.background} changes nothing: nothing is transparent, and no bars are added."
        )
    held_out = np.arange(n) % 20 == 0  # every twentieth, so that each subfolder has its share
    training = replace(images.take(~held_out), split="training")
    if with_classes and listing.class_names:
        seen = set(training.labels.tolist())
        if unseen := [name for label, name in enumerate(listing.class_names) if label not in seen]:
            notes.append(
                "Classes whose only picture is held out (give each a second one), so that nothing is learned of them: "
                f"{named(unseen)}."
            )
    held_out = replace(images.take(held_out), split="held out")
    config = replace(config, in_channels=images.images.shape[-1])
    if not options.only_pictures:
        config = replace(config, num_classes=num_classes)
    return replace(training, notes=tuple(notes)), held_out, config


def _classes(options: DataOptions, config: Any, listing: Listing) -> tuple[int | None, list[str]]:
    """Return the network's number of classes: what was given, or the folder's; and what there is to say of it."""
    names, found = listing.class_names, len(listing.class_names)
    flag, given = f"--{options.table}.num-classes", not options.left_open("num_classes")
    if options.captions:
        notes = [f"The class folders {named(names)} are not used, since captions are learned."] if found > 1 else []
        if given and config.num_classes is not None:
            notes.append(_labels_unused(options))
        return None, notes
    if given and config.num_classes is None:
        remedy = "the model knows no classes" if options.given is None else f"leave {flag} out to learn them"
        return None, [f"The class folders {named(names)} are not used: {remedy}."] if found else []
    if found and listing.outside and (given or found > 1):
        possible = options.table != "network" and options.advice
        without = f", or give {flag} None to learn without classes" if possible else ""
        raise InputError(
            f"{options.data} holds pictures outside its class folders, such as {printable(listing.outside[0])} "
            f"({len(listing.outside)} of {len(listing.files)}): move them into one of {named(names)}{without}."
        )
    if not given:
        if found == 1 and not listing.outside:
            return None, [f"There is one subfolder, {named(names)}, so that there are no classes to learn."]
        return (found or None), []
    given_number = config.num_classes
    if given_number > 1 and not found:
        raise InputError(
            f"{options.table}.num_classes is {given_number}, but {options.data} has no subfolders, which would be the "
            "classes: leave it out."
        )
    if given_number < found:
        raise InputError(
            f"{options.table}.num_classes is {given_number}, but {options.data} has {counted(found, 'class folder')} "
            f"({named(names)}): leave it out."
        )
    if given_number > max(found, 1):
        return given_number, [_nothing_learned_of(options, found, given_number)]
    return given_number, []


def _to_use_captions(options):
    if options.table == "network":
        return "a classifier learns classes"
    if options.given is None or not options.advice:
        return "this model reads none"
    return "give --captions to learn from them"


def _such_as(files):
    return f"in {len(files):,} files, such as {printable(files[0])}, are"


def _nothing_learned_of(options, found, given):
    beyond = f"class {found}" if given == found + 1 else f"classes {found} to {given - 1}"
    told = options.given is not None and options.advice
    has = f"the model has {counted(given, 'class', 'classes')}"
    what = f"--{options.table}.num-classes is {given}" if told else has
    return f"{what[0].upper()}{what[1:]}, but the data have {found}: nothing is learned of {beyond}."


def _labels_unused(options):
    return f"--{options.table}.num-classes is given, but labels are not used, since captions are learned: leave it out."


def _with_remedy(note, options, n):
    """Return a note on some of n pictures with what to do about it, where an option decides it."""
    if not options.advice:
        return note
    for phrase, remedy in REMEDIES.items():
        fixed = "{table}" in remedy and options.given is None  # the network's options are another model's
        only_some = phrase == GREY_AS_COLOUR and not note.startswith(f"{n:,} of {n:,} ")  # others need their colours
        if phrase in note and not fixed and not only_some:
            return f"{note.rstrip('.')}: {remedy.format(table=options.table)}."
    return note


def _print_classes(names):
    if list(names) == [str(i) for i in range(len(names))]:
        return  # the digits
    listed = ", ".join(f"{i} = {printable(name)}" for i, name in enumerate(names[:MOST_CLASSES]))
    more = "" if len(names) <= MOST_CLASSES else f", ... {len(names) - 1} = {printable(names[-1])}"
    say(f"{'Class' if len(names) == 1 else 'Classes'}: {listed}{more}.")
