"""Pseudonyms: other characters for a text, always the same under one key, of as many bytes in UTF-8 and in JSON."""

import hashlib
import re
from collections.abc import Callable

_LETTERS = b"bfghjknpqvwxz"
"""No word, number, time, uuid or JSON that any rule knows can be spelled with them."""
_BY_BYTE = bytes(_LETTERS[byte % len(_LETTERS)] for byte in range(256))
# Quotes, backslashes, slashes and control characters stay: JSON may write them with more bytes than others.
_NARROW = re.compile(r"[ !#-.0-\[\]-~]+")
_WIDE = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
_ASCII = "".join(chr(code) for code in range(32, 127) if chr(code) not in '"\\/')
_ROUNDS = 8


class Pseudonyms:
    """The pseudonyms under one key; whoever lacks it cannot find out a text by trying likely ones."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.sha256(key).digest()

    def of_text(self, text: str) -> str:
        """Letters that mean nothing. What a rule could have read, it can no longer; two short texts may become one."""
        stream = self._stream(text, len(text))
        letters = stream.translate(_BY_BYTE).decode("ascii")
        text = _NARROW.sub(lambda run: letters[run.start() : run.end()], text)
        text = _WIDE.sub(lambda char: _wide(char[0], stream[char.start()]), text)
        return text.replace('"', "\\")  # without quotes it is never JSON, whatever it was

    def of_name(self, name: str, taken: Callable[[str], bool]) -> str:
        """A permutation: names that differ still do, however short; never one that is `taken`, as `name` is not."""
        name = self._permuted(name)
        while taken(name):
            name = self._permuted(name)
        return name

    def filler(self, content: bytes) -> bytes:
        """As many bytes that no more are JSON, or UTF-8, than these are."""
        letters = self._stream(content.hex(), len(content)).translate(_BY_BYTE)
        return letters if _is_utf8(content) else b"\xff" + letters[1:]

    def _permuted(self, name: str) -> str:
        """A Feistel network over the characters, each of which stays within those of its own size."""
        chars = list(name)
        places = [place for place, char in enumerate(chars) if _alphabet(char)]
        sizes = [_size(chars[place]) for place in places]
        digits = [_digit(chars[place]) for place in places]
        half = len(digits) // 2
        for turn in range(_ROUNDS):
            moved, other = (slice(half), slice(half, None)) if turn % 2 else (slice(half, None), slice(half))
            stream = self._stream(f"{turn} {len(digits)} {digits[other]}", 8 * len(digits[moved]))
            steps = [int.from_bytes(stream[at : at + 8]) for at in range(0, len(stream), 8)]
            turned = zip(digits[moved], steps, sizes[moved], strict=True)
            digits[moved] = [(digit + step) % size for digit, step, size in turned]
        for place, digit in zip(places, digits, strict=True):
            chars[place] = _char(chars[place], digit)
        return "".join(chars)

    def _stream(self, text: str, size: int) -> bytes:
        return hashlib.shake_256(self._key + text.encode(errors="surrogatepass")).digest(size)


def _wide(char: str, byte: int) -> str:
    """A letter of as many bytes."""
    if char <= "\u07ff":
        return chr(0x430 + byte % 32)
    return chr((0x4E00 if char <= "\uffff" else 0x20000) + byte)


_RANGES = ((0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFC), (0x10000, 0x10FFFF))
"""Characters of two, three and four bytes, without surrogates and U+FFFD, which the projector puts for them."""


def _alphabet(char: str) -> tuple[int, int] | None:
    """The range of code points that a character is permuted in; for ASCII, of places in `_ASCII`."""
    if char < "\x80":
        return (0, len(_ASCII) - 1) if char in _ASCII else None
    return next((each for each in _RANGES if each[0] <= ord(char) <= each[1]), None)


def _size(char: str) -> int:
    first, last = _alphabet(char) or (0, 0)
    return last - first + 1


def _digit(char: str) -> int:
    return _ASCII.index(char) if char < "\x80" else ord(char) - (_alphabet(char) or (0, 0))[0]


def _char(like: str, digit: int) -> str:
    return _ASCII[digit] if like < "\x80" else chr((_alphabet(like) or (0, 0))[0] + digit)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
