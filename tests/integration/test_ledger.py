"""The ledger, one caller at a time: what it writes, what it refuses, and what it asks of the connection."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from rows import CALLEE, CALLER, TEN

from projector.domain.lifecycle import Delegation
from projector.errors import WriteConflict
from projector.ledger import rows
from projector.ledger.rows import AlreadyExists, Conflict, Connection, Effect, Inserted
from projector.postgres import delegations

LONG_CUT_ASUNDER = "x" + "é" * 3000
CUT = "x" + "é" * 2047


def read(conn: Connection, delegation_id: str = "d-1") -> Delegation:
    (row,) = delegations.read_delegations(conn, [delegation_id])
    return row


def inserted(conn: Connection, delegation_id: str = "d-1", **options: Any) -> rows.Inserted | AlreadyExists:
    return rows.insert(conn, delegation_id, CALLER, CALLEE, "count to three", **options)


def test_insert_makes_a_queued_row_with_the_table_s_own_defaults(conn: Connection) -> None:
    conn.execute(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) VALUES ('by hand', %s, %s, %s)",
        [CALLER, CALLEE, "count to three"],
    )
    assert inserted(conn) == Inserted("d-1")
    assert read(conn) == read(conn, "by hand")._replace(delegation_id="d-1")


def test_deadline_and_key_are_kept_as_given(conn: Connection) -> None:
    deadline = datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    inserted(conn, idempotency_key="k", deadline=deadline)
    assert (read(conn).deadline, read(conn).idempotency_key) == (deadline, "k")


def test_uuids_are_taken_as_texts_and_as_objects(conn: Connection) -> None:
    assert isinstance(rows.insert(conn, "d-1", UUID(CALLER), CALLEE.upper(), "task"), Inserted)
    assert read(conn)[1:3] == (CALLER, CALLEE)


def test_insert_tells_that_the_id_is_there(conn: Connection) -> None:
    inserted(conn)
    assert inserted(conn) == AlreadyExists("d-1", Conflict.SAME_ID)


def test_insert_tells_who_holds_the_key(conn: Connection) -> None:
    rows.insert(conn, "d-0", CALLEE, CALLER, "another caller's", idempotency_key="k")
    inserted(conn, idempotency_key="k")
    assert inserted(conn, "d-2", idempotency_key="k") == AlreadyExists("d-1", Conflict.SAME_KEY)


def test_same_id_is_named_before_the_same_key(conn: Connection) -> None:
    inserted(conn, "d-1", idempotency_key="k")
    inserted(conn, "d-2")
    assert inserted(conn, "d-2", idempotency_key="k") == AlreadyExists("d-2", Conflict.SAME_ID)


def test_another_caller_may_use_the_same_key(conn: Connection) -> None:
    inserted(conn, idempotency_key="k")
    assert rows.insert(conn, "d-2", CALLEE, CALLER, "task", idempotency_key="k") == Inserted("d-2")


def test_an_empty_key_is_none(conn: Connection) -> None:
    inserted(conn, "d-1", idempotency_key="")
    assert inserted(conn, "d-2", idempotency_key="") == Inserted("d-2")
    assert read(conn).idempotency_key is None


def test_insert_tries_again_where_the_row_in_the_way_has_vanished(conn: Connection) -> None:
    _let_inserts_come_to_nothing(conn, times=9)
    assert inserted(conn) == Inserted("d-1")


def test_insert_gives_up_where_rows_in_the_way_keep_vanishing(conn: Connection) -> None:
    _let_inserts_come_to_nothing(conn, times=10)
    with pytest.raises(WriteConflict, match="in the way of delegation d-1 is gone"):
        inserted(conn)


def _let_inserts_come_to_nothing(conn: Connection, *, times: int) -> None:
    """A row that is in the way and gone a moment later looks like this to the ledger: no insert, and nothing there."""
    conn.execute("CREATE TABLE attempts (n int)")
    conn.execute("INSERT INTO attempts VALUES (%s)", [times])
    conn.execute(
        """
        CREATE FUNCTION vanish() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE attempts SET n = n - 1;
            IF (SELECT n FROM attempts) >= 0 THEN RETURN NULL; END IF;
            RETURN NEW;
        END $$
        """
    )
    conn.execute("CREATE TRIGGER vanish BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION vanish()")


def test_texts_are_cleaned_and_cut_between_characters(conn: Connection) -> None:
    rows.insert(conn, "d\x00\ud800", CALLER, CALLEE, LONG_CUT_ASUNDER, idempotency_key="k\x00")
    rows.set_status(conn, "d\x00\ud800", "completed", result="\x00" + LONG_CUT_ASUNDER)
    row = read(conn, "d\ufffd\ufffd")
    assert (row.task_preview, row.idempotency_key) == (CUT, "k\ufffd")
    assert row.result_preview == "\ufffd" + "x" + "é" * 2046


def test_error_is_cleaned_and_cut(conn: Connection) -> None:
    inserted(conn)
    rows.set_status(conn, "d-1", "failed", error=LONG_CUT_ASUNDER)
    assert read(conn).error_detail == CUT


def test_all_empty_required_values_are_named_at_once(conn: Connection) -> None:
    with pytest.raises(ValueError, match=r"required, and empty: delegation_id, caller_id, callee_id, task$"):
        rows.insert(conn, "", None, "", "")  # type: ignore[arg-type]  # a careless caller


REFUSED_INSERTS: dict[str, dict[str, Any]] = {
    "required, and empty: task$": {"task": ""},
    "required, and empty: callee_id$": {"callee_id": None},
    "delegation_id has 513 bytes": {"delegation_id": "é" * 256 + "x"},
    "delegation_id must be a text: found 7": {"delegation_id": 7},
    "caller_id must be a uuid": {"caller_id": "nobody"},
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
def test_insert_refuses_and_names_the_argument(conn: Connection, sentence: str) -> None:
    good: dict[str, Any] = {"delegation_id": "d-1", "caller_id": CALLER, "callee_id": CALLEE, "task": "count"}
    with pytest.raises(ValueError, match=f"^{sentence}"):
        rows.insert(conn, **good | REFUSED_INSERTS[sentence])
    assert not delegations.read_delegations(conn, ["d-1"])


REFUSED_CALLS: dict[str, Callable[[Connection], object]] = {
    "required, and empty: delegation_id": lambda conn: rows.set_status(conn, "", "queued"),
    'status must be one of queued, .*: found "pending"': lambda conn: rows.set_status(conn, "d-1", "pending"),
    "result must be a text": lambda conn: rows.set_status(conn, "d-1", "completed", result=3),  # type: ignore[arg-type]
    "error must be a text": lambda conn: rows.set_status(conn, "d-1", "stuck", error=3),  # type: ignore[arg-type]
    "delegation_id has 513 bytes": lambda conn: rows.heartbeat(conn, "d" * 513),
}


@pytest.mark.parametrize("sentence", REFUSED_CALLS)
def test_status_and_heartbeat_refuse_and_name_the_argument(conn: Connection, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        REFUSED_CALLS[sentence](conn)


def test_an_id_and_a_key_of_512_bytes_are_taken(conn: Connection) -> None:
    assert inserted(conn, "é" * 256, idempotency_key="k" * 512) == Inserted("é" * 256)


def test_a_missing_row_is_told_and_stays_missing(conn: Connection) -> None:
    assert rows.set_status(conn, "d-1", "completed", result="early") is Effect.MISSING
    assert rows.heartbeat(conn, "d-1") is Effect.MISSING
    assert not delegations.read_delegations(conn, ["d-1"])


def test_updated_at_and_last_heartbeat_never_go_back(conn: Connection) -> None:
    inserted(conn)
    ahead = datetime.now(UTC) + timedelta(days=1)
    conn.execute("UPDATE delegations SET updated_at = %(at)s, last_heartbeat = %(at)s", {"at": ahead})
    assert rows.heartbeat(conn, "d-1") is Effect.HEARTBEAT
    assert rows.set_status(conn, "d-1", "completed") is Effect.ADVANCED
    assert rows.set_status(conn, "d-1", "completed", result="three") is Effect.FILLED
    assert (read(conn).updated_at, read(conn).last_heartbeat) == (ahead, ahead)


def test_a_no_op_leaves_the_row_s_version_alone(conn: Connection) -> None:
    inserted(conn)
    rows.set_status(conn, "d-1", "in_progress")
    before = delegations.read_delegations(conn, ["d-1"])
    conn.commit()
    assert rows.set_status(conn, "d-1", "in_progress") is Effect.DUPLICATE
    assert rows.set_status(conn, "d-1", "queued") is Effect.STALE
    assert delegations.read_delegations(conn, ["d-1"]) == before


def test_nothing_is_committed_but_by_the_caller(conn: Connection) -> None:
    inserted(conn)
    conn.commit()
    inserted(conn, "d-2")
    rows.set_status(conn, "d-1", "completed")
    rows.heartbeat(conn, "d-1")
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


def test_any_kind_of_connection_will_do(database_url: str) -> None:
    for kind, conn in _connections(database_url):
        with conn:
            assert inserted(conn, kind, idempotency_key=kind, deadline=TEN) == Inserted(kind)
            assert inserted(conn, "other", idempotency_key=kind) == AlreadyExists(kind, Conflict.SAME_KEY)
            assert rows.heartbeat(conn, kind) is Effect.HEARTBEAT
            assert rows.set_status(conn, kind, "completed", result="three") is Effect.ADVANCED
    with psycopg.connect(database_url) as conn:
        assert {read(conn, kind).deadline for kind in ("plain", "another time zone")} == {TEN}


def test_the_table_is_the_one_on_the_caller_s_search_path(conn: Connection) -> None:
    conn.execute("CREATE SCHEMA shadow")
    conn.execute("CREATE TABLE shadow.delegations (LIKE delegations INCLUDING ALL)")
    conn.execute("SET search_path TO shadow")
    inserted(conn)
    assert rows.set_status(conn, "d-1", "completed") is Effect.ADVANCED
    assert rows.heartbeat(conn, "d-1") is Effect.REFUSED
    conn.execute("SET search_path TO public")
    assert not delegations.read_delegations(conn, ["d-1"])


def test_the_database_s_errors_pass_as_they_are(conn: Connection) -> None:
    conn.execute("SET search_path TO pg_catalog")
    with pytest.raises(psycopg.errors.UndefinedTable):
        rows.heartbeat(conn, "d-1")
