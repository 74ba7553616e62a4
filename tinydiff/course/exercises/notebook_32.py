"""Exercises of notebook 32: what a block costs, a training pair, a whole drawing, noise, a mask, and a game of two."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(32)


def _cost(h, w, c, taps=9, convolutions=2, maps=4, products=2, of_all=True, positions=None, once=False):
    positions = h * w if positions is None else positions(h, w)
    linear = (taps * convolutions + maps) * positions * c * (c if of_all else 1)
    pairs = positions * (positions + 1) / 2 if once else positions**2
    return linear, products * pairs * c


COST = Exercise(
    grade="derive",
    reference=_cost,
    cases=[(3, 5, 4), (2, 7, 6), (8, 4, 12)],
    returns=["by positions", "by pairs"],
    mistakes={
        "a kernel of 3 x 3 has nine taps, and each is a matrix from c to c channels.": partial(_cost, taps=3),
        "there are two convolutions.": partial(_cost, convolutions=1),
        "attention has four linear maps: to queries, keys and values, and one after it.": partial(_cost, maps=3),
        "the four linear maps of the attention are missing: they are paid for at each position, too.": (
            partial(_cost, maps=0)
        ),
        "each channel that comes out is a sum over all c that go in: c times c for each tap.": (
            partial(_cost, of_all=False)
        ),
        "a map of h x w has h times w positions.": partial(_cost, positions=lambda h, w: h + w),
        "attention has two products: queries with keys, and weights with values.": partial(_cost, products=1),
        "each position looks at all, and each is looked at: that is the square of their number, and not half of it.": (
            partial(_cost, once=True)
        ),
    },
    hints=[
        "How many numbers come out of a convolution, and how many products is each of them a sum of?",
        "Each of h w c numbers is a sum over 9 c of them, twice, and over c, four times. Of the products in the "
        "attention each is over (h w)^2 pairs of positions and c channels.",
        "`return (2 * 9 + 4) * h * w * c**2, 2 * (h * w) ** 2 * c`",
    ],
    praise="One part grows with the pixels, the other with their square.",
)


def _pair(raw, mean, std, eps, alpha_bar_t, how="right", v="right", roots=True):
    x_0 = {
        "right": (raw - mean) / std,
        "raw": raw,
        "back": raw * std + mean,
        "scale": raw / std,
        "shift": raw - mean,
        "times": (raw - mean) * std,
    }[how]
    alpha_bar = alpha_bar_t[:, None, None, None]
    a, b = (alpha_bar**0.5, (1 - alpha_bar) ** 0.5) if roots else (alpha_bar, 1 - alpha_bar)
    x_t = a * x_0 + b * eps
    return x_t, {
        "right": a * eps - b * x_0,
        "sign": b * x_0 - a * eps,
        "sum": a * eps + b * x_0,
        "exchanged": a * x_0 - b * eps,
        "eps": eps,
        "from x_t": a * eps - b * x_t,
    }[v]


def _pair_case(n, h, w, c, alpha_bar):
    mean, std = _RNG.uniform(-1, 1, c), _RNG.uniform(0.5, 2.5, c)
    raw, eps = _RNG.standard_normal((2, n, h, w, c))
    return raw * std + mean, mean, std, eps, np.array(alpha_bar)


PAIR = Exercise(
    grade="transcribe",
    reference=_pair,
    cases=[
        _pair_case(3, 2, 4, 5, [0.9, 0.6, 0.2]),
        _pair_case(2, 4, 3, 6, [0.5, 0.05]),
        _pair_case(4, 2, 3, 1, [0.98, 0.7, 0.35, 0.1]),
    ],
    returns=["x_t", "v"],
    mistakes={
        "the latents are noised as the encoder gives them; first take away the mean, and divide by the deviation.": (
            partial(_pair, how="raw")
        ),
        "that is the way back, from standardised latents to the encoder's: subtract the mean, then divide.": (
            partial(_pair, how="back")
        ),
        "the mean is still there; each channel should have the mean 0.": partial(_pair, how="scale"),
        "the deviation is still there; each channel should have the deviation 1.": partial(_pair, how="shift"),
        "it is multiplied by the deviation; divide, so that the deviation becomes 1.": partial(_pair, how="times"),
        "a and b are the roots: alpha_bar is a share of the variance.": partial(_pair, roots=False),
        "v has the other sign: at t near 0 it is the noise, at T it is minus the latents.": partial(_pair, v="sign"),
        "both parts of v are added; v stands at a right angle to x_t, so there is a minus.": partial(_pair, v="sum"),
        "in v the noise belongs to a, and the latents to b: other than in x_t.": partial(_pair, v="exchanged"),
        "that is the noise; this network is to predict v.": partial(_pair, v="eps"),
        "v is made of the clean latents and the noise, and not of x_t.": partial(_pair, v="from x_t"),
    },
    hints=[
        "Three lines of the text, in their order. Which of the arrays have an axis for the pictures, and which not?",
        "Give alpha_bar_t three more axes of length 1, take both roots, and standardise the latents first.",
        "`x_0 = (raw - mean) / std`, `a, b = alpha_bar**0.5, (1 - alpha_bar) ** 0.5`, then "
        "`return a * x_0 + b * eps, a * eps - b * x_0`.",
    ],
    praise="That is a step of training, but for the network.",
)


def _picture(
    network,
    decoder,
    alpha_bar,
    x_T,
    words,
    nothing,
    guidance,
    times,
    mean,
    std,
    clip=False,
    last_clip=True,
    scaled="right",
    start="nothing",
    sign=1,
    eps_of="v",
    noise_of="s",
    steps=None,
):
    """Draw pictures by guided DDIM in latents, and decode them; what stands after `std` plants a mistake."""
    x = x_T
    for t, s in list(pairwise(times))[:steps]:
        a, b = alpha_bar[t] ** 0.5, (1 - alpha_bar[t]) ** 0.5
        given, free = network(x, t, words), network(x, t, nothing)
        if start == "swapped":
            given, free = free, given
        v = {"words": given, "none": 0}.get(start, free) + (guidance if start != "none" else 1) * (
            given - (free if start != "none" else 0)
        )
        x_0, eps = a * x - sign * b * v, b * x + a * v
        if clip:
            x_0 = np.clip(x_0, -1, 1)
        if eps_of == "x_0":
            eps = (x - a * np.clip(x_0, -1, 1)) / b
            x_0 = np.clip(x_0, -1, 1)
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[t if noise_of == "t" else s]) ** 0.5 * eps
    z = {
        "right": x * std + mean,
        "not": x,
        "mean": x + mean,
        "std": x * std,
        "order": (x + mean) * std,
        "into": (x - mean) / std,
    }[scaled]
    picture = decoder(z)
    return np.clip(picture, -1, 1) if last_clip else picture


def _v(x, t, context):
    return np.sin(1.3 * x + 0.2 * np.reshape(t, (-1, 1, 1, 1))) * context - 0.8 * x


def _constant_v(x, t, context):
    return context - 0.04 * np.reshape(t, (-1, 1, 1, 1)) - 1.1 * x


_MIX = _RNG.standard_normal((5, 3)) * 0.6


def _decoder(z):
    return (z @ _MIX[: z.shape[-1]]).repeat(2, axis=1).repeat(2, axis=2)


_ALPHA_BAR = [1.0, 0.95, 0.86, 0.71, 0.55, 0.38, 0.2, 0.06]


def _drawing(n, h, w, c, network, guidance, times):
    x_T, words, nothing = _RNG.standard_normal((3, n, h, w, c))
    scale = _RNG.uniform(-0.8, 0.8, c), _RNG.uniform(0.4, 2.2, c)
    return network, _decoder, _ALPHA_BAR, x_T, words, nothing[:1], guidance, times, *scale


PICTURE = Exercise(
    grade="debug",
    reference=_picture,
    cases=[
        _drawing(2, 3, 4, 5, _v, 3.0, [7, 5, 4, 1, 0]),
        _drawing(1, 2, 3, 4, _constant_v, 1.7, [6, 3, 2, 0]),
        _drawing(3, 4, 2, 5, _v, 0.4, [7, 2, 0]),
    ],
    returns=["pictures"],
    mistakes={
        PLANTED: partial(_picture, clip=True),
        "latents are clipped, and the noise fits the clipped ones: but latents have no bounds at all.": (
            partial(_picture, eps_of="x_0")
        ),
        "the decoder gets standardised latents; it knows only those of its encoder, times std and plus mean.": (
            partial(_picture, scaled="not")
        ),
        "the mean comes back, but not the deviation of each channel.": partial(_picture, scaled="mean"),
        "the deviation comes back, but not the mean of each channel.": partial(_picture, scaled="std"),
        "the mean is added before it is multiplied by the deviation; undo the last thing first.": (
            partial(_picture, scaled="order")
        ),
        "latents are standardised a second time; this is the way back.": partial(_picture, scaled="into"),
        "the picture itself is not kept within black and white: clip that, at the very end.": (
            partial(_picture, last_clip=False)
        ),
        "there is no guidance: what is said without words is not used.": partial(_picture, start="none"),
        "guidance starts from what is said with words; it starts from the other, and counts from there.": (
            partial(_picture, start="words")
        ),
        "words and no words are exchanged.": partial(_picture, start="swapped"),
        "v has the other sign in x_0: x_0 = a x - b v.": partial(_picture, sign=-1),
        "the noise of time t is put back; at time s there is less.": partial(_picture, noise_of="t"),
        "that is one step of the chain; go on to the last time.": partial(_picture, steps=1),
    },
    hints=[
        "Go through it line by line with this question: is what stands there true of latents, or only of pixels?",
        "Colours lie between -1 and 1. Do latents, and when may something be clipped?",
        "Take out `x_0 = np.clip(x_0, -1, 1)`.",
    ],
    praise="Words, noise, guided steps, the scale undone, a decoder: that is all of Stable Diffusion's loop.",
)


def _tolerance(decode, z, eps, levels, decibels, peak=4.0, pick="last", power=1.0, of="pictures", mean=True, factor=10):
    clean, found, failed = decode(z), 0.0, None
    for level in levels:
        noisy = z + level**power * eps
        off = decode(noisy) - clean if of == "pictures" else noisy - z
        error = (off**2).mean() if mean else (off**2).sum()
        reached = factor * np.log10(peak / error)
        if reached >= decibels:
            found = level
        elif failed is None:
            failed = level
    return found if pick == "last" else (levels[-1] if failed is None else failed)


def _bent(weights):
    return lambda z: np.tanh(z @ weights)


def _levels(least, most, n):
    return [float(f"{level:.3g}") for level in np.geomspace(least, most, n)]


def _noisy_case(shape, size, levels, decibels):
    z, eps = _RNG.standard_normal((2, *shape))
    return _bent(size * _RNG.standard_normal((shape[-1], 3))), z, eps, levels, decibels


TOLERANCE = Exercise(
    grade="explore",
    reference=_tolerance,
    cases=[
        _noisy_case((2, 3, 4, 5), 0.3, _levels(0.003, 3.0, 60), 22.0),
        _noisy_case((1, 4, 2, 6), 1.0, _levels(0.002, 1.0, 50), 30.0),
        _noisy_case((3, 2, 5, 4), 0.7, [0.5, 1.0, 2.0], 24.0),
        _noisy_case((2, 4, 3, 4), 0.2, _levels(0.01, 5.0, 70), 19.0),
    ],
    returns=["level"],
    mistakes={
        "that is the first level that is too much; the last one that is not was asked for.": (
            partial(_tolerance, pick="first")
        ),
        "colours go from -1 to 1, so the largest difference is 2 and its square 4; you took 1.": (
            partial(_tolerance, peak=1.0)
        ),
        "the level is a standard deviation: the noise is multiplied by it, and not by its root.": (
            partial(_tolerance, power=0.5)
        ),
        "the latents are compared; compare the pictures that are decoded from them.": (
            partial(_tolerance, of="latents")
        ),
        "the squares are summed; the decibels are of their mean.": partial(_tolerance, mean=False),
        "decibels are 10 log10 of a ratio of squares; 20 belongs to amplitudes.": partial(_tolerance, factor=20),
    },
    hints=[
        "For each level: decode noisy latents, compare with the picture of the clean ones, turn the error to decibels.",
        "The error is the mean of the squared differences, and the decibels are 10 times log10 of 4 over it.",
        "`10 * np.log10(4 / ((decode(z + level * eps) - decode(z)) ** 2).mean()) >= decibels`; keep the last level.",
    ],
    praise="What is quieter than this, the decoder does not hear.",
)


def _mask(mask, factor, how="min"):
    n, height, width, _ = mask.shape
    h, w = height // factor, width // factor
    if how == "mixed":
        return mask.reshape(n, factor, h, factor, w).min(axis=(1, 3))[..., None]
    blocks = mask.reshape(n, h, factor, w, factor)
    if how == "first":
        return blocks[:, :, 0, :, 0][..., None]
    if how == "rounded":
        return np.rint(blocks.mean(axis=(2, 4)))[..., None]
    if how == "middle":
        return blocks[:, :, factor // 2, :, factor // 2][..., None]
    return getattr(blocks, how)(axis=(2, 4))[..., None]


def _rectangles(n, h, w, factor, soft=False):
    mask = np.ones((n, h * factor, w * factor, 1))
    for one in mask:
        top, left = _RNG.integers(1, h * factor - 2), _RNG.integers(1, w * factor - 2)
        height, width = _RNG.integers(2, h * factor // 2 + 1), _RNG.integers(2, w * factor // 2 + 1)
        one[top : top + height, left : left + width] = _RNG.uniform(0.2, 0.7) if soft else 0
    return mask, factor


MASK = Exercise(
    grade="derive",
    reference=_mask,
    cases=[_rectangles(3, 4, 3, 4), _rectangles(2, 3, 5, 2), _rectangles(4, 2, 3, 8), _rectangles(2, 4, 2, 4, True)],
    returns=["mask"],
    mistakes={
        "a latent of which some pixels are to be drawn counts as known in part; it must be drawn anew, whole.": (
            partial(_mask, how="mean")
        ),
        "a latent counts as known if one of its pixels is; all of them must be.": partial(_mask, how="max"),
        "only the first pixel of each block is looked at.": partial(_mask, how="first"),
        "only a pixel in the middle of each block is looked at.": partial(_mask, how="middle"),
        "a latent counts as known if most of its pixels are; all of them must be.": partial(_mask, how="rounded"),
        "the pixels of a block are not neighbours: height becomes (h, factor), in this order.": (
            partial(_mask, how="mixed")
        ),
    },
    hints=[
        "Which pixels does a position of the latents stand for, and what if one of them is to be drawn anew?",
        "Reshape to (N, h, factor, w, factor), and take the least over both axes of a block.",
        "`mask.reshape(n, h, factor, w, factor).min(axis=(2, 4))[..., None]`",
    ],
    praise="Only what is known whole stays.",
)


def _game(real, fake, half=0.5, mean=True, margin=True, sides=(1, 1), sign=1, generator=1, of_generator="all"):
    n, m = (real.size, fake.size) if mean else (1, 1)
    if mean == "both":
        n = m = real.size + fake.size
    short_of_real, short_of_fake = (real < sides[0], fake > -sides[1]) if margin else (real < np.inf, fake < np.inf)
    d_real, d_fake = -sign * half / n * short_of_real, sign * half / m * short_of_fake
    moved = {"all": np.ones(fake.shape), "short": fake < 1}[of_generator]
    return d_real, d_fake, -generator / m * moved


def _logits(n, m):
    return 1.6 * _RNG.standard_normal((n, 2, 3, 1)) + 0.4, 1.6 * _RNG.standard_normal((m, 3, 2, 1)) - 0.4


GAME = Exercise(
    grade="derive",
    reference=_game,
    cases=[_logits(3, 2), _logits(2, 4), _logits(4, 3)],
    returns=["d_real", "d_fake", "d_fake_of_generator"],
    mistakes={
        "logits that are sure enough still get a gradient; max(0, ...) is flat there.": partial(_game, margin=False),
        "the margin is at 0: real logits are to be above 1, and fake ones below -1.": partial(_game, sides=(0, 0)),
        "the margins lie on the wrong sides: at -1 for real logits, and at 1 for fake ones.": (
            partial(_game, sides=(-1, -1))
        ),
        "the discriminator goes the wrong way: its loss falls as real logits rise.": partial(_game, sign=-1),
        "the half of the discriminator's loss is missing.": partial(_game, half=1.0),
        "the losses are means, so each logit has its share, one of n or of m.": partial(_game, mean=False),
        "real and fake logits have a mean each: n of the one, m of the other.": partial(_game, mean="both"),
        "the generator is pushed the wrong way: its loss falls as fake logits rise.": partial(_game, generator=-1),
        "the generator's loss has no margin: every logit should rise.": partial(_game, of_generator="short"),
    },
    hints=[
        "What is the slope of max(0, 1 - r) on either side of r = 1? And that of -f?",
        "A mean of n gives each logit 1 / n. Where a logit is past its margin, the slope is 0.",
        "`-0.5 / real.size * (real < 1)`, `0.5 / fake.size * (fake > -1)`, and `-1 / fake.size` for every fake logit.",
    ],
    praise="One pushes apart until it is sure; the other pushes for ever.",
)
