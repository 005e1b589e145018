"""`projector explain`: one delegation's story, looked for where it must be, and further where it is not.

It looks again, further, until what was found accounts for the row or nothing is left to look at.
"""

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
from projector.explain.timeline import Entry, Timeline, build_timeline, in_order, reached
from projector.explain.verdict import Evidence, PartitionLag, Verdict, verdict
from projector.kafka.reader import TopicReader
from projector.postgres import connection, delegations, queries
from projector.postgres.connection import Connection, mapped_errors
from projector.postgres.queries import DeadLetterMention, ParkedEvent
from projector.recordings.file import read_recording

AT_MOST = 100
"""Parked events, and dead letters, that are shown."""

Progress: TypeAlias = Callable[[int], object]


class StoredFacts(NamedTuple):
    """What Postgres holds of the delegation, all of one moment; `positions` are those of the topic's partitions."""

    row: Delegation | None
    positions: dict[int, int]
    parked: list[ParkedEvent]
    remembered: dict[str, str]


class SearchedScope(NamedTuple):
    """Where the records were looked for: stretches of the topic's partitions, or files; `records` were read last.

    `widened` says for each look but the last one why it was not enough.
    """

    ranges: dict[int, LogRange]
    partitions: int
    files: list[str]
    records: int
    widened: list[str]


class Explanation(NamedTuple):
    """All that is known of a delegation, and where that was looked for."""

    delegation_id: str
    looked: SearchedScope
    entries: list[Entry]
    parked: list[ParkedEvent]
    dead_letters: list[DeadLetterMention]
    folded: Delegation | None
    stored: Delegation | None
    verdict: Verdict

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the delegation at all."""
        return bool(self.entries or self.parked or self.dead_letters or self.stored)


def from_topic(
    conn: Connection, topic: TopicReader, delegation_id: str, where: ScopeOptions, progress: Progress
) -> Explanation:
    """The story as the topic tells it. Raises BrokerAway, DatabaseAway, and LogGap where retention overtakes it."""
    delegation_id = storable(delegation_id)
    of_it = _stored_facts(conn, topic.name, delegation_id)
    held = topic.log_ranges()
    ranges = initial_ranges(topic, held, where, KnownFacts(of_it.row, _partitions(of_it, topic.name)))
    widened: list[str] = []
    while True:
        search = _searched(conn, delegation_id, of_it, partial(_batches, topic, ranges), progress)
        found = in_order(search.found)
        story, judged = _judged(conn, search, found, of_it, held)
        further = widen(search, ranges, held, story, judged)
        if further is None:
            looked = SearchedScope(dict(ranges), len(topic.partitions), [], search.records, widened)
            return _report(conn, search, story, of_it, looked, judged)
        ranges, why = further
        widened.append(why)


def from_recordings(
    conn: Connection, topic: str, delegation_id: str, files: Sequence[Path], progress: Progress
) -> Explanation:
    """The story as recordings tell it, in the order in which `replay` would read them; positions do not count."""
    delegation_id = storable(delegation_id)
    of_it = _stored_facts(conn, topic, delegation_id)
    search = _searched(conn, delegation_id, of_it, partial(map, read_recording, files), progress)
    story, judged = _judged(conn, search, search.found, of_it, None)
    looked = SearchedScope({}, 0, [str(file) for file in files], search.records, [])
    return _report(conn, search, story, of_it, looked, judged)


def _stored_facts(conn: Connection, topic: str, delegation_id: str) -> StoredFacts:
    with connection.snapshot(conn):
        seen = delegations.read_delegations(conn, [delegation_id])
        return StoredFacts(
            seen[0] if seen else None,
            {each.partition: each.next_offset for each in queries.positions(conn, topic=topic)},
            queries.parked(conn, delegation_id=delegation_id, limit=AT_MOST),
            delegations.read_large_rows_of(conn, delegation_id),
        )


def _partitions(of_it: StoredFacts, topic: str) -> set[int]:
    return {waiting.partition for waiting in of_it.parked if waiting.topic == topic}


# --- looking


def _searched(
    conn: Connection,
    delegation_id: str,
    of_it: StoredFacts,
    batches: Callable[[], Iterable[Iterable[Record]]],
    progress: Progress,
) -> Search:
    """Look at the batches; and once more where the delegation turns out to have asked with an idempotency key."""
    keys: frozenset[Key] = frozenset()
    if of_it.row is not None and of_it.row.idempotency_key is not None:
        keys = frozenset({(of_it.row.caller_id, of_it.row.idempotency_key)})
    while True:
        search = Search(delegation_id, remembered=of_it.remembered, keys=keys)
        for records in batches():
            search.see(records)
            progress(search.records)
        if not (unknown := search.unknown_keys()):
            return search
        keys |= unknown


def _batches(topic: TopicReader, ranges: Ranges) -> Iterable[Sequence[Record]]:
    for _ in topic.read({}):  # lets go of the partitions: one that was read to its end stays paused while it is held
        pass
    for polled in topic.read(ranges):
        for part in polled:
            yield part.records


# --- what was found


def _judged(
    conn: Connection, search: Search, found: Sequence[Match], of_it: StoredFacts, held: Ranges | None
) -> tuple[Timeline, Verdict]:
    """The story and the verdict; `held` is the topic's log, none for recordings, of which everything is projected."""
    with mapped_errors():
        holders = delegations.read_holders(conn, sorted(search.keys)) if search.keys else {}
    positions = None if held is None else of_it.positions
    story = build_timeline(search.delegation_id, found, holders=holders, positions=positions)
    up_to_now = (
        story if positions is None else build_timeline(search.delegation_id, reached(found, positions), holders=holders)
    )
    evidence = Evidence(
        folded=story.row,
        reached=up_to_now.row,
        stored=of_it.row,
        behind=_behind(story, of_it, held or {}),
        holder=story.holder,
        events=sum(each.delegation_id == search.delegation_id for each in story.entries),
        is_cut_off=any(span.beginning > 0 for span in (held or {}).values()),
    )
    return story, verdict(evidence)


def _behind(story: Timeline, of_it: StoredFacts, held: Ranges) -> list[PartitionLag]:
    places = {each.partition for each in story.entries if not each.is_projected}
    found = []
    for partition in sorted(places & held.keys()):
        position, span = of_it.positions.get(partition), held[partition]
        found.append(PartitionLag(partition, position, span.end - max(position or 0, span.beginning)))
    return found


def _report(
    conn: Connection, search: Search, story: Timeline, of_it: StoredFacts, looked: SearchedScope, judged: Verdict
) -> Explanation:
    texts = [search.delegation_id, *sorted(search.row_ids)]
    letters = queries.mentions(conn, [each for text in texts for each in spellings(text)], limit=AT_MOST)
    return Explanation(
        search.delegation_id,
        looked,
        story.entries,
        of_it.parked,
        [letter for letter in letters if search.is_mentioned(letter.value)],
        story.row,
        of_it.row,
        judged,
    )
