"""What dynamic thresholding does at strong guidance (Eq. DYN-1), on a model that draws scenes as pixels.

The same captions and seeds are drawn with predictions that are clipped, and with such that are clipped at a percentile
and divided by it. Printed are what is drawn as asked, how many colours are pure (0 or 255), and how near pictures are
to real scenes of the same side:

    python tests/benchmarks/thresholds.py runs/scenes-32 --guidance 3 5 8
"""

import argparse

import numpy as np
from scenes import SPLITS, drawn, real_scenes

from tinydiff.data import to_floats
from tinydiff.evaluate import frechet_distance_of, random_features, scene_obedience
from tinydiff.evaluate.scenes import captioned_scenes, read_scenes
from tinydiff.models import SAMPLER, STEPS, Guidance, load, load_picture_model
from tinydiff.networks import AttributeClassifier

THRESHOLDS = ("static", "dynamic")


def pure(images: np.ndarray) -> float:
    """Return the share of colour values, of bytes, that are as dark or as light as they can be."""
    return float(((images == 0) | (images == 255)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a shipped model or a folder that draws scenes of words as pixels")
    parser.add_argument("--n", type=int, default=200, help="captions of the split test, the first ones")
    parser.add_argument("--guidance", type=float, nargs="+", default=[3.0, 5.0, 8.0])
    arguments = parser.parse_args()
    model, judge = load_picture_model(arguments.model), load("scenes-judge", kind=AttributeClassifier)
    split, n, side = SPLITS["seen"], arguments.n, model.picture_shape[0]
    scenes, captions, named = captioned_scenes(split, n)
    real, others = real_scenes(split, n, side)
    of_others = random_features(to_floats(others))

    def line(name, images):
        read = scene_obedience(read_scenes(judge, images), scenes, named)
        distance = frechet_distance_of(random_features(to_floats(images)), of_others)
        print(f"| {name} | {read.mean:.1%} | {pure(images):.1%} | {distance:.3g} |", flush=True)

    print(f"{n} captions, none left out; {SAMPLER}, {STEPS} steps.\n")
    print("| guidance, threshold | as asked | colour values that are 0 or 255 | Fréchet, random features |")
    print("|---|---|---|---|")
    line("real scenes", real)
    for scale in arguments.guidance:
        for threshold in THRESHOLDS:
            line(f"{scale:g}, {threshold}", drawn(model, captions, Guidance(scale, threshold=threshold)))


if __name__ == "__main__":
    main()
