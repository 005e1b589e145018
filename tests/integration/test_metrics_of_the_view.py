"""The metrics of the dashboard, beside the rows of a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg import sql

from projector.postgres import migrations, passes, views_gauges
from projector.postgres.connection import Connection, open_view
from projector.postgres.views_gauges import Gauges, rebuild_progress
from projector.rebuild import shadow
from projector.settings import PostgresSettings, Settings
from projector.web.metrics import ViewMetrics
from projector.web.reader import Reader
from testbed.servers.start import start_postgres

NONE = {
    "delegations{queued}": 0.0,
    "delegations{dispatched}": 0.0,
    "delegations{in_progress}": 0.0,
    "oldest_in_flight_seconds": 0.0,
    "oldest_silent_seconds": 0.0,
    "overdue": 0.0,
    "parked": 0.0,
    "parked_of_repeated_requests": 0.0,
    "parked_oldest_seconds": 0.0,
    "dead_letters": 0.0,
    "push_due": 0.0,
    "push_oldest_due_seconds": 0.0,
    "push_given_up": 0.0,
    "push_expired": 0.0,
}


@pytest.fixture
def reader(database_url: str) -> Iterator[Reader]:
    reader = Reader(Settings(database_url=database_url))
    yield reader
    reader._pool.close()


def numbers(reader: Reader) -> dict[str, float]:
    """The numbers of a scrape: name without prefix, with the value of its label → number."""
    registry = CollectorRegistry()
    registry.register(ViewMetrics(reader))
    return {
        f"{each.name.removeprefix('projector_')}"
        + "".join(f"{{{value}}}" for value in each.labels.values()): each.value
        for family in registry.collect()
        for each in family.samples
    }


def execute(url: str, statement: LiteralString, *values: object) -> None:
    with psycopg.connect(url, options="-c search_path=projector,public") as conn:
        conn.execute(statement, values or None)


def insert(url: str, status: str, *, created: float = 100, updated: float = 50, due: float = -60) -> None:
    """A delegation; times are seconds ago."""
    execute(
        url,
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, deadline, created_at,
                                 updated_at)
        VALUES (%s, %s, %s, '', %s, now() - make_interval(secs => %s), now() - make_interval(secs => %s),
                now() - make_interval(secs => %s))
        """,
        str(uuid4()),
        uuid4(),
        uuid4(),
        status,
        due,
        created,
        updated,
    )


def test_empty_view_has_a_number_for_each(reader: Reader) -> None:
    """An absent series would look like a dashboard that is down."""
    assert numbers(reader) == NONE


def test_numbers_are_those_of_the_rows(reader: Reader, database_url: str) -> None:
    for status in ("queued", "in_progress", "in_progress", "completed", "stuck"):
        insert(database_url, status)
    insert(database_url, "queued", created=900, updated=400, due=10)
    insert(database_url, "failed", created=5000, updated=5000, due=10)
    found = numbers(reader)
    names = ("delegations{queued}", "delegations{dispatched}", "delegations{in_progress}", "overdue")
    assert [found[name] for name in names] == [2, 0, 2, 1]
    assert 900 <= found["oldest_in_flight_seconds"] < 5000
    assert 400 <= found["oldest_silent_seconds"] < 900


def test_time_in_the_future_or_infinite_is_no_age(reader: Reader, database_url: str) -> None:
    """An adopted table may hold both."""
    insert(database_url, "queued", created=-900, updated=-900)
    execute(database_url, "UPDATE delegations SET deadline = 'infinity'")
    insert(database_url, "queued", created=-900, updated=-900)
    execute(
        database_url,
        "UPDATE delegations SET created_at = '-infinity', updated_at = '-infinity' WHERE deadline < now() + '1 day'",
    )
    found = numbers(reader)
    assert (found["oldest_in_flight_seconds"], found["oldest_silent_seconds"], found["overdue"]) == (0, 0, 0)


