"""The verdict table of decision 0006, cell by cell, and what a report counts."""

from typing import Any

import pytest
from given import at, beat, report, row

from events.delegation import Status
from projector.difference import (
    EXAMPLES,
    Coverage,
    Difference,
    Kind,
    Report,
    Sides,
    Verdict,
    difference,
    verdict,
)
from projector.fold import Parked

TOPIC = Coverage(since=at(30))
ACTIVITY_LOGS = Coverage(until=at(60), proves_absence=False, is_log=False, steps=False)
RECORDINGS = Coverage(until=at(60), proves_absence=False, is_log=False)
SOURCES = {"topic": TOPIC, "activity-logs": ACTIVITY_LOGS, "recordings": RECORDINGS}
EVENT = Parked("activity-log", 0, 7, report(Status.COMPLETED))

OLD, YOUNG = row(created_at=at(29), updated_at=at(29)), row(created_at=at(30), updated_at=at(30))
LATER = row(Status.COMPLETED, created_at=at(30), updated_at=at(61))
EDITED = YOUNG._replace(task_preview="edited")


def judged(sides: Sides, coverage: Coverage, **how: bool) -> tuple[Kind, Verdict] | None:
    found = difference("d-1", sides, coverage)
    return found and (found.kind, verdict(found, coverage, **how))


@pytest.mark.parametrize("source", SOURCES)
def test_rows_that_are_the_same_do_not_differ(source: str) -> None:
    assert judged(Sides(YOUNG, row(created_at=at(30), updated_at=at(30))), SOURCES[source]) is None
    assert judged(Sides(None, None), SOURCES[source]) is None


@pytest.mark.parametrize("source", SOURCES)
def test_row_with_another_value_is_drift(source: str) -> None:
    assert judged(Sides(EDITED, YOUNG), SOURCES[source]) == (Kind.DIFFERS, Verdict.DRIFT)


def test_row_with_another_value_is_drift_however_old_it_is() -> None:
    assert judged(Sides(OLD._replace(retry_count=1), OLD), TOPIC) == (Kind.DIFFERS, Verdict.DRIFT)


def test_end_of_a_row_that_is_older_than_the_log_is_not_undone() -> None:
    ended = Sides(OLD._replace(status=Status.FAILED), OLD._replace(status=Status.COMPLETED))
    assert judged(ended, TOPIC) == (Kind.DIFFERS, Verdict.NOT_COVERED)
    assert judged(ended, TOPIC, drop_uncovered=True) == (Kind.DIFFERS, Verdict.DRIFT)
    moved_back = Sides(OLD._replace(status=Status.QUEUED), OLD._replace(status=Status.COMPLETED))
    assert judged(moved_back, TOPIC) == (Kind.DIFFERS, Verdict.DRIFT)


