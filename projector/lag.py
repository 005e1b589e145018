"""Lag: how far the view is behind the topic, per partition, and the open transactions that block records."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from projector.contract.fields import recorded_at
from projector.domain.positions import LogRange, Position, log_gap
from projector.errors import ProjectorError
from projector.kafka.reader import TopicReader, open_topic
from projector.kafka.transactions import transactional_ids
from projector.membership import Groups
from projector.postgres.queries import PositionDetail
from projector.settings import KafkaSettings
from projector.texts import counted

WAIT_SECONDS = 2.0
_FETCH_BYTES = 64 * 1024


class OpenTransaction(NamedTuple):
    """The first open transaction of a partition, which begins at `offset`, the last stable offset.

    Readers of committed records get no record between this offset and the high watermark, of any producer. `since` is
    the timestamp of the first record of the transaction. The id is None if Kafka does not return it.
    """

    partition: int
    offset: int
    high_watermark: int
    since: datetime | None = None
    transactional_id: str | None = None

    @property
    def waiting_offsets(self) -> int:
        return self.high_watermark - self.offset

    def __str__(self) -> str:
        since = f", since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        name = f" (transactional id {self.transactional_id})" if self.transactional_id else ""
        return (
            f"partition {self.partition}: an open transaction{name} blocks {counted(self.waiting_offsets, 'offset')} "
            f"from offset {self.offset} on{since}"
        )


def log_gaps(positions: Mapping[int, Position], topic_id: str | None, ranges: Mapping[int, LogRange]) -> dict[int, str]:
    """Partition → what is lost between its position and the topic as it is now, if anything is. Read positions first.

    The positions of a topic that was created again say nothing about the topic as it is now.
    """
    gaps = {number: log_gap(position, topic_id, ranges.get(number)) for number, position in positions.items()}
    return {number: gap for number, gap in gaps.items() if gap}


class Backlog(NamedTuple):
    """The offsets that a partition holds, and the timestamp (ms) of the first record that is not projected, if any."""

    held: LogRange
    first_timestamp: int | None
    open_transaction: OpenTransaction | None = None


class TopicState(NamedTuple):
    """The topic's `cleanup.policy`, None if unknown, the backlog and the gap of each partition, and its groups."""

    cleanup_policy: str | None
    backlog: dict[int, Backlog]
    gaps: dict[int, str]
    groups: Groups


def topic_state(
    settings: KafkaSettings, positions: Mapping[int, Position], groups: Iterable[str] | None = ()
) -> TopicState:
    """The topic, with what each partition holds beyond its position; all without a position. And these groups and ours.

    Joins no group. With None it asks for no group: that request creates the topic of offsets in a new cluster. Raises
    BrokerUnavailable if Kafka or the topic is not there, Misconfigured if access is refused.
    """
    with open_topic(settings, fetch_bytes=_FETCH_BYTES) as topic:
        ranges, waiting = _ranges(settings, topic)
        offsets = {number: position.offset for number, position in positions.items()}
        starts = {partition: max(offsets.get(partition, 0), held.beginning) for partition, held in ranges.items()}
        behind = {partition: LogRange(start, ranges[partition].end) for partition, start in starts.items()}
        first = _first_timestamps(topic, behind)
        backlog = {number: Backlog(held, first.get(number), waiting.get(number)) for number, held in ranges.items()}
        gaps, described = log_gaps(positions, topic.topic_id, ranges), _groups(topic, settings.group_id, groups)
        return TopicState(topic.cleanup_policy(), backlog, gaps, described)


def _groups(topic: TopicReader, ours: str, others: Iterable[str] | None) -> Groups:
    described, unknown = {}, {}
    for group_id in () if others is None else dict.fromkeys((ours, *others)):
        try:
            described[group_id] = topic.group(group_id)
        except ProjectorError as error:
            unknown[group_id] = str(error)
    return Groups(ours, described, unknown)


def open_transactions(settings: KafkaSettings) -> dict[int, OpenTransaction]:
    """Partition → its first open transaction, if there is one. Joins no group. Raises as `topic_state`."""
    with open_topic(settings, fetch_bytes=_FETCH_BYTES) as topic:
        return _ranges(settings, topic)[1]


