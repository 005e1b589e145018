"""The contenders: each takes the field's records from their start, in a process of its own, and tells its records/s."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition

from benchmarks.field import TOPIC, Field
from benchmarks.naive import write

GIVEN_UP_AFTER_SECONDS = 600.0


def polling(field: Field) -> float:
    """kafka-python's consumer and nothing else: the ceiling of whatever is built on it."""
    return _measured(_poll_all, field)


def naive(field: Field, *, seconds: float) -> float:
    """A pydantic model and one autocommitted statement an event, for so many seconds."""
    return _measured(_naive_for, field, field.database(), seconds)


def projector_run(field: Field) -> float:
    """`projector run` as it is installed, from its first claim to its last commit by the server's clock."""
    url = field.database()
    settings = {
        "PROJECTOR_DATABASE_URL": url,
        "PROJECTOR_BOOTSTRAP_SERVERS": field.bootstrap_servers,
        "PROJECTOR_TOPIC": TOPIC,
        "PROJECTOR_GROUP_ID": f"bench-{time.time_ns()}",
        "PROJECTOR_LOG_LEVEL": "WARNING",
    }
    member = subprocess.Popen([sys.executable, "-m", "projector.cli", "run"], env={**os.environ, **settings})
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            return field.records / _seconds_to_catch_up(conn, field.records, member)
    finally:
        member.terminate()
        member.wait()


def _seconds_to_catch_up(conn: psycopg.Connection[Any], count: int, member: subprocess.Popen[bytes]) -> float:
    until = time.monotonic() + GIVEN_UP_AFTER_SECONDS
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
    consumer.assign([TopicPartition(TOPIC, partition) for partition in consumer.partitions_for_topic(TOPIC)])
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
