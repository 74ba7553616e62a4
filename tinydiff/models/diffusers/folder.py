"""Folders of public checkpoints: a whole pipeline becomes a model of tinydiff, and its scheduler a timetable."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import CheckpointError, Device, InputError, printable, read_table, shown, to_device
from tinydiff.models.autoencoder import LatentAutoencoder
from tinydiff.models.config import ModelConfig
from tinydiff.models.diffusers.defaults import SCHEDULERS
from tinydiff.models.diffusers.networks import fill, new_network
from tinydiff.models.diffusers.said import Said, read_said
from tinydiff.models.diffusers.schedulers import beta_range_of, kind_of, process_of, schedule_of
from tinydiff.models.diffusers.shapes import text_shape, unet_shape
from tinydiff.models.diffusers.tensors import find_tensors
from tinydiff.models.diffusers.tokens import most_tokens, read_tokenizer
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.latent import LatentDiffusion
from tinydiff.models.store import OTHER_FORMATS, OtherFormat
from tinydiff.networks import TextToImage, UNet
from tinydiff.nn import weights_left_out, weights_that_fit

INDEX, SCHEDULER = "model_index.json", "scheduler_config.json"
OF_PIXELS = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline")
OF_LATENTS = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline")
OTHERS = {
    "StableDiffusionXL": "Stable Diffusion XL, with two text encoders and the size of the picture as a condition",
    "StableDiffusion3": "Stable Diffusion 3, a Transformer with three text encoders",
    "StableCascade": "Stable Cascade, a cascade in three latent spaces",
    "Flux": "Flux, a Transformer with a T5 text encoder",
    "Kandinsky": "Kandinsky, an unCLIP",
    "IF": "DeepFloyd IF, a cascade of pixels with a T5 text encoder",
    "LDM": "latent diffusion as first published, with a BERT of its own",
    "LatentConsistency": "a latent consistency model, whose network is told the strength of guidance",
}
NOT_NEEDED = ("safety_checker", "feature_extractor", "image_encoder")
NOT_OF_SD = ("shift_factor", "latents_mean", "latents_std")  # of an autoencoder, for pipelines after Stable Diffusion 2


@dataclass(frozen=True)
class PublicCheckpoint:
    """A public checkpoint, as tinydiff has it.

    Parameters
    ----------
    model : DiffusionModel or LatentDiffusion
        Drawn with, edited and looked into as any other.
    scheduler : Said
        What its scheduler_config.json says, for `timetable`.
    notes : tuple of str
        Sentences on what was left out.
    """

    model: DiffusionModel
    scheduler: Said
    notes: tuple[str, ...] = ()


def read_checkpoint(
    folder: str | Path, variant: str | None = None, dtype: Any = np.float32, device: Device | None = None
) -> PublicCheckpoint:
    """Return the model of a folder that diffusers wrote, with ``model_index.json``.

    Parameters
    ----------
    folder : str or Path
        Of a pipeline: Stable Diffusion 1 or 2, or a DDPM of pixels.
    variant : str or None
        Which files of weights, such as ``"fp16"``; None takes the plain ones, or the only ones there are.
    dtype : dtype
        Of the networks; weights of 16 bits are converted one after the other.
    device : Device or None
        None is the CPU.

    Raises
    ------
    CheckpointError
        If a file is missing or cannot be read, or weights and configs do not fit together.
    InputError
        If it is a pipeline, or has a part or an option, that tinydiff does not have.
    """
    folder = Path(folder)
    index = read_table(folder / INDEX, CheckpointError)
    pipeline, parts = _pipeline(folder, index), _parts(folder, index)
    scheduler, notes = _scheduler(folder / "scheduler" / SCHEDULER, pipeline)
    read = _pixels if pipeline in OF_PIXELS else _latents
    model, said = read(folder, variant, dtype, device, _process(scheduler))
    notes += [f"{name} is left out: tinydiff has none." for name in parts if name in NOT_NEEDED]
    for one in (*said, scheduler):
        if one.unknown:
            notes.append(f"{one.source}: left out, as diffusers would: {', '.join(one.unknown[:8])}.")
        if any(one.fields.get(name) is not None for name in NOT_OF_SD):
            notes.append(f"{one.source}: {', '.join(NOT_OF_SD)} are left out, of which Stable Diffusion makes no use.")
    return PublicCheckpoint(model, scheduler, tuple(notes))


def _scheduler(path: Path, pipeline: str) -> tuple[Said, list[str]]:
    """Return what a pipeline's scheduler says, with what the pipeline sets by itself, and sentences on that."""
    notes, table = [], read_table(path, CheckpointError)
    name = table.get("_class_name")
    if isinstance(name, str) and name not in SCHEDULERS:
        notes.append(f"{printable(name)} is left out, of which tinydiff has no rule: DDIM's takes its place.")
        defaults = SCHEDULERS["DDIMScheduler"]
        scheduler = Said(str(path), "DDIMScheduler", defaults | _known(table, defaults), table)
    else:
        scheduler = read_scheduler(path)
    if pipeline in OF_LATENTS:
        set_there = {"steps_offset": 1, "clip_sample": False}
        changed = {key: value for key, value in set_there.items() if scheduler.fields.get(key, value) != value}
        if changed:
            told = " and ".join(f"{key} {value}" for key, value in changed.items())
            notes.append(f"{path}: {told} is taken, as the pipeline of Stable Diffusion does, whatever the file says.")
            fields, given = {**scheduler.fields, **changed}, {**scheduler.given, **changed}
            scheduler = replace(scheduler, fields=fields, given=given)
    return scheduler, notes


