"""What the order between partitions may have decided: the rule, and the differences that it excuses."""

from typing import Any

import pytest
from builders import at, row
from rows import Columns, answer, delegate, heartbeat, record_at, verdict

from projector.contract.facts import Status
from projector.domain.fold import translate_batch
from projector.domain.order import Undecided, facts, undecided
from projector.rebuild.drift import (
    Classification,
    Coverage,
    Difference,
    Sides,
    difference,
    may_depend_on_order,
    split_by_order,
)
from testbed.oracle import order_not_told

TOPIC = Coverage(since=at(30))
YOUNG = row(created_at=at(30), updated_at=at(30))


def requested(delegation_id: str, key: str | None = "k") -> Columns:
    return delegate(0, request_body={"delegation_id": delegation_id}, idempotency_key=key)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([delegate(0), heartbeat(1)], [answer(2, "completed")], Undecided()),
        ([delegate(0), answer(1, "completed")], [answer(2, "failed")], Undecided(columns=True)),
        ([delegate(0)], [verdict(9)], Undecided(columns=True)),
        ([delegate(0)], [verdict(9, "failed", silent=None)], Undecided(columns=True)),
        ([requested("d-1")], [requested("d-2")], Undecided(presence=True)),
        ([requested("d-1", None)], [requested("d-2", None)], Undecided()),
        (
            [requested("d-1"), answer(1, "completed")],
            [requested("d-2"), answer(2, "failed", of="d-2")],
            Undecided(True, True),
        ),
        ([delegate(0), answer(1, "completed"), answer(2, "failed")], [], Undecided()),
    ],
)
def test_rule_of_a_group_equals_that_of_the_oracle(
    first: list[Columns], second: list[Columns], expected: Undecided
) -> None:
    log = [
        record_at(offset, columns, 7)._replace(partition=partition)
        for partition, part in enumerate((first, second))
        for offset, columns in enumerate(part)
    ]
    group = [fact for each in translate_batch(log).records for fact in facts(each)]
    assert undecided("d-1", group) == expected
    by_oracle = order_not_told(log).get("d-1")
    assert expected == (Undecided(bool(by_oracle.columns), by_oracle.presence) if by_oracle else Undecided())


# --- what it excuses

COMPLETED = row(Status.COMPLETED, result_preview="done", created_at=at(30), updated_at=at(40))
FAILED = row(Status.FAILED, error_detail="late", created_at=at(30), updated_at=at(41))
KEYED = YOUNG._replace(idempotency_key="k")


def found(view: Any, log: Any) -> Difference:
    result = difference("d-1", Sides(view, log), TOPIC)
    assert result is not None
    return result


DRIFT, ORDER_NOT_TOLD = Classification.DRIFT, Classification.ORDER_NOT_TOLD


@pytest.mark.parametrize(
    ("view", "log", "may"),
    [
        (COMPLETED, FAILED, True),
        (COMPLETED._replace(task_preview="edited"), COMPLETED, False),
        (KEYED, None, True),
        (YOUNG, None, False),
        (None, KEYED, False),
    ],
)
def test_order_explains_its_own_columns_and_rows_with_keys(view: Any, log: Any, may: bool) -> None:
    assert may_depend_on_order(found(view, log), DRIFT) is may
    assert not may_depend_on_order(found(view, log), Classification.AHEAD)


def test_order_explains_a_missing_row_only_if_another_keeps_its_key() -> None:
    assert may_depend_on_order(found(None, KEYED), Classification.NOT_COVERED, key_is_kept=True)


def test_order_excuses_its_own_columns_alone() -> None:
    parts = split_by_order(found(COMPLETED._replace(task_preview="edited"), FAILED), DRIFT, Undecided(columns=True))
    assert [(part.columns, meaning) for part, meaning in parts] == [
        (("status", "result_preview", "error_detail", "updated_at"), ORDER_NOT_TOLD),
        (("task_preview",), DRIFT),
    ]


def test_order_excuses_nothing_where_nothing_is_undecided() -> None:
    for each in (found(COMPLETED, FAILED), found(KEYED, None)):
        assert split_by_order(each, DRIFT, Undecided()) == [(each, DRIFT)]


def test_presence_and_columns_are_excused_apart() -> None:
    assert split_by_order(found(KEYED, None), DRIFT, Undecided(columns=True))[0][1] is DRIFT
    assert split_by_order(found(KEYED, None), DRIFT, Undecided(presence=True))[0][1] is ORDER_NOT_TOLD
    assert split_by_order(found(COMPLETED, FAILED), DRIFT, Undecided(presence=True))[0][1] is DRIFT
