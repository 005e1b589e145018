"""`projector explain` as a process, on a real log and a real table: where it looks, what it finds, and its verdict."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from cluster import Cluster, until
from commands import Ended, projector
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from projecting import connected
from rows import CALLER, LEFT_OUT, TEN, answer, beat, delegate, updated
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


class Log(NamedTuple):
    """A topic of six partitions and a database, and what is sent to the one and projected into the other."""

    bootstrap_servers: str
    topic: str
    database_url: str

    def send(
        self, value: object, key: bytes | None = BY_CALLER, *, minute: float = 0, partition: int | None = None
    ) -> RecordedRecord:
        """Send one record; as the log then holds it."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        at = TEN_MS + int(minute * 60_000)
        with closing(KafkaProducer(bootstrap_servers=self.bootstrap_servers)) as producer:
            sent = producer.send(self.topic, content, key, partition=partition, timestamp_ms=at).get(10)
        return RecordedRecord(self.topic, sent.partition, sent.offset, at, key, content)

    def project(self, *lines: RecordedRecord) -> None:
        """Project records as a member would, and move their positions."""
        with connected(self.database_url) as conn:
            project(conn, lines)
            for line in lines:
                conn.execute(
                    "INSERT INTO positions (topic, partition, next_offset) VALUES (%s, %s, %s) "
                    "ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset",
                    [line.topic, line.partition, line.offset + 1],
                )

    def explain(self, *arguments: str) -> Ended:
        return projector(
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
def log(kafka: str, database_url: str) -> Log:
    return Log(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


def ended(report: Any) -> list[tuple[int, str]]:
    return [(each["offset"], each["outcome"]) for each in report["records"]]


def looked_at(report: Any) -> dict[int, tuple[int, int]]:
    return {each["partition"]: (each["from"], each["to"]) for each in report["looked_at"]["ranges"]}


# --- where it looks


@pytest.mark.parametrize("key", [BY_CALLER, b'{"workspace_id":"%s"}' % BY_CALLER], ids=["text", "Debezium"])
def test_a_delegation_is_found_on_the_partition_of_its_caller_from_the_time_of_its_row(log: Log, key: bytes) -> None:
    days_before = -3 * 24 * 60
    for partition in range(PARTITIONS):
        log.send({"activity_type": "other"}, OTHER, minute=days_before, partition=partition)
    lines = [log.send(delegate(0), key), log.send(answer(1, "completed", text="3"), key, minute=1)]
    log.project(*lines)
    report = log.report()
    ranges, partition = looked_at(report), lines[0].partition
    assert len(ranges) <= 2
    assert ranges[partition] == (1, 3)
    assert (report["looked_at"]["partitions"], report["looked_at"]["widened"]) == (PARTITIONS, [])
    assert ended(report) == [(1, "inserted"), (2, "advanced")]
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("equal", [])
    assert report["folded"] == report["stored"]
    assert report["stored"]["result_preview"] == "3"
    text = log.explain("d-1")
    assert (text.code, text.err) == (0, "")
    assert f"partition {partition}, offsets 1 to 2" in text.out
    assert f"of {PARTITIONS} partitions" in text.out
    assert text.out.endswith("\nequal: the row is what the log says\n")


def test_a_topic_with_other_keys_is_searched_whole(log: Log) -> None:
    asked = log.send(delegate(0), b"row 1", partition=0)
    answered = log.send(answer(1, "completed"), b"row 2", minute=1, partition=5)
    log.project(asked, answered)
    report = log.report()
    assert set(looked_at(report)) == set(range(PARTITIONS))
    assert [(each["partition"], each["outcome"]) for each in report["records"]] == [(0, "inserted"), (5, "advanced")]
    assert report["looked_at"]["widened"]
    assert report["verdict"]["kind"] == "equal"
    text = log.explain("d-1").out
    assert "looked further than at first: " in text
    assert "between partitions there is no order" in text


def test_a_request_that_lies_on_its_caller_s_partition_by_chance_does_not_hide_the_rest(log: Log) -> None:
    home = log.send({"activity_type": "other"}).partition
    asked = log.send(delegate(0), b"row 1", partition=home)
    answered = log.send(answer(1, "completed"), b"row 2", minute=1, partition=(home + 1) % PARTITIONS)
    log.project(asked, answered)
    report = log.report()
    assert [each["outcome"] for each in report["records"]] == ["inserted", "advanced"]
    assert report["looked_at"]["widened"] == [
        "the topic is not keyed by the caller, so its records may be on any partition"
    ]


def test_everywhere_finds_what_another_writer_keyed_otherwise(log: Log) -> None:
    asked = log.send(delegate(0))
    stuck = log.send(answer(1, "stuck"), b"sweeper", minute=1, partition=(asked.partition + 1) % PARTITIONS)
    log.project(asked, stuck)
    narrow = log.explain("d-1").out
    assert "the other partitions were not looked at: --everywhere does" in narrow
    assert "differs in status" in narrow
    report = log.report("--everywhere")
    assert [each["outcome"] for each in report["records"]] == ["inserted", "advanced"]
    assert (report["verdict"]["kind"], report["looked_at"]["widened"]) == ("equal", [])


def test_a_backfill_with_old_timestamps_is_found_further_back(log: Log) -> None:
    years_before = -5 * 365 * 24 * 60
    lines = [log.send(delegate(0), minute=years_before), log.send(answer(1, "completed"), minute=1)]
    lines.append(log.send(delegate(0, "completed"), minute=2))
    log.project(*lines)
    report = log.report()
    assert ended(report) == [(0, "inserted"), (1, "advanced"), (2, "duplicate")]
    assert report["looked_at"]["widened"] == ["what was found there begins before its request"]
    assert looked_at(report)[lines[0].partition] == (0, 3)
    assert len(looked_at(report)) <= 2


def test_a_row_that_differs_is_judged_by_all_of_its_partition(log: Log) -> None:
    log.send({"activity_type": "other"}, minute=-3 * 24 * 60)
    line = log.send(delegate(0))
    log.project(line)
    log.damage("UPDATE delegations SET status = 'failed'")
    report = log.report()
    assert report["looked_at"]["widened"] == ["what was found there does not account for the row"]
    assert looked_at(report)[line.partition] == (0, 2)


def test_caller_leads_to_the_partition_where_there_is_no_row(log: Log) -> None:
    asked = log.send(delegate(0))
    report = log.report("--caller", CALLER.upper())
    assert asked.partition in looked_at(report)
    assert len(looked_at(report)) <= 2
    assert (report["verdict"]["kind"], report["stored"]) == ("behind", None)
    assert log.explain("d-1", "--caller", "nobody").code == 2


def test_id_that_nobody_knows_is_told_with_where_it_was_looked_for(log: Log) -> None:
    line = log.send(delegate(0))
    done = log.explain("d-10")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("projector: nobody knows delegation d-10: there is no row, nothing is parked, ")
    assert f"looked at partition {line.partition}, offsets 0 to 0; all of 6 partitions, 1 records" in done.err
    nothing = log.explain("d-10", "--json", "--caller", CALLER)
    assert (nothing.code, nothing.out) == (1, "")
    assert "no request of it was found there" in nothing.err
    assert log.explain("").code == 2


def test_away_is_told_in_a_sentence(log: Log) -> None:
    no_kafka = projector("explain", "d-1", database_url=log.database_url, bootstrap_servers=NOWHERE)
    assert (no_kafka.code, no_kafka.out) == (1, "")
    assert f"projector: Kafka does not answer: {NOWHERE}" in no_kafka.err
    no_postgres = projector("explain", "d-1", database_url=f"postgresql://{NOWHERE}/nothing")
    assert (no_postgres.code, no_postgres.out) == (1, "")
    assert "onnection refused" in no_postgres.err


# --- the verdict


def test_a_row_edited_by_hand_differs_column_by_column(log: Log) -> None:
    log.project(log.send(delegate(0)), log.send(answer(1, "completed", text="a" * 100 + "3")))
    log.damage("UPDATE delegations SET status = 'failed', result_preview = left(result_preview, 100) || '4'")
    done = log.explain("d-1")
    assert done.code == 0
    lines = {tuple(line.split()[:2]): line.split()[2:] for line in done.out.splitlines() if "  " in line}
    assert lines[("differs", "status")] == ["completed", "failed"]
    shown, stored = lines[("differs", "result_preview")]
    assert (shown[-4:], stored[-4:]) == ("aaa3", "aaa4")
    assert "differs in status, result_preview: no record that was looked at makes the row so" in done.out
    report = log.report()
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("differs", ["status", "result_preview"])


def test_a_row_removed_by_hand_is_not_in_the_view(log: Log) -> None:
    log.project(log.send(delegate(0)))
    log.damage("DELETE FROM delegations")
    assert log.explain("d-1").out.splitlines()[-1].startswith("not in the view, though the log says that it must be")


def test_a_row_that_only_the_ledger_wrote_is_not_in_the_log(log: Log) -> None:
    log.damage(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) "
        f"VALUES ('d-1', '{CALLER}', '{CALLER}', 't')"
    )
    report = log.report()
    assert (report["verdict"]["kind"], report["folded"], report["records"]) == ("not_in_the_log", None, [])
    assert "older than the log" not in report["verdict"]["sentence"]
    log.send({"activity_type": "other"}, partition=0)
    with closing(KafkaAdminClient(bootstrap_servers=log.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(log.topic, 0): 1})
    assert "it is older than the log" in log.report()["verdict"]["sentence"]


def test_what_is_not_projected_yet_is_no_drift(log: Log) -> None:
    log.project(log.send(delegate(0)))
    for minute in (1, 2):
        log.send(answer(minute, "completed"), minute=minute)
    report = log.report()
    assert [each["is_projected"] for each in report["records"]] == [True, False, False]
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("behind", ["status", "updated_at"])
    text = log.explain("d-1").out
    assert "not projected yet, and then advanced: the status moved forward; status queued → completed" in text
    assert "the projector is 2 records behind on partition" in text
    assert "so this is not drift yet" in text


# --- what is kept beside the row


def test_a_delegation_that_lost_its_key_names_the_winner_and_what_waits(log: Log) -> None:
    winner = log.send(delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED))
    loser = log.send(delegate(1, **KEYED), minute=1)
    late = log.send(answer(2, "completed"), minute=2)
    log.project(winner, loser, late)
    report = log.report()
    assert [(each["delegation_id"], each["outcome"]) for each in report["records"]] == [
        ("d-2", "inserted"),
        ("d-1", "duplicate"),
        ("d-1", "parked"),
    ]
    assert report["records"][1]["sentence"] == "a request whose idempotency key another delegation holds: d-2"
    assert [(each["offset"], each["status"]) for each in report["parked"]] == [(2, "completed")]
    assert (report["verdict"]["kind"], report["verdict"]["differences"]) == ("not_in_the_view", [])
    assert "its idempotency key is held by d-2" in report["verdict"]["sentence"]
    assert "\nparked since " in log.explain("d-1", "--caller", CALLER).out


