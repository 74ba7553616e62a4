"""Answers to the exercises of notebook 32."""

import math
from itertools import pairwise

import numpy as np

from tinydiff import functional as F
from tinydiff.base import Condition
from tinydiff.diffusion import GaussianDiffusion, classifier_free_guidance, ddim, last, predictor
from tinydiff.models.editing import mask_of_x
from tinydiff.nn import BlockConfig, ResBlock, Tape


def cost_of_library(h, w, c):
    block = ResBlock(c, c, BlockConfig(None), np.random.default_rng(0), heads=1)
    tape = Tape()
    block.forward(np.zeros((1, h, w, c), np.float32), None, tape)
    flops = {entry.owner: entry.owner.flops(entry.cache) for entry in tape.entries}  # multiplications and additions
    by_pairs = flops.pop(block.attention)
    return sum(flops.values()) // 2, by_pairs // 2


def pair_of_library(raw, mean, std, eps, alpha_bar_t):
    diffusion, t = GaussianDiffusion(np.array([1.0, *alpha_bar_t])), np.arange(1, len(raw) + 1)
    x_0 = (raw - mean) / std
    return diffusion.q_sample(x_0, t, eps), diffusion.v_from(x_0, eps, t)


def picture_of_library(network, decoder, alpha_bar, x_T, words, nothing, guidance, times, mean, std):
    diffusion = GaussianDiffusion(np.array(alpha_bar))

    def of_rows(x, t, context):
        return network(x, t, context.image)

    predict = predictor(of_rows, diffusion, "v", clip=False)
    guided = classifier_free_guidance(predict, diffusion, Condition(image=nothing), guidance)
    x_0 = last(ddim(guided, diffusion, x_T, times[:-1], context=Condition(image=words)))
    return np.clip(decoder(x_0 * std + mean), -1, 1)