def _ranges(settings: KafkaSettings, committed: TopicReader) -> tuple[dict[int, LogRange], dict[int, OpenTransaction]]:
    """The ranges for readers of committed records, and the open transactions."""
    with open_topic(settings, fetch_bytes=_FETCH_BYTES, uncommitted=True) as topic:
        # First the high watermarks: else a record that is committed between the two reads would seem to wait.
        marks = {partition: held.end for partition, held in topic.log_ranges().items()}
        ranges = committed.log_ranges()
        behind = {
            number: LogRange(held.end, marks[number])
            for number, held in ranges.items()
            if held.end < marks.get(number, 0)
        }
        first = _first_timestamps(topic, behind)
    names = transactional_ids(settings, {number: waiting.beginning for number, waiting in behind.items()})
    return ranges, {
        number: OpenTransaction(number, *waiting, recorded_at(first.get(number)), names.get(number))
        for number, waiting in behind.items()
    }


def _first_timestamps(topic: TopicReader, behind: Mapping[int, LogRange]) -> dict[int, int]:
    """Partition → timestamp of the first record in these offsets, if it arrives within two seconds."""
    found: dict[int, int] = {}
    wanted = sum(held.beginning < held.end for held in behind.values())
    until = time.monotonic() + WAIT_SECONDS
    for polled in topic.read(behind) if wanted else ():
        for part in polled:
            if part.records and part.records[0].timestamp is not None:
                found.setdefault(part.partition, part.records[0].timestamp)
        if len(found) == wanted or time.monotonic() > until:
            break
    return found


class Partition(NamedTuple):
    """The lag of one partition. A value is None if Kafka does not answer or the value does not exist yet.

    `lost_records` were deleted from the topic before they were projected: `run` stops there with the remedy. It also
    stops at any other `gap` between position and topic, such as a topic that was created again: the lag is then None.
    `end` is the last stable offset. The offsets from there to the high watermark wait behind an open transaction.
    """

    partition: int
    position: int | None
    beginning: int | None
    end: int | None
    high_watermark: int | None
    open_transaction: OpenTransaction | None
    lag_records: int | None
    lag_seconds: float | None
    lost_records: int
    owner: str | None
    group_id: str | None
    assigned_to: str | None
    claimed_at: datetime | None
    moved_at: datetime | None
    record_at: datetime | None
    gap: str | None = None

    @property
    def is_at_gap(self) -> bool:
        """Whether records are lost between the position and what the topic holds."""
        return bool(self.gap or self.lost_records)


def partitions(
    positions: Iterable[PositionDetail],
    log: Mapping[int, Backlog],
    *,
    at: datetime,
    gaps: Mapping[int, str] = MappingProxyType({}),
    assigned: Mapping[int, str] | None = None,
) -> list[Partition]:
    """Every partition of the topic or with a position, in order.

    `lag_seconds` is the age of the first record that is not projected.
    """
    known = {position.partition: position for position in positions}
    found = [_partition(number, known.get(number), log.get(number), at) for number in sorted(known.keys() | log.keys())]
    found = [each._replace(assigned_to=(assigned or {}).get(each.partition)) for each in found]
    return [_with_gap(each, gaps.get(each.partition)) for each in found]


def _with_gap(partition: Partition, gap: str | None) -> Partition:
    """Beside a gap, the lag counts only what the topic holds beyond records that were lost."""
    if gap is None or partition.lost_records:
        return partition._replace(gap=gap)
    return partition._replace(gap=gap, lag_records=None, lag_seconds=None)


def _partition(number: int, position: PositionDetail | None, backlog: Backlog | None, at: datetime) -> Partition:
    offset = position.next_offset if position else None
    held = backlog.held if backlog else None
    lag = None if held is None else held.end - max(held.beginning if offset is None else offset, held.beginning)
    waiting = backlog.open_transaction if backlog else None
    return Partition(
        partition=number,
        position=offset,
        beginning=held.beginning if held else None,
        end=held.end if held else None,
        high_watermark=waiting.high_watermark if waiting else held.end if held else None,
        open_transaction=waiting,
        lag_records=None if lag is None else max(lag, 0),
        lag_seconds=_seconds(lag, position, backlog, at),
        lost_records=0 if held is None or offset is None else max(held.beginning - offset, 0),
        owner=position.member if position else None,
        group_id=position.group_id if position else None,
        assigned_to=None,
        claimed_at=position.claimed_at if position else None,
        moved_at=position.moved_at if position else None,
        record_at=position.record_at if position else None,
    )


def _seconds(lag: int | None, position: PositionDetail | None, backlog: Backlog | None, at: datetime) -> float | None:
    if lag is None or backlog is None:
        return None
    if lag <= 0:
        return 0.0
    oldest = recorded_at(backlog.first_timestamp) or (position.record_at if position else None)
    return None if oldest is None else max((at - oldest).total_seconds(), 0.0)
