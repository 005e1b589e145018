"""A copy of a deleted row is read as it was written, whatever the defaults of the two sessions are."""

from collections.abc import Iterator

import psycopg
import pytest
from foreign_defaults import neutral
from reconciling import Log, plant, request

COLUMNS = {
    "as_float": ("float8", "0.1234567890123456"),
    "as_real": ("real", "0.12345679"),
    "as_interval": ("interval", "-1 days -02:03:04.5"),
    "as_months": ("interval", "1 mon -3 days"),
    "as_range": ("tstzrange", '["2025-03-04 05:06:07+00","2025-05-06 07:08:09+00")'),
    "as_dates": ("daterange", "[2025-03-04,2025-05-06)"),
    "as_bytes": ("bytea", "\\x00ff5c"),
    "as_money": ("money", "12.34"),
    "as_time": ("timestamptz", "infinity"),
    "as_text": ("text", "数豆子 \\ 'naïve'"),
}
"""Columns that a platform can add to the table: name → type and value."""

ONE = {"extra_float_digits": "-15", "IntervalStyle": "sql_standard", "DateStyle": "SQL, DMY", "bytea_output": "escape"}
OTHER = {"IntervalStyle": "iso_8601", "DateStyle": "German, MDY", "client_encoding": "LATIN1", "TimeZone": "Asia/Tokyo"}


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """A view with a row that a rebuild deletes; it has a value in each column of the platform."""
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a")).project()
        plant(log, "planted", 60)
        for name, (kind, value) in COLUMNS.items():
            log.conn.execute(f"ALTER TABLE delegations ADD COLUMN {name} {kind}")
            log.conn.execute(
                f"UPDATE delegations SET {name} = %s::text::{kind} WHERE delegation_id = 'planted'", [value]
            )
        yield log


def stored(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(neutral(url), autocommit=True) as conn:
        conn.execute(
            "SET extra_float_digits = 1; SET DateStyle = ISO; SET IntervalStyle = postgres; SET TimeZone = UTC"
        )
        return conn.execute("SELECT d::text FROM delegations d WHERE delegation_id = 'planted'").fetchall()


def test_row_is_restored_under_other_defaults(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stored(log.url)
    assert len(before) == 1
    _set(monkeypatch, ONE)
    assert log.run("rebuild", "--yes").code == 0
    assert stored(log.url) == []
    _set(monkeypatch, OTHER)
    assert log.run("deleted", "restore", "planted").code == 0
    assert stored(log.url) == before


def _set(monkeypatch: pytest.MonkeyPatch, defaults: dict[str, str]) -> None:
    options = " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in defaults.items())
    monkeypatch.setenv("PGOPTIONS", options)
