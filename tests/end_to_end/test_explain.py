"""`projector explain` as a process, on a real topic and a real view: what it finds, and both rows."""

import json
import os
import pty
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click import unstyle
from cluster import Cluster, wait_until
from commands import TIMEOUT_SECONDS, all_of, environment, run_projector, start
from explaining import PARTITIONS, TEN_MS, Platform, outcomes
from kafka import KafkaAdminClient, TopicPartition
from rich.cells import cell_len
from rows import CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated
from topics import create_topic

from projector.recordings.file import RecordedRecord, dumps
from testbed.servers.server import free_port

NOWHERE = f"127.0.0.1:{free_port()}"
ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


# --- both rows


def test_row_edited_by_hand_differs_by_column(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)), platform.send(answer(1, "completed", text="a" * 100 + "3")))
    platform.damage("UPDATE delegations SET status = 'failed', result_preview = left(result_preview, 100) || '4'")
    done = platform.explain("d-1")
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[lines.index("- status           completed") + 1] == "+ status           failed"
    [shown] = [line for line in lines if line.startswith("- result_preview")]
    [stored] = [line for line in lines if line.startswith("+ result_preview")]
    assert (shown[-4:], stored[-4:]) == ("aaa3", "aaa4")
    assert "  delegation_id    d-1" in lines


def test_unprojected_records_are_not_drift(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    for minute in (1, 2):
        platform.send(answer(minute, "completed"), minute=minute)
    report = platform.report()
    assert [each["is_projected"] for each in report["records"]] == [True, False, False]
    assert (report["verdict"], report["differences"]) == ("behind", ["status", "updated_at"])
    text = platform.explain("d-1").out
    assert "delegate_result completed  advanced   not projected yet; queued → completed" in text
    assert (
        "is in the view, in agreement with the log up to the positions: the projector is 2 records behind on partition"
        in text
    )
    assert "This is no drift yet" in text


# --- ids


def test_start_of_an_id_is_enough(platform: Platform) -> None:
    platform.project(platform.send(delegate(0, request_body={"delegation_id": "Order-4711", "task": "t" * 300})))
    done = platform.explain("order-4", "--json")
    report = done.json()
    assert (done.code, report["asked_id"], report["delegation_id"]) == (0, "order-4", "Order-4711")
    assert (report["verdict"], report["similar_ids"]) == ("equal", [])
    assert "no delegation has the id order-4: this is Order-4711, which begins with it" in done.err
    assert report["stored"]["task_preview"] == report["records"][0]["changes"]["task_preview"][1] == "t" * 200 + "…"
    assert platform.explain("Order-4711", "--json", "--full").json()["stored"]["task_preview"] == "t" * 300


def test_id_that_is_not_projected_yet_is_not_taken_for_a_longer_one(platform: Platform) -> None:
    platform.project(platform.send(delegate(0, request_body={"delegation_id": "order-10", "task": "t"})))
    platform.send(delegate(1, request_body={"delegation_id": "order-1", "task": "t"}))
    done = platform.explain("order-1", "--json")
    report = done.json()
    assert (done.err, report["delegation_id"], report["verdict"]) == ("", "order-1", "behind")
    assert report["similar_ids"] == []


def test_similar_ids_are_named(platform: Platform) -> None:
    for minute, name in enumerate(("op-good", "op-space ")):
        platform.project(platform.send(delegate(minute, request_body={"delegation_id": name, "task": "t"})))
    platform.project(platform.send(answer(2, "completed", of="op-space")))
    typo = platform.explain("op-god")
    assert typo.code == 6
    assert "\nsimilar ids: op-good\n" in typo.out
    parked = platform.explain("op-space")
    assert '\nsimilar ids: "op-space "\n' in parked.out
    assert platform.explain("op-space ").out.startswith('delegation "op-space " is in the view with status queued')


def test_lines_fit_a_terminal(platform: Platform) -> None:
    body = {"delegation_id": "d-1", "task": "日本語 " * 100}
    platform.project(
        platform.send(delegate(0, request_body=body)), platform.send(answer(1, "completed", text="x" * 99))
    )
    terminal, other = pty.openpty()
    settings = {name: getattr(platform, name) for name in ("database_url", "bootstrap_servers", "topic")}
    with os.fdopen(other, "wb") as stdout:
        process = start(["explain", "d-1"], environment(settings) | {"COLUMNS": "80", "LINES": "100"}, stdout=stdout)
    lines = all_of(terminal).splitlines()
    assert process.wait(TIMEOUT_SECONDS) == 0
    assert lines[0].startswith("\x1b[32mdelegation d-1 is in the view")
    assert all(cell_len(unstyle(line)) <= 80 for line in lines)


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
    assert (report["verdict"], report["differences"]) == ("repeated_request", [])
    assert "\nparked since " in platform.explain("d-1", "--caller", CALLER).out


def test_lost_key_shows_a_holder_without_records(platform: Platform) -> None:
    winner = platform.send(delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED))
    platform.project(winner, platform.send(delegate(1, **KEYED), minute=1))
    with closing(KafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(platform.topic, winner.partition): 1})
    report = platform.report()
    assert outcomes(report) == [(1, "duplicate")]
    assert "which delegation d-2 holds" in report["sentence"]


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
    assert "what may be its request" in text


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
    by_prefix = platform.explain("\x1b[31")
    assert by_prefix.code == 0
    assert "\x1b" not in by_prefix.err
    assert r'no delegation has the id "\x1b[31": this is "\x1b[31mred"' in by_prefix.err


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
    assert done.out.startswith("delegation d-1 is in the view with status completed, in agreement with the recording\n")
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
    assert report["verdict"] == "equal"


# --- an unavailable server


def test_unavailable_server_is_one_sentence(platform: Platform) -> None:
    no_kafka = run_projector("explain", "d-1", database_url=platform.database_url, bootstrap_servers=NOWHERE)
    assert (no_kafka.code, no_kafka.out) == (1, "")
    assert f"projector: PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer: {NOWHERE}" in no_kafka.err
    no_postgres = run_projector("explain", "d-1", database_url=f"postgresql://{NOWHERE}/nothing")
    assert (no_postgres.code, no_postgres.out) == (1, "")
    assert "onnection refused" in no_postgres.err
