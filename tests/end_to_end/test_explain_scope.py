"""`projector explain` as a process: the partitions and offsets in which it searches, and when it searches more."""

from contextlib import nullcontext

import pytest
from explaining import BY_CALLER, PARTITIONS, Platform, outcomes, ranges_of
from projecting import connected
from rows import CALLER, answer, delegate, heartbeat
from topics import create_topic

from projector.explain.report import Explanation, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.verdict import Agreement
from projector.kafka.reader import open_topic
from projector.settings import KafkaSettings

OTHER = b"0a0a0a0a-0000-4000-8000-000000000001"


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


@pytest.mark.parametrize("key", [BY_CALLER, b'{"workspace_id":"%s"}' % BY_CALLER], ids=["text", "Debezium"])
def test_search_begins_at_the_caller_and_time_of_the_row(platform: Platform, key: bytes) -> None:
    days_before = -3 * 24 * 60
    for partition in range(PARTITIONS):
        platform.send({"activity_type": "other"}, OTHER, minute=days_before, partition=partition)
    records = [platform.send(delegate(0), key), platform.send(answer(1, "completed", text="3"), key, minute=1)]
    platform.project(*records)
    report = platform.report()
    ranges, partition = ranges_of(report), records[0].partition
    assert len(ranges) <= 2
    assert ranges[partition] == (1, 3)
    assert (report["looked_at"]["partitions"], report["looked_at"]["widened"]) == (PARTITIONS, [])
    assert outcomes(report) == [(1, "inserted"), (2, "advanced")]
    assert (report["verdict"], report["differences"]) == ("equal", [])
    assert report["folded"] == report["stored"]
    assert report["stored"]["result_preview"] == "3"
    text = platform.explain("d-1")
    assert (text.code, text.err) == (0, "")
    assert f"partition {partition}, offsets 1 to 2" in text.out
    assert f"of {PARTITIONS} partitions" in text.out


def test_topic_with_other_keys_is_searched_whole(platform: Platform) -> None:
    asked = platform.send(delegate(0), b"row 1", partition=0)
    answered = platform.send(answer(1, "completed"), b"row 2", minute=1, partition=5)
    platform.project(asked, answered)
    report = platform.report()
    assert set(ranges_of(report)) == set(range(PARTITIONS))
    assert [(each["partition"], each["outcome"]) for each in report["records"]] == [(0, "inserted"), (5, "advanced")]
    assert report["looked_at"]["widened"]
    assert report["verdict"] == "equal"
    text = platform.explain("d-1").out
    assert "search widened: " in text
    assert "between partitions there is no order" in text


def test_request_with_another_key_widens_the_search(platform: Platform) -> None:
    home = platform.send({"activity_type": "other"}).partition
    asked = platform.send(delegate(0), b"row 1", partition=home)
    answered = platform.send(answer(1, "completed"), b"row 2", minute=1, partition=(home + 1) % PARTITIONS)
    platform.project(asked, answered)
    report = platform.report()
    assert [each["outcome"] for each in report["records"]] == ["inserted", "advanced"]
    assert report["looked_at"]["widened"] == [
        "the records are not keyed by the caller, so they can be on any partition"
    ]


def test_difference_is_told_only_after_the_whole_topic_was_searched(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    stuck = platform.send(answer(1, "stuck"), b"sweeper", minute=1, partition=(asked.partition + 1) % PARTITIONS)
    platform.project(asked, stuck)
    report = platform.report()
    assert [each["outcome"] for each in report["records"]] == ["inserted", "advanced"]
    assert report["verdict"] == "equal"
    reasons = report["looked_at"]["widened"]
    assert set(reasons) == {"the records that were found there do not explain the row"}
    assert platform.report("--everywhere")["looked_at"]["widened"] == []


def test_backfill_with_old_timestamps_is_found(platform: Platform) -> None:
    years_before = -5 * 365 * 24 * 60
    records = [platform.send(delegate(0), minute=years_before), platform.send(answer(1, "completed"), minute=1)]
    records.append(platform.send(delegate(0, "completed"), minute=2))
    platform.project(*records)
    report = platform.report()
    assert outcomes(report) == [(0, "inserted"), (1, "advanced"), (2, "duplicate")]
    assert report["looked_at"]["widened"] == ["an event was found there before any request of the delegation"]
    assert ranges_of(report)[records[0].partition] == (0, 3)
    assert len(ranges_of(report)) <= 2


def test_differing_row_is_compared_with_the_whole_topic(platform: Platform) -> None:
    platform.send({"activity_type": "other"}, minute=-3 * 24 * 60)
    record = platform.send(delegate(0))
    platform.project(record)
    platform.damage("UPDATE delegations SET status = 'failed'")
    report = platform.report(code=3)
    assert report["looked_at"]["widened"] == ["the records that were found there do not explain the row"] * 2
    assert ranges_of(report)[record.partition] == (0, 2)
    assert set(ranges_of(report)) == set(range(PARTITIONS))


def test_caller_option_selects_partitions_without_a_row(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    report = platform.report("--caller", CALLER.upper())
    assert asked.partition in ranges_of(report)
    assert len(ranges_of(report)) <= 2
    assert (report["verdict"], report["stored"]) == ("behind", None)
    assert platform.explain("d-1", "--caller", "no uuid").code == 2


def test_unknown_id_is_searched_among_the_newest_records(platform: Platform) -> None:
    platform.send(delegate(0), partition=0)
    for minute in range(1, 4):
        platform.send({"activity_type": "other"}, partition=0, minute=minute)
    settings = KafkaSettings(bootstrap_servers=platform.bootstrap_servers, topic=platform.topic)

    def explain(records: int, *, everywhere: bool = False) -> Explanation:
        options = ScopeOptions(everywhere=everywhere, newest=records)
        with connected(platform.database_url) as conn, open_topic(settings) as topic:
            return from_topic(lambda: nullcontext(conn), topic, "d-1", options, lambda _: None)

    cut = explain(3 * PARTITIONS)
    assert (cut.verdict.kind, cut.scope.records, cut.scope.widened) == (Agreement.NOT_FOUND, 3, [])
    assert "none of the newest records is about it" in cut.verdict.sentence
    assert (cut.verdict.advice or "").startswith("`projector explain d-1 --everywhere` searches the whole topic.")
    assert explain(3 * PARTITIONS, everywhere=True).verdict.kind is Agreement.BEHIND
    assert explain(4 * PARTITIONS).verdict.kind is Agreement.BEHIND
    platform.send(heartbeat(5), partition=0, minute=5)
    seen = explain(3 * PARTITIONS)
    assert (seen.verdict.kind, seen.scope.records, len(seen.scope.widened)) == (Agreement.BEHIND, 5, 1)


def test_empty_id_is_refused(platform: Platform) -> None:
    assert platform.explain("").code == 2
