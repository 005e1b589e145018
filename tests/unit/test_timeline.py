"""The timeline: entries with outcomes and sentences for the records, and the row that the records make."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from builders import at as instant
from builders import fold_batches, record
from recorded import RECORDINGS
from rows import CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated

from projector.contract.facts import Status
from projector.domain.outcomes import LOST, REPEATED, Outcome
from projector.explain.search import Key, Search
from projector.explain.sentences import Why, sentence
from projector.explain.timeline import Change, Entry, Timeline, build_timeline, projected
from projector.recordings.file import RecordedRecord, read_recording

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}
COMPETING: Any = {"request_body": {"delegation_id": "d-2", "task": "t"}, **KEYED}


def timeline_of(records: Iterable[RecordedRecord], **options: Any) -> Timeline:
    search = Search("d-1", keys=[(CALLER, "k")])
    search.scan(records)
    return build_timeline("d-1", search.matches, **options)


def timeline(*values: object, **options: Any) -> Timeline:
    """The timeline of these values on one partition; its row must be the one that the projector makes."""
    records = [record(value, offset) for offset, value in enumerate(values)]
    built = timeline_of(records, **options)
    if not options:
        assert built.row == fold_batches(records).rows.get("d-1")
    return built


def outcomes(entries: Iterable[Entry]) -> list[str]:
    return [str(entry.outcome) for entry in entries]


def test_each_outcome_has_its_sentence() -> None:
    entries = timeline(
        heartbeat(0),
        delegate(0),
        delegate(0),
        answer(2, "dispatched"),
        answer(3, "pending"),
        heartbeat(4),
        answer(5, "completed"),
        answer(6, "completed", text="3"),
        answer(7, "failed"),
        {**heartbeat(1), "request_body": {}, "summary": "d-1"},
        {"activity_type": "a2a_receive", "summary": "d-1"},
        {"op": "d", "before": delegate(0)},
        {"activity_type": "delegation", "method": "none", "summary": "d-1"},
    ).entries
    assert {entry.outcome for entry in entries} == set(Outcome)
    reason = 'unknown method "none": expected delegate, delegate_result, heartbeat or verdict'
    assert [(entry.outcome, entry.sentence) for entry in entries] == [
        (outcome, sentence(outcome, why))
        for outcome, why in (
            (Outcome.PARKED, Why()),
            (Outcome.INSERTED, Why(changed=True, unparked=1)),
            (Outcome.DUPLICATE, Why(status=Status.QUEUED)),
            (Outcome.ADVANCED, Why(status=Status.QUEUED, changed=True)),
            (Outcome.STALE, Why(status=Status.DISPATCHED)),
            (Outcome.HEARTBEAT, Why(status=Status.DISPATCHED, changed=True)),
            (Outcome.ADVANCED, Why(status=Status.DISPATCHED, changed=True)),
            (Outcome.FILLED, Why(status=Status.COMPLETED, changed=True)),
            (Outcome.REFUSED, Why(status=Status.COMPLETED)),
            (Outcome.UNCORRELATED, Why()),
            (Outcome.UNRELATED, Why()),
            (Outcome.TOMBSTONE, Why()),
            (Outcome.DEAD_LETTER, Why(reason=reason)),
        )
    ]


def test_repeated_records_change_nothing_and_have_reasons() -> None:
    values = [delegate(0), answer(1, "dispatched"), heartbeat(2), answer(3, "completed", text="3")]
    once, twice = timeline(*values), timeline(*values, *values)
    assert twice.row == once.row
    assert outcomes(twice.entries) == [*outcomes(once.entries), "refused", "refused", "refused", "duplicate"]
    assert not any(entry.changes for entry in twice.entries[4:])


def test_entry_lists_the_changed_columns() -> None:
    _, moved, alive = timeline(delegate(0), answer(1, "failed", error="no"), heartbeat(2)).entries
    assert moved.changes == [
        Change("status", "queued", "failed"),
        Change("error_detail", None, "no"),
        Change("updated_at", instant(0), instant(1)),
    ]
    assert alive.changes == []


def test_entry_has_coordinates_times_envelope_and_method() -> None:
    change = updated(delegate(0, "received"), 5)
    [entry] = timeline_of([record(change, 41, partition=3, timestamp=1_746_439_200_000)]).entries
    assert entry[:4] == ("activity-log", 3, 41, instant(0))
    assert (entry.envelope, entry.said) == ("Debezium change event, update", "delegate, received")
    assert (entry.happened_at, entry.is_projected) == (instant(5), True)


def test_parked_events_are_applied_with_the_request() -> None:
    applied = timeline(answer(1, "completed", text="3"), heartbeat(0), delegate(0))
    assert outcomes(applied.entries) == ["parked", "parked", "inserted"]
    assert applied.entries[2].sentence == sentence(Outcome.INSERTED, Why(unparked=2))
    assert Change("status", None, "completed") in applied.entries[2].changes


def test_lost_key_names_the_holder_in_the_records() -> None:
    lost = timeline(delegate(0, **COMPETING), delegate(1, **KEYED), answer(2, "completed"), delegate(3, **KEYED))
    assert (lost.row, lost.holder) == (None, "d-2")
    assert outcomes(lost.entries) == ["inserted", "duplicate", "parked", "duplicate"]
    assert lost.entries[1].sentence == f"{LOST}: d-2"
    assert lost.entries[0].sentence == "about d-2, which requested the same idempotency key"
    assert lost.entries[0].changes == []


def test_lost_key_names_the_holder_in_the_view() -> None:
    lost = timeline(delegate(1, **KEYED), holders={(CALLER, "k"): "d-9"})
    assert (lost.row, lost.holder) == (None, "d-9")
    assert lost.entries[0].sentence == f"{LOST}: d-9"


def test_records_override_the_holder_in_the_view() -> None:
    won = timeline(delegate(0, **KEYED), delegate(1, **COMPETING), holders={(CALLER, "k"): "d-2"})
    assert (won.holder, outcomes(won.entries)) == (None, ["inserted", "duplicate"])
    kept = timeline(delegate(0, **KEYED), holders={(CALLER, "k"): "d-1"})
    assert kept.row is not None
    assert timeline(delegate(0, **KEYED), delegate(0, **KEYED)).entries[1].sentence == REPEATED


def test_update_with_unavailable_body_changes_the_row() -> None:
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": "x" * 2000})
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    assert outcomes(timeline(whole, bare).entries) == ["inserted", "advanced"]


def test_records_after_the_position_are_not_projected() -> None:
    records = [record(value, offset, partition=2) for offset, value in enumerate([delegate(0), answer(1, "completed")])]
    behind = timeline_of(records, positions={2: 1})
    assert [entry.is_projected for entry in behind.entries] == [True, False]
    assert not any(entry.is_projected for entry in timeline_of(records, positions={1: 9}).entries)
    search = Search("d-1")
    search.scan(records)
    assert [match.record.offset for match in projected(search.matches, {2: 1})] == [0]


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: str(file.name))
def test_recorded_delegations_make_the_projected_rows(file: Path) -> None:
    records = list(read_recording(file))
    rows = fold_batches(records).rows
    for delegation_id, row in sorted(rows.items())[::5]:
        keys: frozenset[Key] = frozenset()
        if row.idempotency_key:
            keys = frozenset({(row.caller_id, row.idempotency_key)})
        search = Search(delegation_id, keys=keys)
        search.scan(records)
        assert build_timeline(delegation_id, search.matches).row == row
