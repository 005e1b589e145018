"""`projector doctor` as a process: its verdict, its exit codes, and servers that do not answer."""

import re
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from activity_table import create_activity_table
from cluster import Cluster
from commands import CommandResult, run_projector
from doctoring import NOWHERE, execute
from psycopg.conninfo import make_conninfo

from testbed.servers.start import start_kafka, start_postgres
from testbed.workload import Record

AN_HOUR_AHEAD = """
import time
_true_time = time.time
time.time = lambda: _true_time() + 3600
"""
LEVELS = ("ok", "note", "change")


def doctor(cluster: Cluster, *arguments: str, **settings: str) -> CommandResult:
    return run_projector(
        "doctor",
        *arguments,
        **{
            "database_url": cluster.database_url,
            "bootstrap_servers": cluster.bootstrap_servers,
            "topic": cluster.topic,
            "group_id": f"group-{cluster.topic}",
            **settings,
        },
    )


def lines(done: CommandResult) -> dict[str, tuple[str, str]]:
    """Name → level and what was found, of the report as JSON."""
    return {each["name"]: (each["level"], each["found"]) for each in done.json()["checks"]}


@pytest.fixture
def running(cluster: Cluster, tmp_path: Path) -> Cluster:
    """A healthy set-up: a member has projected everything, and the table `activity_logs` is there."""
    create_activity_table(cluster.database_url)
    execute(cluster.database_url, "ALTER TABLE activity_logs REPLICA IDENTITY FULL")
    cluster.start_member()
    cluster.publish([Record(b"c", b"{}", 1_746_439_200_000)])
    cluster.wait_until_caught_up()
    return cluster


def test_healthy_setup_needs_no_change(running: Cluster, tmp_path: Path) -> None:
    done = doctor(running, "--json", health_file=str(tmp_path / "health.json"))
    assert (done.code, done.err) == (0, "")
    levels = {name: level for name, (level, _) in lines(done).items()}
    assert {name for name, level in levels.items() if level != "ok"} == {
        "publication",
        "wal_level",
        "replication slots",
    }
    assert set(levels) == {
        *("postgres", "encoding", "pooler", "session defaults", "schema", "shadow", "row-level security"),
        *("rights of run", "rights of rebuild", "rights of migrate", "triggers and rules", "database space"),
        *("activity_logs", "rights of sweep", "replica identity", "publication", "wal_level", "replication slots"),
        *("kafka", "topic", "consumer group", "other groups", "cleanup.policy", "broker space"),
        *("log", "retention", "partitions", "clocks", "health file", "versions"),
    }
    assert "group-" in lines(done)["consumer group"][1]
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
    assert set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)) - {"change"} == set(levels)


def test_json_has_time_version_and_checks(cluster: Cluster) -> None:
    report = doctor(cluster, "--json").json()
    assert report.keys() == {"time", "version", "checks"}
    assert datetime.fromisoformat(report["time"]).utcoffset() is not None
    assert report["version"] == version("delegations-projector")
    assert {tuple(each) for each in report["checks"]} == {("name", "level", "found", "remedy")}
    assert {each["level"] for each in report["checks"]} <= set(LEVELS)


def test_text_begins_with_the_verdict_and_fits_80_columns(cluster: Cluster) -> None:
    done = doctor(cluster)
    assert (done.code, done.err) == (0, "")
    verdict, empty, *rest = done.out.splitlines()
    assert (verdict, empty) == ("nothing must be changed", "")
    assert max(map(len, rest)) <= 80
    assert all(line.startswith((*LEVELS, " ")) for line in rest)
    assert done.out.isascii()


def test_text_counts_what_must_be_changed(cluster: Cluster) -> None:
    execute(cluster.database_url, "UPDATE projector_schema_migrations SET version = 52")
    one = doctor(cluster)
    assert (one.code, one.out.splitlines()[0]) == (2, "1 thing must be changed")
    assert "-> run `projector migrate up`" in one.out
    two = doctor(cluster, topic="nowhere")
    assert (two.code, two.out.splitlines()[0]) == (2, "2 things must be changed")


def test_hostile_names_cannot_control_the_terminal(cluster: Cluster) -> None:
    execute(
        cluster.database_url,
        "CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        'CREATE TRIGGER "\x1b[31m\x07red" AFTER INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION pass()',
        'CREATE RULE "\x1b[2Jgone" AS ON UPDATE TO delegations DO ALSO NOTIFY changed',
    )
    done = doctor(cluster)
    assert done.code == 2
    assert "\x1b" not in done.out
    assert "\\x1b[31m\\x07red" in done.out
    assert 'DROP RULE "\\x1b[2Jgone" ON delegations;' in done.out


def test_no_server_leaves_the_checks_of_this_machine(tmp_path: Path) -> None:
    host, port = NOWHERE.split(":")
    url = f"postgresql://nobody:hush@{host}:{port}/none"
    done = run_projector(
        "doctor", "--json", database_url=url, bootstrap_servers=NOWHERE, health_file=str(tmp_path / "none" / "file")
    )
    assert done.code == 2
    assert {name: level for name, (level, _) in lines(done).items()} == {
        "postgres": "change",
        "kafka": "change",
        "clocks": "ok",
        "health file": "change",
        "versions": "ok",
    }
    assert "hush" not in done.out + done.err


@pytest.mark.parametrize("content", ["", "not a report"])
def test_health_file_that_is_none_must_be_changed(cluster: Cluster, tmp_path: Path, content: str) -> None:
    (tmp_path / "file").write_text(content)
    level, found = lines(doctor(cluster, "--json", health_file=str(tmp_path / "file")))["health file"]
    assert level == ("change" if content else "ok")
    assert (tmp_path / "file").read_text() == content
    assert str(tmp_path) in found


def test_frozen_postgres_leaves_the_checks_of_kafka(cluster: Cluster, tmp_path: Path) -> None:
    with start_postgres(tmp_path, own=True) as server:
        server.pause()
        done = doctor(cluster, "--json", database_url=make_conninfo(server.url))
        server.resume()
    assert done.code == 2
    found = lines(done)
    assert found["postgres"][0] == "change"
    assert found["topic"][0] == "ok"


def test_frozen_kafka_leaves_the_checks_of_postgres(cluster: Cluster, tmp_path: Path) -> None:
    with start_kafka(tmp_path, own=True) as server:
        server.pause()
        done = doctor(cluster, "--json", bootstrap_servers=server.bootstrap_servers)
        server.resume()
    assert done.code == 2
    found = lines(done)
    assert found["kafka"][0] == "change"
    assert "Kafka is starting" in found["kafka"][1] or "it is starting" in found["kafka"][1]
    assert found["schema"][0] == "ok"


def test_wrong_clock_of_this_machine_must_be_changed(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(AN_HOUR_AHEAD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = doctor(cluster, "--json")
    assert done.code == 2
    level, found = lines(done)["clocks"]
    assert level == "change"
    assert "Postgres is 59 min " in found
    assert "Kafka's controller is 59 min " in found
