"""Ids that are like one that was typed, as Postgres finds them."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from builders import record
from projecting import connected
from rows import answer, delegate

from projector.explain.similar import Similar, find_similar
from projector.postgres import similar_ids
from projector.postgres.connection import Connection
from projector.projection.transaction import project

UUID = "58929984-4883-4141-9dd9-dcece9e29b1c"
IDS = (UUID, "op-good", "op-space ", "run-10", "run-11", "Ärger")


def projected(conn: Connection, *values: object) -> None:
    project(conn, [record(value, offset) for offset, value in enumerate(values)])


@pytest.fixture
def ids(database_url: str) -> Iterator[Connection]:
    """Rows with these ids, a parked event of `late-1`, and a dead letter that names `dead-1`."""
    with connected(database_url) as conn:
        projected(conn, *(delegate(0, request_body={"delegation_id": each, "task": "t"}) for each in IDS))
        projected(conn, answer(1, "completed", of="late-1"))
        dead = {"activity_type": "delegation", "method": "none", "request_body": '{"delegation_id": "dead-1"}'}
        projected(conn, dead)
        yield conn


def test_unique_start_is_the_id_that_was_meant(ids: Connection) -> None:
    meant = {
        UUID[:8]: UUID,
        UUID.upper(): UUID,
        f"  {UUID}": UUID,
        "OP-G": "op-good",
        "op-space": "op-space ",
        "late": "late-1",
        "DEAD": "dead-1",
        "ärg": "Ärger",
    }
    assert {typed: find_similar(ids, typed) for typed in meant} == {
        typed: Similar(found, [found]) for typed, found in meant.items()
    }
    projected(ids, delegate(0, request_body={"delegation_id": "run-1", "task": "t"}))
    assert find_similar(ids, "RUN-1") == Similar("run-1", ["run-1", "run-10", "run-11"])


def test_several_or_similar_ids_are_only_named(ids: Connection) -> None:
    similar = {
        "run-1": ["run-10", "run-11"],
        "op-god": ["op-good"],
        UUID.replace("9dd9", "9ddd"): [UUID],
        "late-2": ["late-1"],
        "late-1": [],
        "op": [],
        "nothing-like-it": [],
        "%": [],
    }
    assert {typed: find_similar(ids, typed) for typed in similar} == {
        typed: Similar(None, found) for typed, found in similar.items()
    }


def test_search_that_takes_too_long_ends(ids: Connection) -> None:
    ids.execute("ALTER TABLE delegations RENAME TO others")
    ids.execute("CREATE VIEW delegations AS SELECT delegation_id FROM others WHERE pg_sleep(0.2) IS NOT NULL")
    assert similar_ids.beginning(ids, "op", limit=5, timeout=timedelta(milliseconds=100)) is None
