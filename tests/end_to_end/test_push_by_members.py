"""Members and relays together: what a member projects is told once, by whichever relay."""

import json
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
from activity_table import SEARCH_PATH
from cluster import Cluster, wait_until
from commands import environment, run_projector, start
from kafka import KafkaProducer
from relaying import Relaying, create_inbox
from rows import CALLEE, CALLER

ENDS = 60


@pytest.fixture
def relaying(cluster: Cluster) -> Iterator[Relaying]:
    create_inbox(cluster.database_url)
    with psycopg.connect(cluster.database_url, options=SEARCH_PATH, autocommit=True) as conn:
        yield Relaying(conn)


def settings(cluster: Cluster) -> dict[str, str]:
    return {"database_url": cluster.database_url, "topic": cluster.topic, "result_push": "inbox"}


def platform_rows(name: str, seconds: float, text: str) -> list[dict[str, Any]]:
    """The rows of a request and its answer, this many seconds ago."""

    def row(method: str, status: str, at: datetime, **columns: Any) -> dict[str, Any]:
        fixed = {"id": str(uuid4()), "workspace_id": CALLER, "activity_type": "delegation", "target_id": CALLEE}
        return {**fixed, "method": method, "status": status, "created_at": at.isoformat(), **columns}

    at = datetime.now(UTC) - timedelta(seconds=seconds)
    body = {"delegation_id": name, "task": "count"}
    return [
        row("delegate", "pending", at, request_body=body),
        row("delegate_result", "completed", at, response_body={"delegation_id": name, "text": text}),
    ]


class Platform(NamedTuple):
    relaying: Relaying
    topic: str
    producer: KafkaProducer

    def publish(self, rows: list[dict[str, Any]]) -> None:
        """Insert the rows in the platform's table, and publish them as the change feed does."""
        for row in rows:
            self.relaying.activity.execute(
                "INSERT INTO activity_logs SELECT * FROM jsonb_populate_record(NULL::activity_logs, %s::jsonb)",
                [json.dumps(row)],
            )
            self.producer.send(self.topic, json.dumps(row).encode(), CALLER.encode())
        self.producer.flush()


@pytest.fixture
def platform(cluster: Cluster, relaying: Relaying) -> Iterator[Platform]:
    with closing(KafkaProducer(bootstrap_servers=cluster.bootstrap_servers)) as producer:
        yield Platform(relaying, cluster.topic, producer)


def test_each_end_is_told_once_by_members_and_relays(cluster: Cluster, relaying: Relaying, platform: Platform) -> None:
    """A member and two relays; the member and a relay are killed; everything is projected again from the start."""
    platform.publish(platform_rows("old", 3600, "from before"))
    own = settings(cluster)
    quiet = cluster.start_member()
    wait_until(lambda: relaying.conn.execute("SELECT FROM delegations").rowcount == 1, "the old row")
    quiet.signal(signal.SIGTERM).exit_code()
    member = cluster.start_member(result_push="inbox")
    wait_until(lambda: relaying.conn.execute("SELECT FROM push").rowcount == 1, "the push is on")
    relays = [start(["push", "run"], environment(own)) for _ in range(2)]
    try:
        for number in range(ENDS):
            platform.publish(platform_rows(f"d-{number}", 10, f"answer {number} " * 1000))
            if number == ENDS // 3:
                relays[0].kill()
            if number == ENDS // 2:
                member.kill()
                member = cluster.start_member(result_push="inbox")
        wait_until(lambda: len(relaying.inbox()) == ENDS, "everyone is told")
        member.signal(signal.SIGTERM).exit_code()
        relaying.conn.execute("TRUNCATE delegations; UPDATE positions SET next_offset = 0, owner = NULL")
        cluster.start_member(result_push="inbox")
        wait_until(lambda: relaying.conn.execute("SELECT FROM delegations").rowcount == ENDS + 1, "projected again")
        assert run_projector("push", "run", "--once", "--json", **own).json()["sent"] == 0
    finally:
        for relay in relays:
            relay.kill()
            relay.wait()
    assert relaying.texts() == {f"d-{number}": f"answer {number} " * 1000 for number in range(ENDS)}
    assert run_projector("push", "missing", "--json", **own).json()["total"] == 0


def test_whatever_reads_again_tells_nobody_again(
    cluster: Cluster, relaying: Relaying, platform: Platform, tmp_path: Path
) -> None:
    """Verify, rebuild, replay and a projection from the start, while delegations end and a relay runs."""
    own = settings(cluster)
    place = own | {"bootstrap_servers": cluster.bootstrap_servers, "rebuild_grace_seconds": "60"}
    member = cluster.start_member(result_push="inbox")
    wait_until(lambda: relaying.conn.execute("SELECT FROM push").rowcount == 1, "the push is on")
    relay = start(["push", "run"], environment(own))
    names = [f"d-{number}" for number in range(ENDS)]
    unread = iter(names)

    def publish_some() -> None:
        for name in islice(unread, ENDS // 6):
            platform.publish(platform_rows(name, 10, f"the answer of {name}"))

    try:
        recording = str(tmp_path / "all.jsonl")
        publish_some()
        wait_until(lambda: len(relaying.inbox()) == ENDS // 6, "the first are told")
        for command in (
            ["verify"],
            ["record", "--out", recording],
            ["replay", recording],
            ["rebuild", "--yes"],
        ):
            publish_some()
            found = run_projector(*command, **place)
            assert found.code in (0, 3), found.err
        member.kill()
        relaying.conn.execute("UPDATE positions SET next_offset = 0, owner = NULL")
        cluster.start_member(result_push="inbox")
        publish_some()
        wait_until(lambda: len(relaying.inbox()) >= ENDS, "everyone is told")
        cluster.wait_until_caught_up()
        assert run_projector("push", "run", "--once", "--json", **own).json()["sent"] == 0
    finally:
        relay.kill()
        relay.wait()
    assert relaying.texts() == {name: f"the answer of {name}" for name in names}


def test_relay_beside_a_member_sends_and_reports(
    cluster: Cluster, relaying: Relaying, platform: Platform, tmp_path: Path
) -> None:
    health = tmp_path / "health"
    parent = cluster.start_member("--with-push", result_push="inbox", health_file=str(health))
    parent.wait_for_log("results are pushed from now on")
    platform.publish(platform_rows("d-1", 3, "three"))
    wait_until(lambda: "d-1" in relaying.inbox(), f"the reply in:\n{parent.text()[-3000:]}")
    wait_until(lambda: run_projector("health", health_file=str(health)).code == 0, "a healthy report")
    assert run_projector("health", health_file=f"{health}.push").out == "sending replies\n"
    assert parent.signal(signal.SIGTERM).exit_code() == 0
    stopped = run_projector("health", health_file=f"{health}.push")
    assert (stopped.code, "stopped" in stopped.err) == (1, True), stopped.err
