"""Byte-pair encoding: text as token numbers, one number for each frequent piece of a word.

A word begins as its bytes, the last one marked as the end of the word. Training joins the most frequent pair of
neighbours, again and again; each such pair is a *merge*, and makes a new token. Encoding repeats the merges in their
order. Since every byte is a token, every text can be encoded: an unknown word only takes more tokens.

Source: Sennrich, Haddow, Birch 2016 (arXiv 1508.07909), Algorithm 1; on bytes as in GPT-2 (Radford et al. 2019); the
splitting into words and the order of the vocabulary are those of CLIP (Radford et al. 2021, arXiv 2103.00020), so that
its vocabulary can be loaded.
"""

import itertools
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinydiff.base import (
    DataError,
    InputError,
    atomic_write,
    check_count,
    checks_arguments,
    gunzip,
    read_at_most,
    shown,
)
from tinydiff.text.numbering import END, START, Numbering

END_OF_WORD = "</w>"
CONTRACTION = re.compile("'(s|t|re|ve|m|ll|d)")
# A byte is written as the character of the same number (Latin-1). CLIP counts printable ones first.
PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
OTHERS = tuple(byte for byte in range(256) if byte not in PRINTABLE)
BYTES = tuple(chr(byte) for byte in (*PRINTABLE, *OTHERS))
CLIP_MERGES = 48_894
LARGEST_FILE, GZIP = 16 * 2**20, b"\x1f\x8b"  # CLIP's vocabulary has 3 MB, unpacked
# Encoded words are remembered, at most so many, each of at most so many bytes: texts that are sent to a server cannot
# take more than about 60 MB of its memory.
MOST_SHOWN = 160  # letters of what is dropped, in a sentence
WORDS_KEPT, BYTES_KEPT = 100_000, 40

Pair = tuple[str, str]


