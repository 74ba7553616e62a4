"""Model folders: every model is saved, found and loaded here.

A folder holds ``config.json``, which says what the model is and which parts it has, and the parts: ``network``, whose
weights lie by name in ``model.safetensors``; ``tokenizer``, in ``tokenizer.json``; any other is a model itself, in a
folder of its name. Models that ship with tinydiff have a ``CARD.md`` with measured figures besides.

A class of models is registered where it is defined, with a dataclass that knows how to take it apart and rebuild it
(`ModelSettings`).
"""

import dataclasses
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import tinydiff
from tinydiff.base import (
    Array,
    CheckpointError,
    Device,
    InputError,
    checked,
    from_table,
    printable,
    read_table,
    select_device,
    shown,
    to_device,
    to_table,
    write_json,
)
from tinydiff.models.old_layouts import in_todays_layout
from tinydiff.models.weights import count_weights, load_weights, save_weights
from tinydiff.nn import Module, weights_at_most, weights_left_out
from tinydiff.text import Tokenizer

SHIPPED = Path(__file__).parent.parent / "weights"  # the folder of the models that ship with tinydiff
# These are in a package of their own: one with all would be larger than what an index takes.
OF_SCENES = ("scenes-cascade", "scenes-dit", "scenes-unclip")
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FORMAT = 2  # of config.json; a folder without a number has one of the layouts before, see `in_todays_layout`

Model = TypeVar("Model")
Settings = TypeVar("Settings", bound="type[ModelSettings]")


class ModelSettings(Protocol):
    """What ``config.json`` says of a model: a dataclass whose fields are the options that it is built from."""

    @classmethod
    def of(cls, model: Any) -> "ModelSettings":
        """Return the settings of a model."""

    @staticmethod
    def parts(model: Any) -> dict[str, Any]:
        """Return the parts of a model by name: ``network``, ``tokenizer``, models; parts that are None are left out."""

    def network(self) -> Module:
        """Return a new network for the weights; not needed where there is no part of this name."""

    @property
    def build(self) -> Callable[..., Any]:
        """Return a method that puts the model together from its parts, given by their names."""


@dataclass(frozen=True)
class ModelClass:
    """A registered class of models: its name in config.json, its name in a sentence, and its settings."""

    name: str
    noun: str
    model: type
    settings: type[ModelSettings]


REGISTERED: dict[str, ModelClass] = {}


@dataclass(frozen=True)
class OtherFormat:
    """Folders that another library writes: the class of a model that one holds, and the model itself."""

    class_of: Callable[[Path], type]
    load: Callable[[Path, Device], Any]


OTHER_FORMATS: dict[str, OtherFormat] = {}  # by the file that tells such a folder from others


@dataclass(frozen=True)
class Head:
    """What config.json says of any model; the other names in it are those of the settings."""

    format: int
    tinydiff: str
    model: str
    parts: tuple[str, ...]
    about: dict = dataclasses.field(default_factory=dict)


def register(name: str, noun: str, model: type) -> Callable[[Settings], Settings]:
    """Return a decorator for the settings of a class of models, which can then be saved and loaded.

    Parameters
    ----------
    name : str
        In config.json, such as ``"diffusion"``.
    noun : str
        In sentences, such as "a diffusion model".
    model : type
    """

    def decorate(settings: Settings) -> Settings:
        REGISTERED[name] = ModelClass(name, noun, model, settings)
        return settings

    return decorate


def is_registered(model: Any) -> bool:
    """Return whether a model is of a class that can be saved and loaded."""
    return _entry(type(model)) is not None


