"""The verdict: equal, different, missing on one side, or only behind."""

from builders import at as instant
from builders import row

from projector.contract.facts import Status
from projector.domain.lifecycle import Delegation
from projector.explain.verdict import Agreement, Findings, PartitionLag, Verdict, build_verdict

QUEUED, COMPLETED = row(), row(Status.COMPLETED, result_preview="3")
LAG = [PartitionLag(3, 120, 4880)]


def compare(folded: Delegation | None, stored: Delegation | None, **more: object) -> Verdict:
    findings = {"folded": folded, "projected": folded, "stored": stored, **more}
    return build_verdict(Findings(**findings))  # type: ignore[arg-type]


def test_equal_rows_are_equal() -> None:
    assert compare(QUEUED, QUEUED) == (Agreement.EQUAL, [], "equal: the row in the view matches the records")


def test_differing_columns_are_listed_in_table_order() -> None:
    found = compare(QUEUED, COMPLETED)
    assert (found.kind, found.differences) == (Agreement.DIFFERS, ["status", "result_preview"])
    assert found.sentence.startswith("differs in status, result_preview: the records that were read make another row")
    assert compare(QUEUED, QUEUED._replace(created_at=instant(1), retry_count=1)).differences == [
        "retry_count",
        "created_at",
    ]


def test_row_without_unprojected_events_is_behind() -> None:
    found = compare(COMPLETED, QUEUED, projected=QUEUED, lags=LAG)
    assert found.kind is Agreement.BEHIND
    assert found.sentence.startswith(
        "the projector is 4,880 records behind on partition 3 (position 120), so this is not drift yet: the row "
        "matches the records that are projected"
    )
    assert compare(QUEUED, None, projected=None, lags=[PartitionLag(0, None, 1)]).sentence.startswith(
        "the projector is 1 record behind on partition 0 (no position)"
    )


def test_difference_before_the_position_is_drift() -> None:
    found = compare(COMPLETED, row(Status.STUCK), projected=QUEUED, lags=LAG)
    assert found.kind is Agreement.DIFFERS
    assert found.sentence.endswith("The projector is also 4,880 records behind on partition 3 (position 120)")


def test_row_missing_from_the_view_is_drift() -> None:
    found = compare(QUEUED, None)
    assert (found.kind, found.differences) == (Agreement.NOT_IN_THE_VIEW, list(Delegation._fields))
    assert found.sentence.startswith("not in the view, although the records make a row")


def test_absence_that_the_records_explain_has_no_differences() -> None:
    assert compare(None, None) == (
        Agreement.NOT_IN_THE_VIEW,
        [],
        "not in the view, as expected: no record that was read is about it",
    )
    assert "no record that was read requests it" in compare(None, None, events=2).sentence
    lost = compare(None, None, events=2, holder="d-7")
    assert "d-7 holds its idempotency key" in lost.sentence


def test_row_without_a_request_is_not_in_the_records() -> None:
    found = compare(None, QUEUED)
    assert found.kind is Agreement.NOT_IN_THE_LOG
    assert "older than the topic" not in found.sentence
    assert "older than the topic" in compare(None, QUEUED, is_cut_off=True).sentence
    assert "d-7 holds its idempotency key there" in compare(None, QUEUED, holder="d-7").sentence
