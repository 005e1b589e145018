"""Reading a log twice gives the same tables, for the oracle and for the projector (events/README.md, section 4)."""

from dataclasses import astuple

from builders import InMemoryView, log, split
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from platform_logs import platform_logs
from rows import CALLER, UNAVAILABLE_VALUE, Columns, answer, delegate, verdict

from projector.recordings.file import RecordedRecord
from testbed.oracle import Oracle
from testbed.oracle.reading import Event, Reader

MANY = settings(max_examples=300, deadline=None)
Log = list[RecordedRecord]


def asked(minute: int, delegation_id: str, key: str | None, status: str = "pending") -> Columns:
    return delegate(minute, status, request_body={"delegation_id": delegation_id}, idempotency_key=key)


OTHER_KEY = log(asked(0, "d-1", "k"), asked(1, "d-2", "k", "failed"), asked(2, "d-2", "k-2"))
"""A request that made no row, and then one with another key that made it."""
SEEN_LATER = log(
    delegate(1, "completed", id=CALLER, request_body=UNAVAILABLE_VALUE),
    delegate(0, id=CALLER, request_body={"delegation_id": "d-1", "task": "t" * 1600}),
)
"""A body that was left out, and then the row whose image would tell it."""
STALE_VERDICT = log(delegate(1), verdict(2, "failed", silent=0, error_detail="no sign of life"), answer(3, "failed"))
"""A verdict that is stale, and then its status from the callee, without an error."""


def tables_of_oracle(oracle: Oracle) -> list[object]:
    expected = oracle.expected()
    rows = [astuple(row) for row in expected.rows.values()]
    return [rows, list(expected.parked_events), dict(expected.repeated), dict(expected.large_rows)]


def tables_of_projector(view: InMemoryView) -> list[object]:
    return [dict(view.rows), dict(view.parked), dict(view.repeated), dict(view.large_rows)]


def is_exception(log: Log) -> bool:
    """Whether the second reading changes a row, which the rules of the contract allow in two cases.

    - A record is a dead letter in the first reading, because the row of its omitted body comes later in the log.
    - A verdict is stale in the first reading, and in the second it fills the empty error of a delegation that failed.
    """
    oracle = Oracle()
    first, second = [[oracle.apply(record) for record in log] for _ in range(2)]
    return any(
        before == "dead_letter" != after or (after == "filled" and _is_verdict(record))
        for record, before, after in zip(log, first, second, strict=True)
    )


def _is_verdict(record: RecordedRecord) -> bool:
    event = Reader().read(record.value, record.timestamp)
    return isinstance(event, Event) and event.silent_since is not None


@MANY
@given(platform_logs())
@example(OTHER_KEY)
def test_oracle_reads_a_log_twice_alike(log: Log) -> None:
    assume(not is_exception(log))
    oracle = Oracle()
    for record in log:
        oracle.apply(record)
    once = tables_of_oracle(oracle)
    for record in log:
        oracle.apply(record)
    assert tables_of_oracle(oracle) == once


@MANY
@given(platform_logs(), st.lists(st.integers(1, 24), max_size=3))
@example(OTHER_KEY, [])
def test_projector_reads_a_log_twice_alike(log: Log, places: list[int]) -> None:
    assume(not is_exception(log))
    view = InMemoryView()
    for batch in split(log, places):
        view.project(batch)
    once = tables_of_projector(view)
    for batch in split(log, [place + 1 for place in places]):
        view.project(batch)
    assert tables_of_projector(view) == once


def test_body_whose_row_comes_later_is_an_exception() -> None:
    """The first reading keeps a dead letter, which `dead-letters retry` reads as the second reading does."""
    assert is_exception(SEEN_LATER)
    assert outcomes_of_both(SEEN_LATER * 2) == ["dead_letter", "inserted", "advanced", "refused"]


def test_stale_verdict_that_fills_an_error_is_an_exception() -> None:
    assert is_exception(STALE_VERDICT)
    first, second = ["inserted", "stale", "advanced"], ["refused", "filled", "duplicate"]
    assert outcomes_of_both(STALE_VERDICT * 2) == first + second


def outcomes_of_both(log: Log) -> list[str]:
    """The outcomes of the oracle, which are those of the projector."""
    oracle, view = Oracle(), InMemoryView()
    outcomes = [oracle.apply(record) for record in log]
    assert [str(*view.project([record])) for record in log] == outcomes
    return outcomes
