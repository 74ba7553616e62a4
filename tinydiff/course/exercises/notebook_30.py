"""Exercises of notebook 30: the best linear code, a sample and its gradient, the KL divergence, and the scale."""

from functools import partial

import numpy as np

from tinydiff.course.exercise import PLANTED, Exercise

_RNG = np.random.default_rng(30)


def _pca(blocks, k, centre=True, back=True, largest=True, of_mean=False, white=False, axis=0, first=False):
    mean = blocks.mean(axis=axis, keepdims=True)
    centred = blocks - mean
    spread = blocks if of_mean else centred
    values, directions = np.linalg.eigh((spread.T @ spread / len(blocks)).astype(float))
    v = (directions[:, ::-1] if largest else directions)[:, :k]
    v = np.eye(blocks.shape[1])[:, :k] if first else v
    code = (centred if centre else blocks) @ v
    code = code / np.sqrt(values[::-1][:k]) if white else code
    return code @ v.T + (mean if back else 0.0)


def _blocks(n, d):
    return _RNG.standard_normal((n, d)) * np.geomspace(2, 0.2, d) @ np.linalg.qr(_RNG.standard_normal((d, d)))[0] + (
        _RNG.standard_normal(d)
    )


PCA = Exercise(
    grade="transcribe",
    reference=_pca,
    cases=[(_blocks(30, 4), 2), (_blocks(20, 6), 3), (_blocks(25, 5), 1)],
    returns=["reconstruction"],
    mistakes={
        "the mean is not taken away before the projection; directions are directions from the mean.": (
            partial(_pca, centre=False)
        ),
        "the mean is not added again: these are the differences from it.": partial(_pca, back=False),
        "those are the directions of the smallest variance; eigh sorts eigenvalues upwards, so take the last ones.": (
            partial(_pca, largest=False)
        ),
        "the directions are those of the raw products; a covariance is one of differences from the mean.": (
            partial(_pca, of_mean=True)
        ),
        "the code is divided by its standard deviation, and not multiplied again on the way back.": (
            partial(_pca, white=True)
        ),
        "each block loses its own mean; the mean is that of all blocks, a number for each pixel: axis=0.": (
            partial(_pca, axis=1)
        ),
        "the first k numbers of a block are kept, not its k numbers along the best directions.": (
            partial(_pca, first=True)
        ),
    },
    hints=[
        "Three steps: mean and covariance of all blocks, the best directions, then there and back.",
        "`np.linalg.eigh` sorts eigenvalues upwards, and its directions are columns: the last k columns are the best.",
        "`v = np.linalg.eigh(centred.T @ centred / len(blocks))[1][:, -k:]`, then `centred @ v @ v.T + mean`.",
    ],
    praise="No linear code of as many numbers has a smaller squared error.",
    tolerance=1e-4,
)


def _sample(
    dz, mean, log_variance, eps, root=0.5, half=0.5, sigma=True, noise=True, mean_eps=False, of_z=False, inner=True
):
    s = np.exp(root * log_variance)
    d_mean = dz * eps if mean_eps else dz
    d_log_variance = half * dz * (s if sigma else 1.0) * (eps if noise else 1.0)
    if of_z:
        d_log_variance = 0.5 * dz * (mean + s * eps)
    return mean + (s * eps if inner else eps), d_mean, d_log_variance


def _four(*shape):
    dz, mean, log_variance, eps = _RNG.standard_normal((4, *shape))
    return dz, mean, 1.5 * log_variance - 0.7, eps


