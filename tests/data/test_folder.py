"""One's own folder of images, with or without captions, and files in it that are damaged."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from tinydiff.base import DataError, InputError
from tinydiff.data import load_folder


def pictures(folder, names):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12 + i, 9), (10 * i, 0, 0)).save(folder / name)


def test_ones_own_folder(tmp_path):
    pictures(tmp_path, ["b/1.png", "a/2.png", "b/3.jpg"])
    data = load_folder(tmp_path, 8)
    assert data.images.shape == (3, 8, 8, 3)
    assert data.labels.tolist() == [0, 1, 1]
    assert data.captions is None
    assert load_folder(tmp_path, 4, channels=1).images.shape == (3, 4, 4, 1)
    (tmp_path / "captions.csv").write_text("file,caption\nb/1.png,red\na/2.png,redder\nb/3.jpg,reddest\n")
    assert load_folder(tmp_path, 8).captions == ("redder", "red", "reddest")
    assert load_folder(tmp_path, 8).take([2]).captions == ("reddest",)
    assert load_folder(tmp_path, 8).take(np.array([True, False, True])).captions == ("redder", "reddest")
    assert load_folder(tmp_path, 8).describe().startswith(f"{tmp_path.name}, all: 3 images 8 x 8 x 3, from {tmp_path}")


def test_captions_of_a_spreadsheet_with_a_byte_order_mark(tmp_path):
    pictures(tmp_path, ["1.png"])
    (tmp_path / "captions.csv").write_bytes('file,caption\r\n1.png,"rot, grün"\r\n'.encode("utf-8-sig"))
    assert load_folder(tmp_path, 8).captions == ("rot, grün",)


def test_the_middle_is_kept_and_the_background_is_white(tmp_path):
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = (10, 20, 30)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "transparent.png")
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "sixteen.png")
    sixteen, transparent, middle = load_folder(tmp_path, 2).images
    assert (sixteen == 0x80).all()
    assert (transparent == 255).all()
    assert (middle == (10, 20, 30)).all()


def test_a_photograph_is_turned_upright(tmp_path):
    picture = Image.fromarray(np.array([[0, 255], [0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: a viewer turns the picture by 90 degrees clockwise
    picture.save(tmp_path / "photo.png", exif=exif)
    assert load_folder(tmp_path, 2, channels=1).images[0, ..., 0].tolist() == [[0, 0], [255, 255]]


def test_what_is_no_image_file_is_passed_over_or_refused(tmp_path):
    pictures(tmp_path, ["1.png"])
    (tmp_path / "folder.png").mkdir()
    assert len(load_folder(tmp_path, 8)) == 1
    (tmp_path / "2.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # no program is started
    with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
        load_folder(tmp_path, 8)


def test_hidden_files_are_passed_over(tmp_path):
    pictures(tmp_path, ["1.png", ".thumbnails/1.png"])
    (tmp_path / "._1.png").write_bytes(b"what a Mac leaves on a stick")
    assert len(load_folder(tmp_path, 8)) == 1


def test_bad_folders_are_one_clear_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        load_folder(tmp_path, 8)
    with pytest.raises(DataError, match="is not a folder"):
        load_folder(tmp_path / "none", 8)
    pictures(tmp_path, ["1.png"])
    (tmp_path / "captions.csv").write_text("file,caption\nother.png,x\n")
    with pytest.raises(DataError, match=r"no caption for 1\.png"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"has the columns \['a', 'b'\]"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_bytes(b"file,caption\n1.png,gr\xfcn\n")
    with pytest.raises(DataError, match=r"captions\.csv cannot be read as CSV in UTF-8"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").write_text("file,caption\n1.png\n")
    with pytest.raises(DataError, match=r"no caption for 1\.png"):
        load_folder(tmp_path, 8)
    (tmp_path / "captions.csv").unlink()
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes()[:30])
    with pytest.raises(DataError, match=r"2\.png cannot be read as an image"):
        load_folder(tmp_path, 8)
    with pytest.raises(InputError, match="channels is 2"):
        load_folder(tmp_path, 8, channels=2)
    with pytest.raises(InputError, match="size is 0"):
        load_folder(tmp_path, 0)


def test_no_damage_to_an_image_gives_anything_but_a_clear_sentence(tmp_path):
    """400 files, each with a byte changed, or cut; a decoder that raises something else than expected would show."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8))
    refused = 0
    for ending in ("png", "jpg", "gif", "bmp", "webp"):
        buffer = io.BytesIO()
        picture.save(buffer, "jpeg" if ending == "jpg" else ending)
        for i in range(80):
            damaged = bytearray(buffer.getvalue())
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
            path = tmp_path / f"x.{ending}"
            path.write_bytes(damaged if i % 2 else damaged[: rng.integers(len(damaged))])
            with contextlib.suppress(DataError):
                load_folder(tmp_path, 4)
                refused -= 1
            refused += 1
        path.unlink()
    assert refused > 100
