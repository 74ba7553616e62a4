"""Time a picture that is drawn in latents against one drawn in pixels, by UNets of the same widths.

Both read the same prompt and draw with guidance, by the sampler of the commands, in turns. The networks of pixels have
random weights, which change no time. It prints a table: ``python tests/benchmarks/latents.py``.
"""

import argparse
import statistics
from dataclasses import replace
from functools import partial

from bench import time_in_turns

import tinydiff
from tinydiff.models import (
    GUIDANCE_FOR_PROMPTS,
    SAMPLER,
    STEPS,
    DiffusionModel,
    LatentDiffusion,
    Request,
)

PROMPT = "a small cabin on top of a snowy mountain"


def in_pixels(shipped: LatentDiffusion, side: int) -> DiffusionModel:
    """Return a model of the same widths that draws the pixels themselves."""
    unet = replace(shipped.config.unet, image_size=side, in_channels=3)
    config = replace(shipped.config, unet=unet)
    return DiffusionModel(config.network(), config, shipped.micro_batch, tokenizer=shipped.tokenizer)


def draw(model: DiffusionModel, n: int) -> None:
    model.draw(Request(n=n, prompt=PROMPT, guidance=GUIDANCE_FOR_PROMPTS), SAMPLER, STEPS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if rounds < 1:
        parser.error(f"--rounds is {rounds}, but at least 1 was expected.")
    print(f"Seconds to draw, {STEPS} steps, guidance {GUIDANCE_FOR_PROMPTS:g}, medians of {rounds} rounds:\n")
    print("| pictures | one in latents | 16 in latents | one in pixels | pixels / latents (range) |")
    print("|---|---|---|---|---|")
    for name in ("scenes", "scenes-128"):
        latents = tinydiff.load(name, kind=LatentDiffusion)
        side, _, _ = latents.picture_shape
        pixels = in_pixels(latents, side)
        runs = {
            "one": partial(draw, latents, 1),
            "sixteen": partial(draw, latents, 16),
            "in pixels": partial(draw, pixels, 1),
        }
        seconds = time_in_turns(runs, rounds)
        ratios = sorted(a / b for a, b in zip(seconds["in pixels"], seconds["one"], strict=True))
        one, sixteen, in_pixel = (statistics.median(values) for values in seconds.values())
        print(
            f"| {side} x {side} | {one:.2f} | {sixteen:.1f} | {in_pixel:.1f} | **{statistics.median(ratios):.0f}** "
            f"({ratios[0]:.0f}-{ratios[-1]:.0f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
