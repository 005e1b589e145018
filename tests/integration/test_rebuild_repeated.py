"""Parked verdicts and repeated requests in `verify` and `rebuild`."""

from collections.abc import Iterator
from typing import Any

import pytest
from projecting import query
from reconciling import Log, change, request
from rows import answer, verdict


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def repeated(log: Log) -> Log:
    """`a` holds a key, `b` asked with it too; a verdict and a result are parked for `b` and for `early`."""
    log.produce(request(0, "a", idempotency_key="k"), request(1, "b", idempotency_key="k"))
    return log.produce(
        verdict(2, of="b", silent=1), verdict(3, "failed", of="early", silent=2, error_detail="e")
    ).project()


def requests(log: Log) -> list[Any]:
    return query(log.conn, 'SELECT delegation_id, holder_id, partition, "offset" FROM repeated_requests ORDER BY 1')


def verdicts(log: Log) -> list[Any]:
    return query(log.conn, "SELECT delegation_id, kind, status, silent_since, error_detail FROM parked ORDER BY 1")


# --- parked verdicts


def test_parked_verdicts_are_compared(repeated: Log) -> None:
    assert repeated.verify() == {}
    change(repeated, "UPDATE parked SET silent_since = silent_since + '1 s' WHERE delegation_id = 'early'")
    assert repeated.verify() == {"parked": 1}


def test_changed_or_missing_verdicts_are_parked_again(repeated: Log) -> None:
    before = verdicts(repeated)
    change(repeated, "UPDATE parked SET silent_since = silent_since + '1 s' WHERE delegation_id = 'early'")
    repeated.rebuild()
    assert verdicts(repeated) == before
    with repeated.conn.transaction():
        repeated.conn.execute("SELECT set_config('projector.reads_verdicts', 'on', true)")
        change(repeated, "DELETE FROM parked")
    repeated.rebuild()
    assert verdicts(repeated) == before


def test_verdict_parked_as_a_status_by_an_earlier_release_is_replaced(repeated: Log) -> None:
    before = verdicts(repeated)
    change(repeated, "UPDATE parked SET kind = 'status', silent_since = NULL")
    assert repeated.verify() == {"parked": 2}
    assert not repeated.reconcile().report.deletes
    repeated.rebuild()
    assert verdicts(repeated) == before


def test_verdict_of_a_shortened_log_is_carried_over(repeated: Log) -> None:
    before = verdicts(repeated)
    repeated.produce(answer(60, "completed", of="other")).project().shorten({0: 4})
    assert repeated.verify() == {}
    repeated.rebuild()
    assert [each for each in verdicts(repeated) if each[0] != "other"] == before


# --- repeated requests


def test_request_that_is_not_remembered_is_no_drift_and_is_added(repeated: Log) -> None:
    before = requests(repeated)
    assert before == [("b", "a", 0, 1)]
    change(repeated, "DELETE FROM repeated_requests")
    report = repeated.reconcile().report
    assert (report.drift, report.not_remembered) == (0, 1)
    owners = repeated.owners()
    done = repeated.reconcile(repair=True)
    assert done.applied is not None
    assert (done.written, done.applied.remembered) == ((0, 0, 0), 1)
    assert requests(repeated) == before
    assert repeated.owners() == owners, "no member was fenced"
    assert repeated.rebuild() is None


def test_selection_adds_only_its_own(repeated: Log) -> None:
    change(repeated, "DELETE FROM repeated_requests")
    assert repeated.rebuild(only=["a"]) is None
    assert requests(repeated) == []
    assert repeated.rebuild(only=["b"]) == (0, 0, 0)
    assert len(requests(repeated)) == 1


def test_repaired_row_is_no_repeated_request_any_more(repeated: Log) -> None:
    change(repeated, "DELETE FROM delegations")
    repeated.produce(request(10, "b", idempotency_key="k"), request(11, "a", idempotency_key="k")).project()
    assert repeated.statuses() == {"b": "queued"}
    assert requests(repeated) == [("a", "b", 0, 5), ("b", "a", 0, 1)]
    assert repeated.rebuild() == (1, 0, 1)
    assert repeated.statuses() == {"a": "queued"}
    assert requests(repeated) == [("b", "a", 0, 1)]


def test_repeated_request_of_a_shortened_log_is_carried_over(repeated: Log) -> None:
    before = requests(repeated)
    repeated.produce(answer(60, "failed", of="b")).project().shorten({0: 4})
    assert repeated.reconcile().report.not_remembered == 0
    change(repeated, "DELETE FROM parked WHERE kind = 'status'")
    assert repeated.verify() == {"parked": 1}
    repeated.rebuild()
    assert requests(repeated) == before


def test_interrupted_shadow_keeps_no_repeated_requests(repeated: Log) -> None:
    """The shadow is empty after a run, whatever it held."""
    repeated.reconcile()
    assert repeated.shadow_is_empty()
