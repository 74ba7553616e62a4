"""How many bits does a model need for a picture it has not seen? By the bound, and by the probability-flow ODE.

Both are prices that are at least -log2 P of a discrete picture, in expectation over the noise, and both are means over
test pictures, with an interval. They score two different models, the chain of random steps and the flow: neither need
be the smaller one. A model that is told a condition is told none here, so that the pictures have to be paid in full.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_count,
    check_numbers,
    check_shape,
    checked,
    counted,
    map_arrays,
    to_numpy,
    xp_of,
)
from tinydiff.data import Dataset
from tinydiff.data.avatars.entropy import log2_probability
from tinydiff.data.dataset import to_floats
from tinydiff.diffusion import (
    TARGETS,
    Velocity,
    bits_per_dimension,
    dequantised,
    flow_log_density,
    level_cost,
    likelihood_bound,
    random_signs,
)
from tinydiff.evaluate.intervals import Estimate
from tinydiff.evaluate.numbers import finite
from tinydiff.evaluate.shares import Z_95
from tinydiff.models import Cascade, DiffusionModel, Progress, UnClip
from tinydiff.nn import Tape
from tinydiff.workers import Workers

LEVELS = 256
STRATA, STEPS = 64, 24  # of the bound, and of the flow
SIGMA_OF_DDPM = 0.01  # of its decoder: the root of its first beta, 1e-4
COMPARED, NEAR = 4, 0.1  # how many pictures are measured with half the steps, too, and what the figures may differ by


class PictureBits(NamedTuple):
    """Bits for each number of each picture, float64 arrays (N,).

    `prior`, `steps` and `pixels` are the parts of the bound, and `flow` is the price by the ODE.
    """

    prior: np.ndarray
    steps: np.ndarray
    pixels: np.ndarray
    flow: np.ndarray

    @property
    def bound(self) -> np.ndarray:
        """The whole bound."""
        return self.prior + self.steps + self.pixels


@checked()
def mean_bits(bits: Array) -> Estimate:
    """Return the mean over pictures with its 95 % interval, mean +- 1.96 standard errors.

    Raises
    ------
    InputError
        If there are fewer than two numbers, or one is not finite.
    """
    bits = finite("bits", to_numpy(bits))
    check_shape("bits", bits, (None,))
    if len(bits) < 2:
        raise InputError("bits holds 1 number, but an interval needs at least 2: take more pictures.")
    mean, error = float(bits.mean()), Z_95 * float(bits.std(ddof=1)) / len(bits) ** 0.5
    return Estimate(mean, mean - error, mean + error)


@checked()
def check_likelihood(model: Any) -> None:
    """Raise `InputError` unless a model has a likelihood of pictures: a diffusion model of pixels, alone.

    Latents have a density of their own, in other units, and many pictures are decoded from latents that lie near each
    other: bits for each number of latents say nothing of pixels. A model of several parts draws a picture in stages,
    each given the one before, and has no probability of the last alone.
    """
    what = type(model).__name__
    if isinstance(model, (Cascade, UnClip)):
        raise InputError(
            f"A likelihood was asked of a model of type {what}, which is made of several: each draws from what the one "
            "before has drawn, and none says how probable the last picture is by itself. Take a diffusion model of "
            "pixels, alone."
        )
    if not isinstance(model, DiffusionModel):
        raise InputError(
            f"A likelihood was asked of a model of type {what}, but a diffusion model of pixels was expected: only "
            "that has one."
        )
    if model.config.mlp is not None:
        raise InputError(
            f"A likelihood was asked of a model of type {what}, which draws points in a plane: these have a density, "
            "and no levels whose bits could be counted. Take a model of pixels."
        )
    if not model.is_bounded or model.x_factor != 1:
        raise InputError(
            f"A likelihood was asked of a model of type {what}, which draws latents or embeddings: bits for each of "
            "their numbers are not bits of pixels, and cannot be compared with them. Take a model of pixels."
        )
    model.check_draws()
    if model.config.learns_variance:
        raise InputError(
            "A likelihood was asked of a model that has learned the variance of a step, but the bound here is that of "
            "DDPM's variances, and not the model's own: take a model without it."
        )
    if model.config.denoiser.image_channels:
        raise InputError(
            f"A likelihood was asked of a model of type {what}, which is told another picture: its likelihood would be "
            "that of a picture of which it knows much. Take a model that draws by itself."
        )


@checked()
def network_velocity(model: DiffusionModel, context: Any = None) -> Velocity:
    """Return ``velocity(x, t, z) -> (v, z^T dv/dx)`` of a model, for `flow_log_density` (Eq. PFODE-1).

    The product with the Jacobian is the network's backward down to its input: its weights get no gradients. Whatever
    the network predicts, v is a multiple of its output plus a multiple of x. The guess of x_0 is not clipped, since a
    clipped one has no derivative at the bounds.

    Parameters
    ----------
    model : DiffusionModel
        Of pixels, see `check_likelihood`.
    context : labels, token numbers or a `Condition`, a row for each sample, or None
    """
    check_likelihood(model)
    diffusion, network, target = model.diffusion, model.network, TARGETS[model.config.kind]
    workers = Workers(model.micro_batch, model.threads)

    def shares(t):
        """Return by what x and the network's output are multiplied in v; both are linear in x_t and the output."""
        one, scale = np.ones((1, 1)), float(diffusion.scale_at(t))
        found = []
        for x_t, output in ((scale * one, 0 * one), (0 * one, one)):
            found.append(float(diffusion.v_from(*target.x_0_and_eps(diffusion, x_t, t, output), t)[0, 0]))
        return *found, scale

    def velocity(x, t, z):
        of_x, of_output, scale = shares(t)

        def of_shard(x, z, times, context):
            tape = Tape()
            output = network.forward(scale * x, times, context, tape)
            d_x = scale * network.backward(of_output * z, tape).d_x_t
            return xp_of(x).stack([of_x * x + of_output * output, of_x * z + d_x], axis=1)

        both = workers.map(of_shard, x, z, xp_of(x).full(len(x), t), context)
        return both[:, 0], both[:, 1]

    return velocity


