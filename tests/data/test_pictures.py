"""One picture: every kind of file is read rightly, what was changed is said, and memory is bounded."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from tinydiff.base import DataError, InputError
from tinydiff.data.pictures import MOST_PIXELS, channels_of, fit_picture, read_picture
from tinydiff.data.resizing import area_average

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
ALPHA = np.where(GREY > 128, 255, 0).astype(np.uint8)


def written(path, picture, **options):
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path, **options)
    return path


def png(width, height, depth, colour_type, raw):
    """Return a PNG of these raw bytes, which Pillow itself could not write."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0),
        b"IDAT": zlib.compress(raw),
        b"IEND": b"",
    }
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tif", "webp"])
def test_grey_and_colour_are_read_as_they_are(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    if ending != "gif":  # has 256 colours
        pixels, notes = read_picture(written(tmp_path / f"c.{ending}", COLOUR, **options))
        np.testing.assert_array_equal(pixels, COLOUR)
        assert notes == ()
    if ending != "webp":  # keeps no grey
        pixels, notes = read_picture(written(tmp_path / f"g.{ending}", GREY, **options))
        np.testing.assert_array_equal(pixels[..., 0], GREY)
        assert notes == ()
        assert channels_of(tmp_path / f"g.{ending}") == 1


def test_the_name_may_end_in_another_kind(tmp_path):
    written(tmp_path / "x.tif", COLOUR)
    (tmp_path / "x.tif").rename(tmp_path / "x.png")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.png")[0], COLOUR)


def test_grey_becomes_colour_without_a_note_and_colour_becomes_grey_with_one(tmp_path):
    pixels, notes = read_picture(written(tmp_path / "g.png", GREY), channels=3)
    np.testing.assert_array_equal(pixels, GREY[..., None].repeat(3, axis=-1))
    assert notes == ()
    pixels, notes = read_picture(written(tmp_path / "c.png", COLOUR), channels=1)
    np.testing.assert_array_equal(pixels[..., 0], np.asarray(Image.fromarray(COLOUR).convert("L")))
    assert notes == ("colour is dropped (1 channel)",)
    _, notes = read_picture(written(tmp_path / "same.png", GREY[..., None].repeat(3, axis=-1)), channels=1)
    assert notes == ()  # stored as colour, but grey: nothing is lost


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (Image.merge("RGBA", [*Image.fromarray(COLOUR).split(), Image.fromarray(ALPHA)]), {}),
        (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]), {}),
        (Image.fromarray(ALPHA).convert("P"), {"transparency": 0}),
    ],
    ids=["RGBA", "LA", "P"],
)
def test_what_is_transparent_gets_the_background_or_stays(tmp_path, picture, options):
    path = written(tmp_path / "x.png", picture, **options)
    pixels, notes = read_picture(path, channels=3, background="#0a141e")
    assert notes == ("transparent parts are put onto #0a141e",)
    assert (pixels[ALPHA == 0] == (10, 20, 30)).all()
    np.testing.assert_array_equal(pixels[ALPHA > 0], np.asarray(picture.convert("RGB"))[ALPHA > 0])
    pixels, notes = read_picture(path, channels=4)
    np.testing.assert_array_equal(pixels[..., 3], ALPHA)
    assert notes == ()
    white, _ = read_picture(path)
    assert (white[ALPHA == 0] == 255).all()


def test_a_fourth_channel_that_a_file_lacks_is_said(tmp_path):
    pixels, notes = read_picture(written(tmp_path / "x.png", COLOUR), channels=4)
    assert (pixels[..., 3] == 255).all()
    assert notes == ("without transparency, so that its fourth channel is 255 everywhere",)
    opaque = Image.fromarray(COLOUR).convert("RGBA")
    assert read_picture(written(tmp_path / "x.png", opaque))[1] == ()  # nothing was transparent: nothing to say


