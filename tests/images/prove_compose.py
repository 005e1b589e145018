"""compose.yaml: the projector and the dashboard alone, then everything. Run by `make test-images`."""

import json
import re
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from engine import ROOT, TIMEOUT_SECONDS, Stack, checked, docker, exit_code, inspect, is_healthy, stop
from feed import HUGE, LARGE, Platform, read_topic

from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix

GRACE_SECONDS = 30


@pytest.fixture(scope="module")
def built() -> None:
    checked(Stack("prove-build")("build"))


@contextmanager
def brought_up(*services: str) -> Iterator[Stack]:
    stack = Stack(f"prove-{uuid.uuid4().hex[:8]}", *services)
    try:
        stack.up()
        yield stack
    finally:
        sys.stdout.write(stack.logs() + stack.health_checks())  # pytest shows it if a test fails
        stack.down()
    assert stack.leftovers() == []


@pytest.fixture(scope="module")
def plain(built: None) -> Iterator[Stack]:
    with brought_up("projector", "dashboard") as stack:
        yield stack


@pytest.fixture(scope="module")
def cluster(plain: Stack, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return cluster_on(plain, tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="module")
def whole(built: None) -> Iterator[Stack]:
    with brought_up() as stack:
        wait_until(lambda: _feed_streams(stack), "a change feed that streams", TIMEOUT_SECONDS)
        yield stack


def _feed_streams(stack: Stack) -> bool:
    """Rows that are written before are part of the snapshot, which has no earlier states of a row."""
    with psycopg.connect(stack.database_url) as conn:
        return conn.execute("SELECT state FROM pg_stat_replication").fetchall() == [("streaming",)]


def cluster_on(stack: Stack, folder: Path) -> Cluster:
    return Cluster(stack.database_url, stack.bootstrap_servers, "activity-log", folder)


# --- the projector and the dashboard; these tests depend on their order


def test_one_off_services_end_with_0(plain: Stack) -> None:
    assert {service: exit_code(plain.container(service)) for service in ("migrate", "topic")} == {
        "migrate": 0,
        "topic": 0,
    }
    assert "applied 049_delegations" in plain.logs("migrate")
    assert plain.containers("connect") == []


def test_database_is_utf_8(plain: Stack) -> None:
    with psycopg.connect(plain.database_url) as conn:
        assert conn.info.parameter_status("server_encoding") == "UTF8"


def test_projector_is_locked_down_and_is_process_1(plain: Stack) -> None:
    projector = plain.container("projector")
    assert inspect(projector)["HostConfig"]["ReadonlyRootfs"]
    assert docker("exec", projector, "touch", "/tmp/anything").code != 0
    first = checked(docker("exec", projector, "cat", "/proc/1/cmdline")).split("\0")
    assert [Path(part).name for part in first[:3]] == ["python", "projector", "run"]
    assert "CapEff:\t0000000000000000" in checked(docker("exec", projector, "cat", "/proc/1/status"))


def test_published_records_become_rows(plain: Stack, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=500))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    status = json.loads(checked(plain.projector("status", "--json")))
    assert sum(partition["lag_records"] for partition in status["partitions"]) == 0
    assert len(status["partitions"]) == 3


