"""`verify` and `rebuild` after an interruption, and while another run is in progress."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from cluster import wait_until
from commands import environment
from kafka import KafkaAdminClient
from projecting import query as query
from reconciling import At, Log, change, request
from rows import answer
from topics import create_topic

from projector.errors import DatabaseUnavailable
from projector.postgres import migrations
from projector.postgres.connection import Connection
from projector.rebuild.drift import Coverage
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import Busy
from projector.rebuild.source import RebuildSource
from testbed.servers.start import start_postgres

RECORDS = 30


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """Thirty delegations, projected."""
    with Log(database_url, kafka, topic) as log:
        yield log.produce(*(request(n, f"d-{n:02}") for n in range(RECORDS))).project()


class Stopped(Exception):
    """Stands for a signal."""


def stop() -> None:
    raise Stopped


def interrupted(log: Log, source: RebuildSource | None = None, *, after: int = 10, **options: Any) -> None:
    with pytest.raises(Stopped):
        log.reconcile(source, progress=At(stop, records=after), batch=1, **options)
    wait_until_lock_is_free(log)


def wait_until_lock_is_free(log: Log) -> None:
    """A session that was closed holds the lock of its run until Postgres has ended it."""
    held = """
        SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE locktype = 'advisory' AND datname = current_database()
    """
    wait_until(lambda: query(log.conn, held) == [0], "the lock of the last run is free")


def test_interrupted_fold_is_resumed(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id IN ('d-03', 'd-23')")
    interrupted(log, repair=True)
    interrupted(log, repair=True)
    done = log.reconcile(repair=True)
    assert (done.report.totals.records, done.report.totals.is_empty, done.written) == (RECORDS - 20, False, (2, 0, 0))
    assert log.shadow_is_empty()
    assert log.verify() == {}


def test_records_of_the_interruption_are_folded_too(log: Log) -> None:
    interrupted(log)
    log.produce(request(40, "later"), answer(41, "completed", of="d-03")).project()
    done = log.reconcile()
    assert (done.report.totals.records, done.report.drift) == (RECORDS - 10 + 2, 0)


def test_resumed_complete_fold_is_not_an_empty_source(log: Log) -> None:
    interrupted(log, after=RECORDS)
    report = log.reconcile().report
    assert (report.totals.records, report.drift, report.totals.is_empty) == (0, 0, False)


def test_rebuild_does_not_resume_a_verify(log: Log) -> None:
    """They fold different records: verify skips partitions that were never projected."""
    interrupted(log)
    assert log.reconcile(repair=True).report.totals.records == RECORDS


@pytest.mark.parametrize("other", [{"drop_uncovered": True}, {"sample": 10}])
def test_other_options_start_again(log: Log, other: dict[str, Any]) -> None:
    interrupted(log)
    report = log.reconcile(**other).report
    assert (report.totals.records, report.drift) == (RECORDS, 0)
    assert log.shadow_is_empty()


def test_other_source_starts_again(log: Log, tmp_path: Path) -> None:
    interrupted(log)
    recording = tmp_path / "some.jsonl"
    recording.write_text("{}\n{}\n")
    assert log.reconcile(FromRecordings([recording], None)).report.totals.records == 2
    assert log.shadow_is_empty()


def test_shadow_passed_by_retention_starts_again(log: Log) -> None:
    interrupted(log)
    log.shorten({0: 10})
    assert log.reconcile().report.totals.records == RECORDS - 10
    interrupted(log, after=5)
    log.shorten({0: 20})
    report = log.reconcile().report
    assert (report.totals.records, report.drift) == (RECORDS - 20, 0)


def test_shadow_beyond_the_view_starts_again(log: Log) -> None:
    """The positions were moved back, by hand or by a rebuild from `activity_logs`."""
    interrupted(log, after=20)
    change(log, "UPDATE positions SET next_offset = 5 WHERE partition = 0")
    change(log, "DELETE FROM delegations WHERE delegation_id >= 'd-05'")
    report = log.reconcile().report
    assert (report.totals.records, report.drift) == (5, 0)


def test_shadow_of_a_recreated_topic_starts_again(log: Log, kafka: str) -> None:
    interrupted(log)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([log.name])
    wait_until(lambda: log.name not in admin.list_topics(), "the topic is deleted")
    admin.close()
    create_topic(kafka, name=log.name)
    log.reopen_topic()
    change(log, "DELETE FROM positions")
    change(log, "DELETE FROM delegations")
    log.produce(*(request(n, f"new-{n:02}") for n in range(RECORDS))).project()
    report = log.reconcile().report
    assert (report.totals.records, report.drift) == (RECORDS, 0)


def test_killed_process_is_resumed(log: Log, kafka: str) -> None:
    log.produce(*(request(n, f"more-{n:04}") for n in range(3000))).project()
    settings = {"database_url": log.url, "bootstrap_servers": kafka, "topic": log.name, "batch_records": "10"}
    command = [sys.executable, "-m", "projector", "verify"]
    started = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL)
    wait_until(lambda: folded(log) > 100, "more than a hundred records folded")
    started.kill()
    started.wait()
    wait_until_lock_is_free(log)
    before = folded(log)
    report = log.reconcile().report
    assert (report.totals.records, report.drift) == (RECORDS + 3000 - before, 0)
    assert report.totals.records < 2930


def folded(log: Log) -> int:
    (count,) = query(log.conn, "SELECT coalesce(sum(next_offset), 0)::int FROM projector_shadow.positions")
    return int(count)


# --- two runs at once


class Beginning(FromTopic):
    """Calls `act` within the transaction that begins the shadow."""

    act: Callable[[], object]

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        result = super().begin(view, token, drop_uncovered=drop_uncovered)
        self.act()
        return result


def refusal(log: Log, when: str) -> str:
    """The error of a second run that starts while the first begins, folds or compares."""
    refusals: list[str] = []

    def try_second() -> None:
        with pytest.raises(Busy) as refused:
            log.reconcile(repair=True)
        refusals.append(str(refused.value))

    source = Beginning(log.topic) if when == "begins" else FromTopic(log.topic)
    if isinstance(source, Beginning):
        source.act = try_second
    progress = {"folds": At(try_second, records=1), "compares": At(try_second, "checking again")}.get(when)
    assert log.reconcile(source, progress=progress, batch=1).report.drift == 0
    (message,) = refusals
    return message


@pytest.mark.parametrize("when", ["begins", "folds", "compares"])
def test_second_run_is_refused_and_names_the_first(log: Log, when: str) -> None:
    assert f"is running: {socket.gethostname()}/{os.getpid()}, since 20" in refusal(log, when)


def test_refusal_names_the_run_that_resumed(log: Log) -> None:
    interrupted(log)
    change(log, "UPDATE projector_shadow.work SET owner = 'killed/1', since = '2001-01-01'")
    assert f"is running: {socket.gethostname()}/{os.getpid()}, since 20" in refusal(log, "folds")


# --- a crash of the server


def test_server_crash_empties_the_shadow(kafka: str, topic: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)

        def server_restarts() -> None:
            server.restart("immediate")

        with Log(server.url, kafka, topic) as log:
            log.produce(*(request(n, f"d-{n:02}") for n in range(RECORDS))).project()
            change(log, "DELETE FROM delegations WHERE delegation_id = 'd-03'")
            for crash in (At(server_restarts, "folding"), At(server_restarts, records=10)):
                with pytest.raises(DatabaseUnavailable):
                    log.reconcile(repair=True, progress=crash, batch=1)
        with Log(server.url, kafka, topic) as log:
            done = log.reconcile(repair=True)
            assert (done.report.totals.records, done.written) == (RECORDS, (1, 0, 0))
            assert log.verify() == {}
