"""The reader without a group on a real broker: ranges, markers, gaps, timestamps."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from topics import create_topic

from projector.domain.positions import LogRange
from projector.errors import BrokerUnavailable, LogGap
from projector.kafka.reader import TopicReader, open_topic
from projector.settings import KafkaSettings

TEN_MS = 1_746_439_200_000
MINUTE_MS = 60_000
SMALL_FETCH = 2048


@contextmanager
def opened(kafka: str, topic: str, fetch_bytes: int | None = None) -> Iterator[TopicReader]:
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic=topic, group_id="unused", max_partition_fetch_bytes=fetch_bytes or 1024 * 1024
    )
    with open_topic(settings, fetch_bytes=fetch_bytes) as reader:
        yield reader


@contextmanager
def producer(kafka: str, transaction: str | None = None) -> Iterator[Any]:
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=transaction, linger_ms=5)
    if transaction:
        producer.init_transactions()
        producer.begin_transaction()
    yield producer
    producer.close()


def send(producer: Any, topic: str, partition: int, count: int) -> None:
    """Send records whose timestamps are one minute apart, from ten o'clock."""
    for n in range(count):
        producer.send(topic, b"%d" % n, partition=partition, timestamp_ms=TEN_MS + n * MINUTE_MS)
    producer.flush()


def fill(kafka: str, topic: str, counts: Mapping[int, int]) -> None:
    with producer(kafka) as plain:
        for partition, count in counts.items():
            send(plain, topic, partition, count)


def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()


def read(reader: TopicReader, ranges: Mapping[int, LogRange]) -> dict[int, list[int]]:
    """Return partition → offsets of its records; fails if the polls of a partition are not contiguous."""
    found: dict[int, list[int]] = {partition: [] for partition in ranges}
    reached = {partition: held.beginning for partition, held in ranges.items()}
    for polled in reader.read(ranges):
        for part in polled:
            assert part.start == reached[part.partition] < part.next_offset
            reached[part.partition] = part.next_offset
            assert [record.value for record in part.records] == [b"%d" % record.offset for record in part.records]
            found[part.partition] += [record.offset for record in part.records]
    assert reached == {partition: held.end for partition, held in ranges.items()}
    return found


def test_ranges_are_read_completely_and_once(kafka: str, topic: str) -> None:
    fill(kafka, topic, {0: 1500, 1: 10, 2: 5})
    with opened(kafka, topic, SMALL_FETCH) as reader:
        assert reader.log_ranges() == {0: LogRange(0, 1500), 1: LogRange(0, 10), 2: LogRange(0, 5)}
        assert reader.log_ranges([2]) == {2: LogRange(0, 5)}
        assert read(reader, {0: LogRange(700, 1400), 1: LogRange(3, 7)}) == {0: [*range(700, 1400)], 1: [3, 4, 5, 6]}


def test_topic_can_be_read_again(kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projector.kafka.reader.SILENT_SECONDS", 3.0)
    fill(kafka, topic, {0: 20, 1: 5})
    with opened(kafka, topic) as reader:
        for _ in range(2):
            assert read(reader, {0: LogRange(0, 10), 1: LogRange(0, 5)}) == {0: [*range(10)], 1: [*range(5)]}
        assert read(reader, {0: LogRange(10, 20)}) == {0: [*range(10, 20)]}


def test_empty_range_and_empty_topic_give_nothing(kafka: str, topic: str) -> None:
    with opened(kafka, topic) as reader:
        assert reader.log_ranges() == dict.fromkeys((0, 1, 2), LogRange(0, 0))
        assert list(reader.read(reader.log_ranges())) == []
        fill(kafka, topic, {0: 5})
        assert read(reader, {0: LogRange(3, 3), 1: LogRange(0, 0)}) == {0: [], 1: []}


def test_end_after_a_transaction_marker_is_reached(kafka: str, topic: str) -> None:
    with producer(kafka, f"tx-{topic}") as transactional:
        send(transactional, topic, 0, 3)
        transactional.commit_transaction()
    with opened(kafka, topic) as reader:
        assert reader.log_ranges([0]) == {0: LogRange(0, 4)}
        assert read(reader, reader.log_ranges([0])) == {0: [0, 1, 2]}


def test_only_committed_records_are_read(kafka: str, topic: str) -> None:
    with producer(kafka, f"tx-{topic}") as transactional:
        send(transactional, topic, 0, 3)
        send(transactional, topic, 1, 2)
        transactional.abort_transaction()
        transactional.begin_transaction()
        send(transactional, topic, 1, 7)
        with opened(kafka, topic) as reader:
            assert reader.log_ranges([0, 1]) == {0: LogRange(0, 4), 1: LogRange(0, 3)}
            assert read(reader, reader.log_ranges([0, 1])) == {0: [], 1: []}
        transactional.abort_transaction()


def test_range_before_the_first_offset_is_a_gap(kafka: str, topic: str) -> None:
    fill(kafka, topic, {1: 10})
    delete_before(kafka, topic, 1, 4)
    with opened(kafka, topic) as reader, pytest.raises(LogGap, match=r"offset 2 is not in partition 1 .* 4 to 10"):
        read(reader, {1: LogRange(2, 10)})


def test_retention_past_the_reader_is_a_gap(kafka: str, topic: str) -> None:
    fill(kafka, topic, {0: 3000})
    with opened(kafka, topic, SMALL_FETCH) as reader:
        polls = reader.read({0: LogRange(0, 3000)})
        assert next(polled for polled in polls if polled)[0].next_offset < 2900
        delete_before(kafka, topic, 0, 2900)
        with pytest.raises(LogGap, match=r"is not in partition 0 .* 2900 to 3000.*Run the command again"):
            for _ in polls:
                pass


def test_timestamp_gives_the_first_offset_from_then(kafka: str, topic: str) -> None:
    fill(kafka, topic, {0: 10, 1: 2})
    times = {0: TEN_MS + 3 * MINUTE_MS - 1, 1: TEN_MS + 5 * MINUTE_MS, 2: 0}
    with opened(kafka, topic) as reader:
        assert reader.offsets_at(times) == {0: 3}
        assert reader.offsets_at({0: 0, 1: TEN_MS + MINUTE_MS}) == {0: 0, 1: 1}
        assert reader.offsets_at({}) == {}


def test_reader_names_a_missing_topic(kafka: str) -> None:
    with pytest.raises(BrokerUnavailable, match="no-such-topic does not exist"), opened(kafka, "no-such-topic"):
        pass


def test_two_topics_have_different_ids(kafka: str, topic: str) -> None:
    with opened(kafka, topic) as one, opened(kafka, create_topic(kafka, partitions=1)) as other:
        assert one.topic_id != other.topic_id
        assert None not in (one.topic_id, other.topic_id)
        assert (one.partitions, other.partitions) == ([0, 1, 2], [0])


def test_closing_with_requests_in_flight_logs_nothing(kafka: str, topic: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), opened(kafka, topic) as reader:
        cluster = reader._client._cluster
        cluster.request_update()
        deadline = time.monotonic() + 30
        while not cluster.metadata_refresh_in_progress:  # no sleep: the refresh takes about a millisecond
            assert time.monotonic() < deadline
    # On a busy machine the client's selector warns about its own slow tasks; `projector.logs` leaves these out.
    assert [record.message for record in caplog.records if record.name != "kafka.net.selector"] == []
