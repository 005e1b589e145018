"""`projector explain`: one delegation's story, looked for where it must be, and further where it is not.

It looks again, further, until what was found accounts for the row or nothing is left to look at.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from events.envelope import Record
from events.fields import storable
from projector import kept, recording, store, views
from projector.broker import Span
from projector.explanation import Entry, Story, in_order, reached, tell
from projector.kept import Mention
from projector.lifecycle import Delegation
from projector.search import Found, Key, Search, spellings
from projector.session import Connection, reactions
from projector.topic import Topic
from projector.verdict import Behind, Evidence, Verdict, verdict
from projector.views import Waiting
from projector.whereabouts import Known, Ranges, Where, first_look, wider

AT_MOST = 100
"""Parked events, and dead letters, that are shown."""

Progress: TypeAlias = Callable[[int], object]


class Kept(NamedTuple):
    """What Postgres holds of the delegation, all of one moment; `positions` are those of the topic's partitions."""

    row: Delegation | None
    positions: dict[int, int]
    parked: list[Waiting]
    remembered: dict[str, str]


class Looked(NamedTuple):
    """Where the records were looked for: stretches of the topic's partitions, or files; `records` were read last.

    `widened` says for each look but the last one why it was not enough.
    """

    ranges: dict[int, Span]
    partitions: int
    files: list[str]
    records: int
    widened: list[str]


class Report(NamedTuple):
    """All that is known of a delegation, and where that was looked for."""

    delegation_id: str
    looked: Looked
    entries: list[Entry]
    parked: list[Waiting]
    dead_letters: list[Mention]
    folded: Delegation | None
    stored: Delegation | None
    verdict: Verdict

    @property
    def is_known(self) -> bool:
        """Whether anything is known of the delegation at all."""
        return bool(self.entries or self.parked or self.dead_letters or self.stored)


def from_topic(conn: Connection, topic: Topic, delegation_id: str, where: Where, progress: Progress) -> Report:
    """The story as the topic tells it. Raises BrokerAway, DatabaseAway, and LogGap where retention overtakes it."""
    delegation_id = storable(delegation_id)
    of_it = _kept(conn, topic.name, delegation_id)
    held = topic.spans()
    ranges = first_look(topic, held, where, Known(of_it.row, _partitions(of_it, topic.name)))
    widened: list[str] = []
    while True:
        search = _searched(conn, delegation_id, of_it, partial(_batches, topic, ranges), progress)
        found = in_order(search.found)
        story, judged = _judged(conn, search, found, of_it, held)
        further = wider(search, ranges, held, story, judged)
        if further is None:
            looked = Looked(dict(ranges), len(topic.partitions), [], search.records, widened)
            return _report(conn, search, story, of_it, looked, judged)
        ranges, why = further
        widened.append(why)


def from_recordings(
    conn: Connection, topic: str, delegation_id: str, files: Sequence[Path], progress: Progress
) -> Report:
    """The story as recordings tell it, in the order in which `replay` would read them; positions do not count."""
    delegation_id = storable(delegation_id)
    of_it = _kept(conn, topic, delegation_id)
    search = _searched(conn, delegation_id, of_it, partial(map, recording.read, files), progress)
    story, judged = _judged(conn, search, search.found, of_it, None)
    looked = Looked({}, 0, [str(file) for file in files], search.records, [])
    return _report(conn, search, story, of_it, looked, judged)


def _kept(conn: Connection, topic: str, delegation_id: str) -> Kept:
    with kept.snapshot(conn):
        seen = store.read_delegations(conn, [delegation_id])
        return Kept(
            seen[0] if seen else None,
            {each.partition: each.next_offset for each in views.positions(conn, topic=topic)},
            views.parked(conn, delegation_id=delegation_id, limit=AT_MOST),
            kept.large_rows(conn, delegation_id),
        )


def _partitions(of_it: Kept, topic: str) -> set[int]:
    return {waiting.partition for waiting in of_it.parked if waiting.topic == topic}


# --- looking


def _searched(
    conn: Connection,
    delegation_id: str,
    of_it: Kept,
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


def _batches(topic: Topic, ranges: Ranges) -> Iterable[Sequence[Record]]:
    for _ in topic.read({}):  # lets go of the partitions: one that was read to its end stays paused while it is held
        pass
    for polled in topic.read(ranges):
        for part in polled:
            yield part.records


# --- what was found


def _judged(
    conn: Connection, search: Search, found: Sequence[Found], of_it: Kept, held: Ranges | None
) -> tuple[Story, Verdict]:
    """The story and the verdict; `held` is the topic's log, none for recordings, of which everything is projected."""
    with reactions():
        holders = store.read_holders(conn, sorted(search.keys)) if search.keys else {}
    positions = None if held is None else of_it.positions
    story = tell(search.delegation_id, found, holders=holders, positions=positions)
    up_to_now = story if positions is None else tell(search.delegation_id, reached(found, positions), holders=holders)
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


def _behind(story: Story, of_it: Kept, held: Ranges) -> list[Behind]:
    places = {each.partition for each in story.entries if not each.is_projected}
    found = []
    for partition in sorted(places & held.keys()):
        position, span = of_it.positions.get(partition), held[partition]
        found.append(Behind(partition, position, span.end - max(position or 0, span.beginning)))
    return found


def _report(conn: Connection, search: Search, story: Story, of_it: Kept, looked: Looked, judged: Verdict) -> Report:
    texts = [search.delegation_id, *sorted(search.row_ids)]
    letters = kept.mentions(conn, [each for text in texts for each in spellings(text)], limit=AT_MOST)
    return Report(
        search.delegation_id,
        looked,
        story.entries,
        of_it.parked,
        [letter for letter in letters if search.is_mentioned(letter.value)],
        story.row,
        of_it.row,
        judged,
    )
