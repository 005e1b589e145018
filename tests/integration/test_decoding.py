"""Both decoders read from a real broker what kafka-python's own consumer reads."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from record_bytes import CODECS
from topics import create_topic

from projector.kafka.reader import open_topic
from projector.kafka.record_decoder import FetchedRecord
from projector.settings import KafkaSettings

APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
MS = 1_777_975_200_123
ROUNDS = 3

pytestmark = pytest.mark.usefixtures("decoder")


def by_the_library(kafka: str, topic: str) -> list[FetchedRecord]:
    """The committed records, read to the end of the topic."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed", auto_offset_reset="earliest")
    with closing(consumer):
        consumer.assign([place])
        (end,) = consumer.end_offsets([place]).values()
        found: list[FetchedRecord] = []
        while consumer.position(place) < end:
            for r in consumer.poll(timeout_ms=500).get(place, []):
                found.append(FetchedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value))
        return found


def by_us(kafka: str, topic: str) -> Iterator[FetchedRecord]:
    settings = KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="unused")
    with open_topic(settings) as reader:
        for polled in reader.read(reader.log_ranges()):
            for part in polled:
                assert not part.holes
                yield from part.records  # type: ignore[misc]


def fill(kafka: str, topic: str, codec: str | None) -> None:
    """Records with and without key, value and headers; committed and aborted transactions between them."""
    arguments = {"bootstrap_servers": kafka, "compression_type": codec, "linger_ms": 5}
    with (
        closing(KafkaProducer(**arguments)) as plain,
        closing(KafkaProducer(transactional_id=f"tx-{topic}", **arguments)) as transactional,
    ):
        transactional.init_transactions()
        for n in range(ROUNDS):
            send(plain, topic, n)
            plain.flush()
            transactional.begin_transaction()
            send(transactional, topic, 100 + n)
            if n == 1:
                transactional.abort_transaction()
            else:
                transactional.commit_transaction()
        send(plain, topic, ROUNDS)


def send(producer: Any, topic: str, seed: int) -> None:
    for n in range(50):
        value = None if n % 10 == 9 else b'{"n": %d, "text": "%s"}' % (n, b"some text " * (n * seed % 400))
        headers = [("trace", b"%d" % n), ("größe", b"")] if n % 3 else None
        producer.send(topic, value, None if n % 4 == 0 else b"key", headers, 0, MS - n * seed)


@pytest.mark.parametrize("config", [{}, APPEND_TIME], ids=["create time", "append time"])
@pytest.mark.parametrize("codec", CODECS)
def test_records_are_those_of_the_library(kafka: str, codec: str, config: dict[str, str]) -> None:
    topic = create_topic(kafka, partitions=1, config=config)
    fill(kafka, topic, None if codec == "none" else codec)
    found = list(by_us(kafka, topic))
    assert found == by_the_library(kafka, topic)
    assert len(found) == 50 * 2 * ROUNDS
    assert (MS in {record.timestamp for record in found}) is not bool(config)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "none"])
def test_batches_that_the_broker_compressed_are_read(kafka: str, codec: str) -> None:
    topic = create_topic(kafka, partitions=1, config={"compression.type": codec})
    fill(kafka, topic, None)
    assert list(by_us(kafka, topic)) == by_the_library(kafka, topic)


def test_header_without_utf8_does_not_stop_reading(kafka: str) -> None:
    class NoUtf8(str):
        def encode(self, *_: str) -> bytes:
            return b"\xff\xfe"

    topic = create_topic(kafka, partitions=1)
    with closing(KafkaProducer(bootstrap_servers=kafka)) as producer:
        for headers in (None, [(NoUtf8("x"), b"v")], None):
            producer.send(topic, b"{}", b"key", headers).get(30)
    assert [record.offset for record in by_us(kafka, topic)] == [0, 1, 2]
