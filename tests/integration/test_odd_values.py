"""Values that psycopg cannot send or read, and rows that no event can make: each has a reaction, and no traceback."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from foreign_defaults import case
from projecting import connected, query
from reconciling import Log, request
from rows import answer

from projector.domain.fold import Changes, DeadLetter
from projector.errors import Unwritable
from projector.postgres.connection import Connection
from projector.postgres.write_batch import write
from projector.recordings.file import RecordedRecord, write_recording

NOT_UTF8 = "x\udcffy"
RECORD = RecordedRecord("activity-log", 0, 0, None, None, b"{}")


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


@pytest.mark.parametrize(
    "letter",
    [
        DeadLetter(RECORD._replace(topic=NOT_UTF8), "reason", None),
        DeadLetter(RECORD._replace(topic="a\0b"), "reason", None),
        DeadLetter(RECORD._replace(offset=2**63), "reason", None),
        DeadLetter(RECORD, NOT_UTF8, None),
    ],
)
def test_value_that_psycopg_cannot_send_is_unwritable(conn: Connection, letter: DeadLetter) -> None:
    with pytest.raises(Unwritable, match=r"(psycopg cannot send|Postgres refused) it: "):
        write(conn, Changes(), {}, dead_letters=[letter])()
    assert query(conn, "SELECT 1") == [1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["deleted", "restore", NOT_UTF8], "must be a text in UTF-8"),
        (["deleted", "discard", NOT_UTF8, "--yes"], "must be a text in UTF-8"),
        (
            ["parked", "list", "--database-url", f"postgresql://127.0.0.1/{NOT_UTF8}"],
            "PROJECTOR_DATABASE_URL is not UTF-8: write such a character as %XX",
        ),
    ],
)
def test_argument_that_is_not_utf8_is_refused(database_url: str, arguments: list[str], sentence: str) -> None:
    done = run_projector(*arguments, database_url=database_url)
    assert (done.code, done.out, sentence in done.err, "Traceback" in done.err) == (2, "", True, False)


def test_name_of_a_recording_need_not_be_utf8(database_url: str, kafka: str, topic: str, tmp_path: Path) -> None:
    file = tmp_path / f"{NOT_UTF8}.jsonl"
    write_recording(file, case("client-encoding"))
    settings = {"database_url": database_url, "bootstrap_servers": kafka, "topic": topic}
    assert run_projector("replay", str(file), **settings).code == 5
    done = run_projector("verify", "--from", str(file), **settings)
    assert (done.code, r"x\udcffy.jsonl" in done.out) == (0, True)
    assert run_projector("rebuild", "--from", str(file), "--yes", **settings).code == 0


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log.produce(request(0, "a"), request(0, "b")).project()


def test_row_with_an_unknown_status_stops_no_other_record(log: Log) -> None:
    log.conn.execute("ALTER TABLE delegations DROP CONSTRAINT delegations_status_check")
    log.conn.execute("UPDATE delegations SET status = 'paused' WHERE delegation_id = 'a'")
    log.produce(answer(1, "completed", of="b"), answer(1, "completed", of="a")).project()
    assert query(log.conn, "SELECT delegation_id, status FROM delegations ORDER BY 1") == [
        ("a", "paused"),
        ("b", "completed"),
    ]
    [reason] = query(log.conn, "SELECT reason FROM dead_letters")
    assert reason.startswith("delegation a has the status paused, which no event can give it: correct the row")
    for command in ("status", "verify", "explain a"):
        done = log.run(*command.split())
        assert "Traceback" not in done.err
        assert done.code == (0 if command == "status" else 1)
        assert command == "status" or "delegation a has the status paused" in done.err


def test_text_that_is_not_utf8_is_named(log: Log) -> None:
    log.conn.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    log.conn.execute(r"UPDATE delegations SET result_preview = '\xff'::bytea::text WHERE delegation_id = 'a'")
    for command in ("verify", "explain a"):
        done = log.run(*command.split())
        assert (done.code, "Traceback" in done.err) == (1, False)
        assert "a text in the database is not UTF-8" in done.err


def test_lost_right_of_a_command_is_named(log: Log) -> None:
    with psycopg.connect(log.url) as conn:
        conn.execute("ALTER TABLE projector.deleted RENAME TO moved")
    for command in ("deleted list", "deleted restore --all", "deleted discard --all --yes"):
        done = log.run(*command.split())
        assert (done.code, "Traceback" in done.err) == (2, False), done
