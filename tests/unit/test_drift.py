"""The table of classifications of docs/decisions/0006, cell by cell, and the counts of a report."""

from typing import Any

import pytest
from builders import at, heartbeat, report, row

from projector.contract.facts import Status
from projector.domain.fold import Parked
from projector.rebuild.drift import (
    Classification,
    Coverage,
    Difference,
    DriftKind,
    Sides,
    classify,
    difference,
)
from projector.rebuild.report import EXAMPLES, DriftReport, Totals

TOPIC = Coverage(since=at(30))
ACTIVITY_LOGS = Coverage(until=at(60), proves_absence=False, is_log=False, steps=False)
RECORDINGS = Coverage(until=at(60), proves_absence=False, is_log=False)
SOURCES = {"topic": TOPIC, "activity-logs": ACTIVITY_LOGS, "recordings": RECORDINGS}
EVENT = Parked("activity-log", 0, 7, report(Status.COMPLETED))

OLD, YOUNG = row(created_at=at(29), updated_at=at(29)), row(created_at=at(30), updated_at=at(30))
LATER = row(Status.COMPLETED, created_at=at(30), updated_at=at(61))
EDITED = YOUNG._replace(task_preview="edited")


def compared(sides: Sides, coverage: Coverage, **how: Any) -> tuple[DriftKind, Classification] | None:
    found = difference("d-1", sides, coverage)
    return found and (found.kind, classify(found, coverage, **how))


@pytest.mark.parametrize("source", SOURCES)
def test_equal_rows_do_not_differ(source: str) -> None:
    assert compared(Sides(YOUNG, row(created_at=at(30), updated_at=at(30))), SOURCES[source]) is None
    assert compared(Sides(None, None), SOURCES[source]) is None


@pytest.mark.parametrize("source", SOURCES)
def test_row_with_another_value_is_drift(source: str) -> None:
    assert compared(Sides(EDITED, YOUNG), SOURCES[source]) == (DriftKind.DIFFERS, Classification.DRIFT)


def test_old_row_with_another_value_is_drift() -> None:
    assert compared(Sides(OLD._replace(retry_count=1), OLD), TOPIC) == (DriftKind.DIFFERS, Classification.DRIFT)


def test_terminal_status_older_than_the_log_stands() -> None:
    ended = Sides(OLD._replace(status=Status.FAILED), OLD._replace(status=Status.COMPLETED))
    assert compared(ended, TOPIC) == (DriftKind.DIFFERS, Classification.NOT_COVERED)
    assert compared(ended, TOPIC, drop_uncovered=True) == (DriftKind.DIFFERS, Classification.DRIFT)
    moved_back = Sides(OLD._replace(status=Status.QUEUED), OLD._replace(status=Status.COMPLETED))
    assert compared(moved_back, TOPIC) == (DriftKind.DIFFERS, Classification.DRIFT)


