"""The report: finds the records of one delegation, folds them, and compares the result with the row in the view."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from projector.contract.envelope import Record
from projector.contract.fields import storable
from projector.domain.lifecycle import Delegation
from projector.domain.positions import LogRange
from projector.explain.scope import KnownFacts, Ranges, ScopeOptions, initial_ranges, widen
from projector.explain.search import Key, Match, Search, spellings
from projector.explain.timeline import Entry, Timeline, build_timeline, in_order, projected
from projector.explain.verdict import Findings, PartitionLag, Verdict, build_verdict
from projector.kafka.reader import TopicReader
from projector.postgres import connection, delegations, queries
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.queries import DeadLetterDetail, ParkedEvent
from projector.recordings.file import read_recording

LIMIT = 100
"""The most parked events, and the most dead letters, in a report."""

Progress: TypeAlias = Callable[[int], object]
"""Called with the number of records read so far."""


class StoredFacts(NamedTuple):
    """What Postgres holds of the delegation, read in one snapshot."""

    row: Delegation | None
    positions: dict[int, int]
    """Partition of the topic → the next offset to project."""
    parked: list[ParkedEvent]
    large_rows: dict[str, str]
    """Activity row id → delegation id."""


class SearchedScope(NamedTuple):
    """Where the records were searched: ranges of the topic's partitions, or files. `explain --json` prints the fields.

    `records` is the number of records that the last search read. `widened` has a reason for each search that was not
    enough.
    """

    ranges: dict[int, LogRange]
    partitions: int
    files: list[str]
    records: int
    widened: list[str]


class Explanation(NamedTuple):
    """The records of a delegation, its row as they make it and as it is stored, and where the records were searched."""

    delegation_id: str
    scope: SearchedScope
    entries: list[Entry]
    parked: list[ParkedEvent]
    dead_letters: list[DeadLetterDetail]
    folded: Delegation | None
    stored: Delegation | None
    verdict: Verdict

    @property
    def is_known(self) -> bool:
        """Whether there is any trace of the delegation."""
        return bool(self.entries or self.parked or self.dead_letters or self.stored)


def from_topic(
    conn: Connection, topic: TopicReader, delegation_id: str, options: ScopeOptions, progress: Progress
) -> Explanation:
    """Explain a delegation from the records of the topic.

    The search is repeated in a larger scope until the records explain the row, or until the whole topic is read.
    Raises BrokerUnavailable, DatabaseUnavailable, and LogGap if retention deletes records while they are read.
    """
    delegation_id = storable(delegation_id)
    facts = _read_stored_facts(conn, topic.name, delegation_id)
    log_ranges = topic.log_ranges()
    parked_partitions = {event.partition for event in facts.parked if event.topic == topic.name}
    ranges = initial_ranges(topic, log_ranges, options, KnownFacts(facts.row, parked_partitions))
    widened: list[str] = []
    while True:
        search = _search(delegation_id, facts, partial(_batches, topic, ranges), progress)
        timeline, verdict = _compare(conn, search, in_order(search.matches), facts, log_ranges)
        wider = widen(search, ranges, log_ranges, timeline, verdict)
        if wider is None:
            scope = SearchedScope(dict(ranges), len(topic.partitions), [], search.records, widened)
            return _explanation(conn, search, scope, timeline, facts, verdict)
        ranges, reason = wider
        widened.append(reason)


def from_recordings(
    conn: Connection, topic: str, delegation_id: str, files: Sequence[Path], progress: Progress
) -> Explanation:
    """Explain a delegation from recordings, read in the order in which `replay` reads them.

    All their records count as projected: the positions are those of the topic and do not apply to files.
    Raises DatabaseUnavailable, and Misconfigured or ProjectorError if a file cannot be read.
    """
    delegation_id = storable(delegation_id)
    facts = _read_stored_facts(conn, topic, delegation_id)
    search = _search(delegation_id, facts, partial(map, read_recording, files), progress)
    timeline, verdict = _compare(conn, search, search.matches, facts, None)
    scope = SearchedScope({}, 0, [str(file) for file in files], search.records, [])
    return _explanation(conn, search, scope, timeline, facts, verdict)


def _read_stored_facts(conn: Connection, topic: str, delegation_id: str) -> StoredFacts:
    with connection.snapshot(conn):
        rows = delegations.read_delegations(conn, [delegation_id])
        return StoredFacts(
            rows[0] if rows else None,
            {position.partition: position.next_offset for position in queries.positions(conn, topic=topic)},
            queries.parked(conn, delegation_id=delegation_id, limit=LIMIT),
            delegations.read_large_rows_of(conn, delegation_id),
        )


# --- reading records


def _search(
    delegation_id: str, facts: StoredFacts, batches: Callable[[], Iterable[Iterable[Record]]], progress: Progress
) -> Search:
    """Search the batches; read them again if a request has an idempotency key that was not known before."""
    keys: frozenset[Key] = frozenset()
    if facts.row is not None and facts.row.idempotency_key is not None:
        keys = frozenset({(facts.row.caller_id, facts.row.idempotency_key)})
    while True:
        search = Search(delegation_id, large_rows=facts.large_rows, keys=keys)
        for records in batches():
            search.scan(records)
            progress(search.records)
        if not (unknown := search.unknown_keys()):
            return search
        keys |= unknown


def _batches(topic: TopicReader, ranges: Ranges) -> Iterable[Sequence[Record]]:
    for polled in topic.read(ranges):
        for part in polled:
            yield part.records


# --- comparing


def _compare(
    conn: Connection, search: Search, matches: Sequence[Match], facts: StoredFacts, log_ranges: Ranges | None
) -> tuple[Timeline, Verdict]:
    """Fold the matches and compare the row; `log_ranges` is None for recordings, which count as projected."""
    with mapped_errors():
        holders = delegations.read_holders(conn, sorted(search.keys)) if search.keys else {}
    positions = None if log_ranges is None else facts.positions
    timeline = build_timeline(search.delegation_id, matches, holders=holders, positions=positions)
    projected_row = timeline.row
    if positions is not None:
        projected_matches = projected(matches, positions)
        projected_row = build_timeline(search.delegation_id, projected_matches, holders=holders).row
    findings = Findings(
        folded=timeline.row,
        projected=projected_row,
        stored=facts.row,
        lags=_lags(timeline, facts, log_ranges or {}),
        holder=timeline.holder,
        events=sum(entry.delegation_id == search.delegation_id for entry in timeline.entries),
        is_cut_off=any(log.beginning > 0 for log in (log_ranges or {}).values()),
    )
    return timeline, build_verdict(findings)


def _lags(timeline: Timeline, facts: StoredFacts, log_ranges: Ranges) -> list[PartitionLag]:
    """The lag of each partition that has records of the delegation after its position."""
    partitions = {entry.partition for entry in timeline.entries if not entry.is_projected}
    lags = []
    for partition in sorted(partitions & log_ranges.keys()):
        position, log = facts.positions.get(partition), log_ranges[partition]
        lags.append(PartitionLag(partition, position, log.end - max(position or 0, log.beginning)))
    return lags


def _explanation(
    conn: Connection, search: Search, scope: SearchedScope, timeline: Timeline, facts: StoredFacts, verdict: Verdict
) -> Explanation:
    ids = [search.delegation_id, *sorted(search.row_ids)]
    letters = queries.mentions(conn, [spelling for each in ids for spelling in spellings(each)], limit=LIMIT)
    return Explanation(
        search.delegation_id,
        scope,
        timeline.entries,
        facts.parked,
        # The query finds the bytes anywhere; the search compares whole words.
        [letter for letter in letters if search.is_mentioned(letter.value)],
        timeline.row,
        facts.row,
        verdict,
    )
