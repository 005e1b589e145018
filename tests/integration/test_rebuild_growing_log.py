"""`verify` and `rebuild` while the log grows and members project it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from reconciling import At, Log, change, request
from rows import UNAVAILABLE_VALUE, Columns, answer, updated

from projector.kafka.reader import TopicReader
from projector.rebuild import from_topic
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.source import ShadowProjector


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log.produce(request(0, "a"), request(1, "b")).project()


def test_growing_log_has_no_gap(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    real = TopicReader.log_ranges
    calls: list[bool] = []

    def log_ranges(topic: TopicReader, *partitions: Any) -> Any:
        found = real(topic, *partitions)
        if not calls:
            calls.append(True)
            log.produce(request(20, "f")).project()
        return found

    fold = At(lambda: monkeypatch.setattr(TopicReader, "log_ranges", log_ranges), "folding")
    assert log.reconcile(progress=fold).report.drift == 0
    assert calls


LARGE = request(0, "large", id="f0f0f0f0-0000-4000-8000-00000000000f", summary="x" * 2000)
UNAVAILABLE = {
    **updated({**LARGE, "status": "completed", "request_body": UNAVAILABLE_VALUE}, 30),
    "created_at": "2025-05-05",
}


@pytest.mark.parametrize("last", [answer(30, "completed", of="large"), UNAVAILABLE], ids=["whole", "unavailable"])
@pytest.mark.parametrize("repair", [False, True])
def test_row_that_drifts_after_its_comparison_is_found(log: Log, last: Columns, repair: bool) -> None:
    log.produce(LARGE).project()

    def drift() -> None:
        log.produce(last).project()
        change(log, "UPDATE delegations SET status = 'queued', updated_at = created_at WHERE delegation_id = 'large'")

    done = log.reconcile(repair=repair, progress=At(drift, "repairing" if repair else "checking again"))
    assert done.report.drift == 1
    assert log.statuses()["large"] == ("completed" if repair else "queued")


def test_members_wait_for_a_short_tail_only(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_topic, "TAIL_RECORDS", 2)
    results: list[tuple[bool, int]] = []

    class Counted(FromTopic):
        def catch_up(self, into: ShadowProjector, until: Mapping[int, int]) -> bool:
            before = into.records
            results.append((super().catch_up(into, until), into.records - before))
            return results[-1][0]

    def continue_log() -> None:
        log.produce(*(request(20 + n, f"late-{n}") for n in range(5))).project()
        change(log, "DELETE FROM delegations WHERE delegation_id = 'late-3'")

    done = log.reconcile(Counted(log.topic), repair=True, progress=At(continue_log, "repairing"))
    assert done.written == (1, 0, 0)
    assert results == [(True, 0), (False, 0), (True, 0), (True, 0)]  # the plan, the repair twice, what was written