@checked()
def save(
    folder: str | Path,
    model: Any,
    theta: Array | None = None,
    half: bool = False,
    of_parts: dict[str, dict[str, Any]] | None = None,
    **about: Any,
) -> Path:
    """Write a model folder, config.json last; each file is written whole or not at all.

    Parameters
    ----------
    folder : str or Path
    model
        Of any registered class.
    theta : array or None
        Weights instead of the network's own, for example an EMA.
    half : bool
        Whether weights are rounded to float16, which takes half the room; they are loaded as float32.
    of_parts : dict or None
        Entries on the origin of parts that are models, by name; of one that is not in it, only the data are known.
    **about
        Further entries for config.json on the origin of the weights.

    Raises
    ------
    CheckpointError
        If something cannot be written.
    """
    folder = Path(folder)
    model_class = _class_of(type(model))
    settings, parts = model_class.settings.of(model), parts_of(model)
    if theta is not None and "network" not in parts:
        raise InputError(f"theta was given, but {model_class.noun} has no network of its own: save its parts singly.")
    for name, part in parts.items():
        if name == "network":
            save_weights(folder / WEIGHTS, part, theta, half)
        elif name == "tokenizer":
            part.save(folder / TOKENIZER)
        else:
            of_part = (of_parts or {}).get(name, {key: about[key] for key in ("data",) if key in about})
            save(folder / name, part, half=half, **of_part)
    head = to_table(Head(FORMAT, tinydiff.__version__, model_class.name, tuple(parts), about))
    about = head.pop("about")  # which stands last
    write_json(folder / CONFIG, {**head, **to_table(settings), "about": about}, CheckpointError)
    return folder


@overload
def load(name: str | Path, device: Device | str | None = None) -> Any: ...


@overload
def load(name: str | Path, device: Device | str | None = None, *, kind: type[Model]) -> Model: ...


@overload
def load(name: str | Path, device: Device | str | None = None, *, kind: tuple[type, ...]) -> Any: ...


def load(name: str | Path, device: Device | str | None = None, *, kind: Any = None) -> Any:
    """Return a model that ships with tinydiff, by name, or one from a folder.

    Parameters
    ----------
    name : str or Path
    device : Device, str or None
        ``"auto"``, ``"cpu"`` or ``"cuda"``, or what `select_device` returns; None is the CPU.
    kind : type, tuple of types, or None
        The class, or the classes, that are wanted, such as `DiffusionModel`; None takes any.

    Raises
    ------
    InputError
        If there is no such name or folder, or if it holds a model of another kind.
    CheckpointError
        If the folder is of a newer tinydiff, damaged, or not whole.

    Examples
    --------
    >>> import tinydiff
    >>> tinydiff.load("mnist").config.denoiser.image_size
    28
    """
    folder = find_folder(name)
    other = _other_format(folder)
    if not (kind is None or all(isinstance(one, type) for one in (kind if isinstance(kind, tuple) else (kind,)))):
        raise InputError(f"kind is {shown(kind)}, but a class of models, or a tuple of some, was expected.")
    if not isinstance(device, Device):
        device = select_device("cpu" if device is None else device)
    if other is not None:
        _check_kind(other.class_of(folder), kind, str(name))
        return other.load(folder, device)
    return _load_folder(folder, device, kind, str(name))


@checked()
def parts_of(model: Any) -> dict[str, Any]:
    """Return what a model is made of, by the names under which `save` writes it, such as a cascade's "stage_1"."""
    parts = _class_of(type(model)).settings.parts(model)
    return {name: part for name, part in parts.items() if part is not None}


@checked()
def read_about(name: str | Path) -> dict[str, Any]:
    """Return what a model folder says of the origin of its weights, such as data and training."""
    folder = find_folder(name)
    if _other_format(folder) is not None:
        return {}
    head, _, _ = _read_config(folder)
    return head.about


@checked()
def class_of(name: str | Path) -> type:
    """Return the class of the model in a folder, or of one that ships; nothing but its config.json is read."""
    folder = find_folder(name)
    other = _other_format(folder)
    if other is not None:
        return other.class_of(folder)
    _, model_class, _ = _read_config(folder)
    return model_class.model


@checked()
def shipped_models() -> dict[str, Path]:
    """Return the models that ship with tinydiff: name -> folder, such as ``"mnist"`` or ``"scenes/autoencoder"``."""
    folders = sorted(config.parent for config in SHIPPED.rglob(CONFIG))
    return {folder.relative_to(SHIPPED).as_posix(): folder for folder in folders}


@checked()
def find_folder(name: str | Path) -> Path:
    """Return the folder of a shipped model, or `name` itself if that is a model folder."""
    for folder in (SHIPPED / name, Path(name)):
        if any(os.path.isfile(folder / file) for file in (CONFIG, *OTHER_FORMATS)):  # False for what can be no path
            return folder
    if str(name).partition("/")[0] in OF_SCENES:
        raise InputError(
            f"The model {str(name)!r} is not installed: it is in the package tinydiff-scenes, and in any clone of the "
            "repository, whose command `make dist` builds that package."
        )
    shipped = ", ".join(shipped_models()) or "none"
    raise InputError(
        f"There is no model {str(name)!r}. Shipped with tinydiff: {shipped}. Or name a folder with config.json "
        "and model.safetensors."
    )


