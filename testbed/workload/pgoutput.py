"""Reads the messages of Postgres' logical decoding plugin `pgoutput` (protocol version 1) as changes of rows."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from testbed.workload.feeds import UNAVAILABLE_VALUE

POSTGRES_EPOCH_MS = 946_684_800_000  # 2000-01-01

Columns = dict[str, Any]


class RowChange(NamedTuple):
    """A changed row, all its columns as texts; `row` of a delete has only the columns of the replica identity."""

    op: str
    table: str
    row: Columns


class Transaction(NamedTuple):
    """A committed transaction; `end_lsn` is the place after it in the write-ahead log, `at` its commit in ms."""

    end_lsn: int
    at: int
    changes: list[RowChange]


class _Relation(NamedTuple):
    name: str
    columns: list[str]


class _Message:
    """Takes the fields of a message one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 1

    def take(self, layout: str) -> Any:
        """Take one number or byte, as `struct` names it."""
        (value,) = struct.unpack_from(f">{layout}", self._content, self._at)
        self._at += struct.calcsize(f">{layout}")
        return value

    def text(self) -> str:
        end = self._content.index(0, self._at)
        found, self._at = self._content[self._at : end], end + 1
        return found.decode()

    def raw(self, length: int) -> bytes:
        self._at += length
        return self._content[self._at - length : self._at]


def transactions(messages: Iterable[bytes]) -> Iterator[Transaction]:
    """Yield the transactions of one reading of a slot, in the order of their commits."""
    relations: dict[int, _Relation] = {}
    changes: list[RowChange] = []
    for content in messages:
        message = _Message(content)
        match content[:1]:
            case b"B":
                changes = []
            case b"R":
                number, relation = _relation(message)
                relations[number] = relation
            case b"I" | b"U" | b"D":
                changes.append(_change(content[:1], message, relations))
            case b"C":
                message.take("b")
                message.take("q")
                yield Transaction(message.take("q"), POSTGRES_EPOCH_MS + message.take("q") // 1000, changes)


def _relation(message: _Message) -> tuple[int, _Relation]:
    number = message.take("I")
    message.text()  # the schema
    name = message.text()
    message.take("b")  # the replica identity
    columns = []
    for _ in range(message.take("H")):
        message.take("b")
        columns.append(message.text())
        message.take("I")
        message.take("i")
    return number, _Relation(name, columns)


def _change(kind: bytes, message: _Message, relations: dict[int, _Relation]) -> RowChange:
    relation = relations[message.take("I")]
    part, before = message.take("c"), None
    if part in (b"K", b"O"):
        before = _row(message, relation)
        if kind == b"D":
            return RowChange("d", relation.name, before)
        message.take("c")
    row = _row(message, relation)
    if part == b"O":  # the full replica identity: a value that did not change is in the row before
        assert before is not None
        row = {name: before[name] if value == UNAVAILABLE_VALUE else value for name, value in row.items()}
    return RowChange("u" if kind == b"U" else "c", relation.name, row)


def _row(message: _Message, relation: _Relation) -> Columns:
    count = message.take("H")
    assert count == len(relation.columns)
    return {name: _value(message) for name in relation.columns}


def _value(message: _Message) -> str | None:
    match message.take("c"):
        case b"n":
            return None
        case b"u":  # stored out of line and not changed: the plugin leaves it out
            return UNAVAILABLE_VALUE
        case _:
            return message.raw(message.take("I")).decode()