@checked()
def picture_bits(
    model: DiffusionModel,
    images: np.ndarray,
    strata: int = STRATA,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress | None = None,
    first: int = 0,
) -> PictureBits:
    """Return the bits that a model needs for pictures, by the bound and by the ODE (Eq. ELBO-1, Eq. PFODE-2).

    Parameters
    ----------
    model : DiffusionModel
        Of pixels, see `check_likelihood`. It is told no condition.
    images : uint8 array, shape (N, H, W, C)
    strata : int
        How many steps of the bound are drawn for each picture, see `likelihood_bound`.
    steps : int
        Of the ODE, each four calls of the network and four backwards, from T to t = 1: see `flow_log_density`. The
        divergence is estimated by one probe for each picture.
    seed : int
        Of all noise.
    progress : callable or None
        As for `DiffusionModel.chain`; steps are batches of pictures.
    first : int
        Which number the first picture has: each has noise of its own, so that many can be measured in parts.

    Raises
    ------
    InputError
        If the model has no likelihood of pictures, or these are not such as it draws.
    TrainingError
        If its prediction is not finite.
    """
    check_likelihood(model)
    check_shape("images", images, (None, *model.picture_shape))
    if images.dtype != np.uint8:
        raise InputError(f"images has dtype {images.dtype}, but uint8 was expected; to_images() converts.")
    if not len(images):
        raise InputError("images is empty, but at least one picture was expected.")
    check_count("strata", strata)
    check_count("steps", steps)
    check_count("first", first, least=0)
    batch = max(64 // model.micro_batch, 1) * model.micro_batch
    found = []
    for start in range(0, len(images), batch):
        noise = Noise(seed, first=first + start, xp=xp_of(model.network.theta))
        x_0 = noise.xp.asarray(to_floats(images[start : start + batch]))
        found.append(_bits_of(model, x_0, noise, min(strata, max(model.config.T - 1, 1)), steps))
        if progress is not None:
            progress(len(found), -(-len(images) // batch))
    return PictureBits(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _bits_of(model, x_0, noise, strata, steps):
    """Return the parts of `PictureBits` of one batch."""
    size = math.prod(x_0.shape[1:])
    bound = likelihood_bound(model.predict, model.diffusion, x_0, noise, _nothing(model, len(x_0)), strata, LEVELS)
    parts = (to_numpy(bits_per_dimension(part, size)) for part in bound[:3])
    return *parts, _flow_bits(model, x_0, noise, steps)


def _flow_bits(model, x_0, noise, steps):
    """Return the price of one batch by the ODE."""
    diffusion, size = model.diffusion, math.prod(x_0.shape[1:])
    x, nats = dequantised(x_0, noise, LEVELS)
    a = float(diffusion.scales(1.0)[0])  # x_1 is a times the picture, but for noise: the density is that of x_1 / a
    probes = random_signs(noise, x.shape, dtype=x.dtype)
    velocity = network_velocity(model, _nothing(model, len(x_0)))
    log_p = flow_log_density(velocity, diffusion, a * x, 1.0, probes, steps)
    return to_numpy(bits_per_dimension(nats - log_p - size * math.log(a), size))


def _nothing(model, n):
    """Return the null condition, a row for each sample, or None."""
    nothing = model.read(model.null_context())
    if nothing is None:
        return None
    return map_arrays(lambda row: xp_of(row).broadcast_to(row, (n, *row.shape[1:])), nothing)


@checked()
def decoder_floor(images: np.ndarray, sigma: float) -> float:
    """Return the bits for each number that DDPM's decoder costs where the mean is the picture itself (Eq. DDPM-13).

    A model that knew every pixel would pay them all the same: 1.71 for a level between the ends at DDPM's sigma, 0.01,
    and less for black and white, which have no neighbour on one side.
    """
    check_numbers("images", images)
    x = to_floats(images).astype(np.float64)
    if not x.size:
        raise InputError("images is empty, but at least one picture was expected.")
    return float(bits_per_dimension(level_cost(x, x, sigma, LEVELS).mean(), 1))


@checked()
def evaluate_likelihood(
    model: DiffusionModel,
    data: Dataset,
    n: int = 1000,
    strata: int = STRATA,
    steps: int = STEPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> str:
    """Return a report of bits per dimension on the first n test pictures, with 95 % intervals, and the known floors.

    Parameters
    ----------
    model : DiffusionModel
    data : Dataset
        Test pictures, as large as those that the model draws.
    n : int
        At least 2; fewer where there are fewer.
    steps : int
        At least 2. The first pictures are measured with half as many, too, to say what error the steps have.
    strata, seed, progress
        As for `picture_bits`.
    """
    check_likelihood(model)
    check_count("n", n, least=2)
    check_count("steps", steps, least=2)
    data = data.take(np.arange(min(n, len(data))))
    images = data.images
    bits = picture_bits(model, images, strata, steps, seed, progress)
    size, sigma = math.prod(images.shape[1:]), float(model.diffusion.reverse_beta(1)) ** 0.5
    rows: list[tuple[str, np.ndarray]] = [
        ("bound: at most", bits.bound),
        ("  start from pure noise", bits.prior),
        (f"  steps {model.config.T} to 2, {strata} of them drawn", bits.steps),
        ("  pixels, by DDPM's decoder", bits.pixels),
        (f"probability-flow ODE, {counted(steps, 'step')}: at most", bits.flow),
    ]
    lines = [
        f"Real pictures: {data.describe()}",
        f"The first ones, none left out; seed {seed}; the model is told no condition.",
        "",
        f"{f'bits for each of {size} numbers':<46}{'mean':>10}{'95 % interval':>22}",
        *(_row(name, values) for name, values in rows),
        "",
        "Both are at least -log2 P of the pictures, in expectation. They score two models, the chain and the flow, so",
        "neither need be the smaller. The flow sees each level spread evenly over its cell, and ends at t = 1.",
        *_of_half_the_steps(model, images[:COMPARED], bits.flow[:COMPARED], steps, seed),
        "",
        f"{'What cannot be undercut':<46}{'mean':>10}",
        f"{f'by this decoder (sigma {sigma:.4f})':<46}{decoder_floor(images, sigma):>10.4f}",
        f"{f'by that of DDPM (sigma {SIGMA_OF_DDPM})':<46}{decoder_floor(images, SIGMA_OF_DDPM):>10.4f}",
    ]
    if data.name == "avatars" and images.shape[1:] == (16, 16, 3):
        lines += [
            _row("by any model: -log2 P of these portraits", -log2_probability(images) / size),
            "The last is exact for each portrait; its mean over all of them is their entropy.",
        ]
    return "\n".join(lines)


def _of_half_the_steps(model, images, flow, steps, seed):
    """Return what is said of the steps' own error: what half as many of them find, who know nothing of the others."""
    noise = Noise(seed, xp=xp_of(model.network.theta))
    coarse = _flow_bits(model, noise.xp.asarray(to_floats(images)), noise, steps // 2)
    off = float(coarse.mean() - flow.mean())
    half = counted(steps // 2, "step")
    yield f"With {half} the flow's figure is off by {off:+.4f} from this, on the first {len(images)}."
    if abs(off) > NEAR:
        yield "So these are too few steps, with which it may come out too low: ask for more (--steps)."


def _row(name: str, bits: np.ndarray) -> str:
    mean, low, high = mean_bits(bits)
    return f"{name:<46}{mean:>10.4f}{f'{low:.4f} to {high:.4f}':>22}"