def test_dashboard_shows_the_rows_after_a_login(plain: Stack, cluster: Cluster) -> None:
    (link,) = re.findall(r"http://127\.0\.0\.1:\d+/login/\S+", plain.logs("dashboard"))
    assert link.startswith(plain.dashboard_url)
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(link, timeout=30) as page:
        assert page.url == f"{plain.dashboard_url}/"
    with browser.open(f"{plain.dashboard_url}/delegations.json", timeout=30) as page:
        shown = {each["delegation_id"] for each in json.load(page)["delegations"]}
    assert shown
    assert shown <= set(cluster.expected().rows)
    token = re.findall(r"token (\S+),", (ROOT / "compose.yaml").read_text())[0]
    request = urllib.request.Request(
        f"{plain.dashboard_url}/admin/delegations", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["status"] == "in_flight"
    wait_until(lambda: is_healthy(plain.container("dashboard")), "a healthy dashboard")


def test_projector_is_unhealthy_without_postgres(plain: Stack, cluster: Cluster) -> None:
    checked(plain("stop", "postgres"))
    cluster.publish(Mix(delegations=50, seed=10))
    wait_until(lambda: "waiting for Postgres" in plain.projector("health").err, "an unhealthy report")
    checked(plain("start", "postgres"))
    wait_until(lambda: plain.projector("health").code == 0, "a healthy report")
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_projector_continues_after_sigterm_under_load(plain: Stack, cluster: Cluster) -> None:
    with cluster.publishing(Mix(delegations=500, seed=8), per_second=2000):
        wait_until(lambda: cluster.projected_records() > sum(cluster.end_offsets().values()) - 2000, "the load")
        code, seconds = stop(plain.container("projector"), grace=GRACE_SECONDS)
    assert code == 0, plain.logs("projector")
    assert seconds < GRACE_SECONDS / 2
    assert cluster.positions() != cluster.end_offsets()
    plain.up()
    assert "the schema is up to date" in plain.logs("migrate", lines=1)
    assert plain.logs("migrate").count("applied 049_delegations") == 1
    assert exit_code(plain.container("migrate")) == 0
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_three_projectors_share_partitions(plain: Stack, cluster: Cluster) -> None:
    plain.up("--scale", "projector=3")
    wait_until(lambda: _owners(plain) == 3, "three owners of three partitions")
    cluster.publish(Mix(delegations=200, seed=9))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    codes = [stop(name, grace=GRACE_SECONDS)[0] for name in plain.containers("projector")]
    assert codes == [0, 0, 0]


def _owners(stack: Stack) -> int:
    with psycopg.connect(stack.database_url) as conn:
        (count,) = conn.execute("SELECT count(DISTINCT owner) FROM projector.positions").fetchone() or (0,)
    return int(count)


# --- everything: rows of activity_logs through the change feed


def test_what_a_platform_writes_to_its_table_becomes_rows(whole: Stack, tmp_path: Path) -> None:
    cluster = cluster_on(whole, tmp_path)
    with psycopg.connect(whole.database_url, autocommit=True) as conn:
        platform = Platform(conn)
        expected = platform.write_all()
        wait_until(lambda: _statuses(conn) == expected, f"{expected} instead of:\n{whole.logs()}", TIMEOUT_SECONDS)
        told = {*expected} - {"in-flight"}
        wait_until(lambda: _inbox(conn).keys() == told, f"replies about {told}:\n{whole.logs()}")
        # The feed keeps the order, so no change follows this row.
        last = platform.write_unrelated()
        cluster.acknowledged = wait_until(lambda: read_topic(cluster, required=last), "the last row in the topic")
        cluster.wait_until_caught_up()
        cluster.assert_view_equals_log()
        assert conn.execute("SELECT count(*) FROM projector.dead_letters").fetchone() == (0,)
        # the difficult cases occurred: an unavailable body, and a deleted row
        assert any(b"__debezium_unavailable_value" in (record.value or b"") for record in cluster.acknowledged)
        assert any(record.value is None for record in cluster.acknowledged)
        written = [each.value for each in cluster.acknowledged if each.value and b"a2a_receive" not in each.value]
        assert not any(b'"status":"ok"' in value for value in written)
        assert {len({record.partition for record in of_one}) for of_one in _by_key(cluster)} == {1}


def test_overdue_delegation_fails(whole: Stack) -> None:
    """The first pass of the sweeper may be a minute away."""
    with psycopg.connect(whole.database_url, autocommit=True) as conn:
        Platform(conn).write_overdue("overdue")
        wait_until(lambda: _statuses(conn)["overdue"] == "failed", f"a verdict in:\n{whole.logs()}", TIMEOUT_SECONDS)


def test_callers_are_told_whole_texts(whole: Stack) -> None:
    with psycopg.connect(whole.database_url, autocommit=True) as conn:
        answers = {f"done-{size}": f"the result of {size}" for size in (0, LARGE, HUGE)}
        assert answers.items() <= _inbox(conn).items()
    names = {whole.container(name) for name in ("sweep", "push", "dashboard")}
    wait_until(lambda: all(is_healthy(name) for name in names), "healthy sweeper, relay and dashboard")


def test_connector_service_can_run_again(whole: Stack) -> None:
    assert exit_code(whole.container("connector")) == 0
    whole.up()
    assert exit_code(whole.container("connector")) == 0
    answer = docker("exec", whole.container("connect"), "curl", "-s", "localhost:8083/connectors/activity-log/status")
    assert [task["state"] for task in json.loads(checked(answer))["tasks"]] == ["RUNNING"]
    code, _ = stop(whole.container("projector"), grace=GRACE_SECONDS)
    assert code == 0


def _statuses(conn: psycopg.Connection) -> dict[str, str]:
    return dict(conn.execute("SELECT delegation_id, status FROM delegations").fetchall())


def _inbox(conn: psycopg.Connection) -> dict[str, str]:
    """Delegation id → the text that its caller was told."""
    rows = conn.execute(
        """
        SELECT request_body ->> 'delegation_id', response_body ->> 'text' FROM activity_logs
         WHERE activity_type = 'a2a_receive'
        """
    )
    return dict(rows.fetchall())


def _by_key(cluster: Cluster) -> list[list[AcknowledgedRecord]]:
    by_key: dict[bytes | None, list[AcknowledgedRecord]] = {}
    for record in cluster.acknowledged:
        by_key.setdefault(record.key, []).append(record)
    return list(by_key.values())
