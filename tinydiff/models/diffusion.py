"""A trained diffusion model: the network, its forward process, and the chains that draw samples with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from tinydiff.base import (
    Array,
    Condition,
    InputError,
    Noise,
    Size,
    TrainingError,
    check_count,
    check_shape,
    check_sides,
    checks_arguments,
    height_and_width,
    xp_of,
)
from tinydiff.diffusion import SAMPLERS, GaussianDiffusion, Predict, predictor
from tinydiff.models.config import LARGEST_MICRO_BATCH, ModelConfig, default_micro_batch
from tinydiff.models.parts import Chain, OfParts, Progress
from tinydiff.models.predictor import guided_predictor
from tinydiff.models.request import Request
from tinydiff.models.store import register
from tinydiff.networks import MLP, DiT, PriorTransformer, TextToImage, UNet
from tinydiff.text import Tokenizer
from tinydiff.workers import MOST_THREADS, Workers

NEARLY_1 = 0.05  # how far the length of a unit vector of half precision may be from 1


@checks_arguments()
@dataclass(frozen=True)
class DiffusionModel(OfParts):
    """A network with its forward process.

    Parameters
    ----------
    network : UNet, DiT, MLP or TextToImage; in a `Prior` a PriorTransformer
    config : ModelConfig
    micro_batch : int or None
        How many images are computed together; None becomes `default_micro_batch`. It belongs to the model because it
        decides the last bits of a sample; as every shard has this size, they do not depend on how many are drawn.
    threads : int or None
        How many shards are computed at the same time; None takes one for each core.
    processes : bool or None
        Whether a chain's shards are computed by processes, where they are supported (see `Crew`), or by threads; None
        decides by the size of the network, see `processes_pay`.
    tokenizer : Tokenizer or None
        For a model that draws from text.
    """

    network: UNet | DiT | MLP | TextToImage | PriorTransformer
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
        self._check_config()
        if self.micro_batch is None:
            object.__setattr__(self, "micro_batch", default_micro_batch(self.config.denoiser))
        check_count("micro_batch", self.micro_batch, most=LARGEST_MICRO_BATCH)
        object.__setattr__(self, "micro_batch", int(self.micro_batch))
        if self.threads is not None:
            check_count("threads", self.threads, most=MOST_THREADS)

    @cached_property
    def diffusion(self) -> GaussianDiffusion:
        """The forward process."""
        return self.config.diffusion()

    # What a chain walks through, x, are the pictures themselves here; models of latents or embeddings override that.

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the pictures that it was trained on."""
        return self.config.denoiser.shape

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of."""
        return self.config.denoiser.multiple

    @property
    def x_factor(self) -> int:
        """How many times higher and wider pictures are than their x."""
        return 1

    @property
    def is_bounded(self) -> bool:
        """Whether all numbers of x lie in [-1, 1], so that a guess of x_0 can be clipped to it.

        Points in a plane may lie outside.
        """
        return self.config.mlp is None

    def with_micro_batch(self, micro_batch: int) -> Self:
        """Return the same model, which computes so many samples together."""
        return replace(self, micro_batch=micro_batch)

    def encode(self, pictures: Array) -> Array:
        """Return the x of pictures (N, H, W, C): themselves."""
        return pictures

    def decode(self, x: Array) -> Array:
        """Return the pictures of x: x itself."""
        return x

    def x_size(self, size: Size | None = None) -> tuple[int, int]:
        """Return height and width of the x of pictures of a size; None takes the size that the model was trained on."""
        height, width = self.picture_shape[:2] if size is None else height_and_width("size", size)
        check_sides("size", (height, width), self.multiple)
        return height // self.x_factor, width // self.x_factor

    def predictor(self, request: Request | None = None) -> Predict:
        """Return ``predict(x_t, t) -> (x_0_hat, eps_hat)`` for a request: network, guidance, bounds.

        This is what samplers take. The text encoder runs here, once.

        Raises
        ------
        InputError
            If the model cannot draw what is requested.

        Examples
        --------
        >>> predict = model.predictor(Request(prompt="a person with a hat", guidance=3))  # doctest: +SKIP
        >>> x_0 = last(ddim(predict, model.diffusion, x_T, steps=50))                     # doctest: +SKIP
        """
        request = Request() if request is None else request
        return guided_predictor(self, request, self._workers(request))

    def start(self, request: Request) -> tuple[Array, Noise]:
        """Return (x_T, noise): the noise that a chain starts from, and the source of the noise in its steps."""
        noise = Noise(request.seed, first=request.first, xp=xp_of(self.network.theta))
        shape = (request.count, *self.x_size(request.size), self.config.denoiser.in_channels)
        x_T = noise.normal(shape, "x_T").astype(self.network.theta.dtype, copy=False)
        return self.diffusion.scale_at(self.diffusion.T) * x_T, noise

    def chain(
        self,
        request: Request | None = None,
        sampler: str = "ddim",
        steps: int | None = 50,
        progress: Progress | None = None,
        **options: Any,
    ) -> Chain:
        """Draw samples, and yield (t, x_t, x_0_hat) after every step.

        A request that cannot be drawn is refused by this call, before the first step. The weights must not change while
        the chain runs.

        Parameters
        ----------
        request : Request or None
            What is drawn; None draws 16 samples.
        sampler : str
            One of `SAMPLERS`.
        steps : int or None
            Steps of the sampler, each one call of the network (for ``"heun"``, about two); None takes T.
        progress : callable or None
            ``progress(step, steps)`` is called after every step.
        **options
            Options of the sampler, such as `eta` of ``"ddim"`` or `order` of ``"dpm_solver"``, and where it has EDM's
            noise levels `rho` and `sigma_max`: see ``SAMPLERS[name].parameters``.
        """
        chosen = SAMPLERS[sampler]
        if chosen.tells_step_size and not self.config.denoiser.step_size:
            raise InputError(
                f"sampler is {sampler!r}, which tells the network how far each step goes, but this one has not learned "
                "to be told: take another sampler, or a model such as mnist-shortcut."
            )
        planned, given = chosen.plan(self.diffusion, steps, options)
        times = list(planned)

        def walk(predict, x_T, noise):
            return chosen(predict, self.diffusion, x_T, times, noise=noise, **given)

        return self.walk(Request() if request is None else request, walk, len(times), progress)

    def walk(self, request: Request, walk: Callable[..., Chain], steps: int, progress: Progress | None = None) -> Chain:
        """Run a chain that is not a plain sampler's, such as that of an edit.

        Parameters
        ----------
        request : Request
        walk : callable
            ``walk(predict, x_T, noise)`` yields (t, x_t, x_0_hat) after every step.
        steps : int
            How many times it yields, for `progress`.
        progress : callable or None
            As for `chain`.
        """
        workers = self._workers(request)
        predict = guided_predictor(self, request, workers)
        chain = walk(predict, *self.start(request))
        return self._walked(chain, workers, request.rows, steps, progress)

    def _walked(self, chain, workers, rows, steps, progress):
        with workers.while_weights_stand_still(self.network.forward, self.network.theta, rows):
            for step, state in enumerate(chain, 1):
                self._check_finite(state, last=step == steps)
                if progress is not None:
                    progress(step, steps)
                yield state

    def _check_finite(self, state, last):
        """Raise where a chain holds NaN or infinity; on a GPU, which would have to wait, only after the last step."""
        t, x_t, _ = state
        xp = xp_of(x_t)
        if (xp is np or last) and not bool(xp.isfinite(x_t).all()):
            raise TrainingError(
                f"The network's output is not finite in the step to t = {t:g}: the training of this model diverged, or "
                "its weights are damaged. Use another checkpoint, or train it with a smaller learning rate."
            )

    def _workers(self, request):
        return Workers(self.micro_batch, self.threads, self.processes, request.count, request.first)

    def network_output(self, x_t: Array, t: Array, context: Any = None) -> Array:
        """Return the network's output, computed in shards; with a learned variance it has twice the channels of x_t."""
        return Workers(self.micro_batch, self.threads).map(self.network.forward, x_t, t, context)

    def predict(self, x_t: Array, t: Array, context: Any = None) -> tuple[Array, Array]:
        """Return (x_0_hat, eps_hat), what samplers take; x_0_hat is clipped to [-1, 1] where x `is_bounded`."""
        kind, learns_variance = self.config.kind, self.config.learns_variance
        return predictor(self.network_output, self.diffusion, kind, self.is_bounded, learns_variance)(x_t, t, context)

    def target(self, x_0: Array, eps: Array, t: Array) -> Array:
        """Return what the network should predict: eps, x_0, or v."""
        return self.config.target(self.diffusion, x_0, eps, t)

    def condition(self, request: Request) -> Any:
        """Return the condition of each sample: labels, token numbers, encoded texts, or None."""
        if request.embedding is not None and (self.config.embedding is None or request.classifier is not None):
            why = "a classifier says what is drawn" if self.config.embedding else "this model is told none"
            raise InputError(f"embedding was given, but {why}: leave it out.")
        if request.prompt is None and (request.classifier is not None or self.config.text is None):
            return self._labels(request)
        if request.labels is not None and self.config.text is not None:
            raise InputError(f"labels is {request.labels}, but this model draws from text: give a prompt.")
        if isinstance(request.prompt, Condition):
            if request.embedding is not None:
                raise InputError("embedding was given, but encoded prompts hold it already: leave one of them out.")
            return request.prompt
        return self._with_embedding(self.tokens(request.prompts), request.embedding)

    def null_context(self, negative: str = "") -> Any:
        """Return one row without a condition: "no class", or the empty prompt; or the negative prompt.

        Prompts are returned as token numbers, which `read` encodes. There is no embedding of a picture in it: zeros.
        """
        if self.config.text is not None:
            size = self.config.embedding
            nothing = None if size is None else xp_of(self.network.theta).zeros((1, size), self.network.theta.dtype)
            return self._with_embedding(self.tokens([negative]), nothing)
        if negative:
            raise InputError(f"The negative prompt is {negative!r}, but this model does not read text: leave it out.")
        classes = self.config.denoiser.num_classes
        return None if classes is None else xp_of(self.network.theta).full(1, classes)

    def tokens(self, prompts: Sequence[str]) -> Array:
        """Return prompts as token numbers, integers (N, length), on the model's device."""
        if self.config.text is None or self.tokenizer is None:
            classes = self.config.denoiser.num_classes
            instead = "leave it out" if classes is None else "leave it out, or ask for one of its classes (label)"
            raise InputError(f"The prompt is {prompts[0]!r}, but this model does not read text: {instead}.")
        return xp_of(self.network.theta).asarray(self.tokenizer.rows(prompts, self.config.text.length))

    def check_draws(self) -> None:
        """Raise `InputError` unless it draws pictures of words, of classes or of nothing, by itself."""
        if self.config.embedding is not None:
            raise InputError(
                "This model is the decoder of an unCLIP, and draws of embeddings of pictures: ask the whole unCLIP, or "
                "give embeddings to DiffusionModel.draw."
            )
        if self.config.prior is not None:
            raise InputError("This network draws embeddings, not pictures: make a Prior of it.")

    def told(self, context: Any) -> Any:
        """Return what the network is told in training, of a context: the same, but for a `Prior`."""
        return context

    def latents_of(self) -> tuple[str, str]:
        """Return what its x come from, in a word, and a checksum of it; pictures come from nothing."""
        return "autoencoder", "none"

    def read(self, context: Any, first: int = 0) -> Any:
        """Return a context with its token numbers encoded, so that the steps of a chain need not encode them again."""
        if not isinstance(self.network, TextToImage):
            return context
        return Workers(self.micro_batch, self.threads, first=first).map(self.network.read, context)

    def _check_config(self):
        """Raise unless the configuration is the network's, so that a folder says of which shape its weights are."""
        shape, said = getattr(getattr(self.network, "denoiser", self.network), "config", None), self.config.denoiser
        if shape is None or shape == said:
            return
        own, other = type(shape).__name__, type(said).__name__
        if own == other:
            name = next(
                field.name for field in fields(shape) if getattr(shape, field.name) != getattr(said, field.name)
            )
            own, other = (f"{name} = {getattr(of, name)}" for of in (shape, said))
        raise InputError(
            f"network was built with {own}, but config says {other}: give the network's own configuration."
        )

    def _with_embedding(self, tokens, embedding):
        """Return tokens alone, or with the embeddings that a decoder draws of."""
        size = self.config.embedding
        if size is None:
            return tokens
        if embedding is None:
            self.check_draws()
        weights = self.network.theta
        check_shape("embedding", embedding, (len(tokens), size))
        lengths = xp_of(embedding).sqrt((embedding**2).sum(axis=-1))
        wrong = lengths[(abs(lengths - 1) > NEARLY_1) & (lengths > 0)]
        if len(wrong):
            raise InputError(
                f"embedding holds a vector of length {float(wrong[0]):.3g}, but unit vectors, as a CLIP gives them, or "
                "zeros were expected."
            )
        return Condition(tokens=tokens, pooled=xp_of(weights).asarray(embedding, dtype=weights.dtype))

    def _labels(self, request):
        """Return a label for each sample, or None; a classifier knows by itself how many classes it has."""
        classes, labels = self.config.denoiser.num_classes, request.labels
        n, xp = request.count, xp_of(self.network.theta)
        if labels is None:
            return None if classes is None else xp.arange(request.first, request.first + n) % classes
        if request.classifier is None:
            if classes is None:
                raise InputError(f"labels is {labels}, but this model knows no classes: leave the labels out.")
            if labels.dtype.kind == "U":
                labels = np.vectorize(self.config.label_of, otypes=[int])(labels)
            if labels.max() > classes:
                names = self.config.class_names
                called = "" if names is None else f": these are {', '.join(names)}"
                raise InputError(
                    f"labels is {labels[labels > classes].ravel()[0]}, but whole numbers from 0 to {classes - 1}, or "
                    f"{classes} for no class, were expected{called}."
                )
        return xp.asarray(np.broadcast_to(labels, (n,)))


@register("diffusion", "a diffusion model", DiffusionModel)
@dataclass(frozen=True)
class DiffusionSettings:
    """What config.json says of a diffusion model; older folders lack `micro_batch`."""

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

    def network(self) -> UNet | DiT | MLP | TextToImage:
        """Return a new network."""
        return self.config.network()

    def build(self, network: UNet | DiT | MLP | TextToImage, tokenizer: Tokenizer | None = None) -> DiffusionModel:
        """Return the model."""
        return DiffusionModel(network, self.config, self.micro_batch, tokenizer=tokenizer)
