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
    check_count,
    check_number,
    checked,
    checks_arguments,
    to_numpy,
    xp_of,
)
from tinydiff.data import Dataset, LatentData
from tinydiff.data.masks import random_masks
from tinydiff.diffusion.alpha_bar import to_multiply
from tinydiff.diffusion.editing import erased
from tinydiff.diffusion.weightings import WEIGHTINGS, check_gamma, loss_weight
from tinydiff.functional import mse, mse_backward
from tinydiff.models import DiffusionModel, Enlarger
from tinydiff.nn import Gradients, Tape
from tinydiff.train.config import ValidatedConfig
from tinydiff.train.objective import Objective
from tinydiff.train.order import shuffled
from tinydiff.workers import map_shards

LEAST_SHIFT, MOST_SHIFT = 1e-3, 1e3  # of the times
TIMES = ("uniform", "stratified", "logit-normal")


@checks_arguments("__init__")
@dataclass(frozen=True)
class DenoiseConfig(ValidatedConfig):
    """How a diffusion model is trained: the settings of every validated run (`ValidatedConfig`), and eight more.

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
        that the loss jumps less, or ``"logit-normal"``, more of them in the middle.
    offset_noise : float
        How much noise of one value for a whole channel of a picture is added to the noise of its pixels; about 0.1 lets
        a model draw pictures that are dark or bright as a whole. 0: none.
    """

    condition_dropout: float = 0.1
    flip: bool = False
    time_shift: float = 1.0
    image_noise: float = 0.5
    weighting: str = "own"
    gamma: float | None = None
    times: str = "uniform"
    offset_noise: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        check_number("condition_dropout", self.condition_dropout, 0, 1)
        check_number("time_shift", self.time_shift, LEAST_SHIFT, MOST_SHIFT)
        check_number("image_noise", self.image_noise, 0, 1)
        check_choice("weighting", self.weighting, ("own", *WEIGHTINGS))
        check_gamma(self.weighting, self.gamma)
        check_choice("times", self.times, TIMES)
        check_number("offset_noise", self.offset_noise, 0, 1)


@checked()
def random_steps(
    noise: Noise, n: int, T: int, time_shift: float = 1.0, times: str = "uniform", batch: int | None = None
) -> Array:
    """Return random steps t = 1 .. T, as a training draws them (Eq. TSHIFT-1; Esser et al. 2024, Eq. 23).

    Parameters
    ----------
    noise : Noise
        Where randomness comes from.
    n : int
        How many.
    T : int
        Steps of the forward process.
    time_shift : float
        1 makes every step as likely as any other. With s, half of the steps are above ``T s / (1 + s)``: with 3, in the
        noisiest quarter.
    times : str
        ``"uniform"``, each by itself; ``"stratified"``, sample i of a batch in the i-th part of it, counted from a
        random place (Eq. STRATA-1); ``"logit-normal"``, most in the middle (Eq. LOGITN-1).
    batch : int or None
        Of how many samples a batch is, of which these are a part that begins at ``noise.first``; None: of these.

    Returns
    -------
    integer array, shape (n,)

    Raises
    ------
    InputError
        If n, T or batch is not a whole number above 0, `time_shift` not from 0.001 to 1000, or `times` unknown.

    References
    ----------
    Kingma, Salimans, Poole, Ho, "Variational diffusion models", NeurIPS 2021, appendix I.1 (stratified); Esser et al.,
    "Scaling rectified flow transformers for high-resolution image synthesis", 2024 (the shift, logit-normal).
    """
    check_count("n", n)
    check_count("T", T)
    check_number("time_shift", time_shift, LEAST_SHIFT, MOST_SHIFT)
    check_choice("times", times, TIMES)
    batch = n if batch is None else batch
    check_count("batch", batch)
    if times == "uniform" and time_shift == 1:
        return noise.integers(1, T, n, "t")
    if times == "logit-normal":
        u = 1 / (1 + noise.xp.exp(-noise.normal((n,), "t", dtype=np.float64)))
    elif times == "stratified":
        begin = noise.at(first=0).uniform((1,), "t", dtype=np.float64)  # the same for all parts of a batch
        u = (begin + (noise.first + noise.xp.arange(n)) / batch) % 1
    else:
        u = noise.uniform((n,), "t", dtype=np.float64)
    return (T * time_shift * u / (1 + (time_shift - 1) * u)).astype(np.int64) + 1


