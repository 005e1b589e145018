"""Where a delegation's records are looked for: at the partition of its caller, then further where that is not all.

The first look begins a day before the row was made. A record is not older than its event where clocks are sane; where
it is, what is found does not fit together, and the partition is read from its beginning.
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
from projector.explain.verdict import Agreement, Verdict
from projector.kafka.reader import TopicReader

MARGIN = timedelta(days=1)
"""How much older a record's timestamp may be than the event in it: clocks that differ, not backfills."""
_AGREED = (Agreement.EQUAL, Agreement.BEHIND)

Ranges: TypeAlias = Mapping[int, LogRange]


class ScopeOptions(NamedTuple):
    """Where to look: by this caller's key, where there is no row to tell the caller; or in the whole log at once."""

    caller: str | None = None
    everywhere: bool = False


class KnownFacts(NamedTuple):
    """What Postgres tells of where to look: the row, and the partitions of what is parked."""

    row: Delegation | None
    partitions: set[int]


def initial_ranges(topic: TopicReader, held: Ranges, where: ScopeOptions, known: KnownFacts) -> Ranges:
    """The partitions that the caller's key leads to, from where the row's time does; all of it without a caller."""
    callers = {each for each in (where.caller, known.row and known.row.caller_id) if each}
    if where.everywhere or not callers:
        return held
    partitions = known.partitions | {topic.partition_of(key) for each in callers for key in _keys(each)}
    return _from_its_time(topic, {each: held[each] for each in sorted(partitions) if each in held}, known.row)


def _keys(caller: str) -> tuple[bytes, bytes]:
    """The caller as a key: a platform's own publisher writes the text, Debezium's JSON converter an object."""
    return caller.encode(), b'{"workspace_id":"%s"}' % caller.encode()


def _from_its_time(topic: TopicReader, ranges: Ranges, row: Delegation | None) -> Ranges:
    since = 0 if row is None else int((row.created_at.timestamp() - MARGIN.total_seconds()) * 1000)
    if since <= 0:  # Kafka's -1 and -2 are no times
        return ranges
    starts = topic.offsets_at(dict.fromkeys(ranges, since))
    return {
        partition: LogRange(min(max(starts.get(partition, span.end), span.beginning), span.end), span.end)
        for partition, span in ranges.items()
    }


def widen(search: Search, ranges: Ranges, held: Ranges, story: Timeline, judged: Verdict) -> tuple[Ranges, str] | None:
    """Where to look next and why; none where it was enough, or nothing is left."""
    if ranges == held:
        return None
    whole = {partition: held[partition] for partition in ranges}
    requests = search.requests()
    if not requests:
        return (held if ranges == whole else whole), "no request of it was found there"
    if not all(map(_is_keyed_by_caller, requests)):
        return held, "the topic is not keyed by the caller, so its records may be on any partition"
    if ranges != whole and judged.kind not in _AGREED:
        return whole, "what was found there does not account for the row"
    if ranges != whole and any(entry.outcome is Outcome.PARKED for entry in story.entries):
        return whole, "what was found there begins before its request"
    return None


def _is_keyed_by_caller(said: TranslatedRecord) -> bool:
    request = said.translation.request
    return request is not None and request.caller_id.encode() in (said.record.key or b"").lower()