@checks_arguments()
class Tokenizer:
    """Turns text into token numbers and back (byte-pair encoding).

    The vocabulary is: 256 bytes, the same 256 at the end of a word, a token for each merge, start, end.

    Parameters
    ----------
    merges : sequence of pairs of str
        In the order in which they were learned; each joins two tokens that are there before it.
    words : collection of str, or None
        The words of the texts that the merges were learned from, see `words_of`; None where nobody kept them. They
        change no token: they only tell which words of a prompt are new, see `new_words`.
    numbering : Numbering or None
        The numbers of a public checkpoint's tokens; None counts them in the order above.

    Raises
    ------
    InputError
        If a merge joins what is not a token yet, or comes twice, or a numbering lacks the start or the end.

    Examples
    --------
    >>> tokenizer = Tokenizer.train(["red hair", "a red hat"], merges=4)
    >>> tokenizer.decode(tokenizer.encode("A  RED Hat"))
    'a red hat'
    """

    def __init__(
        self,
        merges: Sequence[Pair] = (),
        words: Collection[str] | None = None,
        numbering: Numbering | None = None,
    ):
        self.words = None if words is None else frozenset(words)
        self.merges = tuple((left, right) for left, right in merges)
        self.tokens = [*BYTES, *(byte + END_OF_WORD for byte in BYTES)]
        known = set(self.tokens)
        for left, right in self.merges:
            if not {left, right} <= known or left + right in known:
                raise InputError(
                    f"The merge of {shown(left)} and {shown(right)} joins what is no token yet, or makes a token that "
                    "exists."
                )
            known.add(left + right)
            self.tokens.append(left + right)
        self.tokens += [START, END]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        self.numbering = numbering
        if numbering is not None:
            self.ids = dict(numbering.ids)
            self.tokens = [""] * (1 + max(self.ids.values()))
            for token, i in self.ids.items():
                self.tokens[i] = token
        self.ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._of_word: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def start(self) -> int:
        """The token that every row begins with."""
        return self.ids[START]

    @property
    def end(self) -> int:
        """The token that ends a text."""
        return self.ids[END]

    @property
    def pad(self) -> int:
        """The token that fills the rest of a row: the end, unless a numbering says another."""
        return self.end if self.numbering is None else self.ids[self.numbering.pad]

    @classmethod
    def train(cls, texts: Iterable[str], merges: int = 200) -> "Tokenizer":
        """Learn merges from texts: the most frequent pair of neighbours, again and again (Eq. BPE-1).

        Of equally frequent pairs, the first in the order of characters is taken. Training stops early if every word is
        one token.
        """
        check_count("merges", merges, least=0)
        _check_texts(texts)
        counts = Counter(word for text in texts for word in split_words(text))
        words = {word: letters(word) for word in counts}
        learned: list[Pair] = []
        while len(learned) < merges:
            pairs: Counter[Pair] = Counter()
            for word, symbols in words.items():
                for pair in itertools.pairwise(symbols):
                    pairs[pair] += counts[word]
            if not pairs:
                break
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            learned.append(best)
            words = {word: merge(symbols, best) for word, symbols in words.items()}
        return cls(learned, {word for word in counts if word[0].isalnum()})

    def with_words_of(self, texts: Iterable[str]) -> "Tokenizer":
        """Return the same tokens, with the words of more texts, such as the captions of a fine-tuning.

        Where nobody kept the words of the first texts, the words stay unknown: those of the others would not be all.
        """
        return self if self.words is None else Tokenizer(self.merges, self.words | words_of(texts))

    def new_words(self, text: str) -> list[str]:
        """Return the words of a text that the texts of the training never held, each once.

        Where nobody kept their words, those that are more than one token: they were rare then, or never there.
        """
        words = dict.fromkeys(word for word in split_words(text) if word[0].isalnum())
        if self.words is None:
            return [word for word in words if len(self._encode_word(word)) > 1]
        return [word for word in words if word not in self.words]

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, without start and end; a lone surrogate (no character) is read as "?"."""
        if not isinstance(text, str):
            raise InputError(f"text is {shown(text)}, but a text (str) was expected.")
        return [token for word in split_words(text) for token in self._encode_word(word)]

    def _encode_word(self, word):
        """Return the tokens of a word: join, again and again, the neighbours whose merge was learned first."""
        if word in self._of_word:
            return self._of_word[word]
        symbols = letters(word)
        is_short = len(symbols) <= BYTES_KEPT
        while len(symbols) > 1:
            best = min(itertools.pairwise(symbols), key=lambda pair: self.ranks.get(pair, len(self)))
            if best not in self.ranks:
                break
            symbols = merge(symbols, best)
        unknown = None if self.numbering is None else self.ids[self.numbering.unknown]
        ids = [self.ids[symbol] if unknown is None else self.ids.get(symbol, unknown) for symbol in symbols]
        if is_short:
            if len(self._of_word) >= WORDS_KEPT:
                self._of_word.clear()
            self._of_word[word] = ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of tokens, in lower case and with one space after every word; start and end are left out."""
        ids = [int(i) for i in ids]
        while ids and ids[-1] == self.pad:
            ids.pop()
        if ids and not 0 <= min(ids) <= max(ids) < len(self):
            raise InputError(f"ids run from {min(ids)} to {max(ids)}, but the tokens are 0 to {len(self) - 1}.")
        symbols = "".join(self.tokens[i] for i in ids if i not in (self.start, self.end))
        return symbols.replace(END_OF_WORD, " ").encode("latin-1").decode("utf-8", errors="replace").strip()

    def rows(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Return the tokens of several texts as one array: start, tokens, end, then `pad` until the row is full.

        Parameters
        ----------
        texts : sequence of str
            An empty text becomes a row of start and ends: the empty prompt, which asks for nothing.
        length : int
            Tokens in a row, at least 2. A text that is too long loses its last tokens, with a warning that says
            which; there is one warning for all texts.

        Returns
        -------
        int64 array, shape (len(texts), length)
        """
        check_count("length", length, least=2)
        _check_texts(texts)
        rows = np.full((len(texts), length), self.pad, np.int64)
        fit, too_long = length - 2, {}
        for row, text in zip(rows, texts, strict=True):
            tokens = self.encode(text)
            if len(tokens) > fit:
                too_long[text] = tokens
            tokens = [self.start, *tokens[:fit], self.end]
            row[: len(tokens)] = tokens
        if too_long:
            warnings.warn(self._on_dropped(texts, too_long, fit), stacklevel=2)
        return rows

    def _on_dropped(self, texts, too_long, fit):
        """Return one sentence on the texts that are too long, however many they are."""
        first = next(iter(too_long.values()))
        dropped = self.decode(first[fit:])
        if len(dropped) > MOST_SHOWN:
            dropped = f"{dropped[: MOST_SHOWN // 2]} ... {dropped[-MOST_SHOWN // 2 :]}"
        if len(too_long) == 1:
            return f"The text has {len(first)} tokens, but {fit} fit; dropped at its end: {dropped!r}."
        count, longest = sum(text in too_long for text in texts), max(map(len, too_long.values()))
        return (
            f"{count:,} of {len(texts):,} texts have more tokens (up to {longest:,}) than the {fit} that fit; dropped "
            f"at the end of the first: {dropped!r}."
        )

    def save(self, path: str | Path) -> None:
        """Write the merges, and the words where they are known, as JSON."""
        words = {} if self.words is None else {"words": sorted(self.words)}
        numbering = {} if self.numbering is None else {"numbering": asdict(self.numbering)}
        text = json.dumps({"merges": self.merges, **words, **numbering}, indent=0) + "\n"
        atomic_write(Path(path), lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """Read what `save` wrote."""
        try:
            table = json.loads(read_at_most(path, LARGEST_FILE).decode("utf-8"))
            merges, words = (table.get("merges"), table.get("words")) if isinstance(table, dict) else (None, None)
            if not isinstance(merges, list) or not all(map(_is_pair, merges)):
                raise ValueError("a list of merges, each of two texts, was expected")
            if words is not None and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
                raise ValueError("words is no list of texts")
            numbering = table.get("numbering")
            return cls(merges, words, None if numbering is None else Numbering.read(numbering))
        except RecursionError as error:
            raise DataError(f"{path} cannot be read as a tokenizer (its lists are nested too deeply).") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read as a tokenizer ({error}).") from error

    @classmethod
    def from_clip(cls, path: str | Path, merges: int = CLIP_MERGES) -> "Tokenizer":
        """Read CLIP's vocabulary, ``bpe_simple_vocab_16e6.txt.gz``: a line of comment, then one merge in each line.

        Only the first 48,894 merges are used. Token numbers are those of CLIP. (CLIP also repairs broken Unicode
        and HTML entities in its texts; that is not done here.)
        """
        letters_of = clip_letters()
        try:
            data = read_at_most(path, LARGEST_FILE)
            if not data.startswith(GZIP):
                raise ValueError("it does not begin as one")
            lines = gunzip(data, LARGEST_FILE).decode("utf-8").split("\n")[1:]
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is not a whole gzip file of text ({error}).") from error
        if len(lines) < merges or any(len(line.split(" ")) != 2 for line in lines[:merges]):
            raise DataError(f"{path} does not hold {merges:,} lines with two tokens each after its first line.")
        try:
            pairs = (line.split(" ") for line in lines[:merges])
            return cls([(from_clip_letters(one, letters_of), from_clip_letters(two, letters_of)) for one, two in pairs])
        except (KeyError, InputError) as error:
            raise DataError(f"{path} is no vocabulary of CLIP's form ({error}).") from error


def words_of(texts: Iterable[str]) -> set[str]:
    """Return the words of texts as the tokenizer reads them, in lower case; signs are no words."""
    _check_texts(texts)
    return {word for text in texts for word in split_words(text) if word[0].isalnum()}


def split_words(text: str) -> Iterator[str]:
    """Yield what merges may not cross: words, single digits, runs of other signs; 's, 't, 're ... are words too."""
    text = unicodedata.normalize("NFC", text).lower()
    i = 0
    while i < len(text):
        kind = _kind(text[i])
        contraction = CONTRACTION.match(text, i)
        end = contraction.end() if contraction else i + 1
        while not contraction and kind != "digit" and end < len(text) and _kind(text[end]) == kind:
            end += 1
        if kind != "space":
            yield text[i:end]
        i = end


def _kind(character):
    if character.isspace():
        return "space"
    return {"L": "letter", "N": "digit"}.get(unicodedata.category(character)[0], "sign")


def letters(word: str) -> list[str]:
    """Return a word as its bytes, each as one character, the last one marked as the end of the word."""
    # a lone surrogate, which has no bytes, becomes "?"; JSON and damaged command lines can hold some
    symbols = list(word.encode("utf-8", "replace").decode("latin-1"))
    symbols[-1] += END_OF_WORD
    return symbols


def merge(symbols: list[str], pair: Pair) -> list[str]:
    """Join every occurrence of a pair of neighbours, from left to right."""
    merged, i = [], 0
    while i < len(symbols):
        joined = tuple(symbols[i : i + 2]) == pair
        merged.append("".join(pair) if joined else symbols[i])
        i += 2 if joined else 1
    return merged


def _check_texts(texts):
    if isinstance(texts, str):  # its characters would be taken for texts
        raise InputError("texts is one text, but a list of texts was expected.")


def _is_pair(merge):
    return isinstance(merge, list) and len(merge) == 2 and all(isinstance(part, str) for part in merge)


def clip_letters() -> dict[str, str]:
    """Return character in CLIP's file -> byte; it writes unprintable bytes as the characters from 256 on."""
    written = {chr(byte): chr(byte) for byte in PRINTABLE}
    return written | {chr(256 + i): chr(byte) for i, byte in enumerate(OTHERS)}


def from_clip_letters(token: str, letters_of: dict[str, str]) -> str:
    """Return a token of CLIP's files with each byte as the character of the same number."""
    body = token.removesuffix(END_OF_WORD)
    return "".join(letters_of[character] for character in body) + token[len(body) :]
