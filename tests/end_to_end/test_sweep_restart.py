"""Postgres is stopped and started again inside a pass: nothing is half written, and the next pass does what is left."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import wait_until
from commands import Process, environment, start
from sweeping import platform

from projector.postgres import migrations
from testbed.servers.start import Postgres, start_postgres

SILENT = {f"silent-{n}" for n in range(5)}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    (tmp_path / "postgres").mkdir()
    with start_postgres(tmp_path / "postgres", own=True, options=["wal_writer_delay=10s"]) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        yield server


def fill(server: Postgres) -> None:
    with platform(server.url) as it:
        it.conn.execute("SET synchronous_commit = on")  # an immediate stop loses what was committed asynchronously
        it.is_alive()
        for name in sorted(SILENT):
            it.both(it.request(name), it.beat(name))


@contextmanager
def sweeping(server: Postgres, log: Path, *arguments: str) -> Iterator[Process]:
    settings = {"database_url": server.url, "topic": "none", "lock_timeout_ms": "20000", "log_format": "json"}
    with log.open("ab") as output:
        settings |= {"sweep_interval_seconds": "1", "statement_timeout_ms": "30000"}
        process = start(["sweep", *arguments], environment(settings), stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_it_inserts(server: Postgres, log: Path) -> None:
    def waits() -> bool:
        with psycopg.connect(server.url) as conn:
            found = conn.execute(
                """
                SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND application_name LIKE 'projector%'
                """
            ).fetchone()
        return bool(found and found[0])

    wait_until(waits, f"an INSERT that waits:\n{log.read_text() if log.exists() else ''}")


@pytest.mark.parametrize("arguments", [["--once"], []], ids=["one pass", "the loop"])
def test_postgres_that_is_restarted_inside_a_pass_repeats_nothing(
    server: Postgres, tmp_path: Path, arguments: list[str]
) -> None:
    fill(server)
    log = tmp_path / "sweep.log"
    blocker = psycopg.connect(server.url)
    blocker.execute("LOCK TABLE activity_logs IN SHARE MODE")  # stops the INSERT, and no SELECT
    with sweeping(server, log, *arguments) as sweeper:
        wait_until_it_inserts(server, log)
        server.restart("immediate")
        blocker.close()
        if arguments:
            assert sweeper.wait(30) == 1
            assert verdicts(server) == []
            with sweeping(server, log, "--once") as again:
                assert again.wait(30) == 0
        wait_until(lambda: verdicts(server) == sorted(SILENT), f"each verdict once in:\n{log.read_text()}")
        if not arguments:
            assert sweeper.poll() is None


def verdicts(server: Postgres) -> list[str]:
    with psycopg.connect(server.url) as conn:
        rows = conn.execute("SELECT request_body ->> 'delegation_id' FROM activity_logs WHERE method = 'verdict'")
        return sorted(row[0] for row in rows)
