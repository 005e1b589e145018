"""`projector status` and `projector replay` as processes: the totals that they print, and their errors."""

import json
import os
import pty
import signal
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO

import psycopg
import pytest
from cluster import wait_until
from commands import TIMEOUT_SECONDS, all_of, environment, run_projector, start
from kafka import KafkaProducer
from replaying import REQUEST, recording, replay_letters
from rows import answer, heartbeat

from projector.cli.exit_codes import DEAD_LETTERS, LIMIT_EXCEEDED
from projector.domain.outcomes import Outcome
from testbed.servers.server import free_port

NOWHERE = f"127.0.0.1:{free_port()}"


@pytest.fixture
def replayed(tmp_path: Path, database_url: str) -> str:
    """A database with one delegation, one parked answer, and three dead letters at offsets 2 to 4 of partition 0."""
    replay_letters(tmp_path, database_url)
    return database_url


def test_outcomes_of_replay_add_up_to_the_records(tmp_path: Path, database_url: str) -> None:
    values = [
        REQUEST,
        REQUEST,
        heartbeat(1),
        answer(2, "completed", text="3"),
        b"no json",
        b"null",
    ]
    done = run_projector("replay", str(recording(tmp_path, *values)), "--json", database_url=database_url)
    assert done.code == DEAD_LETTERS
    last = json.loads(done.out.splitlines()[-1])
    assert last["records"] == sum(last["outcomes"].values()) == 6
    assert set(last["outcomes"]) == set(Outcome)
    assert last["outcomes"]["dead_letter"] == last["outcomes"]["tombstone"] == 1
    assert last["seconds"] >= 0
    assert last["rows_written"] == 1
    again = run_projector("replay", str(recording(tmp_path, *values)), database_url=database_url)
    assert again.out.endswith(" s, 0 rows written\n")


def test_replay_of_a_missing_file_is_a_misconfiguration(database_url: str) -> None:
    done = run_projector("replay", "nowhere.jsonl", database_url=database_url)
    assert (done.code, done.out) == (2, "")
    assert "nowhere.jsonl cannot be opened: No such file or directory" in done.err


# --- status


def test_status_has_all_partitions_and_totals(replayed: str, kafka: str, topic: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset, member) VALUES (%s, 1, 0, 'here/1')",
            [topic],
        )
    settings = {"database_url": replayed, "bootstrap_servers": kafka, "topic": topic}
    done = run_projector("status", "--json", **settings)
    assert (done.code, done.err) == (0, "")
    report = done.json()
    assert (report["topic"], report["kafka"], report["parked"], report["dead_letters"]) == (topic, "ok", 1, 3)
    assert report["delegations"] == {
        "queued": 1,
        "dispatched": 0,
        "in_progress": 0,
        "completed": 0,
        "failed": 0,
        "stuck": 0,
    }
    assert [(each["partition"], each["position"], each["end"], each["owner"]) for each in report["partitions"]] == [
        (0, None, 0, None),
        (1, 0, 0, "here/1"),
        (2, None, 0, None),
    ]
    assert (report["verdict"], report["lag_records"], report["pace"]) == ("no_member", 0, None)
    assert (report["delegations_total"], report["dead_letters_of_topic"], report["brokers"]) == (1, 0, kafka)
    assert report["time"].endswith("+00:00")
    plain = run_projector("status", **settings)
    assert (plain.code, plain.err) == (0, "")
    assert plain.out.startswith("no member runs, nothing is projected")
    assert "here/1" in plain.out
    assert "and 3 dead letters of topics other than " in plain.out
    assert replayed.rpartition("/")[2] in plain.out
    assert "\x1b" not in plain.out
    assert max(map(len, plain.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("flags", "code", "exceeded"),
    [
        (["--max-lag", "0", "--max-dead-letters", "3"], 0, []),
        (["--max-dead-letters", "2"], LIMIT_EXCEEDED, ["the topic has 3 dead letters, and --max-dead-letters is 2"]),
        (
            ["--max-lag", "0", "--max-dead-letters", "0"],
            LIMIT_EXCEEDED,
            [
                "the lag is 2 records, and --max-lag is 0",
                "the topic has 3 dead letters, and --max-dead-letters is 0",
            ],
        ),
    ],
    ids=str,
)
def test_limits_decide_the_exit_code(
    replayed: str, kafka: str, topic: str, flags: list[str], code: int, exceeded: list[str]
) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute("UPDATE projector.dead_letters SET topic = %s", [topic])
    if "--max-lag" in flags and code:
        with closing(KafkaProducer(bootstrap_servers=kafka)) as producer:
            for _ in range(2):
                producer.send(topic, b"{}").get(10)
    settings = {"database_url": replayed, "bootstrap_servers": kafka, "topic": topic}
    done = run_projector("status", "--json", *flags, **settings)
    assert (done.code, done.json()["exceeded"]) == (code, exceeded)
    assert all(sentence in run_projector("status", *flags, **settings).out for sentence in exceeded)


def test_unknown_lag_exceeds_each_limit(replayed: str) -> None:
    done = run_projector("status", "--json", "--max-lag", "1000", database_url=replayed, bootstrap_servers=NOWHERE)
    assert (done.code, done.json()["exceeded"]) == (1, ["the lag is unknown, and --max-lag is 1,000"])


def test_watch_prints_one_object_per_look(replayed: str) -> None:
    with tempfile.TemporaryFile() as out:
        settings = {"database_url": replayed, "bootstrap_servers": NOWHERE}
        process = start(["status", "--watch", "0.2", "--json"], environment(settings), stdout=out)
        wait_until(lambda: len(_lines(out)) >= 2, "two looks")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_SECONDS) == 130
        assert {json.loads(line)["verdict"] for line in _lines(out)} == {"unknown"}


