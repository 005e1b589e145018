"""Times that Postgres has and Python does not have: they are read as the nearest time, and a row keeps its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from activity_table import create_activity_table
from psycopg import sql
from reconciling import Log, change, plant, request
from rows import CALLER, answer, at, heartbeat

from projector.postgres.connection import Connection, connect
from projector.postgres.times import EARLIEST, LATEST
from projector.settings import PostgresSettings

READ_AS = {
    "infinity": LATEST,
    "294276-12-31 23:59:59+00": LATEST,
    "201011-05-06 10:00:00+00": LATEST,
    "10000-01-01 00:00:00+00": LATEST,
    "9999-12-31 23:59:59.999999+00": LATEST,
    "2026-05-05 10:00:00+00": datetime(2026, 5, 5, 10, tzinfo=UTC),
    "2026-05-05 10:00:00.5+00": datetime(2026, 5, 5, 10, 0, 0, 500_000, tzinfo=UTC),
    "1999-12-31 23:59:59.999999+00": datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "0001-01-01 00:00:00+00": EARLIEST,
    "0001-12-31 23:59:59.999999+00 BC": EARLIEST,
    "4713-01-01 00:00:00+00 BC": EARLIEST,
    "-infinity": EARLIEST,
}
LATE, EARLY = ("infinity", "12345-06-07 08:09:10+00"), ("-infinity", "0044-03-15 12:00:00+00 BC")
ODD = {"late-1": LATE[0], "late-2": LATE[1], "early-1": EARLY[0], "early-2": EARLY[1]}
"""Delegation → the time in each of its columns."""
COLUMNS = ("last_heartbeat", "deadline", "created_at", "updated_at")


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    with connect(PostgresSettings(database_url=database_url)) as conn:
        yield conn


@pytest.mark.parametrize("text", READ_AS)
def test_every_time_is_read(conn: Connection, text: str) -> None:
    for binary in (False, True):
        assert conn.execute("SELECT %s::timestamptz", [text], binary=binary).fetchone() == (READ_AS[text],)


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """Requests that are projected, in an adopted table whose rows have odd times in every column."""
    with Log(database_url, kafka, topic) as log:
        log.produce(*(request(0, of) for of in ODD), request(0, "plain")).project()
        for of, value in ODD.items():
            set_times(log, of, value)
        yield log


def set_times(log: Log, of: str, value: str) -> None:
    columns = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), value) for name in COLUMNS)
    log.conn.execute(sql.SQL("UPDATE delegations SET {} WHERE delegation_id = {}").format(columns, of))


def stored(log: Log, column: str) -> dict[str, str]:
    """Delegation → the time in a column, as Postgres prints it."""
    query = sql.SQL("SELECT delegation_id, {}::text FROM delegations WHERE delegation_id <> 'plain'")
    return dict(log.conn.execute(query.format(sql.Identifier(column))).fetchall())


def test_row_keeps_its_time_if_an_event_does_not_change_it(log: Log) -> None:
    log.produce(*(answer(1, "in_progress", of=of) for of in ODD)).project()
    for column in ("last_heartbeat", "deadline", "created_at"):
        assert stored(log, column) == ODD
    assert stored(log, "updated_at") == ODD | dict.fromkeys(("early-1", "early-2"), "2025-05-05 10:01:00+00")


def test_later_time_of_row_and_event_is_written(log: Log) -> None:
    log.produce(
        *(heartbeat(1, of=of) for of in ODD), *(answer(2, "completed", of=of, text="x") for of in ODD)
    ).project()
    assert stored(log, "last_heartbeat") == ODD | dict.fromkeys(("early-1", "early-2"), "2025-05-05 10:01:00+00")
    assert stored(log, "updated_at") == ODD | dict.fromkeys(("early-1", "early-2"), "2025-05-05 10:02:00+00")


def test_heartbeat_of_the_first_year_is_written(log: Log) -> None:
    log.produce(heartbeat(0, of="plain") | {"created_at": "0001-01-01T00:00:00Z"}, minute=1).project()
    assert log.rows()["plain"].last_heartbeat == EARLIEST


def run(log: Log, *arguments: str, code: int = 0, **settings: str) -> Any:
    done = log.run(*arguments, **settings)
    assert (done.code, "Traceback" in done.err) == (code, False), done
    return done.json() if "--json" in arguments else done


def test_commands_read_rows_with_any_time(log: Log) -> None:
    run(log, "status")
    for of in ODD:
        found = run(log, "explain", of, "--json", code=3)
        assert (found["verdict"], set(found["differences"])) == ("differs", set(COLUMNS))
        run(log, "explain", of, code=3)
        assert found["stored"]["updated_at"][:4] == ("9999" if of.startswith("late") else "0001")
    assert run(log, "verify", "--json", code=3)["columns"] == dict.fromkeys(COLUMNS, 4)
    run(log, "verify", code=3)
    assert run(log, "rebuild", "--json")["written"]["updated"] == 4
    assert run(log, "verify", "--json")["drift"] == 0


def test_deleted_row_keeps_its_times(log: Log) -> None:
    log.rebuild()
    for of, value in ODD.items():
        plant(log, f"planted {of}", 60)
        set_times(log, f"planted {of}", value)
    before = {column: stored(log, column) for column in COLUMNS}
    done = run(log, "rebuild", "--yes", "--drop-uncovered", "--json", rebuild_grace_seconds="0")
    assert done["written"]["deleted"] == 4
    run(log, "deleted", "list")
    run(log, "deleted", "restore", "--all")
    assert {column: stored(log, column) for column in COLUMNS} == before


def test_rows_of_a_shortened_log_are_carried_over(log: Log) -> None:
    log.produce(request(30, "first"), request(40, "second")).project().shorten({0: 5})
    report = log.reconcile().report
    assert (report.drift, report.not_covered) == (0, 6)
    assert log.rebuild() is None
    assert stored(log, "updated_at").items() >= ODD.items()


def test_own_times_of_the_projector_can_have_any_value(log: Log) -> None:
    log.produce(answer(1, "completed", of="unknown"), b"{nonsense").project()
    for one, other in (LATE, EARLY):
        log.conn.execute("UPDATE parked SET at = %s", [one])
        log.conn.execute("UPDATE dead_letters SET record_at = %s, died_at = %s", [one, other])
        log.conn.execute("UPDATE positions SET claimed_at = %s, moved_at = %s, record_at = %s", [one, other, one])
        for command in ("status", "parked list", "dead-letters list", "dead-letters show 0 6", "explain unknown"):
            run(log, *command.split())
            run(log, *command.split(), "--json")
    change(log, "UPDATE parked SET at = '2025-05-05 10:01:00Z'")


def test_activity_rows_can_have_any_time(log: Log, database_url: str) -> None:
    create_activity_table(database_url)
    with psycopg.connect(database_url) as conn:
        for of, value in (ODD | {"plain": at(0)}).items():
            conn.execute(
                """
                INSERT INTO activity_logs (id, workspace_id, activity_type, method, status, target_id, request_body,
                                           created_at)
                VALUES (gen_random_uuid(), %s, 'delegation', 'delegate', 'pending', gen_random_uuid(),
                        jsonb_build_object('delegation_id', %s::text, 'task', 'do it'), %s)
                """,
                [CALLER, of, value],
            )
    found = run(log, "verify", "--from", "activity-logs", "--json", code=3)
    assert (found["records"], found["unreadable"]) == (5, 4)
    run(log, "rebuild", "--from", "activity-logs", "--yes")


def test_recording_of_the_first_year_is_rebuilt(log: Log, tmp_path: Any) -> None:
    file = tmp_path / "first.jsonl"
    file.write_text(
        '{"id": "00000000-0000-4000-8000-00000000000a", "activity_type": "delegation", "method": "delegate", '
        f'"status": "pending", "workspace_id": "{CALLER}", "target_id": "{CALLER}", '
        '"request_body": {"delegation_id": "first", "task": "t"}, "created_at": "0001-01-01T00:00:00Z"}\n'
    )
    assert run(log, "rebuild", "--from", str(file), "--yes", "--json")["written"]["inserted"] == 1
    assert log.rows()["first"].created_at == EARLIEST
