"""What is asked of a model: one value, checked once, for a chain, an edit, the page, an evaluation and the commands."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tinydiff.base import (
    Array,
    Condition,
    InputError,
    Noise,
    Size,
    arrays_of,
    check_choice,
    check_count,
    check_finite,
    check_number,
    check_shape,
    checked,
    checks_arguments,
    counted,
    height_and_width,
    there_are,
    to_numpy,
)
from tinydiff.diffusion.guidance import check_interval

DEFAULT_N = 16
GUIDANCE_FOR_PROMPTS = 2.0  # how strongly commands, the page and `sample` follow words unless told otherwise
SAMPLER = "dpmpp_2m"  # of commands, the page and `sample`: in `STEPS` steps as good as DDIM in 50 (see avatars' card)
STEPS = 20  # of that sampler
STEPS_OF_OTHERS = 50
SEEDS, STRIDE = 2**32, 2654435761  # of parts of what is drawn, whose noise should be another, see `other_seed`


@checked()
def usual_steps(sampler: str) -> int:
    """Return how many steps a sampler takes unless told otherwise: `STEPS` of `SAMPLER`, more of the others."""
    return STEPS if sampler == SAMPLER else STEPS_OF_OTHERS


@dataclass(frozen=True)
class Guidance:
    """How strongly a sample follows its condition, and how it is kept within bounds.

    Parameters
    ----------
    scale : float
        0 ignores the condition, 1 follows it as learned, above 1 exaggerates (`classifier_free_guidance`).
    interval : (float, float) or None
        Guide at times low < t <= high only; elsewhere the scale is 1.
    rescale : float
        0 .. 1, see `classifier_free_guidance`; not with a classifier.
    threshold : str
        ``"static"`` or ``"dynamic"``, see `bounded`.
    """

    scale: float = 1.0
    interval: tuple[float, float] | None = None
    rescale: float = 0.0
    threshold: str = "static"

    def __post_init__(self):
        check_number("guidance", self.scale, -100, 100)
        check_number("rescale", self.rescale, 0, 1)
        object.__setattr__(self, "threshold", str(self.threshold))
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "rescale", float(self.rescale))
        check_choice("threshold", self.threshold, ("static", "dynamic"))
        check_interval(self.interval)


@checked()
def guidance_for(prompt: str | Sequence[str] | Condition | None = None, negative: str = "") -> float:
    """Return how strongly a picture follows its prompt unless it is said: 1 where there are no words to follow.

    A `Request` itself asks for 1, the model as it was learned, which inversion needs too.
    """
    return GUIDANCE_FOR_PROMPTS if prompt is not None or negative else 1.0


@checked()
def other_seed(seed: int, i: int) -> int:
    """Return a seed for part i = 1, 2, ... of what is drawn in parts, far from the seed of the first one, `seed`."""
    return (seed + i * STRIDE) % SEEDS


@checks_arguments("__init__", "for_images")
@dataclass(frozen=True, eq=False)
class Request:
    """What is to be drawn. Whether a model can draw it, the model says.

    Parameters
    ----------
    n : int or None
        How many samples. None takes as many as there are labels, prompts, images or embeddings, or 16.
    seed : int
        Sample i of a seed is the same picture, whatever n is.
    labels : int, str, sequence of either, or None
        The class of all samples, or of each, by its number or by its name (`ModelConfig.class_names`); with a
        classifier, one of the classifier's classes, by number. None: the network's classes in turn, 0, 1, 2, ...
    prompt : str, sequence of str, `Condition`, or None
        What all samples, or each of them, should show, for a model that reads text; None is the empty prompt. A
        `Condition` holds encoded prompts, see `DiffusionModel.read`.
    negative : str
        What they should not show. It has an effect where guidance is not 1, and is refused with a classifier.
    guidance : Guidance or float
        How strongly the label or the prompt is followed; a number is its scale. 1 is the model as it was learned;
        prompts are followed better by `GUIDANCE_FOR_PROMPTS`, which `tinydiff.sample` and the commands take.
    classifier : callable or None
        ``f(x_t, t, context)``, the gradient of log p(context | x_t) in x_t, such as `class_gradient`. The network
        then gets no condition, and the picture is moved along this gradient, as far as the scale says. The network may
        be one that was trained without any condition.
    image : array, shape (n, H, W, image_channels), or None
        An input of the network beside x_t, besides any other condition, such as `erased` pictures.
    image_time : array, shape (n,), or None
        Up to which step of the forward process these images were noised, see `Enlarger.request_for`.
    embedding : array, shape (n, embedding), or None
        What a decoder of embeddings draws pictures of, besides a prompt; see `UnClip`.
    size : int, (int, int) or None
        Height and width of the samples, one number if they are equal; None takes those that the model was trained on.
    first : int
        Index of the first sample: ``Request(n=1, first=5)`` asks for the sixth one only.

    Raises
    ------
    InputError
        If a value is none of these, or two of them contradict each other.

    Examples
    --------
    >>> Request(prompt=["a person with a hat", "a person with red hair"]).count
    2
    """

    n: int | None = None
    seed: int = 0
    labels: Any = None
    prompt: Any = None
    negative: str = ""
    guidance: Any = 1.0
    classifier: Callable[[Array, Array, Array], Array] | None = None
    image: Array | None = None
    image_time: Array | None = None
    embedding: Array | None = None
    size: Size | None = None
    first: int = 0

    def __post_init__(self):
        if not isinstance(self.guidance, Guidance):
            check_number("guidance", self.guidance, -100, 100)
            self._set("guidance", Guidance(self.guidance))
        if self.labels is not None:
            self._set("labels", np.asarray(to_numpy(self.labels) if hasattr(self.labels, "dtype") else self.labels))
            if self.labels.dtype.kind in "iu":
                self._set("labels", self.labels.astype(np.int64))  # where unsigned ones that are too large get negative
        if isinstance(self.prompt, Iterable) and not isinstance(self.prompt, (str, Condition)):
            self._set("prompt", list(self.prompt))
        if self.size is not None:
            self._set("size", height_and_width("size", self.size))
        self._check()

    @classmethod
    def of(cls, **asked: Any) -> "Request":
        """Return a request; a name that cannot be asked for is refused by a sentence."""
        known = [field.name for field in fields(cls)]
        for name in asked:
            if name not in known:
                raise InputError(f"{name} cannot be asked for; what can: {', '.join(known)}.")
        return cls(**asked)

    @property
    def count(self) -> int:
        """How many samples: n, or as many as there are labels, prompts, images or embeddings, or 16."""
        if self.n is not None:
            return self.n
        if isinstance(self.prompt, Condition):
            return len(arrays_of(self.prompt)[0])
        given: tuple[Any, ...] = (self.labels, self.prompt, self.image, self.embedding)
        lists = [asked for asked in given if _is_row(asked)]
        return len(lists[0]) if lists else DEFAULT_N

    @property
    def prompts(self) -> list[str]:
        """A text for each sample; without a prompt, the empty one."""
        return self.prompt if isinstance(self.prompt, list) else [self.prompt or ""] * self.count

    @property
    def rows(self) -> int:
        """How many rows the network sees at once: guidance without a classifier shows it every sample twice."""
        return self.count if self.guidance.scale == 1 or self.classifier is not None else 2 * self.count

    def for_images(self, images: Array) -> "Request":
        """Return the same request for as many samples as there are images, and of their size."""
        if self.n not in (None, len(images)):
            raise InputError(
                f"n is {self.n}, but {there_are(len(images), 'image')}, and each is one sample: leave n out."
            )
        if self.size not in (None, images.shape[1:3]):
            raise InputError(f"size is {self.size}, but the images have {images.shape[1:3]}: leave size out.")
        return replace(self, n=len(images), size=images.shape[1:3])

    def _check(self):
        check_count("n", self.count)
        check_count("first", self.first, least=0)
        Noise(self.seed)  # an unfit seed is refused
        self._check_texts()
        self._check_arrays()
        self._check_options_have_an_effect()

    def _check_texts(self):
        if not (self.prompt is None or isinstance(self.prompt, (str, list, Condition))):
            raise InputError(f"prompt is {self.prompt!r}, but a text, or one for each sample, was expected.")
        if isinstance(self.prompt, list):
            for text in self.prompt:
                if not isinstance(text, str):
                    raise InputError(f"prompt holds {text!r}, but texts were expected.")
            if len(self.prompt) != self.count:
                raise InputError(
                    f"{there_are(len(self.prompt), 'prompt').capitalize()} for {counted(self.count, 'sample')}, "
                    "but one, or one for each, was expected."
                )
        if not isinstance(self.negative, str):
            raise InputError(f"negative is {self.negative!r}, but a text was expected.")

    def _check_arrays(self):
        if self.labels is not None:
            if self.labels.ndim:
                check_shape("labels", self.labels, (self.count,))
            if self.labels.dtype.kind != "U" and (self.labels.dtype.kind not in "iu" or self.labels.min() < 0):
                raise InputError(
                    f"labels is {self.labels.tolist()}, but whole numbers from 0, or names of classes, were expected."
                )
            if self.labels.dtype.kind == "U" and self.classifier is not None:
                raise InputError(
                    f"labels is {self.labels.tolist()}, but a classifier knows its classes by number only."
                )
        if isinstance(self.prompt, Condition):
            for array in arrays_of(self.prompt):
                check_shape("prompt", array, (self.count, *[None] * (array.ndim - 1)))
        for name in ("image", "embedding", "image_time"):
            if (array := getattr(self, name)) is not None:
                check_finite(name, array)
        if self.image is not None:
            check_shape("image", self.image, (self.count, None, None, None))
        if self.embedding is not None:
            check_shape("embedding", self.embedding, (self.count, None))
        if self.image_time is not None:
            if self.image is None:
                raise InputError("image_time was given, but no image, of whose noise it could tell: leave it out.")
            check_shape("image_time", self.image_time, (self.count,))
        if self.classifier is not None and not callable(self.classifier):
            raise InputError(f"classifier is {self.classifier!r}, but a function of x_t, t and a context was expected.")

    def _check_options_have_an_effect(self):
        if self.classifier is None and self.guidance.scale == 1:
            guidance = self.guidance
            idle = {"negative": self.negative, "interval": guidance.interval, "rescale": guidance.rescale}
            for name, value in idle.items():
                if value:
                    raise InputError(
                        f"{name} is {value!r}, but it changes nothing where guidance is 1: give another guidance, or "
                        "leave it out."
                    )
        if self.classifier is not None and self.negative:
            raise InputError(
                f"negative is {self.negative!r}, but with a classifier the network is told nothing, so that there is "
                "nothing to push away from: leave it out."
            )
        if self.classifier is not None and self.guidance.rescale:
            raise InputError(
                f"rescale is {self.guidance.rescale}, but with a classifier there is no guess with the condition whose "
                "contrast could be brought back: leave it out."
            )

    def _set(self, name, value):
        object.__setattr__(self, name, value)


def _is_row(asked: Any) -> bool:
    """Return whether a value says something for each sample: a list, or an array with axes, of any device."""
    return isinstance(asked, list) or getattr(asked, "ndim", False)
