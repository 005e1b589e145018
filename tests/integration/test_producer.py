"""A simulated platform on a real broker and a real database: the producer's books are the log, the judge agrees."""

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
from testbed.workload import Mix, logged, records

SMALL = Mix(delegations=400, live=40, repeat_every=1000)


def whole_log(bootstrap_servers: str, topic: str) -> list[AcknowledgedRecord]:
    """Everything that the topic holds, by partition and offset."""
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


def test_the_books_hold_what_the_log_holds(kafka: str, topic: str) -> None:
    books: list[AcknowledgedRecord] = []
    written = list(records(SMALL))
    assert publish(written, bootstrap_servers=kafka, topic=topic, keep=books.append) == len(written)
    assert sorted(books) == whole_log(kafka, topic)
    assert [(r.key, r.value, r.timestamp) for r in books] == [tuple(record) for record in written]


def test_a_stopped_producer_leaves_complete_books(kafka: str, topic: str) -> None:
    books: list[AcknowledgedRecord] = []
    stop = threading.Event()

    def keep(record: AcknowledgedRecord) -> None:
        books.append(record)
        stop.set()

    count = publish(records(SMALL), bootstrap_servers=kafka, topic=topic, keep=keep, per_second=2000, stop=stop)
    assert 0 < count == len(books) < 5000
    assert sorted(books) == whole_log(kafka, topic)


def test_a_broker_killed_in_between_costs_no_record(tmp_path: Path) -> None:
    """In a process of its own, as the demo plays it: kafka-python leaves its refused sockets to the collector."""
    kept = tmp_path / "books.jsonl"
    with start_kafka(tmp_path, own=True) as server:
        topic = create_topic(server.bootstrap_servers)
        arguments = f"--topic {topic} --delegations 300 --per-second 1500 --into {kept}".split()
        command = [sys.executable, "-m", "testbed.producer", "--bootstrap-servers", server.bootstrap_servers]
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as sending:
            while not kept.exists() or kept.stat().st_size < 500_000:
                assert sending.poll() is None
                time.sleep(0.01)  # no other sign of progress but the file's growth
            server.kill()
            server.start()
            said, _ = sending.communicate(timeout=60)
        log = whole_log(server.bootstrap_servers, topic)
    books = list(read_recording(kept))
    assert said == f"{len(books)} records acknowledged, kept in {kept}\n"
    assert [(r.key, r.value, r.timestamp) for r in books] == [tuple(r) for r in records(Mix(delegations=300))]
    assert set(books) <= set(log)
    assert fold_log(books).rows == fold_log(log).rows


def test_the_judge_agrees_with_the_projector_about_a_whole_platform(database_url: str) -> None:
    log = sorted(logged(records(SMALL)), key=lambda record: (record.partition, record.offset))
    outcomes: Counter[str] = Counter()
    with connect(PostgresSettings(database_url=database_url)) as conn:
        write_batch.prepare(conn)
        for first in range(0, len(log), 700):
            outcomes += Counter({str(outcome): n for outcome, n in project(conn, log[first : first + 700]).items()})
        verdict = fold_log(log)
        assert differences(verdict.rows, stored_rows(conn)) == []
    assert outcomes == verdict.outcomes


def test_pace_is_kept() -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) == 3

    assert len(list(paced(records(SMALL), 2, Stop()))) == 3
    assert waits == [pytest.approx(n / 2, abs=0.2) for n in (1, 2, 3)]
