"""Denoise: Algorithm 1 of DDPM, the training of every diffusion model here."""

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    as_condition,
    check_choice,
    check_number,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.data import Dataset, LatentData, PointData
from tinydiff.data.masks import random_masks
from tinydiff.diffusion.alpha_bar import to_multiply
from tinydiff.diffusion.editing import erased
from tinydiff.diffusion.learned_variance import variance_loss
from tinydiff.diffusion.targets import TARGETS, in_halves
from tinydiff.diffusion.weightings import WEIGHTINGS, check_gamma, loss_weight
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel, Enlarger
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective, Phase
from tinydiff.train.objectives.loss_aware import LossHistory, WithHistory
from tinydiff.train.objectives.steps import LEAST_SHIFT, MOST_SHIFT, TIMES, random_steps
from tinydiff.train.order import shuffled
from tinydiff.workers import map_shards


@checks_arguments("__init__")
@dataclass(frozen=True)
class DenoiseConfig(ValidatedConfig):
    """How a diffusion model is trained: the settings of every validated run (`ValidatedConfig`), and nine more.

    Parameters
    ----------
    condition_dropout : float
        Share of images that are shown without their label or caption, so that the model also learns to draw without
        one. A model that takes neither sees no difference.
    flip : bool
        Mirror each image, left for right, with probability 1/2 each time: for pictures that allow it, not for digits.
    time_shift : float
        1 shows every step of the noise equally often; 3 shows noisy images more often, half of them in the noisiest
        quarter, where it is decided what a picture shows (Eq. TSHIFT-1).
    image_noise : float
        0 .. 1, for an `Enlarger`: how far along the forward process small pictures are noised at most, each somewhere
        from nothing to there. A network without `image_time` sees them as they are.

    weighting : str
        How much the error at one noise counts beside that at another: ``"own"``, all errors of what the network
        predicts alike, or one of `WEIGHTINGS`, such as ``"min-snr"``, which is the same loss whatever is predicted.
    gamma : float or None
        The number of a weighting that has one; None: that of the papers.
    times : str
        How steps are drawn: ``"uniform"``, ``"stratified"``, in each batch one from each of as many equal parts, so
        that the loss jumps less, ``"logit-normal"``, more of them in the middle, or ``"loss-aware"``, more of those
        whose loss is large, which then counts as much less (Eq. IDDPM-18): for a loss whose size varies much with t.
    offset_noise : float
        How much noise of one value for a whole channel of a picture is added to the noise of its pixels; about 0.1 lets
        a model draw pictures that are dark or bright as a whole. 0: none.
    variance_weight : float
        How much the bound counts beside the loss above, for a network that learns the variance (Eq. IDDPM-16).
    """

    condition_dropout: float = 0.1
    flip: bool = False
    time_shift: float = 1.0
    image_noise: float = 0.5
    weighting: str = "own"
    gamma: float | None = None
    times: str = "uniform"
    offset_noise: float = 0.0
    variance_weight: float = 0.001

    def __post_init__(self):
        super().__post_init__()
        check_number("condition_dropout", self.condition_dropout, 0, 1)
        check_number("time_shift", self.time_shift, LEAST_SHIFT, MOST_SHIFT)
        check_number("image_noise", self.image_noise, 0, 1)
        check_choice("weighting", self.weighting, ("own", *WEIGHTINGS))
        check_gamma(self.weighting, self.gamma)
        check_choice("times", self.times, TIMES)
        check_number("offset_noise", self.offset_noise, 0, 1)
        check_number("variance_weight", self.variance_weight, 0, 1e6)
        if self.times == "loss-aware" and self.time_shift != 1:
            raise InputError(
                f"time_shift is {self.time_shift}, but with loss-aware times the losses say how often a step is shown: "
                "leave it out."
            )