def test_leftovers_are_counted(reader: Reader, database_url: str) -> None:
    execute(
        database_url,
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, parked_at)
        SELECT 't', 0, n, 'd-' || n, 'status', 'completed', now(), now() - make_interval(secs => n * 100)
          FROM generate_series(1, 3) AS n;
        INSERT INTO repeated_requests (delegation_id, holder_id, topic, partition, "offset", requested_at)
        VALUES ('d-3', 'd-0', 't', 0, 9, now());
        INSERT INTO dead_letters (topic, partition, "offset", value, reason, died_at)
        SELECT 't', 0, n, 'x', 'not JSON', to_timestamp(1000 + n) FROM generate_series(1, 4) AS n
        """,
    )
    found = numbers(reader)
    names = ("parked", "parked_of_repeated_requests", "dead_letters", "dead_letters_newest_timestamp_seconds")
    assert [found[name] for name in names] == [2, 1, 4, 1004]
    assert 200 <= found["parked_oldest_seconds"] < 300


def test_passes_outlive_their_processes(reader: Reader, database_url: str) -> None:
    """A sweeper that has ended exports nothing, and SweepMissing must fire. A pass that judged nobody is none."""
    started_at = datetime.now(UTC)
    with open_view(PostgresSettings(database_url=database_url)) as conn:
        for kind, result in (
            ("sweep", {"skipped": None}),
            ("verify", {"drift": 0, "compared": 5}),
            ("verify", {"drift": 3, "compared": 5}),
            ("sweep", {"skipped": "behind"}),
            ("push", {}),
        ):
            passes.write(conn, kind, started_at=started_at, result=result)  # type: ignore[arg-type]
        times = conn.execute("SELECT extract(epoch FROM ended_at)::float FROM passes ORDER BY id").fetchall()
    found = numbers(reader)
    assert found["sweep_last_pass_timestamp_seconds"] == times[0][0]
    assert found["verify_last_success_timestamp_seconds"] == pytest.approx(times[1][0])
    assert found["verify_drift"] == 3
    assert found["push_last_pass_timestamp_seconds"] == times[4][0]


def test_progress_of_a_rebuild_is_that_of_the_shadow(database_url: str) -> None:
    """Of one that runs: the shadow of one that was killed stays, and its lock does not."""
    execute(database_url, "INSERT INTO positions (topic, partition, next_offset) VALUES ('t', 0, 110), ('t', 1, 60)")
    settings, beginnings = PostgresSettings(database_url=database_url), {0: 10, 1: 10}
    with open_view(settings) as conn:
        assert rebuild_progress(conn, "t", beginnings) is None
        with open_view(settings) as running:
            assert shadow.lock(running)
            shadow.acquire(running, "host/1")
            shadow.begin(running, "rebuild topic t; one in 1", shadow.JobStart("{}", 0))
            shadow.start_at(running, "t", {0: 35, 1: 10}, uuid4(), None)
            assert rebuild_progress(conn, "t", beginnings) == pytest.approx(25 / 150)
            assert rebuild_progress(conn, "t", {}) is None
        assert rebuild_progress(conn, "t", beginnings) is None


def test_without_right_to_the_shadow_there_is_no_progress(database_url: str) -> None:
    role = f"reads_{uuid4().hex[:8]}"
    with psycopg.connect(database_url) as conn:
        for statement in ("CREATE ROLE {}", "SET LOCAL ROLE {}"):
            conn.execute(sql.SQL(statement).format(sql.Identifier(role)))
        assert rebuild_progress(conn, "t", {0: 0}) is None
        conn.rollback()


def test_without_postgres_there_are_no_numbers(tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True, options=["fsync=off"]) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        reader = Reader(Settings(database_url=server.url))
        assert numbers(reader) == NONE
        server.stop()
        assert numbers(reader) == {}
        reader._pool.close()


def test_scrapes_at_one_time_read_once(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Connection] = []
    gauges = views_gauges.gauges

    def noted(conn: Connection) -> Gauges:
        read.append(conn)
        return gauges(conn)

    monkeypatch.setattr(views_gauges, "gauges", noted)
    collector = ViewMetrics(reader)
    assert list(collector.collect()) == list(collector.collect())
    assert len(read) == 1
