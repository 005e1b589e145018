"""What `explain` says about a verdict: what it rests on, and why it changed nothing."""

from typing import Any

import pytest
from builders import at as instant
from builders import fold_batches, record
from rows import answer, at, delegate, heartbeat, verdict

from projector.explain.search import Search
from projector.explain.timeline import Entry, build_timeline


def entries(*values: object) -> list[Entry]:
    """The timeline of these values on one partition."""
    records = [record(value, offset) for offset, value in enumerate(values)]
    search = Search("d-1")
    search.scan(records)
    built = build_timeline("d-1", search.matches)
    assert built.row == fold_batches(records).rows.get("d-1")
    return built.entries


def noted(row: dict[str, Any], **body: object) -> dict[str, Any]:
    return row | {"request_body": row["request_body"] | body}


JUDGED = {"judged_at": at(16), "threshold_seconds": 600}


SILENT, FAILED = verdict(16, silent=5), verdict(16, "failed", silent=None)
AT = "2025-05-05 10:16:00 UTC"
FIVE = "2025-05-05 10:05:00 UTC"
DEADLINE: Any = {"rule": "deadline", "deadline": at(15), "judged_at": at(16), "threshold_seconds": 30}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (
            noted(SILENT, rule="silence", **JUDGED),
            (
                f"no sign of life for 11 min 0 s, since {FIVE}, when it was judged at {AT} (rule silence, threshold "
                "10 min 0 s)"
            ),
        ),
        (
            noted(SILENT, rule="never_heard", **JUDGED),
            (
                f"no heartbeat ever, and no event for 11 min 0 s, since {FIVE}, when it was judged at {AT} (rule "
                "never_heard, threshold 10 min 0 s)"
            ),
        ),
        (
            noted(FAILED, **DEADLINE),
            (
                "no answer 1 min 0 s after the deadline 2025-05-05 10:15:00 UTC, when it was judged at "
                f"{AT} (rule deadline, threshold 30 s)"
            ),
        ),
        (SILENT, f"no sign of life since {FIVE}"),
        (noted(FAILED, deadline=at(5), rule=7, judged_at="soon"), f"no answer by the deadline {FIVE}"),
        (noted(SILENT, rule="hunger", threshold_seconds=True), f"no sign of life since {FIVE}"),
        (FAILED, None),
    ],
)
def test_verdict_says_what_it_rests_on(row: dict[str, Any], sentence: str | None) -> None:
    _, entry = entries(delegate(0), row)
    assert (entry.outcome, entry.rests_on) == ("advanced", sentence)


@pytest.mark.parametrize(
    ("before", "row", "outcome", "sentence"),
    [
        (
            heartbeat(10),
            SILENT,
            "stale",
            (
                "the delegation gave a sign of life at 2025-05-05 10:10:00 UTC, after the time that this verdict rests "
                f"on, {FIVE}: it changes nothing"
            ),
        ),
        (
            answer(10, "completed"),
            SILENT,
            "refused",
            "the delegation had ended before (it was completed): this verdict changes nothing",
        ),
        (
            answer(10, "failed", error="no"),
            FAILED,
            "duplicate",
            "the delegation was failed before: this verdict changes nothing",
        ),
        (
            SILENT,
            answer(20, "completed"),
            "refused",
            "the delegation has ended, so this event changes nothing (it was stuck)",
        ),
    ],
)
def test_verdict_says_why_it_changed_nothing(before: object, row: object, outcome: str, sentence: str) -> None:
    *_, entry = entries(delegate(0), before, row)
    assert (entry.outcome, entry.sentence, entry.changes) == (outcome, sentence, [])


def test_fractions_of_a_second_are_shown() -> None:
    beat = heartbeat(5) | {"created_at": "2025-05-05T10:05:00.000002+00:00"}
    *_, entry = entries(delegate(0), beat, noted(verdict(16), silent_since="2025-05-05T10:05:00.000001+00:00"))
    assert entry.silent_since == instant(5).replace(microsecond=1)
    assert "at 2025-05-05 10:05:00.000002 UTC, after" in entry.sentence
    assert "rests on, 2025-05-05 10:05:00.000001 UTC:" in entry.sentence


def test_other_records_rest_on_nothing() -> None:
    assert [entry.rests_on for entry in entries(delegate(0), heartbeat(1), answer(2, "completed"))] == [None] * 3
