"""A model of tinydiff as a folder that diffusers opens."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import CheckpointError, InputError, checked, to_numpy, write_json
from tinydiff.models.autoencoder import LatentAutoencoder
from tinydiff.models.diffusers.folder import INDEX, OF_LATENTS, OF_PIXELS
from tinydiff.models.diffusers.names import is_table, names_of, write_layout
from tinydiff.models.diffusers.schedulers import KINDS, NAMES
from tinydiff.models.diffusers.shapes import TRANSFORMER_EPS
from tinydiff.models.diffusers.shapes_back import VERSION, said_of_autoencoder, said_of_text, said_of_unet
from tinydiff.models.diffusers.tensors import STEMS
from tinydiff.models.diffusers.tokens import write_tokenizer
from tinydiff.models.diffusion import DiffusionModel
from tinydiff.models.latent import LatentDiffusion
from tinydiff.models.weights import write_arrays
from tinydiff.networks import Autoencoder, TextEncoder, TextToImage, UNet

CLOCK = "embed.mlp.layers.0.weight"  # what reads the sines and cosines of the time
MAX_PERIOD = 10_000


@checked()
def write_checkpoint(folder: str | Path, model: DiffusionModel) -> list[str]:
    """Write a model as a folder that diffusers opens, and that draws the same pictures there.

    Nothing that differs is left: the steps of the training are counted from 0 there, which is turned into the weights
    that read the time; the mean and deviation of each channel of the latents into a layer beside them.

    Parameters
    ----------
    folder : str or Path
    model : DiffusionModel
        With a UNet: of pixels, or of latents with text.

    Returns
    -------
    list of str
        Sentences on what one must know of it.

    Raises
    ------
    InputError
        If it has what there is not in diffusers, by name. Nothing is written then.
    CheckpointError
        If something cannot be written.
    """
    folder, notes = Path(folder), []
    network = model.network
    unet = network.unet if isinstance(network, TextToImage) else network
    if not isinstance(unet, UNet):
        raise InputError(f"model has a network of type {type(unet).__name__}, but a UNet was expected.")
    if model.config.path != "vp":
        raise InputError(f"path is {model.config.path!r}, but the schedulers that are known here have only 'vp'.")
    if model.config.embedding is not None:
        raise InputError("model is the decoder of an unCLIP, which draws of embeddings: it cannot be exported so.")
    parts: dict[str, tuple[str, dict[str, Any], dict[str, np.ndarray]]] = {}
    said = said_of_unet(unet.config)
    if unet.config.context_channels is not None and unet.config.transformer_eps != TRANSFORMER_EPS:
        notes.append(
            f"transformer_eps is {unet.config.transformer_eps:g}, and {TRANSFORMER_EPS:g} there: outputs differ by "
            "less than a millionth."
        )
    parts["unet"] = (STEMS[0], said, _arrays(unet, _clock_from_0(unet)))
    if isinstance(network, TextToImage):
        parts["text_encoder"] = (STEMS[1], said_of_text(network.text.config), _arrays(network.text))
    if isinstance(model, LatentDiffusion):
        assert model.autoencoder is not None
        of_pictures = said_of_autoencoder(model.autoencoder.config)
        parts["vae"] = (STEMS[0], of_pictures, _of_autoencoder(model.autoencoder))
    scheduler = _scheduler(model)
    for name, (stem, of_part, arrays) in parts.items():
        write_arrays(folder / name / f"{stem}.safetensors", arrays, {"format": "pt"})
        write_json(folder / name / "config.json", of_part, CheckpointError)
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler, CheckpointError)
    if model.tokenizer is not None and model.config.text is not None:
        write_tokenizer(folder / "tokenizer", model.tokenizer, model.config.text.length)
    index = _index(model, parts)
    if index is None:
        return [*notes, "No pipeline of diffusers asks such a model; its parts open one by one."]
    write_json(folder / INDEX, index, CheckpointError)
    return notes


def _arrays(
    network: UNet | TextEncoder | Autoencoder, changed: dict[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Return the weights of a network as they are called and laid out there; some may be changed before."""
    values = {name: to_numpy(p.value) for name, p in network.named_parameters().items()} | (changed or {})
    found: dict[str, np.ndarray] = {}
    for ours, theirs in names_of(network).items():
        found |= write_layout(values[ours], theirs, is_table(ours), linear=False)
    return found


