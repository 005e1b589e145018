"""A member with a record that Postgres writes too slowly, and the records behind it."""

import json
import math

import pytest
from cluster import Cluster
from rows import delegate
from slow_writes import slow_down_row, speed_up
from stepping import new_worker, step_to_the_end

from projector.domain.positions import Polled
from projector.kafka.consumer import GroupConsumer
from testbed.workload import Record


def request(number: int) -> Record:
    row = delegate(0, request_body={"delegation_id": f"d-{number}", "task": "wait"})
    return Record(f"caller-{number}".encode(), json.dumps(row).encode(), 1_746_439_200_000)


def test_records_polled_while_a_slow_one_is_passed_are_written(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The slow record is forgotten between the batches of one poll."""
    cluster.watch_positions()
    slow_down_row(cluster.database_url, "d-5")
    cluster.publish(request(number) for number in range(30))
    (slow,) = {each.partition for each in cluster.acknowledged if b'"d-5"' in (each.value or b"")}
    member = new_worker(cluster, statement_timeout_ms=1000, max_poll_interval_ms=5000)
    found = member._batches.slow_records._found
    while not found:
        member.step()
    member._tick_at = math.inf
    speed_up(cluster.database_url)
    step_to_the_end(member, cluster)
    poll = GroupConsumer.poll

    def tick_with_others(self: GroupConsumer, *, wait: bool = True) -> list[Polled]:
        polled = poll(self, wait=wait)
        if {slow} < {part.partition for part in polled}:
            member._tick_at = 0
        return polled

    monkeypatch.setattr(GroupConsumer, "poll", tick_with_others)
    while found:
        cluster.publish(request(number) for number in range(30, 60))
        member.step()
    step_to_the_end(member, cluster)
    member.stop()
    assert "fenced" not in caplog.messages
    cluster.assert_projected_once()
    cluster.assert_view_equals_log()
