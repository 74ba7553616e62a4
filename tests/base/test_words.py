"""Names and values of others in sentences: nothing that a terminal would obey, and not too long."""

import pytest

from tinydiff.base import counted, printable, shown, there_are


@pytest.mark.parametrize(("text", "expected"), [
    ("a person, é, Ж, 猫, 😀", "a person, é, Ж, 猫, 😀"),
    ("\x1b[2J", r"\x1b[2J"),
    ("a\nb\tc\r", r"a\nb\tc\r"),
    ("\u202egnp.exe", r"\u202egnp.exe"),  # turns the direction of writing
    ("\u200bx\ufeff", r"\u200bx\ufeff"),
    ("\u2028", r"\u2028"),
    ("\udcff", r"\udcff"),  # a byte of a file's name that is no text
    ("\x9b31m", r"\x9b31m"),
    ("👨‍👩‍👧", "👨‍👩‍👧"),
])  # fmt: skip
def test_what_a_terminal_obeys_is_escaped_and_letters_are_not(text, expected):
    assert printable(text) == expected


def test_a_report_keeps_its_lines():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_any_value_is_shown_in_a_few_words():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for value in (
        deep,
        10**5000,
        -(10**40),
        "x" * 10**6,
        list(range(10**5)),
        {"a": {"b": {"c": {"d": {}}}}},
        [10**5000],
    ):
        assert len(shown(value)) < 200
    assert shown(10**4999) == "a whole number of about 5,000 digits"
    assert (shown(5), shown(None), shown("a"), shown(2.5)) == ("5", "None", "'a'", "2.5")


@pytest.mark.parametrize(
    ("n", "expected"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (12345, "12,345 images")]
)
def test_a_count_has_its_singular(n, expected):
    assert counted(n, "image") == expected
    assert there_are(n, "image") == f"there {'is' if n == 1 else 'are'} {expected}"
    assert counted(n, "class", "classes").endswith("class" if n == 1 else "classes")