def _lines(file: IO[bytes]) -> list[bytes]:
    return os.pread(file.fileno(), 1 << 20, 0).splitlines()


def test_narrow_terminal_loses_no_value(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset, member) VALUES ('activity-log', 4, "
            "123456789, 'a-rather-long-host-name/12345')"
        )
    terminal, other = pty.openpty()
    variables = environment({"database_url": replayed, "bootstrap_servers": NOWHERE}) | {"COLUMNS": "40"}
    with os.fdopen(other, "wb") as stdout:
        process = start(["status"], variables, stdout=stdout)
    shown = all_of(terminal)
    assert process.wait(TIMEOUT_SECONDS) == 1
    assert shown.startswith("\x1b[31mthe lag is unknown:\r\nPROJECTOR_BOOTSTRAP_SERVERS: ")
    assert "  position  123,456,789\r\n" in shown
    assert "  owner\r\n    a-rather-long-host-name/12345\r\n" in shown


def test_status_without_kafka_shows_the_positions(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('activity-log', 4, 1234)")
    done = run_projector("status", database_url=replayed, bootstrap_servers=NOWHERE)
    assert done.code == 1
    reason = f"PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer: {NOWHERE}: Connection refused"
    assert done.err == f"projector: {reason}\n"  # on a terminal, only the first line says it
    assert done.out.startswith(f"the lag is unknown: {reason}\n")
    assert "1,234" in done.out
    report = run_projector("status", "--json", database_url=replayed, bootstrap_servers=NOWHERE)
    assert (report.code, report.err) == (1, f"projector: {reason}\n")
    assert report.json()["kafka"].startswith("PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer")
    assert report.json()["partitions"][0]["lag_records"] is None


def test_status_of_a_missing_topic_is_an_error(database_url: str, kafka: str) -> None:
    done = run_projector("status", database_url=database_url, bootstrap_servers=kafka, topic="nowhere")
    assert done.code == 1
    assert "topic nowhere does not exist: create it, or set PROJECTOR_TOPIC" in done.out
    with psycopg.connect(database_url) as conn:
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('activity-log', 4, 1234)")
    typo = run_projector("status", database_url=database_url, bootstrap_servers=kafka, topic="nowhere")
    assert typo.code == 2
    assert "This database has positions of activity-log" in typo.out


@pytest.mark.parametrize(
    ("position", "topic_id", "gap"),
    [(0, "another", "was deleted and created again"), (7, None, "7 projected records are no longer there")],
    ids=["another topic", "beyond the end"],
)
def test_position_of_another_topic_has_no_lag(
    database_url: str, kafka: str, topic: str, position: int, topic_id: str | None, gap: str
) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset, topic_id) VALUES (%s, 1, %s, %s)",
            [topic, position, topic_id],
        )
    settings = {"database_url": database_url, "bootstrap_servers": kafka, "topic": topic}
    partition = run_projector("status", "--json", **settings).json()["partitions"][1]
    assert gap in partition["gap"]
    assert (partition["lag_records"], partition["lag_seconds"]) == (None, None)
    plain = " ".join(run_projector("status", **settings).out.split())
    assert gap in plain
    assert "`projector run` stops there and prints the remedy" in plain
