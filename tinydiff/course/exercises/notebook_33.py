"""Exercises of notebook 33: enlarging and its backward, what averages lose, noised small pictures, cascades."""

from functools import partial
from itertools import pairwise

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(33)


def _weights(side, factor, half=0.5, clipped=True, corners=False, power=1, nearest=False, further=False):
    new = np.arange(side * factor)
    places = (new + half) / factor - half
    if corners:
        places = new * (side - 1) / (side * factor - 1)
    if clipped:
        places = np.clip(places, 0, side - 1)
    if nearest:
        places = np.rint(places)
    distances = abs(places[:, None] - np.arange(side))
    if further:  # the two neighbours with each other's weights
        return np.where(distances < 1, np.where(places[:, None] % 1 == 0, 1.0, distances), 0.0)
    return np.maximum(1 - distances**power, 0)


def _beyond(side, factor):
    """Return weights which go on in the same line beyond the outermost centres."""
    places = (np.arange(side * factor) + 0.5) / factor - 0.5
    first = np.clip(np.floor(places), 0, side - 2).astype(int)
    weights, rows = np.zeros((len(places), side)), np.arange(len(places))
    weights[rows, first], weights[rows, first + 1] = 1 - (places - first), places - first
    return weights


WEIGHTS = Exercise(
    grade="derive",
    reference=_weights,
    cases=[(3, 2), (4, 3), (2, 5), (5, 4)],
    returns=["weights"],
    mistakes={
        "places are counted from edges; a centre lies half a pixel further, in the small and in the large picture.": (
            partial(_weights, half=0.0)
        ),
        "the first and the last new centre lie on old ones; but both pictures have the same edges, not the same "
        "outermost centres.": partial(_weights, corners=True),
        "beyond the outermost centres the weights sum to less than 1; there the picture should go on as it is at the "
        "centre.": partial(_weights, clipped=False),
        "beyond the outermost centres the line goes on, with a weight below 0; there the picture should go on as it is "
        "at the centre.": _beyond,
        "each new pixel takes the nearest old one alone; it should lie on the line between two.": (
            partial(_weights, nearest=True)
        ),
        "the farther of two old pixels counts more; the nearer one should.": partial(_weights, further=True),
        "the weights fall with the square of the distance; they should fall in a line.": partial(_weights, power=2),
    },
    hints=[
        "Draw three old pixels on a line, and below them six new ones of half the width. Where are the centres?",
        "In old pixels, with 0 at the centre of the first, new centre h lies at (h + 1/2) / f - 1/2. Keep it between 0 "
        "and side - 1. An old pixel that is d away counts 1 - d, and 0 from a distance of 1 on.",
        "`np.maximum(1 - abs(places[:, None] - np.arange(side)), 0)` with `places` clipped to 0 .. side - 1.",
    ],
    praise="Two weights in each row, which sum to 1.",
)


def _collect(dy, rows, columns, mean=False, undone=False, power=1, blocks=False, half_way=False):
    f, g = dy.shape[1] // rows.shape[1], dy.shape[2] // columns.shape[1]
    if blocks or half_way:
        repeated = np.repeat(np.eye(columns.shape[1]), g, axis=0)
        rows, columns = (np.repeat(np.eye(rows.shape[1]), f, axis=0) if blocks else rows), repeated
    if undone:
        rows, columns = np.linalg.pinv(rows).T, np.linalg.pinv(columns).T
    dx = np.einsum("hi,wj,nhwc->nijc", rows**power, columns**power, dy)
    return dx / (f * g) if mean else dx


def _collect_case(n, height, width, c, factor):
    dy = _RNG.standard_normal((n, height * factor, width * factor, c))
    return dy, _weights(height, factor), _weights(width, factor)


