"""The ledger with one writer: what it writes, what it refuses, and which connections it accepts."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from rows import CALLEE, CALLER, TEN

from projector import ledger
from projector.domain.lifecycle import Delegation
from projector.errors import WriteConflict
from projector.ledger import AlreadyExists, Conflict, Effect, Inserted
from projector.ledger.rows import Connection
from projector.postgres import delegations

TOO_LONG = "x" + "é" * 3000
CUT = "x" + "é" * 2047


def read(conn: Connection, delegation_id: str = "d-1") -> Delegation:
    (row,) = delegations.read_delegations(conn, [delegation_id])
    return row


def insert(conn: Connection, delegation_id: str = "d-1", **options: Any) -> Inserted | AlreadyExists:
    return ledger.insert(conn, delegation_id, CALLER, CALLEE, "count to three", **options)


def test_inserted_row_has_the_defaults_of_the_table(conn: Connection) -> None:
    conn.execute(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) VALUES ('by hand', %s, %s, %s)",
        [CALLER, CALLEE, "count to three"],
    )
    assert insert(conn) == Inserted("d-1")
    assert read(conn) == read(conn, "by hand")._replace(delegation_id="d-1")


def test_deadline_and_key_are_stored(conn: Connection) -> None:
    deadline = datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    insert(conn, idempotency_key="k", deadline=deadline)
    assert (read(conn).deadline, read(conn).idempotency_key) == (deadline, "k")


def test_uuids_can_be_texts_or_objects(conn: Connection) -> None:
    assert isinstance(ledger.insert(conn, "d-1", UUID(CALLER), CALLEE.upper(), "task"), Inserted)
    assert read(conn)[1:3] == (CALLER, CALLEE)


def test_insert_returns_the_row_with_the_same_id(conn: Connection) -> None:
    insert(conn)
    assert insert(conn) == AlreadyExists("d-1", Conflict.SAME_ID)


def test_insert_returns_the_row_with_the_same_key(conn: Connection) -> None:
    ledger.insert(conn, "d-0", CALLEE, CALLER, "another caller's", idempotency_key="k")
    insert(conn, idempotency_key="k")
    assert insert(conn, "d-2", idempotency_key="k") == AlreadyExists("d-1", Conflict.SAME_KEY)


def test_same_id_is_returned_before_the_same_key(conn: Connection) -> None:
    insert(conn, "d-1", idempotency_key="k")
    insert(conn, "d-2")
    assert insert(conn, "d-2", idempotency_key="k") == AlreadyExists("d-2", Conflict.SAME_ID)


def test_two_callers_can_use_the_same_key(conn: Connection) -> None:
    insert(conn, idempotency_key="k")
    assert ledger.insert(conn, "d-2", CALLEE, CALLER, "task", idempotency_key="k") == Inserted("d-2")


def test_empty_key_means_no_key(conn: Connection) -> None:
    insert(conn, "d-1", idempotency_key="")
    assert insert(conn, "d-2", idempotency_key="") == Inserted("d-2")
    assert read(conn).idempotency_key is None


def test_insert_retries_if_the_existing_row_was_deleted(conn: Connection) -> None:
    _skip_inserts(conn, times=9)
    assert insert(conn) == Inserted("d-1")


def test_insert_raises_after_ten_deleted_rows(conn: Connection) -> None:
    _skip_inserts(conn, times=10)
    with pytest.raises(WriteConflict, match="delegation d-1 was not inserted: in each of 10 tries"):
        insert(conn)


def _skip_inserts(conn: Connection, *, times: int) -> None:
    """Inserts insert nothing, as if a row with the same id was deleted a moment later."""
    conn.execute("CREATE TABLE attempts (n int)")
    conn.execute("INSERT INTO attempts VALUES (%s)", [times])
    conn.execute(
        """
        CREATE FUNCTION skip_insert() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE attempts SET n = n - 1;
            IF (SELECT n FROM attempts) >= 0 THEN RETURN NULL; END IF;
            RETURN NEW;
        END $$
        """
    )
    conn.execute("CREATE TRIGGER skip_insert BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION skip_insert()")


def test_texts_are_stored_in_valid_characters_and_cut(conn: Connection) -> None:
    ledger.insert(conn, "d-1", CALLER, CALLEE, TOO_LONG)
    ledger.set_status(conn, "d-1", "completed", result="\x00" + TOO_LONG)
    row = read(conn)
    assert row.task_preview == CUT
    assert row.result_preview == "\ufffd" + "x" + "é" * 2046


def test_error_is_cut(conn: Connection) -> None:
    insert(conn)
    ledger.set_status(conn, "d-1", "failed", error=TOO_LONG)
    assert read(conn).error_detail == CUT


def test_all_empty_required_arguments_are_named(conn: Connection) -> None:
    with pytest.raises(ValueError, match=r"required, but empty: delegation_id, caller_id, callee_id, task$"):
        ledger.insert(conn, "", None, "", "")  # type: ignore[arg-type]  # a wrong type, as untyped code can pass


REFUSED_INSERTS: dict[str, dict[str, Any]] = {
    "required, but empty: task$": {"task": ""},
    "required, but empty: callee_id$": {"callee_id": None},
    "delegation_id has 513 bytes": {"delegation_id": "é" * 256 + "x"},
    "delegation_id must be a text: found 7": {"delegation_id": 7},
    r"delegation_id must not contain U\+0000 or a lone surrogate": {"delegation_id": "d\x00"},
    r"idempotency_key must not contain U\+0000 or a lone surrogate": {"idempotency_key": "\ud800k"},
    "caller_id must be a uuid": {"caller_id": "no uuid"},
    "callee_id must be a uuid": {"callee_id": CALLEE + "0"},
    "task must be a text": {"task": ["count"]},
    "idempotency_key has 513 bytes": {"idempotency_key": "k" * 513},
    "deadline must be a datetime with an offset": {"deadline": datetime(2030, 1, 1)},  # noqa: DTZ001 - the point
    "deadline must be a datetime": {"deadline": "tomorrow"},
    "deadline must be within the years": {
        "deadline": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    },
}


@pytest.mark.parametrize("sentence", REFUSED_INSERTS)
def test_insert_names_the_bad_argument(conn: Connection, sentence: str) -> None:
    good: dict[str, Any] = {"delegation_id": "d-1", "caller_id": CALLER, "callee_id": CALLEE, "task": "count"}
    with pytest.raises(ValueError, match=f"^{sentence}"):
        ledger.insert(conn, **good | REFUSED_INSERTS[sentence])
    assert not delegations.read_delegations(conn, ["d-1"])


REFUSED_CALLS: dict[str, Callable[[Connection], object]] = {
    "required, but empty: delegation_id": lambda conn: ledger.set_status(conn, "", "queued"),
    'status must be one of queued, .*: found "pending"': lambda conn: ledger.set_status(conn, "d-1", "pending"),  # type: ignore[arg-type]
    "result must be a text": lambda conn: ledger.set_status(conn, "d-1", "completed", result=3),  # type: ignore[arg-type]
    "error must be a text": lambda conn: ledger.set_status(conn, "d-1", "stuck", error=3),  # type: ignore[arg-type]
    "delegation_id has 513 bytes": lambda conn: ledger.heartbeat(conn, "d" * 513),
}


@pytest.mark.parametrize("sentence", REFUSED_CALLS)
def test_status_and_heartbeat_name_the_bad_argument(conn: Connection, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        REFUSED_CALLS[sentence](conn)


def test_id_and_key_can_have_512_bytes(conn: Connection) -> None:
    assert insert(conn, "é" * 256, idempotency_key="k" * 512) == Inserted("é" * 256)


def test_missing_row_is_reported_and_not_created(conn: Connection) -> None:
    assert ledger.set_status(conn, "d-1", "completed", result="early") is Effect.MISSING
    assert ledger.heartbeat(conn, "d-1") is Effect.MISSING
    assert not delegations.read_delegations(conn, ["d-1"])


def test_updated_at_and_last_heartbeat_never_go_back(conn: Connection) -> None:
    insert(conn)
    ahead = datetime.now(UTC) + timedelta(days=1)
    conn.execute("UPDATE delegations SET updated_at = %(at)s, last_heartbeat = %(at)s", {"at": ahead})
    assert ledger.heartbeat(conn, "d-1") is Effect.HEARTBEAT
    assert ledger.set_status(conn, "d-1", "completed") is Effect.ADVANCED
    assert ledger.set_status(conn, "d-1", "completed", result="three") is Effect.FILLED
    assert (read(conn).updated_at, read(conn).last_heartbeat) == (ahead, ahead)


def test_call_without_effect_writes_nothing(conn: Connection) -> None:
    insert(conn)
    ledger.set_status(conn, "d-1", "in_progress")
    before = delegations.read_delegations(conn, ["d-1"])
    conn.commit()
    assert ledger.set_status(conn, "d-1", "in_progress") is Effect.DUPLICATE
    assert ledger.set_status(conn, "d-1", "queued") is Effect.STALE
    assert delegations.read_delegations(conn, ["d-1"]) == before


def test_ledger_never_commits(conn: Connection) -> None:
    insert(conn)
    conn.commit()
    insert(conn, "d-2")
    ledger.set_status(conn, "d-1", "completed")
    ledger.heartbeat(conn, "d-1")
    conn.rollback()
    assert not delegations.read_delegations(conn, ["d-2"])
    assert (read(conn).status, read(conn).last_heartbeat) == ("queued", None)


def _connections(url: str) -> Iterator[tuple[str, Connection]]:
    yield "plain", psycopg.connect(url)
    yield "autocommit", psycopg.connect(url, autocommit=True)
    yield "rows as dicts", psycopg.connect(url, row_factory=dict_row)
    yield "numbered placeholders", psycopg.connect(url, cursor_factory=psycopg.RawCursor)
    yield "merged on the client", psycopg.connect(url, cursor_factory=psycopg.ClientCursor)
    yield "another time zone", psycopg.connect(url, options="-c TimeZone=Pacific/Chatham")


def test_each_kind_of_connection_is_accepted(database_url: str) -> None:
    for kind, conn in _connections(database_url):
        with conn:
            assert insert(conn, kind, idempotency_key=kind, deadline=TEN) == Inserted(kind)
            assert insert(conn, "other", idempotency_key=kind) == AlreadyExists(kind, Conflict.SAME_KEY)
            assert ledger.heartbeat(conn, kind) is Effect.HEARTBEAT
            assert ledger.set_status(conn, kind, "completed", result="three") is Effect.ADVANCED
    with psycopg.connect(database_url) as conn:
        assert {read(conn, kind).deadline for kind in ("plain", "another time zone")} == {TEN}


def test_table_is_found_by_the_search_path(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA shadow")
    conn.execute("CREATE TABLE shadow.delegations (LIKE delegations INCLUDING ALL)")
    conn.execute("SET search_path TO shadow")
    insert(conn)
    assert ledger.set_status(conn, "d-1", "completed") is Effect.ADVANCED
    assert ledger.heartbeat(conn, "d-1") is Effect.REFUSED
    conn.execute("SET search_path TO public")
    assert not delegations.read_delegations(conn, ["d-1"])


def test_errors_of_the_database_are_unchanged(conn: Connection) -> None:
    conn.execute("SET search_path TO pg_catalog")
    with pytest.raises(psycopg.errors.UndefinedTable):
        ledger.heartbeat(conn, "d-1")
