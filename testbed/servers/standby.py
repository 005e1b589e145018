"""A primary and its standby with streaming replication, as local processes, for tests of a failover."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from testbed.servers.processes import local_postgres, postgres_binaries, postgres_process, unprivileged_prefix
from testbed.servers.server import ServerUnavailable, free_port, run_tool
from testbed.servers.start import Postgres

OPTIONS = ("fsync=off", "wal_receiver_timeout=2s", "wal_retrieve_retry_interval=100ms")


def start_primary(folder: Path) -> Postgres:
    """Start a Postgres that can have standbys, always as a local process. Raises ServerUnavailable."""
    primary = Postgres(*local_postgres(folder, options=OPTIONS, keep=False))
    primary.start()
    return primary


def start_standby(folder: Path, primary: Postgres, *, port: int | None = None) -> Postgres:
    """Copy the primary, start the copy as its standby, and wait until it receives the write-ahead log."""
    home, port = Path(tempfile.mkdtemp(prefix="standby-", dir=folder)), port or free_port()
    copy = [str(postgres_binaries() / "pg_basebackup"), "--dbname", primary.url, "--pgdata", str(home / "data")]
    options: Sequence[str] = ("--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync")
    run_tool([*unprivileged_prefix(), *copy, *options], "pg_basebackup", cwd=home)
    standby = Postgres(_with_port(primary.url, port), postgres_process(home, port, options=OPTIONS, keep=False))
    standby.start()
    return standby


def promote(standby: Postgres) -> None:
    """Make it a primary, and wait until it accepts writes."""
    with psycopg.connect(standby.url, autocommit=True) as conn:
        conn.execute("SELECT pg_promote(true, 60)")
        _wait_until(conn, "SELECT WHERE NOT pg_is_in_recovery()")


def stop_replication(standby: Postgres) -> None:
    """Let it receive no more of the write-ahead log, and wait until it does not."""
    with psycopg.connect(standby.url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET primary_conninfo = ''")
        conn.execute("SELECT pg_reload_conf()")
        _wait_until(conn, "SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")


def switch_over(primary: Postgres, standby: Postgres) -> None:
    """Exchange the roles of the two as planned: the standby gets every commit before it is promoted."""
    with psycopg.connect(primary.url, autocommit=True) as conn:
        _wait_until(conn, "SELECT FROM pg_stat_replication WHERE state = 'streaming'")
        [(data,)] = conn.execute("SHOW data_directory").fetchall()
        conn.execute(sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(standby.url))
    primary.stop("fast")
    promote(standby)
    (Path(data) / "standby.signal").touch()
    primary.start()


def _wait_until(conn: psycopg.Connection[Any], statement: LiteralString) -> None:
    deadline = time.monotonic() + 60
    while not conn.execute(statement).fetchall():
        if time.monotonic() > deadline:
            raise ServerUnavailable(f"not within 60 s: {statement}")
        time.sleep(0.02)


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
