"""The captions of one's own pictures, in the forms that exist: tables, JSON lines, and a text beside each picture."""

import codecs
import csv
import io
import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinydiff.base import DataError, counted, printable
from tinydiff.data.listing import Listing, named

TABLES = ("captions.csv", "captions.tsv", "metadata.csv", "metadata.tsv", "metadata.jsonl")
FILE_COLUMNS = ("file", "file_name", "filename")
TEXT_COLUMNS = ("caption", "text")
ENCODINGS = {  # what a file begins with; the longer ones come first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def captions_in(listing: Listing) -> tuple[str, ...]:
    """Return the files that hold captions: one table, or texts beside pictures; none, or several that contradict.

    A table is one of `TABLES`; ``1.txt`` is the caption of ``1.png`` beside it.
    """
    tables = [file for file in listing.others if Path(file).name.lower() in TABLES]
    stems = {file.rpartition(".")[0] for file in listing.files}
    texts = [file for file in listing.others if file.lower().endswith(".txt") and file.rpartition(".")[0] in stems]
    return (*tables, *texts)


def read_captions(listing: Listing) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return a caption for each picture of a folder, or None where there are none, and sentences on what was odd.

    Raises
    ------
    DataError
        If a caption is missing, empty, doubled or cut by a comma, or a file cannot be read; with the line.
    """
    sources = captions_in(listing)
    if not sources:
        return None, ()
    tables = [file for file in sources if Path(file).name.lower() in TABLES]
    texts = [file for file in sources if file not in tables]
    if len(tables) > 1 or (tables and texts):
        both = [*tables, *texts[:1]]
        raise DataError(f"{listing.folder} holds captions in several forms ({named(both)}): keep one of them.")
    if not tables:
        return _beside(listing, texts)
    table = tables[0]
    if "/" in table:
        inside = listing.folder / Path(table).parent
        raise DataError(f"{listing.folder / table} lies in a subfolder: move it to {listing.folder}, or give {inside}.")
    return _of_table(listing, table)


def _of_table(listing, table):
    """Return the captions of a table, each with its picture, and sentences on lines and names that are odd."""
    path, notes = listing.folder / table, []
    rows, empty = (_json_rows if table.lower().endswith("l") else _csv_rows)(path)
    if empty:
        notes.append(f"{table}: {empty} empty {'line is' if empty == 1 else 'lines are'} passed over.")
    by_name = {_plain(file): file for file in listing.files}
    exact = dict(zip(listing.files, listing.files, strict=True))
    found: dict[str, tuple[int, str]] = {}
    unknown, differently, again = [], [], []
    for line, name, caption in rows:
        tidy = re.sub(r"^(\./)+", "", name.replace("\\", "/"))
        file = exact.get(tidy) or by_name.get(_plain(tidy))
        if not caption.strip():
            raise DataError(f"{path}, line {line}: the caption of {printable(name)} is empty. Write one.")
        if file is None:
            unknown.append(name)
        elif file in found and found[file][1] != caption:
            raise DataError(
                f"{path}, line {line}: {printable(name)} has another caption already, in line {found[file][0]}. Keep "
                "one."
            )
        elif file in found:
            again.append(name)
        else:
            found[file] = line, caption
        if file is not None and file != name:
            differently.append(name)
    missing = [file for file in listing.files if file not in found]
    if missing:
        other = f" It names files that are not there, such as {printable(unknown[0])}." if unknown else ""
        raise DataError(
            f"{path} has no caption for {printable(missing[0])} ({len(missing)} of "
            f"{counted(len(listing.files), 'image')} lack one). Add a line for each, with its path in the folder, or "
            f"remove the file.{other}"
        )
    if unknown:
        notes.append(f"{table}: captions of pictures that are not in the folder are not used: {named(unknown)}.")
    if again:
        notes.append(f"{table}: lines that stand there twice count once: {named(again)}.")
    if differently:
        notes.append(f"{table}: names that are written differently there were matched: {named(differently)}.")
    return tuple(found[file][1] for file in listing.files), tuple(notes)


def _beside(listing, texts):
    """Return the captions that stand in a text file beside each picture."""
    by_stem = {text.rpartition(".")[0]: text for text in texts}
    stems = [file.rpartition(".")[0] for file in listing.files]
    missing = [file for file, stem in zip(listing.files, stems, strict=True) if stem not in by_stem]
    if missing:
        raise DataError(
            f"{listing.folder} has no caption for {printable(missing[0])} ({len(missing)} of {len(stems)} images lack "
            f"one): write it into {printable(missing[0].rpartition('.')[0])}.txt, or remove the other texts."
        )
    captions, lines = {}, 0
    for stem, text in by_stem.items():
        read = _text(listing.folder / text).strip()
        if not read:
            raise DataError(f"{listing.folder / text} is empty, but holds the caption of {printable(stem)}. Write one.")
        lines += len(read.splitlines()) > 1
        captions[stem] = " ".join(read.split())
    notes = []
    if lines:
        notes.append(f"Captions of several lines are read as one line each: {lines} of {len(by_stem)}.")
    if len(by_stem) < len(stems):
        shared = sorted({stem for stem in stems if stems.count(stem) > 1})
        notes.append(f"Pictures whose names differ in the ending alone share a caption: {named(shared)}.")
    return tuple(captions[stem] for stem in stems), tuple(notes)


_QUOTE = 'Put a caption with such a sign into quotes, right after the separator: 1.png,"red, round"; a quote is "".'


def _csv_rows(path: Path) -> tuple[list[tuple[int, str, str]], int]:
    """Return (line, file, caption) of each row of a table, and how many lines are empty.

    The separator is a comma, a semicolon or a tab, whichever the first line has.
    """
    text = _text(path)
    header, separator = _header(path, text)
    file_column = next(i for i, name in enumerate(header) if name in FILE_COLUMNS)
    text_column = next(i for i, name in enumerate(header) if name in TEXT_COLUMNS)
    rows: list[tuple[int, str, str]] = []
    empty = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1  # where the next row begins: a caption in quotes may have several lines
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(f"{path}, line {line}: the quotes do not fit together ({error}). {_QUOTE}") from error
        if row is None:
            return rows[1:], empty
        if not any(cell.strip() for cell in row):
            empty += 1
            continue
        if len(row) < len(header):
            raise DataError(
                f"{path}, line {line}: no caption for {printable(row[0])}, or no picture: there are {len(row)} of "
                f"{len(header)} columns. Complete the line."
            )
        if len(row) > len(header):
            raise DataError(
                f"{path}, line {line}: there are {len(row)} columns instead of {len(header)}, since {separator!r} "
                f"stands in a caption. {_QUOTE}"
            )
        rows.append((line, row[file_column].strip(), row[text_column]))


def _header(path, text):
    """Return the names of the columns in lower case, and what separates them."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    for separator in (",", ";", "\t"):
        header = [name.strip().strip('"').lower() for name in first.split(separator)]
        if set(header) & set(FILE_COLUMNS) and set(header) & set(TEXT_COLUMNS):
            return header, separator
    columns = [name.strip().strip('"') for name in re.split("[,;\t]", first)] if first else []
    raise DataError(
        f"{path} has the columns {columns}, but 'file' and 'caption' (or 'file_name' and 'text') were expected in its "
        "first line."
    )


def _json_rows(path: Path) -> tuple[list[tuple[int, str, str]], int]:
    """Return (line, file, caption) of each line of JSON, and how many lines are empty."""
    rows, empty = [], 0
    for line, text in enumerate(_text(path).removesuffix("\n").split("\n"), start=1):
        if not text.strip():
            empty += 1
            continue
        try:
            record: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {line}: this is no JSON ({error}). Each line is one record.") from error
        name, caption = _value(record, FILE_COLUMNS), _value(record, TEXT_COLUMNS)
        if name is None or caption is None:
            raise DataError(
                f"{path}, line {line}: a record with the texts 'file_name' and 'text' was expected, but "
                f"{printable(text.strip())[:60]} was found."
            )
        rows.append((line, name, caption))
    return rows, empty


def _value(record, names: Sequence[str]) -> str | None:
    """Return the text that a record has under the first of these names, or None."""
    if not isinstance(record, dict):
        return None
    return next((record[name] for name in names if isinstance(record.get(name), str)), None)


def _text(path: Path) -> str:
    """Return a text file's content: UTF-8, or another encoding of Unicode if the file begins with its mark."""
    try:
        raw = path.read_bytes()
        encoding = next((name for mark, name in ENCODINGS.items() if raw.startswith(mark)), "utf-8")
        text = raw.decode(encoding)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Make it readable, or remove it.") from error
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} cannot be read as CSV in UTF-8 (line {line}: {error.reason}). Save it again in that form."
            if path.suffix.lower() == ".csv"
            else f"{path} cannot be read as text in UTF-8 (line {line}: {error.reason}). Save it again in that form."
        ) from error
    if "\0" in text:
        raise DataError(f"{path} holds zero bytes, so it seems to be UTF-16 without its mark: save it as UTF-8.")
    return text


def _plain(name: str) -> str:
    """Return a name in which capitals, and how an accent is stored, make no difference."""
    return unicodedata.normalize("NFC", name).casefold()
