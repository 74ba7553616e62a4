"""What every model that draws has, whether it is one diffusion model or made of several."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tinydiff.base import Array, checks_arguments
from tinydiff.diffusion import last
from tinydiff.models.request import Request

Chain = Iterator[tuple[float, Array, Array]]
Progress = Callable[[int, int], None]  # progress(step, steps), called after every step


@checks_arguments("draw")
class OfParts:
    """A model that draws, by the diffusion models that it is made of: itself, where it is one.

    A model has a `chain`, whose states `decode` turns into what is drawn.
    """

    chain: Callable[..., Chain]
    decode: Callable[[Array], Array]

    @property
    def parts(self) -> tuple[Any, ...]:
        """The diffusion models that it is made of."""
        return (self,)

    @property
    def chains(self) -> int:
        """How many chains are walked, one after the other, until something is drawn."""
        return 1

    @property
    def readers(self) -> tuple[Any, ...]:
        """The parts that read a prompt; a prior does by its CLIP."""
        return tuple(part for part in self.parts if part.config.text is not None or part.config.prior is not None)

    @property
    def reads_text(self) -> bool:
        """Whether it draws what a prompt says."""
        return bool(self.readers)

    @property
    def size(self) -> int:
        """How many weights all its parts have."""
        return sum(part.network.theta.size for part in self.parts)

    def draw(
        self,
        request: Request | None = None,
        sampler: str = "ddim",
        steps: int | None = 50,
        progress: Progress | None = None,
        **options: Any,
    ) -> Array:
        """Return what a `chain` ends with, pictures (n, H, W, C); the arguments are those of `chain`."""
        return self.decode(last(self.chain(request, sampler, steps, progress, **options)))


@dataclass(frozen=True)
class PartsSettings:
    """What config.json says of a model without a network of its own: nothing; its parts lie in folders of their own."""

    @classmethod
    def of(cls, model: Any) -> "PartsSettings":
        """Return the settings of a model."""
        return cls()