def _load_folder(folder, device, kind, name):
    """Return the model of a folder, each of its parts on the device; `name` is for errors."""
    head, model_class, options = _read_config(folder)
    _check_kind(model_class.model, kind, name)
    config = folder / CONFIG
    settings = from_table(model_class.settings, options, str(config), CheckpointError)
    parts = {}
    try:
        _check_parts(head.parts, settings.build)
        for part in head.parts:
            parts[part] = _load_part(folder, part, settings, device)
        return settings.build(**parts)
    except (ValueError, MemoryError) as refusal:  # `InputError` is a ValueError, and NumPy's for a far too large array
        raise CheckpointError(f"{config} does not describe {model_class.noun} ({refusal}).") from refusal


def _other_format(folder):
    """Return what knows a folder of another library, or None for one of tinydiff."""
    if os.path.isfile(folder / CONFIG):
        return None
    return next((known for file, known in OTHER_FORMATS.items() if os.path.isfile(folder / file)), None)


def _check_kind(found, kind, name):
    """Raise `InputError` unless a class of models is of the wanted kinds."""
    wanted = kind if kind is None or isinstance(kind, tuple) else (kind,)
    if wanted is not None and not issubclass(found, wanted):
        nouns = " or ".join(_class_of(one).noun for one in wanted)
        raise InputError(f"{name} is {_class_of(found).noun}, but {nouns} was expected.")


def _load_part(folder, part, settings, device):
    """Return a part: a network with its weights, a tokenizer, or a model in a folder of its own."""
    path = folder / {"network": WEIGHTS, "tokenizer": TOKENIZER}.get(part, f"{part}/{CONFIG}")
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist, but {folder / CONFIG} says that there is a {part}: copy the folder again, whole."
        )
    if part == "tokenizer":
        return Tokenizer.load(path)
    if part != "network":
        return _load_folder(path.parent, device, None, str(path.parent))
    count = count_weights(path)
    more = f"it describes a network of more weights than the {count:,} that {WEIGHTS} holds"
    with weights_at_most(count, more), weights_left_out():  # before any large array is made
        network = settings.network()
    load_weights(path, network)
    return network if device.kind == "cpu" else network.bind(to_device(network.theta, device))


def _check_parts(parts, build):
    """Raise `InputError` unless these are the names of parts that a model is put together from."""
    taken = inspect.signature(build).parameters
    needed = [name for name, parameter in taken.items() if parameter.default is parameter.empty]
    if set(parts) - set(taken) or set(needed) - set(parts):
        raise InputError(
            f"its parts are {', '.join(map(printable, parts))[:80] or 'none'}, but {', '.join(taken)} were expected"
        )


def _read_config(folder):
    """Return what config.json says of any model, its class, and the options of its settings."""
    path = folder / CONFIG
    table = read_table(path, CheckpointError)
    if "format" not in table:
        table = in_todays_layout(table, str(path), FORMAT)
    newer = f"install a newer tinydiff than {tinydiff.__version__}"
    if type(table["format"]) is int and table["format"] != FORMAT:
        advice = newer if table["format"] > FORMAT else "use another copy of the folder"
        raise CheckpointError(
            f"{path} has the format {shown(table['format'])}, but {FORMAT} is the one known here: {advice}."
        )
    names = [field.name for field in dataclasses.fields(Head)]
    head = from_table(Head, {name: table.pop(name) for name in names if name in table}, str(path), CheckpointError)
    if head.model not in REGISTERED:
        known = ", ".join(sorted(REGISTERED))
        raise CheckpointError(
            f"{path} describes a model {shown(head.model)}, which is not known (there are: {known}): {newer}, or "
            "import the module that registers it."
        )
    return head, REGISTERED[head.model], table


def _entry(model):
    """Return what is registered for a class, or None."""
    return next((model_class for model_class in REGISTERED.values() if model_class.model is model), None)


def _class_of(model):
    """Return what is registered for a class; one that is not is refused."""
    if (found := _entry(model)) is not None:
        return found
    known = ", ".join(sorted(known.model.__name__ for known in REGISTERED.values()))
    raise InputError(f"{model.__name__} is no class of models that is known; there are: {known}.")
