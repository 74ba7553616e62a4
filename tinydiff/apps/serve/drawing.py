"""What the page draws: a chain, step by step, from what was typed."""

import numbers
import reprlib
import warnings
from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import InputError, to_numpy
from tinydiff.diffusion import SAMPLERS
from tinydiff.models import PictureModel, Request, UnClip, base_of, notes_on_words, word_maps

MOST_CHARACTERS, MOST_SCALE, MOST_STEPS = 1_000, 20, 250  # of one picture, so that it does not keep others waiting
MOST_SHOWN = 40  # steps of a chain, so that an answer, which waits in memory until it is read, stays below 1 MB


class Asked(NamedTuple):
    """What was asked for, after it was checked; see `draw`."""

    prompt: str
    negative: str
    scale: float
    steps: int
    sampler: str
    seed: int


class Frame(NamedTuple):
    """What there is to see after a step of the chain.

    Parameters
    ----------
    step, steps : int
        Which one, counted from 1, and how many there are.
    t : float
        The time reached, 0 at the end.
    x_t, x_0_hat : array, shape (H, W, C)
        The picture at this time, and the guess of the finished one that led there.
    notes : tuple of str
        What the reader should know of the words: which were dropped, or change nothing.
    maps : tuple of (str, array of shape (h, w))
        With the last step: the `word_maps` of the moment halfway, of a cascade those of its base; none of an unCLIP,
        whose decoder looks at an embedding besides.
    asked : Asked
    """

    step: int
    steps: int
    t: float
    x_t: np.ndarray
    x_0_hat: np.ndarray
    notes: tuple[str, ...]
    maps: tuple[tuple[str, np.ndarray], ...]
    asked: Asked


def draw(
    model: PictureModel, prompt: Any, negative: Any, scale: Any, steps: Any, sampler: Any, seed: Any
) -> Generator[Frame, None, None]:
    """Draw one picture from words, and yield what there is to see after every step.

    What is asked for is checked by this call; all else is done as the frames are asked for. Closing the generator ends
    the chain.

    Parameters
    ----------
    model : DiffusionModel, Cascade or UnClip
        One that reads text.
    prompt, negative : str
        What the picture should show, and what not; an empty text asks for nothing.
    scale : float
        Of guidance, 0 .. 20; the negative prompt counts where it is not 1.
    steps : int
        1 .. 250.
    sampler : str
        One of `SAMPLERS`.
    seed : int

    Raises
    ------
    InputError
        If an argument is none of these, whatever it is: arguments come from anybody.
    """
    return _frames(model, check(prompt, negative, scale, steps, sampler, seed))


def _frames(model, asked):
    prompt, negative, scale, steps, sampler, seed = asked
    with warnings.catch_warnings(record=True, action="always") as caught:  # the tokenizer's: a text may be too long
        request = Request(n=1, seed=seed, prompt=prompt, negative="" if scale == 1 else negative, guidance=scale)
        chain = model.chain(request, sampler, steps)
    notes = tuple(dict.fromkeys(str(warning.message) for warning in caught))
    reader, of_all = base_of(model), steps * model.chains
    looked_into = reader.reads_text and not isinstance(model, UnClip)
    notes += notes_on_words(model, (prompt, negative))
    if negative and scale == 1:
        notes += ("The negative prompt changes nothing where guidance is 1.",)
    maps: tuple = ()
    with closing(chain):
        for step, (t, x_t, x_0_hat) in enumerate(chain, 1):
            if step == (steps + 1) // 2:
                halfway = x_t, max(t, 1)
            if step == of_all and looked_into:
                maps = tuple(word_maps(reader, prompt, *halfway))
            here, guess = (to_numpy(model.decode(x[:1]))[0] for x in (x_t, x_0_hat))
            yield Frame(step, of_all, t, here, guess, notes, maps, asked)


def check(prompt: Any, negative: Any, scale: Any, steps: Any, sampler: Any, seed: Any) -> Asked:
    """Return what was asked for, or raise an `InputError` as `draw` does."""
    prompt, negative = _text("The prompt", prompt), _text("The negative prompt", negative)
    scale = number("The guidance scale", scale, 0, MOST_SCALE)
    steps = number("The number of steps", steps, 1, MOST_STEPS, whole=True)
    seed = number("The seed", seed, 0, 2**32 - 1, whole=True)
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise InputError(f"The sampler is {reprlib.repr(sampler)}, but one that the page lists was expected.")
    return Asked(prompt, negative, scale, steps, sampler, seed)


def _text(name, value):
    if not isinstance(value, str):
        raise InputError(f"{name} is {reprlib.repr(value)}, but a text was expected.")
    if len(value) > MOST_CHARACTERS:
        raise InputError(f"{name} has {len(value):,} characters, but at most {MOST_CHARACTERS:,} are read here.")
    return value


def number(name, value, low, high, whole=False):
    """Return a number from `low` to `high`; a whole one may come as 30.0."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and low <= value <= high and (not whole or value == int(value))):
        kind = "a whole number" if whole else "a number"
        raise InputError(f"{name} is {reprlib.repr(value)}, but {kind} from {low} to {high} was expected.")
    return int(value) if whole else float(value)


def is_shown(frame: Frame) -> bool:
    """Whether a step is one of at most `MOST_SHOWN`, evenly spread, with the last among them."""
    return frame.step * MOST_SHOWN // frame.steps > (frame.step - 1) * MOST_SHOWN // frame.steps
