"""Batches of a member: they grow while it catches up, and at the end of the log every poll is written at once."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import Cluster, wait_until
from kafka import TopicPartition
from stepping import new_worker, step_to_the_end

from projector.domain.positions import Polled
from projector.errors import BrokerUnavailable
from projector.kafka.consumer import GroupConsumer
from projector.kafka.reader import open_topic
from projector.projection.transaction import PendingBatch
from projector.worker import batches, loop
from projector.worker.loop import Worker
from projector.worker.stalls import StallDetector
from testbed.workload import Mix

BACKLOG = Mix(delegations=300)
"""Some 3,000 records, in many polls of a member that fetches little."""
SMALL_FETCHES = {"max_partition_fetch_bytes": 16 * 1024, "batch_records": 10_000}


class Counts:
    """Polls with records, and batches."""

    polls = 0
    batches = 0


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    found, poll = Counts(), GroupConsumer.poll

    def counted(self: GroupConsumer, *, wait: bool = True) -> list[Polled]:
        polled = poll(self, wait=wait)
        found.polls += any(part.records for part in polled)
        return polled

    class Counted(PendingBatch):
        def __init__(self, *arguments: object, **named: object) -> None:
            found.batches += 1
            super().__init__(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(GroupConsumer, "poll", counted)
    monkeypatch.setattr(loop, "PendingBatch", Counted)
    return found


@contextmanager
def catching_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A member that fetches little, and a backlog for it."""
    monkeypatch.setattr(batches, "_MOST_SECONDS", math.inf)
    monkeypatch.setattr(batches, "_BACKLOG_RECORDS", 50)
    cluster.publish(BACKLOG)
    member = new_worker(cluster, **SMALL_FETCHES)
    yield member
    member.stop()


def step_until_growing(member: Worker, cluster: Cluster) -> None:
    """Step until a batch holds several polls."""

    def has_grown() -> bool:
        before = member._batches.is_growing
        member.step()
        return before and member._batches.is_growing and sum(member.consumer.active.values()) > 0

    wait_until(has_grown, "a batch of several polls")
    assert sum(member.consumer.active.values()) > cluster.projected_records()


def test_batches_grow_with_the_backlog(cluster: Cluster, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    with catching_up(cluster, monkeypatch) as member:
        step_to_the_end(member, cluster)
    assert counts.polls > 10
    assert counts.batches < counts.polls / 2
    assert member.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_view_equals_log()


def test_every_poll_at_the_end_of_the_log_is_written_at_once(cluster: Cluster) -> None:
    member = new_worker(cluster)
    cluster.publish(Mix(delegations=1))
    step_to_the_end(member, cluster)
    with cluster.publishing(Mix(delegations=20, seed=8), per_second=100):
        for _ in range(50):
            member.step()
            assert member.consumer.active == cluster.positions()
    step_to_the_end(member, cluster)
    member.stop()
    cluster.assert_view_equals_log()


def test_partition_given_up_while_a_batch_grows_is_read_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.watch_positions()
    with catching_up(cluster, monkeypatch) as member:
        step_until_growing(member, cluster)
        gathered = min(member._batches._gathering._moves)
        member.consumer._assignment.reset([TopicPartition(cluster.topic, gathered)])  # as a rebalance does
        step_to_the_end(member, cluster)
    assert "fenced" not in caplog.messages
    assert member.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_projected_once()
    cluster.assert_view_equals_log()


def test_second_member_joins_while_a_batch_grows(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.watch_positions()
    with catching_up(cluster, monkeypatch) as member:
        step_until_growing(member, cluster)
        member._stalls = StallDetector(60)  # it does not step while the second one starts
        second = cluster.start_member()
        with open_topic(member.settings) as topic:
            wait_until(lambda: not topic.group(member.settings.group_id).is_settled, "a rebalance")
        assert member._batches.is_growing
        step_to_the_end(member, cluster)
        second.wait_for_log("partition claimed")
    assert "fenced" not in caplog.messages
    cluster.assert_projected_once()
    cluster.assert_view_equals_log()


def test_stop_while_a_batch_grows_counts_only_what_is_written(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with catching_up(cluster, monkeypatch) as member:
        step_until_growing(member, cluster)
        member.stop()
        assert member.outcomes.total() == cluster.projected_records() < len(cluster.acknowledged)
        successor = new_worker(cluster)
        step_to_the_end(successor, cluster)
        successor.stop()
    assert member.outcomes.total() + successor.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_view_equals_log()


def test_outage_of_kafka_while_a_batch_grows(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.watch_positions()
    with catching_up(cluster, monkeypatch) as member:
        step_until_growing(member, cluster)
        member.consumer._consumer._fetcher = None  # as a defect of the library would
        step_to_the_end(member, cluster)
    assert member.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_projected_once()
    cluster.assert_view_equals_log()


def test_what_was_read_is_written_before_the_consumer_is_given_up(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each poll after the first records fails, as at a damaged batch."""
    cluster.watch_positions()
    with catching_up(cluster, monkeypatch) as member:
        step_until_growing(member, cluster)
        read = sum(member.consumer.active.values())
        poll = GroupConsumer.poll

        def fail_after_records(self: GroupConsumer, *, wait: bool = True) -> list[Polled]:
            if any(self.active.values()):
                raise BrokerUnavailable("a damaged batch")
            return poll(self, wait=wait)

        monkeypatch.setattr(GroupConsumer, "poll", fail_after_records)

        def is_written() -> bool:
            member.step()
            return cluster.projected_records() >= read

        wait_until(is_written, "what was read is written")
        member.step()
        assert not member.consumer.is_open
        monkeypatch.setattr(GroupConsumer, "poll", poll)
        step_to_the_end(member, cluster)
    assert member.outcomes.total() == len(cluster.acknowledged)
    cluster.assert_projected_once()
    cluster.assert_view_equals_log()