@checks_arguments("__init__")
class Denoise(Objective):
    """The network learns to undo the noise of the forward process (Ho et al. 2020).

    A model whose network has ``image_channels = 1 + in_channels`` learns to fill in: it sees each picture with a random
    part erased (Nichol et al. 2021, GLIDE, section 4.3). An `Enlarger` sees it small, noised and enlarged (Eq. NCA-1).

    Parameters
    ----------
    model : DiffusionModel
        Trained in place.
    data : Dataset, LatentData or PointData
        Training images; for a `LatentDiffusion`, their latents; for an MLP, points.
    config : DenoiseConfig
    validation : Dataset, LatentData, PointData or None
        Held-out images.
    """

    config: DenoiseConfig
    told_embeddings: ClassVar[bool] = False  # whether the network is shown embeddings of pictures
    of_data_alone: ClassVar[bool] = True  # whether all of the loss is that of data, as bound and history need
    told_step_size: ClassVar[bool] = False  # whether it is told how far a step goes

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData | PointData,
        config: DenoiseConfig,
        validation: Dataset | LatentData | PointData | None = None,
    ):
        micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        super().__init__(model.network, replace(config, micro_batch=micro_batch))
        self.model, self.diffusion = model, model.diffusion
        self.data, self.validation = data, validation
        self._check_data()
        self._check_variance()
        self.history: LossHistory | None = None
        if self.config.times == "loss-aware":
            self.history = LossHistory(self.diffusion.T, model.network.theta)
            both = WithHistory(model.network, self.history)
            self.phases = [Phase(both, self.add_gradient, self.config, before_step=self.history.learn)]
        self.conditions = self._conditions(data)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. DDPM-ALG1)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        n = len(indices)

        x_0, eps = self.pairs(indices, noise)  # x_0 ~ q(x_0), eps ~ N(0, I)
        context = self._with_image(self.model.told(self.context(indices, noise)), x_0, noise)
        t, often = self.steps(noise, n)  # t ~ Uniform({1, ..., T}), unless other times are wanted
        x_t = self.diffusion.q_sample(x_0, t, eps)  # Eq. DDPM-4
        target = self.model.target(x_0, eps, t)

        tape = Tape(noise)
        output = self.network.forward(x_t, t, context, tape)
        share = n / config.batch
        predicted, variance = in_halves(output, x_0.shape[-1])
        loss, d_output = self.loss(predicted, target, t, share, often)  # Eq. DDPM-14
        of_bound: Any = 0
        if variance is not None:
            of_bound, d_variance = self.bound(predicted, variance, x_0, x_t, t, share, often)  # Eq. IDDPM-16
            loss = loss + (of_bound if often is None else often * of_bound).mean()
            d_output = noise.xp.concatenate([d_output, d_variance], axis=-1)
        if self.history is not None:
            errors = ((predicted - target) ** 2).reshape(n, -1).mean(axis=1)
            self.history.remember(t, self._weight(t) * errors + of_bound, grads)
        self.network.backward(d_output, tape, grads)
        return share * loss

    def pairs(self, indices: np.ndarray, noise: Noise) -> tuple[Array, Array]:
        """Return the x_0 and the eps of one micro-batch: these images, some of them mirrored, and fresh noise."""
        flip = noise.at(xp=np).uniform((len(indices),), "flip") < 0.5 if self.config.flip else None
        x_0, _ = self.data.batch(indices, noise.xp, flip)
        return x_0, self.eps(noise, x_0)

    def steps(self, noise: Noise, n: int) -> tuple[Array, Array | None]:
        """Return the steps of one micro-batch, as the settings say, and by what losses are multiplied, if not by 1."""
        config = self.config
        if self.history is not None:
            t, often = self.history.draw(noise, n)
            return t, often.astype(self.network.theta.dtype)
        return random_steps(noise, n, self.diffusion.T, config.time_shift, config.times, config.batch), None

    def eps(self, noise: Noise, x_0: Array) -> Array:
        """Return the noise of one micro-batch, with some that a whole channel shares if it is wanted (Eq. OFFSET-1)."""
        eps = noise.normal(x_0.shape, "eps", dtype=x_0.dtype)
        if self.config.offset_noise == 0:
            return eps
        shape = (len(x_0), *[1] * (x_0.ndim - 2), x_0.shape[-1])
        return eps + self.config.offset_noise * noise.normal(shape, "offset", dtype=x_0.dtype)

    def loss(
        self, output: Array, target: Array, t: Array, share: float, often: Array | None = None
    ) -> tuple[Array, Array]:
        """Return the loss of a micro-batch, and the gradient of its share of the batch's loss in the output.

        `often`, (N,), multiplies the loss of each sample, to make up for steps that are drawn more often than others.
        """
        weight = self._weight(t) if often is None else often * self._weight(t)
        if isinstance(weight, float):
            loss, cache = mse(output, target)
            return loss, mse_backward(share, cache)[0]
        # a squared error that counts w times is that of numbers sqrt(w) times as large
        root = to_multiply(weight**0.5, output)
        loss, cache = mse(root * output, root * target)
        return loss, root * mse_backward(share, cache)[0]

    def bound(
        self, predicted: Array, variance: Array, x_0: Array, x_t: Array, t: Array, share: float, often: Array | None
    ) -> tuple[Array, Array]:
        """Return what the bound adds to each sample's loss, and the gradient in what is said (Eq. IDDPM-16)."""
        factor = self.config.variance_weight * self.diffusion.T
        x_0_hat, _ = TARGETS[self.model.config.kind].x_0_and_eps(self.diffusion, x_t, t, predicted)
        loss, d_variance = variance_loss(self.diffusion, x_0, x_0_hat, t, variance)
        if often is not None:
            d_variance = to_multiply(often, x_t) * d_variance
        return factor * loss.reshape(len(loss), -1).mean(axis=1), factor * share / loss.size * d_variance

    def _weight(self, t):
        """Return by what the squared error at t is multiplied: 1.0, or an array (N,)."""
        config = self.config
        if config.weighting == "own":
            return 1.0
        return loss_weight(config.weighting, self.model.config.kind, self.diffusion, t, config.gamma)

    def indices(self, step: int) -> np.ndarray:
        """Return which images step 0, 1, ... sees: every epoch is a new random order of all."""
        return shuffled(len(self.data), self.config.batch, step, self.config.seed)

    def context(self, indices: np.ndarray, noise: Noise) -> Any:
        """Return the condition of each of these images; for a random share of them, the null condition."""
        if self.conditions is None:
            return None
        rows = noise.xp.asarray(self.conditions[indices])
        hidden = noise.uniform((len(rows),), "label dropout") < self.config.condition_dropout
        return noise.xp.where(hidden.reshape(-1, *[1] * (rows.ndim - 1)), self.model.null_context(), rows)

    def held_out_context(self, n: int) -> Any:
        """Return the condition of each of the first n held-out images; none is hidden."""
        assert self.validation is not None
        conditions = self._conditions(self.validation.take(slice(0, n)))
        return None if conditions is None else xp_of(self.network.theta).asarray(conditions)

    def validate(self, *networks: Any) -> dict[str, float]:
        """Return the loss on held-out images, each with the same t and eps every time."""
        data, network = self.validation, self._network(networks[0])
        if data is None:
            return {}
        n, xp = min(self.config.validation_images, len(data)), xp_of(network.theta)
        x_0, _ = data.batch(np.arange(n), xp=xp)
        noise = Noise(0, xp=xp)
        t, eps = noise.integers(1, self.diffusion.T, n, "validation t"), noise.normal(x_0.shape, "validation eps")
        context = self._with_image(self.model.told(self.held_out_context(n)), x_0, noise)
        x_t = self.diffusion.q_sample(x_0, t, eps)
        output = map_shards(network.forward, (x_t, t, context), self.config.shard_size, self.model.threads)
        loss, _ = mse(in_halves(output, x_0.shape[-1])[0], self.model.target(x_0, eps, t))
        return {"validation_loss": float(loss)}

    def identity(self) -> dict[str, Any]:
        """Return the model's shape, and the data with checksums."""
        of_data = self.data.identity()
        if isinstance(self.data, Dataset):
            of_data = {"checksums of the data": of_data["checksums"][: 2 if self.model.config.text is None else 3]}
        enlarges = {"enlarges": self.model.factor} if isinstance(self.model, Enlarger) else {}
        return {**asdict(self.model.config), **enlarges, **self.about(), **of_data}

    def about(self) -> dict[str, Any]:
        """Return the name of the data, and how many images there are."""
        return {"data": self.data.name, "images": len(self.data)}

    def trained(self, *networks: Any) -> DiffusionModel:
        """Return the model with the average of the weights, the one to draw with."""
        return replace(self.model, network=self._network(networks[0]))

    def _network(self, learned):
        """Return the network alone, of what a phase has learned: with loss-aware steps there is a history beside it."""
        return learned.network if isinstance(learned, WithHistory) else learned

    def _check_variance(self):
        """Raise unless the process is that of the bound, where a variance is learned."""
        config = self.config
        if not self.of_data_alone and (self.model.config.learns_variance or config.times == "loss-aware"):
            what = "learns the variance" if self.model.config.learns_variance else "is shown loss-aware times"
            raise InputError(f"The network {what}, which {type(self).__name__} cannot teach: train it by Denoise.")
        if not self.model.config.learns_variance:
            if config.variance_weight != DenoiseConfig.variance_weight:
                raise InputError(
                    f"variance_weight is {config.variance_weight}, but the network does not learn the variance: leave "
                    "it out, or give the network twice as many channels (tinydiff train --variance learned)."
                )
        elif config.offset_noise:
            raise InputError(
                f"offset_noise is {config.offset_noise}, but the bound, which teaches the variance, is of noise whose "
                "numbers are independent: leave it out."
            )

    def _conditions(self, data):
        """Return the condition of each image, as the network takes it: a row of tokens, a label, or None."""
        config, tokenizer = self.model.config, self.model.tokenizer
        if config.text is not None and tokenizer is not None:
            return tokenizer.rows(data.captions, config.text.length)
        if config.prior is not None:
            return to_numpy(self.model.tokens(data.captions))
        return None if config.denoiser.num_classes is None else data.labels

    def _with_image(self, context, x_0, noise):
        """Return the context with small pictures, or with partly erased ones for a network that learns to fill in."""
        denoiser = self.model.config.denoiser
        if not denoiser.image_channels:
            return context
        if isinstance(self.model, Enlarger):
            small, image_time = self.model.shrink(x_0), noise.xp.zeros(len(x_0))
            if denoiser.image_time:  # s ~ Uniform(0, S), another for each picture
                most = self.config.image_noise * self.diffusion.T
                image_time = most * noise.uniform((len(x_0),), "image time", dtype=np.float64)
            image = self.model.beside(small, image_time, noise.normal(small.shape, "small picture", dtype=small.dtype))
            told = image_time if denoiser.image_time else None
            return as_condition(context)._replace(image=image, image_time=told)
        return as_condition(context)._replace(image=erased(x_0, random_masks(len(x_0), x_0.shape[1:3], noise)))

    def _check_latents(self, name, data):
        """Raise unless latents are those of the model's autoencoder, or embeddings those of its CLIP."""
        what, found = self.model.latents_of()
        if data.autoencoder != found:
            raise InputError(
                f"{name} holds latents of the {what} {data.autoencoder}, but the model's is {found}: encode the "
                "pictures with the model's."
            )

    def _check_standardised(self, name, data):
        """Raise unless embeddings are standardised: noise of size 1 would leave nothing of small numbers."""
        size = float(np.sqrt((data.latents.astype(np.float32) ** 2).mean()))
        if not 0.5 < size < 2:
            raise InputError(
                f"{name} holds numbers of size {size:.3g}, but a prior learns standardised embeddings, of about 1: see "
                "Prior.standardised."
            )

    def _check_data(self):
        if self.model.config.embedding is not None and not self.told_embeddings:
            raise InputError("The model is a decoder, which is told embeddings of pictures: train it by Decode.")
        denoiser = self.model.config.denoiser
        shape = denoiser.shape
        if denoiser.step_size and not self.told_step_size:
            raise InputError("The network is told how far a step goes (step_size is True): train it by Shortcut.")
        if denoiser.image_time and not isinstance(self.model, Enlarger):
            raise InputError("image_time is True, but only an Enlarger is shown images that are noised: leave it out.")
        if not isinstance(self.model, Enlarger) and denoiser.image_channels not in (0, 1 + denoiser.in_channels):
            raise InputError(
                f"image_channels is {denoiser.image_channels}, but 0, or {1 + denoiser.in_channels} to learn to fill "
                "in (a mask and the picture without what is to be drawn), were expected."
            )
        config = self.model.config
        for name, data in (("data", self.data), ("validation", self.validation)):
            if data is None:
                continue
            if not len(data):
                raise InputError(f"{name} is empty: there is nothing to train on.")
            if config.prior is not None:
                self._check_standardised(name, data)
            if tuple(data.shape) != shape:
                raise InputError(f"{name} has images of shape {tuple(data.shape)}, but the model's are {shape}.")
            if isinstance(data, LatentData):
                self._check_latents(name, data)
            if (config.text is not None or config.prior is not None) and data.captions is None:
                raise InputError(f"{name} has no captions, but the model learns from text.")
            if denoiser.num_classes is not None and data.labels.max() >= denoiser.num_classes:
                raise InputError(
                    f"{name} has labels up to {data.labels.max()}, but the model's num_classes is "
                    f"{denoiser.num_classes}."
                )
