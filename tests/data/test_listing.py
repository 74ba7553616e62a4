"""What a folder holds: classes as people sort them, links, and what is passed over."""

import os

import pytest
from PIL import Image

from tinydiff.base import DataError
from tinydiff.data import list_folder, load_folder
from tinydiff.data.listing import MOST_NAMES, as_people_sort, named


def pictures(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 100).save(folder / name)


def test_names_are_sorted_as_people_sort():
    names = ["img2b", "2", "10", "1", "B", "a", "c", "img10", "img2", "Äpfel", "a", "01"]
    expected = ["01", "1", "2", "10", "a", "a", "B", "c", "img2", "img2b", "img10", "Äpfel"]
    assert sorted(names, key=as_people_sort) == expected
    assert sorted(["²", "١", ""], key=as_people_sort)  # other digits than 0 to 9 are no error


def test_labels_follow_the_order_of_the_names(tmp_path):
    pictures(tmp_path, "10/a.png", "9/a.png", "b/a.png", "b/b.png")
    data = load_folder(tmp_path, 4)
    assert data.class_names == ("9", "10", "b")
    assert data.labels.tolist() == [1, 0, 2, 2]
    plain = load_folder(tmp_path, 4, classes=False)
    assert plain.class_names is None
    assert plain.labels.tolist() == [0, 0, 0, 0]


def test_links_that_lead_back_and_across_end_and_are_said(tmp_path):
    """Twelve folders that all link to each other: walked along every path, they would take for ever."""
    for i in range(12):
        pictures(tmp_path, f"{i}/x.png")
        for j in range(12):
            os.symlink(tmp_path / str(j), tmp_path / str(i) / f"to{j}")
    listing = list_folder(tmp_path)
    assert len(listing.files) == 12
    assert listing.class_names == tuple(map(str, range(12)))
    assert [note for note in listing.notes if note.startswith("Passed over: links to folders that are read already")]


def test_a_linked_folder_and_a_linked_picture_are_followed(tmp_path):
    pictures(tmp_path / "store", "1.png", "2.png")
    (tmp_path / "data" / "cat").mkdir(parents=True)
    os.symlink(tmp_path / "store", tmp_path / "data" / "dog")
    os.symlink(tmp_path / "store" / "1.png", tmp_path / "data" / "cat" / "mine.png")
    listing = list_folder(tmp_path / "data")
    assert listing.files == ("cat/mine.png", "dog/1.png", "dog/2.png")
    assert listing.notes == ()


def test_what_is_passed_over_is_counted_by_kind(tmp_path):
    pictures(tmp_path, "1.png", ".thumbnails/1.png", ".2.png")
    for name in ("a.heic", "b.HEIC", "c.pdf", "Makefile"):
        (tmp_path / name).write_bytes(b"")
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")  # to read from it would wait for ever
    assert load_folder(tmp_path, 4).notes == (
        "Passed over: 2 hidden files or folders.",
        "Passed over: 1 link to nothing: link.png.",
        "Passed over: what is no file, such as a pipe: pipe.png.",
        "Passed over, by the endings of their names: 1 without an ending, 2 .heic, 1 .pdf.",
    )


@pytest.mark.parametrize(
    ("files", "note"),
    [
        (["Cat/1.png", "cat/1.png"], "differ in nothing but capitals, or in how a letter is stored: Cat, cat."),
        (["é/1.png", "e\u0301/1.png"], "differ in nothing but capitals"),
        (["a/1.png", "b/x/y/1.png"], "Pictures in folders within a class folder belong to that class: b/x/y."),
        (["test/1.png", "train/1.png"], "The subfolders are called test and train, and count as classes"),
    ],
)
def test_odd_classes_are_said(tmp_path, files, note):
    pictures(tmp_path, *files)
    if len({path.name for path in tmp_path.iterdir()}) < 2:
        pytest.skip("this file system does not tell these names apart")
    assert any(note in line for line in list_folder(tmp_path).on_classes)


def test_pictures_without_a_class_are_refused_unless_classes_are(tmp_path):
    pictures(tmp_path, "a/1.png", "b/1.png", "cover.png")
    with pytest.raises(DataError, match=r"outside its class folders, such as cover\.png \(1 of 3\)"):
        load_folder(tmp_path, 4)
    assert load_folder(tmp_path, 4, classes=False).labels.tolist() == [0, 0, 0]


def test_names_that_cannot_be_printed_are_escaped_and_many_are_counted():
    assert named(["a\x1b[2Jb\n", "Bär 2"]) == "a\\x1b[2Jb\\n, Bär 2"
    assert named(["x"] * (MOST_NAMES + 1)) == f"{', '.join(['x'] * MOST_NAMES)}, ... ({MOST_NAMES + 1} in all)"


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    pictures(tmp_path, "a/1.png")

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match=r"cannot be read \(Permission denied\)"):
        list_folder(tmp_path)
