"""The recording of the benchmark has the properties that its docstring and docs/performance.md name."""

import json
from collections import Counter
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.recording import Record, Shape, generate
from projector.domain.fold import WorkingSet, resolve_unavailable, translate_batch

COUNT = 20_000


@cache
def recording(*, debezium: bool = False) -> list[Record]:
    return list(generate(COUNT, debezium=debezium))


def outcomes(*, debezium: bool) -> Counter[Any]:
    """Count the outcomes of the records, folded in one batch."""
    log: Any = [
        SimpleNamespace(topic="t", offset=number, **record._asdict())
        for number, record in enumerate(recording(debezium=debezium))
    ]
    batch = resolve_unavailable(translate_batch(log), {})
    assert batch.dead_letters == []
    view = WorkingSet()
    return Counter(batch.outcomes) + Counter(view.apply(record, translation) for record, translation in batch.records)


def rows() -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in recording()]


def test_records_depend_on_seed_alone() -> None:
    assert list(generate(300)) == recording()[:300]
    assert list(generate(300, seed=6)) != recording()[:300]


def test_half_is_unrelated_and_delegations_have_four_records() -> None:
    ours = [row for row in rows() if row["activity_type"] == "delegation"]
    assert len(ours) / COUNT == pytest.approx(0.5, abs=0.02)
    bodies = [row["request_body"] or row["response_body"] for row in ours]
    per_delegation = Counter(body["delegation_id"] for body in bodies)
    finished = {body["delegation_id"] for body, row in zip(bodies, ours, strict=True) if row["status"] == "completed"}
    counts = [per_delegation[each] for each in finished]
    assert sum(counts) / len(counts) == pytest.approx(4, abs=0.3)


def test_texts_have_100_bytes_to_4_kb() -> None:
    bodies = [row["request_body"] or row["response_body"] for row in rows()]
    sizes = [
        len(json.dumps(body.get("task") or body["text"], ensure_ascii=False).encode())
        for body in bodies
        if len(body) > 1 and "note" not in body
    ]
    assert 60 < min(sizes) < 150
    assert 3_900 < max(sizes) <= 4_100


def test_records_of_caller_are_in_one_partition() -> None:
    places = {(record.key, record.partition) for record in recording()}
    assert len(places) == 600
    assert {partition for _, partition in places} == set(range(6))


def test_outcomes_are_equal_in_both_envelopes() -> None:
    bare = outcomes(debezium=False)
    assert bare == outcomes(debezium=True)
    assert sum(bare.values()) == COUNT
    assert bare["parked"] + bare["refused"] + bare["duplicate"] < COUNT / 100


def test_some_updates_omit_large_bodies() -> None:
    values = [record.value or b"" for record in recording(debezium=True)]
    unavailable = sum(b'"__debezium_unavailable_value"' in value for value in values)
    assert 0 < unavailable < COUNT / 10
    assert {json.loads(value)["op"] for value in values} == {"c", "u"}


def test_shape_can_give_hot_partition_or_large_records() -> None:
    assert {record.partition for record in generate(500, shape=Shape(callers=1, partitions=1))} == {0}
    large = generate(500, shape=Shape(smallest=50_000, largest=200_000))
    assert max(len(record.value or b"") for record in large) > 50_000
