"""The source on a real broker: seats, positions, gaps, and the client's traps."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster import wait_until
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from reference_cycles import no_reference_cycles
from topics import create_topic

from projector.domain.positions import Polled
from projector.errors import BrokerUnavailable, LogGap
from projector.kafka.connection import require_reachable
from projector.kafka.consumer import GroupConsumer
from projector.settings import KafkaSettings

RECORDS = 3000


@pytest.fixture
def source(kafka: str, topic: str) -> Iterator[GroupConsumer]:
    """An open source of its own group, whose fetches are so small that many are on their way."""
    source = GroupConsumer(
        KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id=f"group-{topic}", max_partition_fetch_bytes=2048)
    )
    source.open()
    yield source
    source.close()


@pytest.fixture
def producer(kafka: str) -> Iterator[Any]:
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=2)
    yield producer
    producer.close()


def fill(producer: Any, topic: str, records: int = RECORDS) -> None:
    for number in range(records):
        producer.send(topic, b"%d" % number, partition=number % 3)
    producer.flush()


def assigned(source: GroupConsumer) -> None:
    def unclaimed() -> bool:
        assert source.poll() == []
        return source.unclaimed == [0, 1, 2]

    wait_until(unclaimed, "three partitions")


def seat_all(source: GroupConsumer, offsets: dict[int, int]) -> None:
    for partition in source.unclaimed:
        source.start(partition, offsets.get(partition, 0), source.log_ranges([partition])[partition])


def take(source: GroupConsumer, reached: dict[int, int], seen: list[Polled]) -> None:
    for polled in source.poll():
        assert polled.start == reached.get(polled.partition, 0)
        reached[polled.partition] = polled.next_offset
        seen.append(polled)


def offsets(seen: list[Polled]) -> dict[int, list[int]]:
    return {
        partition: [record.offset for polled in seen if polled.partition == partition for record in polled.records]
        for partition in (0, 1, 2)
    }


def test_unclaimed_partition_is_not_read(source: GroupConsumer, producer: Any, topic: str) -> None:
    fill(producer, topic, 30)
    assigned(source)
    assert source.poll() == []
    assert source.active == {}
    seat_all(source, {0: 4, 1: 0, 2: 10})
    assert source.active == {0: 4, 1: 0, 2: 10}
    reached, seen = {0: 4, 1: 0, 2: 10}, list[Polled]()

    def at_the_ends() -> bool:
        take(source, reached, seen)
        return reached == {0: 10, 1: 10, 2: 10}

    wait_until(at_the_ends, "the ends")
    assert offsets(seen) == {0: [4, 5, 6, 7, 8, 9], 1: list(range(10)), 2: []}


def test_empty_poll_leaves_no_reference_cycle(source: GroupConsumer) -> None:
    """The client's error of it holds itself, and with that all that its callers polled, unless we step in."""
    assigned(source)
    seat_all(source, {})
    with no_reference_cycles(KafkaTimeoutError):
        for patient in (False, True, True, True):
            assert source.poll(wait=patient) == []


def test_repeated_pauses_lose_no_record(source: GroupConsumer, producer: Any, topic: str) -> None:
    """Trap T1: the client can forget a partition that was paused while half consumed."""
    fill(producer, topic)
    assigned(source)
    reached: dict[int, int] = {}
    seen: list[Polled] = []

    def read_on() -> bool:
        seat_all(source, reached)
        take(source, reached, seen)
        source.pause_all()
        return sum(reached.values()) == RECORDS

    wait_until(read_on, "every record")
    assert offsets(seen) == {partition: list(range(RECORDS // 3)) for partition in (0, 1, 2)}


def test_position_outside_the_log_is_a_gap(source: GroupConsumer, producer: Any, kafka: str, topic: str) -> None:
    fill(producer, topic, 30)
    delete_before(kafka, topic, 0, 7)
    assigned(source)
    with pytest.raises(LogGap, match="4 records were deleted by retention"):
        source.start(0, 3, source.log_ranges([0])[0])
    with pytest.raises(LogGap, match="2 projected records are no longer there"):
        source.start(1, 12, source.log_ranges([1])[1])
    source.start(0, 7, source.log_ranges([0])[0])
    source.start(1, 10, source.log_ranges([1])[1])


def test_retention_past_an_active_partition_is_a_gap(
    source: GroupConsumer, producer: Any, kafka: str, topic: str
) -> None:
    fill(producer, topic, 30)
    assigned(source)
    source.start(0, 0, source.log_ranges([0])[0])
    delete_before(kafka, topic, 0, 5)

    def poll() -> bool:
        try:
            source.poll()
        except LogGap as gap:
            return "5 records were deleted by retention" in str(gap)
        return False

    wait_until(poll, "the gap")


def test_recreated_topic_is_a_gap_without_active_partitions(source: GroupConsumer) -> None:
    assigned(source)
    source._topic_id = "the id before the topic was created again"
    with pytest.raises(LogGap, match=r"deleted and created again.*rebuild --from activity-logs"):
        source.poll()


def test_missing_topic_is_an_outage(kafka: str) -> None:
    source = GroupConsumer(KafkaSettings(bootstrap_servers=kafka, topic="no-such-topic", group_id="nobody"))
    with pytest.raises(BrokerUnavailable, match="create it"):
        source.open()
    assert not source.is_open


def test_one_reachable_bootstrap_address_is_enough(kafka: str) -> None:
    require_reachable(f"127.0.0.1:1,{kafka}")
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1: "):
        require_reachable("127.0.0.1:1")


def test_closing_twice_is_harmless(source: GroupConsumer) -> None:
    source.close()
    source.close()
    assert not source.is_open


def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()


def test_revoked_partition_stays_revoked_after_a_pause(source: GroupConsumer, producer: Any, topic: str) -> None:
    fill(producer, topic, 30)
    assigned(source)
    seat_all(source, {})
    source._assignment.on_partitions_revoked([TopicPartition(topic, 1)])  # as the client does while others join
    source.pause_all()
    assert source.unclaimed == [0, 2]


def test_partition_that_grew_since_has_no_gap(source: GroupConsumer, producer: Any, topic: str) -> None:
    assigned(source)
    before = source.log_ranges([0])[0]
    fill(producer, topic, 30)
    source.start(0, 7, before)
    assert source.active == {0: 7}


def test_rejoin_is_completed_after_its_reason_disappears(kafka: str, topic: str) -> None:
    """Trap: the client begins a join because topics changed, and forgets it when they are again as they were."""
    settings = KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id=f"group-{topic}")
    member = GroupConsumer(settings.model_copy(update={"metadata_max_age_ms": 200}))
    member.open()
    assigned(member)
    guest = KafkaConsumer(
        create_topic(kafka), bootstrap_servers=kafka, group_id=f"group-{topic}", heartbeat_interval_ms=200
    )

    def guest_is_in() -> bool:
        guest.poll(timeout_ms=100)
        return bool(guest.assignment())

    with playing(member):
        wait_until(guest_is_in, "the guest, whose topic the group's leader watches from now on")
        # The leader joins anew for that topic, alone: the guest does not poll. Meanwhile it forgets the topic.
        wait_until(lambda: member.unclaimed == [], "the leader's own join")
        time.sleep(1)  # several refreshes of its metadata
        guest.close()
        wait_until(lambda: member.unclaimed == [0, 1, 2], "the leader's partitions")
    member.close()


@contextmanager
def playing(source: GroupConsumer) -> Iterator[None]:
    """Poll all the while, as a member does."""
    over = threading.Event()

    def poll() -> None:
        while not over.is_set():
            source.poll()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
