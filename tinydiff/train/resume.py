"""Taking up a run again: what must be as it was, what may change, and what a change does to the learning rate."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinydiff.base import InputError, counted
from tinydiff.networks import DiTConfig, MLPConfig, TextConfig, UNetConfig
from tinydiff.train.config import FREE, TrainConfig
from tinydiff.train.optim import learning_rate

DECIDED_BY_DATA = {"data", "images", "class_names"} | {  # unless they are given
    f"{table}.{name}" for table in ("unet", "dit") for name in ("in_channels", "num_classes")
}
NETWORKS: dict[str, Any] = {
    "unet": UNetConfig(),
    "dit": DiTConfig(),
    "mlp": MLPConfig(),
    "text": TextConfig(),
}  # by their tables
IN_WORDS = {  # what is no option, in a sentence
    "images": "The number of images",
    "class_names": "What the classes are called",
    "objective": "The objective",
    "weights of the prior": "The checksum of the prior's weights",
}


def check_same_run(
    folder: Path, before: dict[str, Any], now: dict[str, Any], defaults: dict[str, Any] | None = None
) -> None:
    """Raise `InputError` if something that decides the bits of a run, except its steps, is another than before.

    A setting that the run before does not know is newer than it: the code of then did what the default does now.

    Parameters
    ----------
    folder : Path
        Of the run.
    before, now : dict
        The identity of the run that is found there, and of the one that is to go on with it.
    defaults : dict or None
        Of settings that may be newer than the run, in tables too; of one that is not there, any value is taken.
    """
    newer = {name: asdict(config) for name, config in NETWORKS.items()} | (defaults or {})
    before = _completed(before, json.loads(json.dumps(newer)))  # tuples become lists
    changed = [name for name in now if name in before and _differ(before[name], now[name]) and name != "steps"]
    if not changed:
        return
    name, was, given = _first_difference(changed[0], before[changed[0]], now[changed[0]])
    if name.startswith("checksum"):
        raise InputError(
            f"The data are not those that the run in {folder} learned from (their contents differ): a run goes on with "
            "the same data only. Give those, or another folder to start anew; to go on with other data, let a new run "
            "start from the model of this one."
        )
    what, differ = IN_WORDS.get(name, name), f"is {_shown(given)}, but the run in {folder} has {_shown(was)}"
    if name in DECIDED_BY_DATA:
        raise InputError(
            f"{what} {differ}: a run goes on with the same data and options only. Give those, or another folder to "
            "start anew; to go on with other data, let a new run start from the model of this one."
        )
    raise InputError(
        f"{what} {differ}: a run goes on with the same options, except for steps, {', '.join(FREE)}. Give it as it "
        "was, or another folder to start anew."
    )


def new_steps(folder: Path, step: int, before: int, config: TrainConfig) -> str:
    """Return what is said where a run goes on to another number of steps: what that does to the learning rate.

    Parameters
    ----------
    folder : Path
        Of the run.
    step, before : int
        The steps that the run has taken, and those that it was to take.
    config : TrainConfig
        With the steps that it is to take now.

    Raises
    ------
    InputError
        If the run has taken more steps already.
    """
    if config.steps < step:
        raise InputError(
            f"steps is {config.steps}, but the run in {folder} has taken {counted(step, 'step')} already: give "
            f"{step} or more, or another folder to start anew."
        )
    sentence = f"It goes on to step {config.steps} instead of {before}."
    if config.steps == step:
        return sentence
    rate = config.lr, config.warmup, config.final_lr
    last, following = learning_rate(step, before, *rate), learning_rate(step + 1, config.steps, *rate)
    if step < config.warmup or config.final_lr == 1:
        return f"{sentence} The learning rate of the next step is {following:.2g}."
    return (
        f"{sentence} The learning rate goes from {last:.2g} to {following:.2g} here, and then down along the cosine of "
        f"{config.steps} steps."
    )


def _completed(before, defaults):
    """Return settings with what they lack filled in, in the tables that they have as well."""
    lacking = {name: value for name, value in defaults.items() if name not in before and not isinstance(value, dict)}
    tables = {
        name: _completed(before[name], of_table)
        for name, of_table in defaults.items()
        if isinstance(of_table, dict) and isinstance(before.get(name), dict)
    }
    return {**lacking, **before, **tables}


def _differ(was, given):
    """Return whether two values are not the same; in tables of options, of what both have."""
    if isinstance(was, dict) and isinstance(given, dict):
        return any(_differ(was[name], given[name]) for name in given if name in was)
    return was != given


def _first_difference(name, was, given):
    """Return (dotted name, value before, value now) of the first thing that differs, in tables of options too."""
    if name == "text" and (was is None or given is None):
        return "captions", was is not None, given is not None
    if name in ("unet", "dit") and (was is None or given is None):
        other = "dit" if name == "unet" else "unet"
        return "network", name if given is None else other, other if given is None else name
    if isinstance(was, dict) and isinstance(given, dict):
        for inner in given:
            if inner in was and _differ(was[inner], given[inner]):
                return _first_difference(f"{name}.{inner}", was[inner], given[inner])
    return name, was, given


def _shown(value):
    if value is None:
        return "not given"
    return ", ".join(map(str, value)) if isinstance(value, list) else value
