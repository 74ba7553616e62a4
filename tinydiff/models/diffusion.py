"""A trained diffusion model as a whole: the network, its diffusion and what the network predicts."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import (
    Condition,
    InputError,
    Memo,
    Noise,
    as_condition,
    check_choice,
    check_count,
    check_shape,
    map_arrays,
    to_numpy,
    weights_stand_still,
    xp_of,
)
from tinydiff.diffusion import (
    GaussianDiffusion,
    bounded,
    classifier_free_guidance,
    classifier_guidance,
    cosine_schedule,
    ddim,
    ddpm,
    dpmpp_2m,
    edm_steps,
    heun,
    linear_schedule,
    predictor,
)
from tinydiff.models.request import Guidance
from tinydiff.models.store import load, register
from tinydiff.networks import TextConfig, TextToImage, UNet, UNetConfig
from tinydiff.text import Tokenizer
from tinydiff.workers import Crew, default_threads, map_shards, processes_pay, run_parallel

SCHEDULES: dict[str, Callable[[int], np.ndarray]] = {"linear": linear_schedule, "cosine": cosine_schedule}
CACHE_BYTES = 2 * 2**20
SAMPLERS = ("ddim", "ddpm", "heun", "dpmpp_2m")
Sampler = Callable[[Callable[..., tuple[Any, Any]], Any, Noise, Any], Iterator[tuple[float, Any, Any]]]


@dataclass(frozen=True)
class ModelConfig:
    """All that is needed to build a diffusion model.

    Parameters
    ----------
    unet : UNetConfig
    schedule : str
        ``"cosine"`` or ``"linear"``.
    T : int
        Number of steps of the forward process.
    kind : str
        What the network predicts: ``"eps"``, ``"x_0"`` or ``"v"``.
    text : TextConfig or None
        Of a text encoder that is a part of the network; None for a model without text.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    schedule: str = "cosine"
    T: int = 1000
    kind: str = "v"
    text: TextConfig | None = None

    def __post_init__(self):
        check_choice("schedule", self.schedule, tuple(SCHEDULES))
        check_choice("kind", self.kind, ("eps", "x_0", "v"))
        check_count("T", self.T)
        if self.unet.out_channels not in (None, self.unet.in_channels):
            raise InputError(
                f"out_channels is {self.unet.out_channels}, but {self.kind} has as many channels as the image: "
                f"{self.unet.in_channels} were expected."
            )

    def network(self, rng: np.random.Generator | None = None) -> UNet | TextToImage:
        """Return a new network of this shape; `rng` draws its weights."""
        return UNet(self.unet, rng) if self.text is None else TextToImage(self.unet, self.text, rng)

    def diffusion(self) -> GaussianDiffusion:
        """Return the forward process."""
        return GaussianDiffusion(SCHEDULES[self.schedule](self.T))

    def target(self, diffusion: GaussianDiffusion, x_0: Any, eps: Any, t: Any) -> Any:
        """Return what a network of this kind should predict."""
        if self.kind == "eps":
            return eps
        return x_0 if self.kind == "x_0" else diffusion.v_from(x_0, eps, t)


def default_micro_batch(unet: UNetConfig) -> int:
    """Return how many images are computed together unless something else is asked for: 16, or 8 if they are large.

    What lies between two layers should stay in a processor's cache: 16 where an array of so many images at full
    resolution has at most 2 MiB. Fewer than 8 would read the weights too often, more than 16 gain little.
    """
    bytes_of_an_image = 4 * unet.channels * unet.image_size**2
    return 16 if 16 * bytes_of_an_image <= CACHE_BYTES else 8


