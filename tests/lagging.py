"""Partitions and groups as Kafka and Postgres describe them, for the rules about the view's state."""

from datetime import timedelta
from typing import Any

from builders import at

from projector.kafka.group import Group, Member
from projector.lag import Partition
from projector.membership import Groups

NOW = at(10)
TOPIC = "activity-log"
MEMBER = Member("vm/1", "projector", "host", frozenset({TOPIC}), frozenset({(TOPIC, 0)}))


def partition(number: int = 0, *, lag: int | None = 0, seconds: float | None = 0.0, **more: Any) -> Partition:
    """A partition that moved a second ago, with its last record four seconds ago."""
    values: dict[str, Any] = dict.fromkeys(Partition._fields) | {
        "partition": number,
        "position": 100,
        "end": None if lag is None else 100 + lag,
        "lag_records": lag,
        "lag_seconds": seconds,
        "lost_records": 0,
        "moved_at": NOW - timedelta(seconds=1),
        "record_at": NOW - timedelta(seconds=4),
    }
    return Partition(**(values | more))


def group(*members: Member, state: str = "Stable", is_classic: bool = True) -> Groups:
    """Our group `g`, with these members."""
    return Groups("g", {"g": Group("g", state, "range", is_classic, members)})
