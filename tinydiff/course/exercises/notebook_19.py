"""Exercises of notebook 19: a step that is too loud, pairs of times, guidance, a loss scale, a hole, and symptoms."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(19)


def _loud(alpha_bar_s, alpha_bar_t, eta, old=1.0, of_eta=2, tilde=True, squared=True, less=False):
    beta = 1 - alpha_bar_t / alpha_bar_s
    sigma_squared = eta**of_eta * beta * ((1 - alpha_bar_s) / (1 - alpha_bar_t) if tilde else 1)
    fresh = sigma_squared if squared else sigma_squared**0.5
    return (1 - alpha_bar_s) * old + (-fresh if less else fresh)


LOUD = Exercise(
    grade="derive",
    reference=_loud,
    cases=[(0.64, 0.2, 1.0), (0.3, 0.1, 0.4), (0.97, 0.55, 0.7), (0.8, 0.75, 0.0)],
    returns=["variance"],
    mistakes={
        "that is the variance without the bug.": lambda s, t, eta: 1 - s,
        "eta is not squared: sigma squared has eta squared.": partial(_loud, of_eta=1),
        "sigma is added, but variances add: it is sigma squared.": partial(_loud, squared=False),
        "the fresh noise has the variance beta-tilde, not beta: a factor (1 - alpha_bar_s) / (1 - alpha_bar_t).": (
            partial(_loud, tilde=False)
        ),
        "that is the old noise of the right step; with the bug nothing is taken off.": partial(_loud, less=True),
        "the old noise is left out.": partial(_loud, old=0.0),
    },
    hints=[
        "Old and fresh noise are independent. What happens to their variances?",
        "They add: 1 - alpha_bar_s of the old noise, and sigma squared of Eq. DDIM-16.",
        "`1 - alpha_bar_s + eta**2 * (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)`.",
    ],
    praise="At eta = 1 that is nearly twice what it should be.",
)


def _pairs(times, end=0.0):
    times = np.asarray(times, np.float64)
    return np.stack([times, np.append(times[1:], end)], axis=1)


def _by_stride(times):
    times = np.asarray(times, np.float64)
    return np.stack([times, np.maximum(times - times[0] / len(times), 0)], axis=1)


PAIRS = Exercise(
    grade="debug",
    reference=_pairs,
    cases=[
        (np.array([1000.0, 650, 30]),),
        (np.array([1000.0, 889, 778, 667, 556, 445, 334, 223, 112, 1]),),
        (np.array([500.0, 400, 100, 20]),),
    ],
    returns=["pairs"],
    mistakes={
        PLANTED: _by_stride,
        "the last step does not end at 0, so that noise is left.": lambda times: _pairs(times, times[-1]),
        "each step goes to t - 1, however far the next time is.": lambda times: np.stack([times, times - 1], axis=1),
        "the columns are exchanged: first t, then s.": lambda times: _pairs(times)[:, ::-1],
        "the gap of the first step is taken for all.": lambda times: np.stack(
            [times, np.maximum(times - (times[0] - times[1]), 0)], axis=1
        ),
    },
    hints=[
        "Try the times 1000, 650, 30: where should the first step end?",
        "A step ends where the next one begins. Nothing need be computed.",
        "`to = np.append(times[1:], 0)`.",
    ],
    praise="The next time of the list, whatever the gaps are.",
)


def _guided(given, nothing, s, w=False, first_only=False, swap=False):
    if swap:
        given, nothing = nothing, given
    scale = 1 + s if w else s
    guided = nothing + scale * (given - nothing)
    if first_only:
        guided = np.concatenate([guided[..., :1], given[..., 1:]], axis=-1)
    return guided


GUIDE = Exercise(
    grade="transcribe",
    reference=_guided,
    cases=[
        (_RNG.standard_normal((2, 4, 3)), _RNG.standard_normal((2, 4, 3)), 3.0),
        (_RNG.standard_normal((5, 2)), _RNG.standard_normal((5, 2)), 0.0),
        (_RNG.standard_normal((3, 2, 2, 4)), _RNG.standard_normal((3, 2, 2, 4)), 1.7),
    ],
    returns=["prediction"],
    mistakes={
        "that takes s for the paper's w: s is 1 + w.": partial(_guided, w=True),
        "with and without the condition are exchanged.": partial(_guided, swap=True),
        "only the first channel is guided.": partial(_guided, first_only=True),
        "the prediction without the condition is not added: at s = 1 it should be the one with it.": (
            lambda given, nothing, s: s * (given - nothing)
        ),
        "the difference is missing: the two predictions are added.": lambda given, nothing, s: nothing + s * given,
    },
    hints=[
        "Start from the prediction without the condition, and go s times the way to the other.",
        "The way is given - nothing.",
        "`nothing + s * (given - nothing)`.",
    ],
    praise="s = 0 ignores the condition, 1 follows it, and more goes beyond.",
)


def _scale(scale, good, finite, every, forget=True, by=2.0, grow_resets=True, late=0):
    if not finite:
        return scale / by, 0 if forget else good
    if good + 1 == every + late:
        return scale * 2, 0 if grow_resets else good + 1
    return scale, good + 1


SCALE = Exercise(
    grade="transcribe",
    reference=_scale,
    cases=[(1024.0, 3, False, 10), (1024.0, 9, True, 10), (512.0, 2, True, 5), (8.0, 3, True, 5), (2.0, 0, False, 3)],
    returns=["scale", "good"],
    mistakes={
        "after an overflow the count must begin anew.": partial(_scale, forget=False),
        "after the scale was doubled the count must begin anew.": partial(_scale, grow_resets=False),
        "it is doubled one step late: this step counts, too.": partial(_scale, late=1),
        "an overflow doubles the scale; it should be halved.": partial(_scale, by=0.5),
        "an overflow leaves the scale as it is, and the next step will overflow again.": partial(_scale, by=1.0),
        "the scale is doubled at every good step.": lambda scale, good, finite, every: (
            (scale * 2, good + 1) if finite else (scale / 2, 0)
        ),
    },
    hints=[
        "Three cases: an overflow, a good step that fills the count, any other good step.",
        "Overflow: half the scale, and 0. The count is full if good + 1 is every: twice the scale, and 0.",
        "`if not finite: return scale / 2, 0`, then `if good + 1 == every: return scale * 2, 0`, then "
        "`return scale, good + 1`.",
    ],
    praise="So the scale stays just below what overflows.",
)


def _join(unknown_s, known, z, mask, alpha_bar_t, alpha_bar_s, at="s", noise=0.5, signal=0.5, swap=False):
    a = alpha_bar_s if at == "s" else alpha_bar_t
    known_s = a**signal * known + (1 - a) ** noise * z
    return mask * unknown_s + (1 - mask) * known_s if swap else mask * known_s + (1 - mask) * unknown_s


def _hole(n, *shape):
    mask = np.zeros(shape)
    mask[..., : shape[-1] // 2 + 1] = 1
    return (*(_RNG.standard_normal((n, *shape)) for _ in range(3)), mask)


KNOWN = Exercise(
    grade="debug",
    reference=_join,
    cases=[(*_hole(2, 3, 4), 0.2, 0.7), (*_hole(1, 5), 0.6, 1.0), (*_hole(3, 2, 2), 0.05, 0.15)],
    returns=["x_s"],
    mistakes={
        PLANTED: partial(_join, at="t"),
        "the mask is turned round: 1 is where the picture is known.": partial(_join, swap=True),
        "the known part has no noise.": lambda unknown_s, known, z, mask, t, s: mask * known + (1 - mask) * unknown_s,
        "the noise has its variance for its size: the root is missing.": partial(_join, noise=1.0),
        "the known part is multiplied by alpha_bar: the root is missing.": partial(_join, signal=1.0),
    },
    hints=[
        "At which time is the picture that is returned?",
        "x_s is at s, so all of it must have the noise of s, the known part as well.",
        "`known_s = alpha_bar_s**0.5 * known + (1 - alpha_bar_s) ** 0.5 * z`.",
    ],
    praise="At the last step s is 0, and the known part is there without any noise.",
)


def _symptom(
    x, sees_infinite=True, black_first=True, axis=2, over="pictures", share=0.1, by_mean=True, contrast=0.2, limit=0.3
):
    x = np.asarray(x, np.float64)
    finite = bool(np.isfinite(x).all())
    if not finite:
        return 1 if sees_infinite else 0
    black = by_mean and x.mean() < -0.98
    if black and black_first:
        return 1
    if x.std() < contrast:
        return 2
    if axis == 2:
        a, b = x[:, :, :-1], x[:, :, 1:]
    else:
        a, b = x[:-1], x[1:]
    if np.corrcoef(a.ravel(), b.ravel())[0, 1] < limit:
        return 3
    spread = x.std(axis=0).mean() if over == "pictures" else x.std(axis=(1, 2)).mean()
    return 4 if spread < share * x.std() else 0


def _smooth(n, seed):
    """Return pictures of soft stripes, each its own; rows differ from picture to picture."""
    rng = np.random.default_rng(seed)
    phases, waves = rng.uniform(0, 6, (n, 1, 1)), rng.uniform(0.3, 0.6, (n, 1, 1))
    h, w = np.mgrid[:10, :12]
    return 0.9 * np.sin(phases + waves * w + 0.5 * h)


_INFINITE = _smooth(3, 1)
_INFINITE[1, 4:] = np.inf

SYMPTOM = Exercise(
    grade="explore",
    reference=_symptom,
    cases=[
        (_smooth(6, 0),),
        (_INFINITE,),
        (np.full((3, 10, 12), -0.995),),
        (0.05 * _RNG.standard_normal((4, 10, 12)),),
        (0.1 * _smooth(4, 2) + 0.2,),
        (_RNG.uniform(-1, 1, (4, 10, 12)),),
        (np.repeat(_smooth(1, 3), 5, axis=0) + 0.01 * _RNG.standard_normal((5, 10, 12)),),
    ],
    returns=["symptom"],
    mistakes={
        "numbers that are not finite are not seen: ask np.isfinite(x).all() first.": partial(
            _symptom, sees_infinite=False
        ),
        "black is asked for after grey, and a black picture has no contrast.": partial(_symptom, black_first=False),
        "pictures are compared with the next picture; neighbours are side by side in one.": partial(_symptom, axis=0),
        "that is the spread within pictures; alike are pictures that do not differ from each other.": (
            partial(_symptom, over="pixels")
        ),
        "grey is never said: the standard deviation over all numbers is to be compared with 0.2.": (
            partial(_symptom, contrast=0.0)
        ),
        "noise is never said: in noise, neighbours have hardly any correlation.": partial(_symptom, limit=-2.0),
    },
    hints=[
        "Four questions in the given order, and each returns at once.",
        "np.isfinite(x).all() and x.mean(); x.std(); np.corrcoef of x[:, :, :-1] and x[:, :, 1:], both ravelled; "
        "x.std(axis=0).mean().",
        "`if np.corrcoef(x[:, :, :-1].ravel(), x[:, :, 1:].ravel())[0, 1] < 0.3: return 3`, and the others like it.",
    ],
    praise="Four numbers, and most of the museum is sorted.",
)
