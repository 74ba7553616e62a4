"""Time a picture that is drawn in latents against one drawn in pixels, by UNets of the same widths.

Both read the same prompt and draw with guidance, by the sampler of the commands, in turns. What is not shipped has
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
    LatentAutoencoder,
    LatentDiffusion,
    Request,
)
from tinydiff.networks import Autoencoder, AutoencoderConfig

PROMPT = "a small cabin on top of a snowy mountain"
TWICE_AS_LARGE = AutoencoderConfig(128, channels=16, channel_mult=(1, 2, 4, 6), latent_channels=16)  # 16 x 16 latents


def twice_as_large(shipped: LatentDiffusion) -> LatentDiffusion:
    """Return a model like the shipped one that draws pictures of 128 x 128 from as many latents."""
    config = replace(shipped.config, unet=replace(shipped.config.unet, in_channels=TWICE_AS_LARGE.latent_channels))
    autoencoder = LatentAutoencoder(Autoencoder(TWICE_AS_LARGE))
    return replace(shipped, network=config.network(), config=config, autoencoder=autoencoder)


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
    shipped = tinydiff.load("scenes")
    print(f"Seconds to draw, {STEPS} steps, guidance {GUIDANCE_FOR_PROMPTS:g}, medians of {rounds} rounds:\n")
    print("| pictures | one in latents | 16 in latents | one in pixels | pixels / latents (range) |")
    print("|---|---|---|---|---|")
    for latents in (shipped, twice_as_large(shipped)):
        side, _, _ = latents.picture_shape
        pixels = in_pixels(shipped, side)
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
