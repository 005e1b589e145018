"""The closing sentence: equal, different, absent on one side, or only behind."""

from builders import row

from projector.contract.facts import Status
from projector.domain.lifecycle import Delegation
from projector.explain.verdict import Agreement, Evidence, PartitionLag, Verdict, differences, verdict

QUEUED, COMPLETED = row(), row(Status.COMPLETED, result_preview="3")
LAG = [PartitionLag(3, 120, 4880)]


def judged(folded: Delegation | None, stored: Delegation | None, **more: object) -> Verdict:
    return verdict(Evidence(**{"folded": folded, "reached": folded, "stored": stored, **more}))  # type: ignore[arg-type]


def test_equal_rows_are_equal() -> None:
    assert judged(QUEUED, QUEUED) == (Agreement.EQUAL, [], "equal: the row is what the log says")


def test_differences_are_named() -> None:
    found = judged(QUEUED, COMPLETED)
    assert (found.kind, found.differences) == (Agreement.DIFFERS, ["status", "result_preview"])
    assert found.sentence.startswith("differs in status, result_preview: no record that was looked at makes the row so")


def test_row_that_lacks_only_what_is_not_projected_yet_is_behind() -> None:
    found = judged(COMPLETED, QUEUED, reached=QUEUED, behind=LAG)
    assert found.kind is Agreement.BEHIND
    assert found.sentence.startswith(
        "the projector is 4,880 records behind on partition 3 (position 120), so this is not drift yet: compare the "
        "positions"
    )
    assert judged(QUEUED, None, reached=None, behind=[PartitionLag(0, None, 1)]).sentence.startswith(
        "the projector is 1 record behind on partition 0 (no position)"
    )


def test_row_that_differs_up_to_its_position_differs() -> None:
    found = judged(COMPLETED, row(Status.STUCK), reached=QUEUED, behind=LAG)
    assert found.kind is Agreement.DIFFERS
    assert found.sentence.endswith("Besides, the projector is 4,880 records behind on partition 3 (position 120)")


def test_row_that_the_view_lacks_is_drift() -> None:
    found = judged(QUEUED, None)
    assert (found.kind, found.differences) == (Agreement.NOT_IN_THE_VIEW, list(Delegation._fields))
    assert found.sentence.startswith("not in the view, though the log says that it must be")


def test_absence_that_the_log_explains_is_none() -> None:
    assert judged(None, None) == (
        Agreement.NOT_IN_THE_VIEW,
        [],
        "not in the view, as the log says: no record that was looked at says anything of it",
    )
    assert "nothing that was looked at requests it" in judged(None, None, events=2).sentence
    lost = judged(None, None, events=2, holder="d-7")
    assert "its idempotency key is held by d-7" in lost.sentence


def test_row_that_no_record_requests_is_not_in_the_log() -> None:
    found = judged(None, QUEUED)
    assert found.kind is Agreement.NOT_IN_THE_LOG
    assert "older than the log" not in found.sentence
    assert "older than the log" in judged(None, QUEUED, is_cut_off=True).sentence
    assert "its idempotency key went to d-7" in judged(None, QUEUED, holder="d-7").sentence


def test_differences_of_rows_are_columns() -> None:
    assert differences(QUEUED, QUEUED._replace(retry_count=1)) == ["retry_count"]
    assert differences(None, None) == []
