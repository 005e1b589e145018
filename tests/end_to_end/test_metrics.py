"""What processes serve at PROJECTOR_HTTP_ADDRESS, beside the log, the database and the oracle."""

import json
import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import psycopg
from cluster import Cluster, Member, wait_until
from kafka import KafkaConsumer, TopicPartition
from odd_records import OddRecords
from rows import delegate
from scraping import Scrape, answer_of, free_address, get
from stage import PUSH, Stage
from topics import create_topic
from transactions import open_transaction

from testbed.servers.start import Postgres
from testbed.workload import Mix, Record
from testbed.workload.acting import answers
from testbed.workload.silences import falls_silent, fills_the_history

TERMINAL = ("completed", "failed", "stuck")


def start(cluster: Cluster, *arguments: str, **settings: str) -> tuple[Member, str]:
    """Start a member that serves its metrics, and wait until it is ready."""
    address = free_address()
    member = cluster.start_member(*arguments, http_address=address, **settings)
    wait_until(lambda: (answer := answer_of(address, "/readyz")) and answer.status == 200, "a process that is ready")
    return member, address


def scrape_at_the_end(cluster: Cluster, address: str) -> Scrape:
    """The numbers of a process that has projected everything."""
    cluster.wait_until_caught_up()

    def of_the_end() -> Scrape | None:
        scrape = Scrape(address)
        positions = {int(key): int(value) for key, value in scrape.by("position", "partition").items()}
        return scrape if cluster.end_offsets().items() <= positions.items() else None

    found: Scrape = wait_until(of_the_end, "a report of the end")
    return found


def projected(cluster: Cluster) -> dict[str, int]:
    return {outcome: count for outcome, count in cluster.expected().outcomes.items() if count}


def counted(scrape: Scrape) -> dict[str, int]:
    return {outcome: int(count) for outcome, count in scrape.by("records_total", "outcome").items() if count}


def test_numbers_are_those_of_the_log(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=400))
    _, address = start(cluster, batch_records="20", session_timeout_ms="45000")  # a busy machine ends no session
    scrape = scrape_at_the_end(cluster, address)
    records = len(cluster.acknowledged)
    assert counted(scrape) == projected(cluster)
    statuses = [row.status for row in cluster.expected().rows.values()]
    assert scrape.by("ended_total", "status") == {status: statuses.count(status) for status in TERMINAL}
    assert scrape.value("batch_records_sum") == records
    assert scrape.value("batch_seconds_count") == scrape.value("batch_records_count")
    ends = {str(partition): end for partition, end in cluster.end_offsets().items()}
    assert scrape.by("position", "partition") == ends
    assert scrape.by("lag_records", "partition") == scrape.by("lag_seconds", "partition") == dict.fromkeys(ends, 0)
    with psycopg.connect(cluster.database_url) as conn:
        [(newest,)] = conn.execute("SELECT extract(epoch FROM max(record_at))::float FROM projector.positions")
    idle = scrape.value("log_idle_seconds")
    assert idle is not None
    assert abs(time.time() - idle - newest) < 60
    assert (scrape.state("run"), scrape.value("rebalances_total")) == ("working", 1)


def test_series_do_not_grow_with_what_the_records_say(cluster: Cluster) -> None:
    """Thousands of callers, callees and delegations, and odd statuses, methods and types."""
    cluster.publish(Mix(delegations=20))
    _, address = start(cluster)
    before = {(each.name, tuple(each.labels.items())) for each in scrape_at_the_end(cluster, address).samples}
    rows = (
        delegate(0, id=str(uuid4()), workspace_id=(caller := str(uuid4())), source_id=caller, target_id=str(uuid4()))
        | {"request_body": {"delegation_id": f"d-{number}", "task": "count"}}
        for number in range(2000)
    )
    values = [*(json.dumps(row).encode() for row in rows), *(each.value for each in OddRecords(7).log(500))]
    cluster.publish(Record(str(uuid4()).encode(), value, 1_746_439_200_000) for value in values)
    after = {(each.name, tuple(each.labels.items())) for each in scrape_at_the_end(cluster, address).samples}
    assert after == before


def test_lag_is_that_of_the_log(cluster: Cluster, kafka: str) -> None:
    """An open transaction of a producer blocks the records behind it, of one partition."""
    cluster.topic = create_topic(kafka, partitions=2)
    row = json.dumps(delegate(0)).encode()
    _, address = start(cluster)
    with open_transaction(kafka, cluster.topic, Record(b"key", row, 1_746_439_200_000)):
        cluster.publish([Record(str(uuid4()).encode(), row, 1_746_439_200_000) for _ in range(20)])
        with KafkaConsumer(bootstrap_servers=kafka) as consumer:
            ends = consumer.end_offsets([TopicPartition(cluster.topic, partition) for partition in (0, 1)])
        high_watermarks = {place.partition: end for place, end in ends.items()}

        def lag_of_the_log() -> Scrape | None:
            scrape, positions = Scrape(address), cluster.positions()
            lag = {str(partition): end - positions.get(partition, 0) for partition, end in high_watermarks.items()}
            is_equal = scrape.by("lag_records", "partition") == lag and not lag["1"]
            return scrape if is_equal and scrape.by("lag_seconds", "partition")["0"] else None

        scrape: Scrape = wait_until(lag_of_the_log, "the lag of the log")
        assert scrape.value("lag_records", topic=cluster.topic, partition="0") == high_watermarks[0]
        assert scrape.value("lag_seconds", topic=cluster.topic, partition="1") == 0