@dataclass(frozen=True)
class DiffusionModel:
    """A network with its forward process.

    Parameters
    ----------
    network : UNet or TextToImage
    config : ModelConfig
    micro_batch : int or None
        Images that are computed together; None becomes `default_micro_batch`. It is a part of the model's numbers:
        because every shard has this size, a sample's bits do not depend on the batch it is drawn in.
    threads : int or None
        How many shards are computed at the same time; None takes one for each core.
    processes : bool or None
        Whether a chain's shards are computed by processes, where those can be made (see `Crew`), or by threads; None
        goes by the size of the network, see `processes_pay`.
    tokenizer : Tokenizer or None
        Of a model that draws from text.
    """

    network: UNet | TextToImage
    config: ModelConfig
    micro_batch: Any = None
    threads: int | None = None
    processes: bool | None = None
    tokenizer: Tokenizer | None = None

    def __post_init__(self):
        text = self.config.text
        if text is not None and (self.tokenizer is None or len(self.tokenizer) != text.vocabulary):
            found = "none" if self.tokenizer is None else f"one with {len(self.tokenizer)}"
            raise InputError(f"The text encoder knows {text.vocabulary} tokens, but the tokenizer is {found}.")
        if self.micro_batch is None:
            object.__setattr__(self, "micro_batch", default_micro_batch(self.config.unet))
        check_count("micro_batch", self.micro_batch)
        if self.threads is not None:
            check_count("threads", self.threads)

    @cached_property
    def diffusion(self) -> GaussianDiffusion:
        """The forward process."""
        return self.config.diffusion()

    def network_output(self, x_t: Any, t: Any, context: Any = None, first: int = 0, crew: Any = None) -> Any:
        """Return what the network predicts, in shards; `first` and `crew` are as for `map_shards`."""
        return map_shards(self.network.forward, (x_t, t, context), self.micro_batch, self.threads, first, crew)

    def predict(self, x_t: Any, t: Any, context: Any = None, first: int = 0, crew: Any = None) -> tuple[Any, Any]:
        """Return (x_0_hat, eps_hat), what samplers take; x_0_hat is clipped to [-1, 1]."""
        network = partial(self.network_output, first=first, crew=crew)
        return predictor(network, self.diffusion, self.config.kind)(x_t, t, context)

    def null_context(self, negative: str = "") -> Any:
        """Return one row that asks for nothing: "no class", or the empty prompt; or a prompt to be pushed away from.

        A prompt is given as token numbers, which `read` reads.
        """
        if self.config.text is not None:
            return self.tokens([negative])
        if negative:
            raise InputError(f"The negative prompt is {negative!r}, but this model does not read text.")
        classes = self.config.unet.num_classes
        return None if classes is None else xp_of(self.network.theta).full(1, classes)

    def tokens(self, prompts: Sequence[str]) -> Any:
        """Return prompts as token numbers, integers (N, length), on the model's device."""
        if self.config.text is None or self.tokenizer is None:
            raise InputError(f"The prompt is {prompts[0]!r}, but this model does not read text.")
        return xp_of(self.network.theta).asarray(self.tokenizer.rows(prompts, self.config.text.length))

    def read(self, context: Any, first: int = 0) -> Any:
        """Return a context whose token numbers are read, so that the steps of a chain need not read them again."""
        if not isinstance(self.network, TextToImage):
            return context
        return map_shards(self.network.read, (context,), self.micro_batch, self.threads, first)

    def target(self, x_0: Any, eps: Any, t: Any) -> Any:
        """Return what the network should have predicted: eps, x_0, or v."""
        return self.config.target(self.diffusion, x_0, eps, t)

    def chain(
        self,
        n: int = 16,
        seed: int = 0,
        labels: Any = None,
        steps: int | None = 50,
        sampler: str | Sampler = "ddim",
        eta: float = 0.0,
        first: int = 0,
        prompt: Any = None,
        negative: str = "",
        guidance: Guidance | float = 1.0,
        classifier: Callable[[Any, Any, Any], Any] | None = None,
        image: Any = None,
    ) -> Iterator[tuple[float, Any, Any]]:
        """Draw n samples, and yield (t, x_t, x_0_hat) after every step.

        Parameters
        ----------
        n : int
        seed : int
            Sample i of a seed is the same picture whatever n is.
        labels : int, sequence of int, or None
            The class of all or of each sample, for a classifier one of its own classes. None: the network's classes in
            turn, 0, 1, 2, ...
        steps : int or None
            Calls of the network (for ``"heun"``, at the times of `edm_steps`, about half of its calls); None takes T.
        sampler : str or callable
            ``"ddim"``, ``"ddpm"``, ``"heun"`` or ``"dpmpp_2m"``; or another way to walk a chain,
            ``f(predict, x_T, noise, context)``, which yields (t, x_t, x_0_hat).
        eta : float
            For ``"ddim"``: 0 deterministic .. 1 like ``"ddpm"``.
        first : int
            Index of the first sample: ``chain(n=1, first=5)`` draws the sixth alone.
        prompt : str, sequence of str, `Condition`, or None
            What all or each of the samples should show, for a model that reads text; None asks for nothing. A
            `Condition` holds prompts that were read, see `read`.
        negative : str
            What they should not show; it counts where guidance is not 1, and has no place beside a classifier.
        guidance : Guidance or float
            How strongly the label or the prompt is followed; a number is its scale.
        classifier : callable or None
            ``f(x_t, t, context)``, the gradient of log p(context | x_t) in x_t, such as `class_gradient`. The network
            is then told nothing, and the picture is pulled along this gradient, as strongly as the scale says. It may
            be a network that was trained without any condition.
        image : array, shape (n, H, W, image_channels), or None
            Shown to the network beside x_t, whatever else it is told, such as `erased` pictures.
        """
        check_count("n", n)
        check_count("first", first, least=0)
        steps = self.config.T if steps is None else steps
        walk = sampler if callable(sampler) else named_sampler(sampler, self.diffusion, steps, eta)
        unet = self.config.unet
        xp = xp_of(self.network.theta)
        noise = Noise(seed, first=first, xp=xp)
        x_T = noise.normal((n, unet.image_size, unet.image_size, unet.in_channels), "x_T")
        guidance = guidance if isinstance(guidance, Guidance) else Guidance(guidance)
        if classifier is not None:
            _check_goes_with_classifier(negative, guidance)
        asked = self._context(labels, prompt, n, first, xp, classifier is not None)
        null_context = self.read(self.null_context(negative))
        context = asked if classifier is not None or isinstance(asked, Condition) else self.read(asked, first)
        if guidance.scale != 1 and null_context is None and classifier is None:
            raise InputError(
                f"guidance is {guidance.scale}, but this model was trained without a condition that it could follow: "
                "leave it out."
            )
        if image is not None:
            null_context = as_condition(null_context)._replace(image=image)
            if classifier is None:  # which gets what it is asked for as it is
                context = as_condition(context)._replace(image=image)

        def guided(crew):
            def network(x_t, t, context):  # guidance puts samples in pairs: sample i then stands at 2 i and 2 i + 1
                return self.network_output(x_t, t, context, first * len(x_t) // n, crew)

            predict = predictor(network, self.diffusion, self.config.kind, clip=False)
            if classifier is not None:
                nothing = map_arrays(lambda row: xp.broadcast_to(row, (n, *row.shape[1:])), null_context)
                unconditional = partial(_with_context, predict, nothing)
                predict = classifier_guidance(
                    unconditional, self.diffusion, classifier, guidance.scale, guidance.interval
                )
            elif guidance.scale != 1:
                predict = classifier_free_guidance(
                    predict, self.diffusion, null_context, guidance.scale, guidance.interval, guidance.rescale
                )
            return bounded(predict, self.diffusion, guidance.threshold)

        pair = 1 if guidance.scale == 1 or classifier is not None else 2
        return self._side_by_side(lambda crew: walk(guided(crew), x_T, noise, context), pair * n, pair * first)

    def _side_by_side(self, chain, rows, first):
        """Run ``chain(crew)``, each call of the network with its shards side by side; the weights must stand still."""
        shards = -(-(first % self.micro_batch + rows) // self.micro_batch)
        at_once = min(default_threads() if self.threads is None else self.threads, shards)
        if xp_of(self.network.theta) is not np:
            at_once = 1
        if at_once > 1 and processes_pay(self.network.theta, self.processes):
            with Crew(self.network.forward, at_once, fixed_weights=True) as crew:
                yield from chain(crew)
        else:
            memo = Memo()  # all steps use the same weights

            def by_threads(tasks):
                with weights_stand_still(memo):
                    return run_parallel([partial(self.network.forward, *task) for task in tasks], at_once)

            yield from chain(by_threads)

    def _context(self, labels, prompt, n, first, xp, of_classifier):
        """Return what each sample is asked to show."""
        if prompt is None and (of_classifier or self.config.text is None):
            return self._labels(labels, n, first, xp, of_classifier)
        if labels is not None:
            raise InputError(f"labels is {labels}, but this model draws from text: give a prompt.")
        if isinstance(prompt, Condition):
            return prompt
        if not (prompt is None or isinstance(prompt, Iterable)):
            raise InputError(f"prompt is {prompt!r}, but a text, or one for each sample, was expected.")
        prompts = [prompt or ""] * n if prompt is None or isinstance(prompt, str) else list(prompt)
        if len(prompts) != n:
            raise InputError(
                f"There are {len(prompts)} prompts for {n} samples, but one, or one for each, was expected."
            )
        return self.tokens(prompts)

    def _labels(self, labels, n, first, xp, of_classifier):
        """Return a label for each sample, or None; a classifier knows by itself how many classes it has."""
        classes = self.config.unet.num_classes
        if labels is None:
            return None if classes is None else xp.arange(first, first + n) % classes
        if of_classifier:
            most, known = math.inf, ", classes of the classifier,"
        elif classes is None:
            raise InputError(f"labels is {labels}, but this model was trained without classes: leave the labels out.")
        else:
            most, known = classes, f" to {classes - 1}, or {classes} for no class,"
        labels = np.broadcast_to(np.asarray(labels), (n,)) if np.ndim(labels) == 0 else np.asarray(labels)
        check_shape("labels", labels, (n,))
        if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() <= most:
            raise InputError(f"labels is {labels.tolist()}, but whole numbers from 0{known} were expected.")
        return xp.asarray(labels)


def named_sampler(name: str, diffusion: GaussianDiffusion, steps: Any, eta: float = 0.0) -> Sampler:
    """Return a sampler by its name, with its steps (a number, or the times themselves); heun's times are EDM's."""
    check_choice("sampler", name, SAMPLERS)
    if name == "heun" and isinstance(steps, int):
        steps = edm_steps(diffusion, steps)
    samplers: dict[str, Sampler] = {
        "ddim": lambda predict, x_T, noise, context: ddim(predict, diffusion, x_T, steps, eta, noise, context),
        "ddpm": lambda predict, x_T, noise, context: ddpm(predict, diffusion, x_T, noise, steps, context=context),
        "heun": lambda predict, x_T, noise, context: heun(predict, diffusion, x_T, steps, context),
        "dpmpp_2m": lambda predict, x_T, noise, context: dpmpp_2m(predict, diffusion, x_T, steps, context),
    }
    return samplers[name]


def _check_goes_with_classifier(negative, guidance):
    """Raise `InputError` for what a network that is told nothing cannot do, rather than ignore it."""
    if negative:
        raise InputError(
            f"negative is {negative!r}, but with a classifier the network is told nothing, so that there is nothing to "
            "push away from: leave it out."
        )
    if guidance.rescale:
        raise InputError(
            f"rescale is {guidance.rescale}, but with a classifier there is no guess with the condition whose contrast "
            "could be brought back: leave it out."
        )


def _with_context(predict, context, x_t, t, _):
    """Predict with this context, whatever is asked for."""
    return predict(x_t, t, context)


@register("diffusion", "a diffusion model", DiffusionModel)
@dataclass(frozen=True)
class DiffusionSettings:
    """What config.json says of a diffusion model; `micro_batch` was not always written."""

    config: ModelConfig
    micro_batch: int = 8

    @classmethod
    def of(cls, model: DiffusionModel) -> "DiffusionSettings":
        """Return the settings of a model."""
        return cls(model.config, model.micro_batch)

    @staticmethod
    def parts(model: DiffusionModel) -> dict[str, Any]:
        """Return the network, and the tokenizer of a model that reads text."""
        return {"network": model.network, "tokenizer": model.tokenizer}

    def network(self) -> UNet | TextToImage:
        """Return a new network."""
        return self.config.network()

    def build(self, network: UNet | TextToImage, tokenizer: Tokenizer | None = None) -> DiffusionModel:
        """Return the model."""
        return DiffusionModel(network, self.config, self.micro_batch, tokenizer=tokenizer)


def sample(
    name: str | Path = "mnist",
    n: int = 64,
    seed: int = 0,
    labels: Any = None,
    steps: int | None = 50,
    sampler: str = "ddim",
    device: str = "auto",
    prompt: Any = None,
    negative: str = "",
    guidance: Guidance | float = 1.0,
) -> np.ndarray:
    """Draw images with a trained model.

    Parameters
    ----------
    name : str or Path
        A model that ships with tinydiff, such as ``"mnist"``, or a folder.
    n : int
        How many.
    seed : int
        The same seed gives the same pictures, and sample i is the same whatever n is.
    labels : int, sequence of int, or None
        Which class; None: all in turn.
    steps, sampler
        See `DiffusionModel.chain`.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    prompt, negative, guidance
        See `DiffusionModel.chain`; prompts are for a model that reads text, such as ``"avatars"``.

    Returns
    -------
    array, shape (n, H, W, channels), in [-1, 1]

    Examples
    --------
    >>> import tinydiff
    >>> tinydiff.sample("mnist", n=2, steps=2).shape  # doctest: +SKIP
    (2, 28, 28, 1)
    """
    model = load(name, device, kind=DiffusionModel)
    chain = model.chain(n, seed, labels, steps, sampler, prompt=prompt, negative=negative, guidance=guidance)
    for _, x_t, _ in chain:
        images = x_t
    return to_numpy(images)
