"""`projector explain` begins with its verdict, which agrees with what it shows, and ends with an exit code for it."""

from typing import Any

import pytest
from explaining import PARTITIONS, Platform, check, delete_records
from rows import CALLER, Columns, answer, at, delegate, heartbeat
from topics import create_topic

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}
WINNER = delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED)


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


def verdict(minute: int, status: str, *, silent_since: str | None, of: str = "d-1") -> Columns:
    body = {"delegation_id": of, "silent_since": silent_since}
    row: Columns = {"activity_type": "delegation", "method": "verdict", "status": status, "request_body": body}
    return row | {"error_detail": "no sign of life", "created_at": at(minute)}


# --- in the view


def test_row_of_the_log_is_equal(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)), platform.send(answer(1, "completed")))
    lines, _ = check(platform, "equal", 0)
    assert lines[:2] == ["delegation d-1 is in the view with status completed, in agreement with the log", ""]


def test_row_edited_by_hand_differs(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    platform.damage("UPDATE delegations SET status = 'failed', error_detail = 'by hand'")
    lines, report = check(platform, "differs", 3)
    assert lines[0] == "delegation d-1 is in the view, but differs from the log in status, error_detail"
    assert "`projector rebuild --only d-1`" in lines[1]
    assert report["differences"] == ["status", "error_detail"]


def test_dead_letter_of_a_row_that_is_fine_is_mentioned(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    wrong = platform.send({**answer(1, "completed"), "response_body": {"delegation_id": "d-1", "text": 7}}, minute=1)
    platform.project(asked, wrong)
    lines, _ = check(platform, "equal", 0)
    assert lines[0] == (
        "delegation d-1 is in the view with status queued, in agreement with the log. A dead letter mentions it "
        f"({wrong.partition}:{wrong.offset}): response_body.text must be a text: found 7"
    )


def test_refused_update_names_its_dead_letter(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    platform.damage("ALTER TABLE delegations ADD CONSTRAINT short CHECK (result_preview <> 'long')")
    record = platform.send(answer(1, "completed", text="long"), minute=1)
    platform.project(record)
    lines, _ = check(platform, "differs", 3)
    assert "and Postgres refused a record" in lines[0]
    assert '"short"' in lines[0]
    assert lines[1] == f"Fix the cause, then `projector dead-letters retry {record.partition} {record.offset}`."


def test_direct_write_is_told_after_the_whole_log_was_read(platform: Platform) -> None:
    for partition in range(PARTITIONS):
        platform.send({"activity_type": "other"}, partition=partition)
    platform.damage(_insert("d-1"))
    lines, report = check(platform, "not_in_log", 3)
    assert lines[0] == (
        "delegation d-1 is in the view, but no record of the log requests it: the row was written directly"
    )
    assert {each["partition"]: each["to"] for each in report["looked_at"]["ranges"]} == dict.fromkeys(range(6), 1)
    assert report["looked_at"]["widened"]


def test_row_of_a_log_without_its_beginning_is_not_covered(platform: Platform) -> None:
    platform.damage(_insert("d-1"))
    platform.send({"activity_type": "other"}, partition=0)
    delete_records(platform, 0, 1)
    lines, _ = check(platform, "not_covered", 6)
    assert "the log does not have all records: the row is older, or was written directly" in lines[0]
    assert "--recording" in lines[1]


def test_topic_that_was_created_again_proves_nothing(platform: Platform) -> None:
    platform.project(platform.send(delegate(0), partition=0))
    platform.damage("UPDATE projector.positions SET topic_id = 'another'")
    platform.damage(_insert("d-2"))
    lines, _ = check(platform, "not_covered", 6, of="d-2")
    assert "the log does not have all records: the row is older, or was written directly" in lines[0]
    platform.damage("DELETE FROM delegations")
    lines, _ = check(platform, "behind", 0)
    assert "(no position)" in lines[0]


def test_stored_row_whose_request_lost_its_key_is_no_row_of_the_log(platform: Platform) -> None:
    platform.project(platform.send(WINNER), platform.send(delegate(1, **KEYED), minute=1))
    platform.damage(_insert("d-1"))
    lines, _ = check(platform, "not_in_log", 3)
    assert 'repeats the idempotency key "k" of caller' in lines[0]


# --- between partitions


def test_order_between_partitions_is_no_drift(platform: Platform) -> None:
    asked = platform.send(delegate(0), partition=0)
    completed = platform.send(answer(1, "completed"), minute=1, partition=1)
    failed = platform.send(answer(2, "failed"), minute=2, partition=2)
    platform.project(asked, failed, completed)
    lines, _ = check(platform, "order_unknown", 0)
    assert "the order between partitions is not known" in lines[0]
    platform.damage("UPDATE delegations SET task_preview = 'by hand'")
    check(platform, "differs", 3)


# --- verdicts of a sweeper


def test_stale_verdict_shows_its_evidence_and_the_later_sign_of_life(platform: Platform) -> None:
    values = [delegate(0), heartbeat(10), verdict(11, "stuck", silent_since=at(5))]
    platform.project(*[platform.send(value, minute=minute) for minute, value in enumerate(values)])
    lines, report = check(platform, "equal", 0)
    last = report["records"][-1]
    assert (last["said"], last["silent_since"], last["outcome"]) == ("verdict, stuck", at(5), "stale")
    assert last["sentence"] == (
        "the delegation gave a sign of life at 2025-05-05 10:10:00 UTC, after the time that this verdict rests on, "
        "2025-05-05 10:05:00 UTC: it changes nothing"
    )
    assert "    no sign of life since 2025-05-05 10:05:00 UTC" in lines


def test_parked_verdict_shows_its_evidence(platform: Platform) -> None:
    platform.project(platform.send(verdict(11, "stuck", silent_since=at(5))))
    lines, report = check(platform, "not_requested", 0)
    assert report["parked"][0]["silent_since"] == at(5)
    assert any("stuck (a verdict; silent since 2025-05-05 10:05:00), from" in line for line in lines)


def _insert(delegation_id: str) -> str:
    columns = "delegation_id, caller_id, callee_id, task_preview"
    return f"INSERT INTO delegations ({columns}) VALUES ('{delegation_id}', '{CALLER}', '{CALLER}', 't')"
