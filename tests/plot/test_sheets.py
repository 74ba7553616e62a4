"""Files of pictures are whole, and have the format of their ending."""

import pytest
from matplotlib.figure import Figure
from pictures import bytes_of
from PIL import Image

from tinydiff import plot
from tinydiff.base import DataError, InputError


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
