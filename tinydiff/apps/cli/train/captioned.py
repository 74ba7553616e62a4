"""Captioned pictures for trainings that encode them once, as latents of an autoencoder or as embeddings of a CLIP."""

from pathlib import Path
from typing import Any

from tinydiff.apps.cli.options import ProgressBar
from tinydiff.apps.cli.train.data import DataOptions, prepare_data
from tinydiff.base import InputError, counted
from tinydiff.data import DATASETS, LatentData, encode_once
from tinydiff.models import ClipModel, LatentAutoencoder
from tinydiff.networks import UNetConfig


def captioned_pictures(command: Any, shape: tuple[int, int, int], of: str, in_memory: bool = False) -> tuple[Any, Any]:
    """Return training and held-out pictures with captions, of this height, width and number of channels.

    Parameters
    ----------
    command : TrainCommand
        Its `data`, `images`, `fit`, `background` and `train`.
    shape : (int, int, int)
    of : str
        What has been trained on pictures of this shape, for errors: ``"autoencoder"``.
    in_memory : bool
        Whether pictures that are drawn are all drawn now, and kept, or when they are asked for.

    Raises
    ------
    InputError
        If the data have no captions, or cannot be drawn in this shape.
    """
    height, width, channels = shape
    drawn = DATASETS[command.data].drawn if command.data in DATASETS else None
    if drawn is None or in_memory:
        config = UNetConfig((height, width), in_channels=channels, channel_mult=(1,))
        made = command.data == "avatars" or drawn is not None
        images = command.images if made else None  # others are as many as there are
        how = {"images": images, "fit": command.fit, "background": command.background}
        training, held_out, _ = prepare_data(DataOptions(command.data, "unet", None, captions=True, **how), config)
    elif height != width or channels != 3:
        raise InputError(
            f"data is {command.data!r}, which are square and in colour, but the {of} was trained on pictures of "
            f"{height} x {width} x {channels}."
        )
    else:
        training, held_out = (
            drawn("train", command.images, height),
            drawn("test", command.train.validation_images, height),
        )
    if training.captions is None:
        raise InputError(f"data is {command.data!r}, which has no captions, but words are learned here.")
    return training, held_out


def encoded(autoencoder: LatentAutoencoder, data: Any, folder: Path) -> LatentData:
    """Return the latents of pictures; only what the folder does not hold yet is encoded now."""
    with ProgressBar(f"Encoding {counted(len(data), 'picture')}", "part") as bar:
        return encode_once(data, autoencoder.encode, autoencoder.checksum(), folder / str(data.split), bar)


def embedded(clip: ClipModel, data: Any, folder: Path) -> LatentData:
    """Return the embeddings of pictures, as latents of 1 x 1; only what the folder does not hold is embedded now."""
    with ProgressBar(f"Embedding {counted(len(data), 'picture')}", "part") as bar:
        return encode_once(
            data, lambda pictures: clip.embed(pictures)[:, None, None], clip.checksum(), folder / str(data.split), bar
        )
