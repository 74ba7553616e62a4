"""Names and values of others, as they may be shown: without control characters, and not too long."""

import reprlib
import unicodedata

SHOWN = 80  # characters of a value in a sentence
_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxtuple, _short.maxdict = 3, 6, 6, 4
_short.maxstring = _short.maxother = _short.maxlong = SHOWN


def printable(text: str, keep: str = "") -> str:
    r"""Return a text with escapes for what a terminal would obey, or that cannot be seen.

    These are control characters (a file's name may clear the screen, or begin a new line), marks that turn the
    direction of writing, other invisible signs, and halves of characters (surrogates), which stand for bytes of a
    file's name that are no text.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are, such as "\n" in a report.

    Examples
    --------
    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep or not _is_hidden(c) else _escaped(c) for c in text)


def shown(value: object) -> str:
    """Return a value of any kind as a sentence shows it: its repr, cut, also where it is endless or deeply nested."""
    if isinstance(value, int) and abs(value) >= 10**30:  # Python refuses to write one of more than 4,300 digits
        return f"a whole number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    try:
        return _short.repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"


def counted(n: int, noun: str, nouns: str | None = None) -> str:
    """Return a number with its noun: 1 image, 2 images; `nouns` is the plural where it is not the noun with an s.

    Examples
    --------
    >>> counted(1, "image"), counted(1200, "image"), counted(0, "class", "classes")
    ('1 image', '1,200 images', '0 classes')
    """
    return f"{n:,} {noun if n == 1 else nouns or f'{noun}s'}"


def there_are(n: int, noun: str, nouns: str | None = None) -> str:
    """Return a part of a sentence: there is 1 image, there are 2 images."""
    return f"there {'is' if n == 1 else 'are'} {counted(n, noun, nouns)}"


def _is_hidden(character):
    """Whether a character is a control (Cc), invisible (Cf), half of one (Cs), or a separator of lines (Zl, Zp)."""
    if character in "\u200c\u200d":  # joiners: they shape Persian words and families of emoji, and nothing else
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escaped(character):
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