def test_two_ends_do_not_differ_for_a_source_that_does_not_tell_which_was_first() -> None:
    completed = row(Status.COMPLETED, result_preview="done", created_at=at(30))
    sides = Sides(row(Status.FAILED, error_detail="late", created_at=at(30)), completed)
    assert judged(sides, ACTIVITY_LOGS) is None
    assert judged(sides, TOPIC) == (Kind.DIFFERS, Verdict.DRIFT)
    same_end = Sides(row(Status.FAILED, error_detail="edited"), row(Status.FAILED, error_detail="late"))
    assert judged(same_end, ACTIVITY_LOGS) == (Kind.DIFFERS, Verdict.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_row_that_the_view_lacks_is_drift(source: str) -> None:
    for log in (OLD, YOUNG, LATER):
        assert judged(Sides(None, log), SOURCES[source]) == (Kind.MISSING, Verdict.DRIFT)


@pytest.mark.parametrize(
    ("source", "view", "expected"),
    [
        ("topic", YOUNG, Verdict.DRIFT),
        ("topic", OLD, Verdict.NOT_COVERED),
        ("activity-logs", YOUNG, Verdict.NOT_COVERED),
        ("activity-logs", OLD, Verdict.NOT_COVERED),
        ("recordings", YOUNG, Verdict.NOT_COVERED),
        ("recordings", OLD, Verdict.NOT_COVERED),
    ],
)
def test_row_that_the_source_lacks_is_drift_only_where_absence_is_proved(
    source: str, view: Any, expected: Verdict
) -> None:
    assert judged(Sides(view, None), SOURCES[source]) == (Kind.UNEXPECTED, expected)


def test_topic_without_a_horizon_proves_every_absence() -> None:
    assert judged(Sides(OLD, None), Coverage()) == (Kind.UNEXPECTED, Verdict.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_dropping_makes_drift_of_what_is_not_covered(source: str) -> None:
    assert judged(Sides(OLD, None), SOURCES[source], drop_uncovered=True) == (Kind.UNEXPECTED, Verdict.DRIFT)


@pytest.mark.parametrize("source", ["activity-logs", "recordings"])
def test_row_that_changed_after_what_the_source_tells_is_ahead_whatever_else(source: str) -> None:
    for sides in (Sides(LATER, YOUNG), Sides(LATER, None)):
        for how in ({}, {"drop_uncovered": True}, {"key_is_kept": True}):
            found = judged(sides, SOURCES[source], **how)
            assert found is not None
            assert found[1] is Verdict.AHEAD


@pytest.mark.parametrize("source", ["activity-logs", "recordings"])
def test_row_that_changed_just_when_the_source_ends_is_not_ahead(source: str) -> None:
    assert judged(Sides(LATER._replace(updated_at=at(60), retry_count=1), LATER), SOURCES[source]) == (
        Kind.DIFFERS,
        Verdict.DRIFT,
    )


def test_nothing_is_ahead_of_the_topic() -> None:
    assert judged(Sides(LATER, YOUNG), TOPIC) == (Kind.DIFFERS, Verdict.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_row_whose_key_another_one_keeps_is_not_covered(source: str) -> None:
    for sides in (Sides(None, YOUNG), Sides(EDITED, YOUNG)):
        for drop in (False, True):
            found = judged(sides, SOURCES[source], drop_uncovered=drop, key_is_kept=True)
            assert found is not None
            assert found[1] is Verdict.NOT_COVERED


def test_only_the_times_of_steps_do_not_count_where_the_source_tells_none() -> None:
    later = YOUNG._replace(last_heartbeat=at(50), updated_at=at(50))
    assert judged(Sides(later, YOUNG), ACTIVITY_LOGS) is None
    for coverage in (TOPIC, RECORDINGS):
        found = difference("d-1", Sides(later, YOUNG), coverage)
        assert found is not None
        assert found.columns == ("last_heartbeat", "updated_at")


@pytest.mark.parametrize("column", row()._fields[1:])
def test_every_column_but_the_id_tells_a_difference(column: str) -> None:
    other: Any = {column: "other"}
    found = difference("d-1", Sides(row()._replace(**other), row()), RECORDINGS)
    assert found is not None
    assert found.columns == (column,)


def test_other_parked_events_are_drift_only_in_the_view_s_own_log() -> None:
    for row_ in (None, OLD, YOUNG):
        for parked in (Sides(row_, row_, [EVENT], []), Sides(row_, row_, [], [EVENT])):
            assert judged(parked, TOPIC) == (Kind.PARKED, Verdict.DRIFT)
            assert judged(parked, RECORDINGS) is None
    heard = Parked("activity-log", 0, 8, beat())
    assert judged(Sides(None, None, [EVENT, heard], [heard, EVENT]), TOPIC) is None


# --- the report


def differing(delegation_id: str, kind: Kind = Kind.DIFFERS) -> Difference:
    view, log = row(Status.QUEUED), row(Status.COMPLETED, result_preview="done")
    sides = {
        Kind.DIFFERS: Sides(view, log),
        Kind.MISSING: Sides(None, log),
        Kind.UNEXPECTED: Sides(view, None),
        Kind.PARKED: Sides(None, None, [EVENT], []),
    }[kind]
    found = difference(delegation_id, sides, TOPIC)
    assert found is not None
    return found


def test_drift_is_counted_by_kind_and_column_and_the_rest_by_verdict() -> None:
    told = Report("topic")
    told.uncovered = 10
    for meaning in (Verdict.DRIFT, Verdict.DRIFT, Verdict.NOT_COVERED, Verdict.AHEAD):
        told.add(differing("d"), meaning)
    told.add(differing("m", Kind.MISSING), Verdict.DRIFT)
    assert (told.drift, told.not_covered, told.verdicts[Verdict.AHEAD]) == (3, 11, 1)
    assert told.kinds == {Kind.DIFFERS: 2, Kind.MISSING: 1}
    assert told.columns == {"status": 2, "result_preview": 2}


def test_examples_are_the_first_few_of_each_kind() -> None:
    told = Report("topic")
    for kind in Kind:
        for n in range(EXAMPLES + 2):
            told.add(differing(f"{kind}-{n}", kind), Verdict.DRIFT)
    told.add(differing("kept", Kind.UNEXPECTED), Verdict.NOT_COVERED)
    assert [each.delegation_id for each in told.examples] == [f"{kind}-{n}" for kind in Kind for n in range(EXAMPLES)]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (Kind.DIFFERS, {"status": ("queued", "completed"), "result_preview": (None, "done")}),
        (Kind.MISSING, {"status": (None, "completed"), "created_at": (None, at(0))}),
        (Kind.UNEXPECTED, {"status": ("queued", None), "created_at": (at(0), None)}),
        (Kind.PARKED, {"parked": (1, 0)}),
    ],
)
def test_example_tells_both_sides(kind: Kind, columns: dict[str, Any]) -> None:
    told = Report("topic")
    told.add(differing("d-1", kind), Verdict.DRIFT)
    assert told.examples[0].columns == columns