@checks_arguments("__init__")
class Denoise(Objective):
    """The network learns to undo the noise of the forward process (Ho et al. 2020).

    A model whose network has ``image_channels = 1 + in_channels`` learns to fill in: it sees each picture with a random
    part erased (Nichol et al. 2021, GLIDE, section 4.3). An `Enlarger` sees it small, noised and enlarged (Eq. NCA-1).

    Parameters
    ----------
    model : DiffusionModel
        Trained in place.
    data : Dataset or LatentData
        Training images; for a `LatentDiffusion`, their latents.
    config : DenoiseConfig
    validation : Dataset, LatentData or None
        Held-out images.
    """

    config: DenoiseConfig
    told_embeddings: ClassVar[bool] = False  # whether the network is shown embeddings of pictures
    told_step_size: ClassVar[bool] = False  # whether it is told how far a step goes

    def __init__(
        self,
        model: DiffusionModel,
        data: Dataset | LatentData,
        config: DenoiseConfig,
        validation: Dataset | LatentData | None = None,
    ):
        micro_batch = model.micro_batch if config.micro_batch is None else config.micro_batch
        super().__init__(model.network, replace(config, micro_batch=micro_batch))
        self.model, self.diffusion = model, model.diffusion
        self.data, self.validation = data, validation
        self._check_data()
        self.conditions = self._conditions(data)

    def add_gradient(self, step: int, shard: int, grads: Gradients) -> Array:
        """Add one micro-batch's part of the gradient to `grads`; return its part of the loss (Eq. DDPM-ALG1)."""
        config, noise = self.config, self.noise(step, shard)
        indices = self.indices(step)[config.part(shard)]
        n = len(indices)

        x_0, eps = self.pairs(indices, noise)  # x_0 ~ q(x_0), eps ~ N(0, I)
        context = self._with_image(self.model.told(self.context(indices, noise)), x_0, noise)
        t = self.steps(noise, n)  # t ~ Uniform({1, ..., T}), unless other times are wanted
        x_t = self.diffusion.q_sample(x_0, t, eps)  # Eq. DDPM-4
        target = self.model.target(x_0, eps, t)

        tape = Tape(noise)
        output = self.network.forward(x_t, t, context, tape)
        share = n / config.batch
        loss, d_output = self.loss(output, target, t, share)  # Eq. DDPM-14
        self.network.backward(d_output, tape, grads)
        return share * loss

    def pairs(self, indices: np.ndarray, noise: Noise) -> tuple[Array, Array]:
        """Return the x_0 and the eps of one micro-batch: these images, some of them mirrored, and fresh noise."""
        flip = noise.at(xp=np).uniform((len(indices),), "flip") < 0.5 if self.config.flip else None
        x_0, _ = self.data.batch(indices, noise.xp, flip)
        return x_0, self.eps(noise, x_0)

    def steps(self, noise: Noise, n: int) -> Array:
        """Return the steps of one micro-batch, as the settings say."""
        config = self.config
        return random_steps(noise, n, self.diffusion.T, config.time_shift, config.times, config.batch)

    def eps(self, noise: Noise, x_0: Array) -> Array:
        """Return the noise of one micro-batch, with some that a whole channel shares if it is wanted (Eq. OFFSET-1)."""
        eps = noise.normal(x_0.shape, "eps", dtype=x_0.dtype)
        if self.config.offset_noise == 0:
            return eps
        shape = (len(x_0), *[1] * (x_0.ndim - 2), x_0.shape[-1])
        return eps + self.config.offset_noise * noise.normal(shape, "offset", dtype=x_0.dtype)

    def loss(self, output: Array, target: Array, t: Array, share: float) -> tuple[Array, Array]:
        """Return the loss of a micro-batch, and the gradient of its share of the batch's loss in the output."""
        config = self.config
        if config.weighting != "own":  # a squared error that counts w times is that of numbers sqrt(w) times as large
            weight = loss_weight(config.weighting, self.model.config.kind, self.diffusion, t, config.gamma)
            root = to_multiply(weight**0.5, output)
            loss, cache = mse(root * output, root * target)
            return loss, root * mse_backward(share, cache)[0]
        loss, cache = mse(output, target)
        return loss, mse_backward(share, cache)[0]

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
        (network,), data = networks, self.validation
        if data is None:
            return {}
        n, xp = min(self.config.validation_images, len(data)), xp_of(network.theta)
        x_0, _ = data.batch(np.arange(n), xp=xp)
        noise = Noise(0, xp=xp)
        t, eps = noise.integers(1, self.diffusion.T, n, "validation t"), noise.normal(x_0.shape, "validation eps")
        context = self._with_image(self.model.told(self.held_out_context(n)), x_0, noise)
        x_t = self.diffusion.q_sample(x_0, t, eps)
        output = map_shards(network.forward, (x_t, t, context), self.config.shard_size, self.model.threads)
        loss, _ = mse(output, self.model.target(x_0, eps, t))
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
        return replace(self.model, network=networks[0])

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
