"""What ``tinydiff sample`` does with a model that has no chain: a generator, a variational autoencoder, a flow."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tinydiff
from tinydiff import plot
from tinydiff.apps.cli.drawings import GRID, elsewhere, own_folder, save_arrays, save_pictures
from tinydiff.apps.cli.options import given_options, refuse_given
from tinydiff.apps.cli.screen import say
from tinydiff.base import Device, InputError, counted, to_numpy, writable_folder
from tinydiff.models import Request, draw_at_once, load
from tinydiff.models.one_pass import noun_of
from tinydiff.plot.pictures import as_png_text

if TYPE_CHECKING:
    from tinydiff.apps.cli.sample import Sample

OF_CHAINS = "label prompt negative guidance classifier steps sampler size"
OF_CHAINS_FINELY = "interval rescale threshold micro_batch"


def sample_at_once(command: "Sample", name: str, device: Device) -> None:
    """Draw the pictures, save them, and say where; options that such a model does not have are refused."""
    model = load(name, device)
    why = f"{noun_of(model)} draws in one pass, and is told nothing: leave it out"
    refuse_given(command, OF_CHAINS, why)
    refuse_given(command.advanced, OF_CHAINS_FINELY, why)
    for option in given_options(command.of_sampler):
        raise InputError(f"{option} was given, but {why}.")
    if model.config.in_channels not in (1, 3, 4):
        raise InputError(
            f"{name} draws numbers with {counted(model.config.in_channels, 'channel')}, such as points of a plane, and "
            "no pictures: tinydiff.sample returns them as arrays."
        )
    start, request = time.perf_counter(), Request(n=64 if command.n is None else command.n, seed=command.seed)
    images = to_numpy(draw_at_once(model, request))
    took = f"{counted(len(images), 'image')} in {time.perf_counter() - start:.1f} s on {device.name}"
    writable_folder(command.out)
    folder = own_folder(command.out)
    about = {"tinydiff": tinydiff.__version__, "model": name, "seed": command.seed}
    own: list[dict[str, Any]] = [{}] * len(images)
    pictures = save_pictures(folder, images, about, own)
    title = f"{counted(len(images), 'sample')} of {Path(name).name}, one pass, seed {command.seed}"
    text = as_png_text({**about, "pictures": len(images)})
    saved = [plot.save_image(plot.image_grid(images, title=title), folder / GRID, text)]
    if command.npz:
        saved.append(save_arrays(folder, images, about, own))
    sheets = ", ".join(map(str, saved))
    where = f"{sheets}, and each by itself in {pictures}. {elsewhere(command.out, folder)}".rstrip()
    say(f"Drew {took} (one pass): {where}")