SAMPLE = Exercise(
    grade="derive",
    reference=_sample,
    cases=[_four(3, 4), _four(2, 3, 5), _four(7)],
    returns=["z", "d_mean", "d_log_variance"],
    mistakes={
        "sigma is exp(log_variance), but that is the variance; sigma is its root.": (
            partial(_sample, root=1.0, half=1.0)
        ),
        "sigma is exp(log_variance), but that is the variance; sigma is its root. Mind the factor in the backward.": (
            partial(_sample, root=1.0)
        ),
        "sigma is exp(-log_variance / 2), the other way round: a large variance is a large sigma.": (
            partial(_sample, root=-0.5)
        ),
        "z lacks sigma: the noise is as loud as the encoder says.": partial(_sample, inner=False),
        "d_log_variance lacks the 1/2 of sigma = exp(log_variance / 2).": partial(_sample, half=1.0),
        "d_log_variance has the wrong sign: a larger variance makes sigma larger.": partial(_sample, half=-0.5),
        "d_log_variance lacks sigma: the derivative of an exponential is that exponential.": (
            partial(_sample, sigma=False)
        ),
        "d_log_variance lacks eps: sigma moves z as far as the noise lies.": partial(_sample, noise=False),
        "d_mean has eps in it; the mean moves z as it is.": partial(_sample, mean_eps=True),
        "d_log_variance has z in it, but only sigma eps depends on the variance, the mean does not.": (
            partial(_sample, of_z=True)
        ),
    },
    hints=[
        "Write sigma as a function of the log variance first; then z is a sum of two terms.",
        "d sigma / d log_variance = sigma / 2, and eps is a constant for both gradients.",
        "`z = mean + sigma * eps`, `d_mean = dz`, and `d_log_variance = dz * eps * sigma / 2`.",
    ],
    praise="The random number came from outside, so the rest is a smooth function.",
)


def _kl(mean, log_variance, half=0.5, one=1.0, log=1.0, root=1.0, mean_too=True, total=False, share=True, d_one=1.0):
    n = mean.size
    variance = np.exp(root * log_variance)
    each = half * ((mean**2 if mean_too else 0.0) + variance - one - log * log_variance)
    loss = each.sum() if total else each.mean()
    scale = 1.0 if not share else 1 / n
    return loss, scale * 2 * half * mean, scale * half * (root * variance - d_one)


def _two(*shape):
    mean, log_variance = _RNG.standard_normal((2, *shape))
    return 0.8 * mean, log_variance + 0.4


KL = Exercise(
    grade="derive",
    reference=_kl,
    cases=[_two(2, 3), _two(2, 2, 5), _two(4)],
    returns=["loss", "d_mean", "d_log_variance"],
    mistakes={
        "the loss is a sum over all numbers; here it is their mean.": partial(_kl, total=True, share=False),
        "the loss is a sum, but its gradients are those of a mean.": partial(_kl, total=True),
        "the loss is a mean, but its gradients are those of a sum: divide by how many numbers there are.": (
            partial(_kl, share=False)
        ),
        "the 1/2 of the bell's exponent, exp(-z^2 / 2), is missing.": partial(_kl, half=1.0),
        "the -1 is missing, which is the mean of -eps^2: for N(0, 1) itself the divergence should be 0.": (
            partial(_kl, one=0.0)
        ),
        "the log variance is added; it is the -log sigma of the encoder's bell, so subtract it.": (
            partial(_kl, log=-1.0)
        ),
        "the variance is exp(log_variance), and not exp(log_variance / 2).": partial(_kl, root=0.5),
        "the loss lacks the square of the mean: a bell that stands elsewhere is not N(0, 1).": (
            partial(_kl, mean_too=False)
        ),
        "d_log_variance lacks the -1: at a variance of 1 nothing should pull.": partial(_kl, d_one=0.0),
    },
    hints=[
        "It is the mean of log q(z) - log p(z) over z = mean + sigma eps. Write both logarithms with eps.",
        "The mean of eps is 0 and that of eps^2 is 1, so the mean of z^2 is mean^2 + variance. What is left?",
        "`each = (mean**2 + variance - 1 - log_variance) / 2`; `d_mean = mean / n`, `d_log_variance` is half of "
        "`(variance - 1) / n`.",
    ],
    praise="The mean is pulled to 0 and the variance to 1.",
)


def _scale(batches, how="right"):
    rows = [z.reshape(-1, z.shape[-1]) for z in batches]
    if how == "planted":
        return tuple(np.mean([f(one, axis=0) for one in rows], axis=0) for f in (np.mean, np.std))
    together = rows[0] if how == "first" else np.concatenate(rows)
    mean, std = together.mean(axis=0), together.std(axis=0)
    if how == "one":
        return mean, np.full(std.shape, together.std())
    if how == "between":
        return mean, np.std([one.mean(axis=0) for one in rows], axis=0)
    if how == "rms":
        return mean, np.sqrt((together**2).mean(axis=0))
    if how == "batch means":
        return np.mean([one.mean(axis=0) for one in rows], axis=0), std
    return mean, {"variance": std**2, "factor": 1 / std}.get(how, std)


