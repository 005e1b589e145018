"""`projector status` and `projector replay` as processes: the totals that they print, and their errors."""

import json
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from replaying import REQUEST, recording, replay_letters
from rows import answer, heartbeat

from projector.cli.exit_codes import DEAD_LETTERS
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
    plain = run_projector("status", **settings)
    assert (plain.code, plain.err) == (0, "")
    assert "here/1" in plain.out
    assert max(map(len, plain.out.splitlines())) <= 80


def test_status_without_kafka_shows_the_positions(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('activity-log', 4, 1234)")
    done = run_projector("status", database_url=replayed, bootstrap_servers=NOWHERE)
    assert done.code == 1
    assert f"projector: PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer: {NOWHERE}: Connection refused" in done.err
    assert "1,234" in done.out
    report = run_projector("status", "--json", database_url=replayed, bootstrap_servers=NOWHERE)
    assert report.code == 1
    assert report.json()["kafka"].startswith("PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer")
    assert report.json()["partitions"][0]["lag_records"] is None


def test_status_of_a_missing_topic_is_an_error(database_url: str, kafka: str) -> None:
    done = run_projector("status", database_url=database_url, bootstrap_servers=kafka, topic="nowhere")
    assert done.code == 1
    assert "topic nowhere does not exist: create it, or set PROJECTOR_TOPIC" in done.err


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