def _clock_from_0(unet: UNet) -> dict[str, np.ndarray]:
    """Return the weights that read the time, for a clock that is one step slow (cos and sin of a sum of angles)."""
    if unet.config.time_offset == 1:
        return {}
    given = to_numpy(unet.named_parameters()[CLOCK].value)
    weight = given.astype(np.float64)
    half = len(weight) // 2
    slower = unet.config.time_embedding == "stable-diffusion"  # whose cosines stand first
    steps = np.arange(half) / (half if slower else half - 1)
    angle = np.exp(-math.log(MAX_PERIOD) * steps)[:, None] * (1 - unet.config.time_offset)
    cosines, sines = (weight[:half], weight[half:]) if slower else (weight[half:], weight[:half])
    turned = [np.cos(angle) * cosines + np.sin(angle) * sines, np.cos(angle) * sines - np.sin(angle) * cosines]
    return {CLOCK: np.concatenate(turned if slower else turned[::-1]).astype(given.dtype)}


def _of_autoencoder(model: LatentAutoencoder) -> dict[str, np.ndarray]:
    """Return the weights of an autoencoder, with its mean and deviations in the layers beside the latents."""
    network, c = model.network, model.config.latent_channels
    dtype = network.theta.dtype
    mean, std = (np.asarray(numbers, np.float64) for numbers in (model.mean, model.std))
    quant: Any = (np.eye(2 * c), np.zeros(2 * c))
    post: Any = (np.eye(c), np.zeros(c))
    if network.quant is not None and network.post_quant is not None:
        quant, post = (
            tuple(to_numpy(p.value).astype(np.float64) for p in layer.parameters())
            for layer in (network.quant, network.post_quant)
        )
    scale = np.concatenate([1 / std, np.ones(c)])  # means are divided, log variances moved
    shift = np.concatenate([mean / std, 2 * np.log(std)])
    beside = {
        "quant_conv": (quant[0] * scale, quant[1] * scale - shift),
        "post_quant_conv": (std[:, None] * post[0], post[1] + mean @ post[0]),
    }
    values = {name: to_numpy(p.value) for name, p in network.named_parameters().items()}
    found: dict[str, np.ndarray] = {}
    for ours, theirs in names_of(network).items():
        if not ours.startswith(("quant.", "post_quant.")):
            found |= write_layout(values[ours], theirs, is_table(ours), linear=False)
    for name, (weight, bias) in beside.items():
        found |= write_layout(weight.astype(dtype), (f"{name}.weight",), False, linear=False)
        found[f"{name}.bias"] = bias.astype(dtype)
    return found


def _scheduler(model: DiffusionModel) -> dict[str, Any]:
    """Return a scheduler_config.json: DDIM's, whose steps go from T down as those of tinydiff."""
    config = model.config
    schedules = {ours: theirs for theirs, ours in NAMES.items()}
    kinds = {ours: theirs for theirs, ours in KINDS.items()}
    if config.schedule not in schedules:
        raise InputError(f"schedule is {config.schedule!r}, but diffusers has only {', '.join(schedules)}.")
    if config.kind not in kinds:
        raise InputError(f"kind is {config.kind!r}, but its schedulers have only {', '.join(kinds)}.")
    usual = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012), "cosine": (1e-4, 0.02)}
    first, last = usual[config.schedule] if config.beta_range is None else config.beta_range
    return {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": VERSION,
        "num_train_timesteps": config.T,
        "beta_schedule": schedules[config.schedule],
        "beta_start": first,
        "beta_end": last,
        "prediction_type": kinds[config.kind],
        "rescale_betas_zero_snr": config.zero_snr,
        "timestep_spacing": "trailing",
        "clip_sample": model.is_bounded,
        "set_alpha_to_one": True,
        "steps_offset": 0,
    }


def _index(model: DiffusionModel, parts: dict[str, Any]) -> dict[str, Any] | None:
    """Return a model_index.json, or None for a model for which diffusers has no pipeline."""
    of_all: dict[str, Any] = {"_diffusers_version": VERSION, "scheduler": ["diffusers", "DDIMScheduler"]}
    if isinstance(model, LatentDiffusion) and "text_encoder" in parts:
        return of_all | {
            "_class_name": OF_LATENTS[0],
            "feature_extractor": [None, None],
            "image_encoder": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
    if set(parts) == {"unet"} and model.config.denoiser.num_classes is None:
        return of_all | {"_class_name": OF_PIXELS[1], "unet": ["diffusers", "UNet2DModel"]}
    return None
