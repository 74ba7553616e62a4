"""Cascades: a model that draws small pictures, and one or more that enlarge them, as one model."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tinydiff.base import Array, InputError, check_number, check_sides, checks_arguments, height_and_width
from tinydiff.diffusion import last
from tinydiff.models.diffusion import Chain, DiffusionModel, Progress
from tinydiff.models.enlarger import Enlarger
from tinydiff.models.request import SAMPLER, STEPS, Guidance, Request
from tinydiff.models.store import register

SEEDS, STRIDE = 2**32, 2654435761  # a stage's seed is far from that of the stage before: its noise is another


@checks_arguments()
@dataclass(frozen=True)
class Cascade:
    """Small pictures are drawn, then enlarged stage by stage (Ho et al. 2021, arXiv 2106.15282; Imagen, 2205.11487).

    Parameters
    ----------
    base : DiffusionModel
        Draws the smallest pictures; it may be a `LatentDiffusion`.
    stages : tuple of Enlarger
        Each enlarges what the one before has drawn.

    Raises
    ------
    InputError
        If a stage is missing, or its pictures are not those of the one before, enlarged by its factor.
    """

    base: DiffusionModel
    stages: tuple[Enlarger, ...]

    def __post_init__(self):
        object.__setattr__(self, "stages", tuple(self.stages))
        if not isinstance(self.base, DiffusionModel) or isinstance(self.base, Enlarger):
            raise InputError(
                f"base is of type {type(self.base).__name__}, but a model that draws pictures of nothing but words or "
                "classes was expected."
            )
        if not self.stages:
            raise InputError("stages is empty, but at least one model that enlarges pictures was expected.")
        before = self.base.picture_shape
        if not self.base.is_bounded and self.base.config.denoiser.in_channels == before[-1]:
            raise InputError(
                f"base draws latents of {before[-1]} channels, as many as pictures have, so that one could not tell "
                "the states of a chain apart: take an autoencoder of more channels."
            )
        for i, stage in enumerate(self.stages):
            if not isinstance(stage, Enlarger):
                raise InputError(f"stages[{i}] is of type {type(stage).__name__}, but an Enlarger was expected.")
            height, width, channels = before
            fits = (height * stage.factor, width * stage.factor, channels)
            if stage.picture_shape != fits:
                raise InputError(
                    f"stages[{i}] draws pictures of {_by(stage.picture_shape)} and enlarges {stage.factor} times, but "
                    f"gets pictures of {_by(before)}: one that draws {_by(fits)} was expected."
                )
            before = stage.picture_shape

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of its pictures."""
        return self.stages[-1].picture_shape

    @property
    def factor(self) -> int:
        """How many times higher and wider its pictures are than those of its base."""
        factor = 1
        for stage in self.stages:
            factor *= stage.factor
        return factor

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of."""
        return self.base.multiple * self.factor

    def with_micro_batch(self, micro_batch: int) -> "Cascade":
        """Return the same cascade, of which every stage computes so many pictures together."""
        stages = tuple(replace(stage, micro_batch=micro_batch) for stage in self.stages)
        return Cascade(replace(self.base, micro_batch=micro_batch), stages)

    def decode(self, x: Array) -> Array:
        """Return the pictures of a state of its chain: x itself, or those of latents where the base draws such."""
        return x if x.shape[-1] == self.picture_shape[-1] else self.base.decode(x)

    def draw(
        self,
        request: Request | None = None,
        sampler: str = SAMPLER,
        steps: int | None = STEPS,
        progress: Progress | None = None,
        **options: Any,
    ) -> Array:
        """Return the pictures that a `chain` ends with, shape (n, H, W, C); the arguments are those of `chain`."""
        return last(self.chain(request, sampler, steps, progress, **options))

    def chain(
        self,
        request: Request | None = None,
        sampler: str = SAMPLER,
        steps: int | None = STEPS,
        progress: Progress | None = None,
        image_noise: float | None = None,
        truncated: bool = False,
    ) -> Chain:
        """Draw samples stage by stage, and yield (t, x_t, x_0_hat) after every step: first small ones, then larger.

        Parameters
        ----------
        request : Request or None
            What is drawn; its prompt goes to every stage that reads text, its size is that of the last.
        sampler : str
            Of all stages.
        steps : int or None
            Of each stage.
        progress : callable or None
            ``progress(step, steps)``, where steps are those of all stages together.
        image_noise : float or None
            0 .. 1, how far along the forward process the small pictures are noised between two stages; None: as each
            stage has it.
        truncated : bool
            Whether each chain but the last stops at that noise, instead of being walked to its end and noised again
            (section 4.2 there). The small pictures are then never finished.
        """
        request = Request() if request is None else request
        if image_noise is not None:
            check_number("image_noise", image_noise, 0, 1)
        if truncated and not self.base.is_bounded:
            raise InputError("truncated is True, but the base draws latents, whose chain cannot be stopped for pixels.")
        if request.image is not None:
            raise InputError("request holds an image, but a cascade draws its own small pictures: leave it out.")
        height, width = self.picture_shape[:2] if request.size is None else height_and_width("size", request.size)
        check_sides("size", (height, width), self.multiple)
        small = replace(request, size=(height // self.factor, width // self.factor), n=request.count)
        return self._walk(small, sampler, steps, progress, image_noise, truncated)

    def _walk(self, request, sampler, steps, progress, image_noise, truncated) -> Iterator[tuple[float, Array, Array]]:
        counted = _Progress(progress, 1 + len(self.stages))
        model: DiffusionModel = self.base
        asked = request
        for i, stage in enumerate(self.stages):
            level = stage.image_noise if image_noise is None else image_noise
            stop = level * model.diffusion.T if truncated else 0.0
            for t, x_t, x_0_hat in model.chain(asked, sampler, steps, counted.of_stage(i)):
                yield t, x_t, x_0_hat
                if t <= stop:
                    break
            if truncated and t > 0:  # how noisy it is where the chain has stopped
                asked = stage.request_for(x_t, _of_stage(request, stage, i + 1), t / model.diffusion.T, is_noised=True)
            else:
                asked = stage.request_for(model.decode(x_t), _of_stage(request, stage, i + 1), level)
            model = stage
        yield from model.chain(asked, sampler, steps, counted.of_stage(len(self.stages)))


def _of_stage(request, stage, i):
    """Return what is asked of stage i: the same, as far as it reads words, with noise of its own."""
    seed = (request.seed + i * STRIDE) % SEEDS
    request = replace(request, size=None, seed=seed)
    if stage.config.text is None:
        request = replace(request, prompt=None, negative="", guidance=Guidance())
    if stage.config.denoiser.num_classes is None:
        request = replace(request, labels=None)
    return request


class _Progress:
    """Counts the steps of all stages together, as if they were one chain; every stage has as many."""

    def __init__(self, progress, stages):
        self.progress, self.stages = progress, stages

    def of_stage(self, i):
        if self.progress is None:
            return None
        return lambda step, steps: self.progress(i * steps + step, self.stages * steps)


def _by(shape):
    return " x ".join(map(str, shape))


@register("cascade", "a cascade", Cascade)
@dataclass(frozen=True)
class CascadeSettings:  # type: ignore[type-var]  # it has no network of its own
    """What config.json says of a cascade: nothing; its stages lie in folders of their own."""

    @classmethod
    def of(cls, model: Cascade) -> "CascadeSettings":
        """Return the settings of a cascade."""
        return cls()

    @staticmethod
    def parts(model: Cascade) -> dict[str, Any]:
        """Return the base and the stages, by the names of their folders."""
        return {"base": model.base, **{f"stage_{i}": stage for i, stage in enumerate(model.stages, 1)}}

    def build(
        self, base: DiffusionModel, stage_1: Enlarger, stage_2: Enlarger | None = None, stage_3: Enlarger | None = None
    ) -> Cascade:
        """Return the cascade."""
        return Cascade(base, tuple(stage for stage in (stage_1, stage_2, stage_3) if stage is not None))
