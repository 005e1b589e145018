"""`verify` and `rebuild` that were interrupted, or find another one at work: the same call goes on where it was."""

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
from cluster import until
from commands import environment
from kafka import KafkaAdminClient
from projecting import asked as told
from reconciling import At, Log, asked, change
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
        yield log.say(*(asked(n, f"d-{n:02}") for n in range(RECORDS))).projected()


class Stopped(Exception):
    """As a signal would."""


def stop() -> None:
    raise Stopped


def interrupted(log: Log, source: RebuildSource | None = None, *, after: int = 10, **options: Any) -> None:
    with pytest.raises(Stopped):
        log.reconcile(source, progress=At(stop, records=after), batch=1, **options)


def test_interrupted_fold_goes_on_where_it_was(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id IN ('d-03', 'd-23')")
    interrupted(log, repair=True)
    interrupted(log, repair=True)
    done = log.reconcile(repair=True)
    assert (done.report.records, done.report.empty, done.applied) == (RECORDS - 20, False, (2, 0, 0))
    assert log.shadow_is_empty()
    assert log.verify() == {}


def test_what_comes_meanwhile_is_folded_too(log: Log) -> None:
    interrupted(log)
    log.say(asked(40, "later"), answer(41, "completed", of="d-03")).projected()
    done = log.reconcile()
    assert (done.report.records, done.report.drift) == (RECORDS - 10 + 2, 0)


def test_fold_that_was_complete_goes_on_with_nothing_and_is_not_taken_for_empty(log: Log) -> None:
    interrupted(log, after=RECORDS)
    report = log.reconcile().report
    assert (report.records, report.drift, report.empty) == (0, 0, False)


def test_rebuild_begins_anew_where_verify_left_a_shadow_behind(log: Log) -> None:
    """The two do not fold the same: verify passes over partitions that nobody has projected yet."""
    interrupted(log)
    assert log.reconcile(repair=True).report.records == RECORDS


@pytest.mark.parametrize("other", [{"drop_uncovered": True}, {"sample": 10}])
def test_another_wish_begins_anew(log: Log, other: dict[str, Any]) -> None:
    interrupted(log)
    report = log.reconcile(**other).report
    assert (report.records, report.drift) == (RECORDS, 0)
    assert log.shadow_is_empty()


def test_another_source_begins_anew(log: Log, tmp_path: Path) -> None:
    interrupted(log)
    recording = tmp_path / "some.jsonl"
    recording.write_text("{}\n{}\n")
    assert log.reconcile(FromRecordings([recording], None)).report.records == 2
    assert log.shadow_is_empty()


def test_shadow_that_retention_has_passed_begins_anew(log: Log) -> None:
    interrupted(log)
    log.shorten({0: 10})
    assert log.reconcile().report.records == RECORDS - 10
    interrupted(log, after=5)
    log.shorten({0: 20})
    report = log.reconcile().report
    assert (report.records, report.drift) == (RECORDS - 20, 0)


def test_shadow_that_is_beyond_the_view_begins_anew(log: Log) -> None:
    """The positions were put back, by hand or by a rebuild from the platform's table."""
    interrupted(log, after=20)
    change(log, "UPDATE positions SET next_offset = 5 WHERE partition = 0")
    change(log, "DELETE FROM delegations WHERE delegation_id >= 'd-05'")
    report = log.reconcile().report
    assert (report.records, report.drift) == (5, 0)


def test_shadow_of_a_topic_that_was_made_anew_begins_anew(log: Log, kafka: str) -> None:
    interrupted(log)
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([log.name])
    until(lambda: log.name not in admin.list_topics(), "the topic is gone")
    admin.close()
    create_topic(kafka, name=log.name)
    log.made_anew()
    change(log, "DELETE FROM positions")
    change(log, "DELETE FROM delegations")
    log.say(*(asked(n, f"new-{n:02}") for n in range(RECORDS))).projected()
    report = log.reconcile().report
    assert (report.records, report.drift) == (RECORDS, 0)


def test_killed_process_is_gone_on_with(log: Log, kafka: str) -> None:
    log.say(*(asked(n, f"more-{n:04}") for n in range(3000))).projected()
    settings = {"database_url": log.url, "bootstrap_servers": kafka, "topic": log.name, "batch_records": "10"}
    command = [sys.executable, "-m", "projector", "verify"]
    started = subprocess.Popen(command, env=environment(settings), stdout=subprocess.DEVNULL)
    until(lambda: folded(log) > 100, "more than a hundred records folded")
    started.kill()
    started.wait()
    until(lambda: told(log.conn, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [0], "its end")
    before = folded(log)
    report = log.reconcile().report
    assert (report.records, report.drift) == (RECORDS + 3000 - before, 0)
    assert report.records < 2930


def folded(log: Log) -> int:
    (found,) = told(log.conn, "SELECT coalesce(sum(next_offset), 0)::int FROM projector_shadow.positions")
    return int(found)


# --- two at once


class Beginning(FromTopic):
    """Does something while the shadow begins, within that transaction."""

    act: Callable[[], object]

    def begin(self, view: Connection, token: UUID, *, drop_uncovered: bool) -> tuple[Coverage, int]:
        found = super().begin(view, token, drop_uncovered=drop_uncovered)
        self.act()
        return found


def refusal(log: Log, when: str) -> str:
    """What the second one is told, that comes when the first is there."""
    refusals: list[str] = []

    def try_too() -> None:
        with pytest.raises(Busy) as refused:
            log.reconcile(repair=True)
        refusals.append(str(refused.value))

    source = Beginning(log.topic) if when == "begins" else FromTopic(log.topic)
    if isinstance(source, Beginning):
        source.act = try_too
    progress = {"folds": At(try_too, records=1), "compares": At(try_too, "looking again")}.get(when)
    assert log.reconcile(source, progress=progress, batch=1).report.drift == 0
    (said,) = refusals
    return said


@pytest.mark.parametrize("when", ["begins", "folds", "compares"])
def test_second_one_is_refused_at_once_with_the_name_of_the_first(log: Log, when: str) -> None:
    assert f"under way: {socket.gethostname()}/{os.getpid()}, since 20" in refusal(log, when)


def test_name_of_one_that_was_killed_is_not_told_for_the_one_that_goes_on(log: Log) -> None:
    interrupted(log)
    change(log, "UPDATE projector_shadow.work SET owner = 'dead/1', since = '2001-01-01'")
    assert f"under way: {socket.gethostname()}/{os.getpid()}, since 20" in refusal(log, "folds")


# --- a crash of the server


def test_crash_of_the_server_empties_the_shadow_and_it_begins_anew(
    kafka: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)

        def server_restarts() -> None:
            server.restart("immediate")

        with Log(server.url, kafka, topic) as log:
            log.say(*(asked(n, f"d-{n:02}") for n in range(RECORDS))).projected()
            change(log, "DELETE FROM delegations WHERE delegation_id = 'd-03'")
            for crash in (At(server_restarts, "folding"), At(server_restarts, records=10)):
                with pytest.raises(DatabaseUnavailable):
                    log.reconcile(repair=True, progress=crash, batch=1)
        with Log(server.url, kafka, topic) as log:
            done = log.reconcile(repair=True)
            assert (done.report.records, done.applied) == (RECORDS, (1, 0, 0))
            assert log.verify() == {}
