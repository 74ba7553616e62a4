"""Captioned pictures for trainings that encode them once, as latents of an autoencoder or as embeddings of a CLIP."""

from pathlib import Path
from typing import Any

from tinydiff.apps.cli.options import ProgressBar, refuse_given
from tinydiff.apps.cli.train.data import DataOptions, prepare_data
from tinydiff.apps.cli.train.denoiser import given_options
from tinydiff.base import InputError, counted, xp_of
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
        images = command.images if made or "images" in given_options(command) else None  # which is refused
        how = {"images": images, "fit": command.fit, "background": command.background}
        table = getattr(command, "network", "unet")
        table = table if isinstance(table, str) else "network"
        training, held_out, _ = prepare_data(DataOptions(command.data, table, None, captions=True, **how), config)
    elif height != width or channels != 3:
        raise InputError(
            f"data is {command.data!r}, which are square and in colour, but the {of} was trained on pictures of "
            f"{height} x {width} x {channels}."
        )
    else:
        refuse_given(command, "fit background", "scenes are drawn in the size that is wanted: leave it out")
        training, held_out = (
            drawn("train", command.images, height),
            drawn("test", command.train.validation_images, height),
        )
    if training.captions is None:
        raise InputError(f"data is {command.data!r}, which has no captions, but words are learned here.")
    return training, held_out


def encoded(autoencoder: LatentAutoencoder, data: Any, folder: Path) -> LatentData:
    """Return the latents of pictures; only what the folder does not hold yet is encoded now."""
    xp = xp_of(autoencoder.network.theta)

    def encode(pictures):
        return autoencoder.encode(xp.asarray(pictures))

    with ProgressBar(f"Encoding {counted(len(data), 'picture')}", "part") as bar:
        return encode_once(data, encode, autoencoder.checksum(), folder / str(data.split), bar)


def embedded(clip: ClipModel, data: Any, folder: Path) -> LatentData:
    """Return the embeddings of pictures, as latents of 1 x 1; only what the folder does not hold is embedded now."""
    xp = xp_of(clip.network.theta)

    def embed(pictures):
        return clip.embed(xp.asarray(pictures))[:, None, None]

    with ProgressBar(f"Embedding {counted(len(data), 'picture')}", "part") as bar:
        return encode_once(data, embed, clip.checksum(), folder / str(data.split), bar, of="CLIP")
