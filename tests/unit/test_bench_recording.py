"""The bench's recording is what it says that it is: a figure is worth no more than the records that it was got from."""

import json
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.recording import Shape, made
from projector.domain.fold import WorkingSet, resolve_unavailable, translate_batch

COUNT = 20_000


def outcomes(*, debezium: bool) -> Counter[Any]:
    """How the records end, folded in one piece."""
    log: Any = [
        SimpleNamespace(topic="t", offset=number, **record._asdict())
        for number, record in enumerate(made(COUNT, debezium=debezium))
    ]
    reading = resolve_unavailable(translate_batch(log), {})
    assert reading.dead_letters == []
    view = WorkingSet()
    return Counter(reading.outcomes) + Counter(view.apply(record, said) for record, said in reading.records)


def rows() -> list[dict[str, Any]]:
    return [json.loads(record.value or b"") for record in made(COUNT)]


def test_the_same_seed_gives_the_same_records_and_another_one_others() -> None:
    assert list(made(300)) == list(made(300))
    assert list(made(300)) == list(made(600))[:300]
    assert list(made(300)) != list(made(300, seed=6))


def test_half_of_the_records_are_unrelated_and_a_delegation_has_some_four() -> None:
    found = rows()
    ours = [row for row in found if row["activity_type"] == "delegation"]
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


def test_a_callers_records_are_in_one_of_six_partitions() -> None:
    places = {(record.key, record.partition) for record in made(COUNT)}
    assert len(places) == 600
    assert {partition for _, partition in places} == set(range(6))


def test_each_record_ends_as_it_should_and_in_both_envelopes_alike() -> None:
    bare = outcomes(debezium=False)
    assert bare == outcomes(debezium=True)
    assert sum(bare.values()) == COUNT
    assert bare["parked"] + bare["refused"] + bare["duplicate"] < COUNT / 100


def test_some_updates_of_a_change_feed_leave_out_their_large_bodies() -> None:
    values = [record.value or b"" for record in made(COUNT, debezium=True)]
    left_out = sum(b'"__debezium_unavailable_value"' in value for value in values)
    assert 0 < left_out < COUNT / 10
    assert {json.loads(value)["op"] for value in values} == {"c", "u"}


def test_another_shape_gives_one_hot_partition_or_large_records() -> None:
    assert {record.partition for record in made(500, shape=Shape(callers=1, partitions=1))} == {0}
    assert max(len(record.value or b"") for record in made(500, shape=Shape(smallest=50_000, largest=200_000))) > 50_000
