"""What the order between partitions may have decided (events/README.md, section 4).

Kafka gives no order between partitions. A projector that reads several at once can thus come to another row than the
merge of the whole log, without a fault in either.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from testbed.oracle.envelopes import NoEvent
from testbed.oracle.log import LogRecord, merge_partitions
from testbed.oracle.reading import Event, Reader

UNDECIDED_COLUMNS = frozenset({"status", "result_preview", "error_detail", "last_heartbeat", "updated_at"})
_TERMINAL = {"completed", "failed", "stuck"}


class Undecided(NamedTuple):
    """What the source does not tell about a delegation: the columns of its row, and whether the row is there."""

    columns: frozenset[str]
    presence: bool


class _PlacedEvent(NamedTuple):
    partition: int
    event: Event

    @property
    def key(self) -> tuple[str, str] | None:
        request = self.event.request
        if request is None or request.idempotency_key is None:
            return None
        return request.caller_id, request.idempotency_key


def order_not_told(records: Iterable[LogRecord]) -> dict[str, Undecided]:
    """Return what the order between partitions may have decided, per delegation; records in any order.

    A delegation whose group lies in one partition is not in the result.
    """
    undecided: dict[str, Undecided] = {}
    for group in _groups(_events(records)):
        if len({each.partition for each in group}) > 1:
            columns = UNDECIDED_COLUMNS if _contradicts(group) else frozenset[str]()
            repeated = _with_shared_key(group)
            for delegation_id in {each.event.delegation_id for each in group}:
                undecided[delegation_id] = Undecided(columns, delegation_id in repeated)
    return undecided


def _events(records: Iterable[LogRecord]) -> list[_PlacedEvent]:
    reader = Reader()
    read = ((record.partition, reader.read(record.value, record.timestamp)) for record in merge_partitions(records))
    return [_PlacedEvent(partition, event) for partition, event in read if not isinstance(event, NoEvent)]


def _groups(events: list[_PlacedEvent]) -> Iterable[list[_PlacedEvent]]:
    """Divide the events: a delegation is in one group with all that asked with one of its keys."""
    parents: dict[tuple[str, ...], tuple[str, ...]] = {}

    def root(name: tuple[str, ...]) -> tuple[str, ...]:
        while (parent := parents.setdefault(name, name)) != name:
            name = parent
        return name

    for each in events:
        if each.key is not None:
            parents[root(each.key)] = root((each.event.delegation_id,))
    groups: defaultdict[tuple[str, ...], list[_PlacedEvent]] = defaultdict(list)
    for each in events:
        groups[root((each.event.delegation_id,))].append(each)
    return groups.values()


def _contradicts(group: list[_PlacedEvent]) -> bool:
    """Whether the group has two different terminal statuses, or a verdict and another event."""
    terminal = _TERMINAL.intersection(each.event.status or "" for each in group)
    return len(terminal) > 1 or any(each.event.kind == "verdict" for each in group)


def _with_shared_key(group: list[_PlacedEvent]) -> set[str]:
    """Return the delegations that asked with a key with which another one asked too."""
    by_key: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for each in group:
        if each.key is not None:
            by_key[each.key].add(each.event.delegation_id)
    return {delegation_id for ids in by_key.values() if len(ids) > 1 for delegation_id in ids}
