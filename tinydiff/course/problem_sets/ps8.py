"""Problem set 8, editing and CLIP: where texts disagree, a chain begun too noisy, yes or no, RePaint, a front."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import Exercise

_RNG = np.random.default_rng(80)


def _normal(*shapes):
    return [_RNG.standard_normal(shape) for shape in shapes]


def _mask(
    first, second, threshold, signed=False, strict=False, turned=False, together=False, channels="mean", late=False
):
    difference = first - second if signed else abs(first - second)
    if late:  # the means first, and then the difference
        difference = abs(first.mean(axis=0) - second.mean(axis=0))[None]
    heat = difference.mean(axis=0)
    heat = {"mean": heat.mean, "max": heat.max}[channels](axis=-1, keepdims=True)
    axes = None if together else (1, 2, 3)
    low, high = (f(axis=axes, keepdims=True) for f in (heat.min, heat.max))
    heat = (heat - low) / (high - low)
    keep = heat <= threshold if strict else heat < threshold
    return heat, (~keep if turned else keep) + 0.0


def _of_mask(draws, n, height, width, channels, threshold):
    scale = np.linspace(0.5, 3, n).reshape(n, 1, 1, 1)
    return *(scale * a for a in _normal(*[(draws, n, height, width, channels)] * 2)), threshold


_FLAT = np.zeros((2, 1, 2, 3, 2))  # whole numbers, so that a heat is exactly at the threshold
_RAISED = np.array([[0, 0], [4, 4], [2, 2], [8, 8], [6, 6], [4, 4]]).reshape(1, 2, 3, 2) + _FLAT

MASK = Exercise(
    grade="transcribe",
    reference=_mask,
    cases=[_of_mask(3, 2, 4, 5, 4, 0.4), _of_mask(2, 3, 3, 4, 2, 0.65), (_RAISED, _FLAT, 0.5)],
    returns=["heat", "keep"],
    mistakes={
        "differences of other signs cancel: take their absolute values before any mean.": partial(_mask, signed=True),
        "the guesses are averaged before they are compared; compare them draw by draw, and average the differences.": (
            partial(_mask, late=True)
        ),
        "the mask is turned round: 1 keeps a pixel, and kept is where the texts agree.": partial(_mask, turned=True),
        "lowest and highest are those of all pictures together; each picture has its own.": (
            partial(_mask, together=True)
        ),
        "of the channels the largest difference is taken; take their mean.": partial(_mask, channels="max"),
    },
    hints=[
        "Five axes: draws, pictures, rows, columns, channels. Which two are averaged away, and in which order?",
        "Absolute differences, their mean over draws and channels; then bring each picture's heat to 0 .. 1.",
        "`heat = abs(first - second).mean(axis=(0, 4))[..., None]`; low and high over the axes (1, 2, 3), keepdims; "
        "`(heat - low) / (high - low)`, and keep where it is below the threshold.",
    ],
    praise="Where two texts disagree, there is something to change.",
)


def _edited(guess, alpha_bar, picture, eps, times, strength, level="first", up_to=True, all_times=False, clean=False):
    highest = strength * (len(alpha_bar) - 1)
    left = [t for t in times if (t <= highest + 1e-9 if up_to else t < highest - 1e-9)]
    if all_times:
        left = list(times)
    if not left:
        return picture
    at = {"first": left[0], "strength": round(highest), "last": times[-1], "T": len(alpha_bar) - 1}[level]
    x = alpha_bar[at] ** 0.5 * picture + (0 if clean else (1 - alpha_bar[at]) ** 0.5 * eps)
    for t, s in zip(left, [*left[1:], 0], strict=True):
        x_0 = guess(x, t)
        eps_hat = (x - alpha_bar[t] ** 0.5 * x_0) / (1 - alpha_bar[t]) ** 0.5
        x = alpha_bar[s] ** 0.5 * x_0 + (1 - alpha_bar[s]) ** 0.5 * eps_hat
    return x


def _shrinks(x, t):
    return 0.8 * np.tanh(x + 0.5 * x.mean(axis=(1, 2, 3), keepdims=True) + 0.02 * t)  # pixels look at each other


_LEVELS = np.cos(np.linspace(0, 1.5, 41)) ** 2

EDITED = Exercise(
    grade="debug",
    reference=_edited,
    cases=[
        (_shrinks, _LEVELS, *_normal((2, 3, 4, 2), (2, 3, 4, 2)), [40, 23, 17, 12, 6], 0.6),
        (_shrinks, _LEVELS, *_normal((3, 2, 5, 1), (3, 2, 5, 1)), [40, 30, 20, 10], 0.5),
        (_shrinks, _LEVELS, *_normal((1, 4, 2, 3), (1, 4, 2, 3)), [39, 33, 24, 11, 2], 0.9),
    ],
    returns=["picture"],
    mistakes={
        "the noise is that of strength * T, but the chain begins at the first time that is left, which is lower.": (
            partial(_edited, level="strength")
        ),
        "the noise is that of T: nothing of the picture is left, whatever the strength.": partial(_edited, level="T"),
        "a time that is exactly strength * T belongs to the chain: up to it means that it is included.": (
            partial(_edited, up_to=False)
        ),
        "the chain takes all times; it should begin at strength * T or below.": partial(_edited, all_times=True),
        "no noise is added, so the model is told of noise that is not there.": partial(_edited, clean=True),
    },
    hints=[
        "How noisy is x when the loop begins, and how noisy does the first call of `guess` believe that it is?",
        "The first time in the loop is `left[0]`. The picture must be noised to that time.",
        "Use `alpha_bar[left[0]]` for the weights of picture and noise.",
    ],
    praise="The picture starts as noisy as the model is told.",
)


def _yes_no(logits, bias, signs=True, negative=True, mean="rows", d_bias="sum", sign=1.0, sharp=True, true=1.0):
    n = len(logits)
    z = 2 * np.eye(n) - 1 if signs else np.ones((n, n))
    a = z * (logits + bias) if sharp else z * logits + bias
    losses = np.logaddexp(0, -a)
    if not negative:
        losses = losses * np.eye(n)
    d = -z * true / (1 + np.exp(np.clip(a, -700, 700)))
    d = d * (1 if negative else np.eye(n)) * sign
    count = {"rows": n, "all": n * n, "one": 1}[mean]
    return (
        losses.sum() / count,
        d / count,
        {"sum": d.sum() / count, "mean": d.mean()}[d_bias],
    )


YES_NO = Exercise(
    grade="derive",
    reference=_yes_no,
    cases=[
        (2 * _RNG.standard_normal((4, 4)), -1.3),
        (_RNG.standard_normal((3, 3)), 0.4),
        (400 * _RNG.standard_normal((5, 5)), -20.0),
    ],
    returns=["loss", "d_logits", "d_bias"],
    mistakes={
        "every pair is asked for a yes; off the diagonal the right answer is no.": partial(_yes_no, signs=False),
        "only the right pairs are asked; the others are questions, too, and their answer is no.": (
            partial(_yes_no, negative=False)
        ),
        "the loss is a mean over all pairs; it is their sum divided by the number of pictures.": (
            partial(_yes_no, mean="all")
        ),
        "nothing is divided by the number of pictures.": partial(_yes_no, mean="one"),
        "the gradient has the other sign.": partial(_yes_no, sign=-1.0),
        "the bias is added after the sign; it is part of the logit, so the sign turns it as well.": (
            partial(_yes_no, sharp=False)
        ),
        "d_bias is a mean over the pairs; the bias is in every logit, so it is the sum of d_logits.": (
            partial(_yes_no, d_bias="mean")
        ),
    },
    hints=[
        "Each pair is a question of its own: a = z (logit + bias), and the loss log(1 + e^-a). What is its slope in a?",
        "The slope is -1 / (1 + e^a), times z for the logit. The bias is in each of them. And e^-a may overflow.",
        "`losses = np.logaddexp(0, -a)`, `d_logits = -z / (1 + np.exp(a)) / n`, and d_bias is the sum of d_logits.",
    ],
    praise="Whether, and not only which.",
)


def _repainted(
    guess,
    alpha_bar,
    x_T,
    known,
    mask,
    times,
    resample,
    eps_step,
    eps_known,
    eps_up,
    up="between",
    level="s",
    repeats=0,
    last=False,
    spread="tilde",
    again=True,
    only_known=False,
):
    x = x_T
    path = [*times, 0]
    for i in range(len(times)):
        bar_t, bar_s = alpha_bar[path[i]], alpha_bar[path[i + 1]]
        alpha = bar_t / bar_s
        count = resample + repeats if path[i + 1] > 0 or last else 1
        for r in range(max(1, min(count, eps_step.shape[1]))):
            if r > 0 and again:
                keep = {"between": alpha, "whole": bar_t, "beta": 1 - alpha}[up]
                noised = keep**0.5 * x + (1 - keep) ** 0.5 * eps_up[i, r]
                x = mask * noised + (1 - mask) * x if only_known else noised
            x_0 = guess(x, path[i])
            mean = (bar_s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - bar_s) * x) / (1 - bar_t)
            variance = {"tilde": (1 - bar_s) / (1 - bar_t) * (1 - alpha), "beta": 1 - alpha}[spread]
            step = mean + (variance**0.5 * eps_step[i, r] if bar_s < 1 else 0)
            at = bar_t if level == "t" else bar_s
            known_s = at**0.5 * known + (1 - at) ** 0.5 * eps_known[i, r]
            x_new = mask * known_s + (1 - mask) * step
            x = x_new
    return x


def _of_repaint(n, height, width, channels, times, resample):
    shape, many = (n, height, width, channels), (len(times), resample + 1)
    mask = (_RNG.random((1, height, width, 1)) < 0.5) + 0.0
    x_T, known = _normal(shape, shape)
    return _shrinks, _LEVELS, x_T, known, mask, times, resample, *_normal(*[(*many, *shape)] * 3)


REPAINTED = Exercise(
    grade="transcribe",
    reference=_repainted,
    cases=[
        _of_repaint(2, 3, 4, 2, [40, 27, 13, 5], 3),
        _of_repaint(1, 4, 3, 3, [38, 20, 9], 2),
        _of_repaint(3, 2, 5, 1, [35, 14], 1),
    ],
    returns=["x"],
    mistakes={
        "on the way up, alpha is that of the whole way to t; x comes from s, so take the ratio.": (
            partial(_repainted, up="whole")
        ),
        "on the way up, what is kept and what is added have changed places.": partial(_repainted, up="beta"),
        "the known part has the noise of t; both parts must be at s.": partial(_repainted, level="t"),
        "each step is taken once more than `resample` says.": partial(_repainted, repeats=1),
        "the last step, to 0, is repeated too; it is taken once.": partial(_repainted, last=True),
        "the step draws with the variance beta; with x_0 guessed it is beta-tilde.": partial(_repainted, spread="beta"),
        "steps are repeated, but x is not noised up to t in between.": partial(_repainted, again=False),
        "only the known part is noised on the way up; the whole picture is.": partial(_repainted, only_known=True),
    },
    hints=[
        "Two loops: over the steps from t to s, and inside over the repeats. Notebook 25's step is in the middle.",
        "At repeat r > 0 first go up: with alpha = alpha_bar[t] / alpha_bar[s], take notebook 01's step from s to t.",
        "Up: `x = alpha ** 0.5 * x + (1 - alpha) ** 0.5 * eps_up[i, r]`. Take a step `resample if s > 0 else 1` times.",
    ],
    praise="The whole of RePaint.",
)


def _front(kept, fits, strict=False, weak=False, convex=False, best=False, minimise=False):
    n, on_front = len(kept), []
    for i in range(n):
        no_worse = (kept >= kept[i]) & (fits >= fits[i])
        better = (kept > kept[i]) | (fits > fits[i])
        if minimise:
            no_worse, better = (kept <= kept[i]) & (fits >= fits[i]), (kept < kept[i]) | (fits > fits[i])
        beaten = (kept > kept[i]) & (fits > fits[i]) if strict else no_worse & better
        if weak:
            beaten = no_worse & (np.arange(n) != i)
        on_front.append(not beaten.any())
    found = np.array(on_front)
    if best:
        found = np.arange(n) == (kept + fits).argmax()
    if convex:
        w = np.linspace(0, 1, 201)[:, None]
        found = np.isin(np.arange(n), (w * kept + (1 - w) * fits).argmax(axis=1))
    return found


_KEPT = np.array([0.9, 0.7, 0.7, 0.4, 0.35, 0.9, 0.6, 0.65])
_FITS = np.array([0.1, 0.3, 0.6, 0.62, 0.9, 0.1, 0.6, 0.58])

FRONT = Exercise(
    grade="explore",
    reference=_front,
    cases=[(_KEPT, _FITS), tuple(_RNG.uniform(0, 1, (2, 15))), tuple(np.round(_RNG.uniform(0, 1, (2, 12)), 1))],
    returns=["on_front"],
    mistakes={
        "who is equal in one and worse in the other is beaten, too: better in one, no worse in the other, is enough.": (
            partial(_front, strict=True)
        ),
        "two equal settings do not beat each other: one of the two figures must be better.": partial(_front, weak=True),
        "only corners that some weighted sum likes best are found; a setting may be unbeaten and lie in a hollow.": (
            partial(_front, convex=True)
        ),
        "that is the one with the largest sum; there are many answers, from careful to bold.": partial(
            _front, best=True
        ),
        "it is good to keep much, so larger is better in both.": partial(_front, minimise=True),
    },
    hints=[
        "For a setting i: is there another that is at least as good in both figures, and better in one?",
        "`(kept >= kept[i]) & (fits >= fits[i])` are no worse. Which of them are better?",
        "`beaten = no_worse & ((kept > kept[i]) | (fits > fits[i]))`; on the front is i if no entry of it is true.",
    ],
    praise="What no other setting beats: the choice between these is a matter of taste.",
)