def test_a_key_that_went_to_a_delegation_whose_request_is_gone_is_known_from_the_table(log: Log) -> None:
    winner = log.send(delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED))
    log.project(winner, log.send(delegate(1, **KEYED), minute=1))
    with closing(KafkaAdminClient(bootstrap_servers=log.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(log.topic, winner.partition): 1})
    report = log.report()
    assert ended(report) == [(1, "duplicate")]
    assert "its idempotency key is held by d-2" in report["verdict"]["sentence"]


def test_dead_letters_that_mention_it_are_named(log: Log) -> None:
    mine = log.send({"activity_type": "delegation", "method": "none", "summary": "dä-1"})
    escaped = log.send(b'{"half of": "d\\u00E4-1"')
    another = log.send('{"half of": "dä-10'.encode())
    log.project(mine, escaped, another)
    done = log.explain("dä-1", "--json")
    assert [each["offset"] for each in done.json()["dead_letters"]] == [0, 1]
    assert "value" not in done.json()["dead_letters"][0]
    text = log.explain("dä-1").out
    assert f"dead letter at {log.topic} partition {mine.partition} offset 0, never projected: unknown method" in text
    assert "not in the view, as the log says: no record" in text


def test_an_update_without_its_body_is_matched_by_its_row_and_so_is_its_dead_letter(log: Log) -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    early = log.send(bare)
    whole = log.send(delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": "x" * 2000}))
    log.project(early)
    log.project(whole, log.send(bare))
    report = log.report()
    assert ended(report) == [(0, "dead_letter"), (1, "inserted"), (2, "advanced")]
    assert [each["offset"] for each in report["dead_letters"]] == [0]


def test_what_is_in_the_log_does_not_steer_the_terminal(log: Log) -> None:
    red = "\x1b[31mred"
    log.project(log.send(delegate(0, request_body={"delegation_id": red, "task": red})))
    done = log.explain(red)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert r"\x1b[31mred" in done.out


# --- other sources


def test_recordings_are_read_in_place_of_the_topic(log: Log, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    lines = [RecordedRecord("elsewhere", 0, n, TEN_MS, None, json.dumps(each).encode()) for n, each in enumerate(_LIFE)]
    file.write_bytes(b"".join(map(dumps, lines)))
    projector("replay", str(file), database_url=log.database_url)
    done = projector(
        "explain", "d-1", "--recording", str(file), database_url=log.database_url, bootstrap_servers=NOWHERE
    )
    assert (done.code, done.err) == (0, "")
    assert "recording.jsonl: 3 records" in done.out
    assert done.out.endswith("equal: the row is what the log says\n")
    report = log.report("--recording", str(file), str(file))
    assert [each["outcome"] for each in report["records"]][3:] == ["refused", "refused", "duplicate"]
    missing = projector("explain", "d-1", "--recording", "nowhere.jsonl", database_url=log.database_url)
    assert (missing.code, missing.out) == (2, "")


_LIFE = (delegate(0), beat(1), answer(2, "completed"))


def test_what_a_member_projected_is_equal(scene: Cluster) -> None:
    log = Log(scene.bootstrap_servers, scene.topic, scene.database_url)
    places = [log.send(value, minute=minute) for minute, value in enumerate(_LIFE)]
    scene.member()
    until(lambda: scene.positions().get(places[-1].partition) == len(_LIFE), "the delegation is projected")
    report = log.report()
    assert ended(report) == [(0, "inserted"), (1, "heartbeat"), (2, "advanced")]
    assert report["verdict"]["kind"] == "equal"
