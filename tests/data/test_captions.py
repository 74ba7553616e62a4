"""Captions of one's own pictures: every form is read alike; what cannot be read rightly is refused, with its line."""

import json

import pytest
from PIL import Image

from tinydiff.base import DataError
from tinydiff.data import load_folder

CAPTIONS = ("a red, round thing", 'the "blue" one', "grün")


@pytest.fixture
def three(tmp_path):
    for i in range(1, 4):
        Image.new("L", (4, 4), 60 * i).save(tmp_path / f"{i}.png")
    return tmp_path


def table(separator=",", columns=("file", "caption"), newline="\n"):
    quoted = ['"' + caption.replace('"', '""') + '"' for caption in CAPTIONS]
    rows = [columns, *((f"{i}.png", text) for i, text in enumerate(quoted, start=1))]
    return newline.join(separator.join(row) for row in rows) + newline


def lines():
    return "".join(json.dumps({"file_name": f"{i}.png", "text": text}) + "\n" for i, text in enumerate(CAPTIONS, 1))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.csv", table()),
        ("captions.csv", table(";")),
        ("captions.csv", table("\t")),
        ("captions.tsv", table("\t")),
        ("captions.csv", table(newline="\r\n").encode("utf-8-sig")),
        ("captions.csv", table().encode("utf-16")),
        ("captions.csv", table(";").encode("utf-32")),
        ("captions.csv", table(columns=("File", "Caption "))),
        ("captions.csv", table().rstrip("\n")),
        ("metadata.csv", table(columns=("file_name", "text"))),
        ("metadata.jsonl", lines()),
        ("metadata.jsonl", lines().encode("utf-8-sig")),
        ("metadata.jsonl", lines().rstrip("\n")),
    ],
)
def test_every_form_gives_the_same_captions(three, name, content):
    (three / name).write_bytes(content.encode() if isinstance(content, str) else content)
    data = load_folder(three, 4)
    assert data.captions == CAPTIONS
    assert data.notes == ()


@pytest.mark.parametrize("end", ["", "\n"])
def test_an_empty_line_between_records_is_said(three, end):
    first, rest = lines().split("\n", 1)
    (three / "metadata.jsonl").write_text(f"{first}\n\n{rest.removesuffix(chr(10))}{end}")
    data = load_folder(three, 4)
    assert data.captions == CAPTIONS
    assert data.notes == ("metadata.jsonl: 1 empty line is passed over.",)


def test_texts_beside_the_pictures_and_a_readme(three):
    for i, caption in enumerate(CAPTIONS, start=1):
        (three / f"{i}.txt").write_text(caption + "\n", encoding="utf-8")
    (three / "README.txt").write_text("about these pictures")
    data = load_folder(three, 4)
    assert data.captions == CAPTIONS
    assert data.notes == ("Passed over, by the endings of their names: 1 .txt.",)


def test_other_columns_are_let_be_and_the_order_of_lines_is_free(three):
    (three / "metadata.csv").write_text("id,text,file_name\n7,c,3.png\n8,a,1.png\n9,b,2.png\n")
    assert load_folder(three, 4).captions == ("a", "b", "c")