COLLECT = Exercise(
    grade="derive",
    reference=_collect,
    cases=[_collect_case(2, 3, 5, 4, 2), _collect_case(3, 4, 2, 5, 3), _collect_case(1, 5, 6, 2, 4)],
    returns=["dx"],
    mistakes={
        "the gradients are averaged; each new pixel asks for its share of the old one, and shares add.": (
            partial(_collect, mean=True)
        ),
        "this finds the small picture that was enlarged; a gradient is not undone by the inverse of the matrix, but "
        "goes back through its transpose.": partial(_collect, undone=True),
        "each old pixel collects from its own block alone, as for repeated pixels; here new pixels of the blocks "
        "beside it read it, too.": partial(_collect, blocks=True),
        "along the width each old pixel collects from its own block alone; it is as along the height.": (
            partial(_collect, half_way=True)
        ),
        "the weights are squared; the gradient of a sum of w x in x is w.": partial(_collect, power=2),
    },
    hints=[
        "Write a new pixel as a sum over old ones. Which new pixels read the old pixel (i, j), and with which weight?",
        "dx[i, j] is the sum over h and w of rows[h, i] columns[w, j] dy[h, w]: two products, with the transposes.",
        '`np.einsum("hi,wj,nhwc->nijc", rows, columns, dy)`',
    ],
    praise="What went out with a weight comes back with the same weight.",
)


