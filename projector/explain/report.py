"""The report: finds the records of one delegation, folds them, and compares the result with the row in the view."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from projector.contract.envelope import Record
from projector.domain.erasing import erased
from projector.domain.lifecycle import Delegation
from projector.domain.positions import LogRange
from projector.explain.dead_letters import place_of_record, related_letters
from projector.explain.findings import Findings, PartitionLag, Repeated, Source
from projector.explain.order import is_order_decisive
from projector.explain.scope import KnownFacts, Ranges, ScopeOptions, initial_ranges, widen
from projector.explain.search import Key, Match, Search
from projector.explain.stored import StoredFacts, find_repeated, read_letters, read_stored_facts
from projector.explain.timeline import Entry, Timeline, build_timeline, projected
from projector.explain.verdict import Verdict, build_verdict
from projector.kafka.compaction import MissingRecords
from projector.kafka.reader import TopicReader
from projector.lag import log_gaps
from projector.postgres import delegations
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.queries import DeadLetterDetail, ParkedEvent
from projector.recordings.file import read_recording

Progress: TypeAlias = Callable[[int], object]
"""Called with the number of records read so far."""
Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Opens a connection, or lends one. None is held while the topic is searched."""


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
    """The records of a delegation, its row as they make it and as it is stored, and where the records were searched.

    `values` has the value of the record of each entry.
    """

    delegation_id: str
    scope: SearchedScope
    entries: list[Entry]
    values: list[bytes | None]
    parked: list[ParkedEvent]
    dead_letters: list[DeadLetterDetail]
    repeated: Repeated | None
    folded: Delegation | None
    stored: Delegation | None
    verdict: Verdict


class _Comparison(NamedTuple):
    """The records that were found, in their order, and the rows that they make."""

    matches: Sequence[Match]
    timeline: Timeline
    projected: Delegation | None
    lags: list[PartitionLag]


def from_topic(
    connect: Connect, topic: TopicReader, delegation_id: str, options: ScopeOptions, progress: Progress
) -> Explanation:
    """Explain a delegation from the records of the topic.

    The search is repeated in a larger scope until the records explain the row, or until the whole topic is read.
    Raises BrokerUnavailable, DatabaseUnavailable, and LogGap if retention deletes records while they are read.
    """
    with connect() as conn:
        facts = read_stored_facts(conn, topic.name, delegation_id)
    log_ranges = topic.log_ranges()
    gaps = log_gaps(facts.known, topic.topic_id, log_ranges)
    facts = facts._replace(positions={each: at for each, at in facts.positions.items() if each not in gaps})
    parked_partitions = {event.partition for event in facts.parked if event.topic == topic.name}
    is_known = facts.is_known or options.caller is not None
    ranges = initial_ranges(topic, log_ranges, options, KnownFacts(facts.row, parked_partitions, is_known))
    widened: list[str] = []
    missing = MissingRecords()
    while True:
        search = _search(delegation_id, facts, partial(_batches, topic, ranges, missing), progress)
        with connect() as conn:
            found = _compare(conn, search, facts, log_ranges)
        is_equal = found.timeline.row == facts.row or bool(found.lags and found.projected == facts.row)
        is_explained = is_equal or facts.pruned_at is not None
        wider = widen(search, ranges, log_ranges, found.timeline, is_known=is_known, is_explained=is_explained)
        if wider is None:
            scope = SearchedScope(dict(ranges), len(topic.partitions), [], search.records, widened)
            is_complete = not gaps and not missing.count and all(log.beginning == 0 for log in log_ranges.values())
            source = Source(topic.name, "the log", is_complete, is_cut=not is_known and ranges != log_ranges)
            with connect() as conn:
                return _explanation(conn, search, found, facts, scope, source)
        ranges, reason = wider
        widened.append(reason)


