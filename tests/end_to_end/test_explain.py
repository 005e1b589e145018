"""`projector explain` as a process, on a real topic and a real view: where it searches, what it finds, its verdict."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from projecting import connected
from rows import CALLER, TEN, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated
from topics import create_topic

from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord, dumps
from testbed.servers.server import free_port

NOWHERE = f"127.0.0.1:{free_port()}"
TEN_MS = int(TEN.timestamp() * 1000)
PARTITIONS = 6
BY_CALLER = CALLER.encode()
OTHER = b"0a0a0a0a-0000-4000-8000-000000000001"
ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}


class Platform(NamedTuple):
    """A topic of six partitions and a database; sends records to the topic and projects them into the view."""

    bootstrap_servers: str
    topic: str
    database_url: str

    def send(
        self, value: object, key: bytes | None = BY_CALLER, *, minute: float = 0, partition: int | None = None
    ) -> RecordedRecord:
        """Send one record; returns it with its partition and offset."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        at = TEN_MS + int(minute * 60_000)
        with closing(KafkaProducer(bootstrap_servers=self.bootstrap_servers)) as producer:
            sent = producer.send(self.topic, content, key, partition=partition, timestamp_ms=at).get(10)
        return RecordedRecord(self.topic, sent.partition, sent.offset, at, key, content)

    def project(self, *records: RecordedRecord) -> None:
        """Project records as a member does, and advance their positions."""
        with connected(self.database_url) as conn:
            project(conn, records)
            for record in records:
                conn.execute(
                    "INSERT INTO positions (topic, partition, next_offset) VALUES (%s, %s, %s) "
                    "ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                    [record.topic, record.partition, record.offset + 1],
                )

    def explain(self, *arguments: str) -> CommandResult:
        return run_projector(
            "explain",
            *arguments,
            database_url=self.database_url,
            bootstrap_servers=self.bootstrap_servers,
            topic=self.topic,
        )

    def report(self, *arguments: str) -> Any:
        done = self.explain("d-1", "--json", *arguments)
        assert (done.code, done.err) == (0, "")
        return done.json()

    def damage(self, statement: str) -> None:
        with psycopg.connect(self.database_url) as conn:
            conn.execute(statement.encode())


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


def outcomes(report: Any) -> list[tuple[int, str]]:
    return [(each["offset"], each["outcome"]) for each in report["records"]]


def ranges_of(report: Any) -> dict[int, tuple[int, int]]:
    return {each["partition"]: (each["from"], each["to"]) for each in report["looked_at"]["ranges"]}


# --- the scope


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
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("equal", [])
    assert report["folded"] == report["stored"]
    assert report["stored"]["result_preview"] == "3"
    text = platform.explain("d-1")
    assert (text.code, text.err) == (0, "")
    assert f"partition {partition}, offsets 1 to 2" in text.out
    assert f"of {PARTITIONS} partitions" in text.out
    assert text.out.endswith("\nequal: the row in the view matches the records\n")


def test_topic_with_other_keys_is_searched_whole(platform: Platform) -> None:
    asked = platform.send(delegate(0), b"row 1", partition=0)
    answered = platform.send(answer(1, "completed"), b"row 2", minute=1, partition=5)
    platform.project(asked, answered)
    report = platform.report()
    assert set(ranges_of(report)) == set(range(PARTITIONS))
    assert [(each["partition"], each["outcome"]) for each in report["records"]] == [(0, "inserted"), (5, "advanced")]
    assert report["looked_at"]["widened"]
    assert report["verdict"]["kind"] == "equal"
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


