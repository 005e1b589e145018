"""The contenders: each takes the field's records from their start, in a process of its own."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg
from kafka import KafkaConsumer, TopicPartition

from benchmarks.field import Field
from benchmarks.naive import write

GIVEN_UP_AFTER_SECONDS = 600.0


class Measured(NamedTuple):
    """How fast it was, and the most memory that the process held, where that was asked for."""

    records_per_second: float
    peak_mebibytes: float | None = None


def polling(field: Field) -> Measured:
    """kafka-python's consumer and nothing else: the ceiling of whatever is built on it."""
    return Measured(_measured(_poll_all, field))


def naive(field: Field, *, seconds: float) -> Measured:
    """A pydantic model and one autocommitted statement an event, for so many seconds."""
    return Measured(_measured(_naive_for, field, field.database(), seconds))


def projector_run(field: Field) -> Measured:
    """`projector run` as it is installed, from its first claim to its last commit by the server's clock."""
    url = field.database()
    member = _projector(["run"], field, url)
    try:
        seconds = _seconds_to_catch_up(url, field.records, member)
    finally:
        member.terminate()
        peak = _peak_mebibytes(member)
    return Measured(field.records / seconds, peak)


def projector_rebuild(field: Field) -> Measured:
    """`projector rebuild` of a view in which one row in a hundred was edited; a process from its start to its end."""
    url = field.database()
    member = _projector(["run"], field, url)
    _seconds_to_catch_up(url, field.records, member)
    member.terminate()
    member.wait()
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE delegations SET task_preview = '' WHERE hashtext(delegation_id) % 100 = 0")
    began = time.monotonic()
    rebuilding = _projector(["rebuild"], field, url)
    peak = _peak_mebibytes(rebuilding)
    return Measured(field.records / (time.monotonic() - began), peak)


def _projector(command: Sequence[str], field: Field, url: str) -> subprocess.Popen[bytes]:
    settings = {
        "PROJECTOR_DATABASE_URL": url,
        "PROJECTOR_BOOTSTRAP_SERVERS": field.bootstrap_servers,
        "PROJECTOR_TOPIC": field.topic,
        "PROJECTOR_GROUP_ID": f"bench-{time.time_ns()}",
        "PROJECTOR_LOG_LEVEL": "WARNING",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "projector.cli", *command], env={**os.environ, **settings}, stdout=subprocess.DEVNULL
    )


def _peak_mebibytes(process: subprocess.Popen[bytes]) -> float:
    """Wait for the end of a process; the most memory that it held."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")
    return usage.ru_maxrss / 1024


def _seconds_to_catch_up(url: str, count: int, member: subprocess.Popen[bytes]) -> float:
    until = time.monotonic() + GIVEN_UP_AFTER_SECONDS
    with psycopg.connect(url, autocommit=True) as conn:
        while time.monotonic() < until and member.poll() is None:
            found = conn.execute(
                "SELECT sum(next_offset), extract(epoch FROM max(moved_at) - min(claimed_at)) FROM projector.positions"
            ).fetchone()
            if found and found[0] == count:
                return float(found[1])
            time.sleep(0.1)  # often would take from what is measured
    raise SystemExit("projector run did not catch up")


def _measured(work: Callable[..., float], *arguments: object) -> float:
    """What `work` returns in a fresh process: no contender meets another's garbage."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _consumer(field: Field) -> Any:
    consumer = KafkaConsumer(
        bootstrap_servers=field.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        metrics_enabled=False,
    )
    consumer.assign(
        [TopicPartition(field.topic, partition) for partition in consumer.partitions_for_topic(field.topic)]
    )
    return consumer


def _poll_all(field: Field) -> float:
    consumer = _consumer(field)
    began, seen = time.monotonic(), 0
    while seen < field.records:
        found = consumer.poll(timeout_ms=500, max_records=2**31 - 1)
        seen += sum(map(len, found.values()))
    took = time.monotonic() - began
    consumer.close()
    return seen / took


def _naive_for(field: Field, url: str, seconds: float) -> float:
    consumer = _consumer(field)
    seen = 0
    with psycopg.connect(url, autocommit=True) as conn:
        began = time.monotonic()
        while seen < field.records and time.monotonic() - began < seconds:
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    write(conn, record.value)
                seen += len(records)
        took = time.monotonic() - began
    consumer.close()
    return seen / took