def test_log_has_the_same_numbers_under_the_same_names(cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=200))
    member, address = start(cluster)
    scrape = scrape_at_the_end(cluster, address)
    assert member.signal(signal.SIGTERM).exit_code() == 0
    lines = [line for line in member.lines() if line["message"] in ("summary", "stopped")]
    for name in ("records", "ended", "rebalances", "fenced", "retries", "consumer_rebuilds"):
        exported = sum(each.value for each in scrape.samples if each.name == f"projector_{name}_total")
        assert sum(line.get(name, 0) for line in lines) == exported, name
    assert sum(line.get("ended", 0) for line in lines) > 0
    assert "lag_records" not in lines[-1]


def test_counters_of_two_runs_add_up(cluster: Cluster) -> None:
    """A restart begins with 0, and nothing is counted twice."""
    total: dict[str, int] = {}
    for seed in (1, 2):
        cluster.publish(Mix(delegations=100, seed=seed))
        member, address = start(cluster)
        for outcome, count in counted(scrape_at_the_end(cluster, address)).items():
            total[outcome] = total.get(outcome, 0) + count
        assert member.signal(signal.SIGTERM).exit_code() == 0
        assert answer_of(address, "/livez") is None
    assert total == projected(cluster)


def test_parent_serves_its_members_and_says_which_one_hangs(cluster: Cluster, tmp_path: Path) -> None:
    health = tmp_path / "health"
    cluster.publish(Mix(delegations=300))
    parent, address = start(cluster, "--members", "2", health_file=str(health), group_instance_id="me")
    before = scrape_at_the_end(cluster, address)
    assert counted(before) == projected(cluster)
    assert (before.state("member 1"), before.state("member 2")) == ("working", "working")
    first, second = parent.wait_for_log("members started")["pids"]
    os.kill(second, signal.SIGSTOP)
    make_older(tmp_path / "health.2")
    hung = Scrape(address)
    assert (hung.state("member 1"), hung.state("member 2")) == ("working", "hung")
    assert hung.by("position", "partition").items() < before.by("position", "partition").items()
    assert hung.value("healthy", process="member 2") == 0
    for path in ("/livez", "/readyz"):
        status, text, _ = get(address, path)
        assert (status, text.partition(" the ")[0]) == (503, "member 2:")
    os.kill(second, signal.SIGCONT)
    wait_until(lambda: get(address, "/readyz").status == 200, "a member that reports again")
    cluster.publish(Mix(delegations=100, seed=3))
    after = scrape_at_the_end(cluster, address)
    assert counted(after) == projected(cluster)
    for scrape, later in ((before, hung), (hung, after)):
        counters = later.counters()
        assert [key for key, value in scrape.counters().items() if counters.get(key, -1) < value] == []
    os.kill(first, signal.SIGKILL)
    assert parent.exit_code() == 1
    assert answer_of(address, "/livez") is None


def make_older(report: Path) -> None:
    """Make the report of a process that hangs as old as it would be later."""
    fields = json.loads(report.read_text())
    report.write_text(json.dumps({**fields, "at": fields["at"] - 60}))


def test_member_without_postgres_lives_and_is_not_ready(cluster: Cluster, server: Postgres) -> None:
    cluster.publish(Mix(delegations=20))
    _, address = start(cluster)
    assert scrape_at_the_end(cluster, address).by("lag_records", "partition")
    server.stop()
    wait_until(lambda: get(address, "/readyz").status == 503, "a process that is not ready")
    assert "waiting for Postgres" in get(address, "/readyz").text
    assert get(address, "/livez").status == 200
    scrape = Scrape(address)
    assert scrape.state("run") == "waiting"
    assert scrape.by("lag_records", "partition") == scrape.by("position", "partition") == {}
    assert (scrape.value("retries_total", reason="postgres") or 0) >= 1
    server.start()
    wait_until(lambda: get(address, "/readyz").status == 200, "a process that is ready again")
    assert Scrape(address).by("position", "partition")


def test_numbers_of_sweeper_and_relay_are_those_of_the_tables(stage: Stage) -> None:
    address = free_address()
    arguments = ("--members", "2", "--with-sweep", "--with-push")
    settings = {**stage.thresholds(), **PUSH, "sweep_interval_seconds": "1", "push_interval_seconds": "1"}
    stage.cluster.start_member(*arguments, http_address=address, **settings)
    wait_until(lambda: (answer := answer_of(address, "/readyz")) and answer.status == 200, "processes that are ready")
    wait_until(lambda: stage.query("SELECT FROM projector.push"), "the push is on")
    stage.play(fills_the_history)
    silent = stage.play(falls_silent, 4)
    answered = stage.play(answers, 5)
    stage.settle()
    wait_until(lambda: len(stage.verdicts()) >= len(silent), "a verdict about each silent one")
    stage.settle()
    wait_until(
        lambda: Scrape(address).value("push_sent_total", target="inbox") == len(answered), "every answer is told"
    )

    def swept() -> Scrape | None:
        scrape = Scrape(address)
        return scrape if sum(scrape.by("sweep_verdicts_total", "rule").values()) == len(stage.verdicts()) else None

    scrape: Scrape = wait_until(swept, "the counted verdicts")
    assert scrape.by("sweep_verdicts_total", "rule") == {"deadline": 0, "never_heard": 0, "silence": len(silent)}
    assert scrape.value("ended_total", status="stuck") == len(silent)
    with stage.connect() as conn:
        row = conn.execute("SELECT count(*) FROM activity_logs WHERE activity_type = 'a2a_receive'").fetchone()
    assert row == (len(answered),)
    assert set(scrape.by("healthy", "process")) == {"member 1", "member 2", "sweeper", "push"}
    assert scrape.value("sweep_interval_seconds") == 1
    for name in ("sweep_last_pass_timestamp_seconds", "push_last_pass_timestamp_seconds"):
        assert abs((scrape.value(name) or 0) - time.time()) < 60
