"""The templates: every value is escaped, and no text of an agent can disturb the page."""

import hashlib
import mimetypes
import shlex
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from projector.texts import counted, duration

_BIDI = {chr(code) for code in (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_LINE = 200
_SHORT = 13
_TAIL = 4


class StaticFile(NamedTuple):
    """A file that browsers keep: its name changes with its content."""

    content: bytes
    media_type: str


def static_files() -> tuple[dict[str, str], dict[str, StaticFile]]:
    """Plain name → name with a hash, and that name → file."""
    names, contents = {}, {}
    for source in files("projector.web").joinpath("static").iterdir():
        if source.name.endswith((".css", ".js", ".svg")):
            content = source.read_bytes()
            stem, _, suffix = source.name.rpartition(".")
            names[source.name] = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"
            media_type = mimetypes.types_map.get(f".{suffix}", "application/octet-stream")
            contents[names[source.name]] = StaticFile(content, media_type)
    return names, contents


def environment(static: Mapping[str, str]) -> Environment:
    """The environment of all templates. A name that a template misspells is an error."""
    env = Environment(
        loader=PackageLoader("projector.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        ago=ago,
        span=duration,
        when=when,
        iso=iso,
        moment=moment,
        sentence=sentence,
        visible=visible,
        line=line,
        ends=ends,
        anchor=anchor,
        counted=counted,
        shell=shlex.quote,
    )
    env.globals["static"] = lambda name: f"/static/{static[name]}"
    return env


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago: `12 min 5 s`. A time that is still to come: `in 3 h 0 min`."""
    if at is None:
        return "never"
    seconds = (now - at).total_seconds()
    return f"in {duration(-seconds)}" if seconds < 0 else duration(seconds)


def when(at: datetime) -> str:
    """An instant in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(at: datetime) -> str:
    """An instant for the attribute `datetime`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def moment(value: Any) -> str:
    """A value of a column that may be an instant, and may be a text such as infinity."""
    return f"{when(value)} UTC" if isinstance(value, datetime) else line(str(value))


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def visible(text: str) -> str:
    """The text with visible signs for characters that a person cannot see, and that could mislead."""
    if text.isprintable():  # most texts are, and a page has tens of thousands of characters
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char in "\n\t":
        return char
    if ord(char) < 0x20:
        return chr(0x2400 + ord(char))
    if char in _BIDI or unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") or char in "\u2028\u2029\ufeff":
        return f"⟨U+{ord(char):04X}⟩"
    return char


def line(text: str | None) -> str:
    """The start of a text, on one line."""
    if not text:
        return ""
    flat = " ".join(visible(text).replace("\n", " ⏎ ").split())
    return flat if len(flat) <= _LINE else f"{flat[:_LINE]}…"


def ends(identifier: Any) -> tuple[str, str]:
    """An id in two parts. A column cuts a long first part and shows the second, and copying both gives the whole id."""
    text = visible(str(identifier))
    return (text, "") if len(text) <= _SHORT else (text[:-_TAIL], text[-_TAIL:])


def anchor(text: str) -> str:
    """The same short name for the same text, for the attribute `id`."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