def test_everywhere_finds_records_with_other_keys(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    stuck = platform.send(answer(1, "stuck"), b"sweeper", minute=1, partition=(asked.partition + 1) % PARTITIONS)
    platform.project(asked, stuck)
    narrow = platform.explain("d-1").out
    assert "the other partitions were not searched: --everywhere searches them" in narrow
    assert "differs in status" in narrow
    report = platform.report("--everywhere")
    assert [each["outcome"] for each in report["records"]] == ["inserted", "advanced"]
    assert (report["verdict"]["kind"], report["looked_at"]["widened"]) == ("equal", [])


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


def test_differing_row_is_compared_with_its_whole_partition(platform: Platform) -> None:
    platform.send({"activity_type": "other"}, minute=-3 * 24 * 60)
    record = platform.send(delegate(0))
    platform.project(record)
    platform.damage("UPDATE delegations SET status = 'failed'")
    report = platform.report()
    assert report["looked_at"]["widened"] == ["the records that were found there do not explain the row"]
    assert ranges_of(report)[record.partition] == (0, 2)


def test_caller_option_selects_partitions_without_a_row(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    report = platform.report("--caller", CALLER.upper())
    assert asked.partition in ranges_of(report)
    assert len(ranges_of(report)) <= 2
    assert (report["verdict"]["kind"], report["stored"]) == ("behind", None)
    assert platform.explain("d-1", "--caller", "nobody").code == 2


def test_unknown_id_is_an_error_with_the_scope(platform: Platform) -> None:
    record = platform.send(delegate(0))
    done = platform.explain("d-10")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "projector: delegation d-10 is unknown: it has no row, no parked event and no dead letter; "
    )
    assert f"searched partition {record.partition}, offsets 0 to 0; all of 6 partitions, 1 records" in done.err
    nothing = platform.explain("d-10", "--json", "--caller", CALLER)
    assert (nothing.code, nothing.out) == (1, "")
    assert "no request of the delegation was found there" in nothing.err
    assert platform.explain("").code == 2


def test_unavailable_server_is_one_sentence(platform: Platform) -> None:
    no_kafka = run_projector("explain", "d-1", database_url=platform.database_url, bootstrap_servers=NOWHERE)
    assert (no_kafka.code, no_kafka.out) == (1, "")
    assert f"projector: Kafka does not answer: {NOWHERE}" in no_kafka.err
    no_postgres = run_projector("explain", "d-1", database_url=f"postgresql://{NOWHERE}/nothing")
    assert (no_postgres.code, no_postgres.out) == (1, "")
    assert "onnection refused" in no_postgres.err


# --- the verdict


def test_row_edited_by_hand_differs_by_column(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)), platform.send(answer(1, "completed", text="a" * 100 + "3")))
    platform.damage("UPDATE delegations SET status = 'failed', result_preview = left(result_preview, 100) || '4'")
    done = platform.explain("d-1")
    assert done.code == 0
    lines = {tuple(line.split()[:2]): line.split()[2:] for line in done.out.splitlines() if "  " in line}
    assert lines[("differs", "status")] == ["completed", "failed"]
    shown, stored = lines[("differs", "result_preview")]
    assert (shown[-4:], stored[-4:]) == ("aaa3", "aaa4")
    assert "differs in status, result_preview: the records that were read make another row" in done.out
    report = platform.report()
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("differs", ["status", "result_preview"])


def test_deleted_row_is_not_in_the_view(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    platform.damage("DELETE FROM delegations")
    assert platform.explain("d-1").out.splitlines()[-1].startswith("not in the view, although the records make a row")


def test_row_of_the_ledger_alone_is_not_in_the_records(platform: Platform) -> None:
    platform.damage(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) "
        f"VALUES ('d-1', '{CALLER}', '{CALLER}', 't')"
    )
    report = platform.report()
    assert (report["verdict"]["kind"], report["folded"], report["records"]) == ("not_in_the_log", None, [])
    assert "older than the topic" not in report["verdict"]["sentence"]
    platform.send({"activity_type": "other"}, partition=0)
    with closing(KafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(platform.topic, 0): 1})
    assert "It is older than the topic" in platform.report()["verdict"]["sentence"]


def test_unprojected_records_are_not_drift(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    for minute in (1, 2):
        platform.send(answer(minute, "completed"), minute=minute)
    report = platform.report()
    assert [each["is_projected"] for each in report["records"]] == [True, False, False]
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("behind", ["status", "updated_at"])
    text = platform.explain("d-1").out
    assert "not projected yet, then advanced: the status moved forward; status queued → completed" in text
    assert "the projector is 2 records behind on partition" in text
    assert "so this is not drift yet" in text


# --- parked events and dead letters


def test_lost_key_shows_the_holder_and_parked_events(platform: Platform) -> None:
    winner = platform.send(delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED))
    loser = platform.send(delegate(1, **KEYED), minute=1)
    late = platform.send(answer(2, "completed"), minute=2)
    platform.project(winner, loser, late)
    report = platform.report()
    assert [(each["delegation_id"], each["outcome"]) for each in report["records"]] == [
        ("d-2", "inserted"),
        ("d-1", "duplicate"),
        ("d-1", "parked"),
    ]
    assert report["records"][1]["sentence"] == "another delegation holds the idempotency key of this request: d-2"
    assert [(each["offset"], each["status"]) for each in report["parked"]] == [(2, "completed")]
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("not_in_the_view", [])
    assert "d-2 holds its idempotency key" in report["verdict"]["sentence"]
    assert "\nparked since " in platform.explain("d-1", "--caller", CALLER).out


