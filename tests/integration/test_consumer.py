"""The group consumer on a real broker: claims, positions, gaps, and the traps of the client."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from cluster import wait_until
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from polling import polling
from reference_cycles import no_reference_cycles
from topics import create_topic

from projector.domain.positions import Polled
from projector.errors import BrokerUnavailable, LogGap
from projector.kafka.connection import require_reachable
from projector.kafka.consumer import GroupConsumer
from projector.settings import KafkaSettings

RECORDS = 3000


@pytest.fixture
def consumer(kafka: str, topic: str) -> Iterator[GroupConsumer]:
    """An open consumer of its own group. Its fetches are small, so that many are in flight."""
    consumer = GroupConsumer(
        KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id=f"group-{topic}", max_partition_fetch_bytes=2048)
    )
    consumer.open()
    yield consumer
    consumer.close()


@pytest.fixture
def producer(kafka: str) -> Iterator[Any]:
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=2)
    yield producer
    producer.close()


def fill(producer: Any, topic: str, records: int = RECORDS) -> None:
    for number in range(records):
        producer.send(topic, b"%d" % number, partition=number % 3)
    producer.flush()


def assigned(consumer: GroupConsumer) -> None:
    def unclaimed() -> bool:
        assert consumer.poll() == []
        return consumer.unclaimed == [0, 1, 2]

    wait_until(unclaimed, "three partitions")


def start_all(consumer: GroupConsumer, offsets: dict[int, int]) -> None:
    for partition in consumer.unclaimed:
        consumer.start(partition, offsets.get(partition, 0), consumer.log_ranges([partition])[partition])


def take(consumer: GroupConsumer, reached: dict[int, int], seen: list[Polled]) -> None:
    for polled in consumer.poll():
        assert polled.start == reached.get(polled.partition, 0)
        reached[polled.partition] = polled.next_offset
        seen.append(polled)


def offsets(seen: list[Polled]) -> dict[int, list[int]]:
    return {
        partition: [record.offset for polled in seen if polled.partition == partition for record in polled.records]
        for partition in (0, 1, 2)
    }


def test_unclaimed_partition_is_not_read(consumer: GroupConsumer, producer: Any, topic: str) -> None:
    fill(producer, topic, 30)
    assigned(consumer)
    assert consumer.poll() == []
    assert consumer.active == {}
    start_all(consumer, {0: 4, 1: 0, 2: 10})
    assert consumer.active == {0: 4, 1: 0, 2: 10}
    reached, seen = {0: 4, 1: 0, 2: 10}, list[Polled]()

    def at_the_end() -> bool:
        take(consumer, reached, seen)
        return reached == {0: 10, 1: 10, 2: 10}

    wait_until(at_the_end, "the end of each partition")
    assert offsets(seen) == {0: [4, 5, 6, 7, 8, 9], 1: list(range(10)), 2: []}


def test_empty_poll_leaves_no_reference_cycle(consumer: GroupConsumer) -> None:
    """The client keeps its timeout error, whose traceback would keep all records that the callers polled."""
    assigned(consumer)
    start_all(consumer, {})
    with no_reference_cycles(KafkaTimeoutError):
        for wait in (False, True, True, True):
            assert consumer.poll(wait=wait) == []


def test_brokers_collect_records_only_after_a_poll_that_returned_several(
    consumer: GroupConsumer, producer: Any, topic: str
) -> None:
    fill(producer, topic)
    assigned(consumer)
    start_all(consumer, {})
    polls: list[tuple[int, int]] = []
    config = consumer._consumer._fetcher.config

    def poll_until_nothing_follows() -> bool:
        records = sum(len(polled.records) for polled in consumer.poll())
        polls.append((records, config["fetch_max_wait_ms"]))
        return sum(records for records, _ in polls) == RECORDS and records == 0

    wait_until(poll_until_nothing_follows, "every record, and an empty poll")
    consumer.poll()
    polls.append((0, config["fetch_max_wait_ms"]))
    assert {(before >= 3, wait) for (before, _), (_, wait) in pairwise(polls)} == {(True, 1), (False, 500)}


def test_repeated_pauses_lose_no_record(consumer: GroupConsumer, producer: Any, topic: str) -> None:
    """Trap T1: the client can forget a partition that was paused while records of it were buffered."""
    fill(producer, topic)
    assigned(consumer)
    reached: dict[int, int] = {}
    seen: list[Polled] = []

    def read_on() -> bool:
        start_all(consumer, reached)
        take(consumer, reached, seen)
        consumer.pause_all()
        return sum(reached.values()) == RECORDS

    wait_until(read_on, "every record")
    assert offsets(seen) == {partition: list(range(RECORDS // 3)) for partition in (0, 1, 2)}


def test_position_outside_the_log_is_a_gap(consumer: GroupConsumer, producer: Any, kafka: str, topic: str) -> None:
    fill(producer, topic, 30)
    delete_before(kafka, topic, 0, 7)
    assigned(consumer)
    with pytest.raises(LogGap, match="4 records were deleted by retention"):
        consumer.start(0, 3, consumer.log_ranges([0])[0])
    with pytest.raises(LogGap, match="2 projected records are no longer there"):
        consumer.start(1, 12, consumer.log_ranges([1])[1])
    consumer.start(0, 7, consumer.log_ranges([0])[0])
    consumer.start(1, 10, consumer.log_ranges([1])[1])


def test_retention_past_an_active_partition_is_a_gap(
    consumer: GroupConsumer, producer: Any, kafka: str, topic: str
) -> None:
    fill(producer, topic, 30)
    assigned(consumer)
    consumer.start(0, 0, consumer.log_ranges([0])[0])
    delete_before(kafka, topic, 0, 5)

    def poll() -> bool:
        try:
            consumer.poll()
        except LogGap as gap:
            return "5 records were deleted by retention" in str(gap)
        return False

    wait_until(poll, "the gap")


def test_recreated_topic_is_a_gap_without_active_partitions(consumer: GroupConsumer) -> None:
    assigned(consumer)
    consumer._topic_id = "an earlier id"
    with pytest.raises(LogGap, match=r"deleted and created again.*rebuild --from activity-logs"):
        consumer.poll()


def test_missing_topic_is_an_outage(kafka: str) -> None:
    consumer = GroupConsumer(KafkaSettings(bootstrap_servers=kafka, topic="no-such-topic", group_id="unused"))
    with pytest.raises(BrokerUnavailable, match="create it"):
        consumer.open()
    assert not consumer.is_open


def test_one_reachable_bootstrap_address_is_enough(kafka: str) -> None:
    require_reachable(f"127.0.0.1:1,{kafka}")
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1: "):
        require_reachable("127.0.0.1:1")


def test_closing_twice_is_harmless(consumer: GroupConsumer) -> None:
    consumer.close()
    consumer.close()
    assert not consumer.is_open


def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()


def test_revoked_partition_stays_revoked_after_a_pause(consumer: GroupConsumer, producer: Any, topic: str) -> None:
    fill(producer, topic, 30)
    assigned(consumer)
    start_all(consumer, {})
    consumer._assignment.on_partitions_revoked([TopicPartition(topic, 1)])  # as in a rebalance
    consumer.pause_all()
    assert consumer.unclaimed == [0, 2]


def test_partition_that_grew_since_has_no_gap(consumer: GroupConsumer, producer: Any, topic: str) -> None:
    assigned(consumer)
    before = consumer.log_ranges([0])[0]
    fill(producer, topic, 30)
    consumer.start(0, 7, before)
    assert consumer.active == {0: 7}


def test_rejoin_is_completed_after_its_reason_disappears(kafka: str, topic: str) -> None:
    """The client begins a rejoin because its topics changed, and forgets it when they have changed back."""
    settings = KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id=f"group-{topic}")
    leader = GroupConsumer(settings.model_copy(update={"metadata_max_age_ms": 200}))
    leader.open()
    assigned(leader)
    with polling(leader):
        second_member = rejoin_for_another_topic(leader, kafka, f"group-{topic}")
        time.sleep(1)  # several refreshes of the leader's metadata
        second_member.close()
        wait_until(lambda: leader.unclaimed == [0, 1, 2], "the leader's partitions")
    leader.close()


def test_second_member_that_joins_soon_needs_no_regular_heartbeat(kafka: str, topic: str) -> None:
    """The regular heartbeats are further apart than this test waits."""
    settings = KafkaSettings(
        bootstrap_servers=kafka,
        topic=topic,
        group_id=f"group-{topic}",
        heartbeat_interval_ms=300_000,
        session_timeout_ms=1_000_000,
        max_poll_interval_ms=1_000_000,
    )
    first, second = GroupConsumer(settings), GroupConsumer(settings)
    first.open()
    assigned(first)
    with polling(first):
        second.open()
        with polling(second):
            wait_until(lambda: first.unclaimed and second.unclaimed, "two shares")
    assert sorted(first.unclaimed + second.unclaimed) == [0, 1, 2]
    first.close()
    second.close()


def rejoin_for_another_topic(leader: GroupConsumer, kafka: str, group: str) -> Any:
    """A second member with a topic of its own, for which the leader rejoins. It does not poll, so the rejoin waits.

    If the leader knows the topic before it watches it, nothing changes and it does not rejoin. Then another follows.
    """
    for _ in range(5):
        second_member = KafkaConsumer(
            create_topic(kafka), bootstrap_servers=kafka, group_id=group, heartbeat_interval_ms=200
        )
        while not second_member.assignment():
            second_member.poll(timeout_ms=100)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if leader.unclaimed == []:
                return second_member
            time.sleep(0.02)  # polling interval
        second_member.close()
        wait_until(lambda: leader.unclaimed == [0, 1, 2], "the leader's partitions")
    raise AssertionError("the leader never rejoined")
