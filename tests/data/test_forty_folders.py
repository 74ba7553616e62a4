"""Forty folders as people have them: `tinydiff train` says what it drops, passes over or refuses, for each in a line.

The command is prepared, but nothing is trained.
"""

import os

import numpy as np
import pytest
from PIL import Image

from tinydiff.apps.cli.main import parse
from tinydiff.apps.cli.naming import as_typed
from tinydiff.base import TinydiffError, select_device

TINY = ["--unet.image-size", "8", "--unet.channels", "8", "--unet.channel-mult", "1", "2"]
TINY += ["--unet.blocks-per-level", "1"]
READS = ["--captions", "--text.layers", "1", "--text.channels", "8", "--text.heads", "2"]
FOLDERS = []


def folder(*options, says=(), refuses="", channels=3, classes=None):
    """Put the builder below into the table: its options, what is said (each part of a line), or refused."""

    def register(build):
        FOLDERS.append(pytest.param(build, options, says, refuses, channels, classes, id=build.__name__))
        return build

    return register


def picture(path, mode="RGB", size=(10, 10), **options):
    """Write a picture of random pixels: grey, in colour, or either with transparency that is not the same all over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    rng = np.random.default_rng(len(path.name))
    pixels = rng.integers(0, 256, (size[1], size[0], channels)).astype(np.uint8)
    bands = [Image.fromarray(pixels[..., i]) for i in range(channels)]
    (bands[0] if channels == 1 else Image.merge(mode, bands)).save(path, **options)


def some(path, *names, **options):
    for name in names or ("1.png", "2.png", "3.png"):
        picture(path / name, **options)


# Colours, bits and transparency


@folder(says=["2 images 8 x 8 x 3"])
def colour(path):
    some(path)


@folder(says=["2 images 8 x 8 x 1"], channels=1)
def grey(path):
    some(path, mode="L")


@folder(
    "--unet.in-channels",
    "1",
    says=["3 of 3 pictures: colour is dropped (1 channel): leave --unet.in-channels out"],
    channels=1,
)
def colour_that_is_not_wanted(path):
    some(path)


@folder(says=["1 of 3 pictures: grey, so that three channels are equal."])
def grey_and_colour(path):
    some(path, "1.png", "2.png")
    picture(path / "3.png", "L")


@folder(says=["3 of 3 pictures: grey, so that three channels are equal: --unet.in-channels 1 would do."])
def grey_stored_as_colour(path):
    for i in range(3):
        Image.new("RGB", (10, 10), (9 * i,) * 3).save(path / f"{i}.png")


@folder(says=["3 of 3 pictures: transparent parts are put onto white: --background chooses another colour."])
def transparent(path):
    some(path, mode="RGBA")


@folder("--background", "#102030", says=["2 of 2 pictures: transparent parts are put onto #102030"], channels=1)
def transparent_grey(path):
    some(path, "1.png", "2.png", mode="LA")


@folder("--unet.in-channels", "4", says=["1 of 3 pictures: without transparency, so that its fourth"], channels=4)
def a_fourth_channel(path):
    some(path, "1.png", "2.png", mode="RGBA")
    some(path, "3.png")


@folder("--background", "red", says=["--background red changes nothing"])
def a_background_for_nothing(path):
    some(path)


@folder(says=["2 of 2 pictures: transparent parts are put onto white"])
def a_palette(path):
    for i in range(2):
        Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10) + i).convert("RGB").quantize(8).save(
            path / f"{i}.png", transparency=0
        )
    palette = [90, 20, 10] * 2 + [5, 200, 60] * 254
    for name in ("0.png", "1.png"):
        image = Image.new("P", (10, 10), 1)
        image.putpalette(palette)
        image.paste(0, (0, 0, 5, 10))
        image.paste(2, (0, 0, 5, 2))
        image.save(path / name, transparency=0)


@folder(says=["2 of 2 pictures: 16 bits are scaled to 8."], channels=1)
def sixteen_bits(path):
    for i in range(2):
        Image.fromarray(np.full((9, 9), 40_000 + i, np.uint16)).save(path / f"{i}.png")


@folder(says=["2 of 2 pictures: 16 bits of which at most 13 are used"], channels=1)
def twelve_bits_of_sixteen(path):
    for i in range(2):
        Image.fromarray(np.full((9, 9), 4_000 + i, np.uint16)).save(path / f"{i}.tif")


@folder(says=["2 of 2 pictures: colours for print (CMYK)"])
def for_print(path):
    some(path, "1.jpg", "2.jpg", mode="CMYK")


@folder(says=["2 of 2 pictures: several frames, of which the first is read."])
def animated(path):
    for i in range(2):
        frames = [Image.new("RGB", (9, 9), (c, 9 * i, 0)) for c in (10, 99)]
        frames[0].save(path / f"{i}.gif", save_all=True, append_images=frames[1:])


@folder(says=["1 of 2 pictures: turned upright, as its EXIF data say."])
def from_a_camera(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(path / "1.jpg", exif=exif)
    picture(path / "2.jpg")


# Shapes


@folder(says=["3 of 3 pictures: cropped in the middle: --fit pad keeps the borders."])
def wide(path):
    some(path, size=(20, 10))


@folder("--fit", "pad", says=["3 of 3 pictures: bars of white are added at two sides"])
def padded(path):
    some(path, size=(20, 10))


@folder("--fit", "stretch", "--unet.image-size", "8x16", says=["3 of 3 pictures: stretched to another shape."])
def stretched(path):
    some(path, size=(20, 30))


@folder(says=["3 of 3 pictures: smaller than wanted, and enlarged by repeating pixels"])
def tiny(path):
    some(path, size=(5, 5))


# Classes


@folder(says=["Classes: 0 = 2, 1 = 10, 2 = B, 3 = c."], classes=4)
def numbered_classes(path):
    some(path, *(f"{name}/{i}.png" for name in ("10", "2", "c", "B") for i in range(3)))


@folder(says=["There is one subfolder, all, so that there are no classes to learn."])
def one_subfolder(path):
    some(path, "all/1.png", "all/2.png")


@folder("--unet.num-classes", "None", says=["The class folders a, b are not used: leave --unet.num-classes out"])
def classes_that_are_not_wanted(path):
    some(path, "a/1.png", "b/1.png", "b/2.png")


@folder(
    "--unet.num-classes",
    "4",
    says=["--unet.num-classes is 4, but the data have 2: nothing is learned of classes 2 to 3."],
    classes=4,
)
def more_classes_than_folders(path):
    some(path, "a/1.png", "a/2.png", "b/2.png")


@folder("--unet.num-classes", "1", refuses="--unet.num-classes is 1, but * has 2 class folders (a, b): leave it out.")
def fewer_classes_than_folders(path):
    some(path, "a/1.png", "b/2.png")


@folder("--unet.num-classes", "3", refuses="--unet.num-classes is 3, but * has no subfolders")
def classes_of_nothing(path):
    some(path)


@folder(refuses="holds pictures outside its class folders, such as 1.png (1 of 3): move them into one of a, b")
def outside_the_classes(path):
    some(path, "1.png", "a/1.png", "b/1.png")


@folder(
    says=[
        "Folders without pictures, which are no classes: c.",
        "held out (give each a second one), so that nothing is learned of them: a.",
    ],
    classes=2,
)
def classes_without_pictures(path):
    (path / "c").mkdir()
    some(path, "a/1.png", "b/1.png", "b/2.png")


@folder(says=["belong to that class: a/old."], classes=2)
def folders_in_classes(path):
    some(path, "a/1.png", "a/old/2.png", "b/1.png")


@folder(says=["The subfolders are called test and train, and count as classes", "learned of them: test."], classes=2)
def splits(path):
    some(path, "train/1.png", "train/2.png", "test/1.png")


@folder(says=["Passed over: links to folders that are read already: a/loop.", "Classes: 0 = a, 1 = linked."], classes=2)
def links(path):
    some(path / "data", "a/1.png", "a/2.png")
    some(path / "elsewhere", "3.png")
    os.symlink(path / "elsewhere", path / "data" / "linked")
    os.symlink(path / "data", path / "data" / "a" / "loop")
    return path / "data"


# What is passed over


@folder(says=["Passed over, by the endings of their names: 2 .heic, 1 .pdf.", "1 hidden file"])
def other_kinds(path):
    some(path, "1.png", "2.tif")
    for name in ("3.heic", "4.HEIC", "5.pdf", ".DS_Store"):
        (path / name).write_bytes(b"x")


@folder(refuses="2.png cannot be read as an image")
def truncated(path):
    picture(path / "1.png")
    picture(path / "2.png", size=(99, 99))
    whole = (path / "2.png").read_bytes()
    (path / "2.png").write_bytes(whole[: len(whole) // 2])


@folder(refuses="holds no images; files ending in .png,")
def nothing(path):
    (path / "1.heic").write_bytes(b"x")


@folder(refuses="big.png has more than 67,108,864 pixels")
def a_bomb(path):
    picture(path / "1.png")
    header = Image.new("1", (9000, 9000))
    header.save(path / "big.png")


# Captions


def with_captions(path, content, name="captions.csv"):
    some(path, "1.png", "2.png")
    (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())


@folder(says=["The captions in captions.csv are not used: give --captions to learn from them."])
def captions_that_are_not_wanted(path):
    with_captions(path, "file,caption\n1.png,red\n2.png,blue\n")


@folder(*READS, refuses="captions.csv, line 3: there are 3 columns instead of 2, since ',' stands in a caption.")
def a_comma(path):
    with_captions(path, "file,caption\n1.png,red\n2.png,blue, round\n")


@folder(*READS, refuses="captions.csv, line 4: 1.png has another caption already, in line 2.")
def doubled(path):
    with_captions(path, "file;caption\n1.png;red, round\n2.png;blue\n1.png;green\n")


@folder(
    "--captions",
    says=["metadata.csv: 1 empty line is passed over.", "not in the folder are not used: 9.png.", "matched: .\\1.PNG."],
)
def hugging_face(path):
    with_captions(path, "file_name,text\n.\\1.PNG,red\n\n2.png,blue\n9.png,x\n".encode("utf-16"), "metadata.csv")


@folder(*READS, refuses="metadata.jsonl, line 2: a record with the texts 'file_name' and 'text' was expected")
def json_lines(path):
    with_captions(path, '{"file_name": "1.png", "text": "red"}\n{"file_name": "2.png"}\n', "metadata.jsonl")


@folder(*READS, refuses="has no caption for 2.png (1 of 2 images lack one): write it into 2.txt")
def texts(path):
    with_captions(path, "red", "1.txt")


@folder(*READS, refuses="holds captions in several forms (captions.csv, 1.txt): keep one of them")
def several_forms(path):
    with_captions(path, "file,caption\n1.png,red\n2.png,blue\n")
    (path / "1.txt").write_text("red")


@folder(*READS, refuses="captions.csv cannot be read as CSV in UTF-8 (line 3: ")
def latin(path):
    with_captions(path, b"file,caption\n1.png,red\n2.png,gr\xfcn\n")


@folder(
    "--captions", says=["The class folders a, b are not used, since captions are learned.", "Captions of several lines"]
)
def captions_and_classes(path):
    some(path, "a/1.png", "b/2.png")
    (path / "a" / "1.txt").write_text("a red\nthing\n")
    (path / "b" / "2.txt").write_text("a blue thing")


@pytest.mark.parametrize(("build", "options", "says", "refuses", "channels", "classes"), FOLDERS)
def test_each_folder_has_its_line(tmp_path, capsys, build, options, says, refuses, channels, classes):
    data = build(tmp_path) or tmp_path
    command = parse(["train", "--data", str(data), *TINY, *options])
    if refuses:
        with pytest.raises(TinydiffError) as refusal:
            command.prepare(select_device("cpu"))
        said = as_typed(str(refusal.value), type(command)).replace(str(data) + "/", "").replace(str(data), "*")
        assert refuses in said
        return
    model = command.prepare(select_device("cpu")).model
    lines = capsys.readouterr().out.splitlines()
    for expected in says:
        assert any(expected in line for line in lines), lines
    assert model.config.unet.in_channels == channels
    assert model.config.unet.num_classes == classes
    usual = ("Classes: 0 = ", *says)
    assert all(any(part in line for part in usual) for line in lines[2:]), lines  # and nothing else is said


def test_there_are_forty():
    assert len(FOLDERS) >= 40
    assert all(row.values[2] or row.values[3] for row in FOLDERS)
