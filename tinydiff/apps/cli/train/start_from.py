"""``tinydiff train --start-from``: a new network of the wanted shape, and what fits of another model's weights.

The shape is that of the model to start from, except for what was given, and for what the data decide: channels and
classes. So a model can be fine-tuned to other sizes, channels and classes.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from tinydiff.apps.cli.screen import say
from tinydiff.apps.cli.train.data import DataOptions, NoCaptions, names_of_classes, prepare_data
from tinydiff.apps.cli.train.denoiser import (
    config_of,
    flat,
    given_options,
    model_of,
    says_variance,
    shape_of,
    table_of,
)
from tinydiff.base import InputError, to_table
from tinydiff.data import Dataset
from tinydiff.models import DiffusionModel, ModelConfig
from tinydiff.models.take import Taken, take_weights
from tinydiff.networks import TextConfig
from tinydiff.text import Tokenizer
from tinydiff.train.checkpoint import checkpoints

LEAST = 0.01  # the share of the weights that must fit


def start_model(command: Any, start: DiffusionModel) -> tuple[Dataset, Dataset, DiffusionModel]:
    """Return the training and held-out images, and the model to train; print what was taken and what is new.

    Parameters
    ----------
    command : Train
        The options. What is in its `given` goes before what the model to start from has.
    start : DiffusionModel

    Raises
    ------
    InputError
        If next to none of the weights fit.
    """
    given = given_options(command)
    captions = command.captions if {"captions", "no_captions"} & given else start.config.text is not None
    table = table_of(start.config.denoiser)
    shape = with_given(shape_of(command, start.config), getattr(command, table), table, given)
    if captions and start.config.text is None and f"{table}.num_classes" not in given:
        shape = replace(shape, num_classes=None)
    if not captions:
        unlooked = {name: None for name in ("context_channels", "pooled_channels") if f"{table}.{name}" not in given}
        shape = replace(shape, **unlooked)
    training, held_out, shape = _data(command, start, given, captions, shape)
    shape = says_variance(command, command.sees(shape))
    text, tokenizer = _text(command, start, given, training) if captions else (None, None)
    if text is not None:
        shape = replace(shape, context_channels=text.channels)
        if shape.pooled_channels is not None:
            shape = replace(shape, pooled_channels=text.channels)
    options = {
        name: getattr(command if name in given else start.config, name) for name in ("schedule", "path", "T", "kind")
    }
    names = _names(training, start.config, shape, captions)
    config = config_of(shape, text=text, class_names=names, **options)
    network = config.network(np.random.default_rng(command.train.seed))
    taken = take_weights(network, start.network, _rows(config, start.config))
    if taken.share < LEAST:
        raise InputError(
            f"start_from is {command.start_from!r}, but next to none of its weights ({taken.share:.1%}) fit the "
            f"network that is wanted, which has {_differences(config, start.config)}. Leave out what was given of the "
            "shape, or leave --start-from out."
        )
    differences = _differences(config, start.config)
    say_start(command, f", but: {differences}" if differences else "", taken)
    how = {"micro_batch": start.micro_batch, "tokenizer": tokenizer}
    return training, held_out, model_of(network, config, command.enlarges, command.train.image_noise, **how)


def say_start(command: Any, how: str = "", taken: Taken | None = None) -> None:
    """Say what a new run starts from, and which weights it took, if not all; a run that goes on has its own."""
    if not checkpoints(command.out):
        say(f"Starting from {command.start_from}{how}.", *(() if taken is None else taken.lines()))


def refuse_other_shape(command: Any, own: dict[str, Any], open_to: tuple[str, ...] = ()) -> None:
    """Raise `InputError` if something was given that the model to start from has otherwise.

    Parameters
    ----------
    command : TrainCommand
        What is in its `given` is compared; a value that is the model's own may be given.
    own : dict
        The settings that the model decides, as a table.
    open_to : tuple of str
        Dotted names that may differ.
    """
    of_model, wanted = flat(own), flat(to_table(command))
    for name in sorted(command.given or ()):
        if name in of_model and name not in open_to and of_model[name] != wanted[name]:
            raise InputError(
                f"{name} is {wanted[name]}, but {command.start_from} has {of_model[name]}, and goes on with its own: "
                "leave it out."
            )


def with_given(own: Any, options: Any, table: str, given: frozenset[str]) -> Any:
    """Return a configuration with those of its values that were given as options of this table."""
    names = [name for name in to_table(own) if f"{table}.{name}" in given]
    return replace(own, **{name: getattr(options, name) for name in names})


def _data(command, start, given, captions, shape):
    """Read the data, which decide channels and classes where these were not given."""
    pictures = {"images": command.images, "fit": command.fit, "background": command.background}
    options = DataOptions(command.data, table_of(shape), given, captions, **pictures)
    try:
        training, held_out, shape = prepare_data(options, shape)
    except NoCaptions as error:
        if "captions" not in given:
            raise InputError(
                f"{command.start_from} reads text, but {command.data} has no captions: give --no-captions to learn "
                "without them, or write them into captions.csv."
            ) from error
        raise
    if captions and training.captions is None:
        advice = "leave it out, or take avatars" if "captions" in given else "give --no-captions to learn without them"
        raise InputError(f"captions was given, but {command.data} has none: {advice}.")
    if not options.is_folder and options.left_open("num_classes") and shape.num_classes is not None:
        found = len(training.class_names or ())
        shape = replace(shape, num_classes=found or None)
    return training, held_out, shape


def _text(command, start, given, training):
    """Return the shape of the text encoder, and the tokenizer: that of the model to start from, if it has one."""
    own = start.config.text
    if own is not None:
        say(f"The captions are read by the tokenizer of {command.start_from}, with its {len(start.tokenizer)} tokens.")
        tokenizer = start.tokenizer.with_words_of(training.captions)
        return replace(with_given(own, command.text, "text", given), vocabulary=own.vocabulary), tokenizer
    tokenizer = Tokenizer.train(training.captions, max(0, command.text.vocabulary - len(Tokenizer())))
    return replace(command.text, vocabulary=len(tokenizer)), tokenizer


def _names(training, own: ModelConfig, shape, captions):
    """Return what the classes are called: as the data call them, or else as the model to start from does."""
    names = None if captions else names_of_classes(training, shape.num_classes)
    if names is None and own.class_names is not None and len(own.class_names) == shape.num_classes:
        return own.class_names
    return names


def _rows(config: ModelConfig, own: ModelConfig):
    """Return which row of the table of classes is taken from which: those of one name, and that of no class."""
    here, there = config.denoiser.num_classes, own.denoiser.num_classes
    names, known = config.class_names, own.class_names
    if here is None or there is None or (here == there and (names is None or known is None or names == known)):
        return {}  # taken or new as a whole
    same = {i: known.index(name) for i, name in enumerate(names or ()) if known is not None and name in known}
    inside = "" if config.text is None else f"{table_of(config.denoiser)}."
    return {f"{inside}embed.label.table": {**same, here: there}}


def _differences(config: ModelConfig, own: ModelConfig) -> str:
    """Return in what a model differs from the one that it starts from."""
    now, before = flat(to_table(config)), flat(to_table(own))
    if (config.text is None) != (own.text is None):
        shape = flat({"text": to_table(TextConfig())})
        now, before = ({n: v for n, v in table.items() if n not in shape} for table in (now, before))
        now["text"], before["text"] = ("yes" if c.text is not None else None for c in (config, own))
    changed = [name for name in now if name in before and now[name] != before[name] and name != "class_names"]
    said = [f"{name} {_shown(name, now[name])} instead of {_shown(name, before[name])}" for name in changed]
    if own.class_names is not None and config.class_names not in (None, own.class_names):
        said.append("classes of other names")
    return ", ".join(said)


def _shown(name, value):
    if value is None:
        return "none"
    if name.endswith("image_size") and isinstance(value, list):
        return "x".join(map(str, value))
    return " ".join(map(str, value)) if isinstance(value, list) else value
