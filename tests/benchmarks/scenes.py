"""Compare models that draw scenes from text: what they draw as asked, how near to real scenes, in what time and memory.

Models of any kind and size are compared on the same captions, none left out, judged by the judge of scenes; what is
smaller than the judge reads is enlarged for it. It prints a table, and draws the same captions by each:

    python tests/benchmarks/scenes.py latents=scenes "latents, large=scenes-128" --n 300 --picture compared.png

The systems that docs/results.md compares are listed in systems.toml, with what their training took. Those that are
named are measured, and get their lines of the document's table; its other lines, and its words, stay as they are:

    python tests/benchmarks/scenes.py scenes scenes-128 --into docs/results.md
"""

import argparse
import time
import tomllib
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinydiff import plot
from tinydiff.base import atomic_write, to_numpy
from tinydiff.data import to_floats, to_images
from tinydiff.data.scenes import compose, render
from tinydiff.evaluate import frechet_distance_of, random_features, scene_obedience
from tinydiff.evaluate.scenes import captioned_scenes, read_scenes
from tinydiff.models import SAMPLER, STEPS, Guidance, PictureModel, Request, load, load_picture_model
from tinydiff.networks import AttributeClassifier
from tinydiff.nn import Module, Tape

SPLITS = {"seen": "test", "held out": "held-out"}
AT_ONCE = 50  # prompts that are drawn together
SHOWN = 12  # captions in the picture
SIDE = 128  # pixels, of each picture in it
SYSTEMS = Path(__file__).with_name("systems.toml")
COLUMNS = (
    "",
    "side",
    "weights",
    "GFLOPs",
    "pictures trained on",
    "minutes of training",
    "seen",
    "held out",
    "object, seen",
    "object, held out",
    "two objects",
    "Fréchet, drawn (real)",
    "one picture, s",
    "memory, MB",
)
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


def drawn(model: PictureModel, captions: list[str], guidance: float | Guidance) -> np.ndarray:
    """Return a picture for each caption, as bytes."""
    parts = []
    for start in range(0, len(captions), AT_ONCE):
        request = Request(prompt=captions[start : start + AT_ONCE], guidance=guidance, first=start)
        parts.append(to_images(to_numpy(model.draw(request, SAMPLER, STEPS))))
    return np.concatenate(parts)


