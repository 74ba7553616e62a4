"""Files of pictures are whole, and have the format of their ending."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import bytes_of
from PIL import Image

from tinydiff import plot
from tinydiff.base import DataError, InputError
from tinydiff.plot.sheets import to_pixels


def test_saved_image_is_the_picture(tmp_path):
    picture = plot.image_grid(bytes_of(4, channels=3))
    with Image.open(plot.save_image(picture, tmp_path / "new" / "grid.png")) as saved:
        assert saved.format == "PNG"
        assert saved.convert("RGB").tobytes() == picture.tobytes()


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_saved_figure_has_the_format_of_its_ending(tmp_path, ending, magic):
    figure = plot.loss_curve([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}])
    assert isinstance(figure, Figure)
    assert plot.save_image(figure, str(tmp_path / ("a" + ending))).read_bytes().startswith(magic)


def test_save_image_refuses_other_endings_and_unwritable_places(tmp_path):
    picture = plot.image_grid(bytes_of(1))
    with pytest.raises(InputError, match=r"ending of path is '.jpg', but one of '.png' was expected"):
        plot.save_image(picture, tmp_path / "grid.jpg")
    with pytest.raises(InputError, match="ending of path is ''"):
        plot.save_image(plot.loss_curve([{"step": 1, "loss": 1.0}]), tmp_path / "loss")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"is a file, not a folder"):
        plot.save_image(picture, tmp_path / "file" / "grid.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_is_transparent_lies_on_white():
    red = np.array([1, -1, -1], np.float32)
    pictures = np.stack([np.append(red, alpha).reshape(1, 1, 4) for alpha in (-1, 1)])
    np.testing.assert_array_equal(to_pixels("images", pictures)[:, 0, 0], [[255, 255, 255], [255, 0, 0]])


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_picture_is_saved_pixel_for_pixel_with_what_it_is_about(tmp_path, channels, mode):
    image, about = np.linspace(-1, 1, 6 * channels).reshape(2, 3, channels), {"prompt": "日本 \udcff", "seed": 3}
    path = plot.save_picture(image, tmp_path / "one.png", about)
    with Image.open(path) as picture:
        assert (picture.mode, picture.size) == (mode, (3, 2))
        np.testing.assert_array_equal(np.reshape(picture, image.shape), np.rint((image + 1) * 127.5))
        assert picture.text["Description"] == "日本 ?"
    assert plot.about_picture(path) == about
    assert plot.about_picture(tmp_path / "none.png") is None
