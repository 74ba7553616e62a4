"""The film of a drawing: the frames that are shown, and no more, are kept."""

import numpy as np
import pytest
from PIL import Image

from tinydiff import plot
from tinydiff.apps.cli.film import MOST_FRAMES, Film, pictures_shown


def chain(steps, shape):
    rng = np.random.default_rng(0)
    return [(float(steps - i), *rng.uniform(-1, 1, (2, *shape)).astype(np.float32)) for i in range(steps)]


@pytest.mark.parametrize("steps", [1, 2, 7, 59, 60, 61, 500])
def test_it_is_that_of_all_frames(steps, tmp_path):
    frames = chain(steps, (3, 8, 8, 1))
    film = Film(steps)
    for frame in frames:
        film.add(*frame)
    assert len(film.frames) == min(steps, MOST_FRAMES)
    assert [frame[0] for frame in film.frames][-1] == 1
    assert film.frames[0][0] == (steps if steps > 1 else 1)
    film.save(tmp_path / "film.gif", {"seed": 0})
    plot.chain_gif(frames, tmp_path / "all.gif", samples=3, about={"seed": 0, "pictures": 3})
    assert (tmp_path / "film.gif").read_bytes() == (tmp_path / "all.gif").read_bytes()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (250, 250), (256, 256), (40, 2000), (4000, 4000)])
def test_large_pictures_do_not_make_a_large_film(height, width, tmp_path):
    shown = pictures_shown(height, width)
    assert 1 <= shown <= 16
    assert shown == 1 or shown * height * width <= 1000**2
    if height * width < 10**6:
        film = Film(1)
        film.add(*chain(1, (20, height, width, 1))[0])
        with Image.open(film.save(tmp_path / "film.gif", {})) as picture:
            assert picture.width * picture.height < 10**7