def test_a_caption_of_several_lines_in_quotes(three):
    (three / "captions.csv").write_text('file,caption\n1.png,"a\nb"\n2.png,c\n3.png,d,e\n')
    with pytest.raises(DataError, match="line 5: there are 3 columns"):  # counted as an editor counts
        load_folder(three, 4)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ("1.png,a\n\n2.png,b\n,\n3.png,c\n", "captions.csv: 2 empty lines are passed over."),
        ("1.png,a\n2.png,b\n1.png,a\n3.png,c\n", "captions.csv: lines that stand there twice count once: 1.png."),
        (
            "1.png,a\n2.png,b\n3.png,c\n4.png,d\n",
            "captions of pictures that are not in the folder are not used: 4.png.",
        ),
        (
            "./1.png,a\n.\\2.PNG,b\n3.png,c\n",
            "names that are written differently there were matched: ./1.png, .\\2.PNG.",
        ),
    ],
)
def test_what_is_odd_is_said(three, rows, note):
    (three / "captions.csv").write_text("file,caption\n" + rows)
    data = load_folder(three, 4)
    assert data.captions == ("a", "b", "c")
    assert [line for line in data.notes if note in line], data.notes


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "captions.csv",
            "file,caption\n1.png,a\n2.png,b, c\n",
            r"captions\.csv, line 3: there are 3 columns instead of 2",
        ),
        ("captions.csv", "file;caption\n1.png;a;b\n", r"line 2: there are 3 columns instead of 2, since ';'"),
        ("captions.csv", "file,caption\n1.png,a\n\n2.png\n", r"line 4: no caption for 2\.png"),
        ("captions.csv", "file,caption\n1.png,a\n2.png,\n", r"line 3: the caption of 2\.png is empty"),
        ("captions.csv", "file,caption\n1.png,a\n1.png,b\n", r"line 3: 1\.png has another caption already, in line 2"),
        ("captions.csv", 'file,caption\n1.png,"a\n2.png,b\n', r"line 2: the quotes do not fit together"),
        ("captions.csv", 'file,caption\n1.png,"a" b\n', r"line 2: the quotes do not fit together"),
        ("captions.csv", "", r"has the columns \[\]"),
        ("captions.csv", "1.png,a\n2.png,b\n3.png,c\n", r"has the columns \['1\.png', 'a'\], but 'file' and 'caption'"),
        ("captions.csv", "file|caption\n1.png|a\n", r"has the columns \['file\|caption'\]"),
        ("captions.csv", "file,caption\nx/1.png,a\n", r"no caption for 1\.png \(3 of 3 .* such as x/1\.png"),
        ("captions.csv", b"file,caption\n1.png,gr\xfcn\n", r"cannot be read as CSV in UTF-8 \(line 2"),
        ("captions.csv", "file,caption\n1.png,a\n".encode("utf-16-le"), r"zero bytes, so it seems to be UTF-16"),
        (
            "metadata.jsonl",
            '{"file_name": "1.png", "text": "a"}\n{"file_name": 2}\n',
            r"line 2: a record with the texts",
        ),
        ("metadata.jsonl", '["1.png", "a"]\n', r"line 1: a record with the texts"),
        ("metadata.jsonl", '{"file_name": "1.png"\n', r"line 1: this is no JSON"),
        ("metadata.jsonl", "[" * 100_000, r"line 1: this is no JSON"),
        ("1.txt", "a", r"no caption for 2\.png \(2 of 3 images lack one\): write it into 2\.txt"),
        ("metadata.jsonl", b"\xff\xfe\xd8", r"metadata\.jsonl cannot be read as text in UTF-8"),
        ("sub/metadata.csv", "file_name,text\n1.png,a\n", r"lies in a subfolder: move it to .* or give .*sub"),
    ],
)
def test_captions_that_cannot_be_read_rightly_are_refused_and_may_be_left_unread(three, name, content, words):
    (three / name).parent.mkdir(exist_ok=True)
    (three / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=words):
        load_folder(three, 4)
    assert load_folder(three, 4, captions=False).captions is None


def test_two_forms_at_once_are_refused(three):
    (three / "captions.csv").write_text(table())
    (three / "metadata.jsonl").write_text(lines())
    with pytest.raises(DataError, match=r"several forms \(captions\.csv, metadata\.jsonl\): keep one of them"):
        load_folder(three, 4)


def test_empty_and_shared_texts(three):
    for i in range(1, 4):
        (three / f"{i}.txt").write_text("one\n  two")
    Image.new("L", (4, 4)).save(three / "3.bmp")
    data = load_folder(three, 4)
    assert data.captions == ("one two",) * 4
    assert data.notes == (
        "Captions of several lines are read as one line each: 3 of 3.",
        "Pictures whose names differ in the ending alone share a caption: 3.",
    )
    (three / "2.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"2\.txt is empty"):
        load_folder(three, 4)
