"""The verdict: the kind, the sentence and the advice that follow from the findings."""

from typing import Any

import pytest
from builders import at as instant
from builders import row

from projector.contract.facts import Status
from projector.domain.lifecycle import Delegation
from projector.explain.dead_letters import RelatedLetter
from projector.explain.findings import Findings, PartitionLag, Repeated, Source
from projector.explain.verdict import Agreement, Verdict, build_verdict
from projector.postgres.dead_letters import Coordinates

QUEUED, COMPLETED = row(), row(Status.COMPLETED, result_preview="3")
LAG = [PartitionLag(3, 120, 4880)]
LOG = Source("activity-log", "the log", is_complete=True)
PLACE = Coordinates("activity-log", 1, 9815)
WRONG = RelatedLetter(PLACE, "no uuid", is_request=True, is_readable=False, is_stored=True)
REPEATED = Repeated("d-7", PLACE, "c", "k")


def compare(folded: Delegation | None, stored: Delegation | None, **more: Any) -> Verdict:
    findings = {"folded": folded, "projected": folded, "stored": stored, "source": LOG, **more}
    return build_verdict(Findings("d-1", **findings))


def test_equal_rows_are_equal() -> None:
    sentence = "delegation d-1 is in the view with status queued, in agreement with the log"
    assert compare(QUEUED, QUEUED) == Verdict(Agreement.EQUAL, [], sentence, None)


def test_differing_columns_are_listed_in_table_order() -> None:
    found = compare(QUEUED, COMPLETED)
    assert (found.kind, found.differences) == (Agreement.DIFFERS, ["status", "result_preview"])
    assert found.sentence.endswith("is in the view, but differs from the log in status, result_preview")
    other = QUEUED._replace(created_at=instant(1), retry_count=1)
    assert compare(QUEUED, other).differences == ["retry_count", "created_at"]


def test_row_without_unprojected_events_is_behind() -> None:
    found = compare(COMPLETED, QUEUED, projected=QUEUED, lags=LAG)
    assert found.kind is Agreement.BEHIND
    assert found.sentence.endswith("the projector is 4,880 records behind on partition 3 (position 120)")
    assert compare(QUEUED, None, projected=None, lags=[PartitionLag(0, None, 1)]).sentence == (
        "delegation d-1 is not in the view yet: the projector is 1 record behind on partition 0 (no position)"
    )


def test_difference_before_the_position_is_drift() -> None:
    found = compare(COMPLETED, row(Status.STUCK), projected=QUEUED, lags=LAG)
    assert found.kind is Agreement.DIFFERS
    assert found.sentence.endswith("The projector is also 4,880 records behind on partition 3 (position 120)")


def test_missing_row_has_the_place_of_its_request() -> None:
    found = compare(COMPLETED, None, request=PLACE)
    assert (found.kind, found.differences) == (Agreement.MISSING, list(Delegation._fields))
    assert "although the log requests it (1:9815); its status is completed" in found.sentence


@pytest.mark.parametrize(
    ("letter", "advice"),
    [
        (WRONG, "Then `projector dead-letters discard 1 9815`."),
        (WRONG._replace(is_stored=False), "the producer must send it again, corrected."),
        (WRONG._replace(is_readable=True), "Fix the cause, then `projector dead-letters retry 1 9815`."),
        (WRONG._replace(place=PLACE._replace(topic="a.jsonl")), "discard --topic a.jsonl 1 9815`."),
    ],
)
def test_advice_depends_on_the_cause_of_the_dead_letter(letter: RelatedLetter, advice: str) -> None:
    found = compare(None, None, letters=[letter])
    assert found.kind is Agreement.DEAD_LETTER
    assert (found.advice or "").endswith(advice)


def test_certain_request_comes_before_a_possible_one() -> None:
    possible = WRONG._replace(place=PLACE._replace(offset=1), is_request=None)
    assert "its request (1:9815) is" in compare(None, None, letters=[possible, WRONG]).sentence
    assert "what may be its request (1:1) is" in compare(None, None, letters=[possible]).sentence
    result = WRONG._replace(is_request=False)
    assert compare(None, None, letters=[result]).kind is Agreement.NOT_FOUND


def test_repeated_request_is_told_before_a_dead_letter() -> None:
    found = compare(None, None, repeated=REPEATED, letters=[WRONG], parked=1234)
    assert found.kind is Agreement.REPEATED_REQUEST
    assert 'repeats the idempotency key "k" of caller c, which delegation d-7 holds' in found.sentence
    assert "Events are parked for it (1,234); they will never be applied. A dead letter mentions it" in found.sentence
    assert (
        "its request repeats the idempotency key, which" in compare(None, None, repeated=Repeated("d-7", None)).sentence
    )


def test_row_that_the_records_do_not_make_needs_all_records() -> None:
    assert compare(None, QUEUED).kind is Agreement.NOT_IN_LOG
    found = compare(None, QUEUED, source=LOG._replace(is_complete=False))
    assert found.kind is Agreement.NOT_COVERED
    assert compare(None, QUEUED, repeated=REPEATED).kind is Agreement.NOT_IN_LOG


def test_order_between_partitions_explains_a_difference() -> None:
    assert compare(QUEUED, COMPLETED, is_order_decisive=True).kind is Agreement.ORDER_UNKNOWN
    assert compare(QUEUED, None, is_order_decisive=True).kind is Agreement.ORDER_UNKNOWN
    assert compare(QUEUED, None, is_order_decisive=True, repeated=REPEATED).kind is Agreement.REPEATED_REQUEST


def test_events_without_a_request_are_told_from_nothing_at_all() -> None:
    found = compare(None, None, events=2, source=LOG._replace(is_complete=False))
    assert (found.kind, found.differences) == (Agreement.NOT_REQUESTED, [])
    assert found.sentence.endswith("no record requests it. The request may be older than the log")
    assert compare(None, None, parked=1).kind is Agreement.NOT_REQUESTED
    assert compare(None, None, mentions=1).kind is Agreement.NOT_FOUND


def test_command_in_the_advice_quotes_the_id() -> None:
    found = build_verdict(Findings("d 1", LOG, QUEUED, QUEUED, None))
    assert found.advice == "`projector rebuild --only 'd 1'` restores the row."
