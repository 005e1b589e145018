"""Processor time of processes that run, from Linux's /proc."""

import os
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.measurement import Failed

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Return user and system time of a process and all its descendants, ended ones included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / _TICKS_PER_SECOND  # utime, stime, and those of children that have ended
    return own + sum(map(processor_seconds, children(pid)))


def children(pid: int) -> list[int]:
    """Return the ids of the processes that a process has started; empty if it has ended."""
    try:
        listed = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for child in " ".join(listed).split()]


def sessions_seconds(conn: psycopg.Connection[Any]) -> float:
    """Return user and system time of all sessions of this database but this one, and of the server's WAL writer.

    The WAL writer writes what asynchronous commits leave behind. Raises Failed if the server is no local process.
    """
    found = conn.execute(
        """
        SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'
            OR (backend_type = 'client backend' AND datname = current_database() AND pid <> pg_backend_pid())
        """
    )
    try:
        return sum(processor_seconds(pid) for (pid,) in found)
    except OSError as error:
        raise Failed("Postgres is no local process here, or a session has just ended") from error
