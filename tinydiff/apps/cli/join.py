"""The command ``tinydiff join``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from tinydiff.apps.cli.drawings import new_folder
from tinydiff.apps.cli.screen import say
from tinydiff.base import InputError
from tinydiff.models import Cascade, DiffusionModel, Enlarger, Prior, UnClip, load, read_about, save
from tinydiff.models.store import parts_of


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
            given = f"{self.models[0]} is one model" if self.models else "No model is given"
            raise InputError(f"{given}, but at least two were expected, one behind the other.")
        with new_folder(self.out):
            whole, sources = joined(self.models)
            abouts = [read_about(source) for source in sources]
            learned_from = [about["data"] for about in abouts if "data" in about]
            one = len({str(data) for data in learned_from}) == 1  # otherwise only its parts say what they learned from
            of_parts = dict(zip(parts_of(whole), abouts, strict=True))
            save(self.out, whole, None, self.half, of_parts, **({"data": learned_from[0]} if one else {}))
        side = " x ".join(map(str, whole.picture_shape[:2]))
        say(f"Joined {len(sources)} models, which draw pictures of {side}: {self.out}")


def joined(names: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Return what models are together, and for each of its parts the model or folder that it comes from."""
    first, sources = load(names[0]), list(names)
    kind: type[UnClip] | type[Cascade]
    made_of: tuple[Any, ...]
    if isinstance(first, Prior):
        if len(names) > 2:
            raise InputError(f"{names[0]} is a prior, to which one decoder belongs, but {len(names) - 1} were given.")
        kind, made_of = UnClip, (first, load(names[1], kind=DiffusionModel))
    elif isinstance(first, DiffusionModel) and first.config.embedding is not None:
        raise InputError(f"{names[0]} is the decoder of an unCLIP, but its prior draws first: give that before it.")
    elif isinstance(first, (Cascade, DiffusionModel)) and not isinstance(first, Enlarger):
        base, *stages = first.parts
        if stages:
            sources[:1] = [f"{names[0]}/{part}" for part in parts_of(first)]
        stages += [load(name, kind=Enlarger) for name in names[1:]]
        kind, made_of = Cascade, (base, tuple(stages))
    else:
        raise InputError(
            f"The first model is {names[0]}, but one that draws small pictures, a cascade, or a prior was expected."
        )
    try:
        return kind(*made_of), sources
    except InputError as refusal:
        why = str(refusal)
        for i, source in enumerate(sources[1:]):
            why = why.replace(f"stages[{i}]", source)
        raise InputError(f"{' and '.join(names)} do not go together. {why}") from refusal
