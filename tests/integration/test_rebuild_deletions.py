"""What a rebuild deletes: the plan that is shown first, rows that are too young, what is kept and comes back."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from reconciling import Log, change, plant, produce_whole, request
from rows import CALLEE, CALLER, answer

from projector.errors import ProjectorError
from projector.postgres import deleted
from projector.postgres.deleted import Selection
from projector.rebuild.drift import Classification, DriftKind
from projector.rebuild.report import DriftReport

MINUTES_15 = timedelta(minutes=15)


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield produce_whole(log)


def refuse(_: DriftReport) -> None:
    raise ProjectorError("no")


# --- the plan


def test_plan_is_shown_before_anything_is_written(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    plant(log, "planted", 60)
    versions, plans = log.versions(), []

    def look(plan: DriftReport) -> None:
        assert log.versions() == versions
        plans.append((dict(plan.kinds), plan.deletes, plan.totals.view_rows))

    assert log.rebuild(approve=look) == (1, 0, 1)
    assert plans == [({"missing": 1, "unexpected": 1}, True, 4)]


def test_refused_plan_writes_nothing(log: Log) -> None:
    plant(log, "planted", 60)
    rows, owners = log.rows(), log.owners()
    with pytest.raises(ProjectorError, match="no"):
        log.rebuild(approve=refuse)
    assert (log.rows(), log.owners()) == (rows, owners)
    assert deleted.count(log.conn, Selection()) == 0


def test_members_go_on_while_the_plan_is_read(log: Log) -> None:
    """Nothing is locked: neither positions, nor rows, nor parking."""
    plant(log, "planted", 60)
    log.conn.execute("SET lock_timeout = '200ms'")

    def project_too(_: DriftReport) -> None:
        change(log, "UPDATE delegations SET retry_count = 0 WHERE delegation_id = 'planted'")
        log.produce(answer(30, "completed", of="d"), partition=1)
        log.produce(request(31, "new"), answer(32, "failed", of="other")).project()

    assert log.rebuild(approve=project_too) == (0, 0, 1)
    assert log.statuses()["d"] == "completed"
    assert log.verify() == {}


def test_deletion_that_no_plan_has_shown_is_shown_first(log: Log) -> None:
    plant(log, "planted", 60)
    plans: list[int] = []

    def plant_another(plan: DriftReport) -> None:
        plans.append(plan.kinds[DriftKind.UNEXPECTED])
        if len(plans) == 1:
            plant(log, "another", 61)
            log.produce(answer(62, "completed", of="another")).project()

    assert log.rebuild(approve=plant_another) == (0, 0, 2)
    assert plans == [1, 2]


def test_fewer_deletions_than_planned_need_no_other_question(log: Log) -> None:
    plant(log, "planted", 60)
    plant(log, "another", 60)
    plans: list[int] = []

    def delete_one(plan: DriftReport) -> None:
        plans.append(plan.kinds[DriftKind.UNEXPECTED])
        change(log, "DELETE FROM delegations WHERE delegation_id = 'another'")

    assert log.rebuild(approve=delete_one) == (0, 0, 1)
    assert plans == [2]


def test_nothing_is_asked_without_drift(log: Log) -> None:
    assert log.rebuild(approve=refuse) is None


# --- rows that are too young


def write_directly(log: Log, delegation_id: str, seconds_ago: int) -> None:
    log.conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, created_at)
        VALUES (%s, %s, %s, 'direct', now() - make_interval(secs => %s))
        """,
        [delegation_id, CALLER, CALLEE, seconds_ago],
    )


def test_young_row_waits_for_its_event(log: Log) -> None:
    write_directly(log, "young", 60)
    write_directly(log, "old", 3600)
    report = log.reconcile(grace=MINUTES_15).report
    assert (report.drift, report.classified[Classification.PENDING_EVENT]) == (1, 1)
    assert {each.delegation_id: each.meaning for each in report.examples} == {
        "young": Classification.PENDING_EVENT,
        "old": Classification.DRIFT,
    }
    assert log.rebuild(grace=MINUTES_15) == (0, 0, 1)
    assert "young" in log.rows()
    assert log.rebuild() == (0, 0, 1)
    assert "young" not in log.rows()


def test_event_of_a_young_row_ends_the_wait(log: Log) -> None:
    write_directly(log, "young", 60)
    log.produce(request(70, "young")).project()
    report = log.reconcile(grace=MINUTES_15).report
    assert (report.drift, report.classified[Classification.PENDING_EVENT]) == (1, 0)
