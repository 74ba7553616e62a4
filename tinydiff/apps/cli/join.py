"""The command ``tinydiff join``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError
from tinydiff.models import Cascade, DiffusionModel, Enlarger, Prior, UnClip, load, read_about, save


@dataclass(frozen=True)
class Join:
    """Put models together that draw one after the other, and save them as one model.

    A model that draws small pictures, or a cascade, and models that enlarge them become a cascade; a prior and a
    decoder of its embeddings become an unCLIP.
    """

    models: Positional[Annotated[tuple[str, ...], arg(metavar="MODEL...")]]
    """Shipped models, by name, or folders of trained ones, in the order in which they draw."""
    out: Path
    """A new folder, for what they are together."""
    half: bool = False
    """Save weights of 16 bits, which take half the room."""

    def run(self) -> None:
        """Load the models, join them, and save the whole, with what is known of the origin of each."""
        if len(self.models) < 2:
            raise InputError(f"models is {' '.join(self.models)!r}, but at least two models were expected.")
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise InputError(f"out is {self.out}, where there is something already: give a new folder.")
        whole, folders = joined(self.models)
        abouts = {part: read_about(folder) for part, folder in folders.items()}
        learned_from = [about["data"] for about in abouts.values() if "data" in about]
        one = len({str(data) for data in learned_from}) == 1  # otherwise only its parts say what they learned from
        save(self.out, whole, half=self.half, **({"data": learned_from[0]} if one else {}))
        for part, folder in folders.items():
            save(self.out / part, load(folder), half=self.half, **abouts[part])
        side = " x ".join(map(str, whole.picture_shape[:2]))
        say(f"Joined {len(folders)} models, which draw pictures of {side}: {self.out}")


def joined(names: tuple[str, ...]) -> tuple[Any, dict[str, str]]:
    """Return what models are together, and for each part's name the folder that it comes from."""
    first = load(names[0])
    if isinstance(first, Prior):
        if len(names) > 2:
            raise InputError(f"models has {len(names)}, but a prior and one decoder were expected.")
        decoder = load(names[1], kind=DiffusionModel)
        return _together(names, lambda: UnClip(first, decoder)), dict(zip(("prior", "decoder"), names, strict=True))
    if isinstance(first, Enlarger) or not isinstance(first, (Cascade, DiffusionModel)):
        raise InputError(
            f"The first model is {names[0]}, but one that draws small pictures, a cascade, or a prior was expected."
        )
    stages = [load(name, kind=Enlarger) for name in names[1:]]
    whole = _together(names, lambda: Cascade(first.parts[0], (*first.parts[1:], *stages)))
    parts = ["base", *(f"stage_{i}" for i in range(1, len(whole.parts)))]
    of_first = [names[0]] if len(first.parts) == 1 else [f"{names[0]}/{part}" for part in parts[: len(first.parts)]]
    return whole, dict(zip(parts, [*of_first, *names[1:]], strict=True))


def _together(names, make):
    """Return the model that `make` makes, or say which models do not go together."""
    try:
        return make()
    except InputError as refusal:
        raise InputError(f"{' and '.join(names)} do not go together. {refusal}") from refusal
