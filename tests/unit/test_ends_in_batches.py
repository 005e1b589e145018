"""The ends that are stored do not depend on how records are cut into batches, or on how often they are read."""

from functools import cache
from typing import Any

from builders import InMemoryView, fold_batches, record, split
from hypothesis import example, given, settings
from hypothesis import strategies as st
from platform_logs import platform_logs
from rows import delegate

from projector.recordings.file import RecordedRecord
from testbed.workload import Mix, records
from testbed.workload.log import with_offsets

SEEN_MS = 1_746_446_400_000
"""Two hours after ten o'clock."""
MANY = settings(max_examples=200, deadline=None)
SOME = settings(max_examples=40, deadline=None)
IN_PLACE = [
    record(value, offset, timestamp=SEEN_MS + offset)
    for offset, value in enumerate([delegate(0), delegate(0, "completed"), delegate(0, "completed")])
]


def stored(view: InMemoryView) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What the database has of these ends: the first one of each record, and one reply per delegation."""
    ends: dict[Any, Any] = {}
    outbox: dict[str, Any] = {}
    for end in view.ends:
        ends.setdefault(end[:4], end[:-1])
        if end.agrees:
            outbox.setdefault(end.delegation_id, (end.kind, end.status, end.has_text, end.at))
    return ends, outbox


def one_by_one(log: list[RecordedRecord]) -> InMemoryView:
    return fold_batches(*([each] for each in log))


@MANY
@given(platform_logs(), st.lists(st.integers(1, 24), max_size=4))
@example(IN_PLACE, [])
def test_any_batching_stores_the_same(log: list[RecordedRecord], places: list[int]) -> None:
    view = fold_batches(*split(log, places))
    assert stored(view) == stored(one_by_one(log))


@cache
def platform_log(seed: int) -> list[RecordedRecord]:
    mix = Mix(delegations=40, live=12, seed=seed, unrelated_share=0.1, repeat_every=90, longest_repeat=40)
    return [RecordedRecord(*each) for each in with_offsets(records(mix), partitions=1)]


@cache
def platform_stored(seed: int) -> Any:
    return stored(one_by_one(platform_log(seed)))


@SOME
@given(st.integers(0, 3), st.lists(st.integers(0, 500), max_size=20))
def test_any_batching_of_a_platforms_log_stores_the_same(seed: int, places: list[int]) -> None:
    view = fold_batches(*split(platform_log(seed), places))
    assert stored(view) == platform_stored(seed)
    ended = {row.delegation_id for row in view.rows.values() if row.status in ("completed", "failed", "stuck")}
    assert set(stored(view)[1]) == ended, "each delegation that ended has a reply, and no other one"


@SOME
@given(st.integers(0, 3), st.integers(0, 500), st.integers(1, 60))
def test_reading_again_stores_nothing_else(seed: int, length: int, size: int) -> None:
    again = platform_log(seed)[:length]
    view = fold_batches(platform_log(seed), *split(again, range(0, length, size)))
    assert stored(view) == platform_stored(seed)
