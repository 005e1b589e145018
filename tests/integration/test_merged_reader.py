"""The merged reader on a real broker: the order of the timestamps, in bounded memory, and what counts as a hole."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import pytest
from compaction import compact
from kafka import KafkaProducer
from topics import create_topic

from projector.domain.merge import Merge, Merged
from projector.domain.positions import LogRange
from projector.errors import BrokerUnavailable
from projector.kafka import reader
from projector.kafka.reader import TopicReader, open_topic
from projector.settings import KafkaSettings

TEN_MS = 1_746_439_200_000


@contextmanager
def opened(kafka: str, topic: str) -> Iterator[TopicReader]:
    with open_topic(KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="unused")) as found:
        yield found


def send(kafka: str, topic: str, times: Mapping[int, Sequence[int]], *, size: int = 10) -> None:
    """Send one record per timestamp (seconds after ten o'clock) to each partition."""
    with closing(KafkaProducer(bootstrap_servers=kafka, linger_ms=5, batch_size=4096)) as producer:
        for partition, own in times.items():
            for time in own:
                producer.send(topic, b"x" * size, partition=partition, timestamp_ms=TEN_MS + time * 1000)
        producer.flush()


def read(topic: TopicReader, ranges: Mapping[int, LogRange] | None = None) -> list[Merged]:
    return list(topic.read_merged(topic.log_ranges() if ranges is None else ranges))


def order(merged: Sequence[Merged]) -> list[tuple[int, int]]:
    """Partition and offset of the records; fails if the parts of a partition are not contiguous."""
    reached: dict[int, int] = {}
    for each in merged:
        for part in each.parts:
            assert part.start == reached.get(part.partition, part.start)
            reached[part.partition] = part.next_offset
    return [(record.partition, record.offset) for each in merged for record in each.records]


def expected(times: Mapping[int, Sequence[int]]) -> list[tuple[int, int]]:
    """The order of the contract, record by record."""
    left = {partition: list(enumerate(own)) for partition, own in times.items() if own}
    found = []
    while left:
        partition = min(left, key=lambda each: (left[each][0][1], each))
        found.append((partition, left[partition].pop(0)[0]))
        if not left[partition]:
            del left[partition]
    return found


def test_order_is_that_of_the_timestamps(kafka: str, topic: str) -> None:
    times = {0: [5, 1, 9], 1: [2, 5, 8], 2: [5]}
    send(kafka, topic, times)
    with opened(kafka, topic) as found:
        assert order(read(found)) == expected(times) == [(1, 0), (0, 0), (0, 1), (1, 1), (2, 0), (1, 2), (0, 2)]
        assert order(read(found, {0: LogRange(1, 3), 1: LogRange(0, 2)})) == [(0, 1), (1, 0), (1, 1), (0, 2)]
        assert order(read(found, {1: LogRange(1, 3)})) == [(1, 1), (1, 2)]
        assert read(found, {}) == []


def test_many_partitions_of_different_sizes_are_merged_in_little_memory(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partition 0 has most records, and the timestamps of others lie long before, long after or between its own."""
    topic, chance = create_topic(kafka, partitions=60), random.Random(7)
    times = {partition: sorted(chance.choices(range(5000), k=chance.choice([0, 3, 60]))) for partition in range(60)}
    times |= {0: [*range(4000)], 1: [*range(5000, 6000)], 2: [*range(-500, 0)], 3: [*range(900, 0, -1)]}
    send(kafka, topic, times, size=500)
    held = []
    take = Merge.take

    def watched(merge: Merge) -> Merged:
        held.append(sum(merge.sizes().values()))
        return take(merge)

    monkeypatch.setattr(Merge, "take", watched)
    monkeypatch.setattr(reader, "MERGE_BYTES", 300_000)
    with opened(kafka, topic) as found:
        assert order(read(found)) == expected(times)
    whole = sum(map(len, times.values())) * 1000
    assert max(held) < 300_000 + 60 * reader.MIN_BYTES < whole / 2


def test_partition_that_returns_nothing_is_named_by_silence(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(kafka, topic, {0: [1], 1: [2]})
    ranges = {0: LogRange(0, 2), 1: LogRange(0, 1)}  # nothing comes at offset 1 of partition 0
    with opened(kafka, topic) as found, pytest.raises(BrokerUnavailable, match="returned no record for 1 s"):
        list(found.read_merged(ranges, silent_seconds=1.0))


def test_transactions_leave_no_hole(kafka: str, topic: str) -> None:
    with closing(KafkaProducer(bootstrap_servers=kafka, transactional_id=f"tx-{topic}")) as producer:
        producer.init_transactions()
        for end in ("abort", "commit", "abort", "abort"):
            producer.begin_transaction()
            for partition in (0, 1):
                producer.send(topic, end.encode(), partition=partition, timestamp_ms=TEN_MS)
            producer.flush()
            getattr(producer, f"{end}_transaction")()
    with opened(kafka, topic) as found:
        merged = read(found)
        assert order(merged) == [(0, 2), (1, 2)]
        parts = [part for each in merged for part in each.parts]
        assert {part.partition: part.next_offset for part in parts} == {0: 8, 1: 8}
        assert [part.holes for part in parts if part.holes] == []


def test_compaction_leaves_holes(kafka: str) -> None:
    topic = create_topic(kafka, config={"segment.ms": "1000"})
    keys = {1: b"kkkkakkkkl", 2: b"abcdefghij"}
    with closing(KafkaProducer(bootstrap_servers=kafka, linger_ms=0)) as producer:
        for partition, own in keys.items():
            for n in range(10):
                time = TEN_MS + (60_000 if n == 9 else n)  # the last one begins a segment
                producer.send(topic, b"x", key=own[n : n + 1], partition=partition, timestamp_ms=time).get()
    compact(kafka, topic, 1, [4, 8, 9])
    with opened(kafka, topic) as found:
        assert found.cleanup_policy() == "compact"
        parts = [part for each in read(found) for part in each.parts]
    holes = {part.partition: part.holes for part in parts if part.holes}
    assert holes == {1: [LogRange(0, 4), LogRange(5, 8)]}


def test_cleanup_policy_is_that_of_the_topic(kafka: str, topic: str) -> None:
    with opened(kafka, topic) as found:
        assert found.cleanup_policy() == "delete"