def enlarged(images: np.ndarray, side: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """Return pictures at least so large, where they are smaller."""
    if images.shape[1] >= side:
        return images
    return np.stack([np.asarray(Image.fromarray(image).resize((side, side), resample)) for image in images])


def time_and_memory(model: PictureModel, guidance: float) -> tuple[float, float]:
    """Return the seconds of one picture, the second that is drawn, and the most memory that it took, in MB."""
    model = model.with_micro_batch(1)
    request = Request(n=1, prompt="a small cabin on top of a snowy mountain", guidance=guidance)
    model.draw(request, SAMPLER, STEPS)
    start = time.perf_counter()
    model.draw(request, SAMPLER, STEPS)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    model.draw(request, SAMPLER, STEPS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return seconds, peak / 1e6


def flops(network: Module) -> int:
    """Return the operations of one forward for one picture; a multiplication and its addition are two."""
    tape = Tape()
    network.forward(*network.one_input(), tape=tape)
    return sum(entry.owner.flops(entry.cache) for entry in tape.entries)


def row(system: dict[str, Any], judge: AttributeClassifier, n: int, guidance: float) -> tuple[str, np.ndarray]:
    """Return a line of the table, and the first pictures of the captions seen."""
    model = load_picture_model(system["model"])
    side, found, first = model.picture_shape[0], {}, np.zeros(0)
    for column, split in SPLITS.items():
        scenes, captions, named = captioned_scenes(split, n)
        images = drawn(model, captions, guidance)
        found[column] = scene_obedience(read_scenes(judge, images), scenes, named)
        if column == "seen":
            first, features = images[:SHOWN], random_features(to_floats(images))
            real, others = real_scenes(split, n, side)
    of_others = random_features(to_floats(others))
    distances = [
        frechet_distance_of(of_images, of_others) for of_images in (features, random_features(to_floats(real)))
    ]
    seconds, memory = time_and_memory(model, guidance)
    seen, held_out = found.values()
    cells = [
        system["name"],
        f"{side}",
        f"{model.size / 1e6:.1f} M",
        f"{sum(flops(part.network) for part in model.parts) / 1e9:.2f}",
        f"{system['pictures']:,}" if "pictures" in system else "-",
        f"{system.get('minutes', '-')}",
        f"{seen.mean:.1%}",
        f"{held_out.mean:.1%}",
        f"{seen.attributes['object'].value:.1%}",
        f"{held_out.attributes['object'].value:.1%}",
        "-" if seen.binding is None else f"{seen.binding.value:.1%}",
        f"{distances[0]:.3g} ({distances[1]:.3g})",
        f"{seconds:.2f}",
        f"{memory:.0f}",
    ]
    return f"| {' | '.join(cells)} |", first


def real_scenes(split: str, n: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of the n scenes that were captioned, and of as many others, with which they are compared."""
    pictures = np.stack([render(compose(i, split=split), side) for i in range(2 * n)])
    return pictures[:n], pictures[n:]


def systems_of(asked: list[str]) -> list[dict[str, Any]]:
    """Return what is asked for: a system by its key in systems.toml, or NAME=MODEL, whose training nobody knows.

    Raises
    ------
    ValueError
        If it is neither.
    """
    known = tomllib.loads(SYSTEMS.read_text())
    found = []
    for one in asked:
        name, _, model = one.partition("=")
        if one in known:
            found.append(known[one])
        elif name and model:
            found.append({"name": name, "model": model})
        else:
            raise ValueError(f"models is {one!r}, but NAME=MODEL, or one of {', '.join(known)}, was expected.")
    return found


def with_lines(text: str, lines: Iterable[str]) -> str:
    """Return a document whose table has these lines instead of those that begin with the same name, or else as well.

    Raises
    ------
    ValueError
        If it has no such table.
    """
    before, found, after = text.partition(HEADER)
    if not found:
        raise ValueError(f"into has no table with the line {HEADER.splitlines()[0]}")
    table, empty, after = after.partition("\n\n")
    named = {one.split(" | ")[0]: one for one in (*table.strip().splitlines(), *lines)}
    return "".join((before, HEADER, "".join(f"\n{one}" for one in named.values()), empty, after))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="+", metavar="SYSTEM", help="one of systems.toml, or NAME=MODEL: a shipped model or a folder"
    )
    parser.add_argument("--n", type=int, default=300, help="captions of each split, the first ones")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--picture", type=Path, help="where the same captions are drawn by each")
    parser.add_argument("--into", type=Path, help="the document whose table gets these lines")
    arguments = parser.parse_args()
    try:
        systems = systems_of(arguments.models)
        if arguments.into is not None:
            with_lines(arguments.into.read_text(), [])
    except (ValueError, OSError) as error:
        parser.error(str(error))
    judge = load("scenes-judge", kind=AttributeClassifier)
    how = f"{SAMPLER}, {STEPS} steps, guidance {arguments.guidance:g}"
    print(f"{arguments.n} captions of each split, none left out; {how}.")
    print(f"\n{HEADER}", flush=True)
    scenes, captions, _ = captioned_scenes(SPLITS["seen"], min(SHOWN, arguments.n))
    rows = {"real": np.stack([render(scene, SIDE) for scene in scenes])}
    for system in systems:
        of_system, first = row(system, judge, arguments.n, arguments.guidance)
        print(of_system, flush=True)
        rows[system["name"]] = enlarged(first, SIDE, Image.Resampling.NEAREST)
        if arguments.into is not None:
            text = with_lines(arguments.into.read_text(), [of_system])
            atomic_write(arguments.into, lambda file, text=text: file.write(text.encode()))
    if arguments.picture is not None:
        sheet = plot.image_rows({name: to_floats(images) for name, images in rows.items()}, scale=1)
        print(f"\n{plot.save_image(sheet, arguments.picture)}: the first captions, none left out:")
        print(*(f"{i}. {caption}" for i, caption in enumerate(captions, 1)), sep="\n")


if __name__ == "__main__":
    main()
