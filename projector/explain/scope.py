"""The scope: the partitions and offsets in which the records of a delegation are searched.

The first search reads the partition of the caller, beginning one day before the row was created. This is enough while
the clocks of the producers are roughly right. If the records do not explain the row, `widen` names a larger scope.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from projector.domain.fold import TranslatedRecord
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import Outcome
from projector.domain.positions import LogRange
from projector.explain.search import Search
from projector.explain.timeline import Timeline
from projector.kafka.reader import TopicReader

MARGIN = timedelta(days=1)
"""How much older than its event a record's timestamp may be. It covers clocks that differ, but not backfills."""

NEWEST = 100_000
"""How many of the newest records are searched for an id about which Postgres has nothing: it is probably a typo."""

Ranges: TypeAlias = Mapping[int, LogRange]
"""Partition → the offsets in it."""


class ScopeOptions(NamedTuple):
    """The user's choice: the caller, if no row contains it, or the whole topic at once. `newest`: see NEWEST."""

    caller: str | None = None
    everywhere: bool = False
    newest: int = NEWEST


class KnownFacts(NamedTuple):
    """What Postgres contributes to the first scope: the row, and the partitions of the delegation's parked events.

    `is_known`: it has anything of the delegation, also a repeated request.
    """

    row: Delegation | None
    partitions: set[int]
    is_known: bool


def initial_ranges(topic: TopicReader, log_ranges: Ranges, options: ScopeOptions, known: KnownFacts) -> Ranges:
    """The partitions to which the caller's key leads, from the row's time on; the whole topic without a caller.

    If Postgres has nothing about the delegation, it is the end of each partition.
    """
    callers = {each for each in (options.caller, known.row and known.row.caller_id) if each}
    if options.everywhere or not callers:
        return log_ranges if options.everywhere or known.is_known else _newest(log_ranges, options.newest)
    partitions = known.partitions | {topic.partition_of(key) for caller in callers for key in _keys(caller)}
    ranges = {partition: log_ranges[partition] for partition in sorted(partitions) if partition in log_ranges}
    return ranges if known.row is None else _from_time_of(known.row, topic, ranges)


def _keys(caller: str) -> tuple[bytes, bytes]:
    """The caller as a record key: the platform's publisher writes plain text, Debezium's JSON converter an object."""
    return caller.encode(), b'{"workspace_id":"%s"}' % caller.encode()


def _newest(log_ranges: Ranges, records: int) -> Ranges:
    each = max(records // max(len(log_ranges), 1), 1)
    return {number: LogRange(max(log.beginning, log.end - each), log.end) for number, log in log_ranges.items()}


def _from_time_of(row: Delegation, topic: TopicReader, ranges: Ranges) -> Ranges:
    since_ms = int((row.created_at.timestamp() - MARGIN.total_seconds()) * 1000)
    if since_ms <= 0:  # to Kafka -1 and -2 are not times: they mean the end and the beginning of the log
        return ranges
    starts = topic.offsets_at(dict.fromkeys(ranges, since_ms))
    return {
        partition: LogRange(min(max(starts.get(partition, log.end), log.beginning), log.end), log.end)
        for partition, log in ranges.items()
    }


def widen(
    search: Search, ranges: Ranges, log_ranges: Ranges, timeline: Timeline, *, is_known: bool, is_explained: bool
) -> tuple[Ranges, str] | None:
    """The next scope and the reason for it; None if this one was enough, or if the whole topic was read.

    Only records of the whole topic can show that the row is not what its records make. If nothing is known of the
    delegation, and none of the records that were read names it, the search ends.
    """
    if ranges == log_ranges or not (is_known or search.matches):
        return None
    whole_partitions = {partition: log_ranges[partition] for partition in ranges}
    is_partial = ranges != whole_partitions
    wider = whole_partitions if is_partial else log_ranges
    requests = search.requests()
    if not requests:
        return wider, "no request of the delegation was found there"
    if not all(map(_is_keyed_by_caller, requests)):
        return log_ranges, "the records are not keyed by the caller, so they can be on any partition"
    if not is_explained:
        return wider, "the records that were found there do not explain the row"
    if is_partial and any(entry.outcome is Outcome.PARKED for entry in timeline.entries):
        return wider, "an event was found there before any request of the delegation"
    return None


def _is_keyed_by_caller(found: TranslatedRecord) -> bool:
    request = found.translation.request
    return request is not None and request.caller_id.encode() in (found.record.key or b"").lower()
