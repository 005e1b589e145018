"""Whole commands under many foreign defaults at once: the same table, the same output, the same exit codes."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from foreign_defaults import UNUSED, case, neutral
from kafka import KafkaProducer
from projecting import connected, expected_rows, view_rows
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from projector.recordings.file import RecordedRecord, write_recording

DEFAULTS = {
    "database": {
        "client_encoding": "SQL_ASCII",
        "DateStyle": "SQL, DMY",
        "default_transaction_isolation": "repeatable read",
        "IntervalStyle": "sql_standard",
    },
    "environment": {
        "client_encoding": "LATIN1",
        "DateStyle": "German, DMY",
        "default_transaction_isolation": "serializable",
        "IntervalStyle": "iso_8601",
    },
}
"""Source → the defaults in which the two tests differ."""
BOTH = {
    "array_nulls": "off",
    "exit_on_error": "on",
    "extra_float_digits": "-15",
    "idle_session_timeout": "30s",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
    "TimeZone": "Pacific/Chatham",
    "transaction_timeout": "30s",
    "xmloption": "document",
    **dict(UNUSED),
}
del BOTH["search_path"]


class Platform:
    """A topic with one partition's records, a database with foreign defaults, and one member after the other."""

    def __init__(self, url: str, cluster: Cluster) -> None:
        self.url, self.cluster = url, cluster
        self.records: list[RecordedRecord] = []

    def publish(self, *records: RecordedRecord) -> None:
        """Publish these records, and wait until a member has projected them; it ends then."""
        producer = KafkaProducer(bootstrap_servers=self.cluster.bootstrap_servers)
        for record in records:
            sent = producer.send(
                self.cluster.topic, record.value, record.key, partition=0, timestamp_ms=record.timestamp
            )
            self.records.append(record._replace(topic=self.cluster.topic, offset=sent.get(10).offset))
        producer.close()
        member = self.cluster.start_member(database_url=self.url)
        wait_until(lambda: self._position() == len(self.records), "the records are projected")
        assert member.signal(signal.SIGTERM).exit_code() == 0

    def _position(self) -> int | None:
        with psycopg.connect(neutral(self.url)) as conn:
            rows = conn.execute("SELECT next_offset FROM projector.positions WHERE partition = 0").fetchall()
        return rows[0][0] if rows else None

    def run(self, *arguments: str, code: int = 0) -> CommandResult:
        kafka = {"bootstrap_servers": self.cluster.bootstrap_servers, "topic": self.cluster.topic}
        done = run_projector(*arguments, database_url=self.url, **kafka)
        assert (done.code, "Traceback" in done.err) == (code, False), done
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).out)

    def change(self, statement: bytes) -> None:
        with psycopg.connect(neutral(self.url)) as conn:
            assert conn.execute(statement).rowcount > 0

    def assert_view_is_right(self) -> None:
        with connected(self.url) as conn:
            assert view_rows(conn) == expected_rows(self.records)


@pytest.fixture(params=DEFAULTS)
def platform(
    request: pytest.FixtureRequest,
    empty_url: str,
    kafka: str,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    defaults = DEFAULTS[request.param] | BOTH
    with ExitStack() as stack:
        if request.param == "database":
            server = stack.enter_context(psycopg.connect(empty_url, autocommit=True))
            for name, value in defaults.items():
                parts = [sql.SQL(".").join(map(sql.Identifier, name.split("."))), sql.Literal(value)]
                database = sql.Identifier(str(conninfo_to_dict(empty_url)["dbname"]))
                server.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(database, *parts))
        else:
            options = [f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in defaults.items()]
            monkeypatch.setenv("PGOPTIONS", " ".join(options))
            monkeypatch.setenv("PGCLIENTENCODING", defaults["client_encoding"])
        cluster = Cluster(neutral(empty_url), kafka, topic, tmp_path)
        stack.callback(cluster.end)
        yield Platform(empty_url, cluster)


def other_ids(records: list[RecordedRecord]) -> list[RecordedRecord]:
    return [
        each._replace(value=(each.value or b"").replace(b'"d-', b'"e-').replace(b'\\"d-', b'\\"e-')) for each in records
    ]


def test_whole_commands_work_as_with_the_defaults(platform: Platform, tmp_path: Path) -> None:
    platform.run("migrate", "up")
    platform.publish(*case("client-encoding"))
    *early, request = other_ids(case("datestyle"))
    platform.publish(*early)
    [parked] = platform.json("parked", "list")["parked"]
    assert (parked["delegation_id"], parked["at"]) == ("e-1", "2026-05-05T10:05:00+00:00")
    platform.publish(request)
    platform.assert_view_is_right()
    _read_commands(platform)
    _writing_commands(platform, tmp_path)


def _read_commands(platform: Platform) -> None:
    status = platform.json("status")
    assert status["delegations"] == dict.fromkeys(status["delegations"], 0) | {"queued": 2, "completed": 3}
    assert (status["partitions"][0]["lag_records"], status["parked"], status["dead_letters"]) == (0, 0, 1)
    [letter] = platform.json("dead-letters", "list")["dead_letters"]
    assert (letter["offset"], letter["record_at"]) == (3, "2026-05-05T10:00:03.123000+00:00")
    assert platform.json("dead-letters", "show", "0", "3")["value"] == "{nonsense"
    explained = platform.json("explain", "d-2")
    assert (explained["verdict"], explained["stored"]["task_preview"]) == ("equal", "数豆子 naïve")
    assert explained["stored"]["created_at"] == "2026-05-05T10:00:00+00:00"
    assert platform.json("explain", "e-1")["verdict"] == "equal"
    assert platform.json("verify")["drift"] == 0


def _writing_commands(platform: Platform, tmp_path: Path) -> None:
    platform.change(b"UPDATE delegations SET status = 'failed', updated_at = now() WHERE delegation_id = 'd-2'")
    platform.change(b"DELETE FROM delegations WHERE delegation_id = 'd-1'")
    platform.change(b"UPDATE delegations SET delegation_id = 'by hand' WHERE delegation_id = 'd-3'")
    assert platform.json("verify", code=3)["kinds"] == {"missing": 2, "unexpected": 1, "differs": 1, "parked": 0}
    written = platform.json("rebuild", "--yes", "--drop-uncovered")["written"]
    assert (written["inserted"], written["updated"], written["deleted"]) == (2, 1, 1)
    platform.assert_view_is_right()
    [deleted] = platform.json("deleted", "list")["deleted"]
    assert deleted["delegation_id"] == "by hand"
    platform.run("deleted", "restore", "by hand")
    platform.run("deleted", "restore", "by hand", code=6)
    write_recording(tmp_path / "again.jsonl", platform.records)
    assert platform.json("replay", str(tmp_path / "again.jsonl"), code=5)["outcomes"]["duplicate"] > 0
    assert platform.json("dead-letters", "retry", "0", "3", code=5)["records"] == 1
    platform.run("migrate", "recreate-shadow")
    platform.run("migrate", "down", "--to", "0", "--yes")
