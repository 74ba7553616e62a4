"""The article's two prompts, drawn by each system: neither combination was shown in any training.

Of each prompt 16 pictures are drawn, none left out, as the report of `tinydiff evaluate` does. Printed is in how many
of them the judge of scenes sees the object and the place; drawn are the first eight, below real scenes of that kind:

    python tests/benchmarks/article.py scenes scenes-128 --picture docs/images/article.png

Systems are named as in scenes.py. With ``--of-real``, unCLIPs draw 16 besides of the embeddings of real scenes of that
kind, instead of those that the prior guesses of the prompt.
"""

import argparse
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image
from scenes import SIDE, drawn, enlarged, systems_of

from tinydiff import plot
from tinydiff.base import to_numpy
from tinydiff.data import to_floats, to_images
from tinydiff.data.scenes import compose, render
from tinydiff.evaluate.scenes import ARTICLE, OF_EACH, how_many_show
from tinydiff.models import SAMPLER, STEPS, Request, UnClip, load, load_picture_model
from tinydiff.networks import AttributeClassifier

SHOWN = 8  # pictures of a prompt in a row


def real(wanted: dict[str, str], n: int, side: int = SIDE) -> np.ndarray:
    """Return n real scenes with this object at this place, the first ones among those that no training shows."""
    scenes = (compose(i, split="held-out") for i in count())
    found = (scene for scene in scenes if all(getattr(scene, name) == word for name, word in wanted.items()))
    return np.stack([render(scene, side) for scene in islice(found, n)])


def of_real(model: UnClip, prompt: str, wanted: dict[str, str], guidance: float) -> np.ndarray:
    """Return pictures of the prompt and of the embeddings of real scenes."""
    embedding = model.embed(to_floats(real(wanted, OF_EACH, model.picture_shape[0])))
    request = Request(prompt=[prompt] * OF_EACH, guidance=guidance, embedding=embedding)
    return to_images(to_numpy(model.draw(request, SAMPLER, STEPS)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="SYSTEM", help="one of systems.toml, or NAME=MODEL")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--of-real", action="store_true", help="unCLIPs draw of the embeddings of real scenes besides")
    parser.add_argument("--picture", type=Path, help="where they are drawn")
    arguments = parser.parse_args()
    try:
        systems = systems_of(arguments.models)
    except ValueError as error:
        parser.error(str(error))
    judge = load("scenes-judge", kind=AttributeClassifier)
    rows = {}
    for prompt, wanted in ARTICLE.items():
        rows[f"real {wanted['object']}s"] = real(wanted, SHOWN)
        for system in systems:
            model = load_picture_model(system["model"])
            if arguments.of_real and isinstance(model, UnClip):
                right = how_many_show(judge, of_real(model, prompt, wanted, arguments.guidance), wanted)
                print(f"{system['name']}, of real embeddings: {prompt!r} in {right} of {OF_EACH}", flush=True)
            images = drawn(model, [prompt] * OF_EACH, arguments.guidance)
            right = how_many_show(judge, images, wanted)
            print(f"{system['name']}: {prompt!r} in {right} of {OF_EACH}", flush=True)
            rows[f"{system['name']}, {wanted['object']}s"] = enlarged(images[:SHOWN], SIDE, Image.Resampling.NEAREST)
    if arguments.picture is not None:
        sheet = plot.image_rows({name: to_floats(images) for name, images in rows.items()}, scale=1)
        print(plot.save_image(sheet, arguments.picture))


if __name__ == "__main__":
    main()
