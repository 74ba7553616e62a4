"""The tokenizer of a public checkpoint: CLIP's byte pairs, from the files that transformers writes."""

import json
from pathlib import Path
from typing import Any

from tinydiff.base import CheckpointError, InputError, atomic_write, read_at_most, read_table, shown, write_json
from tinydiff.text import Numbering, Tokenizer
from tinydiff.text.numbering import END, START
from tinydiff.text.tokenizer import END_OF_WORD, LARGEST_FILE, clip_letters, from_clip_letters

# What CLIP's tokenizers do with a text before they cut it; anything else is another tokenizer.
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """Return the tokenizer of a folder with ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``.

    Raises
    ------
    CheckpointError
        If a file is missing or cannot be read.
    InputError
        If it is a tokenizer of another kind.
    """
    folder = Path(folder)
    new, old = folder / "tokenizer.json", folder / "vocab.json"
    try:
        vocabulary, merges = _old(folder) if old.is_file() or not new.is_file() else _new(new)
        letters = clip_letters()
        ids = {from_clip_letters(token, letters): number for token, number in vocabulary.items()}
        pairs = [(from_clip_letters(a, letters), from_clip_letters(b, letters)) for a, b in merges]
    except RecursionError as error:
        raise CheckpointError(f"{folder} cannot be read as a tokenizer (its lists are nested too deeply).") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError | CheckpointError):
            raise
        raise CheckpointError(f"{folder} cannot be read as a tokenizer ({error!r}).") from error
    pad, unknown = (_special(folder, name) for name in ("pad_token", "unk_token"))
    plain = Tokenizer(pairs)
    if ids == plain.ids and pad == END:
        return plain
    return Tokenizer(pairs, numbering=Numbering(ids, pad, unknown))


def _old(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return numbers and merges of the older two files."""
    vocabulary = json.loads(read_at_most(folder / "vocab.json", LARGEST_FILE).decode("utf-8"))
    lines = read_at_most(folder / "merges.txt", LARGEST_FILE).decode("utf-8").split("\n")
    pairs: Any = [tuple(line.split(" ")) for line in lines if line.strip() and not line.startswith("#version")]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError("merges.txt has a line that is not of two tokens")
    return vocabulary, pairs


def _new(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return numbers and merges of one file; a merge is a list of two tokens there, or a text with a space between."""
    table = json.loads(read_at_most(path, LARGEST_FILE).decode("utf-8"))
    model = table["model"]
    if (
        model.get("type") != "BPE"
        or model.get("end_of_word_suffix") != "</w>"
        or WORDS not in json.dumps(table.get("pre_tokenizer"), ensure_ascii=False).replace("\\\\", "\\")
    ):
        raise InputError(f"{path} is of another kind of tokenizer, but one of CLIP's was expected.")
    added = {token["content"]: token["id"] for token in table.get("added_tokens", [])}
    merges: Any = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    return model["vocab"] | added, merges


def _special(folder: Path, name: str) -> str:
    """Return which token fills rows, or stands for an unknown one."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            token: Any = read_table(folder / file, CheckpointError).get(name)
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                return token
            if token is not None:
                raise CheckpointError(f"{folder / file} says {name} is {shown(token)}, but a text was expected.")
    return END


def most_tokens(folder: str | Path) -> int | None:
    """Return how many tokens a text may have, as tokenizer_config.json says, or None."""
    path = Path(folder) / "tokenizer_config.json"
    if not path.is_file():
        return None
    most = read_table(path, CheckpointError).get("model_max_length")
    return most if type(most) is int else None


def write_tokenizer(folder: Path, tokenizer: Tokenizer, length: int) -> None:
    """Write a tokenizer as transformers reads it: vocabulary, merges, and what its special tokens are."""
    back = {byte: letter for letter, byte in clip_letters().items()}

    def written(token: str) -> str:
        if token in (START, END):
            return token
        body = token.removesuffix(END_OF_WORD)
        return "".join(back[byte] for byte in body) + token[len(body) :]

    vocabulary = {written(token): number for token, number in tokenizer.ids.items()}
    lines = ["#version: 0.2", *(f"{written(left)} {written(right)}" for left, right in tokenizer.merges), ""]
    numbering = tokenizer.numbering
    special = {
        "bos_token": START,
        "eos_token": END,
        "pad_token": END if numbering is None else written(numbering.pad),
        "unk_token": END if numbering is None else written(numbering.unknown),
    }
    about = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length, "do_lower_case": True, **special}
    text = "\n".join(lines)
    write_json(folder / "vocab.json", vocabulary, CheckpointError)
    atomic_write(folder / "merges.txt", lambda file: file.write(text.encode()), CheckpointError)
    write_json(folder / "special_tokens_map.json", special, CheckpointError)
    write_json(folder / "tokenizer_config.json", about, CheckpointError)