def _latents(sizes, channels, seed):
    rng, found = np.random.default_rng(seed), []
    for n, middle in sizes:
        z = rng.standard_normal((n, 2, 3, channels)) * np.linspace(0.6, 2.5, channels)
        found.append(z + middle + np.linspace(-1, 1.4, channels))
    return found


SCALE = Exercise(
    grade="debug",
    reference=_scale,
    cases=[
        (_latents([(4, -1.0), (4, 1.5)], 3, 1),),
        (_latents([(5, 0.0), (5, 2.0), (2, -1.5)], 4, 2),),
        (_latents([(3, 0.7)], 2, 3),),
    ],
    returns=["mean", "std"],
    mistakes={
        PLANTED: partial(_scale, how="planted"),
        "mean and deviation are those of the first batch; count all of them.": partial(_scale, how="first"),
        "std is one number for all channels; each channel has its own.": partial(_scale, how="one"),
        "std is the deviation of the batches' means alone; the latents also vary within a batch.": (
            partial(_scale, how="between")
        ),
        "std is the root of the mean square; the square of the mean is to be taken away first.": (
            partial(_scale, how="rms")
        ),
        "std is the variance; its root is asked for.": partial(_scale, how="variance"),
        "that is 1 / std, the factor to multiply by; std itself is asked for.": partial(_scale, how="factor"),
        "mean is the mean of the batches' means; a smaller batch should count less.": partial(
            _scale, how="batch means"
        ),
    },
    hints=[
        "Do day and night lie in different batches? Then how far is a number from its batch's mean, and how far from "
        "the mean of all?",
        "What the batches differ by is lost when their deviations are averaged. Add sums and squares, or join first.",
        "`together = np.concatenate([z.reshape(-1, z.shape[-1]) for z in batches])`, and then mean and std of axis 0.",
    ],
    praise="Measured over all there is, for each channel.",
)


def _numbers(eigenvalues, decibels, off=0, peak=4.0, mean=True, dropped=True, factor=10.0, up=False, least=0):
    values = np.sort(eigenvalues)[:: 1 if up else -1]
    d = len(values)
    for k in range(least, d + 1):
        lost = values[k:].sum() if dropped else values[:k].sum()
        error = lost / (d if mean else 1)
        if error <= peak / 10 ** (decibels / factor):
            return k + off
    return d + off


NUMBERS = Exercise(
    grade="explore",
    reference=_numbers,
    cases=[
        (np.geomspace(7, 0.003, 48)[_RNG.permutation(48)], 20.0),
        (np.geomspace(3, 1e-6, 30), 32.0),
        (np.array([0.3, 5.0, 0.04, 0.011, 1.1, 0.002, 0.0004]), 24.0),
        (np.geomspace(1e-4, 2, 20), 15.0),
    ],
    returns=["k"],
    mistakes={
        "one too few: that many still fall short.": partial(_numbers, off=-1),
        "one too many: one fewer reaches it already.": partial(_numbers, off=1),
        "colours go from -1 to 1, so the largest possible difference is 2 and its square 4; you took 1.": (
            partial(_numbers, peak=1.0)
        ),
        "the eigenvalues of what is dropped are added, but the mean squared error is that sum divided by the numbers "
        "of a block.": partial(_numbers, mean=False),
        "that many decibels are reached with 20 log10 of the ratio of squares; 20 belongs to amplitudes, 10 to "
        "squares.": partial(_numbers, factor=20.0),
        "the smallest eigenvalues are kept; keep the largest.": partial(_numbers, up=True),
    },
    hints=[
        "The mean squared error is the sum of the eigenvalues that are dropped, divided by the numbers of a block.",
        "Sort the eigenvalues downwards; for each k add up those from k on, and turn the mean into decibels with 4.",
        "`error = np.append(np.cumsum(values[::-1])[::-1], 0) / len(values)`, with values sorted downwards; then the "
        "first k with `error[k] <= 4 / 10 ** (decibels / 10)`.",
    ],
    praise="The spectrum says what every further number is worth.",
)
