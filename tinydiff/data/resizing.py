"""Pictures at another size: the middle of the wanted shape, and the average of areas."""

import numpy as np

from tinydiff.base import check_memory, counted

PIECE = 2**20  # bytes of pictures that are averaged at a time


def crop_to_aspect(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of images, cropped to the aspect ratio of a size, to within half a pixel.

    Where an odd number of rows or columns is removed, one more of them is removed at the bottom or on the right.

    Parameters
    ----------
    images : array, shape (N, H, W, C)
    size : (int, int)
        Height and width whose ratio is wanted.

    Returns
    -------
    array, shape (N, H', W', C)
        With H' = H or W' = W; a view.
    """
    old_height, old_width = images.shape[1:3]
    height, width = size
    if old_height * width > old_width * height:  # too tall
        rows, columns = max(1, _rounded(old_width * height, width)), old_width
    else:
        rows, columns = old_height, max(1, _rounded(old_height * width, height))
    top, left = (old_height - rows) // 2, (old_width - columns) // 2
    return images[:, top : top + rows, left : left + columns]


def area_average(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return images of another size, each pixel the average of the area that it covers; enlarging repeats pixels.

    The sums are whole numbers, exact in float64, so every machine gives the same bytes. (Pillow's BOX filter takes a
    pixel wholly or not at all, which distorts strokes where the ratio is no whole number, as from 28 to 16.)

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, C)
    size : (int, int)
        The new height and width.

    Returns
    -------
    uint8 array, shape (N, height, width, C)

    Raises
    ------
    InputError
        If they would not fit into the memory here.
    """
    n, old_height, old_width, channels = images.shape
    height, width = size
    needed = (n + 8) * height * width * channels + 8 * (old_height * height + old_width * width)
    if needed > PIECE:  # the question takes a while, and a folder is read picture by picture
        what = f"The size of {counted(n, 'picture')} is {height:,} x {width:,}"
        check_memory(needed, what, "choose a smaller one, or fewer pictures")
    rows, columns = _overlaps(old_height, height), _overlaps(old_width, width)
    at_a_time = max(1, PIECE // max(1, old_height * old_width * channels, height * width * channels))
    strip = max(1, PIECE // max(1, old_width * channels))  # of rows, for a picture that is larger than a piece
    means = np.empty((n, height, width, channels), np.uint8)
    for i in range(0, n, at_a_time):  # not all at once: the sums take eight times the bytes
        pictures = images[i : i + at_a_time]
        sums = np.zeros((len(pictures), height, width, channels))
        for top in range(0, old_height, strip):
            part = slice(top, top + strip)
            sums += np.einsum("ah,nhwc,bw->nabc", rows[:, part], pictures[:, part], columns, optimize=True)
        means[i : i + at_a_time] = np.rint(sums / (old_height * old_width))
    return means


def _overlaps(old, new):
    """Return how much of each old pixel each new one covers, on a ruler of old x new marks: shape (new, old)."""
    i, j = np.arange(new)[:, None] * old, np.arange(old) * new
    return np.clip(np.minimum(i + old, j + new) - np.maximum(i, j), 0, None).astype(np.float64)


def _rounded(a, b):
    """Return a / b as the nearest whole number."""
    return (2 * a + b) // (2 * b)