def test_lost_key_shows_a_holder_without_records(platform: Platform) -> None:
    winner = platform.send(delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED))
    platform.project(winner, platform.send(delegate(1, **KEYED), minute=1))
    with closing(KafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(platform.topic, winner.partition): 1})
    report = platform.report()
    assert outcomes(report) == [(1, "duplicate")]
    assert "d-2 holds its idempotency key" in report["verdict"]["sentence"]


def test_dead_letters_with_the_id_are_shown(platform: Platform) -> None:
    mine = platform.send({"activity_type": "delegation", "method": "none", "summary": "dä-1"})
    escaped = platform.send(b'{"half of": "d\\u00E4-1"')
    another = platform.send('{"half of": "dä-10'.encode())
    platform.project(mine, escaped, another)
    done = platform.explain("dä-1", "--json")
    assert [each["offset"] for each in done.json()["dead_letters"]] == [0, 1]
    assert "value" not in done.json()["dead_letters"][0]
    text = platform.explain("dä-1").out
    assert (
        f"dead letter at {platform.topic} partition {mine.partition} offset 0, never projected: unknown method" in text
    )
    assert "not in the view, as expected: no record" in text


def test_unavailable_body_is_matched_by_the_row_id(platform: Platform) -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    early = platform.send(bare)
    whole = platform.send(delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": "x" * 2000}))
    platform.project(early)
    platform.project(whole, platform.send(bare))
    report = platform.report()
    assert outcomes(report) == [(0, "dead_letter"), (1, "inserted"), (2, "advanced")]
    assert [each["offset"] for each in report["dead_letters"]] == [0]


def test_control_characters_are_escaped(platform: Platform) -> None:
    red = "\x1b[31mred"
    platform.project(platform.send(delegate(0, request_body={"delegation_id": red, "task": red})))
    done = platform.explain(red)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert r"\x1b[31mred" in done.out


# --- other sources


def test_recordings_replace_the_topic(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    records = [
        RecordedRecord("elsewhere", 0, n, TEN_MS, None, json.dumps(each).encode()) for n, each in enumerate(_LIFE)
    ]
    file.write_bytes(b"".join(map(dumps, records)))
    run_projector("replay", str(file), database_url=platform.database_url)
    done = run_projector(
        "explain", "d-1", "--recording", str(file), database_url=platform.database_url, bootstrap_servers=NOWHERE
    )
    assert (done.code, done.err) == (0, "")
    assert "recording.jsonl: 3 records" in done.out
    assert done.out.endswith("equal: the row in the view matches the records\n")
    report = platform.report("--recording", str(file), str(file))
    assert [each["outcome"] for each in report["records"]][3:] == ["refused", "refused", "duplicate"]
    missing = run_projector("explain", "d-1", "--recording", "nowhere.jsonl", database_url=platform.database_url)
    assert (missing.code, missing.out) == (2, "")


_LIFE = (delegate(0), heartbeat(1), answer(2, "completed"))


def test_row_of_a_member_is_equal(cluster: Cluster) -> None:
    platform = Platform(cluster.bootstrap_servers, cluster.topic, cluster.database_url)
    places = [platform.send(value, minute=minute) for minute, value in enumerate(_LIFE)]
    cluster.start_member()
    wait_until(lambda: cluster.positions().get(places[-1].partition) == len(_LIFE), "the delegation is projected")
    report = platform.report()
    assert outcomes(report) == [(0, "inserted"), (1, "heartbeat"), (2, "advanced")]
    assert report["verdict"]["kind"] == "equal"