def mask_of_library(mask, factor):
    n, height, width, _ = mask.shape
    return mask_of_x(mask, np.zeros((n, height, width, 3)), np.zeros((n, height // factor, width // factor, 5)))


def game_of_library(real, fake):
    of_discriminator = F.hinge_discriminator_backward(1.0, F.hinge_discriminator(real, fake)[1])
    return *of_discriminator, *F.hinge_generator_backward(1.0, F.hinge_generator(fake)[1])


def cost_loops(h, w, c):
    """Count one position, one pair, at a time."""
    linear = square = 0
    for _ in range(h * w):
        linear += 2 * (3 * 3 * c) * c + 4 * c * c
        square += sum(c + c for _ in range(h * w))
    return linear, square


def cost_floats(h, w, c):
    n = np.float32(h * w)
    return 18 * n * c**2 + 4 * n * c**2, n * n * c * 2


def cost_wrong(change):
    return lambda h, w, c: change(*cost_loops(h, w, c), h, w, c)


def pair_loops(raw, mean, std, eps, alpha_bar_t):
    x_t, v = np.zeros((2, *raw.shape))
    for n, alpha_bar in enumerate(alpha_bar_t):
        for k in range(raw.shape[-1]):
            x_0 = (raw[n, ..., k] - mean[k]) / std[k]
            angle = math.acos(math.sqrt(alpha_bar))
            x_t[n, ..., k] = math.cos(angle) * x_0 + math.sin(angle) * eps[n, ..., k]
            v[n, ..., k] = math.cos(angle) * eps[n, ..., k] - math.sin(angle) * x_0
    return x_t, v


def pair_from_x_t(raw, mean, std, eps, alpha_bar_t):
    """v = (eps - b x_t) / a, in float32."""
    raw, eps = raw.astype(np.float32), eps.astype(np.float32)
    bar = np.float32(alpha_bar_t).reshape(-1, 1, 1, 1)
    x_t = np.sqrt(bar) * (raw - np.float32(mean)) / np.float32(std) + np.sqrt(1 - bar) * eps
    return x_t, (eps - np.sqrt(1 - bar) * x_t) / np.sqrt(bar)


def pair_wrong(change):
    return lambda *args: change(*pair_loops(*args), *args)


def picture_by_eps(network, decoder, alpha_bar, x_T, words, nothing, guidance, times, mean, std):
    """Guide x_0 and the noise apart, and go through the ratio of both."""
    x = x_T
    for t, s in pairwise(times):
        a, b = math.sqrt(alpha_bar[t]), math.sqrt(1 - alpha_bar[t])
        v_free, v_given = network(x, t, nothing), network(x, t, words)
        x_0_free, eps_free = a * x - b * v_free, b * x + a * v_free
        x_0 = x_0_free + guidance * (a * x - b * v_given - x_0_free)
        eps = eps_free + guidance * (b * x + a * v_given - eps_free)
        x = math.sqrt(alpha_bar[s]) * x_0 + math.sqrt(1 - alpha_bar[s]) * eps
    return np.minimum(np.maximum(decoder(mean + std * x), -1), 1)


def picture_by_angles(network, decoder, alpha_bar, x_T, words, nothing, guidance, times, mean, std):
    """x turns by the difference of two angles: x_s = cos(d) x_t - sin(d) v."""
    angles, x = np.arccos(np.sqrt(np.float32(alpha_bar))), x_T.astype(np.float32)
    for t, s in pairwise(times):
        v = (1 - guidance) * network(x, t, nothing) + guidance * network(x, t, words)
        x = np.cos(angles[t] - angles[s]) * x - np.sin(angles[t] - angles[s]) * v
    return np.clip(decoder(x * std + mean), -1, 1)


def picture_wrong(**changed):
    """Change an argument on its way in, where names are those of the exercise."""
    names = ("network", "decoder", "alpha_bar", "x_T", "words", "nothing", "guidance", "times", "mean", "std")

    def wrong(*args):
        given = dict(zip(names, args, strict=True))
        return picture_by_eps(*(changed.get(name, lambda value: value)(given[name]) for name in names))

    return wrong


def tolerance_reversed(decode, z, eps, levels, decibels):
    for level in sorted(levels, reverse=True):
        if ((decode(z + level * eps) - decode(z)) ** 2).mean() <= 4 * 10 ** (-decibels / 10):
            return level
    return 0


def tolerance_arrays(decode, z, eps, levels, decibels):
    errors = np.array([np.square(decode(z + s * eps) - decode(z)).mean() for s in levels])
    good = 20 * np.log10(2 / np.sqrt(errors)) >= decibels
    return np.max(np.where(good, levels, 0))


def tolerance_smallest(decode, z, eps, levels, decibels):
    return levels[0]


def mask_loops(mask, factor):
    n, height, width, _ = mask.shape
    out = np.zeros((n, height // factor, width // factor, 1))
    for i, row, column, _ in np.ndindex(out.shape):
        rows, columns = (slice(k * factor, (k + 1) * factor) for k in (row, column))
        out[i, row, column, 0] = min(mask[i, rows, columns, 0].ravel().tolist())
    return out


def mask_strides(mask, factor):
    """The least of all shifted copies, in float32."""
    mask = mask.astype(np.float32)
    out = mask[:, ::factor, ::factor]
    for i in range(factor):
        for j in range(factor):
            out = np.minimum(out, mask[:, i::factor, j::factor])
    return out


def game_loops(real, fake):
    d_real, d_fake, d_generator = np.zeros(real.shape), np.zeros(fake.shape), np.full(fake.shape, -1 / fake.size)
    for i in np.ndindex(real.shape):
        d_real[i] = -1 / (2 * real.size) if 1 - real[i] > 0 else 0.0
    for i in np.ndindex(fake.shape):
        d_fake[i] = 1 / (2 * fake.size) if 1 + fake[i] > 0 else 0.0
    return d_real, d_fake, d_generator


def game_slopes(real, fake, h=1e-5):
    """Central differences of each loss, one logit at a time."""

    def slopes(loss, array):
        found = np.zeros(array.shape)
        for i in np.ndindex(array.shape):
            step = np.zeros(array.shape)
            step[i] = h
            found[i] = (loss(array + step) - loss(array - step)) / (2 * h)
        return found

    return (
        slopes(lambda r: np.maximum(0, 1 - r).mean() / 2, real),
        slopes(lambda f: np.maximum(0, 1 + f).mean() / 2, fake),
        slopes(lambda f: -f.mean(), fake),
    )


def game_wrong(change):
    return lambda *args: change(*game_loops(*args), *args)


LIBRARY = {
    "COST": cost_of_library,
    "PAIR": pair_of_library,
    "PICTURE": picture_of_library,
    "TOLERANCE": "The library measures decibels of bytes, and looks for no level of noise.",
    "MASK": mask_of_library,
    "GAME": game_of_library,
}
RIGHT = {
    "COST": {"loops": cost_loops, "floats": cost_floats},
    "PAIR": {"loops and angles": pair_loops, "v from x_t, float32": pair_from_x_t},
    "PICTURE": {"guided apart": picture_by_eps, "angles, float32": picture_by_angles},
    "TOLERANCE": {"from the largest": tolerance_reversed, "arrays": tolerance_arrays},
    "MASK": {"loops": mask_loops, "shifted copies, float32": mask_strides},
    "GAME": {"loops": game_loops, "central differences": game_slopes},
}
WRONG = {
    "COST": {
        "in additions, too": cost_wrong(lambda linear, square, *args: (2 * linear, 2 * square)),
        "one number for both": cost_wrong(lambda linear, square, *args: (linear + square, square)),
        "no channels in the pairs": cost_wrong(lambda linear, square, h, w, c: (linear, 2 * (h * w) ** 2)),
        "exchanged": cost_wrong(lambda linear, square, *args: (square, linear)),
    },
    "PAIR": {
        "nothing noised": pair_wrong(lambda x_t, v, raw, mean, std, *args: ((raw - mean) / std, v)),
        "the latents": pair_wrong(lambda x_t, v, raw, mean, std, *args: (x_t, (raw - mean) / std)),
        "exchanged": pair_wrong(lambda x_t, v, *args: (v, x_t)),
        "one time for all": lambda raw, mean, std, eps, bar: pair_loops(raw, mean, std, eps, bar[0] + 0 * bar),
        "standardised by themselves": lambda raw, mean, std, eps, bar: pair_loops(
            raw, raw.mean(axis=(0, 1, 2)), raw.std(axis=(0, 1, 2)), eps, bar
        ),
    },
    "PICTURE": {
        "guidance one more": picture_wrong(guidance=lambda s: 1 + s),
        "another order of times": picture_wrong(times=lambda times: times[::-1]),
        "the variance": picture_wrong(std=lambda std: std**2),
        "one scale for all": picture_wrong(std=lambda std: 0 * std + std.mean()),
        "the decoder is left out": picture_wrong(decoder=lambda decoder: lambda z: z),
        "noise of variance alpha": picture_wrong(alpha_bar=lambda bar: [value**2 for value in bar]),
    },
    "TOLERANCE": {
        "the smallest": tolerance_smallest,
        "the decibels": lambda decode, z, eps, levels, decibels: decibels,
        "scaled latents": lambda decode, z, eps, levels, decibels: tolerance_reversed(
            decode, 0 * z, eps, levels, decibels
        ),
    },
    "MASK": {
        "the other way round": lambda mask, factor: 1 - mask_loops(mask, factor),
        "product": lambda mask, factor: mask_loops(mask, factor) ** 16,
        "in pixels": lambda mask, factor: mask_loops(mask, factor).repeat(factor, axis=1).repeat(factor, axis=2),
        "transposed": lambda mask, factor: mask_loops(mask, factor)[:, ::-1],
    },
    "GAME": {
        "real and fake exchanged": game_wrong(lambda dr, df, dg, real, fake: (-dr, -df, dg)),
        "generator against the hinge": game_wrong(lambda dr, df, dg, real, fake: (dr, df, -df)),
        "linear logits": game_wrong(lambda dr, df, dg, real, fake: (dr * real, df * fake, dg)),
        "a half for the generator": game_wrong(lambda dr, df, dg, *args: (dr, df, dg / 2)),
    },
}
