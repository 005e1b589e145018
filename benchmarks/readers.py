"""Contenders that are a kafka-python consumer in a loop: polling alone, polling and parsing, the naive way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition
from pydantic_core import from_json

from benchmarks.environment import Environment
from benchmarks.measured import Measured, in_a_fresh_process
from benchmarks.naive import write

_EVERYTHING = 2**31 - 1


def polling(field: Environment) -> Measured:
    """kafka-python's consumer and nothing else: the ceiling of whatever is built on it."""
    return Measured(in_a_fresh_process(_poll_all, field) * field.events / field.records)


def parsing(field: Environment) -> Measured:
    """And each value made into Python's values: the ceiling of whatever reads JSON in one Python process."""
    return Measured(in_a_fresh_process(_parse_all, field) * field.events / field.records)


def naive(field: Environment, *, seconds: float) -> Measured:
    """A pydantic model and one autocommitted statement an event, for so many seconds."""
    return _written(field, _write_each, seconds)


def naive_by_poll(field: Environment, *, seconds: float) -> Measured:
    """The same with one transaction for what a poll brought, 500 records at most."""
    return _written(field, _write_polls, seconds)


def _written(field: Environment, work: Callable[[Environment, str, float], float], seconds: float) -> Measured:
    url = field.database()
    try:
        return Measured(in_a_fresh_process(work, field, url, seconds) * field.events / field.records)
    finally:
        field.drop(url)


@contextmanager
def consumer(field: Environment) -> Iterator[Any]:
    """A consumer at the beginning of every partition, in no group."""
    found = KafkaConsumer(
        bootstrap_servers=field.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        metrics_enabled=False,
    )
    found.assign([TopicPartition(field.topic, partition) for partition in found.partitions_for_topic(field.topic)])
    yield found
    found.close()


def _poll_all(field: Environment) -> float:
    with consumer(field) as source:
        began, seen = time.monotonic(), 0
        while seen < field.records:
            seen += sum(map(len, source.poll(timeout_ms=500, max_records=_EVERYTHING).values()))
        return seen / (time.monotonic() - began)


def _parse_all(field: Environment) -> float:
    with consumer(field) as source:
        began, seen = time.monotonic(), 0
        while seen < field.records:
            for records in source.poll(timeout_ms=500, max_records=_EVERYTHING).values():
                for record in records:
                    _parse(record.value)
                seen += len(records)
        return seen / (time.monotonic() - began)


def _parse(value: bytes | None) -> object:
    return None if value is None else from_json(value)


def _write_each(field: Environment, url: str, seconds: float) -> float:
    with consumer(field) as source, psycopg.connect(url, autocommit=True) as conn:
        began, seen = time.monotonic(), 0
        while seen < field.records and time.monotonic() - began < seconds:
            seen += _write_polled(conn, source.poll(timeout_ms=500))
        return seen / (time.monotonic() - began)


def _write_polls(field: Environment, url: str, seconds: float) -> float:
    with consumer(field) as source, psycopg.connect(url, autocommit=True) as conn:
        began, seen = time.monotonic(), 0
        while seen < field.records and time.monotonic() - began < seconds:
            polled = source.poll(timeout_ms=500)
            with conn.transaction():
                seen += _write_polled(conn, polled)
        return seen / (time.monotonic() - began)


def _write_polled(conn: psycopg.Connection[Any], polled: dict[Any, list[Any]]) -> int:
    for records in polled.values():
        for record in records:
            write(conn, record.value)
    return sum(map(len, polled.values()))
