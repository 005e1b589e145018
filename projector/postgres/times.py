"""How times are read: Postgres has times that Python does not have, and no row may stop a command."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import Connection, DataError
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""Stands for every time before it: years before 1, and -infinity."""
LATEST = datetime.max.replace(tzinfo=UTC)
"""Stands for every time after it: years after 9999, and infinity."""


class _TextLoader(Loader):
    """Reads `timestamptz` as text, by psycopg's loader. The session's DateStyle is ISO, and its time zone UTC."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        loader = psycopg.adapters.get_loader(oid, self.format)
        assert loader is not None  # noqa: S101 - psycopg has loaders for all types of times
        self._load = loader(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except DataError:
            return EARLIEST if self._is_early(bytes(data)) else LATEST

    def _is_early(self, value: bytes) -> bool:
        return value.startswith(b"-") or value.endswith(b"BC")


class _BinaryLoader(_TextLoader):
    """Reads `timestamptz` as microseconds since 2000, by psycopg's loader."""

    format = Format.BINARY

    def _is_early(self, value: bytes) -> bool:
        return bool(value[0] & 0x80)  # the sign


def register(conn: Connection[Any]) -> None:
    """Read the times of this connection by these rules."""
    conn.adapters.register_loader("timestamptz", _TextLoader)
    conn.adapters.register_loader("timestamptz", _BinaryLoader)