def _known(table: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name in defaults}


def _process(scheduler: Said) -> dict[str, Any]:
    """Return what a scheduler says of the forward process, as the options of a `ModelConfig`."""
    process_of(scheduler)  # refuses what it cannot be
    if scheduler["trained_betas"] is not None:
        raise scheduler.refuse("trained_betas", "schedules that have a name, so null")
    return {
        "schedule": schedule_of(scheduler),
        "T": scheduler.whole("num_train_timesteps"),
        "kind": kind_of(scheduler),
        "beta_range": beta_range_of(scheduler),
        "zero_snr": bool(scheduler.fields.get("rescale_betas_zero_snr", False)),
    }


def _pixels(
    folder: Path, variant: str | None, dtype: Any, device: Device | None, process: dict[str, Any]
) -> tuple[DiffusionModel, list[Said]]:
    """Return a model of pixels, and what its parts say."""
    unet = read_said(folder / "unet" / "config.json")
    config = ModelConfig(unet=unet_shape(unet), **process)
    network: Any = new_network(unet, dtype)
    fill(network, find_tensors(folder / "unet", variant))
    return DiffusionModel(_on(device, network), config), [unet]


def _latents(
    folder: Path, variant: str | None, dtype: Any, device: Device | None, process: dict[str, Any]
) -> tuple[LatentDiffusion, list[Said]]:
    """Return a model of latents that reads text, and what its parts say."""
    unet, text, vae = (read_said(folder / part / "config.json") for part in ("unet", "text_encoder", "vae"))
    shape = text_shape(text)
    config = ModelConfig(unet=unet_shape(unet), text=shape, **process)
    tokenizer, most = read_tokenizer(folder / "tokenizer"), most_tokens(folder / "tokenizer")
    if most is not None and most < shape.length:
        raise InputError(
            f"{folder / 'tokenizer'} says model_max_length is {most}, but its text encoder reads {shape.length} "
            "tokens; tinydiff fills every row to its end, so that both must be equal."
        )
    with weights_left_out(), weights_that_fit():
        network = TextToImage(config.denoiser, shape, dtype=dtype)
    assert isinstance(network.unet, UNet)
    fill(network.unet, find_tensors(folder / "unet", variant))
    fill(network.text, find_tensors(folder / "text_encoder", variant))
    of_pictures: Any = new_network(vae, dtype)
    fill(of_pictures, find_tensors(folder / "vae", variant))
    deviations = [deviation_of(vae)] * vae.whole("latent_channels")
    autoencoder = LatentAutoencoder(_on(device, of_pictures), std=deviations, micro_batch=1)
    model = LatentDiffusion(_on(device, network), config, micro_batch=1, tokenizer=tokenizer, autoencoder=autoencoder)
    return model, [unet, text, vae]


def class_in(folder: Path) -> type:
    """Return the class of the model that a folder holds."""
    pipeline = _pipeline(folder, read_table(folder / INDEX, CheckpointError))
    return DiffusionModel if pipeline in OF_PIXELS else LatentDiffusion


OTHER_FORMATS[INDEX] = OtherFormat(class_in, lambda folder, device: read_checkpoint(folder, device=device).model)


def read_scheduler(path: str | Path) -> Said:
    """Return what a scheduler_config.json says."""
    return read_said(Path(path), schedulers=True)


def deviation_of(vae: Said) -> float:
    """Return the deviation of latents for which an autoencoder's `scaling_factor` stands."""
    if vae.number("scaling_factor") <= 0:
        raise vae.refuse("scaling_factor", "numbers above 0")
    return 1 / vae.number("scaling_factor")


def _pipeline(folder: Path, index: dict[str, Any]) -> str:
    """Return the class of a pipeline; say of one that tinydiff does not have what it is."""
    name = index.get("_class_name")
    if name in OF_PIXELS + OF_LATENTS:
        return str(name)
    for start, what in OTHERS.items():
        if isinstance(name, str) and name.startswith(start):
            raise InputError(
                f"{folder} is {what}: tinydiff does not have it. It opens Stable Diffusion 1 and 2, and DDPMs."
            )
    raise InputError(
        f"{folder / INDEX} says the pipeline is {shown(name)}, which tinydiff does not have; it opens "
        f"{', '.join(OF_LATENTS + OF_PIXELS)}."
    )


def _parts(folder: Path, index: dict[str, Any]) -> list[str]:
    """Return the parts that are there; raise where one is named that tinydiff would have to have."""
    needed = {"unet", "scheduler"} | (
        {"vae", "text_encoder", "tokenizer"} if index["_class_name"] in OF_LATENTS else set()
    )
    there = [name for name, said in index.items() if isinstance(said, list) and said != [None, None]]
    for name in sorted(needed):
        if name not in there or not (folder / name).is_dir():
            raise CheckpointError(f"{folder} lacks its {name}: the folder is not whole.")
    for name in there:
        if name not in needed and name not in NOT_NEEDED:
            raise InputError(f"{folder / INDEX} names a part {shown(name)}, which tinydiff does not have.")
    return there


def _on(device: Device | None, network: Any) -> Any:
    """Return a network on a device."""
    return network if device is None or device.kind == "cpu" else network.bind(to_device(network.theta, device))