def _of_blocks(x, factor):
    n, height, width, c = x.shape
    return x.reshape(n, height // factor, factor, width // factor, factor, c)


def _means(x, factor):
    return _of_blocks(x, factor).mean(axis=(2, 4))


def _other(large, factor):
    return _of_blocks(large, factor)[:, :, ::-1, :, ::-1].reshape(large.shape)


def _flat(large, factor):
    return np.repeat(np.repeat(_means(large, factor), factor, axis=1), factor, axis=2)


def _louder(large, factor):
    return np.clip(large + 0.5 * np.sign(np.random.default_rng(1).standard_normal(large.shape)), -1, 1)


_LARGE = [(_RNG.uniform(-1, 1, (2, 6, 8, 3)), 2), (_RNG.uniform(-1, 1, (3, 6, 9, 2)), 3)]
_LEAST_MOVED, _LEAST_CONTRAST = 0.2, 0.9


def _unlike(outputs):
    """Return what is wrong with other large pictures as the rest of a sentence, empty if nothing is."""
    for (other,), (large, factor) in zip(outputs, _LARGE, strict=True):
        apart = abs(_means(other, factor) - _means(large, factor)).max()
        if not apart < 1e-4:
            return f"an average of a block of {factor} x {factor} moves by {apart:.2g}, but none should."
        if not abs(other).max() <= 1 + 1e-6:
            return f"a number is {abs(other).max():.3g}, but pixels lie between -1 and 1."
        moved = abs(other - large).mean(axis=(1, 2, 3)).min()
        if not moved >= _LEAST_MOVED:
            return f"the pixels of a picture move by {moved:.2g} on average; {_LEAST_MOVED} was asked for."
        before, after = (((x - _flat(x, factor)) ** 2).mean() for x in (large, other))
        if not after >= _LEAST_CONTRAST * before:
            return (
                f"the variance inside blocks is {after:.2g} and was {before:.2g}: the other picture should vary inside "
                "its blocks as much, within a tenth."
            )
    return ""


OTHER = Exercise(
    grade="explore",
    reference=_other,
    cases=_LARGE,
    returns=["other"],
    mistakes={
        "that is the same picture.": lambda large, factor: large,
        "the whole picture is mirrored, so its small picture is mirrored, too. Stay inside the blocks.": (
            lambda large, factor: large[:, :, ::-1]
        ),
        "each block is filled with its average. The small picture is the same, but nothing is in the blocks.": (_flat),
        "pixels are changed at random, and so are the averages. What one pixel of a block gains, another must lose.": (
            _louder
        ),
    },
    hints=[
        "What can you do with the pixels of one block without changing their average?",
        "Their order does not matter to the average. Give them another order, in each block the same.",
        "`large.reshape(n, h // f, f, w // f, f, c)[:, :, ::-1]`, reshaped to what it was.",
    ],
    praise="Two pictures, and no one who sees only the small one can tell which it was.",
    judge=_unlike,
)


def _example(
    x_0, t, s, alpha_bar, eps, eps_small, of_noised=False, told="s", shared=False, added=False, clean=False, every=False
):
    def noised(x, step, noise):
        level = alpha_bar[step].reshape(-1, 1, 1, 1)
        return level**0.5 * x + (1 - level) ** 0.5 * noise

    x_t = noised(x_0, t, eps)
    seen = x_t if of_noised else x_0
    small = seen[:, ::2, ::2] if every else _means(seen, 2)
    if added:
        small = 4 * small
    if shared:
        eps_small = _means(eps, 2)
    return x_t, small if clean else noised(small, s if told == "s" else t, eps_small)


def _example_case(n, height, width, c, T):
    alpha_bar = np.concatenate([[1], np.sort(_RNG.uniform(0.02, 0.98, T))[::-1]])
    return (
        _RNG.uniform(-1, 1, (n, height, width, c)),
        _RNG.integers(1, T + 1, n),
        _RNG.integers(1, T // 2, n),
        alpha_bar,
        _RNG.standard_normal((n, height, width, c)),
        _RNG.standard_normal((n, height // 2, width // 2, c)),
    )


EXAMPLE = Exercise(
    grade="debug",
    reference=_example,
    cases=[_example_case(2, 4, 6, 3, 20), _example_case(3, 8, 4, 5, 30), _example_case(5, 6, 10, 2, 40)],
    returns=["x_t", "small"],
    mistakes={
        PLANTED: partial(_example, of_noised=True),
        "the small picture is noised as far as the large one, up to t; it has a step of its own, s.": (
            partial(_example, told="t")
        ),
        "the small picture gets the large one's noise, averaged, and so gives it away; its noise is eps_small.": (
            partial(_example, shared=True)
        ),
        "the pixels of a block are added; they should be averaged.": partial(_example, added=True),
        "of each block the first pixel is taken; it should be the average.": partial(_example, every=True),
        "the small picture is not noised; it should be, up to its step s.": partial(_example, clean=True),
    },
    hints=[
        "What does the stage see when it draws: what is its small picture an average of, and how noisy is that?",
        "When it draws, the small picture is there before the first step, and is that of a finished large one. So in "
        "training, average the finished picture.",
        "`blocks = x_0.reshape(...)`, not `x_t.reshape(...)`",
    ],
    praise="The small picture belongs to the picture that is to be found, however noisy the other input is.",
)


def _beside(
    small,
    s,
    alpha_bar,
    eps,
    rows,
    columns,
    power=0.5,
    exchanged=False,
    kept=False,
    first=False,
    shift=0,
    blocks=False,
):
    level = alpha_bar[s + shift].reshape(-1, 1, 1, 1)
    if first:
        level = level[:1]
    signal, noise = (level**power, (1 - level) ** power)
    if exchanged:
        signal, noise = noise, signal
    noised = (1 if kept else signal) * small + noise * eps
    if blocks:
        rows, columns = (np.repeat(np.eye(a.shape[1]), len(a) // a.shape[1], axis=0) for a in (rows, columns))
    return np.einsum("hi,wj,nijc->nhwc", rows, columns, noised)


def _beside_case(n, height, width, c, T, factor):
    alpha_bar = np.concatenate([[1], np.sort(_RNG.uniform(0.02, 0.98, T))[::-1]])
    small, eps = _RNG.uniform(-1, 1, (n, height, width, c)), _RNG.standard_normal((n, height, width, c))
    s = np.concatenate([[0], _RNG.integers(1, T, n - 1)])
    return small, s, alpha_bar, eps, _weights(height, factor), _weights(width, factor)


BESIDE = Exercise(
    grade="transcribe",
    reference=_beside,
    cases=[_beside_case(3, 4, 5, 2, 20, 2), _beside_case(4, 3, 2, 5, 30, 3), _beside_case(2, 5, 6, 3, 40, 4)],
    returns=["image"],
    mistakes={
        "the roots are missing.": partial(_beside, power=1),
        "the two roots are exchanged: with s = 0 all would be noise.": partial(_beside, exchanged=True),
        "the small picture is not made fainter where noise is added.": partial(_beside, kept=True),
        "all pictures are noised as far as the first; each has its own s.": partial(_beside, first=True),
        "the step before s is taken; alpha_bar[s] belongs to s.": partial(_beside, shift=-1),
        "pixels are repeated; the weights of rows and columns should enlarge.": partial(_beside, blocks=True),
    },
    hints=[
        "alpha_bar[s] is one number for each picture: which axes does it need to meet (N, h, w, C)?",
        "Noise first, as in notebook 01, with the roots of alpha_bar[s] and of 1 less that. Then rows along the height "
        "and columns along the width.",
        '`np.einsum("hi,wj,nijc->nhwc", rows, columns, level**0.5 * small + (1 - level) ** 0.5 * eps)`',
    ],
    praise="Each picture has its own noise, and of its own size.",
)


def _surprise(one, other, over="differing", sign=1, root=True, unpaired=False, union=False):
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    gained, lost = np.sum(one & ~other), np.sum(other & ~one)
    if unpaired:
        p, n = (one.mean() + other.mean()) / 2, len(one)
        return (one.mean() - other.mean()) / (2 * p * (1 - p) / n) ** 0.5
    spread = {"differing": gained + lost, "all": len(one), "half": (gained + lost) / 2}[over]
    if union:
        spread = np.sum(one | other)
    return 0.0 if gained == lost else sign * (gained - lost) / (spread**0.5 if root else spread)


def _answers(n, share, other_share):
    u = _RNG.uniform(size=(2, n))
    return u[0] < share, np.where(u[1] < 0.6, u[0] < other_share, u[1] < 0.95)


SURPRISE = Exercise(
    grade="derive",
    reference=_surprise,
    cases=[_answers(60, 0.9, 0.5), _answers(45, 0.4, 0.8), _answers(70, 0.95, 0.9), (np.arange(7) % 2 == 0,) * 2],
    returns=["z"],
    mistakes={
        "the sign is that of the other: it is above 0 where the first has more right.": partial(_surprise, sign=-1),
        "the variance is that of as many coins as there are answers; where both are right, or both wrong, no coin is "
        "tossed.": partial(_surprise, over="all"),
        "the difference is divided by the variance; divide by its root.": partial(_surprise, root=False),
        "each coin counts +1 or -1, which has variance 1, and not 1/2.": partial(_surprise, over="half"),
        "that compares two shares as if they came from different pictures; here both answered the same questions.": (
            partial(_surprise, unpaired=True)
        ),
        "answers that both have right are counted as coins, too; they say nothing on which is better.": (
            partial(_surprise, union=True)
        ),
    },
    hints=[
        "Which questions tell the two apart at all?",
        "Count those that only the first has right, and those that only the second has. If both are as good, their "
        "difference is a sum of coins of +1 and -1: what is its variance?",
        "`(b - c) / (b + c) ** 0.5`, and 0 where b + c is 0.",
    ],
    praise="Beyond 2 or below -2, chance alone is a poor explanation.",
)


def _hand_over(step, times, x_T, level, T, told="stopped", to_end=False, early=False, strictly=False, in_steps=False):
    x, last = x_T, times[0]
    for t, s in pairwise(times):
        if early and s <= level * T:
            break
        x, last = step(x, t, s), s
        if not to_end and (s < level * T if strictly else s <= level * T):
            break
    return x, {"stopped": last, "asked": level * T}[told] / (1 if in_steps else T)


def _walk_case(shape, times, level, T):
    a, b = _RNG.standard_normal(2)
    return lambda x, t, s: np.cos(x * a + t / T) + b * s / T, times, _RNG.standard_normal(shape), level, T


HAND_OVER = Exercise(
    grade="transcribe",
    reference=_hand_over,
    cases=[
        _walk_case((2, 3, 4, 2), [50, 40, 29, 20, 11, 0], 0.3, 50),
        _walk_case((3, 2, 5, 3), [100, 83, 67, 50, 33, 17, 0], 0.33, 100),
        _walk_case((1, 4, 2, 5), [40, 30, 20, 10, 0], 0.5, 40),
    ],
    returns=["x", "level"],
    mistakes={
        "the chain is walked to its end; it should stop at the first time that is not above the level.": (
            partial(_hand_over, to_end=True)
        ),
        "it stops a step too early, while x is still noisier than the level.": partial(_hand_over, early=True),
        "where the chain comes to exactly the level it should stop; it goes one step too far.": (
            partial(_hand_over, strictly=True)
        ),
        "the stage is told the level that was asked for; x has the noise of where the chain has stopped.": (
            partial(_hand_over, told="asked")
        ),
        "the level is told in steps; it should be a share of T.": partial(_hand_over, in_steps=True),
    },
    hints=[
        "The chain cannot stop anywhere, only at one of its times. Which is the first that will do?",
        "Walk through `pairwise(times)`, and after each step see whether s is level * T or less. What is returned is "
        "the s at which that is so, as a share of T.",
        "`x = step(x, t, s)`, then `if s <= level * T: return x, s / T`",
    ],
    praise="The steps that are left out are those that would have finished the small picture.",
)
