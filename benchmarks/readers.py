"""Contenders that only poll, that also parse, and the naive way."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from kafka import KafkaConsumer, TopicPartition

from benchmarks.environment import Environment
from benchmarks.measurement import Failed, Measurement, run_in_new_process
from benchmarks.naive import write
from benchmarks.quix import peers_python
from projector.kafka.consumer import GroupConsumer
from projector.process.memory import tune_memory
from projector.settings import Settings, load

_EVERYTHING = 2**31 - 1


def polling(environment: Environment) -> Measurement:
    """Measure kafka-python's consumer alone: the limit of everything built on it."""
    return _alone(environment, _poll_all)


def source(environment: Environment) -> Measurement:
    """Measure the projector's own consumer alone, with its memory tuned as `run` does: first poll to last."""
    return _alone(environment, _poll_source)


def librdkafka(environment: Environment) -> Measurement:
    """Measure confluent-kafka's consumer alone, in the environment of the peers: the physical limit."""
    settings = {
        "bootstrap.servers": environment.bootstrap_servers,
        "group.id": "polling",  # required, and not used
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "check.crcs": True,
    }
    given = json.dumps([environment.topic, environment.records, settings])
    command = [str(peers_python()), "-I", str(Path(__file__).with_name("librdkafka_worker.py")), given]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise Failed(f"librdkafka ended: {ended.stderr[-300:]}")
    return _measurement(environment, float(ended.stdout))


def parsing(environment: Environment) -> Measurement:
    """Measure the consumer and a JSON parser: the limit of one Python process that reads JSON."""
    return _alone(environment, _poll_all, True)


def naive(environment: Environment, *, seconds: float) -> Measurement:
    """Measure a pydantic model and one autocommitted statement per event, for some seconds."""
    return _written(environment, _write_each, seconds)


def naive_by_poll(environment: Environment, *, seconds: float) -> Measurement:
    """Measure the same with one transaction per poll, of at most 500 records."""
    return _written(environment, _write_polls, seconds)


def _written(environment: Environment, work: Callable[..., float], seconds: float) -> Measurement:
    url = environment.create_database()
    try:
        return _alone(environment, work, url, seconds)
    finally:
        environment.drop_database(url)


def _alone(environment: Environment, work: Callable[..., float], *arguments: object) -> Measurement:
    return _measurement(environment, run_in_new_process(work, environment, *arguments))


def _measurement(environment: Environment, records_per_second: float) -> Measurement:
    return Measurement(records_per_second * environment.events / environment.records)


@contextmanager
def open_consumer(environment: Environment) -> Iterator[Any]:
    """Open a consumer at the beginning of every partition, without a group."""
    consumer = KafkaConsumer(
        bootstrap_servers=environment.bootstrap_servers,
        group_id=None,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        metrics_enabled=False,
    )
    partitions = consumer.partitions_for_topic(environment.topic)
    consumer.assign([TopicPartition(environment.topic, partition) for partition in partitions])
    yield consumer
    consumer.close()


def _poll_all(environment: Environment, parse: bool = False) -> float:
    with open_consumer(environment) as consumer:
        started, count = time.monotonic(), 0
        while count < environment.records:
            for records in consumer.poll(timeout_ms=500, max_records=_EVERYTHING).values():
                count += len(records)
                if parse:
                    for record in records:
                        _parse(record.value)
        return count / (time.monotonic() - started)


def _poll_source(environment: Environment) -> float:
    tune_memory()
    consumer = GroupConsumer(_settings(environment))
    consumer.open()
    while not consumer.unclaimed:
        consumer.poll()
    held = consumer.log_ranges(consumer.unclaimed)
    started, count = time.monotonic(), 0
    for partition, offsets in held.items():
        consumer.start(partition, offsets.beginning, offsets)
    while count < environment.records:
        count += sum(len(each.records) for each in consumer.poll())
    rate = count / (time.monotonic() - started)
    consumer.close()
    return rate


def _settings(environment: Environment) -> Settings:
    return load(
        {
            "database_url": environment.postgres_url,
            "bootstrap_servers": environment.bootstrap_servers,
            "topic": environment.topic,
            "group_id": f"polling-{time.time_ns()}",
        }
    )


def _parse(value: bytes | None) -> object:
    return None if value is None else msgspec.json.decode(value)


def _write_each(environment: Environment, url: str, seconds: float) -> float:
    with open_consumer(environment) as consumer, psycopg.connect(url, autocommit=True) as conn:
        started, count = time.monotonic(), 0
        while count < environment.records and time.monotonic() - started < seconds:
            count += _write_polled(conn, consumer.poll(timeout_ms=500))
        return count / (time.monotonic() - started)


def _write_polls(environment: Environment, url: str, seconds: float) -> float:
    with open_consumer(environment) as consumer, psycopg.connect(url, autocommit=True) as conn:
        started, count = time.monotonic(), 0
        while count < environment.records and time.monotonic() - started < seconds:
            polled = consumer.poll(timeout_ms=500)
            with conn.transaction():
                count += _write_polled(conn, polled)
        return count / (time.monotonic() - started)


def _write_polled(conn: psycopg.Connection[Any], polled: dict[Any, list[Any]]) -> int:
    for records in polled.values():
        for record in records:
            write(conn, record.value)
    return sum(map(len, polled.values()))
