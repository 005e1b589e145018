"""Row-level security that would hide rows from the projector ends every command with code 2 and the cure."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from activity_table import create_activity_table, insert_activities
from cluster import Cluster, wait_until
from commands import CommandResult, run_projector
from foreign_defaults import case
from kafka import KafkaProducer
from psycopg import sql
from roles import plain_role
from rows import delegate

POLICIES = """
    ALTER TABLE delegations ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON delegations FOR SELECT
        USING (caller_id::text = current_setting('platform.workspace_id', true));
    CREATE POLICY inserts ON delegations FOR INSERT WITH CHECK (true);
    CREATE POLICY updates ON delegations FOR UPDATE USING (true);
"""
CURE = "Use a role with BYPASSRLS, or the owner of the table"


@pytest.fixture
def role_url(database_url: str) -> Iterator[str]:
    with plain_role(database_url) as url:
        yield url


def change(url: str, statement: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute(statement.encode())


def role_of(url: str) -> str:
    return urlsplit(url).username or ""


class Members:
    """Members with a plain role, and the records of the case, which a test publishes one after the other."""

    def __init__(self, cluster: Cluster, role_url: str) -> None:
        self.cluster, self.role_url = cluster, role_url
        self._left = case("row-level-security")

    def publish(self, count: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.cluster.bootstrap_servers)
        for _ in range(count):
            record = self._left.pop(0)
            producer.send(self.cluster.topic, record.value, record.key, partition=0).get(10)
        producer.close()

    def start(self) -> Any:
        return self.cluster.start_member(database_url=self.role_url)

    def run(self, *arguments: str) -> CommandResult:
        kafka = {"bootstrap_servers": self.cluster.bootstrap_servers, "topic": self.cluster.topic}
        return run_projector(*arguments, database_url=self.role_url, **kafka)


@pytest.fixture
def members(cluster: Cluster, role_url: str) -> Members:
    return Members(cluster, role_url)


def test_member_ends_when_rows_become_hidden(members: Members) -> None:
    member = members.start()
    members.publish(2)
    wait_until(lambda: members.cluster.positions().get(0) == 2, "both requests are projected")
    change(members.cluster.database_url, POLICIES)
    members.publish(2)
    assert member.exit_code() == 2
    assert 'table "delegations"' in member.text()
    assert CURE in member.text()
    for _ in range(2):
        again = members.start()
        assert again.exit_code() == 2
        assert (
            f"would hide rows of public.delegations from the role {role_of(members.role_url)}. {CURE}" in again.text()
        )
    change(members.cluster.database_url, f"ALTER ROLE {role_of(members.role_url)} BYPASSRLS")
    members.publish(1)
    members.start()
    wait_until(lambda: members.cluster.positions().get(0) == 5, "all records are projected")
    with psycopg.connect(members.cluster.database_url) as conn:
        rows = conn.execute("SELECT delegation_id, status FROM delegations ORDER BY 1").fetchall()
        assert rows == [("d-1", "completed"), ("d-2", "queued"), ("d-3", "queued")]
        assert conn.execute("SELECT count(*) FROM projector.parked").fetchone() == (0,)


RECORDING = str(Path(__file__).parents[1] / "cases" / "row-level-security.jsonl")
COMMANDS = [
    "status",
    "verify",
    "verify --sample 1",
    "rebuild --yes",
    f"rebuild --yes --from {RECORDING}",
    "explain d-1",
    f"explain d-1 --recording {RECORDING}",
    f"replay {RECORDING}",
    "parked list",
    "parked discard d-1 --yes",
    "deleted list",
    "deleted restore d-1",
    "dead-letters list",
    "dead-letters retry --all",
    "migrate down --to 0 --yes",
]


def test_every_command_names_table_and_cure(members: Members) -> None:
    change(members.cluster.database_url, POLICIES)
    for command in COMMANDS:
        done = members.run(*command.split())
        assert (done.code, done.out, "Traceback" in done.err) == (2, "", False), command
        assert "delegations" in done.err, command
        assert CURE in done.err, command


@pytest.mark.parametrize("table", ["projector.parked", "projector.positions", "projector_shadow.delegations"])
def test_tables_of_the_projector_are_checked(members: Members, table: str) -> None:
    change(members.cluster.database_url, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for command in ("status", "verify", "explain d-1"):
        done = members.run(*command.split())
        assert done.code == 2
        assert f"would hide rows of {table} from the role {role_of(members.role_url)}. {CURE}" in done.err


def test_hidden_rows_of_the_activity_table_are_named(members: Members) -> None:
    url = members.cluster.database_url
    create_activity_table(url)
    with psycopg.connect(url, autocommit=True) as conn:
        insert_activities(conn, delegate(0))
    change(url, "ALTER TABLE activity_logs ENABLE ROW LEVEL SECURITY")
    change(url, f"GRANT SELECT ON activity_logs TO {role_of(members.role_url)}")
    for command in ("verify", "rebuild --yes"):
        done = members.run(*command.split(), "--from", "activity-logs")
        assert done.code == 2
        assert 'table "activity_logs"' in done.err
        assert CURE in done.err


def test_owner_sees_all_rows_unless_security_is_forced(database_url: str, role_url: str) -> None:
    change(database_url, POLICIES)
    with psycopg.connect(database_url) as conn:
        conn.execute(sql.SQL("ALTER TABLE delegations OWNER TO {}").format(sql.Identifier(role_of(role_url))))
    assert run_projector("parked", "list", database_url=role_url).code == 0
    assert run_projector("replay", RECORDING, database_url=role_url).code == 0
    change(database_url, "ALTER TABLE delegations FORCE ROW LEVEL SECURITY")
    done = run_projector("parked", "list", database_url=role_url)
    assert done.code == 2
    assert "remove FORCE ROW LEVEL SECURITY from the table" in done.err
