"""How well does an autoencoder keep a picture? Beside it stands PCA of blocks, with as many numbers for a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinydiff import plot
from tinydiff.base import Array, InputError, check_count, check_shape, checked, checks_arguments, counted, to_numpy
from tinydiff.data import Dataset, peak_signal_to_noise, to_floats, to_images
from tinydiff.data.scenes import DrawnScenes
from tinydiff.evaluate.report import carried_by_errors
from tinydiff.evaluate.shares import wilson_share
from tinydiff.models import LatentAutoencoder, read_attributes
from tinydiff.networks import AttributeClassifier

AT_ONCE = 256  # pictures
SHOWN = 24  # pictures in the sheet, spread over the test pictures


@checks_arguments("reconstruct")
class BlockPCA(NamedTuple):
    """Principal components of blocks of pixels: the best linear code of so many numbers, each block by itself.

    Parameters
    ----------
    factor : int
        Height and width of a block.
    mean : array, shape (factor * factor * C,)
    components : array, shape (numbers, factor * factor * C)
        Orthonormal directions, the most important first.
    """

    factor: int
    mean: np.ndarray
    components: np.ndarray

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Return pictures (N, H, W, C) after each block went through its code and back (Eq. PCA-1)."""
        _check_sides("images", images, self.factor, len(self.mean) // self.factor**2)
        blocks = _blocks(images, self.factor)
        code = (blocks - self.mean) @ self.components.T
        return _from_blocks(code @ self.components + self.mean, images.shape, self.factor)


@checked()
def fit_block_pca(batches: Sequence[np.ndarray], factor: int, numbers: int) -> BlockPCA:
    """Return the principal components of all blocks of some pictures.

    They are eigenvectors of the blocks' covariance, summed in float64 over batches of pictures (N, H, W, C).

    Parameters
    ----------
    batches : sequence of arrays
        Pictures, as floats; H and W are multiples of `factor`.
    factor : int
    numbers : int
        How many components are kept: as many as an autoencoder of this factor has channels of latents.

    Raises
    ------
    InputError
        If pictures cannot be cut into blocks, or a block has fewer numbers than are to be kept.
    """
    check_count("factor", factor)
    count, total, products, channels = 0, np.zeros(()), np.zeros(()), None
    for images in batches:
        _check_sides("a batch", images, factor, channels)
        channels = images.shape[3]
        blocks = _blocks(np.asarray(images, np.float64), factor)
        count += len(blocks)
        total = total + blocks.sum(axis=0)
        products = products + blocks.T @ blocks
    if not count:
        raise InputError("batches holds no pictures, but at least one was expected.")
    if not np.isfinite(products).all():
        raise InputError("batches hold NaN or infinity, but finite numbers were expected.")
    mean = total / count
    check_count("numbers", numbers, most=len(mean))
    _, directions = np.linalg.eigh(products / count - np.outer(mean, mean))  # eigenvalues in ascending order
    return BlockPCA(factor, mean, directions[:, ::-1][:, :numbers].T.copy())


@checked()
def evaluate_autoencoder(
    model: LatentAutoencoder,
    training: Dataset | DrawnScenes,
    test: Dataset | DrawnScenes,
    judge: AttributeClassifier | None = None,
    n: int = 1000,
    fitted_on: int = 4000,
    out: Path | None = None,
) -> str:
    """Return a report in words and figures: the autoencoder beside PCA of blocks, fitted on the same training set.

    Parameters
    ----------
    model : LatentAutoencoder
    training, test : Dataset, DrawnScenes
        PCA is fitted on the one; figures are of the other. Where their attributes are known, there is a line for each
        style.
    judge : AttributeClassifier or None
        Reads the pictures before and after.
    n, fitted_on : int
        How many pictures of each are used: the first ones.
    out : Path or None
        Folder for a sheet of pictures.

    Raises
    ------
    InputError
        If the pictures are none for this autoencoder, or the judge reads other attributes than are known of them.
    """
    check_count("n", n)
    check_count("fitted_on", fitted_on)
    for name, data in (("training", training), ("test", test)):
        check_count(f"the number of pictures of {name}", len(data))
    _check_judge(judge, test)
    n, fitted_on = min(n, len(test)), min(fitted_on, len(training))
    starts = range(0, fitted_on, AT_ONCE)
    batches = [training.batch(np.arange(s, min(s + AT_ONCE, fitted_on)))[0] for s in starts]
    x, _ = test.batch(np.arange(n))
    for name, images in (("training", batches[0]), ("test", x)):
        _check_sides(name, images, model.factor, model.config.in_channels)
    pca = fit_block_pca(batches, model.factor, model.config.latent_channels)
    real = to_images(x)
    decoded = {"autoencoder": _through(model, x), "PCA": to_images(np.clip(pca.reconstruct(x), -1, 1))}
    sides = "{} x {} x {}".format(*model.latent_shape)
    lines = [
        f"Test pictures: {test.describe()}; the first {n}. PCA was fitted on {counted(fitted_on, 'training picture')}.",
        f"Latents: {sides}, {_share(model)} of the picture's numbers.",
        "",
        f"{'PSNR in dB, error pooled':<32}{'pictures':>10}{'autoencoder':>14}{'PCA':>10}{'difference':>12}",
    ]
    for name, rows in _groups(test, n).items():
        of_both = [peak_signal_to_noise(real[rows], pictures[rows]) for pictures in decoded.values()]
        figures = f"{of_both[0]:>14.2f}{of_both[1]:>10.2f}{of_both[0] - of_both[1]:>+12.2f}"
        lines.append(f"{name:<32}{int(rows.sum()):>10}{figures}")
    if judge is not None:
        lines += ["", *_read(judge, real, decoded, test)]
    if out is not None:
        with carried_by_errors(lines):
            lines += ["", _save_sheet(out, real, decoded)]
    return "\n".join(lines)


def _check_sides(name, images, factor, channels):
    """Raise `InputError` unless pictures can be cut into blocks, and have so many channels; None allows any number."""
    check_shape(name, images, (None, None, None, channels))
    _, height, width, _ = images.shape
    if not images.size or height % factor or width % factor:
        raise InputError(
            f"{name} has shape {images.shape}, but height and width must be multiples of the factor, {factor}, and "
            "there must be at least one picture."
        )


def _check_judge(judge, test):
    """Raise `InputError` unless what a judge reads is known of the test pictures."""
    known = getattr(test, "attribute_words", {})
    if judge is not None and [*judge.config.attributes.items()] != [*known.items()]:
        raise InputError(
            f"judge reads {', '.join(judge.config.attributes)}, but of the test pictures there is known: "
            f"{', '.join(known) or 'nothing'}. Leave it out, or give one that was trained on such pictures."
        )


def _through(model, x):
    """Return pictures after they went through the autoencoder, as bytes."""
    starts = range(0, len(x), AT_ONCE)
    return np.concatenate([to_images(to_numpy(model.decode(model.encode(x[s : s + AT_ONCE])))) for s in starts])


def _groups(test, n):
    """Return which of the pictures belong to each style, and all of them."""
    groups = {"all": np.ones(n, bool)}
    words = getattr(test, "attribute_words", {}).get("style", ())
    if words:
        column = test.attributes(np.arange(n))[:, list(test.attribute_words).index("style")]
        groups = {word: column == i for i, word in enumerate(words) if (column == i).any()} | groups
    return groups


def _read(judge, real, decoded, test):
    """Return lines: how often the judge reads the same of a reconstruction as of the picture, and what is right."""
    attributes = test.attributes(np.arange(len(real)))
    before = read_attributes(judge, real)
    after = {name: read_attributes(judge, pictures) for name, pictures in decoded.items()}
    names = "".join(f"{name:>14}" for name in after)
    lines = [f"{'read as in the picture':<32}{'pictures':>10}{names}{'right before':>14}"]
    for i, attribute in enumerate(before.attributes):
        asked = attributes[:, i] >= 0
        if not asked.any():
            continue
        same = [(before.indices[asked, i] == verdicts.indices[asked, i]).mean() for verdicts in after.values()]
        right = wilson_share(int((before.indices[asked, i] == attributes[asked, i]).sum()), int(asked.sum()))
        shares = "".join(f"{share:>14.1%}" for share in same)
        lines.append(f"{attribute:<32}{int(asked.sum()):>10}{shares}{right.value:>14.1%}")
    return lines


def _save_sheet(out, real, decoded):
    """Save some pictures, each above what the autoencoder and PCA make of it; return a line that names the file."""
    chosen = np.linspace(0, len(real) - 1, min(SHOWN, len(real))).astype(int)
    columns = 8
    rows: list[Array] = []
    for start in range(0, len(chosen), columns):
        few = chosen[start : start + columns]
        rows += [to_floats(pictures[few]) for pictures in (real, *decoded.values())]
    few = np.concatenate(rows)
    title = "Pictures, below each what the autoencoder, and what PCA makes of it"
    plot.save_image(plot.image_grid(few, columns=min(columns, len(chosen)), title=title), out / "reconstructions.png")
    return f"Pictures: {out}/reconstructions.png"


def _share(model):
    latents, pixels = np.prod(model.latent_shape), np.prod(model.config.shape)
    return f"1 / {pixels / latents:.3g}"


def _blocks(images, factor):
    """Return the blocks of pictures (N, H, W, C) as rows (blocks, factor * factor * C)."""
    n, height, width, channels = images.shape
    rows, columns = height // factor, width // factor
    blocks = images.reshape(n, rows, factor, columns, factor, channels).swapaxes(2, 3)
    return blocks.reshape(-1, factor * factor * channels)


def _from_blocks(blocks, shape, factor):
    n, height, width, channels = shape
    rows, columns = height // factor, width // factor
    return blocks.reshape(n, rows, columns, factor, factor, channels).swapaxes(2, 3).reshape(shape)
