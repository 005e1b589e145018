"""One delegation's story: records in, entries with outcomes and sentences out, and the row that they make."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from builders import at as instant
from builders import folded, record
from recorded import RECORDINGS
from rows import CALLER, LEFT_OUT, answer, beat, delegate, updated

from projector.domain.outcomes import LOST, MEANING, REPEATED, Outcome
from projector.explain.search import Key, Search
from projector.explain.timeline import Change, Entry, Timeline, build_timeline, in_order, reached
from projector.recordings.file import RecordedRecord, read_recording

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}
RIVAL: Any = {"request_body": {"delegation_id": "d-2", "task": "t"}, **KEYED}


def story(records: Iterable[RecordedRecord], **more: Any) -> Timeline:
    search = Search("d-1", keys=[(CALLER, "k")])
    search.see(records)
    return build_timeline("d-1", in_order(search.found), **more)


def told(*values: object, **more: Any) -> Timeline:
    """The story of these values on one partition; the row is the one that the projector makes of them."""
    lines = [record(value, offset) for offset, value in enumerate(values)]
    whole = story(lines, **more)
    if not more:
        assert whole.row == folded(lines).rows.get("d-1")
    return whole


def ended(entries: Iterable[Entry]) -> list[str]:
    return [str(entry.outcome) for entry in entries]


def test_every_outcome_is_told_with_its_sentence() -> None:
    entries = told(
        beat(0),
        delegate(0),
        delegate(0),
        answer(2, "dispatched"),
        answer(3, "pending"),
        beat(4),
        answer(5, "completed"),
        answer(6, "completed", text="3"),
        answer(7, "failed"),
        {**beat(1), "request_body": {}, "summary": "d-1"},
        {"activity_type": "a2a_receive", "summary": "d-1"},
        {"op": "d", "before": delegate(0)},
        {"activity_type": "delegation", "method": "none", "summary": "d-1"},
    ).entries
    assert {entry.outcome for entry in entries} == set(Outcome)
    reason = 'unknown method "none": expected delegate, delegate_result or heartbeat'
    assert [f"{entry.outcome}: {entry.sentence}" for entry in entries] == [
        f"parked: {MEANING[Outcome.PARKED]}",
        f"inserted: {MEANING[Outcome.INSERTED]} (parked before it: 1)",
        "duplicate: a repetition that changes nothing",
        "advanced: the status moved forward",
        f"stale: {MEANING[Outcome.STALE]} (it was dispatched)",
        "heartbeat: the delegation is in flight, and its callee was alive",
        "advanced: the status moved forward",
        f"filled: {MEANING[Outcome.FILLED]}",
        f"refused: {MEANING[Outcome.REFUSED]} (it was completed)",
        f"uncorrelated: {MEANING[Outcome.UNCORRELATED]}",
        f"unrelated: {MEANING[Outcome.UNRELATED]}",
        f"tombstone: {MEANING[Outcome.TOMBSTONE]}",
        f"dead_letter: {MEANING[Outcome.DEAD_LETTER]}: {reason}",
    ]


def test_a_log_told_twice_makes_the_same_row_and_says_why_the_second_time_did_nothing() -> None:
    values = [delegate(0), answer(1, "dispatched"), beat(2), answer(3, "completed", text="3")]
    once, twice = told(*values), told(*values, *values)
    assert twice.row == once.row
    assert ended(twice.entries) == [*ended(once.entries), "refused", "refused", "refused", "duplicate"]
    assert not any(entry.changes for entry in twice.entries[4:])


def test_entry_tells_what_changed_in_the_row() -> None:
    _, moved, alive = told(delegate(0), answer(1, "failed", error="no"), beat(2)).entries
    assert moved.changes == [
        Change("status", "queued", "failed"),
        Change("error_detail", None, "no"),
        Change("updated_at", instant(0), instant(1)),
    ]
    assert alive.changes == []


def test_entry_tells_coordinates_time_envelope_and_the_words_of_the_row() -> None:
    change = updated(delegate(0, "received"), 5)
    [entry] = story([record(change, 41, partition=3, timestamp=1_746_439_200_000)]).entries
    assert entry[:4] == ("activity-log", 3, 41, instant(0))
    assert (entry.envelope, entry.said) == ("Debezium change event, update", "delegate, received")
    assert (entry.happened_at, entry.is_projected) == (instant(5), True)


def test_parked_events_heal_with_the_request() -> None:
    early = told(answer(1, "completed", text="3"), beat(0), delegate(0))
    assert ended(early.entries) == ["parked", "parked", "inserted"]
    assert early.entries[2].sentence.endswith("(parked before it: 2)")
    assert Change("status", None, "completed") in early.entries[2].changes


def test_request_that_lost_its_key_names_the_winner_in_the_log() -> None:
    lost = told(delegate(0, **RIVAL), delegate(1, **KEYED), answer(2, "completed"), delegate(3, **KEYED))
    assert (lost.row, lost.holder) == (None, "d-2")
    assert ended(lost.entries) == ["inserted", "duplicate", "parked", "duplicate"]
    assert lost.entries[1].sentence == f"{LOST}: d-2"
    assert lost.entries[0].sentence == "of d-2, which asked with the same idempotency key"
    assert lost.entries[0].changes == []


def test_request_that_lost_its_key_names_the_holder_in_the_table_where_the_log_has_none() -> None:
    lost = told(delegate(1, **KEYED), holders={(CALLER, "k"): "d-9"})
    assert (lost.row, lost.holder) == (None, "d-9")
    assert lost.entries[0].sentence == f"{LOST}: d-9"


def test_log_has_the_last_word_about_who_holds_a_key() -> None:
    won = told(delegate(0, **KEYED), delegate(1, **RIVAL), holders={(CALLER, "k"): "d-2"})
    assert (won.holder, ended(won.entries)) == (None, ["inserted", "duplicate"])
    kept = told(delegate(0, **KEYED), holders={(CALLER, "k"): "d-1"})
    assert kept.row is not None
    assert told(delegate(0, **KEYED), delegate(0, **KEYED)).entries[1].sentence == REPEATED


def test_update_without_its_body_moves_the_row() -> None:
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": "x" * 2000})
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    assert ended(told(whole, bare).entries) == ["inserted", "advanced"]


def test_what_is_not_projected_yet_is_told_apart() -> None:
    lines = [record(value, offset, partition=2) for offset, value in enumerate([delegate(0), answer(1, "completed")])]
    behind = story(lines, positions={2: 1})
    assert [entry.is_projected for entry in behind.entries] == [True, False]
    assert not any(entry.is_projected for entry in story(lines, positions={1: 9}).entries)
    search = Search("d-1")
    search.see(lines)
    assert [found.record.offset for found in reached(search.found, {2: 1})] == [0]


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: str(file.name))
def test_recorded_delegations_become_the_rows_that_the_projector_makes(file: Path) -> None:
    lines = list(read_recording(file))
    rows = folded(lines).rows
    for delegation_id, row in sorted(rows.items())[::5]:
        keys: frozenset[Key] = frozenset()
        if row.idempotency_key:
            keys = frozenset({(row.caller_id, row.idempotency_key)})
        search = Search(delegation_id, keys=keys)
        search.see(lines)
        assert build_timeline(delegation_id, search.found).row == row


def test_order_is_the_log_s_within_a_partition_and_the_timestamps_between() -> None:
    lines = [
        record(beat(0), 1, partition=1, timestamp=50),
        record(beat(1), 0, partition=1, timestamp=200),
        record(beat(2), 7, partition=0, timestamp=100),
        record(beat(3), 8, partition=0, timestamp=None),
        record(beat(4), 0, partition=2, timestamp=150),
    ]
    assert [(each.partition, each.offset) for each in story(lines).entries] == [(0, 7), (0, 8), (2, 0), (1, 0), (1, 1)]
