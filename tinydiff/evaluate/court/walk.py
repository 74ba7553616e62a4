"""A sampler is called as all are; whatever it does instead of drawing ends in a sentence, and it always ends."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinydiff.base import Array, InputError, Noise, counted, shown
from tinydiff.base.ending import TooLong, tried, within_steps
from tinydiff.diffusion import SAMPLERS, GaussianDiffusion, Predict, Sampler
from tinydiff.diffusion.samplers.chain import NoiseSource

CALLS_PER_STEP = 300  # more than any sampler makes: then it is stopped
LONGEST_REASON = 160  # characters of an error's own text
NEEDED = ("predict", "diffusion", "x_T", "steps")


class Fault(Exception):
    """A sampler did not draw: what it did, as a kind and a sentence."""

    def __init__(self, kind: str, sentence: str):
        super().__init__(sentence)
        self.kind = kind


class TooManyCalls(BaseException):
    """A sampler asked for more predictions than it may; not an Exception, which it might catch."""


class Defendant:
    """A sampler, of the list or anybody's, with its options: called in one way, with its calls counted.

    Parameters
    ----------
    sampler : str, Sampler or callable
        A name of `SAMPLERS`, or any ``f(predict, diffusion, x_T, steps, ..., end=)`` that yields (t, x_t, x_0_hat).
    options : mapping
        Options of its own.
    name : str or None
    """

    def __init__(self, sampler: Any, options: Mapping[str, Any], name: str | None = None):
        self.sampler = SAMPLERS[sampler] if isinstance(sampler, str) else sampler
        self.options = dict(options)
        if isinstance(self.sampler, Sampler):
            self.name, self.takes_noise = self.sampler.name, self.sampler.draws_noise
            self.context: dict[str, Any] = {}
        else:
            self.name, self.takes_noise, self.context = _read(self.sampler, self.options)
        self.name = name or self.name
        self.drew_noise = False

    def end_of(
        self,
        predict: Predict,
        diffusion: GaussianDiffusion,
        x: Array,
        steps: Sequence[float],
        end: float = 0,
        noise: NoiseSource | None = None,
    ) -> tuple[Array, int]:
        """Return the last x of the chain and how often it asked for a prediction.

        Raises
        ------
        Fault
            If it returns nothing, yields something else, never ends, changes x, raises an error, or x is not finite.
        """
        (*_, x_last), calls = self.states(predict, diffusion, x, steps, end, noise)
        return x_last, calls

    def states(
        self,
        predict: Predict,
        diffusion: GaussianDiffusion,
        x: Array,
        steps: Sequence[float],
        end: float = 0,
        noise: NoiseSource | None = None,
    ) -> tuple[list[Array], int]:
        """Return x after each step, and the number of calls; the errors are those of `end_of`."""
        calls, most = 0, CALLS_PER_STEP * (len(steps) + 10)

        def counting(x_t, t, context=None):
            nonlocal calls
            calls += 1
            if calls > most:
                raise TooManyCalls
            return predict(x_t, t, context)

        x = x.copy()
        x.setflags(write=False)
        given: dict[str, Any] = {**self.options, **self.context, "end": end}
        if self.takes_noise:
            given["noise"] = _Watched(Noise(0) if noise is None else noise, self)
        with np.errstate(all="ignore"):
            try:
                return _states(self.sampler(counting, diffusion, x, list(steps), **given), len(steps), x.shape), calls
            except TooManyCalls:
                of = f"{most:,} times in {counted(len(steps), 'step')}"
                raise Fault("never_ends", f"it asked for predictions {of}: does its loop ever end?") from None
            except (Fault, InputError, KeyboardInterrupt):
                raise
            except Exception as error:
                raise _told(error) from error

    def try_first(self, *given: Any) -> None:
        """Raise `Fault` if a chain never ends: it is walked by a child first, and its lines are counted."""

        def run():
            within_steps(self.end_of, given)

        why = tried(run)
        if not why:
            try:
                run()
            except TooLong as endless:
                why = str(endless)
        if why:
            raise Fault("never_ends", f"it {why.replace('for a small input', 'for two steps')}")


class _Watched:
    """A source of noise that remembers that some was drawn."""

    def __init__(self, noise, defendant):
        self.noise, self.defendant = noise, defendant

    def at(self, **changes):
        return _Watched(self.noise.at(**changes), self.defendant)

    def normal(self, shape, purpose, layer="", dtype=np.float64):
        self.defendant.drew_noise = True
        return self.noise.normal(shape, purpose, layer=layer, dtype=dtype)


def _read(sampler: Callable[..., Any], options: Mapping[str, Any]) -> tuple[str, bool, dict[str, Any]]:
    """Return a callable's name, whether it takes noise, and a context if it must have one; refuse what is none."""
    if not callable(sampler):
        raise InputError(f"sampler is {shown(sampler)}, but the name of a sampler, or a function, was expected.")
    name = getattr(sampler, "__name__", type(sampler).__name__)
    try:
        parameters = inspect.signature(sampler).parameters
    except (TypeError, ValueError):
        raise InputError(f"{name} does not say which arguments it takes: wrap it in a function of Python.") from None
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    positional = [n for n, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < len(NEEDED) and not many:
        raise InputError(
            f"{name} takes ({', '.join(parameters)}), but a sampler is called with ({', '.join(NEEDED)}, ..., end)."
        )
    for option in ("end", *options):
        if option not in parameters and not anything:
            why = "a chain is judged where it ends at a finite lambda" if option == "end" else "it was given"
            raise InputError(f"{name} takes no argument {option}, but {why}: it takes ({', '.join(parameters)}).")
    context = parameters.get("context")
    bare = context is not None and context.default is context.empty
    return name, "noise" in parameters or anything, {"context": None} if bare else {}


def _states(chain: Any, steps: int, shape: tuple[int, ...]) -> list[Array]:
    """Return x after each step of a chain."""
    if chain is None:
        raise Fault("returns_nothing", "it returns nothing (None): a sampler is a generator, with `yield t, x_t, x_0`.")
    if isinstance(chain, np.ndarray):
        raise Fault("no_chain", "it returns an array: a sampler yields (t, x_t, x_0_hat) after each step.")
    if not isinstance(chain, Iterable):
        raise Fault("no_chain", f"it returns {shown(chain)}: a sampler yields (t, x_t, x_0_hat) after each step.")
    states: list[Array] = []
    for state in chain:
        if not (isinstance(state, tuple) and len(state) == 3):
            raise Fault("no_chain", "what it yields is not (t, x_t, x_0_hat), three things in a tuple.")
        x_t = np.asarray(state[1])
        if x_t.shape != shape:
            raise Fault("wrong_shape", f"x has the shape {x_t.shape}, but it began with {shape}.")
        if not np.isfinite(x_t).all():
            raise Fault("not_finite", f"x is NaN or infinite after the step to t = {float(state[0]):.4g}.")
        states.append(x_t)
        if len(states) > CALLS_PER_STEP * (steps + 10):
            raise Fault("never_ends", f"it yields and yields: {len(states):,} times for {counted(steps, 'step')}.")
    if not states:
        raise Fault("returns_nothing", "it yields nothing, so that there is no sample.")
    return states


def _told(error: Exception) -> Fault:
    """Return the fault that an error of the sampler's own stands for."""
    if isinstance(error, ValueError) and "read-only" in str(error):
        return Fault("changes_input", "it changes x_T, its input: make a new array, x_t = x_t + ..., not x_t += ....")
    why = " ".join(str(error).split())[:LONGEST_REASON]
    return Fault("raises", f"it raised {type(error).__name__}{': ' + why if why else ''}.")
