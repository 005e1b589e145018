"""Numbers, sizes, lengths of time, ids and commands in sentences."""

import math
import re
import shlex

_SIZES = ("bytes", "kB", "MB", "GB", "TB")
_PLAIN_ID = re.compile(r"[\w.:/@#+=~-]+")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def escape(text: str, *, keep: str = "") -> str:
    """A text with escaped control characters, except `keep`: a record must not control the terminal."""
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def named(delegation_id: str) -> str:
    """An id in a sentence: in quotes if it has a space or another character that may not be seen."""
    return delegation_id if _PLAIN_ID.fullmatch(delegation_id) else f'"{delegation_id}"'


def command(*words: object) -> str:
    """A command of the projector in a sentence, as a shell takes it: an id may have blanks and quotes."""
    return f"`{shlex.join(('projector', *map(str, words)))}`"


def plural(number: int, noun: str, many: str | None = None) -> str:
    """The form of the noun for this number. `many` is the plural if it is not the noun with an s."""
    return noun if number == 1 else many or f"{noun}s"


def counted(number: int, noun: str, many: str | None = None) -> str:
    """The number and the noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {plural(number, noun, many)}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units: 3 d 4 h, 12 min 5 s, 0.4 s. Between infinite times it is unknown."""
    if not math.isfinite(seconds):
        return "unknown"
    for (unit, size), (smaller, part) in zip(_UNITS, (*_UNITS[1:], ("s", 1)), strict=True):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} {int(seconds % size // part)} {smaller}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def size(number: float) -> str:
    """A number of bytes in its largest decimal unit: 1.2 GB."""
    unit = 0
    while number >= 1000 and unit < len(_SIZES) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {_SIZES[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_SIZES[unit]}"