def from_recordings(
    conn: Connection, topic: str, delegation_id: str, files: Sequence[Path], progress: Progress
) -> Explanation:
    """Explain a delegation from recordings, read in the order in which `replay` reads them.

    All their records count as projected: the positions are those of the topic and do not apply to files.
    Raises DatabaseUnavailable, and Misconfigured or ProjectorError if a file cannot be read.
    """
    return _from_batches(
        conn, topic, delegation_id, partial(map, read_recording, files), "the recording", progress, files
    )


def from_rows(conn: Connection, topic: str, delegation_id: str, rows: Sequence[Record], name: str) -> Explanation:
    """Explain a delegation from rows of a table, as if each were a record. All count as projected."""
    return _from_batches(conn, topic, delegation_id, lambda: [rows], name, lambda _: None, ())


def _from_batches(
    conn: Connection,
    topic: str,
    delegation_id: str,
    batches: Callable[[], Iterable[Iterable[Record]]],
    name: str,
    progress: Progress,
    files: Sequence[Path],
) -> Explanation:
    facts = read_stored_facts(conn, topic, delegation_id)
    search = _search(delegation_id, facts, batches, progress)
    found = _compare(conn, search, facts, None)
    scope = SearchedScope({}, 0, [str(file) for file in files], search.records, [])
    return _explanation(conn, search, found, facts, scope, Source(topic, name, is_complete=False))


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


def _batches(topic: TopicReader, ranges: Ranges, missing: MissingRecords) -> Iterable[Sequence[Record]]:
    for merged in topic.read_merged(ranges):
        missing.note(merged.parts)
        yield merged.records


# --- comparing


def _compare(conn: Connection, search: Search, facts: StoredFacts, log_ranges: Ranges | None) -> _Comparison:
    """Fold the matches; `log_ranges` is None for recordings, which count as projected."""
    with mapped_errors():
        holders = delegations.read_holders(conn, sorted(search.keys)) if search.keys else {}
    matches, positions = search.matches, None if log_ranges is None else facts.positions
    timeline = build_timeline(search.delegation_id, matches, holders=holders, positions=positions)
    projected_row = timeline.row
    if positions is not None:
        projected_matches = projected(matches, positions)
        projected_row = build_timeline(search.delegation_id, projected_matches, holders=holders).row
    if facts.is_erased:
        timeline = timeline._replace(row=timeline.row and erased(timeline.row))
        projected_row = projected_row and erased(projected_row)
    return _Comparison(matches, timeline, projected_row, _lags(timeline, facts, log_ranges or {}))


def _lags(timeline: Timeline, facts: StoredFacts, log_ranges: Ranges) -> list[PartitionLag]:
    """The lag of each partition that has records of the delegation after its position."""
    partitions = {entry.partition for entry in timeline.entries if not entry.is_projected}
    lags = []
    for partition in sorted(partitions & log_ranges.keys()):
        position, log = facts.positions.get(partition), log_ranges[partition]
        lags.append(PartitionLag(partition, position, log.end - max(position or 0, log.beginning)))
    return lags


def _explanation(
    conn: Connection, search: Search, found: _Comparison, facts: StoredFacts, scope: SearchedScope, source: Source
) -> Explanation:
    letters = read_letters(conn, search, found.matches)
    repeated = find_repeated(conn, search, found.timeline.holder, facts)
    about = [entry.delegation_id == search.delegation_id for entry in found.timeline.entries]
    findings = Findings(
        search.delegation_id,
        source,
        found.timeline.row,
        found.projected,
        facts.row,
        lags=found.lags,
        request=next((place_of_record(each.record) for each in search.requests()), None),
        repeated=repeated,
        letters=related_letters(search.delegation_id, found.matches, letters),
        parked=facts.parked_count,
        events=sum(about),
        mentions=sum(not each for each in about),
        is_order_decisive=is_order_decisive(search, facts.row, found.timeline.row),
        pruned_at=facts.pruned_at,
    )
    return Explanation(
        search.delegation_id,
        scope,
        found.timeline.entries,
        [match.record.value for match in found.matches],
        facts.parked,
        letters,
        repeated,
        found.timeline.row,
        facts.row,
        build_verdict(findings),
    )
