"""compose.yaml as a newcomer brings it up: without its profile, and with it. Run by `make test-images`."""

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, until
from engine import Stack, docker, exit_code, inspect, stop, well
from feed import Platform, read_topic

from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix

GRACE_SECONDS = 30


@pytest.fixture(scope="module")
def built() -> None:
    well(Stack("prove-build")("build"))


@contextmanager
def brought_up(*profiles: str) -> Iterator[Stack]:
    stack = Stack(f"prove-{uuid.uuid4().hex[:8]}", *profiles)
    try:
        stack.up()
        yield stack
    finally:
        sys.stdout.write(stack.logs())  # which pytest shows where a test failed
        stack.down()
    assert stack.leftovers() == []


@pytest.fixture(scope="module")
def plain(built: None) -> Iterator[Stack]:
    with brought_up() as stack:
        yield stack


@pytest.fixture(scope="module")
def scene(plain: Stack, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return scene_on(plain, tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def cdc(built: None) -> Iterator[Stack]:
    with brought_up("cdc") as stack:
        yield stack


def scene_on(stack: Stack, folder: Path) -> Cluster:
    return Cluster(stack.database_url, stack.bootstrap_servers, "activity-log", folder)


# --- without the profile, one story in order


def test_what_runs_and_ends_has_ended_well(plain: Stack) -> None:
    assert {service: exit_code(plain.container(service)) for service in ("migrate", "topic")} == {
        "migrate": 0,
        "topic": 0,
    }
    assert "applied 049_delegations" in plain.logs("migrate")
    assert plain.containers("connect") == []


def test_the_database_knows_utf_8(plain: Stack) -> None:
    with psycopg.connect(plain.database_url) as conn:
        assert conn.info.parameter_status("server_encoding") == "UTF8"


def test_the_projector_is_locked_down_and_hears_signals_itself(plain: Stack) -> None:
    projector = plain.container("projector")
    assert inspect(projector)["HostConfig"]["ReadonlyRootfs"]
    assert docker("exec", projector, "touch", "/tmp/anything").code != 0
    first = well(docker("exec", projector, "cat", "/proc/1/cmdline")).split("\0")
    assert [Path(part).name for part in first[:3]] == ["python", "projector", "run"]
    assert "CapEff:\t0000000000000000" in well(docker("exec", projector, "cat", "/proc/1/status"))


def test_what_a_platform_publishes_becomes_rows(plain: Stack, scene: Cluster) -> None:
    scene.play(Mix(delegations=500))
    scene.caught_up()
    scene.view_equals_log()
    status = json.loads(well(plain.projector("status", "--json")))
    assert sum(partition["lag_records"] for partition in status["partitions"]) == 0
    assert len(status["partitions"]) == 3


def test_it_is_unwell_while_postgres_is_away(plain: Stack, scene: Cluster) -> None:
    well(plain("stop", "postgres"))
    scene.play(Mix(delegations=50, seed=10))
    until(lambda: "waiting for Postgres" in plain.projector("health").err, "a report of the outage")
    well(plain("start", "postgres"))
    until(lambda: plain.projector("health").code == 0, "a report of its end")
    scene.caught_up()
    scene.view_equals_log()


def test_sigterm_under_load_ends_it_with_0_and_up_goes_on_where_it_stood(plain: Stack, scene: Cluster) -> None:
    with scene.playing(Mix(delegations=500, seed=8), per_second=2000):
        until(lambda: scene.projected() > sum(scene.ends().values()) - 2000, "the load")
        code, seconds = stop(plain.container("projector"), grace=GRACE_SECONDS)
    assert code == 0, plain.logs("projector")
    assert seconds < GRACE_SECONDS / 2
    assert scene.positions() != scene.ends()
    plain.up()
    assert "the schema is up to date" in plain.logs("migrate", lines=1)
    assert plain.logs("migrate").count("applied 049_delegations") == 1
    assert exit_code(plain.container("migrate")) == 0
    scene.caught_up()
    scene.view_equals_log()


def test_three_share_the_work(plain: Stack, scene: Cluster) -> None:
    plain.up("--scale", "projector=3")
    until(lambda: _owners(plain) == 3, "three owners of three partitions")
    scene.play(Mix(delegations=200, seed=9))
    scene.caught_up()
    scene.view_equals_log()
    codes = [stop(name, grace=GRACE_SECONDS)[0] for name in plain.containers("projector")]
    assert codes == [0, 0, 0]


def _owners(stack: Stack) -> int:
    with psycopg.connect(stack.database_url) as conn:
        (count,) = conn.execute("SELECT count(DISTINCT owner) FROM projector.positions").fetchone() or (0,)
    return int(count)


# --- with it: rows of activity_logs, by their change feed


def test_what_a_platform_writes_to_its_table_becomes_rows(cdc: Stack, tmp_path: Path) -> None:
    scene = scene_on(cdc, tmp_path)
    with psycopg.connect(cdc.database_url, autocommit=True) as conn:
        platform = Platform(conn)
        expected = platform.play()
        until(lambda: _statuses(conn) == expected, f"{expected} instead of:\n{cdc.logs()}")
        # The feed goes on in order, so after this row nothing is to come.
        last = platform.passes_by()
        scene.acknowledged = until(lambda: read_topic(scene, until_it_holds=last), "the last row in the topic")
        scene.caught_up()
        scene.view_equals_log()
        assert conn.execute("SELECT count(*) FROM projector.dead_letters").fetchone() == (0,)
        # the hard part was there: a body left out of an update, and a row whose neighbours were deleted
        assert any(b"__debezium_unavailable_value" in (record.value or b"") for record in scene.acknowledged)
        assert any(record.value is None for record in scene.acknowledged)
        assert not any(b'"status":"ok"' in (record.value or b"") for record in scene.acknowledged)
        assert {len({record.partition for record in of_one}) for of_one in _by_key(scene)} == {1}


def test_the_feed_ends_well_and_may_be_asked_for_again(cdc: Stack) -> None:
    assert exit_code(cdc.container("connector")) == 0
    cdc.up()
    assert exit_code(cdc.container("connector")) == 0
    asked = docker("exec", cdc.container("connect"), "curl", "-s", "localhost:8083/connectors/activity-log/status")
    assert [task["state"] for task in json.loads(well(asked))["tasks"]] == ["RUNNING"]
    code, _ = stop(cdc.container("projector"), grace=GRACE_SECONDS)
    assert code == 0


def _statuses(conn: psycopg.Connection) -> dict[str, str]:
    return dict(conn.execute("SELECT delegation_id, status FROM delegations").fetchall())


def _by_key(scene: Cluster) -> list[list[AcknowledgedRecord]]:
    found: dict[bytes | None, list[AcknowledgedRecord]] = {}
    for record in scene.acknowledged:
        found.setdefault(record.key, []).append(record)
    return list(found.values())
