"""A report on a model of pictures for which there is no classifier and no judge, such as one's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinydiff.base import InputError, Noise, checked, counted, there_are, to_numpy, xp_of
from tinydiff.data import Dataset
from tinydiff.evaluate.feature_metrics import FEWEST, metric_lines
from tinydiff.evaluate.neighbours import nearest_neighbours
from tinydiff.evaluate.random_features import random_features, random_features_frechet
from tinydiff.evaluate.report import carried_by_errors, mean_loss, save_pictures
from tinydiff.models import DiffusionModel, Progress, Request

FEWEST_LOSSES, MOST_LOSSES = 200, 1000  # noised pictures whose loss is taken: of few pictures, each several times
MOST_COMPARED = 500  # training pictures whose nearest other one is looked for


@checked()
def evaluate_pictures(
    model: DiffusionModel,
    training: Dataset,
    held_out: Dataset,
    request: Request | None = None,
    sampler: str = "ddim",
    steps: int = 50,
    out: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a report in words and figures; real pictures stand beside the samples in every line.

    Samples are compared by their `random_features`, so that any pictures will do. They are told the labels or the
    captions of the real pictures that they are compared with, in turn.

    Parameters
    ----------
    model : DiffusionModel
    training, held_out : Dataset
        The pictures that it has learned from, and others of the same kind, of the model's size.
    request : Request or None
        How many samples (`n`), their seed and the guidance; None draws as many as there are pictures in half of both
        sets, at most 1,000.
    sampler, steps
        See `DiffusionModel.chain`.
    out : Path or None
        Folder for pictures.
    progress : callable or None
        As for `DiffusionModel.chain`.

    Raises
    ------
    InputError
        If the pictures do not have the model's shape, there are fewer than four, or the request names what the
        samples should show.
    """
    here, others = real_halves(training, held_out)
    request = Request(n=min(len(here), 1000)) if request is None else request
    if request.labels is not None or request.prompt is not None:
        raise InputError("The request names what the samples should show, but that is said by the data: leave it out.")
    n, m = request.count, min(request.count, len(here))
    drawn = model.draw(_told(model, here, request), sampler, steps, progress)
    samples = np.clip(to_numpy(drawn), -1, 1)
    real, other_real = _floats(here), _floats(others)
    how = f"{sampler}, {counted(steps, 'step')}, seed {request.seed}"
    lines = [
        f"Real pictures: {training.describe()}",
        f"               {held_out.describe()}",
        f"Samples: {n}, {how}, none left out.",
        "",
        f"{'':<46}{'samples':>10}{'real':>10}",
    ]
    if 2 <= m < FEWEST:
        distances = [random_features_frechet(pictures[:m], real[:m]) for pictures in (samples, other_real)]
        lines.append(f"{f'Fréchet distance to {m} real pictures':<46}" + "".join(f"{d:>10.3g}" for d in distances))
    learned_from = _floats(training)
    near, apart = _distances(samples, learned_from), _distances_apart(learned_from)
    for what, of_distances in (("median", np.median), ("smallest", np.min)):
        name = f"nearest training picture, {what} distance"
        lines.append(f"{name:<46}{of_distances(near):>10.2f}{of_distances(apart):>10.2f}")
    bins = min(10, model.config.T)
    told, learned = (_loss(model, data, bins) for data in (held_out, training))
    lines += [
        "",
        "Distances of features are on what fixed random convolutions answer: they see noise, blur, colours and",
        "repetitions, and hardly what a picture shows. For real pictures they are those of one half of them to the",
        "other; the Fréchet distance falls as they become more. Their nearest is another training picture. Samples",
        "that are far nearer, and a loss that is far higher on held-out pictures, show that the training pictures were",
        "learned by heart.",
        "",
        *_distances_of_features(m, real, samples, other_real),
        f"{f'loss ({model.config.kind}), mean and standard error':<46}{'held out':>20}{'training':>20}",
    ]
    for t, *both in zip(told.t, told.mean, told.standard_error, learned.mean, learned.standard_error, strict=True):
        if np.isfinite(both).all():
            cells = (f"{mean:>10.4f} +- {error:.4f}" for mean, error in (both[:2], both[2:]))
            lines.append(f"{f't about {t:.0f}':<46}" + "".join(cells))
    if out is not None:
        with carried_by_errors(lines):
            lines += ["", save_pictures(out, samples, training, told, how)]
    return "\n".join(lines)


@checked()
def real_halves(training: Dataset, held_out: Dataset, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Return two data sets of equally many pictures, which together are random ones of both sets, none in both."""
    both = replace(
        training,
        images=np.concatenate([training.images, held_out.images]),
        labels=np.concatenate([training.labels, held_out.labels]),
        captions=None if training.captions is None else (*training.captions, *(held_out.captions or ())),
    )
    if len(both) < 4:
        raise InputError(
            f"{there_are(len(both), 'picture').capitalize()}, but at least 4 are needed to compare real ones with real."
        )
    order = Noise(seed).permutation(len(both), "real pictures")
    half = len(both) // 2
    return both.take(order[:half]), both.take(order[half : 2 * half])


def _told(model, data, request):
    """Return the request with the labels or captions of the data, in turn."""
    rows = np.arange(request.first, request.first + request.count) % len(data)
    if model.config.text is not None:
        if data.captions is None:
            raise InputError(f"{data.name} has no captions, but the model draws from text.")
        return replace(request, n=request.count, prompt=[data.captions[i] for i in rows])
    if model.config.denoiser.num_classes is not None:
        return replace(request, n=request.count, labels=data.labels[rows])
    return replace(request, n=request.count)


def _loss(model, data, bins):
    """Return the loss by timestep on pictures of the data, a few taken several times."""
    n = min(MOST_LOSSES, max(FEWEST_LOSSES, len(data)))
    rows, xp = np.arange(n) % len(data), xp_of(model.network.theta)
    images, labels = data.batch(rows, xp)
    context: Any = None
    if model.config.text is not None:
        context = model.read(model.tokens([data.captions[i] for i in rows]))
    elif model.config.denoiser.num_classes is not None:
        context = labels
    return mean_loss(model, images, context, 0, bins)


def _floats(data):
    return data.batch(np.arange(len(data)))[0]


def _distances_of_features(m, real, samples, other_real):
    """Return lines: all distances between features of m pictures each, where these are enough for an interval."""
    if m < FEWEST:
        return []
    against, *others = (random_features(pictures[:m]) for pictures in (real, samples, other_real))
    columns = dict(zip(("samples", "real"), others, strict=True))
    return [*metric_lines(against, columns, "random convolutions", "one half of all real ones"), ""]


def _distances(samples, images):
    """Return how far the nearest of the images is from each sample."""
    _, distances = nearest_neighbours(samples, images)
    return distances[:, 0]


def _distances_apart(images):
    """Return how far the nearest other image is from each of the first images."""
    _, distances = nearest_neighbours(images[:MOST_COMPARED], images, k=2)
    return distances[:, 1]
