"""Random pictures, and where they stand in a drawing, for all tests of plots."""

import numpy as np

from tinydiff import plot

RNG = np.random.default_rng(0)


def bytes_of(n, height=5, width=7, channels=1):
    """Return random uint8 images without pure white, so that they are told from the page."""
    return RNG.integers(0, 250, (n, height, width, channels), dtype=np.uint8)


def holds(picture, image, scale):
    """Return whether the enlarged image occurs in the picture."""
    enlarged = np.kron(image, np.ones((scale, scale, 1), np.uint8))
    return places_of(np.asarray(picture), np.broadcast_to(enlarged, (*enlarged.shape[:2], 3))) != []


def places_of(canvas, part):
    windows = np.lib.stride_tricks.sliding_window_view(canvas, part.shape)[:, :, 0]
    candidates = np.argwhere((windows[:, :, 0, 0] == part[0, 0]).all(axis=-1))
    return [(y, x) for y, x in candidates if (windows[y, x] == part).all()]


def grid_places(picture, images, scale):
    """Return the place (y, x) of each enlarged image in the picture; each must occur once."""
    enlarged = plot.sheets.to_pixels("images", images).repeat(scale, axis=1).repeat(scale, axis=2)
    places = [places_of(np.asarray(picture), image) for image in enlarged]
    assert [len(found) for found in places] == [1] * len(images)
    return [found[0] for found in places]


def assert_table(places):
    """Assert that places[row][column] = (y, x) are those of a table, read to the right and downwards."""
    y, x = np.moveaxis(np.array(places), -1, 0)
    assert (y == y[:, :1]).all()
    assert (np.diff(y[:, 0]) > 0).all()
    assert (x == x[:1]).all()
    assert (np.diff(x[0]) > 0).all()


def chain(n, steps, channels=1):
    """Return frames like a sampler's: t falls to 0, x_t leaves [-1, 1]."""
    for t in range(steps, -1, -1):
        x_t = RNG.standard_normal((n, 6, 6, channels)).astype(np.float32)
        yield t, x_t, np.tanh(x_t)


def lines_of(figure):
    (axes,) = figure.axes
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def drawn(axes, name):
    (line,) = [line for line in axes.lines if line.get_label() == name]
    return line.get_xydata()
