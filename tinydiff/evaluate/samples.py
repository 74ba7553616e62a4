"""How good is a model? Its loss on held-out images, and what an independent classifier says of its samples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydiff.base import (
    Array,
    InputError,
    Noise,
    check_count,
    check_images,
    check_rank,
    check_shape,
    checked,
    counted,
    to_numpy,
    xp_of,
)
from tinydiff.data import Dataset, load_data
from tinydiff.evaluate.by_timestep import LossByTimestep
from tinydiff.evaluate.feature_metrics import FEWEST, metric_lines
from tinydiff.evaluate.frechet import frechet_distance_of
from tinydiff.evaluate.report import carried_by_errors, mean_loss, save_pictures
from tinydiff.evaluate.shares import Share, class_shares, confident_share
from tinydiff.functional import softmax
from tinydiff.models import DiffusionModel, Progress, Request, load
from tinydiff.networks import Classifier
from tinydiff.workers import map_shards


@dataclass(frozen=True)
class ClassifierScores:
    """What a classifier says of a set of images.

    Parameters
    ----------
    confident : Share
        Share of images to which it gives a class with a probability above 0.9.
    classes : Share
        Share of each class among its answers.
    agreement : float
        Share of images to which it gives the label that was asked for.
    """

    confident: Share
    classes: Share
    agreement: float


@checked()
def classifier_scores(classifier: Classifier, images: Array, labels: Array) -> ClassifierScores:
    """Return what a classifier says of images (N, H, W, C) in [-1, 1] that should show `labels`."""
    check_images("images", images)
    check_shape("labels", labels, (len(images),))
    logits = map_shards(classifier.forward, (images,), 100)
    probabilities, _ = softmax(logits)
    agreement = float((probabilities.argmax(axis=1) == labels).mean())
    return ClassifierScores(confident_share(probabilities), class_shares(probabilities, logits.shape[1]), agreement)


@checked()
def classifier_frechet(classifier: Classifier, images_1: Array, images_2: Array) -> float:
    """Return the Fréchet distance of two sets of images on the classifier's features (Eq. FD-1).

    Compare it only with figures of the same classifier and the same numbers of images; it is no "FID".
    """
    check_images("images_1", images_1)
    check_images("images_2", images_2)
    features = [map_shards(classifier.features, (images,), 100) for images in (images_1, images_2)]
    return frechet_distance_of(*features)


@checked()
def held_out_loss(model: DiffusionModel, images: Array, labels: Array, seed: int = 0, bins: int = 10) -> LossByTimestep:
    """Return the loss on held-out images in bins of t, each image at one random t (Eq. DDPM-14).

    The loss is the mean squared error of what the network predicts: eps, x_0 or v.
    """
    check_images("images", images)
    return mean_loss(model, images, labels if model.config.denoiser.num_classes is not None else None, seed, bins)


@checked()
def evaluate(
    model: DiffusionModel,
    data: str | tuple[Dataset, Dataset] = "mnist-small",
    judge_name: str = "mnist-classifier-28",
    n: int = 1000,
    steps: int = 50,
    sampler: str = "ddim",
    out: Path | None = None,
    progress: Progress | None = None,
) -> str:
    """Return a report in words and figures; real images stand beside the samples in every line.

    Parameters
    ----------
    model : DiffusionModel
    data : str or (Dataset, Dataset)
        Data set of the real images, by name, or its training and its test images.
    judge_name : str
        The classifier: a shipped one, or a folder.
    n : int
        Number of samples, from seed 0, all labels in turn, none left out.
    steps, sampler
        See `DiffusionModel.chain`.
    out : Path or None
        Folder for pictures.
    progress : callable or None
        As for `DiffusionModel.chain`.
    """
    check_count("n", n)
    denoiser, classifier = model.config.denoiser, load(judge_name, kind=Classifier)
    if model.picture_shape != classifier.config.shape:
        raise InputError(
            f"The model draws pictures of {_sides(model.picture_shape)}, but {judge_name} judges those of "
            f"{_sides(classifier.config.shape)}."
        )
    sets = tuple(load_data(data, split) for split in ("train", "test")) if isinstance(data, str) else data
    training, test = (split.resize(model.picture_shape[:2]) for split in sets)
    n_real = min(n, len(test))
    real, real_labels = test.batch(np.arange(n_real))
    other_real, _ = training.batch(balanced(training.labels)[:n_real])

    samples = np.clip(to_numpy(model.draw(Request(n=n), sampler, steps, progress)), -1, 1)
    asked_for = np.arange(n) % (denoiser.num_classes or 1)
    of_samples, of_real = (
        classifier_scores(classifier, samples, asked_for),
        classifier_scores(classifier, real, real_labels),
    )
    xp = xp_of(model.network.theta)
    loss = held_out_loss(model, xp.asarray(real), xp.asarray(real_labels), bins=min(10, model.config.T))

    lines = [
        f"Real images: {test.describe()}",
        f"Samples: {n}, {sampler}, {counted(steps, 'step')}, seed 0, none left out. Judge: {judge_name}",
        "",
        f"{'':<46}{'samples':>10}{'real':>10}",
        f"{'called with p > 0.9':<46}{of_samples.confident.value:>10.1%}{of_real.confident.value:>10.1%}",
    ]
    if denoiser.num_classes is not None:
        what = "called by the label that was asked for"
        lines.append(f"{what:<46}{of_samples.agreement:>10.1%}{of_real.agreement:>10.1%}")
    compared = min(n_real, len(other_real))
    if n >= 2 and n_real >= 2 and compared < FEWEST:
        drawn = classifier_frechet(classifier, samples[:n_real], real)
        lines.append(
            f"{f'Fréchet distance to {n_real} test images':<46}{drawn:>10.3f}"
            f"{classifier_frechet(classifier, other_real, real):>10.3f}"
        )
    lines += [f"{f'called {c}':<46}{a:>10.1%}{b:>10.1%}" for c, (a, b) in _both(of_samples.classes, of_real.classes)]
    lines += [
        "",
        "Distances are on the judge's features; for real images they are those of training images, as many of each",
        "class, to test images. They vary with the draw: a little below that is not better than real.",
        "",
    ]
    if compared >= FEWEST:
        against, of_samples, of_real = (
            map_shards(classifier.features, (images,), 100) for images in (real, samples[:n_real], other_real)
        )
        columns = {"samples": of_samples, "real": of_real}
        lines += [*metric_lines(against, columns, judge_name, f"{test.name}, {test.split}"), ""]
    lines += [f"test loss ({model.config.kind}) by timestep, mean and standard error over {counted(n_real, 'image')}:"]
    bins = [values for values in zip(*loss[:3], strict=True) if np.isfinite(values).all()]  # two images or more
    lines += [f"  t about {t:>5.0f}   {m:.4f} +- {e:.4f}" for t, m, e in bins]
    if out is not None:
        with carried_by_errors(lines):
            lines += ["", save_pictures(out, samples, training, loss, f"{sampler}, {counted(steps, 'step')}, seed 0")]
    return "\n".join(lines)


@checked()
def balanced(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return indices in random order, the classes in turn: the first n have equally many of each class."""
    check_rank("labels", labels, 1)
    if not len(labels):
        raise InputError("labels is empty, but at least one label was expected.")
    order = Noise(seed).permutation(len(labels), "real images")
    of_class = [order[labels[order] == c] for c in np.unique(labels)]
    return np.stack([indices[: min(map(len, of_class))] for indices in of_class], axis=1).reshape(-1)


def _both(samples, real):
    return enumerate(zip(samples.value, real.value, strict=True))


def _sides(shape):
    return " x ".join(map(str, shape))
