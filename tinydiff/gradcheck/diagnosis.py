"""The likely mistake behind a wrong gradient, in words."""

import math

import numpy as np

SMALL = 4000  # gradients up to this many entries are diagnosed entry by entry


def diagnose(i, gradient, along, sizes):
    """Return (worst index, ratio there, likely mistake) of a wrong gradient."""
    if gradient.size > SMALL:
        return None, None, f"check it on an array of at most {SMALL} numbers for a diagnosis."
    right = np.empty(gradient.shape)
    for index in np.ndindex(gradient.shape):
        unit = np.zeros(gradient.shape)
        unit[index] = 1
        right[index] = along(unit)
    worst = np.unravel_index(np.argmax(abs(gradient - right)), gradient.shape)
    ratio = float(gradient[worst] / right[worst]) if right[worst] else float("inf")
    return tuple(int(k) for k in worst), ratio, _likely_mistake(gradient, right, sizes)


def wrong_parameters(parameters, gradient, along, seed, tolerance):
    """Say which parameters have a wrong gradient."""
    rng, wrong = np.random.default_rng(seed), []
    small = 1e-3 * float(np.linalg.norm(gradient))  # below it, rounding of the differences would look like a mistake
    for p in parameters:
        direction = np.zeros(gradient.shape)
        direction[p.offset : p.offset + p.size] = rng.standard_normal(p.size)
        slope = along(direction)
        mine = gradient[p.offset : p.offset + p.size]
        scale = max(abs(slope), float(np.linalg.norm(mine)), small, 1e-8)
        if not abs(float(gradient @ direction) - slope) <= tolerance * scale:
            wrong.append(p.name)
    if not wrong:
        return "small errors in many parameters, none of them large enough to name."
    return f"{len(wrong)} of {len(parameters)} parameters are wrong, the last ones {', '.join(wrong[-5:])}."


def wrong_shape(found, expected):
    """Return a sentence on a gradient whose shape is not its argument's, with the likely mistake."""
    shapes = f"its shape is {found}, but the argument's is {expected}"
    if sorted(found) == sorted(expected):
        return f"a transpose: {shapes}."
    if len(found) > len(expected) and found[len(found) - len(expected) :] == expected:
        return f"a missing sum: {shapes}; sum over the leading axes, along which it was broadcast."
    if len(found) == len(expected) and all(e in (1, n) for n, e in zip(found, expected, strict=True)):
        axes = tuple(k for k, e in enumerate(expected) if e != found[k])
        return f"a missing sum: {shapes}; sum over axis {axes} with keepdims=True."
    return f"{shapes}."


def _likely_mistake(yours, right, sizes):
    """Say in words how a wrong gradient differs from the right one."""

    def same(a, b):
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-6 * (abs(b).max() + 1e-12))

    if same(-yours, right):
        return "the sign."
    if not yours.any():
        return "it is all zeros: this path was forgotten."
    factor = float((yours * right).sum() / (right * right).sum()) if right.any() else 0.0
    if factor and same(yours / factor, right):
        return f"a factor: it is {factor:.6g} times the right one everywhere. {_name_factor(factor, sizes)}"
    if yours.ndim >= 2 and same(yours.swapaxes(-1, -2), right):
        return "a transpose: its last two axes are exchanged."
    if yours.ndim >= 2 and same(yours[::-1, ::-1], right):
        return "flipped taps: its first two axes run backwards."
    if same(yours - yours.mean(), right - right.mean()):
        return "a missing constant: it is off by the same number everywhere, as if a path through a mean was forgotten."
    for axis in range(yours.ndim):
        along_mean = yours.shape[axis] > 1  # along an axis of one number, every error is the same
        if along_mean and same(yours - yours.mean(axis, keepdims=True), right - right.mean(axis, keepdims=True)):
            return f"a missing term that is the same along axis {axis}, as if a path through a mean was forgotten."
    off = abs(yours - right) > 1e-4 * abs(right).max()
    if off.mean() < 0.5:
        return f"only {off.sum()} of {off.size} numbers are wrong: an edge, or entries that were left out."
    return "a missing or a wrong term: it is not off by a constant factor. Which path to the output is missing?"


def _name_factor(factor, sizes):
    size = max(abs(factor), 1 / abs(factor))
    for n, meaning in sizes.items():
        if abs(size - n) < 1e-4 * n:
            return f"{n} is {meaning}: a sum instead of a mean, or a mean instead of a sum?"
    return "The 2 of a square, or a scale that the forward applies?"


def named_sizes(arrays):
    """Return what the sizes of arrays mean, number -> words; 1 and 2 are too common to mean anything."""
    shapes = [(name, a.shape) for name, a in arrays if isinstance(a, np.ndarray)]
    sizes: dict[int, str] = {}
    for name, shape in shapes:
        sizes.setdefault(math.prod(shape), f"the number of entries of {name}")
        sizes.setdefault(math.prod(shape[:-1]), f"the number of rows of {name}")
    for name, shape in shapes:
        for axis, n in enumerate(shape):
            sizes.setdefault(n, f"the size of axis {axis} of {name}")
    return {n: meaning for n, meaning in sizes.items() if n > 2}
