"""The producer on a real broker: its recording equals the topic, and oracle and projector agree about it."""

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from topics import create_topic

from projector.postgres import write_batch
from projector.postgres.connection import connect
from projector.projection.transaction import project
from projector.settings import PostgresSettings
from testbed.oracle import differences, fold_log, stored_rows
from testbed.producer import paced, publish
from testbed.recording import AcknowledgedRecord, read_recording
from testbed.servers.start import start_kafka
from testbed.workload import Mix, records, with_offsets

SMALL = Mix(delegations=400, live=40, repeat_every=1000)


def whole_log(bootstrap_servers: str, topic: str) -> list[AcknowledgedRecord]:
    """Read all records of the topic, sorted by partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    log: list[AcknowledgedRecord] = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for batch in consumer.poll(timeout_ms=500).values():
            log += [AcknowledgedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value) for r in batch]
    consumer.close()
    return sorted(log)


def test_recording_equals_topic(kafka: str, topic: str) -> None:
    recorded: list[AcknowledgedRecord] = []
    written = list(records(SMALL))
    assert publish(written, bootstrap_servers=kafka, topic=topic, on_acknowledged=recorded.append) == len(written)
    assert sorted(recorded) == whole_log(kafka, topic)
    assert [(r.key, r.value, r.timestamp) for r in recorded] == [tuple(record) for record in written]


def test_stopped_producer_leaves_complete_recording(kafka: str, topic: str) -> None:
    recorded: list[AcknowledgedRecord] = []
    stop = threading.Event()

    def record_and_stop(record: AcknowledgedRecord) -> None:
        recorded.append(record)
        stop.set()

    count = publish(
        records(SMALL),
        bootstrap_servers=kafka,
        topic=topic,
        on_acknowledged=record_and_stop,
        per_second=2000,
        stop=stop,
    )
    assert 0 < count == len(recorded) < 5000
    assert sorted(recorded) == whole_log(kafka, topic)


def test_killed_broker_loses_no_record(tmp_path: Path) -> None:
    """In another process, as in the demo: kafka-python leaves sockets of refused connections to the collector."""
    path = tmp_path / "recorded.jsonl"
    with start_kafka(tmp_path, own=True) as server:
        topic = create_topic(server.bootstrap_servers)
        arguments = f"--topic {topic} --delegations 300 --per-second 1500 --into {path}".split()
        command = [sys.executable, "-m", "testbed.producer", "--bootstrap-servers", server.bootstrap_servers]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as sending:
            while not path.exists() or path.stat().st_size < 500_000:
                assert sending.poll() is None
                time.sleep(0.01)  # the growing file is the only sign of progress
            server.kill()
            server.start()
            output, _ = sending.communicate(timeout=60)
        log = whole_log(server.bootstrap_servers, topic)
    recorded = list(read_recording(path))
    assert output == f"{len(recorded)} records acknowledged, recorded in {path}\n"
    assert [(r.key, r.value, r.timestamp) for r in recorded] == [tuple(r) for r in records(Mix(delegations=300))]
    assert set(recorded) <= set(log)
    assert fold_log(recorded).rows == fold_log(log).rows


def test_oracle_and_projector_agree(database_url: str) -> None:
    log = sorted(with_offsets(records(SMALL)), key=lambda record: (record.partition, record.offset))
    outcomes: Counter[str] = Counter()
    with connect(PostgresSettings(database_url=database_url)) as conn:
        write_batch.prepare(conn)
        for first in range(0, len(log), 700):
            outcomes += Counter({str(outcome): n for outcome, n in project(conn, log[first : first + 700]).items()})
        expected = fold_log(log)
        assert differences(expected.rows, stored_rows(conn)) == []
    assert outcomes == expected.outcomes


def test_rate_is_not_exceeded() -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) == 3

    assert len(list(paced(records(SMALL), 2, Stop()))) == 3
    assert waits == [pytest.approx(n / 2, abs=0.2) for n in (1, 2, 3)]
