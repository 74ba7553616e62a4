"""Cascades: a model that draws small pictures, and one or more that enlarge them, as one model."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinydiff.base import Array, Condition, InputError, check_sides, checks_arguments, height_and_width
from tinydiff.diffusion import SAMPLERS
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.enlarger import Enlarger
from tinydiff.models.parts import Chain, OfParts, PartsSettings, Progress
from tinydiff.models.predictor import check_fits
from tinydiff.models.request import Guidance, Request, other_seed
from tinydiff.models.store import register

MOST_STAGES = 3  # as a folder names them


@checks_arguments()
@dataclass(frozen=True)
class Cascade(OfParts):
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
        self.base.check_draws()
        if not self.stages:
            raise InputError("stages is empty, but at least one model that enlarges pictures was expected.")
        if len(self.stages) > MOST_STAGES:
            raise InputError(f"stages has {len(self.stages)}, but at most {MOST_STAGES} were expected.")
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
    def parts(self) -> tuple[DiffusionModel, ...]:
        """The base and the stages."""
        return self.base, *self.stages

    @property
    def chains(self) -> int:
        """How many chains are walked: one of each part."""
        return len(self.parts)

    @property
    def factor(self) -> int:
        """How many times higher and wider its pictures are than those of its base."""
        factor = 1
        for stage in self.stages:
            factor *= stage.factor
        return factor

    @property
    def multiple(self) -> int:
        """What height and width of pictures must be multiples of, so that those of every stage fit its network."""
        multiple = self.base.multiple
        for stage in self.stages:
            multiple = math.lcm(multiple * stage.factor, stage.multiple)
        return multiple

    def steps_of(self, sampler: str, steps: int | None) -> list[int]:
        """Return how many steps a sampler takes for the base and for each stage; None takes T of each."""
        taken = (part.config.T if steps is None else steps for part in self.parts)
        return [len(SAMPLERS[sampler].times(part.diffusion, n)) for part, n in zip(self.parts, taken, strict=True)]

    def with_micro_batch(self, micro_batch: int) -> "Cascade":
        """Return the same cascade, of which every stage computes so many pictures together."""
        stages = tuple(stage.with_micro_batch(micro_batch) for stage in self.stages)
        return Cascade(self.base.with_micro_batch(micro_batch), stages)

    def decode(self, x: Array) -> Array:
        """Return the pictures of a state of its chain: x itself, or those of latents where the base draws such."""
        return x if x.shape[-1] == self.picture_shape[-1] else self.base.decode(x)

    def chain(
        self,
        request: Request | None = None,
        sampler: str = "ddim",
        steps: int | None = 50,
        progress: Progress | None = None,
        image_noise: float | None = None,
        truncated: bool = False,
        **options: Any,
    ) -> Chain:
        """Draw samples stage by stage, and yield (t, x_t, x_0_hat) after every step: first small ones, then larger.

        What cannot be drawn is refused by this call, before the first step.

        Parameters
        ----------
        request : Request or None
            What is drawn; its prompt goes to every part that reads text, its labels to every one that knows classes.
            Its size is that of the last stage.
        sampler : str
            Of the base and of all stages.
        steps : int or None
            Of each; None takes T.
        progress : callable or None
            ``progress(step, steps)``, where steps are those of all stages together.
        image_noise : float or None
            0 .. 1, how far along the forward process the small pictures are noised between two stages; None: as each
            stage has it.
        truncated : bool
            Whether each chain but the last stops at that noise, instead of being walked to its end and noised again
            (section 4.2 there). The small pictures are then never finished.
        **options
            Options of the sampler.
        """
        request = Request() if request is None else request
        self._check(request, truncated)
        height, width = self.picture_shape[:2] if request.size is None else height_and_width("size", request.size)
        check_sides("size", (height, width), self.multiple)
        small = size = height // self.factor, width // self.factor
        asked = [self._asked_of(part, request, i) for i, part in enumerate(self.parts)]
        levels = [stage.image_noise if image_noise is None else image_noise for stage in self.stages]
        counts = self.steps_of(sampler, steps)

        def walked(i, part, request):
            return part.chain(request, sampler, steps, _counted(progress, counts, i), **options)

        for i, (stage, level) in enumerate(zip(self.stages, levels, strict=True), 1):
            # asked once, with a small picture of nothing, if there is room for one for each
            larger = size[0] * stage.factor, size[1] * stage.factor
            check_fits(stage, replace(request, size=larger))
            blank = np.zeros((request.count, *size, self.picture_shape[-1]), np.float32)
            walked(i, stage, stage.request_for(blank, asked[i], level))
            size = larger
        first = walked(0, self.base, replace(asked[0], size=small))
        return self._walk(first, asked[1:], levels, truncated, walked)

    def _walk(self, chain, asked, levels, truncated, walked):
        model: DiffusionModel = self.base
        for i, (stage, request, level) in enumerate(zip(self.stages, asked, levels, strict=True), 1):
            stop = level * model.diffusion.T if truncated else 0.0
            for t, x_t, x_0_hat in chain:
                yield t, x_t, x_0_hat
                if t <= stop:
                    break
            if truncated and t > 0:  # as noisy as it is where the chain has stopped
                request = stage.request_for(x_t, request, t / model.diffusion.T, is_noised=True)
            else:
                request = stage.request_for(model.decode(x_t), request, level)
            chain, model = walked(i, stage, request), stage
        yield from chain

    def _check(self, request, truncated):
        """Refuse what a cascade cannot be asked."""
        if request.image is not None:
            raise InputError("request holds an image, but a cascade draws its own small pictures: leave it out.")
        if request.classifier is not None:
            raise InputError(
                "classifier was given, but it reads pictures of one size, and a cascade draws several: leave it out."
            )
        if isinstance(request.prompt, Condition):
            raise InputError(
                "prompt holds encoded prompts, but every part of a cascade encodes texts in its own way: give texts."
            )
        if not truncated:
            return
        if not self.base.is_bounded:
            raise InputError("truncated is True, but the base draws latents, whose chain cannot be stopped for pixels.")
        before = self.base
        for i, stage in enumerate(self.stages):
            if not np.array_equal(stage.diffusion.alpha_bar, before.diffusion.alpha_bar):
                raise InputError(
                    f"truncated is True, but stages[{i}] has another schedule than the model before it, so that its "
                    "times mean another noise: leave it out."
                )
            before = stage

    def _asked_of(self, part, request, i):
        """Return what is asked of the base (i = 0) or of a stage: as much as it understands, with noise of its own."""
        parts = self.parts
        request = replace(request, n=request.count, size=None, seed=other_seed(request.seed, i))
        reads, knows = part.config.text is not None, part.config.denoiser.num_classes is not None
        if not reads and any(other.config.text is not None for other in parts):
            request = replace(request, prompt=None, negative="")
        if not knows and any(other.config.denoiser.num_classes is not None for other in parts):
            request = replace(request, labels=None)
        if not (reads or knows):  # there is nothing to follow; pictures are kept within bounds as was asked
            request = replace(request, guidance=Guidance(threshold=request.guidance.threshold))
        if not part.is_bounded and any(other.is_bounded for other in parts):
            request = replace(request, guidance=replace(request.guidance, threshold="static"))
        return request


def _counted(progress, counts, i):
    """Return a progress for part i that counts the steps of all parts together."""
    if progress is None:
        return None
    return lambda step, steps: progress(sum(counts[:i]) + step, sum(counts))


def _by(shape):
    return " x ".join(map(str, shape))


@register("cascade", "a cascade", Cascade)
@dataclass(frozen=True)
class CascadeSettings(PartsSettings):  # type: ignore[type-var]  # it has no network of its own
    """What config.json says of a cascade: nothing; its stages lie in folders of their own."""

    @staticmethod
    def parts(model: Cascade) -> dict[str, Any]:
        """Return the base and the stages, by the names of their folders."""
        return {"base": model.base, **{f"stage_{i}": stage for i, stage in enumerate(model.stages, 1)}}

    def build(
        self, base: DiffusionModel, stage_1: Enlarger, stage_2: Enlarger | None = None, stage_3: Enlarger | None = None
    ) -> Cascade:
        """Return the cascade."""
        return Cascade(base, tuple(stage for stage in (stage_1, stage_2, stage_3) if stage is not None))