def test_two_terminal_statuses_differ_only_with_steps() -> None:
    completed = row(Status.COMPLETED, result_preview="done", created_at=at(30))
    sides = Sides(row(Status.FAILED, error_detail="late", created_at=at(30)), completed)
    assert compared(sides, ACTIVITY_LOGS) is None
    assert compared(sides, TOPIC) == (DriftKind.DIFFERS, Classification.DRIFT)
    same_end = Sides(row(Status.FAILED, error_detail="edited"), row(Status.FAILED, error_detail="late"))
    assert compared(same_end, ACTIVITY_LOGS) == (DriftKind.DIFFERS, Classification.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_row_missing_from_the_view_is_drift(source: str) -> None:
    for log in (OLD, YOUNG, LATER):
        assert compared(Sides(None, log), SOURCES[source]) == (DriftKind.MISSING, Classification.DRIFT)


@pytest.mark.parametrize(
    ("source", "view", "expected"),
    [
        ("topic", YOUNG, Classification.DRIFT),
        ("topic", OLD, Classification.NOT_COVERED),
        ("activity-logs", YOUNG, Classification.NOT_COVERED),
        ("activity-logs", OLD, Classification.NOT_COVERED),
        ("recordings", YOUNG, Classification.NOT_COVERED),
        ("recordings", OLD, Classification.NOT_COVERED),
    ],
)
def test_row_missing_from_the_source_needs_proved_absence(source: str, view: Any, expected: Classification) -> None:
    assert compared(Sides(view, None), SOURCES[source]) == (DriftKind.UNEXPECTED, expected)


def test_topic_without_since_proves_every_absence() -> None:
    assert compared(Sides(OLD, None), Coverage()) == (DriftKind.UNEXPECTED, Classification.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_drop_uncovered_makes_uncovered_rows_drift(source: str) -> None:
    assert compared(Sides(OLD, None), SOURCES[source], drop_uncovered=True) == (
        DriftKind.UNEXPECTED,
        Classification.DRIFT,
    )


@pytest.mark.parametrize("source", ["activity-logs", "recordings"])
def test_row_changed_after_the_source_is_always_ahead(source: str) -> None:
    for sides in (Sides(LATER, YOUNG), Sides(LATER, None)):
        for how in ({}, {"drop_uncovered": True}, {"key_is_kept": True}):
            found = compared(sides, SOURCES[source], **how)
            assert found is not None
            assert found[1] is Classification.AHEAD


@pytest.mark.parametrize("source", ["activity-logs", "recordings"])
def test_row_changed_when_the_source_ends_is_not_ahead(source: str) -> None:
    assert compared(Sides(LATER._replace(updated_at=at(60), retry_count=1), LATER), SOURCES[source]) == (
        DriftKind.DIFFERS,
        Classification.DRIFT,
    )


def test_no_row_is_ahead_of_the_topic() -> None:
    assert compared(Sides(LATER, YOUNG), TOPIC) == (DriftKind.DIFFERS, Classification.DRIFT)


@pytest.mark.parametrize("source", SOURCES)
def test_row_is_not_covered_while_another_keeps_its_key(source: str) -> None:
    for sides in (Sides(None, YOUNG), Sides(EDITED, YOUNG)):
        for drop in (False, True):
            found = compared(sides, SOURCES[source], drop_uncovered=drop, key_is_kept=True)
            assert found is not None
            assert found[1] is Classification.NOT_COVERED


def test_times_of_steps_are_ignored_without_steps() -> None:
    later = YOUNG._replace(last_heartbeat=at(50), updated_at=at(50))
    assert compared(Sides(later, YOUNG), ACTIVITY_LOGS) is None
    for coverage in (TOPIC, RECORDINGS):
        found = difference("d-1", Sides(later, YOUNG), coverage)
        assert found is not None
        assert found.columns == ("last_heartbeat", "updated_at")


@pytest.mark.parametrize("column", row()._fields[1:])
def test_every_column_but_the_id_is_compared(column: str) -> None:
    other: Any = {column: "other"}
    found = difference("d-1", Sides(row()._replace(**other), row()), RECORDINGS)
    assert found is not None
    assert found.columns == (column,)


def test_parked_events_are_compared_with_the_topic_alone() -> None:
    for row_ in (None, OLD, YOUNG):
        for parked in (Sides(row_, row_, [EVENT], []), Sides(row_, row_, [], [EVENT])):
            assert compared(parked, TOPIC) == (DriftKind.PARKED, Classification.DRIFT)
            assert compared(parked, RECORDINGS) is None
    heard = Parked("activity-log", 0, 8, heartbeat())
    assert compared(Sides(None, None, [EVENT, heard], [heard, EVENT]), TOPIC) is None


# --- the report


def differing(delegation_id: str, kind: DriftKind = DriftKind.DIFFERS) -> Difference:
    view, log = row(Status.QUEUED), row(Status.COMPLETED, result_preview="done")
    sides = {
        DriftKind.DIFFERS: Sides(view, log),
        DriftKind.MISSING: Sides(None, log),
        DriftKind.UNEXPECTED: Sides(view, None),
        DriftKind.PARKED: Sides(None, None, [EVENT], []),
    }[kind]
    found = difference(delegation_id, sides, TOPIC)
    assert found is not None
    return found


def test_drift_is_counted_by_kind_and_column() -> None:
    drift_report = DriftReport("topic")
    drift_report.totals = Totals(uncovered=10)
    for meaning in (Classification.DRIFT, Classification.DRIFT, Classification.NOT_COVERED, Classification.AHEAD):
        drift_report.add(differing("d"), meaning)
    drift_report.add(differing("m", DriftKind.MISSING), Classification.DRIFT)
    assert (drift_report.drift, drift_report.not_covered, drift_report.classified[Classification.AHEAD]) == (3, 11, 1)
    assert drift_report.kinds == {DriftKind.DIFFERS: 2, DriftKind.MISSING: 1}
    assert drift_report.columns == {"status": 2, "result_preview": 2}


def test_examples_are_the_first_of_each_kind() -> None:
    drift_report = DriftReport("topic")
    for kind in DriftKind:
        for n in range(EXAMPLES + 2):
            drift_report.add(differing(f"{kind}-{n}", kind), Classification.DRIFT)
    drift_report.add(differing("kept", DriftKind.UNEXPECTED), Classification.NOT_COVERED)
    assert [each.delegation_id for each in drift_report.examples] == [
        f"{kind}-{n}" for kind in DriftKind for n in range(EXAMPLES)
    ]


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (DriftKind.DIFFERS, {"status": ("queued", "completed"), "result_preview": (None, "done")}),
        (DriftKind.MISSING, {"status": (None, "completed"), "created_at": (None, at(0))}),
        (DriftKind.UNEXPECTED, {"status": ("queued", None), "created_at": (at(0), None)}),
        (DriftKind.PARKED, {"parked": (1, 0)}),
    ],
)
def test_example_holds_both_sides(kind: DriftKind, columns: dict[str, Any]) -> None:
    drift_report = DriftReport("topic")
    drift_report.add(differing("d-1", kind), Classification.DRIFT)
    assert drift_report.examples[0].columns == columns


# --- a direct write whose event is still to come


def test_young_row_without_an_event_is_pending() -> None:
    sides = Sides(YOUNG, None)
    assert compared(sides, TOPIC, young_since=at(29)) == (DriftKind.UNEXPECTED, Classification.PENDING_EVENT)
    assert compared(sides, TOPIC, young_since=at(30)) == (DriftKind.UNEXPECTED, Classification.DRIFT)
    assert compared(sides, TOPIC, young_since=at(29), drop_uncovered=True) == (
        DriftKind.UNEXPECTED,
        Classification.PENDING_EVENT,
    )
    assert compared(Sides(EDITED, YOUNG), TOPIC, young_since=at(29)) == (DriftKind.DIFFERS, Classification.DRIFT)
    assert compared(sides, RECORDINGS, young_since=at(29)) == (DriftKind.UNEXPECTED, Classification.NOT_COVERED)


# --- what a repair deletes


def test_parked_event_with_nothing_in_its_place_is_a_deletion() -> None:
    other = EVENT._replace(event=report(Status.FAILED))
    assert Difference("d-1", DriftKind.PARKED, (), Sides(None, None, [EVENT], [])).deleted_parked == 1
    assert Difference("d-1", DriftKind.PARKED, (), Sides(None, None, [EVENT], [other])).deleted_parked == 0
    assert Difference("d-1", DriftKind.MISSING, (), Sides(None, YOUNG, [EVENT], [])).deleted_parked == 0
