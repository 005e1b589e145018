"""`projector run` against real Kafka and real Postgres."""

import json
import signal
import socket
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import run_projector
from health_files import reported_healthy
from rows import delegate
from topics import create_topic

from projector.postgres import migrations
from testbed.oracle import fold_log
from testbed.servers.start import start_postgres
from testbed.workload import Mix, Record


def test_every_record_ends_in_one_outcome(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=200))
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    member.signal(signal.SIGTERM)
    assert member.exit_code() == 0
    counts: dict[str, int] = {}
    for line in member.lines():
        if line["message"] in ("summary", "stopped"):
            for outcome in fold_log(cluster.acknowledged).outcomes:
                counts[outcome] = counts.get(outcome, 0) + line.get(outcome, 0)
    assert counts == {outcome: count for outcome, count in fold_log(cluster.acknowledged).outcomes.items() if count}


def test_positions_are_committed_to_the_group(cluster: Cluster) -> None:
    cluster.start_member().wait_for_log("partition claimed", times=3)
    cluster.publish(Mix(delegations=100))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    wait_until(lambda: cluster.committed_offsets() == cluster.positions(), "the advisory commit of every partition")


def test_sigterm_finishes_the_batch_and_exits_with_0(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=500))
    member = cluster.start_member(batch_records="10")
    wait_until(cluster.projected_records, "a first batch")
    member.signal(signal.SIGTERM)
    assert member.exit_code() == 0
    assert 0 < cluster.projected_records() < len(cluster.acknowledged)
    assert member.lines()[-1]["message"] == "stopped"
    with psycopg.connect(cluster.database_url) as conn:
        assert conn.execute("SELECT DISTINCT owner, member FROM projector.positions").fetchall() == [(None, None)]
    cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_health_is_not_green_after_a_stop(cluster: Cluster, tmp_path: Path) -> None:
    health = str(tmp_path / "health")
    member = cluster.start_member(health_file=health)
    wait_until(lambda: run_projector("health", health_file=health).code == 0, "a healthy report")
    assert member.signal(signal.SIGTERM).exit_code() == 0
    done = run_projector("health", health_file=health)
    assert (done.code, done.out, done.err) == (1, "", "projector: stopped\n")


def test_health_names_the_error_that_ended_the_worker(cluster: Cluster, tmp_path: Path) -> None:
    health = str(tmp_path / "health")
    cluster.publish(Mix(delegations=5))
    with psycopg.connect(cluster.database_url) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset) VALUES (%s, 0, 99)", [cluster.topic]
        )
    assert cluster.start_member(health_file=health).exit_code() == 4
    done = run_projector("health", health_file=health)
    assert done.code == 1
    assert "projector: stopped: " in done.err
    assert "99" in done.err


@pytest.mark.parametrize(("members", "name"), [("1", "health"), ("2", "health"), ("2", "health.1")])
def test_run_does_not_replace_a_file_that_is_no_report(
    cluster: Cluster, tmp_path: Path, members: str, name: str
) -> None:
    notes = tmp_path / name
    notes.write_text("buy milk\n")
    member = cluster.start_member("--members", members, health_file=str(tmp_path / "health"))
    assert member.exit_code() == 2
    assert f"{notes} exists and is not a health report" in member.text()
    assert notes.read_text() == "buy milk\n"


def test_batch_stays_within_its_record_limit(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=30))
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        conn.execute("CREATE TABLE moves (records bigint)")
        conn.execute(
            "CREATE FUNCTION record_move() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN INSERT INTO public.moves VALUES (NEW.next_offset - OLD.next_offset); RETURN NEW; END'"
        )
        conn.execute(
            "CREATE TRIGGER record_move AFTER UPDATE ON projector.positions FOR EACH ROW EXECUTE FUNCTION record_move()"
        )
        cluster.start_member(batch_records="7")
        cluster.wait_until_caught_up()
        assert conn.execute("SELECT max(records) FROM moves").fetchone() == (7,)


def test_first_dead_letter_of_each_reason_is_logged(cluster: Cluster) -> None:
    rows = [b"no json", delegate(0, status="s1"), delegate(0, status="s2"), b"neither", delegate(0, status="s3")]
    values = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    cluster.publish(Record(b"one partition", value, 1_746_439_200_000) for value in values)
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    assert member.signal(signal.SIGTERM).exit_code() == 0
    partition = cluster.acknowledged[0].partition
    logged = [line for line in member.lines() if line["message"] == "first dead letter of this reason"]
    assert [(line["level"], line["topic"], line["partition"]) for line in logged] == [
        ("warning", cluster.topic, partition)
    ] * 2
    assert [(line["offset"], line["field"], line["reason"].split(":")[0]) for line in logged] == [
        (0, None, "not JSON"),
        (1, "status", 'unknown status "s1"'),
    ]
    counts: Counter[str] = Counter()
    for line in member.lines():
        counts.update({reason.split(":")[0]: n for reason, n in line.get("dead_letter_reasons", {}).items()})
    assert counts == {"unknown status …": 3, "not JSON": 2}


def test_worker_waits_for_a_missing_topic(cluster: Cluster, kafka: str) -> None:
    cluster.topic = f"{cluster.topic}-later"
    member = cluster.start_member()
    assert "create it" in member.wait_for_log("waiting for Kafka")["reason"]
    create_topic(kafka, name=cluster.topic)
    cluster.publish(Mix(delegations=20))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_outage_of_kafka_is_logged_once(cluster: Cluster, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        cluster.bootstrap_servers = f"127.0.0.1:{unused.getsockname()[1]}"
        member = cluster.start_member(health_file=str(tmp_path / "health"))
        assert "does not answer" in member.wait_for_log("waiting for Kafka")["reason"]
        wait_until(lambda: reported_healthy(tmp_path / "health") is False, "an unhealthy report")
        member.signal(signal.SIGTERM)
        assert member.exit_code() == 0
    assert [line["message"] for line in member.lines()].count("waiting for Kafka") == 1


def test_worker_resumes_when_postgres_is_back(
    cluster: Cluster, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), own=True) as server:
        with psycopg.connect(server.url) as conn:
            migrations.up(conn)
        cluster.database_url = server.url
        server.stop()
        member = cluster.start_member(health_file=str(tmp_path / "health"))
        member.wait_for_log("waiting for Postgres")
        cluster.publish(Mix(delegations=20))
        server.start()
        cluster.wait_until_caught_up()
        cluster.assert_view_equals_log()
        member.wait_for_log("Postgres is back")
        wait_until(lambda: reported_healthy(tmp_path / "health"), "a healthy report")
        assert [line["message"] for line in member.lines()].count("waiting for Postgres") == 1
        cluster.end()


def test_missing_schema_is_a_misconfiguration(cluster: Cluster) -> None:
    with psycopg.connect(cluster.database_url, autocommit=True) as conn:
        conn.execute("DROP SCHEMA projector CASCADE")
        conn.execute("DROP TABLE delegations, projector_schema_migrations")
    member = cluster.start_member()
    assert member.exit_code() == 2
    assert "projector migrate up" in member.text()
    assert "partitions assigned" not in member.text()