def test_sixteen_bits_become_eight_over_the_full_range_and_this_is_said(tmp_path):
    levels = np.arange(0, 2**16, 2**16 // 64, dtype=np.uint16).reshape(8, 8)
    for ending in ("png", "tif"):
        pixels, notes = read_picture(written(tmp_path / f"x.{ending}", levels))
        np.testing.assert_array_equal(pixels[..., 0], levels >> 8)
        assert notes == ("16 bits are scaled to 8",)
    _, notes = read_picture(written(tmp_path / "dark.png", levels >> 4))
    assert notes == ("16 bits of which at most 13 are used, so that it is very dark",)
    colour = RNG.integers(0, 2**16, (2, 3, 3)).astype(">u2")
    (tmp_path / "c.png").write_bytes(png(3, 2, 16, 2, b"".join(b"\0" + row.tobytes() for row in colour)))
    pixels, notes = read_picture(tmp_path / "c.png")
    np.testing.assert_array_equal(pixels, colour >> 8)
    assert notes == ("16 bits are scaled to 8",)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_without_a_known_black_and_white_are_refused(tmp_path, kind):
    path = written(tmp_path / "x.tif", Image.fromarray((GREY.astype(np.int64) * 10**6).astype(kind)))
    with pytest.raises(DataError, match=r"x\.tif cannot be read as an image \(it holds .* save it with 8 or 16 bits"):
        read_picture(path)


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_upright_in_all_eight_orientations(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = written(tmp_path / f"x.{ending}", COLOUR, exif=exif, **({"lossless": True} if ending == "webp" else {}))
    pixels, notes = read_picture(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(pixels, np.asarray(ImageOps.exif_transpose(image)))
    assert notes == (("turned upright, as its EXIF data say",) if orientation > 1 else ())


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_is_read(tmp_path, ending):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (40, 200)]
    frames[0].save(tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:])
    pixels, notes = read_picture(tmp_path / f"x.{ending}", channels=1)
    assert (pixels == 40).all()
    assert notes == ("several frames, of which the first is read",)


def test_colours_for_print_are_turned_and_this_is_said(tmp_path):
    for ending in ("jpg", "tif"):
        pixels, notes = read_picture(written(tmp_path / f"x.{ending}", Image.new("CMYK", (4, 4), (0, 255, 255, 0))))
        assert (abs(pixels.astype(int) - (255, 0, 0)) <= 2).all()
        assert notes == ("colours for print (CMYK) are turned into red, green and blue",)


def test_a_file_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    """A few kB that would fill gigabytes: neither Pillow's memory nor the arrays' grows."""
    side = 9000
    assert side**2 > MOST_PIXELS
    (tmp_path / "bomb.png").write_bytes(png(side, side, 8, 2, b"\0" * 10))  # decoding it would fail: it is cut
    tracemalloc.start()
    with pytest.raises(DataError, match=r"bomb\.png has more than 67,108,864 pixels"):
        read_picture(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"more than 67,108,864 pixels"):
        channels_of(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, 8, 2, b""))  # which Pillow refuses by itself
    with pytest.raises(DataError, match=r"more than 67,108,864 pixels"):
        read_picture(tmp_path / "bomb.png")


def test_a_large_picture_is_read_and_resized_without_copies_of_it(tmp_path):
    """Arrays of float64 would take eight times the bytes."""
    path = written(tmp_path / "large.png", Image.new("RGB", (2000, 3000), (1, 2, 3)))
    tracemalloc.start()
    pixels, _ = read_picture(path)
    small, note = fit_picture(pixels, 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert small.shape == (8, 8, 3)
    assert note == "cropped in the middle"
    assert peak < pixels.nbytes + 32 * 2**20


def test_the_average_of_a_large_picture_in_strips_is_that_of_the_whole():
    large = RNG.integers(0, 256, (1, 1300, 1000, 1)).astype(np.uint8)  # more than one strip, of 1,048 rows
    blocks = large.reshape(13, 100, 10, 100).astype(float).mean(axis=(1, 3))
    np.testing.assert_array_equal(area_average(large, (13, 10))[0, ..., 0], np.rint(blocks))


def test_a_shape_that_differs_is_cropped_padded_or_stretched():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, :4], wide[:, 4:] = 100, 200
    cropped, note = fit_picture(wide, 4)
    np.testing.assert_array_equal(cropped[0, :, 0], [100, 100, 200, 200])
    assert note == "cropped in the middle"
    padded, note = fit_picture(wide, 4, "pad", "#0a141e")
    np.testing.assert_array_equal(padded[:, 0], [(10, 20, 30), (100,) * 3, (100,) * 3, (10, 20, 30)])
    assert note == "bars of #0a141e are added at two sides"
    grey, _ = fit_picture(wide[..., :1], 4, "pad", "white")
    assert (grey[[0, 3]] == 255).all()
    four, _ = fit_picture(np.zeros((2, 4, 4), np.uint8), 4, "pad", "red")
    assert (four[0] == (255, 0, 0, 255)).all()
    stretched, note = fit_picture(wide, 4, "stretch")
    np.testing.assert_array_equal(stretched[0, :, 0], [100, 100, 200, 200])
    assert note == "stretched to another shape"
    for fit in ("crop", "pad", "stretch"):
        same, note = fit_picture(wide, (2, 4), fit)
        assert same.shape == (2, 4, 3)
        assert note is None


def test_bad_arguments_of_pictures_are_one_clear_sentence(tmp_path):
    path = written(tmp_path / "x.png", COLOUR)
    with pytest.raises(InputError, match="channels is 2, but 1"):
        read_picture(path, channels=2)
    with pytest.raises(InputError, match="background is 'whitish', but a colour was expected"):
        read_picture(path, background="whitish")
    with pytest.raises(InputError, match="fit is 'squeeze', but one of 'crop', 'pad', 'stretch'"):
        fit_picture(COLOUR, 4, "squeeze")
    with pytest.raises(DataError, match="is not there"):
        read_picture(tmp_path / "none.png")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 30])
    with pytest.raises(DataError, match=r"x\.png cannot be read as an image \(.*\)\. Remove or replace it"):
        read_picture(path)
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "PPM")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_picture(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.png", "gone.png is not there. Give the path of a picture."),
        ("folder", "folder is a folder. Give the path of a picture."),
        ("drawing.svg", "drawing.svg cannot be read as an image (it is no PNG, JPEG, GIF, BMP, WebP or TIFF). Remove"),
    ],
)
def test_a_path_that_is_no_picture_is_named_once_and_in_plain_words(name, sentence, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "drawing.svg").write_text("<svg/>")
    with pytest.raises(DataError) as refusal:
        read_picture(tmp_path / name)
    assert sentence in str(refusal.value)
    assert str(refusal.value).count(name) == 1 or name == "folder"
    assert "Errno" not in str(refusal.value)
